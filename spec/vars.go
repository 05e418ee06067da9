package spec

import (
	"regexp"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxSpent bounds what ${…} and matrices may make of a file: bytes of text,
// and nodeCost for every node.
const (
	maxSpent = 64 << 20
	nodeCost = 64
)

// spend accounts for n units and says whether there were so many left.
func (c *checker) spend(n int) bool {
	before := c.spent
	c.spent += n
	if before <= maxSpent && c.spent > maxSpent {
		c.report(place{}, "", "variables and matrices make more than %d MiB of this file", maxSpent>>20)
	}
	return c.spent <= maxSpent
}

var varName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// readVars takes the variables of the file, lays --set over them and fills in
// those that stand in each other.
func (c *checker) readVars(n *node, set map[string]string) {
	c.vars = map[string]*node{}
	if n != nil && n.typ != tNull {
		if n.typ != tMap {
			c.report(n.at, "", "vars is a map of names and values, not %s", n.what())
			return
		}
		for _, f := range n.fields {
			c.readVar(f)
		}
	}
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		old, ok := c.vars[name]
		if !ok {
			c.report(place{}, c.nearest(name, c.varNames), "--set %s: the spec has no such variable", shortened(name))
			continue
		}
		c.vars[name] = c.setVar(name, old, set[name])
	}
	for _, name := range c.varNames {
		if v := c.vars[name]; v.typ == tNull {
			c.report(v.at, "", "variable %s has no value: give it one here or by --set %s=…", name, name)
		}
	}
	c.fillVars()
}

func (c *checker) readVar(f field) {
	name, v := f.key.text, f.value
	if !varName.MatchString(name) {
		c.report(f.key.at, "", "%s is no name for a variable: %s", quote(name), nameRule)
		return
	}
	if v.typ == tList || v.typ == tMap {
		c.report(v.at, "", "variable %s is %s: variables are strings, numbers, true or false", name, v.what())
		v = &node{typ: tString, at: v.at}
	}
	c.vars[name] = v
	c.varNames = append(c.varNames, name)
}

// setVar returns the value of --set as a node: a string if the file has a
// string there, else whatever the text would be in the file.
func (c *checker) setVar(name string, old *node, text string) *node {
	n := &node{typ: tString, at: old.at, text: text, size: 1}
	if strings.ContainsRune(text, 0) || len(text) > maxText {
		c.report(place{}, "", "--set %s: a NUL byte, or more than %d bytes", name, maxText)
		n.text = ""
		return n
	}
	if old.typ == tString {
		return n
	}
	y := yaml.Node{Kind: yaml.ScalarNode, Value: text}
	m := (&converter{c: c}).scalar(&y)
	if m.typ == tNull || m.merge {
		return n
	}
	m.at, m.dyn = old.at, false
	return m
}

// fillVars replaces ${…} in variables, each after those that it names; what
// cannot be put in such an order goes round in a circle. No recursion: the
// chain may be as long as the file.
func (c *checker) fillVars() {
	done := make(map[string]*node, len(c.vars))
	pending, users := map[string]int{}, map[string][]string{}
	var ready []string
	for _, name := range c.varNames {
		if v := c.vars[name]; v.dyn {
			for _, other := range references(v.text) {
				if c.vars[other] != nil {
					pending[name]++
					users[other] = append(users[other], name)
				}
			}
		}
		if pending[name] == 0 {
			ready = append(ready, name)
		}
	}
	for len(ready) > 0 {
		name := ready[0]
		ready = ready[1:]
		done[name] = c.expand(c.vars[name], &scope{vars: done, names: c.varNames})
		for _, u := range users[name] {
			if pending[u]--; pending[u] == 0 {
				ready = append(ready, u)
			}
		}
	}
	c.circles(done)
	for _, name := range c.varNames {
		if done[name] == nil {
			done[name] = &node{typ: tString, dyn: true, at: c.vars[name].at}
		}
	}
	c.vars = done
}

// circles reports the variables that are not done: each names another that is
// not, so that following these ends in a circle.
func (c *checker) circles(done map[string]*node) {
	walk := map[string]int{} // 1 + the start of the walk that came by
	for start, name := range c.varNames {
		var path []string
		for done[name] == nil && walk[name] == 0 {
			walk[name] = start + 1
			path = append(path, name)
			refs := references(c.vars[name].text)
			name = refs[slices.IndexFunc(refs, func(r string) bool { return c.vars[r] != nil && done[r] == nil })]
		}
		if len(path) > 0 && walk[name] == start+1 {
			loop := path[slices.Index(path, name):]
			names := append(slices.Clone(loop[:min(len(loop), 12)]), loop[0])
			c.report(c.vars[loop[0]].at, "", "variables stand in each other in a circle: %s", strings.Join(names, " -> "))
		}
	}
}

