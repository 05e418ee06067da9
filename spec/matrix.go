package spec

import (
	"regexp"
	"sort"
	"strings"
)

// matrixState is how far the instances of a stage are known.
type matrixState uint8

const (
	unread matrixState = iota
	reading
	read
	broken // reported; what refers to it is not reported again
)

// matrixValue is what may stand in the name of an instance: what is fit for the
// name of a file, and the brackets of the paper's VGG16(R).
var matrixValue = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9._+()-]{0,63}$`)

// expandAll finds the instances of every stage and gives each its index. It
// returns false when there are too many to go on.
func (c *checker) expandAll() bool {
	c.instances = map[string]ref{}
	lower := map[string]string{}
	index := 0
	for _, s := range c.stages {
		c.readMatrix(s)
		if index+len(s.instances) > maxStages {
			c.report(s.at, "", "more than %d stages, instances counted", maxStages)
			return false
		}
		for _, inst := range s.instances {
			fold := strings.ToLower(inst.name)
			if other, ok := lower[fold]; ok && s.matrix != nil {
				c.report(s.matrixAt, "", "two instances are called %s and %s: names must differ, and not in case alone", inst.name, other)
			}
			lower[fold] = inst.name
			c.instances[inst.name] = ref{s, index}
			index++
		}
	}
	return true
}

// readMatrix finds the instances of s, and first those of the stages whose
// matrix it repeats. The chain is followed in a loop: it may be as long as the
// file.
func (c *checker) readMatrix(s *rawStage) {
	var chain []*rawStage
	for s != nil && s.state == unread {
		s.state = reading
		chain = append(chain, s)
		s = c.repeated(s)
	}
	if s != nil && s.state == reading {
		names := make([]string, 0, len(chain)+1)
		for _, t := range chain {
			if t == s || len(names) > 0 {
				names = append(names, t.name)
			}
		}
		c.report(s.matrixAt, "", "matrices repeat each other in a circle: %s", strings.Join(append(names, s.name), " -> "))
		for _, t := range chain {
			t.state = broken
		}
		return
	}
	for i := len(chain) - 1; i >= 0; i-- {
		c.instantiate(chain[i])
	}
}

// repeated returns the stage whose matrix s repeats, or nil.
func (c *checker) repeated(s *rawStage) *rawStage {
	if s.matrix == nil || s.matrix.typ != tString {
		return nil
	}
	m := c.expand(s.matrix, c.matrixScope())
	return c.byName[m.text]
}

func (c *checker) matrixScope() *scope {
	return &scope{vars: c.vars, names: c.varNames, noMatrix: " (matrix fields are not known within the matrix)"}
}

func (c *checker) instantiate(s *rawStage) {
	s.state = read
	if s.matrix == nil {
		s.instances = []instance{{name: s.name}}
		return
	}
	m := c.expand(s.matrix, c.matrixScope())
	var fields []map[string]*node
	var labels []string
	ok := false
	switch m.typ {
	case tString:
		c.repeat(s, m)
		return
	case tMap:
		fields, labels, ok = c.product(s, m)
	case tList:
		fields, labels, ok = c.explicit(s, m)
	default:
		c.report(m.at, "", "matrix is a map of lists, a list of maps or the name of a stage, not %s", m.what())
	}
	if !ok {
		s.state = broken
		return
	}
	first := map[string]bool{}
	for i, label := range labels {
		if first[label] {
			c.report(s.matrixAt, "", "matrix of %s: two instances are called %s", s.name, s.name+"@"+label)
			s.state = broken
			return
		}
		first[label] = true
		s.instances = append(s.instances, instance{s.name + "@" + label, fields[i]})
	}
}

// repeat gives s the instances of another stage.
func (c *checker) repeat(s *rawStage, m *node) {
	o := c.byName[m.text]
	switch {
	case m.dyn:
		s.state = broken
	case o == nil:
		s.state = broken
		c.report(m.at, c.nearest(m.text, c.stageNames), "matrix of %s repeats that of a stage %s, which there is not", s.name, quote(m.text))
	case o.state == broken:
		s.state = broken
	case o.matrix == nil:
		s.state = broken
		c.report(m.at, "", "stage %s has no matrix to repeat", o.name)
	case !c.spend(len(o.instances) * nodeCost):
		s.state = broken
	default:
		for _, inst := range o.instances {
			s.instances = append(s.instances, instance{s.name + strings.TrimPrefix(inst.name, o.name), inst.fields})
		}
	}
}

// product multiplies out {field: [values]}, the last field turning fastest.
func (c *checker) product(s *rawStage, m *node) (fields []map[string]*node, labels []string, ok bool) {
	ok = len(m.fields) > 0
	if !ok {
		c.report(m.at, "", "matrix of %s has no fields", s.name)
	}
	total := 1
	for _, f := range m.fields {
		values := f.value.list
		if f.value.typ != tList {
			values = []*node{f.value}
		}
		if len(values) == 0 {
			c.report(f.value.at, "", "matrix field %s has no values", shortened(f.key.text))
		}
		ok = c.fieldName(f.key) && len(values) > 0 && ok
		for _, v := range values {
			ok = c.fieldValue(f.key, v, true) && ok
		}
		if total *= max(1, len(values)); total > maxStages {
			c.report(m.at, "", "the matrix of %s has more than %d instances", s.name, maxStages)
			return nil, nil, false
		}
	}
	if !ok || !c.spend(total*len(m.fields)*nodeCost) {
		return nil, nil, false
	}
	for i := range total {
		inst, parts := make(map[string]*node, len(m.fields)), make([]string, len(m.fields))
		for j := len(m.fields) - 1; j >= 0; j-- {
			f := m.fields[j]
			v := f.value
			if v.typ == tList {
				v, i = v.list[i%len(v.list)], i/len(v.list)
			}
			inst[f.key.text], parts[j] = v, v.text
		}
		fields, labels = append(fields, inst), append(labels, strings.Join(parts, ","))
	}
	return fields, labels, true
}

// explicit takes a list of maps, each an instance named by its first field.
func (c *checker) explicit(s *rawStage, m *node) (fields []map[string]*node, labels []string, ok bool) {
	ok = len(m.list) > 0
	if !ok {
		c.report(m.at, "", "matrix of %s has no instances", s.name)
	}
	for _, e := range m.list {
		if e.typ != tMap || len(e.fields) == 0 {
			c.report(e.at, "", "an instance of a matrix is a map of fields, not %s", e.what())
			ok = false
			continue
		}
		if !c.spend(len(e.fields) * nodeCost) {
			return nil, nil, false
		}
		inst := make(map[string]*node, len(e.fields))
		for i, f := range e.fields {
			ok = c.fieldName(f.key) && c.fieldValue(f.key, f.value, i == 0) && ok
			inst[f.key.text] = f.value
		}
		fields, labels = append(fields, inst), append(labels, e.fields[0].value.text)
	}
	return fields, labels, ok
}

func (c *checker) fieldName(key *node) bool {
	if !varName.MatchString(key.text) {
		c.report(key.at, "", "%s is no name for a matrix field: %s", quote(key.text), nameRule)
		return false
	}
	if c.vars[key.text] != nil {
		c.report(key.at, "", "matrix field %s has the name of a variable: ${%s} would be either", key.text, key.text)
		return false
	}
	return true
}

// fieldValue checks the value of a field, which may name the instance.
func (c *checker) fieldValue(key, v *node, names bool) bool {
	if v.dyn {
		return false
	}
	if v.typ == tNull || v.typ == tList || v.typ == tMap {
		c.report(v.at, "", "matrix field %s is a string or a number, not %s", shortened(key.text), v.what())
		return false
	}
	if names && (!matrixValue.MatchString(v.text) || strings.Contains(v.text, "..")) {
		c.report(v.at, "", "%s cannot stand in the name of an instance: letters, digits and . _ + - ( ), at most 64", quote(v.text))
		return false
	}
	return true
}

// instanceNames returns the names of the instances of s.
func (s *rawStage) instanceNames() []string {
	names := make([]string, len(s.instances))
	for i, inst := range s.instances {
		names[i] = inst.name
	}
	return names
}

// fieldNames returns the matrix fields of s in order.
func (s *rawStage) fieldNames() []string {
	var names []string
	if len(s.instances) > 0 {
		for f := range s.instances[0].fields {
			names = append(names, f)
		}
	}
	sort.Strings(names)
	return names
}
