package spec

import (
	"fmt"
	"slices"
	"strings"
)

const (
	nameRule = "lower-case letters, digits, - and _, a letter first, at most 64"
	// maxStages is how many instances a spec may have in all.
	maxStages = 20_000
	// maxInputs is how many inputs all stages together may have.
	maxInputs = 300_000
)

// A rawStage is a stage as written, before its matrix is multiplied out.
type rawStage struct {
	name      string
	at        place
	kindName  string
	kind      *Kind // nil: unknown, which has been reported
	in        *node
	inAt      place
	with      *node
	withAt    place
	matrix    *node
	matrixAt  place
	resources *node
	rejects   *node
	shards    *node
	shardsAt  place
	instances []instance
	state     matrixState
}

// An instance is one combination of a stage's matrix fields.
type instance struct {
	name   string
	fields map[string]*node // nil without a matrix
}

// A ref finds an instance by its name.
type ref struct {
	stage *rawStage
	index int // in Pipeline.Stages
}

var (
	topKeys   = []string{"version", "vars", "stages"}
	stageKeys = []string{"kind", "in", "with", "matrix", "resources", "max_rejects", "shards"}
)

// pipeline checks the tree and builds the Pipeline, which is of use only if
// nothing was reported.
func (c *checker) pipeline(root *node, o Options) *Pipeline {
	if root.typ != tMap {
		c.report(root.at, "", "a spec is a map with version and stages, not %s", root.what())
		return nil
	}
	for _, f := range root.fields {
		c.known(f.key, topKeys, "in a spec")
	}
	c.version(root)
	c.readVars(root.get("vars"), o.Set)
	c.readStages(root)
	p := &Pipeline{Path: c.path, Vars: make(map[string]string, len(c.vars))}
	for name, v := range c.vars {
		p.Vars[name] = v.text
	}
	if !c.expandAll() {
		return nil
	}
	c.build(p)
	c.findCycles(p)
	return p
}

// known reports a key that is not among names.
func (c *checker) known(key *node, names []string, where string) bool {
	if slices.Contains(names, key.text) {
		return true
	}
	near, hint := c.nearest(key.text, names), ""
	if near == "" {
		hint = "; there are " + listed(names)
	}
	c.report(key.at, near, "unknown key %s %s%s", quote(key.text), where, hint)
	return false
}

func (c *checker) version(root *node) {
	switch v := root.get("version"); {
	case v == nil:
		c.report(root.at, "", "a spec begins with \"version: 1\"")
	case v.typ != tInt:
		c.report(v.at, "", "version is a whole number, not %s", v.what())
	case v.text != "1":
		c.report(v.at, "", "version %s is not known: this program reads version 1", shortened(v.text))
	}
}

func (c *checker) readStages(root *node) {
	c.byName = map[string]*rawStage{}
	n := root.get("stages")
	switch {
	case n == nil:
		c.report(root.at, "", "a spec has stages")
		return
	case n.typ != tMap:
		c.report(n.at, "", "stages is a map of names and stages, not %s", n.what())
		return
	case len(n.fields) == 0:
		c.report(n.at, "", "a spec has at least one stage")
	}
	for _, f := range n.fields {
		if why := badName(f.key.text); why != "" {
			c.report(f.key.at, "", "stage name %s: %s", quote(f.key.text), why)
		}
		s := c.readStage(f)
		if s == nil {
			s = &rawStage{name: f.key.text, at: f.key.at, state: broken}
		}
		c.stages = append(c.stages, s)
		c.stageNames = append(c.stageNames, s.name)
		c.byName[s.name] = s
	}
}

// devices are names that some file systems do not take for a folder.
var devices = map[string]bool{"con": true, "prn": true, "aux": true, "nul": true}

// badName says what is wrong with the name of a stage, or nothing.
func badName(s string) string {
	switch {
	case s == "":
		return "it is empty"
	case len(s) > 64:
		return "it is longer than 64 bytes"
	case !varName.MatchString(s):
		return nameRule
	case devices[s], len(s) == 4 && (strings.HasPrefix(s, "com") || strings.HasPrefix(s, "lpt")) && s[3] >= '0' && s[3] <= '9':
		return "it is the name of a device on some machines"
	}
	return ""
}

