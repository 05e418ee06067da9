package nn

import (
	"fmt"
	"math"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
)

// AttentionPool is the mean of the rows of each item of x, [n][t][c] or
// [n][h][w][c], weighted by the softmax of their scores x·w + b, w [c][1] and b
// [1]: [n][c]. frames [n] says how many rows of each item count, 1 to t; nil is
// all of them.
func (g *Graph[T]) AttentionPool(x, w, b, frames *Node) *Node {
	x = g.Rows(x)
	return g.AttentionMean(x, g.Linear(x, w, b), frames)
}

// Rows is x [n][h][w][c] as [n][h*w][c]; what has three dimensions stays.
func (g *Graph[T]) Rows(x *Node) *Node {
	if g.err != nil || x.Dims() != 4 {
		return x
	}
	s := x.Shape()
	same := func(name string, shape []int) *op[T] {
		return &op[T]{name: name, shape: shape, fail: g.Err, do: func(out []T, in [][]T) error { copy(out, in[0]); return nil }}
	}
	o := same("rows", []int{s[0], s[1] * s[2], s[3]})
	o.diff = func(o *op[T], in gorgonia.Nodes, _, grad *Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.gradient(o, same("d/dx rows", in[0].Shape()), grad)}
	}
	return g.apply(o, x)
}

// AttentionMean is the mean of the rows of x [n][t][c] weighted by the softmax of
// scores [n][t][1] over the frames [n] that count, nil for all t: [n][c].
func (g *Graph[T]) AttentionMean(x, scores, frames *Node) *Node {
	a, in := g.attention(x, scores, frames)
	a.of = &op[T]{name: fmt.Sprintf("attention mean %d", a.c), shape: []int{a.n, a.c}, fail: g.Err, do: a.forward, diff: a.gradients}
	return g.apply(a.of, in...)
}

// AttentionShares is what each row gives to the [Graph.AttentionMean] of the rows
// divided by its length, [n][t][c]: they add up to a vector of length 1. It has no
// gradient.
func (g *Graph[T]) AttentionShares(x, scores, frames *Node) *Node {
	a, in := g.attention(x, scores, frames)
	a.of = &op[T]{name: fmt.Sprintf("attention shares %d", a.c), shape: []int{a.n, a.t, a.c}, fail: g.Err, do: func(out []T, in [][]T) error {
		mean := a.g.ws.buffer(a.of.key+" mean", a.n*a.c)
		if err := a.forward(mean, in); err != nil {
			return err
		}
		for k := range a.n {
			m := mean[k*a.c:][:a.c]
			length := max(l2Epsilon, math.Sqrt(dot(m, m)))
			for i, w := range a.weights(k) {
				to := a.row(out, k, i)
				for j, v := range a.row(in[0], k, i) {
					to[j] = T(float64(w) * float64(v) / length)
				}
			}
		}
		return nil
	}}
	return g.apply(a.of, in...)
}

func (g *Graph[T]) attention(x, scores, frames *Node) (a *attention[T], in []*Node) {
	s := g.shape("attention: input", x, 3)
	a = &attention[T]{g: g, n: s[0], t: s[1], c: s[2]}
	g.require("attention: scores", scores, a.n, a.t, 1)
	if in = []*Node{x, scores}; frames != nil {
		g.require("attention: frames", frames, a.n)
		in = append(in, frames)
	}
	return a, in
}

// attention is one AttentionMean. Its weights stay from the forward pass for the
// backward.
type attention[T Float] struct {
	g       *Graph[T]
	of      *op[T]
	n, t, c int
}

func (a *attention[T]) weights(k int) []T {
	return a.g.ws.buffer(a.of.key+" weights", a.n*a.t)[k*a.t:][:a.t]
}

func (a *attention[T]) row(x []T, k, i int) []T { return x[(k*a.t+i)*a.c:][:a.c] }

func (a *attention[T]) forward(out []T, in [][]T) error {
	if len(in) == 3 {
		if err := checkFrames(in[2], a.t); err != nil {
			return err
		}
	}
	a.weights(0) // made before goroutines ask for it
	kernel.Parallel(a.n, func(k int) {
		w, y, f := a.weights(k), out[k*a.c:][:a.c], a.t
		if len(in) == 3 {
			f = int(in[2][k])
		}
		softmax(in[1][k*a.t:][:f], w[:f])
		clear(w[f:])
		clear(y)
		for i, share := range w[:f] {
			axpy(share, a.row(in[0], k, i), y)
		}
	})
	return nil
}

// softmax is e^x by its sum, added up in float64.
func softmax[T Float](x, y []T) {
	top, _ := kernel.Max(x)
	for i, v := range x {
		y[i] = v - top
	}
	kernel.Exp(y, y)
	var sum float64
	for _, v := range y {
		sum += float64(v)
	}
	for i, v := range y {
		y[i] = T(float64(v) / sum)
	}
}

