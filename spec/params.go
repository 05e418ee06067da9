package spec

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// params checks `with` of one instance against its kind.
func (c *checker) params(s *rawStage, sc *scope) (map[string]any, map[string]Pos) {
	values, where := map[string]any{}, map[string]Pos{}
	with := c.expand(s.with, sc)
	if with != nil && with.typ != tMap && with.typ != tNull {
		c.report(with.at, "", "with is a map of parameters, not %s", with.what())
		return values, where
	}
	if s.kind == nil {
		return values, where
	}
	before := c.raised
	places := map[string]place{}
	if with != nil {
		for _, f := range with.fields {
			p, ok := c.param(s.kind, f.key)
			places[p.Name] = f.value.at // a slip of the pen is not a lack as well
			if !ok {
				continue
			}
			if v, ok := c.value(p, f.value); ok {
				values[p.Name], where[p.Name] = v, c.pos(f.value.at)
			}
		}
	}
	for _, p := range s.kind.Params {
		if _, ok := places[p.Name]; p.Required && !ok {
			c.report(s.withAt, "", "stage %s lacks the parameter %s: %s", shortened(s.name), p.Name, p.Doc)
		}
	}
	if s.kind.Check == nil || c.raised > before || c.spent > maxSpent {
		return values, where
	}
	for _, pp := range s.kind.Check(values) {
		at, ok := places[pp.Param]
		if !ok {
			at = s.withAt
		}
		msg := pp.Message
		if pp.Param != "" {
			msg = pp.Param + ": " + msg
		}
		c.report(at, "", "%s%s", msg, c.inInstance())
	}
	return values, where
}

// param returns the parameter called key, or false and what may have been meant.
func (c *checker) param(k *Kind, key *node) (Param, bool) {
	for _, p := range k.Params {
		if p.Name == key.text {
			return p, true
		}
	}
	names := make([]string, len(k.Params))
	for i, p := range k.Params {
		names[i] = p.Name
	}
	near, hint := c.nearest(key.text, names), ""
	switch {
	case len(names) == 0:
		hint = ", and has none"
	case near == "":
		hint = "; there are " + listed(names)
	}
	if other := k.Name + "_" + key.text; c.kinds[other] != nil { // exec with each
		near, hint = "", "; the kind for that is "+other
	}
	c.report(key.at, near, "kind %s has no parameter %s%s", k.Name, quote(key.text), hint)
	return Param{Name: near}, false
}

// value converts n to the type of p and checks it, or reports why not.
func (c *checker) value(p Param, n *node) (any, bool) {
	if n.dyn {
		return nil, false
	}
	if !c.spend(n.size * nodeCost) {
		return nil, false
	}
	if elem, ok := strings.CutPrefix(p.Type, "[]"); ok {
		if n.typ != tList {
			c.report(n.at, "", "%s is a list, as in [%s], not %s", p.Name, shortened(n.text), n.what())
			return nil, false
		}
		one, out, ok := p, make([]any, 0, len(n.list)), true
		one.Type, one.Name = elem, "an entry of "+p.Name
		for _, e := range n.list {
			v, good := c.value(one, e)
			out, ok = append(out, v), ok && good
		}
		return out, ok
	}
	switch p.Type {
	case "string":
		return c.stringValue(p, n)
	case "bool":
		if n.typ == tBool {
			return strings.EqualFold(n.text, "true"), true
		}
		hint := ""
		if slices.Contains([]string{"yes", "no", "on", "off", "y", "n"}, strings.ToLower(n.text)) {
			hint = ": only true and false are"
		}
		return c.wrong(p, n, "true or false", hint)
	case "int", "float":
		return c.numberValue(p, n)
	case "duration", "bytes":
		return c.quantity(p, n)
	case "map":
		if n.typ != tMap {
			return c.wrong(p, n, "a map", "")
		}
		return c.plain(n), true
	}
	c.report(n.at, "", "%s has a type %s that specs do not know", p.Name, p.Type)
	return nil, false
}

// wrong reports a value of another type than p has.
func (c *checker) wrong(p Param, n *node, want, hint string) (any, bool) {
	unit := ""
	if p.Unit != "" {
		unit = " of " + p.Unit
	}
	c.about(n, "", "%s is %s%s, not %s%s", p.Name, want, unit, n.what(), hint)
	return nil, false
}

