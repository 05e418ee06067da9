package spec

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Limits of a spec file. None is near what a person writes; they keep time and
// memory bounded for what a person did not write.
const (
	maxBytes   = 4 << 20 // of the file
	maxNodes   = 500_000 // keys and values, in the file and after aliases
	maxDepth   = 64      // maps and lists within each other
	maxAliases = 1_000
	maxText    = 64 << 10 // bytes of one string
	// maxGrowth is how many times the size of the file aliases may make of it.
	maxGrowth = 10
)

// nodeType is what a YAML value is.
type nodeType uint8

const (
	tNull nodeType = iota
	tBool
	tInt
	tFloat
	tString
	tList
	tMap
)

var typeNames = [...]string{"nothing", "true or false", "a whole number", "a number", "a string", "a list", "a map"}

// A node is a YAML value with its place. Aliases are resolved, so a node may
// have several parents; merge keys are applied.
type node struct {
	typ     nodeType
	dyn     bool // holds ${…} or $${ somewhere
	fromVar bool // stands for a ${variable}, whose type it took
	made    bool // ${…} was replaced in it
	merge   bool // the key of a merge, "<<"
	at      place
	text    string // of a scalar
	list    []*node
	fields  []field // of a map, in the order of the document
	size    int     // nodes in it, aliases counted in full
	height  int     // maps and lists within each other
}

type field struct{ key, value *node }

// get returns the value of a key of a map, or nil.
func (n *node) get(key string) *node {
	for _, f := range n.fields {
		if f.key.text == key {
			return f.value
		}
	}
	return nil
}

// what describes a node for a message.
func (n *node) what() string {
	switch n.typ {
	case tNull, tList, tMap:
		return typeNames[n.typ]
	case tString:
		return "the string " + quote(n.text)
	}
	return quote(n.text)[1 : len(quote(n.text))-1]
}

// converter turns the parser's tree into nodes.
type converter struct {
	c        *checker
	anchored map[*yaml.Node]*node // nil value: being made, so an alias to it is a loop
	source   int                  // nodes of the file
	expanded int                  // nodes that aliases added
	aliases  int
	stop     bool // a limit was passed: the rest is not looked at
}

func (v *converter) node(y *yaml.Node, depth int) *node {
	if v.stop {
		return nil
	}
	at := place{y.Line, y.Column}
	if depth > maxDepth {
		v.limit(at, "maps and lists stand more than %d deep in each other", maxDepth)
		return nil
	}
	if y.Anchor != "" {
		v.anchored[y] = nil
	}
	var n *node
	switch y.Kind {
	case yaml.AliasNode:
		return v.alias(y, depth)
	case yaml.ScalarNode:
		n = v.scalar(y)
	case yaml.SequenceNode:
		n = v.sequence(y, depth)
	case yaml.MappingNode:
		n = v.mapping(y, depth)
	default:
		v.limit(at, "this cannot be read as YAML")
	}
	if n == nil {
		return nil
	}
	if tag := y.ShortTag(); n.typ == tList && tag != "!!seq" || n.typ == tMap && tag != "!!map" {
		v.badTag(at, tag)
	}
	if y.Anchor != "" {
		v.anchored[y] = n
	}
	return n
}

func (v *converter) badTag(at place, tag string) {
	v.c.report(at, "", "tag %s: specs have strings, numbers, true, false, lists and maps only", quote(tag))
}

func (v *converter) limit(at place, format string, args ...any) {
	v.stop = true
	v.c.report(at, "", format, args...)
}

func (v *converter) alias(y *yaml.Node, depth int) *node {
	at := place{y.Line, y.Column}
	n, known := v.anchored[y.Alias]
	if !known || n == nil {
		v.limit(at, "alias *%s stands within its own anchor", shortened(y.Value))
		return nil
	}
	v.aliases++
	v.expanded += n.size
	switch {
	case v.aliases > maxAliases:
		v.limit(at, "more than %d aliases", maxAliases)
	case v.expanded > min(max(maxGrowth*v.source, 1000), maxNodes):
		v.limit(at, "aliases make more than %d times the file of it", maxGrowth)
	case depth+n.height > maxDepth:
		v.limit(at, "maps and lists stand more than %d deep in each other", maxDepth)
	}
	return n
}

