package nn

import (
	"errors"
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Float is the type of the numbers a graph computes with.
type Float = kernel.Float

// A Node is a value in a graph.
type Node = gorgonia.Node

// A Param is a tensor that training changes. Its values are shared by all
// graphs that use it.
type Param[T Float] struct {
	Name  string
	Shape []int
	W     []T
}

// NewParam returns a parameter of zeros.
func NewParam[T Float](name string, shape ...int) *Param[T] {
	return &Param[T]{Name: name, Shape: shape, W: make([]T, size(shape))}
}

// A Workspace holds the buffers that the operations of its graphs write into.
// It grows to the largest graph's need.
type Workspace[T Float] struct {
	floats map[string][]T
	ints   map[string][]int32
	totals map[string][]float64
	packs  map[string]*kernel.Packed[T]
	seed   uint64 // of what dropouts draw
	step   uint64
}

// NewWorkspace returns an empty workspace.
func NewWorkspace[T Float]() *Workspace[T] {
	return &Workspace[T]{floats: map[string][]T{}, ints: map[string][]int32{}, totals: map[string][]float64{}, packs: map[string]*kernel.Packed[T]{}}
}

// Bytes is the memory that the workspace holds.
func (w *Workspace[T]) Bytes() int64 {
	var n int64
	for _, b := range w.floats {
		n += int64(cap(b)) * int64(dtype[T]().Size())
	}
	for _, b := range w.ints {
		n += int64(cap(b)) * 4
	}
	for _, b := range w.totals {
		n += int64(cap(b)) * 8
	}
	for _, p := range w.packs {
		n += int64(p.K) * int64(p.N) * int64(dtype[T]().Size())
	}
	return n
}

func (w *Workspace[T]) buffer(key string, n int) []T     { return grown(w.floats, key, n) }
func (w *Workspace[T]) places(key string, n int) []int32 { return grown(w.ints, key, n) }
func (w *Workspace[T]) sums(key string, n int) []float64 { return grown(w.totals, key, n) }

// grown is the buffer of this key, made larger if need be.
func grown[E any](all map[string][]E, key string, n int) []E {
	b := all[key]
	if cap(b) < n {
		b = make([]E, n)
		all[key] = b
	}
	return b[:n]
}

// packed lays out b, k×n, or its transpose, for many products, in memory that
// stays from run to run.
func (w *Workspace[T]) packed(key string, k, n int, b []T, ld int, trans bool) *kernel.Packed[T] {
	p := w.packs[key]
	switch {
	case p == nil && trans:
		p = kernel.PackBT(k, n, b, ld)
	case p == nil:
		p = kernel.PackB(k, n, b, ld)
	case trans:
		p.RepackT(b, ld)
	default:
		p.Repack(b, ld)
	}
	w.packs[key] = p
	return p
}

// A Graph is a network being written down. Its methods add nodes; after the
// first error they do nothing more, and Compile returns it.
type Graph[T Float] struct {
	expr     *gorgonia.ExprGraph
	ws       *Workspace[T]
	training bool
	needs    map[*Node]bool // nodes that a parameter flows into
	data     map[*Node][]T  // what inputs and parameters hold
	params   []*Param[T]
	nodes    gorgonia.Nodes // of params
	ops      int
	err      error
}

// NewGraph starts a graph. In training, batch norm uses and follows the
// statistics of the batch; otherwise it uses those it has.
func NewGraph[T Float](ws *Workspace[T], training bool) *Graph[T] {
	return &Graph[T]{
		expr: gorgonia.NewGraph(), ws: ws, training: training,
		needs: map[*Node]bool{}, data: map[*Node][]T{},
	}
}

// Err is the first error met.
func (g *Graph[T]) Err() error { return g.err }

// Expr is Gorgonia's graph, for looking at.
func (g *Graph[T]) Expr() *gorgonia.ExprGraph { return g.expr }

// Input adds an input of the given shape. Fill it through [Machine.Data] before
// every run: inputs of one name share a buffer of the workspace.
func (g *Graph[T]) Input(name string, shape ...int) *Node {
	if size(shape) <= 0 {
		return g.leaf(name, shape, nil)
	}
	return g.leaf(name, shape, g.ws.buffer("input "+name, size(shape)))
}

// Param adds a parameter. The graph computes with p's own values.
func (g *Graph[T]) Param(p *Param[T]) *Node {
	if len(p.W) != size(p.Shape) {
		g.fail(fmt.Errorf("parameter %s: %d values for shape %v", p.Name, len(p.W), p.Shape))
	}
	n := g.leaf(p.Name, p.Shape, p.W)
	if n != nil {
		g.needs[n] = true
		g.params, g.nodes = append(g.params, p), append(g.nodes, n)
	}
	return n
}

func (g *Graph[T]) leaf(name string, shape []int, data []T) (n *Node) {
	if g.err != nil {
		return nil
	}
	if size(shape) <= 0 {
		g.fail(fmt.Errorf("%s: shape %v is empty", name, shape))
		return nil
	}
	defer g.recover(name, &n)
	t := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	n = gorgonia.NewTensor(g.expr, dtype[T](), len(shape), gorgonia.WithShape(shape...),
		gorgonia.WithName(name), gorgonia.WithValue(t))
	if _, twice := g.data[n]; twice {
		g.fail(fmt.Errorf("%s: the graph has a node of this name and shape already", name))
		return nil
	}
	g.data[n] = data
	return n
}

// apply adds an operation on inputs.
func (g *Graph[T]) apply(o *op[T], inputs ...*Node) (n *Node) {
	if g.err != nil {
		return nil
	}
	defer g.recover(o.name, &n)
	g.ops++
	if o.key == "" {
		o.key = fmt.Sprintf("%d %s", g.ops, o.name)
	}
	o.ws, o.arity = g.ws, len(inputs)
	o.wrt = make([]bool, len(inputs))
	needs := false
	for i, in := range inputs {
		o.dims = append(o.dims, in.Dims())
		o.sizes = append(o.sizes, size(in.Shape()))
		o.wrt[i] = g.needs[in] && o.diff != nil
		needs = needs || o.wrt[i]
	}
	n, err := gorgonia.ApplyOp(o, inputs...)
	if err != nil {
		g.fail(fmt.Errorf("%s: %w", o.name, err))
		return nil
	}
	g.needs[n] = needs
	return n
}

// gradient adds the operation for a gradient, keyed by the operation it belongs
// to so that graphs of other lengths use the same buffer.
func (g *Graph[T]) gradient(of *op[T], o *op[T], inputs ...*Node) *Node {
	o.key = of.key + " " + o.name
	return g.apply(o, inputs...)
}

// shape returns n's shape if it has the given number of dimensions.
func (g *Graph[T]) shape(what string, n *Node, dims int) []int {
	if g.err != nil {
		return make([]int, dims)
	}
	if n == nil || n.Dims() != dims {
		g.fail(fmt.Errorf("%s: want %d dimensions, have %v", what, dims, shapeOf(n)))
		return make([]int, dims)
	}
	return n.Shape()
}

func shapeOf(n *Node) tensor.Shape {
	if n == nil {
		return nil
	}
	return n.Shape()
}

// require fails the graph unless n has exactly this shape.
func (g *Graph[T]) require(what string, n *Node, shape ...int) {
	if g.err == nil && (n == nil || !n.Shape().Eq(tensor.Shape(shape))) {
		g.fail(fmt.Errorf("%s: shape %v, want %v", what, shapeOf(n), shape))
	}
}

func (g *Graph[T]) fail(err error) {
	if g.err == nil {
		g.err = fmt.Errorf("build network: %w", err)
	}
}

// recover turns a panic of Gorgonia into the graph's error.
func (g *Graph[T]) recover(what string, n **Node) {
	if r := recover(); r != nil {
		*n = nil
		g.fail(fmt.Errorf("%s: %w", what, panicError(r)))
	}
}

func panicError(r any) error {
	if err, ok := r.(error); ok {
		return err
	}
	return errors.New(fmt.Sprint(r))
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func dtype[T Float]() tensor.Dtype {
	var z T
	if _, ok := any(z).(float32); ok {
		return tensor.Float32
	}
	return tensor.Float64
}
