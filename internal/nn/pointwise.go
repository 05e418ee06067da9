package nn

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
)

// ReLU is the positive part of x, of any shape. Its gradient at 0 is 0.
func (g *Graph[T]) ReLU(x *Node) *Node {
	if g.err != nil {
		return nil
	}
	return g.apply(&op[T]{
		name: "relu", shape: x.Shape(), fail: g.Err,
		do: func(out []T, in [][]T) error {
			kernel.ReLU(in[0], out)
			return nil
		},
		diff: func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.reluGradient(o, out, grad)}
		},
	}, x)
}

// reluGradient lets grad through where out, the layer's output, is positive.
func (g *Graph[T]) reluGradient(of *op[T], out, grad *Node) *Node {
	return g.gradient(of, &op[T]{
		name: "d relu", shape: out.Shape(), fail: g.Err,
		do: func(dx []T, in [][]T) error {
			kernel.ReLUBackward(in[0], in[1], dx)
			return nil
		},
	}, out, grad)
}

// A Pool is the window of a max-pooling. The border never wins; of equal
// values the first gets the gradient.
type Pool struct {
	KH, KW, StrideH, StrideW, PadH, PadW int
}

// MaxPool2D pools x [n][h][w][c].
func (g *Graph[T]) MaxPool2D(x *Node, p Pool) *Node {
	s := g.shape("maxpool: input", x, 4)
	return g.maxPool(fmt.Sprintf("maxpool2d %dx%d/%d", p.KH, p.KW, p.StrideH), x, kernel.Pool2D(p), s[0], s[1], s[2], s[3], false)
}

// MaxPool1D pools x [n][t][c] over time with windows of k frames.
func (g *Graph[T]) MaxPool1D(x *Node, k, stride, pad int) *Node {
	s := g.shape("maxpool: input", x, 3)
	p := kernel.Pool2D{KH: 1, KW: k, StrideH: 1, StrideW: stride, PadW: pad}
	return g.maxPool(fmt.Sprintf("maxpool1d %d/%d", k, stride), x, p, s[0], 1, s[1], s[2], true)
}

func (g *Graph[T]) maxPool(name string, x *Node, p kernel.Pool2D, n, h, w, ch int, time bool) *Node {
	if g.err != nil {
		return nil
	}
	if p.KH < 1 || p.KW < 1 || p.StrideH < 1 || p.StrideW < 1 || p.PadH < 0 || p.PadW < 0 {
		g.fail(fmt.Errorf("%s: window and stride must be at least 1, padding at least 0", name))
		return nil
	}
	oh, ow := p.OutSize(h, w)
	if oh < 1 || ow < 1 {
		g.fail(fmt.Errorf("%s: an input of %dx%d leaves no output", name, h, w))
		return nil
	}
	shape := []int{n, oh, ow, ch}
	if time {
		shape = []int{n, ow, ch}
	}
	o := &op[T]{name: name, shape: shape, fail: g.Err}
	places := func() []int32 { return g.ws.places(o.key, n*oh*ow*ch) }
	o.do = func(out []T, in [][]T) error {
		kernel.MaxPoolForward(p, n, h, w, ch, in[0], out, places())
		return nil
	}
	o.diff = func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.gradient(o, &op[T]{
			name: "d/dx " + name, shape: in[0].Shape(), fail: g.Err,
			do: func(dx []T, in [][]T) error {
				kernel.MaxPoolBackward(p, n, h, w, ch, in[0], places(), dx)
				return nil
			},
		}, grad)}
	}
	return g.apply(o, x)
}

// Concat puts the channels of a and b, [n][t][c] both, side by side:
// [n][t][ca+cb].
func (g *Graph[T]) Concat(a, b *Node) *Node {
	as, bs := g.shape("concat: first", a, 3), g.shape("concat: second", b, 3)
	g.require("concat: second", b, as[0], as[1], bs[2])
	widths, all := [2]int{as[2], bs[2]}, as[2]+bs[2]
	name := fmt.Sprintf("concat %d+%d", as[2], bs[2])
	// part is the columns of input k in row r of the output.
	part := func(out []T, k, r int) []T { return out[r*all+k*widths[0]:][:widths[k]] }
	rows := as[0] * as[1]
	return g.apply(&op[T]{
		name: name, shape: []int{as[0], as[1], all}, fail: g.Err,
		do: func(out []T, in [][]T) error {
			for r := range rows {
				for k, w := range widths {
					copy(part(out, k, r), in[k][r*w:])
				}
			}
			return nil
		},
		diff: func(o *op[T], in gorgonia.Nodes, _, grad *Node) gorgonia.Nodes {
			grads := make(gorgonia.Nodes, len(in))
			for k, w := range widths {
				if !o.wrt[k] {
					continue
				}
				grads[k] = g.gradient(o, &op[T]{
					name: fmt.Sprintf("d/d%d %s", k, name), shape: in[k].Shape(), fail: g.Err,
					do: func(d []T, in [][]T) error {
						for r := range rows {
							copy(d[r*w:][:w], part(in[0], k, r))
						}
						return nil
					},
				}, grad)
			}
			return grads
		},
	}, a, b)
}