func (v *converter) scalar(y *yaml.Node) *node {
	n := &node{typ: tString, at: place{y.Line, y.Column}, text: y.Value, size: 1}
	if len(y.Value) > maxText {
		v.c.report(n.at, "", "a string of %d bytes: at most %d", len(y.Value), maxText)
		n.text = ""
		return n
	}
	if strings.ContainsRune(y.Value, 0) {
		v.c.report(n.at, "", "a NUL byte in a string")
		n.text = strings.ReplaceAll(n.text, "\x00", "\ufffd")
		return n
	}
	n.dyn = strings.Contains(n.text, "${")
	switch tag := y.ShortTag(); tag {
	case "!!str", "!!timestamp":
	case "!!null":
		n.typ = tNull
	case "!!bool":
		n.typ = tBool
	case "!!int":
		n.typ = tInt
	case "!!float":
		n.typ = tFloat
	case "!!merge":
		n.merge = true
	default:
		v.badTag(n.at, tag)
	}
	v.number(n)
	return n
}

// number settles what a scalar that looks like a number is.
func (v *converter) number(n *node) {
	switch n.typ {
	case tInt:
		if digits := strings.TrimLeft(n.text, "+-"); len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
			v.c.report(n.at, "", "%s may be octal or not: write it without the leading zero, or in quotes", shortened(n.text))
		} else if _, err := n.int(); err != nil {
			v.c.report(n.at, "", "%s is not a number of 64 bits", shortened(n.text))
		}
	case tFloat:
		if f, err := n.float(); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			v.c.report(n.at, "", "%s is not a finite number", shortened(n.text))
		}
	}
}

func (n *node) int() (int64, error) {
	return strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
}

func (n *node) float() (float64, error) {
	if n.typ == tInt {
		i, err := n.int()
		return float64(i), err
	}
	return strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
}

func (v *converter) sequence(y *yaml.Node, depth int) *node {
	n := &node{typ: tList, at: place{y.Line, y.Column}, size: 1, list: make([]*node, 0, len(y.Content))}
	for _, e := range y.Content {
		m := v.node(e, depth+1)
		if m == nil {
			return nil
		}
		n.add(m)
		n.list = append(n.list, m)
	}
	return n
}

func (n *node) add(m *node) {
	n.size += m.size
	n.height = max(n.height, m.height+1)
	n.dyn = n.dyn || m.dyn
}

func (v *converter) mapping(y *yaml.Node, depth int) *node {
	n := &node{typ: tMap, at: place{y.Line, y.Column}, size: 1, fields: make([]field, 0, len(y.Content)/2)}
	first := make(map[string]place, len(y.Content)/2)
	var merges []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := v.node(y.Content[i], depth+1), v.node(y.Content[i+1], depth+1)
		if key == nil || value == nil {
			return nil
		}
		at := place{y.Content[i].Line, y.Content[i].Column}
		n.add(key)
		n.add(value)
		if key.merge {
			merges = append(merges, value)
			continue
		}
		if key.typ == tList || key.typ == tMap || key.typ == tNull || key.at != at {
			v.c.report(at, "", "a key is a plain word, not %s", typeNames[key.typ])
			continue
		}
		if key.dyn {
			v.c.report(at, "", "${…} is not replaced in keys")
			continue
		}
		if before, twice := first[key.text]; twice {
			v.c.report(at, "", "key %s stands twice: the first is in line %d", quote(key.text), before.line)
			continue
		}
		first[key.text] = at
		n.fields = append(n.fields, field{key, value})
	}
	for _, m := range merges {
		v.merge(n, m, first)
	}
	return n
}

// merge adds to n the fields of a merge key's value that n has not.
func (v *converter) merge(n, from *node, has map[string]place) {
	maps := []*node{from}
	if from.typ == tList {
		maps = from.list
	}
	for _, m := range maps {
		if m.typ != tMap {
			v.c.report(m.at, "", "a merge key (<<) takes a map or a list of maps, not %s", m.what())
			continue
		}
		for _, f := range m.fields {
			if _, ok := has[f.key.text]; !ok {
				has[f.key.text] = f.key.at
				n.fields = append(n.fields, f)
			}
		}
	}
}

func shortened(s string) string {
	if q := quote(s); len(q) > 2 && !strings.Contains(q, `\`) && utf8.ValidString(s) {
		return strings.Replace(q[1:], `"`, "", 1)
	}
	return quote(s)
}
