package nn

import (
	"fmt"
	"math"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Batch norm's constants, as in PyTorch and the paper's code.
const (
	BatchNormEpsilon  = 1e-5
	BatchNormMomentum = 0.1 // weight of the new batch in the running statistics
)

// Stats are the running statistics of a batch norm layer. A run in training
// changes them; they belong into a checkpoint.
type Stats[T Float] struct {
	Name      string
	Mean, Var []T
}

// NewStats returns the statistics of a new layer: mean 0, variance 1.
func NewStats[T Float](name string, channels int) *Stats[T] {
	s := &Stats[T]{Name: name, Mean: make([]T, channels), Var: make([]T, channels)}
	for i := range s.Var {
		s.Var[i] = 1
	}
	return s
}

// BatchNorm normalises each channel (the last dimension) of x over all its
// rows, then scales by gamma and shifts by beta, both [c]. Ioffe and Szegedy
// 2015. In training the batch's mean and biased variance normalise, and the
// running statistics follow them (with the unbiased variance); otherwise the
// running statistics normalise.
func (g *Graph[T]) BatchNorm(x, gamma, beta *Node, stats *Stats[T]) *Node {
	return g.batchNorm(x, gamma, beta, stats, nil, false)
}

// BatchNormReLU is the positive part of [Graph.BatchNorm] of x [n][t][c], and 0
// in the rows of each clip after its own frames [n], nil for all: what stands
// there comes of padding. It counts in the batch's statistics.
func (g *Graph[T]) BatchNormReLU(x, gamma, beta *Node, stats *Stats[T], frames *Node) *Node {
	s := g.shape("batchnorm: input", x, 3)
	if frames != nil {
		g.require("batchnorm: frames", frames, s[0])
	}
	return g.batchNorm(x, gamma, beta, stats, frames, true)
}

func (g *Graph[T]) batchNorm(x, gamma, beta *Node, stats *Stats[T], frames *Node, relu bool) *Node {
	if g.err != nil {
		return nil
	}
	xs := x.Shape()
	c := xs[len(xs)-1]
	g.require("batchnorm: gamma", gamma, c)
	g.require("batchnorm: beta", beta, c)
	if len(stats.Mean) != c || len(stats.Var) != c {
		g.fail(fmt.Errorf("batchnorm: statistics of %d channels for %d", len(stats.Mean), c))
	}
	if rows := size(xs) / c; g.training && rows < 2 {
		g.fail(fmt.Errorf("batchnorm: %d values a channel have no variance", rows))
	}
	if g.err != nil {
		return nil
	}
	n := &norm[T]{rows: size(xs) / c, c: c, t: size(xs) / c / xs[0], relu: relu, training: g.training, stats: stats, mean: make([]float64, c), inv: make([]float64, c)}
	o := &op[T]{
		name: fmt.Sprintf("batchnorm %d", c), shape: xs, fail: g.Err, do: n.forward,
		diff: func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
			if relu { // which is 0 after a clip's own frames, too
				grad = g.reluGradient(o, out, grad)
			}
			return n.gradients(g, o, in, grad)
		},
	}
	if relu {
		o.name += " relu"
	}
	if frames == nil {
		return g.apply(o, x, gamma, beta)
	}
	return g.apply(o, x, gamma, beta, frames)
}

// A norm is one batch norm layer: what its forward pass leaves for the backward.
type norm[T Float] struct {
	rows, c   int
	t         int // rows of an item
	relu      bool
	training  bool
	stats     *Stats[T]
	mean, inv []float64 // of this run: mean and 1/sqrt(variance + epsilon)
	parts     []float64
}

func (n *norm[T]) forward(out []T, in [][]T) error {
	x, gamma, beta := in[0], in[1], in[2]
	if n.training {
		n.measure(x)
	} else {
		for j := range n.mean {
			n.mean[j] = float64(n.stats.Mean[j])
			n.inv[j] = 1 / math.Sqrt(float64(n.stats.Var[j])+BatchNormEpsilon)
		}
	}
	scale, shift := make([]T, n.c), make([]T, n.c)
	for j := range scale {
		s := float64(gamma[j]) * n.inv[j]
		scale[j], shift[j] = T(s), T(float64(beta[j])-n.mean[j]*s)
	}
	var frames []T
	if len(in) == 4 {
		if frames = in[3]; checkFrames(frames, n.t) != nil {
			return checkFrames(frames, n.t)
		}
	}
	n.eachBlock(func(lo, hi, _ int) {
		for r := lo; r < hi; r++ {
			from, to := x[r*n.c:][:n.c], out[r*n.c:][:n.c]
			if frames != nil && r%n.t >= int(frames[r/n.t]) {
				clear(to)
				continue
			}
			if scale, shift := scale[:len(to)], shift[:len(to)]; n.relu {
				for j, v := range from {
					to[j] = max(v*scale[j]+shift[j], 0)
				}
				continue
			}
			for j, v := range from {
				to[j] = v*scale[j] + shift[j]
			}
		}
	})
	return nil
}

