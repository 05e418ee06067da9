package nn

import (
	"fmt"
	"math"

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
	return g.maxPool(fmt.Sprintf("maxpool2d %dx%d/%d", p.KH, p.KW, p.StrideH), x, kernel.Pool2D(p), s[0], s[1], s[2], s[3], nil, false)
}

// MaxPool1D pools x [n][t][c] over time with windows of k frames.
func (g *Graph[T]) MaxPool1D(x *Node, k, stride, pad int) *Node {
	return g.MaxPoolMasked(x, k, stride, pad, nil)
}

// MaxPoolMasked is MaxPool1D with zeros in the rows of each clip after its own
// frames [n] of the output, nil for none.
func (g *Graph[T]) MaxPoolMasked(x *Node, k, stride, pad int, frames *Node) *Node {
	s := g.shape("maxpool: input", x, 3)
	p := kernel.Pool2D{KH: 1, KW: k, StrideH: 1, StrideW: stride, PadW: pad}
	return g.maxPool(fmt.Sprintf("maxpool1d %d/%d", k, stride), x, p, s[0], 1, s[1], s[2], frames, true)
}

func (g *Graph[T]) maxPool(name string, x *Node, p kernel.Pool2D, n, h, w, ch int, frames *Node, time bool) *Node {
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
		if len(in) == 1 {
			return nil
		}
		return maskPool(in[1], ow, ch, out, places())
	}
	o.diff = func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
		grads := make(gorgonia.Nodes, len(in))
		grads[0] = g.gradient(o, &op[T]{
			name: "d/dx " + name, shape: in[0].Shape(), fail: g.Err,
			do: func(dx []T, in [][]T) error {
				kernel.MaxPoolBackward(p, n, h, w, ch, in[0], places(), dx)
				return nil
			},
		}, grad)
		return grads
	}
	if frames == nil {
		return g.apply(o, x)
	}
	g.require(name+": frames", frames, n)
	return g.apply(o, x, frames)
}

// maskPool sets the rows of each clip from its own frames on to zeros that come
// from nowhere.
func maskPool[T Float](frames []T, t, ch int, y []T, places []int32) error {
	if err := checkFrames(frames, t); err != nil {
		return err
	}
	for k, f := range frames {
		after := places[(k*t+int(f))*ch : (k+1)*t*ch]
		clear(y[(k*t+int(f))*ch : (k+1)*t*ch])
		for i := range after {
			after[i] = -1
		}
	}
	return nil
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

// Tanh is the hyperbolic tangent of x, of any shape.
func (g *Graph[T]) Tanh(x *Node) *Node {
	if g.err != nil {
		return nil
	}
	return g.apply(&op[T]{
		name: "tanh", shape: x.Shape(), fail: g.Err,
		do: func(out []T, in [][]T) error {
			kernel.Tanh(in[0], out)
			return nil
		},
		diff: func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.gradient(o, &op[T]{
				name: "d tanh", shape: out.Shape(), fail: g.Err,
				do: func(dx []T, in [][]T) error {
					for i, y := range in[0] {
						dx[i] = in[1][i] * (1 - y*y)
					}
					return nil
				},
			}, out, grad)}
		},
	}, x)
}

// l2Epsilon is the least length that L2Norm divides by, as in PyTorch.
const l2Epsilon = 1e-12

// L2Norm divides each row of x (along its last dimension) by its length.
func (g *Graph[T]) L2Norm(x *Node) *Node {
	if g.err != nil {
		return nil
	}
	n := x.Shape()[x.Dims()-1]
	length := func(row []T) (l float64, short bool) {
		for _, v := range row {
			l += float64(v) * float64(v)
		}
		l = math.Sqrt(l)
		return max(l, l2Epsilon), l < l2Epsilon
	}
	return g.apply(&op[T]{
		name: fmt.Sprintf("l2norm %d", n), shape: x.Shape(), fail: g.Err,
		do: func(out []T, in [][]T) error {
			kernel.Parallel(len(out)/n, func(r int) {
				row, to := in[0][r*n:][:n], out[r*n:][:n]
				l, _ := length(row)
				for j, v := range row {
					to[j] = T(float64(v) / l)
				}
			})
			return nil
		},
		diff: func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.gradient(o, &op[T]{
				name: fmt.Sprintf("d l2norm %d", n), shape: in[0].Shape(), fail: g.Err,
				do: func(dx []T, in [][]T) error {
					kernel.Parallel(len(dx)/n, func(r int) {
						x, y, dy, to := in[0][r*n:][:n], in[1][r*n:][:n], in[2][r*n:][:n], dx[r*n:][:n]
						l, short := length(x)
						along := 0.0 // of a row that is too short nothing but the scale is left
						for j := 0; j < n && !short; j++ {
							along += float64(y[j]) * float64(dy[j])
						}
						for j := range to {
							to[j] = T((float64(dy[j]) - along*float64(y[j])) / l)
						}
					})
					return nil
				},
			}, in[0], out, grad)}
		},
	}, x)
}

