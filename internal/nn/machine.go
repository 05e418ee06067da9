package nn

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
)

// A Machine runs a graph. It must not run while another over the same
// workspace does.
type Machine[T Float] struct {
	graph *Graph[T]
	vm    gorgonia.VM
	grads []gorgonia.ValueGrad
}

// Compile makes the graph runnable. With a loss, a scalar node, a run also
// computes its gradient by every parameter; loss nil is for inference.
func (g *Graph[T]) Compile(loss *Node) (m *Machine[T], err error) {
	if g.err != nil {
		return nil, g.err
	}
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("compile network: %w", panicError(r))
		}
	}()
	m = &Machine[T]{graph: g}
	if loss != nil {
		nodes, err := gorgonia.Grad(loss, g.nodes...)
		if err == nil {
			err = g.err
		}
		if err != nil {
			return nil, fmt.Errorf("differentiate network: %w", err)
		}
		for i, n := range nodes {
			m.grads = append(m.grads, &valueGrad{name: g.params[i].Name, param: g.nodes[i], grad: n})
		}
	}
	m.vm = gorgonia.NewTapeMachine(g.expr)
	return m, nil
}

// Run computes every node. Afterwards Data and Grads hold the results, until
// the next run over the workspace.
func (m *Machine[T]) Run() error {
	m.vm.Reset()
	if err := m.vm.RunAll(); err != nil {
		return fmt.Errorf("run network: %w", err)
	}
	return nil
}

// Data returns the elements of a node, not a copy: of an input, to fill it
// before a run; of any other node, what the last run made.
func (m *Machine[T]) Data(n *Node) []T {
	if d, ok := m.graph.data[n]; ok {
		return d
	}
	if n == nil || n.Value() == nil {
		return nil
	}
	switch d := n.Value().Data().(type) {
	case []T:
		return d
	case T:
		return []T{d}
	}
	return nil
}

// Grads returns each parameter with its gradient, in the order of Params, as
// Gorgonia's solvers take them.
func (m *Machine[T]) Grads() []gorgonia.ValueGrad { return m.grads }

// Params returns the parameters in the order in which the graph was given them.
func (m *Machine[T]) Params() []*Param[T] { return m.graph.params }

// A valueGrad reads a gradient off its own node. (Gorgonia's dual values would
// copy and add every gradient once more, 80 MB of them a step for conv5.)
type valueGrad struct {
	name        string
	param, grad *Node
}

func (v *valueGrad) Name() string          { return v.name }
func (v *valueGrad) Value() gorgonia.Value { return v.param.Value() }

func (v *valueGrad) Grad() (gorgonia.Value, error) {
	if g := v.grad.Value(); g != nil {
		return g, nil
	}
	return nil, errors.New(v.name + ": no gradient before the first run")
}