func (c *checker) stringValue(p Param, n *node) (any, bool) {
	scalar := n.typ != tNull && n.typ < tList
	// `length: true` can mean nothing but the word where true is one of the words.
	isWord := scalar && slices.Contains(p.Enum, n.text)
	if n.typ != tString && !isWord && !(scalar && n.fromVar) {
		hint := ""
		if n.typ == tBool || n.typ == tInt || n.typ == tFloat {
			hint = fmt.Sprintf(": put it in quotes, as in %s: %s", p.Name, quote(n.text))
		}
		return c.wrong(p, n, "a string", hint)
	}
	if len(p.Enum) > 0 && !isWord {
		near := c.nearest(n.text, p.Enum)
		c.about(n, near, "%s is one of %s, not %s", p.Name, strings.Join(p.Enum, ", "), quote(n.text))
		return nil, false
	}
	if p.Path != "" && n.text == "" && p.Required {
		c.about(n, "", "%s names a file or folder, and is empty", p.Name)
		return nil, false
	}
	if p.Path != "" && strings.ContainsFunc(n.text, obeyed) {
		c.about(n, "", "%s names a file or folder, and holds a control character: %s", p.Name, quote(n.text))
		return nil, false
	}
	return n.text, true
}

// obeyed reports characters that terminals obey or that turn the direction of
// writing around: of a path that holds them nobody sees which file it names.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

func (c *checker) numberValue(p Param, n *node) (any, bool) {
	want := "a number"
	if p.Type == "int" {
		want = "a whole number"
	}
	if n.typ != tInt && n.typ != tFloat {
		return c.wrong(p, n, want, "")
	}
	f, err := n.float()
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, false // reported when it was read
	}
	if p.Type == "int" && n.typ == tFloat && (f != math.Trunc(f) || math.Abs(f) > 1<<53) {
		return c.wrong(p, n, want, "")
	}
	if !c.inRange(p, n, f) {
		return nil, false
	}
	if p.Type == "float" {
		return f, true
	}
	if n.typ == tFloat {
		return int64(f), true
	}
	i, err := n.int()
	return i, err == nil
}

func (c *checker) inRange(p Param, n *node, f float64) bool {
	if (p.Min == nil || f >= *p.Min) && (p.Max == nil || f <= *p.Max) {
		return true
	}
	unit := ""
	if p.Unit != "" {
		unit = " " + p.Unit
	}
	var want string
	switch {
	case p.Max == nil:
		want = "at least " + number(*p.Min) + unit
	case p.Min == nil:
		want = "at most " + number(*p.Max) + unit
	default:
		want = "between " + number(*p.Min) + " and " + number(*p.Max) + unit
	}
	c.about(n, "", "%s is %s, not %s", p.Name, want, shortened(n.text))
	return false
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// quantity checks a duration ("90s", bounds in seconds) or a size ("8GiB",
// bounds in bytes). The text is kept: it is the stage that reads it.
func (c *checker) quantity(p Param, n *node) (any, bool) {
	var f float64
	var err error
	example := "90s, 15m or 12h"
	switch {
	case n.typ != tString && !n.fromVar:
		err = errUnit
	case p.Type == "duration":
		var d time.Duration
		d, err = ParseDuration(n.text)
		f = d.Seconds()
	default:
		var b int64
		b, err = ParseBytes(n.text)
		f = float64(b)
	}
	if p.Type == "bytes" {
		example = "512MiB or 8GiB"
	}
	if err != nil {
		c.about(n, "", "%s is a number with a unit, such as %s, not %s", p.Name, example, n.what())
		return nil, false
	}
	return n.text, c.inRange(p, n, f)
}

// plain returns n as plain Go values.
func (c *checker) plain(n *node) any {
	switch n.typ {
	case tBool:
		return strings.EqualFold(n.text, "true")
	case tInt:
		i, _ := n.int() // reported when it was read
		return i
	case tFloat:
		f, _ := n.float()
		return f
	case tString:
		return n.text
	case tList:
		out := make([]any, len(n.list))
		for i, e := range n.list {
			out[i] = c.plain(e)
		}
		return out
	case tMap:
		out := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			out[f.key.text] = c.plain(f.value)
		}
		return out
	}
	return nil
}

