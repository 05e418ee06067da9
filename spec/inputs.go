package spec

import (
	"slices"
	"sort"
	"strings"
)

// inputs resolves `in` for one instance. used counts the inputs of all.
func (c *checker) inputs(s *rawStage, sc *scope, used *int) map[string][]string {
	in := c.expand(s.in, sc)
	out := map[string][]string{}
	var ports []Port
	if s.kind != nil {
		ports = s.kind.Ports
	}
	given := map[string]bool{}
	switch {
	case in == nil || in.typ == tNull:
	case in.typ == tMap:
		for _, f := range in.fields {
			port, ok := c.port(s, f.key)
			given[port.Name] = true // a slip of the pen is not a lack as well
			if ok {
				out[port.Name] = c.inputsOf(s, port, f.value, used)
			}
		}
	case s.kind == nil:
	case len(ports) == 1:
		given[ports[0].Name] = true
		out[ports[0].Name] = c.inputsOf(s, ports[0], in, used)
	case len(ports) == 0:
		c.report(s.inAt, "", "kind %s takes no inputs", s.kind.Name)
	default:
		c.report(in.at, "", "kind %s has %d inputs (%s): say which, as in {%s: …}", s.kind.Name, len(ports), listed(portNames(ports)), ports[0].Name)
		return out
	}
	for _, p := range ports {
		if !p.Optional && !given[p.Name] {
			c.report(s.inAt, "", "stage %s lacks the input %s that kind %s takes%s", shortened(s.name), p.Name, s.kind.Name, ofTypes(p))
		}
	}
	return out
}

func ofTypes(p Port) string {
	if len(p.Types) == 0 {
		return ""
	}
	return " (" + strings.Join(p.Types, " or ") + ")"
}

func portNames(ports []Port) []string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.Name
	}
	return names
}

// port returns the port called key, or false and what may have been meant. Of
// an unknown kind every port is right.
func (c *checker) port(s *rawStage, key *node) (Port, bool) {
	if s.kind == nil {
		return Port{Name: key.text, Many: true}, true
	}
	for _, p := range s.kind.Ports {
		if p.Name == key.text {
			return p, true
		}
	}
	names := portNames(s.kind.Ports)
	near, hint := c.nearest(key.text, names), ""
	switch {
	case len(names) == 0:
		hint = ", and takes none"
	case near == "":
		hint = "; there are " + listed(names)
	}
	c.report(key.at, near, "kind %s has no input %s%s", s.kind.Name, quote(key.text), hint)
	return Port{Name: near}, false
}

