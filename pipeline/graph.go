package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/spec"
)

// A graph is the stages of a spec with who reads whom, in a fixed order:
// inputs before their readers and, where that leaves a choice, as in the spec.
type graph struct {
	stages []*spec.Stage // in order
	doc    []int         // where each one stands in the spec
	index  map[string]int
	deps   [][]int // stages each one reads, ascending, each once
	users  [][]int // stages that read each one, ascending
}

// newGraph orders the stages. It is iterative throughout: a chain may be
// tens of thousands deep.
func newGraph(p *spec.Pipeline) (*graph, error) {
	n := len(p.Stages)
	doc := make(map[string]int, n)
	for i := range p.Stages {
		if _, ok := doc[p.Stages[i].Name]; ok {
			return nil, fmt.Errorf("stage %s stands twice", p.Stages[i].Name)
		}
		doc[p.Stages[i].Name] = i
	}
	deps, users := make([][]int, n), make([][]int, n)
	for i := range p.Stages {
		for _, names := range p.Stages[i].Inputs {
			for _, name := range names {
				j, ok := doc[name]
				if !ok {
					return nil, fmt.Errorf("stage %s: its input %s is not a stage", p.Stages[i].Name, name)
				}
				deps[i] = append(deps[i], j)
			}
		}
		slices.Sort(deps[i])
		deps[i] = slices.Compact(deps[i])
		for _, j := range deps[i] {
			users[j] = append(users[j], i)
		}
	}
	order, err := sortStages(p, deps, users)
	if err != nil {
		return nil, err
	}
	place := make([]int, n)
	for at, i := range order {
		place[i] = at
	}
	g := &graph{stages: make([]*spec.Stage, n), doc: order, index: make(map[string]int, n), deps: make([][]int, n), users: make([][]int, n)}
	for i := range p.Stages {
		at := place[i]
		g.stages[at] = &p.Stages[i]
		g.index[p.Stages[i].Name] = at
		g.deps[at] = moved(deps[i], place)
		g.users[at] = moved(users[i], place)
	}
	return g, nil
}

func moved(ids, place []int) []int {
	out := make([]int, len(ids))
	for k, i := range ids {
		out[k] = place[i]
	}
	slices.Sort(out)
	return out
}

// sortStages returns the indices of the stages, each after those it reads; of
// several that could come next, the first in the document does.
func sortStages(p *spec.Pipeline, deps, users [][]int) ([]int, error) {
	n := len(deps)
	missing := make([]int, n)
	var ready intHeap
	for i := range n {
		if missing[i] = len(deps[i]); missing[i] == 0 {
			ready.push(i)
		}
	}
	order := make([]int, 0, n)
	for len(ready) > 0 {
		i := ready.pop()
		order = append(order, i)
		for _, u := range users[i] {
			if missing[u]--; missing[u] == 0 {
				ready.push(u)
			}
		}
	}
	if len(order) == n {
		return order, nil
	}
	var stuck []string
	for i := range n {
		if missing[i] > 0 && len(stuck) < 10 {
			stuck = append(stuck, p.Stages[i].Name)
		}
	}
	return nil, fmt.Errorf("stages wait for each other in a cycle: %s", strings.Join(stuck, ", "))
}

// resolve turns names of stages, or of bases for all their instances, into
// indices in order, each once.
func (g *graph) resolve(names []string) ([]int, error) {
	var out []int
	for _, name := range names {
		if i, ok := g.index[name]; ok {
			out = append(out, i)
			continue
		}
		n := len(out)
		for i, s := range g.stages {
			if s.Base == name {
				out = append(out, i)
			}
		}
		if len(out) == n {
			return nil, &UnknownStageError{Name: name}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// An UnknownStageError names a stage that was asked for and is not in the spec.
type UnknownStageError struct{ Name string }

func (e *UnknownStageError) Error() string { return fmt.Sprintf("there is no stage %q", e.Name) }

// A SelectionError says why a Selection makes no sense.
type SelectionError struct{ Reason string }

func (e *SelectionError) Error() string { return e.Reason }

// reach marks from and everything that next leads to from there.
func reach(n int, from []int, next [][]int) []bool {
	seen := make([]bool, n)
	todo := slices.Clone(from)
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		todo = append(todo, next[i]...)
	}
	return seen
}

// A Selection says which stages a run is about. Names are those of instances
// ("features@vgg16") or of stages, which stand for all their instances.
type Selection struct {
	// Targets are the stages wanted, with all they need. None: those of From
	// and all that comes after them; every stage if From is empty too.
	Targets []string
	// Only are stages to run with nothing else: their inputs must be there.
	// It takes the place of Targets.
	Only []string
	// From are stages to run anew, with all that comes after them.
	From []string
	// Force are stages to run anew. What reads them runs only if their bytes
	// change.
	Force []string
}

// marks say for each stage of a graph what a Selection makes of it.
type marks struct{ selected, forced, only []bool }

// selectStages works out what sel means for e's stages.
func (e *Engine) selectStages(sel Selection) (m marks, err error) {
	g, n := e.graph, len(e.graph.stages)
	named := func(names []string) (out []int) {
		var ids []int
		if err == nil {
			ids, err = g.resolve(names)
		}
		return ids
	}
	targets, only, from, force := named(sel.Targets), named(sel.Only), named(sel.From), named(sel.Force)
	if err != nil {
		return m, err
	}
	after := reach(n, from, g.users)
	switch {
	case len(only) > 0:
		targets = only
	case len(targets) == 0 && len(from) > 0: // then it is about these and what follows them
		targets = slices.Clone(force)
		for i, f := range after {
			if f {
				targets = append(targets, i)
			}
		}
	}
	if len(targets) == 0 {
		for i := range n {
			targets = append(targets, i)
		}
	}
	m.selected = reach(n, targets, g.deps)
	m.only = make([]bool, n)
	for _, i := range only {
		m.only[i] = true
	}
	m.forced = slices.Clone(after)
	for _, i := range force {
		m.forced[i] = true
	}
	for i, f := range m.forced {
		// Of --from's successors only the selected ones run, but a stage named
		// itself and not selected is a contradiction to be told of.
		m.forced[i] = f && m.selected[i] && (len(only) == 0 || m.only[i])
	}
	for _, i := range append(from, force...) {
		if !m.forced[i] {
			return m, &SelectionError{Reason: "stage " + g.stages[i].Name + " is to run anew but is not among the stages selected"}
		}
	}
	return m, nil
}

// intHeap gives the smallest of its numbers first.
type intHeap []int

func (h *intHeap) push(x int) {
	*h = append(*h, x)
	s := *h
	for i := len(s) - 1; i > 0; {
		p := (i - 1) / 2
		if s[p] <= s[i] {
			return
		}
		s[p], s[i] = s[i], s[p]
		i = p
	}
}

func (h *intHeap) pop() int {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	*h = s
	for i := 0; ; {
		c := 2*i + 1
		if c >= len(s) {
			return top
		}
		if c+1 < len(s) && s[c+1] < s[c] {
			c++
		}
		if s[i] <= s[c] {
			return top
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
}