var (
	errUnit = errors.New("a number with a unit")

	resourceKeys = []string{"cpus", "memory", "time", "output"}
)

const (
	maxCPUs   = 4096
	maxShards = 100 // two digits in the name of a part
)

// resources reads resources, max_rejects and shards of one instance.
func (c *checker) resources(s *rawStage, sc *scope, st *Stage) {
	if n := c.expand(s.shards, sc); n != nil {
		if i, ok := c.count(n, "shards", 1, maxShards); ok {
			st.Shards = i
		}
	}
	if n := c.expand(s.rejects, sc); n != nil {
		st.MaxRejects = c.maxRejects(n)
	}
	n := c.expand(s.resources, sc)
	if n == nil || n.typ == tNull {
		return
	}
	if n.typ != tMap {
		c.report(n.at, "", "resources is a map with %s, not %s", listed(resourceKeys), n.what())
		return
	}
	for _, f := range n.fields {
		if !c.known(f.key, resourceKeys, "in resources") || f.value.dyn {
			continue
		}
		switch f.key.text {
		case "cpus":
			if i, ok := c.count(f.value, "cpus", 1, maxCPUs); ok {
				st.Resources.CPUs = i
			}
		case "memory":
			b, err := ParseBytes(f.value.text)
			if err != nil || f.value.typ == tList || f.value.typ == tMap {
				c.report(f.value.at, "", "memory is a number with a unit, such as 512MiB or 8GiB, not %s", f.value.what())
			}
			st.Resources.MemoryBytes = b
		case "time":
			d, err := ParseDuration(f.value.text)
			if err != nil || d <= 0 {
				c.report(f.value.at, "", "time is a number with a unit, such as 90s, 15m or 12h, not %s", f.value.what())
			}
			st.Resources.Time = d
		case "output":
			b, err := ParseBytes(f.value.text)
			if err != nil || b <= 0 || f.value.typ == tList || f.value.typ == tMap {
				c.report(f.value.at, "", "output is a number with a unit, such as 64MiB or 1GiB, not %s", f.value.what())
			}
			st.Resources.OutputBytes = b
		}
	}
}

func (c *checker) count(n *node, name string, least, most int64) (int, bool) {
	if n.dyn {
		return 0, false
	}
	i, err := n.int()
	if n.typ != tInt || err != nil || i < least || i > most {
		c.report(n.at, "", "%s is a whole number between %d and %d, not %s", name, least, most, n.what())
		return 0, false
	}
	return int(i), true
}

// maxRejects reads a share ("2%") or a count (3).
func (c *checker) maxRejects(n *node) MaxRejects {
	if n.typ == tInt {
		if i, err := n.int(); err == nil && i >= 0 {
			return MaxRejects{Count: i, Given: true, IsCnt: true}
		}
	}
	if text, ok := strings.CutSuffix(n.text, "%"); ok && n.typ == tString {
		f, err := strconv.ParseFloat(text, 64)
		if err == nil && f >= 0 && f <= 100 {
			return MaxRejects{Share: f / 100, Given: true}
		}
	}
	if !n.dyn {
		c.report(n.at, "", "max_rejects is a share such as 2%% or a count such as 3, not %s", n.what())
	}
	return MaxRejects{}
}

// ParseDuration reads a duration with its unit: "90s", "1h30m", "12h". It is
// time.ParseDuration without signs.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || strings.HasPrefix(s, "+") || s == "0" {
		return 0, fmt.Errorf("%s is no duration such as 90s, 15m or 12h", quote(s))
	}
	return d, nil
}

var byteUnits = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// ParseBytes reads a size with its unit: "512MiB" and "8GiB" count by 1024,
// "1.5GB" by 1000, "100B" is bytes.
func ParseBytes(s string) (int64, error) {
	for _, u := range byteUnits {
		text, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if f *= u.bytes; err == nil && f >= 1 && f < math.MaxInt64/2 {
			return int64(f), nil
		}
		break
	}
	return 0, fmt.Errorf("%s is no size such as 512MiB or 8GiB", quote(s))
}
