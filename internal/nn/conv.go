package nn

import (
	"fmt"
	"slices"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Conv2D are the settings of a convolution over images that its weights do not
// tell.
type Conv2D struct {
	StrideH, StrideW int
	PadH, PadW       int // zeros on both sides
	ReLU             bool
}

// Conv1D are the settings of a convolution over time.
type Conv1D struct {
	Stride, Pad int
	ReLU        bool
}

// Conv2D convolves x [n][h][w][in] with w [kh][kw][in][out], adds b [out]
// unless it is nil, and takes the positive part if c says so: one node, three
// gradients (input, weights, bias), each a node of its own.
func (g *Graph[T]) Conv2D(x, w, b *Node, c Conv2D) *Node {
	xs, ws := g.shape("conv2d: input", x, 4), g.shape("conv2d: weights", w, 4)
	k := kernel.Conv2D{KH: ws[0], KW: ws[1], In: ws[2], Out: ws[3], StrideH: c.StrideH, StrideW: c.StrideW, PadH: c.PadH, PadW: c.PadW}
	name := fmt.Sprintf("conv2d %dx%d/%d %d->%d", k.KH, k.KW, k.StrideH, k.In, k.Out)
	v := convolution{name: name, conv: k, n: xs[0], h: xs[1], w: xs[2], relu: c.ReLU}
	oh, ow := convOut(g, v)
	return applyConv(g, v, x, w, b, []int{xs[0], oh, ow, k.Out})
}

// Conv1D convolves x [n][t][in] over time with w [k][in][out] and adds b [out]
// unless it is nil.
func (g *Graph[T]) Conv1D(x, w, b *Node, c Conv1D) *Node {
	xs, ws := g.shape("conv1d: input", x, 3), g.shape("conv1d: weights", w, 3)
	k := kernel.Conv1D(ws[0], ws[1], ws[2], c.Stride, c.Pad)
	name := fmt.Sprintf("conv1d %d/%d %d->%d", k.KW, k.StrideW, k.In, k.Out)
	v := convolution{name: name, conv: k, n: xs[0], h: 1, w: xs[1], relu: c.ReLU}
	_, ow := convOut(g, v)
	return applyConv(g, v, x, w, b, []int{xs[0], ow, k.Out})
}

// Linear is x [n][in], or [n][t][in], times w [in][out] plus b [out] unless it
// is nil.
func (g *Graph[T]) Linear(x, w, b *Node) *Node {
	dims := 2
	if s := shapeOf(x); len(s) == 3 {
		dims = 3
	}
	xs, ws := g.shape("linear: input", x, dims), g.shape("linear: weights", w, 2)
	shape := append(slices.Clone(xs[:dims-1]), ws[1])
	k := kernel.Conv1D(1, ws[0], ws[1], 1, 0)
	v := convolution{name: fmt.Sprintf("linear %d->%d", k.In, k.Out), conv: k, n: 1, h: 1, w: size(shape[:dims-1])}
	convOut(g, v)
	return applyConv(g, v, x, w, b, shape)
}

// A convolution is any of the three layers as the kernels see it.
type convolution struct {
	name    string
	conv    kernel.Conv2D
	n, h, w int
	relu    bool
}

// convOut is the output's size; it fails the graph where there is none.
func convOut[T Float](g *Graph[T], v convolution) (h, w int) {
	if g.err != nil {
		return 0, 0
	}
	if v.conv.StrideH < 1 || v.conv.StrideW < 1 || v.conv.PadH < 0 || v.conv.PadW < 0 {
		g.fail(fmt.Errorf("%s: stride must be at least 1 and padding at least 0", v.name))
		return 0, 0
	}
	h, w = v.conv.OutSize(v.h, v.w)
	if h < 1 || w < 1 {
		g.fail(fmt.Errorf("%s: an input of %dx%d leaves no output", v.name, v.h, v.w))
	}
	return h, w
}

func applyConv[T Float](g *Graph[T], v convolution, x, w, b *Node, shape []int) *Node {
	if v.relu {
		v.name += " relu"
	}
	if xs := shapeOf(x); g.err == nil && xs[len(xs)-1] != v.conv.In {
		g.fail(fmt.Errorf("%s: input has %d channels", v.name, xs[len(xs)-1]))
	}
	in := []*Node{x, w}
	if b != nil {
		g.require(v.name+": bias", b, v.conv.Out)
		in = append(in, b)
	}
	return g.apply(&op[T]{
		name: v.name, shape: shape, fail: g.Err,
		do: func(out []T, in [][]T) error {
			var bias []T
			if len(in) == 3 {
				bias = in[2]
			}
			kernel.Conv2DForward(v.conv, v.n, v.h, v.w, in[0], in[1], bias, v.relu, out)
			return nil
		},
		diff: func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
			return convGradients(g, v, o, in, out, grad)
		},
	}, in...)
}

// convGradients adds the nodes for those gradients that somebody needs.
func convGradients[T Float](g *Graph[T], v convolution, o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
	if v.relu {
		grad = g.reluGradient(o, out, grad)
	}
	grads := make(gorgonia.Nodes, len(in))
	if o.wrt[0] {
		grads[0] = g.gradient(o, &op[T]{
			name: "d/dx " + v.name, shape: in[0].Shape(), fail: g.Err,
			do: func(dx []T, in [][]T) error {
				kernel.Conv2DBackwardInput(v.conv, v.n, v.h, v.w, in[1], in[0], dx)
				return nil
			},
		}, in[1], grad)
	}
	if o.wrt[1] {
		grads[1] = g.gradient(o, &op[T]{
			name: "d/dw " + v.name, shape: in[1].Shape(), fail: g.Err,
			do: func(dw []T, in [][]T) error {
				kernel.Conv2DBackwardWeights(v.conv, v.n, v.h, v.w, in[0], in[1], dw, nil)
				return nil
			},
		}, in[0], grad)
	}
	if len(in) == 3 && o.wrt[2] {
		rows := size(out.Shape()) / v.conv.Out
		grads[2] = g.gradient(o, &op[T]{
			name: "d/db " + v.name, shape: in[2].Shape(), fail: g.Err,
			do: func(db []T, in [][]T) error {
				biasGradient(g.ws, rows, v.conv.Out, in[0], db)
				return nil
			},
		}, grad)
	}
	return grads
}

// biasGradient sums the columns of dy in float64 (see imageGradient for why),
// in blocks of rows so that the order does not depend on the number of CPUs.
func biasGradient[T Float](ws *Workspace[T], rows, n int, dy, db []T) {
	const block = 256
	blocks := (rows + block - 1) / block
	parts := ws.sums("bias", blocks*n)
	kernel.Parallel(blocks, func(i int) {
		sum := parts[i*n:][:n]
		clear(sum)
		for r := i * block; r < min(rows, (i+1)*block); r++ {
			for j, v := range dy[r*n:][:n] {
				sum[j] += float64(v)
			}
		}
	})
	for i := 1; i < blocks; i++ {
		for j, v := range parts[i*n:][:n] {
			parts[j] += v
		}
	}
	for j := range db {
		db[j] = T(parts[j])
	}
}