// inputsOf resolves what stands at one port.
func (c *checker) inputsOf(s *rawStage, port Port, n *node, used *int) []string {
	refs := []*node{n}
	if n.typ == tList {
		refs = n.list
		if !port.Many && len(refs) != 1 {
			c.report(n.at, "", "input %s takes one stage, not %d", port.Name, len(refs))
			return nil
		}
		if len(refs) == 0 && !port.Optional {
			c.report(n.at, "", "input %s takes at least one stage", port.Name)
		}
	}
	var out []string
	seen := map[string]bool{}
	for _, r := range refs {
		if r.typ == tNull || r.typ == tList || r.typ == tMap {
			c.report(r.at, "", "input %s is the name of a stage, not %s", port.Name, r.what())
			continue
		}
		for _, name := range c.resolve(s, port, r) {
			if *used++; *used > maxInputs {
				c.report(n.at, "", "more than %d inputs in all", maxInputs)
				return nil
			}
			if seen[name] {
				c.report(r.at, "", "stage %s stands twice at input %s", name, port.Name)
				continue
			}
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// resolve returns the instances that r names and checks what they make.
func (c *checker) resolve(s *rawStage, port Port, r *node) []string {
	if r.dyn {
		return nil
	}
	if found, ok := c.instances[r.text]; ok {
		c.fits(port, found.stage, r)
		return []string{r.text}
	}
	base, label, at := strings.Cut(r.text, "@")
	o := c.byName[base]
	switch {
	case o == nil:
		c.about(r, c.nearestStage(r.text), "there is no stage %s", quote(r.text))
	case o.state == broken:
	case at && o.matrix == nil:
		c.about(r, o.name, "stage %s has no matrix, so no instance %s", o.name, quote(label))
	case at:
		near := c.nearest(r.text, o.instanceNames())
		hint := ""
		if near == "" {
			hint = "; there are " + listed(o.instanceNames())
		}
		c.about(r, near, "stage %s has no instance %s%s", o.name, quote(label), hint)
	case port.Many:
		c.fits(port, o, r)
		return o.instanceNames()
	default:
		c.about(r, "", "input %s takes one stage, and %s has %d instances: %s; name one%s",
			port.Name, o.name, len(o.instances), listed(o.instanceNames()), hintInstance(s, o))
	}
	return nil
}

// hintInstance shows how s can name the instance of o that goes with its own.
func hintInstance(s, o *rawStage) string {
	mine := s.fieldNames()
	for _, f := range o.fieldNames() {
		if slices.Contains(mine, f) {
			return ", as in \"" + o.name + "@${" + f + "}\""
		}
	}
	return ", as in \"" + o.instances[0].name + "\""
}

// nearestStage looks among stages and, for stage@x, among their instances.
func (c *checker) nearestStage(name string) string {
	names := c.stageNames
	if base, label, ok := strings.Cut(name, "@"); ok {
		near := c.nearest(base, names)
		if _, ok := c.instances[near+"@"+label]; ok {
			return near + "@" + label
		}
		return near
	}
	return c.nearest(name, names)
}

// fits reports a stage that does not make what a port takes.
func (c *checker) fits(port Port, o *rawStage, r *node) {
	if o.kind == nil || len(port.Types) == 0 || slices.Contains(port.Types, o.kind.Output) {
		return
	}
	var makers []string
	for _, s := range c.stages {
		if s.kind != nil && slices.Contains(port.Types, s.kind.Output) {
			makers = append(makers, s.name)
		}
		if len(makers) > 8 {
			break
		}
	}
	hint := ""
	if len(makers) > 0 {
		hint = "; that is made by " + listed(makers)
	}
	c.about(r, "", "input %s takes %s, and %s makes %s%s", port.Name, strings.Join(port.Types, " or "), o.name, o.kind.Output, hint)
}

// findCycles reports stages that need their own result. Stages are taken off
// as all they need is taken off; what is left goes round in circles, or hangs
// on one that does. No recursion: a chain may be as long as the file.
func (c *checker) findCycles(p *Pipeline) {
	needs := make([][]int, len(p.Stages))
	users := make([][]int, len(p.Stages))
	pending := make([]int, len(p.Stages))
	var ready []int
	for i, s := range p.Stages {
		for _, port := range sortedPorts(s.Inputs) {
			for _, name := range s.Inputs[port] {
				j := c.instances[name].index
				needs[i] = append(needs[i], j)
				users[j] = append(users[j], i)
			}
		}
		if pending[i] = len(needs[i]); pending[i] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		i := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		for _, u := range users[i] {
			if pending[u]--; pending[u] == 0 {
				ready = append(ready, u)
			}
		}
	}
	walk := make([]int, len(p.Stages)) // 1 + the start of the walk that came by
	for start := range p.Stages {
		if pending[start] == 0 || walk[start] != 0 {
			continue
		}
		var path []int
		i := start
		for walk[i] == 0 {
			walk[i] = start + 1
			path = append(path, i)
			for _, j := range needs[i] {
				if pending[j] > 0 {
					i = j
					break
				}
			}
		}
		if walk[i] == start+1 {
			c.cycle(p, path[slices.Index(path, i):])
		}
	}
}

func sortedPorts(in map[string][]string) []string {
	ports := make([]string, 0, len(in))
	for port := range in {
		ports = append(ports, port)
	}
	sort.Strings(ports)
	return ports
}

// cycle reports stages that each need the next, beginning with the one that
// stands first in the file.
func (c *checker) cycle(p *Pipeline, loop []int) {
	first := slices.Index(loop, slices.Min(loop))
	loop = append(slices.Clone(loop[first:]), loop[:first]...)
	const most = 12
	var names []string
	for _, i := range loop[:min(len(loop), most)] {
		names = append(names, p.Stages[i].Name)
	}
	if len(loop) > most {
		names = append(names, "…")
	}
	names = append(names, p.Stages[loop[0]].Name)
	s := c.instances[p.Stages[loop[0]].Name].stage
	c.report(s.inAt, "", "stages need each other in a circle: %s", strings.Join(names, " -> "))
}