// A scope is what ${…} can name at one place.
type scope struct {
	vars     map[string]*node
	names    []string         // of vars
	fields   map[string]*node // of the instance's matrix
	noMatrix string           // why matrix fields are not to be had here, for messages
}

func (s *scope) get(name string) *node {
	if n, ok := s.fields[name]; ok {
		return n
	}
	return s.vars[name]
}

// expand returns n with every ${name} in its strings replaced. A string that
// is nothing but ${name} becomes the variable's value with its type. A scalar
// that comes back with dyn set could not be done, which has been reported.
func (c *checker) expand(n *node, s *scope) *node {
	if n == nil || !n.dyn {
		return n
	}
	out := &node{typ: n.typ, at: n.at, text: n.text, size: n.size, height: n.height}
	if !c.spend(nodeCost) {
		return out
	}
	switch n.typ {
	case tList:
		out.list = make([]*node, len(n.list))
		for i, e := range n.list {
			out.list[i] = c.expand(e, s)
		}
	case tMap:
		out.fields = make([]field, len(n.fields))
		for i, f := range n.fields {
			out.fields[i] = field{f.key, c.expand(f.value, s)}
		}
	default:
		c.expandText(n, out, s)
	}
	return out
}

func (c *checker) expandText(n, out *node, s *scope) {
	var b strings.Builder
	for rest := n.text; ; {
		before, name, after, kind := cutVar(rest)
		b.WriteString(before)
		switch kind {
		case noVar:
			out.text, out.made = b.String(), true
			c.spend(len(out.text))
			return
		case escaped:
			b.WriteString("${")
		case unclosed:
			c.report(c.within(n, "${"+name), "", "${ without its }: write $${ for the characters themselves")
			out.dyn = true
			return
		default:
			v := c.variable(n, name, s)
			if v == nil {
				out.dyn = true
				return
			}
			if before == "" && after == "" && b.Len() == 0 {
				*out = *v
				out.at, out.fromVar, out.made = n.at, true, true
				c.spend(len(v.text))
				return
			}
			b.WriteString(v.text)
		}
		if b.Len() > maxText {
			c.report(n.at, "", "variables make more than %d bytes of this string", maxText)
			out.dyn = true
			return
		}
		rest = after
	}
}

// variable returns the value that ${name} in n has, or nil after a report.
func (c *checker) variable(n *node, name string, s *scope) *node {
	if v := s.get(name); v != nil {
		return v
	}
	at := c.within(n, "${"+name+"}")
	if !varName.MatchString(name) {
		c.report(at, "", "%s is no name for a variable: write $${ for the characters themselves", quote(name))
		return nil
	}
	names := s.names
	if len(s.fields) > 0 {
		names = slices.Clone(names)
		for f := range s.fields {
			names = append(names, f)
		}
		sort.Strings(names)
	}
	c.report(at, c.nearest(name, names), "there is no variable %s%s%s", name, s.noMatrix, c.inInstance())
	return nil
}

// within returns the place of part in the scalar n where it can be found on
// its line, else the place of n.
func (c *checker) within(n *node, part string) place {
	line := c.line(n.at.line)
	col := 1
	for i := range line {
		if col >= n.at.col {
			if j := strings.Index(line[i:], part); j >= 0 {
				return place{n.at.line, col + len([]rune(line[i:i+j]))}
			}
			break
		}
		col++
	}
	return n.at
}

type varKind uint8

const (
	noVar varKind = iota
	plain
	escaped
	unclosed
)

// cutVar cuts s around its first ${name} or $${.
func cutVar(s string) (before, name, after string, kind varKind) {
	i := strings.Index(s, "${")
	if i < 0 {
		return s, "", "", noVar
	}
	if i > 0 && s[i-1] == '$' {
		return s[:i-1], "", s[i+2:], escaped
	}
	name, after, ok := strings.Cut(s[i+2:], "}")
	if !ok {
		return s[:i], name, "", unclosed
	}
	return s[:i], name, after, plain
}

// references returns the names of the variables in s.
func references(s string) []string {
	var out []string
	for {
		_, name, after, kind := cutVar(s)
		switch kind {
		case noVar, unclosed:
			return out
		case plain:
			out = append(out, name)
		}
		s = after
	}
}