// gradients: with y the sum of w[i]*x[i], the gradient by x[i] is w[i]*dy, that
// by the score i w[i]*(x[i]-y)·dy.
func (a *attention[T]) gradients(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
	grads := make(gorgonia.Nodes, len(in))
	if o.wrt[0] {
		grads[0] = a.g.gradient(o, &op[T]{name: "d/dx " + o.name, shape: in[0].Shape(), fail: a.g.Err, do: func(dx []T, in [][]T) error {
			kernel.Parallel(a.n, func(k int) {
				dy := in[0][k*a.c:][:a.c]
				for i, w := range a.weights(k) {
					to := a.row(dx, k, i)
					for j, v := range dy {
						to[j] = w * v
					}
				}
			})
			return nil
		}}, grad)
	}
	if o.wrt[1] {
		grads[1] = a.g.gradient(o, &op[T]{name: "d/dscores " + o.name, shape: in[1].Shape(), fail: a.g.Err, do: func(ds []T, in [][]T) error {
			kernel.Parallel(a.n, func(k int) {
				y, dy := in[1][k*a.c:][:a.c], in[2][k*a.c:][:a.c]
				along := dot(y, dy)
				for i, w := range a.weights(k) {
					if ds[k*a.t+i] = 0; w != 0 {
						ds[k*a.t+i] = T(float64(w) * (dot(a.row(in[0], k, i), dy) - along))
					}
				}
			})
			return nil
		}}, in[0], out, grad)
	}
	return grads
}

// dot is summed in float64, in four sums.
func dot[T Float](x, y []T) float64 {
	var s [4]float64
	for ; len(x) >= 4 && len(y) >= 4; x, y = x[4:], y[4:] {
		s[0] += float64(x[0]) * float64(y[0])
		s[1] += float64(x[1]) * float64(y[1])
		s[2] += float64(x[2]) * float64(y[2])
		s[3] += float64(x[3]) * float64(y[3])
	}
	for i, v := range x {
		s[i] += float64(v) * float64(y[i])
	}
	return s[0] + s[1] + (s[2] + s[3])
}

// checkFrames says whether each item has between 1 and t rows.
func checkFrames[T Float](frames []T, t int) error {
	for j, f := range frames {
		if f != f || f < 1 || int(f) > t {
			return fmt.Errorf("clip %d has %v frames, want 1 to %d", j, f, t)
		}
	}
	return nil
}

// Steps maps the frames of each clip, [n], to those that a layer further on has
// of it. It has no gradient.
func (g *Graph[T]) Steps(frames *Node, of func(n int) int) *Node {
	s := g.shape("steps: frames", frames, 1)
	return g.apply(&op[T]{name: "steps", shape: []int{s[0]}, do: func(out []T, in [][]T) error {
		for k, n := range in[0] {
			if out[k] = T(math.NaN()); n == n {
				out[k] = T(of(int(n)))
			}
		}
		return nil
	}}, frames)
}

// Products is scale times the product of every row of a [n][c] with every row of
// b [m][c]: [n][m]. Of rows of length 1 it is their cosine.
func (g *Graph[T]) Products(a, b *Node, scale float64) *Node {
	as, bs := g.shape("products: first", a, 2), g.shape("products: second", b, 2)
	n, m, c := as[0], bs[0], as[1]
	g.require("products: second", b, m, c)
	name := fmt.Sprintf("products %d", c)
	return g.apply(&op[T]{
		name: name, shape: []int{n, m}, fail: g.Err,
		do: func(out []T, in [][]T) error {
			kernel.GemmTB(n, m, c, in[0], c, in[1], c, out, m, false)
			kernel.Scale(T(scale), out)
			return nil
		},
		diff: func(o *op[T], in gorgonia.Nodes, _, grad *Node) gorgonia.Nodes {
			grads := make(gorgonia.Nodes, 2)
			part := func(k, rows int, other *Node, product func(ds, x, d []T)) {
				if !o.wrt[k] {
					return
				}
				grads[k] = g.gradient(o, &op[T]{name: fmt.Sprintf("d/d%d %s", k, name), shape: []int{rows, c}, fail: g.Err, do: func(d []T, in [][]T) error {
					product(in[1], in[0], d)
					kernel.Scale(T(scale), d)
					return nil
				}}, other, grad)
			}
			part(0, n, in[1], func(ds, x, d []T) { kernel.Gemm(n, c, m, ds, m, x, c, d, c, false) })
			part(1, m, in[0], func(ds, x, d []T) { kernel.GemmTA(m, c, n, ds, m, x, c, d, c, false) })
			return grads
		},
	}, a, b)
}

// maxScale is the largest that a learnt scale may become (Radford et al. 2021).
const maxScale = 100

// LearntScale is e^w, but at most 100.
func LearntScale(w float64) float64 { return min(maxScale, math.Exp(w)) }

// ScaleBy multiplies x, of any shape, by e^w, w [1], but at most by 100.
func (g *Graph[T]) ScaleBy(x, w *Node) *Node {
	g.require("scale", w, 1)
	if g.err != nil {
		return nil
	}
	by := func(w []T) T { return T(LearntScale(float64(w[0]))) }
	return g.apply(&op[T]{
		name: "scale", shape: x.Shape(), fail: g.Err,
		do: func(out []T, in [][]T) error {
			copy(out, in[0])
			kernel.Scale(by(in[1]), out)
			return nil
		},
		diff: func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
			grads := make(gorgonia.Nodes, 2)
			if o.wrt[0] {
				grads[0] = g.gradient(o, &op[T]{name: "d/dx scale", shape: in[0].Shape(), fail: g.Err, do: func(dx []T, in [][]T) error {
					copy(dx, in[1])
					kernel.Scale(by(in[0]), dx)
					return nil
				}}, in[1], grad)
			}
			if o.wrt[1] {
				grads[1] = g.gradient(o, &op[T]{name: "d/dw scale", shape: []int{1}, fail: g.Err, do: func(dw []T, in [][]T) error {
					dw[0] = kernel.Dot(in[0], in[1])
					if by(in[2]) >= maxScale {
						dw[0] = max(0, dw[0]) // it may only fall
					}
					return nil
				}}, out, grad, in[1])
			}
			return grads
		},
	}, x, w)
}