// measure takes the batch's mean and variance, in two passes, and moves the
// running statistics.
func (n *norm[T]) measure(x []T) {
	rows := float64(n.rows)
	sum := n.sum(1, func(row int, acc []float64) {
		for j, v := range x[row*n.c:][:n.c] {
			acc[j] += float64(v)
		}
	})
	for j := range n.mean {
		n.mean[j] = sum[j] / rows
	}
	sum = n.sum(1, func(row int, acc []float64) {
		for j, v := range x[row*n.c:][:n.c] {
			d := float64(v) - n.mean[j]
			acc[j] += d * d
		}
	})
	for j := range n.inv {
		n.inv[j] = 1 / math.Sqrt(sum[j]/rows+BatchNormEpsilon)
		n.stats.Mean[j] = T((1-BatchNormMomentum)*float64(n.stats.Mean[j]) + BatchNormMomentum*n.mean[j])
		n.stats.Var[j] = T((1-BatchNormMomentum)*float64(n.stats.Var[j]) + BatchNormMomentum*sum[j]/(rows-1))
	}
}

const normRows = 256 // rows added up before their sum is

func (n *norm[T]) eachBlock(f func(lo, hi, block int)) {
	blocks := (n.rows + normRows - 1) / normRows
	kernel.Parallel(blocks, func(i int) { f(i*normRows, min(n.rows, (i+1)*normRows), i) })
}

// sum adds up k values a channel over all rows, block by block in their order.
func (n *norm[T]) sum(k int, add func(row int, acc []float64)) []float64 {
	blocks := (n.rows + normRows - 1) / normRows
	w := k * n.c
	if need := (blocks + 1) * w; cap(n.parts) < need {
		n.parts = make([]float64, need)
	}
	parts := n.parts[:(blocks+1)*w]
	clear(parts)
	n.eachBlock(func(lo, hi, block int) {
		acc := parts[(block+1)*w:][:w]
		for r := lo; r < hi; r++ {
			add(r, acc)
		}
	})
	total := parts[:w]
	for b := range blocks {
		for j, v := range parts[(b+1)*w:][:w] {
			total[j] += v
		}
	}
	return total
}

func (n *norm[T]) gradients(g *Graph[T], o *op[T], in gorgonia.Nodes, grad *Node) gorgonia.Nodes {
	name := fmt.Sprintf("batchnorm %d", n.c)
	channel := func(what string, add func(acc []float64, x, dy []T)) *Node {
		return g.gradient(o, &op[T]{name: what + name, shape: in[1].Shape(), fail: g.Err, do: func(out []T, in [][]T) error {
			n.channelSums(in[0], in[1], add, out)
			return nil
		}}, in[0], grad)
	}
	dgamma := channel("d/dgamma ", func(acc []float64, x, dy []T) {
		mean, inv := n.mean[:len(acc)], n.inv[:len(acc)]
		for j, d := range dy {
			acc[j] += float64(d) * (float64(x[j]) - mean[j]) * inv[j]
		}
	})
	dbeta := channel("d/dbeta ", func(acc []float64, _, dy []T) {
		for j, d := range dy {
			acc[j] += float64(d)
		}
	})
	grads := gorgonia.Nodes{nil, dgamma, dbeta}
	if len(in) == 4 {
		grads = append(grads, nil)
	}
	if !o.wrt[0] {
		return grads
	}
	grads[0] = g.gradient(o, &op[T]{name: "d/dx " + name, shape: in[0].Shape(), fail: g.Err, do: n.backward},
		in[0], in[1], dgamma, dbeta, grad)
	return grads
}

// channelSums adds up, over all rows, what add takes of a row.
func (n *norm[T]) channelSums(x, dy []T, add func(acc []float64, x, dy []T), out []T) {
	sum := n.sum(1, func(row int, acc []float64) { add(acc[:n.c], x[row*n.c:][:n.c], dy[row*n.c:][:n.c]) })
	for j := range out {
		out[j] = T(sum[j])
	}
}

// backward is dx = gamma*inv*(dy - (dbeta + xhat*dgamma)/rows), the second term
// being what the batch's statistics owe to x.
func (n *norm[T]) backward(dx []T, in [][]T) error {
	x, gamma, dgamma, dbeta, dy := in[0], in[1], in[2], in[3], in[4]
	share := 1 / float64(n.rows)
	if !n.training {
		share = 0
	}
	n.eachBlock(func(lo, hi, _ int) {
		mean, inv := n.mean[:n.c], n.inv[:n.c]
		gamma, dgamma, dbeta := gamma[:n.c], dgamma[:n.c], dbeta[:n.c]
		for r := lo; r < hi; r++ {
			from, d, to := x[r*n.c:][:n.c], dy[r*n.c:][:n.c], dx[r*n.c:][:n.c]
			for j := range to {
				xhat := (float64(from[j]) - mean[j]) * inv[j]
				to[j] = T(float64(gamma[j]) * inv[j] * (float64(d[j]) - share*(float64(dbeta[j])+xhat*float64(dgamma[j]))))
			}
		}
	})
	return nil
}