func (c *checker) readStage(f field) *rawStage {
	n := f.value
	if n.typ != tMap {
		c.report(n.at, "", "stage %s is a map with kind, in and with, not %s", shortened(f.key.text), n.what())
		return nil
	}
	s := &rawStage{name: f.key.text, at: f.key.at, inAt: f.key.at, withAt: f.key.at}
	for _, g := range n.fields {
		switch g.key.text {
		case "kind":
			c.readKind(s, g.value)
		case "in":
			s.in, s.inAt = g.value, g.key.at
		case "with":
			s.with, s.withAt = g.value, g.key.at
		case "matrix":
			s.matrix, s.matrixAt = g.value, g.key.at
		case "resources":
			s.resources = g.value
		case "max_rejects":
			s.rejects = g.value
		case "shards":
			s.shards, s.shardsAt = g.value, g.key.at
		}
	}
	for _, g := range n.fields {
		c.knownInStage(s, g.key)
	}
	if n.get("kind") == nil {
		c.report(f.key.at, "", "stage %s has no kind", shortened(s.name))
	}
	// Any kind may set items aside, so max_rejects has a meaning for all.
	if v := n.get("shards"); v != nil && s.kind != nil && !s.kind.Items {
		c.report(v.at, "", "shards has no meaning for kind %s, which does not work item by item", s.kind.Name)
	}
	return s
}

// knownInStage reports an unknown key of a stage, and where it belongs if it
// is a parameter or a port that stands one level too high.
func (c *checker) knownInStage(s *rawStage, key *node) {
	if s.kind != nil && !slices.Contains(stageKeys, key.text) {
		for _, p := range s.kind.Params {
			if p.Name == key.text {
				c.report(key.at, "", "%s is a parameter of kind %s: it belongs under with", key.text, s.kind.Name)
				return
			}
		}
		for _, p := range s.kind.Ports {
			if p.Name == key.text {
				c.report(key.at, "", "%s is an input of kind %s: it belongs under in", key.text, s.kind.Name)
				return
			}
		}
	}
	c.known(key, stageKeys, "in a stage")
}

func (c *checker) readKind(s *rawStage, n *node) {
	n = c.expand(n, &scope{vars: c.vars, names: c.varNames, noMatrix: " (a kind cannot depend on the matrix)"})
	if n.dyn {
		return
	}
	if n.typ != tString {
		c.report(n.at, "", "kind is the name of a kind, not %s", n.what())
		return
	}
	s.kindName, s.kind = n.text, c.kinds[n.text]
	if s.kind == nil {
		near, hint := c.nearest(n.text, c.kindNames), ""
		if near == "" {
			hint = "; there are " + listed(c.kindNames)
		}
		c.report(n.at, near, "there is no kind %s%s", quote(n.text), hint)
	}
}

// build makes a Stage of every instance.
func (c *checker) build(p *Pipeline) {
	inputs := 0
	for _, s := range c.stages {
		clear(c.claimed)
		for i, inst := range s.instances {
			c.instance = i + 1
			sc := &scope{vars: c.vars, names: c.varNames, fields: inst.fields}
			st := Stage{Name: inst.name, Base: s.name, Kind: s.kindName, Pos: c.pos(s.at)}
			if len(inst.fields) > 0 {
				c.of = inst.name
				st.Matrix = make(map[string]string, len(inst.fields))
				for k, v := range inst.fields {
					st.Matrix[k] = v.text
				}
			}
			st.Inputs = c.inputs(s, sc, &inputs)
			st.Params, st.ParamPos = c.params(s, sc)
			c.resources(s, sc, &st)
			p.Stages = append(p.Stages, st)
		}
		c.instance, c.of = 0, ""
	}
}

// Select returns the indices of the stages that targets name, in the order of
// the spec: an instance by its name, all instances by the name of their stage,
// every stage if there are no targets.
func (p *Pipeline) Select(targets []string) ([]int, error) {
	var out []int
	if len(targets) == 0 {
		for i := range p.Stages {
			out = append(out, i)
		}
		return out, nil
	}
	byName := map[string][]int{}
	var names []string
	for i, s := range p.Stages {
		byName[s.Name] = append(byName[s.Name], i)
		if names = append(names, s.Name); s.Base != s.Name {
			if byName[s.Base] == nil {
				names = append(names, s.Base)
			}
			byName[s.Base] = append(byName[s.Base], i)
		}
	}
	for _, t := range targets {
		found, ok := byName[t]
		if !ok {
			if near := Nearest(t, names); near != "" {
				return nil, fmt.Errorf("there is no stage %s in %s (did you mean %q?)", quote(t), p.Path, near)
			}
			return nil, fmt.Errorf("there is no stage %s in %s; there are %s", quote(t), p.Path, listed(names))
		}
		out = append(out, found...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