// VectorAttention pools x [n][t][c] over time to [n][c], each channel with
// weights of its own: the softmax over time of wo·tanh(wh·x + bh) + bo, wh
// [c][hidden] and wo [hidden][c] (Merkx et al. 2019).
func (g *Graph[T]) VectorAttention(x, wh, bh, wo, bo *Node) *Node {
	return g.attend(x, g.Linear(g.Tanh(g.Linear(x, wh, bh)), wo, bo))
}

// attend is the sum over time of x [n][t][c] weighted by the softmax over time
// of scores of the same shape.
func (g *Graph[T]) attend(x, scores *Node) *Node {
	s := g.shape("attention: input", x, 3)
	n, t, c := s[0], s[1], s[2]
	g.require("attention: scores", scores, n, t, c)
	o := &op[T]{name: fmt.Sprintf("attention %d", c), shape: []int{n, c}, fail: g.Err}
	weights := func() []T { return g.ws.buffer(o.key+" weights", n*t*c) }
	o.do = func(out []T, in [][]T) error {
		a := weights()
		stretches := (c + stretch - 1) / stretch
		kernel.Parallel(n*stretches, func(k int) {
			item, lo := k/stretches, k%stretches*stretch
			attendSome(a[item*t*c:], in[0][item*t*c:], in[1][item*t*c:], out[item*c:], t, c, lo, min(c, lo+stretch))
		})
		return nil
	}
	o.diff = func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
		part := func(what string, f func(a, x, y, dy T) T) *Node {
			return g.gradient(o, &op[T]{name: "d/d" + what + " " + o.name, shape: in[0].Shape(), fail: g.Err, do: func(d []T, in [][]T) error {
				a := weights()
				for i := range d {
					k := i/(t*c)*c + i%c
					d[i] = f(a[i], in[0][i], in[1][k], in[2][k])
				}
				return nil
			}}, in[0], out, grad)
		}
		grads := make(gorgonia.Nodes, 2)
		if o.wrt[0] {
			grads[0] = part("x", func(a, _, _, dy T) T { return a * dy })
		}
		if o.wrt[1] {
			grads[1] = part("scores", func(a, x, y, dy T) T { return a * (x - y) * dy })
		}
		return grads
	}
	return g.apply(o, x, scores)
}

// stretch is how many channels one goroutine takes at a time.
const stretch = 128

// attendSome is channels lo to hi of one item: t rows of c values. It leaves the
// weights in a and the sums in y.
func attendSome[T Float](a, x, scores, y []T, t, c, lo, hi int) {
	n := hi - lo
	row := func(m []T, i int) []T { return m[i*c+lo:][:n] }
	var top [stretch]T
	var sum, total [stretch]float64
	copy(top[:n], row(scores, 0))
	for i := 1; i < t; i++ {
		for j, s := range row(scores, i) {
			top[j] = max(top[j], s)
		}
	}
	for i := range t {
		w, s := row(a, i), row(scores, i)
		for j := range w {
			w[j] = s[j] - top[j]
		}
		kernel.Exp(w, w)
		for j, v := range w {
			sum[j] += float64(v)
		}
	}
	for i := range t {
		w, v := row(a, i), row(x, i)
		for j := range w {
			share := float64(w[j]) / sum[j]
			w[j] = T(share)
			total[j] += share * float64(v[j])
		}
	}
	for j := range n {
		y[lo+j] = T(total[j])
	}
}
