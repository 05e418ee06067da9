package nn

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// An op is what every operation here is to Gorgonia: a gorgonia.SDOp of known
// output shape that computes into a buffer of the workspace. What it computes
// and how it is differentiated are the two functions.
type op[T Float] struct {
	name  string // kind and settings, as shown in the graph
	shape tensor.Shape
	do    func(out []T, in [][]T) error
	// diff adds the gradients by the inputs, given the gradient by the output;
	// it returns nil for an input that wrt says nobody needs. nil: no gradient.
	diff func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes
	fail func() error // the graph's error after diff

	// filled in by Graph.apply
	ws    *Workspace[T]
	key   string // names the buffer, and the operation among its like
	arity int
	dims  []int // dimensions of the inputs
	sizes []int // elements of the inputs
	wrt   []bool

	view gorgonia.Value // the buffer as a value
	buf  []T
	in   [][]T
	ones [1]T // a scalar input, unwrapped
}

var _ gorgonia.SDOp = (*op[float32])(nil)

func (o *op[T]) Arity() int           { return o.arity }
func (o *op[T]) ReturnsPtr() bool     { return true }
func (o *op[T]) CallsExtern() bool    { return false }
func (o *op[T]) OverwritesInput() int { return -1 }
func (o *op[T]) String() string       { return o.name }

// WriteHash tells operations apart. Each is unique in its graph: an operation
// has a buffer, so two may not be merged.
func (o *op[T]) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s %v", o.key, o.shape) }

func (o *op[T]) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// Type is tensor of a → … → tensor of a, with the dimensions of this use.
func (o *op[T]) Type() hm.Type {
	a := hm.TypeVariable('a')
	of := func(dims int) hm.Type {
		if dims == 0 {
			return a
		}
		return gorgonia.TensorType{Dims: dims, Of: a}
	}
	types := make([]hm.Type, 0, len(o.dims)+1)
	for _, d := range o.dims {
		types = append(types, of(d))
	}
	return hm.NewFnType(append(types, of(o.shape.Dims()))...)
}

func (o *op[T]) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.shape, nil }

func (o *op[T]) DiffWRT(inputs int) []bool { return o.wrt[:inputs] }

func (o *op[T]) SymDiff(in gorgonia.Nodes, out, grad *Node) (gorgonia.Nodes, error) {
	if o.diff == nil {
		return nil, fmt.Errorf("%s has no gradient", o.name)
	}
	grads := o.diff(o, in, out, grad)
	return grads, o.fail()
}

// Do runs the operation. It is called in a goroutine of Gorgonia's, so panics
// must end here.
func (o *op[T]) Do(inputs ...gorgonia.Value) (v gorgonia.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %w", o.name, panicError(r))
		}
	}()
	if len(inputs) != o.arity {
		return nil, fmt.Errorf("%s: %d inputs, want %d", o.name, len(inputs), o.arity)
	}
	o.in = o.in[:0]
	for i, v := range inputs {
		data, err := o.slice(v)
		if err != nil {
			return nil, err
		}
		if len(data) != o.sizes[i] {
			return nil, fmt.Errorf("%s: input %d has %d elements, want %d", o.name, i, len(data), o.sizes[i])
		}
		o.in = append(o.in, data)
	}
	o.wrap()
	if err := o.do(o.buf, o.in); err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	if o.shape.Dims() == 0 {
		return scalar(o.buf[0]), nil
	}
	return o.view, nil
}

// slice is a value's elements.
func (o *op[T]) slice(v gorgonia.Value) ([]T, error) {
	switch d := v.Data().(type) {
	case []T:
		return d, nil
	case T:
		o.ones[0] = d
		return o.ones[:], nil
	}
	return nil, fmt.Errorf("%s: input of type %T", o.name, v.Data())
}

// wrap makes the workspace's buffer the value that Do returns. The buffer
// changes only when a larger graph has made it grow.
func (o *op[T]) wrap() {
	buf := o.ws.buffer(o.key, o.shape.TotalSize())
	if o.buf != nil && &buf[0] == &o.buf[0] {
		return
	}
	o.buf = buf
	if o.shape.Dims() > 0 {
		o.view = tensor.New(tensor.WithShape(o.shape...), tensor.WithBacking(buf))
	}
}

func scalar[T Float](x T) gorgonia.Value {
	if v, ok := any(x).(float32); ok {
		return gorgonia.NewF32(v)
	}
	return gorgonia.NewF64(float64(x))
}
