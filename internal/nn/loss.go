package nn

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Losses of the similarities s [B][B] of a minibatch, rows images, columns
// speech, s[i,i] the true pairs. Those of the margin add up terms
//
//	max(0, margin + s[i,j] - s[i,i])  and  max(0, margin + s[j,i] - s[i,i])
//
// over wrong partners j, a gradient of a term that is exactly 0 being 0.
const (
	LossHinge       = "hinge"         // all j, mean over the B(B-1) ordered pairs: the paper
	LossHingeSum    = "hinge_sum"     // all j, sum
	LossHingeBatch  = "hinge_batch"   // all j, sum by B
	LossHingeSquare = "hinge_square"  // all j, sum by B*B (Platalea, with margin .2)
	LossSampled     = "hinge_sampled" // one drawn j for each direction, mean over i (DAVEnet)
	LossHardest     = "hinge_hardest" // the nearest j (VSE++), mean over i
	LossSemiHard    = "semihard"      // the nearest j that is farther than the true partner, mean over i
	// LossInfoNCE is half the cross-entropy of the softmax over rows, and half of
	// that over columns, of s by the temperature.
	LossInfoNCE = "infonce"
	// LossMaskedMargin is the cross-entropy over rows plus that over columns with
	// the margin taken from the true pairs (Ilharco et al. 2019).
	LossMaskedMargin = "masked_margin_softmax"
)

// Losses lists the names that [Loss] takes.
func Losses() []string {
	return []string{LossHinge, LossHingeSum, LossHingeBatch, LossHingeSquare, LossSampled, LossHardest, LossSemiHard, LossInfoNCE, LossMaskedMargin}
}

// A Loss says what is to fall.
type Loss struct {
	Kind        string
	Margin      float64 // of all but infonce
	Temperature float64 // of infonce
}

// Collapsed is the loss of a batch of b pairs whose embeddings are all alike,
// NaN where there is no such value.
func (l Loss) Collapsed(b int) float64 {
	n := float64(b)
	switch l.Kind {
	case LossHinge, LossSampled, LossHardest:
		return 2 * l.Margin
	case LossHingeSum:
		return 2 * l.Margin * n * (n - 1)
	case LossHingeBatch:
		return 2 * l.Margin * (n - 1)
	case LossHingeSquare:
		return 2 * l.Margin * (n - 1) / n
	case LossInfoNCE:
		return math.Log(n)
	case LossMaskedMargin:
		return 2 * math.Log1p((n-1)*math.Exp(l.Margin))
	}
	return math.NaN()
}

// Hinge is the paper's loss:
//
//	L = 1/(B(B-1)) Σ_{i≠j} max(0, margin + s[i,j] - s[i,i]) + max(0, margin + s[j,i] - s[i,i])
//
// Embeddings that have collapsed to a point give exactly 2*margin at any B.
func (g *Graph[T]) Hinge(s *Node, margin float64) *Node {
	return g.Loss(Loss{Kind: LossHinge, Margin: margin}, s, nil)
}

// Loss adds a loss of the similarities s [B][B]. Only hinge_sampled reads
// impostors, [2][B]: the wrong column of each row and the wrong row of each
// column.
func (g *Graph[T]) Loss(l Loss, s, impostors *Node) *Node {
	shape := g.shape("loss: similarities", s, 2)
	b := shape[0]
	switch {
	case g.err != nil:
		return nil
	case b < 2 || shape[1] != b:
		g.fail(fmt.Errorf("%s: similarities of %v, want a square of at least 2", l.Kind, shape))
	case !slices.Contains(Losses(), l.Kind):
		g.fail(fmt.Errorf("loss %q is not known", l.Kind))
	case l.Kind == LossInfoNCE && !(l.Temperature > 0):
		g.fail(fmt.Errorf("%s: temperature %v, want a positive number", l.Kind, l.Temperature))
	}
	switch l.Kind {
	case LossInfoNCE:
		return applyLoss(g, l.Kind, softmaxLoss[T]{b, 0, 1 / l.Temperature, .5}, s)
	case LossMaskedMargin:
		return applyLoss(g, l.Kind, softmaxLoss[T]{b, l.Margin, 1, 1}, s)
	case LossSampled:
		g.require(l.Kind+": impostors", impostors, 2, b)
		return applyLoss(g, l.Kind, marginLoss[T]{l, b}, s, impostors)
	}
	return applyLoss(g, l.Kind, marginLoss[T]{l, b}, s)
}

// A measure is a loss of in[0] = s, and of what else it reads: its value, and
// grad times its gradient by s.
type measure[T Float] interface {
	value(in [][]T) (float64, error)
	gradient(in [][]T, grad float64, ds []T)
}

func applyLoss[T Float](g *Graph[T], name string, m measure[T], in ...*Node) *Node {
	if g.err != nil {
		return nil
	}
	return g.apply(&op[T]{
		name: name, fail: g.Err,
		do: func(out []T, in [][]T) error {
			v, err := m.value(in)
			out[0] = T(v)
			return err
		},
		diff: func(o *op[T], in gorgonia.Nodes, _, grad *Node) gorgonia.Nodes {
			grads := make(gorgonia.Nodes, len(in))
			grads[0] = g.gradient(o, &op[T]{
				name: "d/ds " + name, shape: in[0].Shape(), fail: g.Err,
				do: func(ds []T, in [][]T) error {
					last := len(in) - 1
					m.gradient(in[:last], float64(in[last][0]), ds)
					return nil
				},
			}, append(slices.Clone(in), grad)...)
			return grads
		},
	}, in...)
}

// A marginLoss is one that adds up terms of the margin.
type marginLoss[T Float] struct {
	Loss
	b int
}

// share is the weight of a term.
func (m marginLoss[T]) share() float64 {
	b := float64(m.b)
	switch m.Kind {
	case LossHingeSum:
		return 1
	case LossHingeSquare:
		return 1 / (b * b)
	case LossHinge:
		return 1 / (b * (b - 1))
	}
	return 1 / b
}

func (m marginLoss[T]) value(in [][]T) (float64, error) {
	if m.Kind == LossSampled {
		for k, v := range in[1] {
			if i := int(v); !(v >= 0) || i >= m.b || i == k%m.b {
				return 0, fmt.Errorf("pair %d has the impostor %v of %d", k%m.b, v, m.b)
			}
		}
	}
	var sum float64
	m.terms(in, func(_, _ int, v float64) { sum += v })
	return sum * m.share(), nil
}

func (m marginLoss[T]) gradient(in [][]T, grad float64, ds []T) {
	// Whole numbers of terms, rounded once: where all terms count, the sum of a
	// column must not drift from its true 0.
	unit := exactUnit[T](m.share()*grad, 2*(m.b-1))
	clear(ds)
	m.terms(in, func(at, own int, _ float64) {
		ds[at]++
		ds[own]--
	})
	for i, terms := range ds {
		ds[i] = terms * unit
	}
}

// terms calls f for every positive term: at is the impostor's place in s, own
// that of the true pair.
func (m marginLoss[T]) terms(in [][]T, f func(at, own int, v float64)) {
	s, b := in[0], m.b
	term := func(at, own int) {
		if v := m.Margin + float64(s[at]) - float64(s[own]); v > 0 || v != v {
			f(at, own, v)
		}
	}
	for i := range b {
		own := i*b + i
		switch m.Kind {
		case LossSampled:
			term(i*b+int(in[1][i]), own)
			term(int(in[1][b+i])*b+i, own)
		case LossHardest, LossSemiHard:
			for _, step := range [2][2]int{{i * b, 1}, {i, b}} { // row i, column i
				if at := m.nearest(s, i, step[0], step[1]); at >= 0 {
					term(at, own)
				}
			}
		default:
			for j := range b {
				if i != j {
					term(i*b+j, own)
					term(j*b+i, own)
				}
			}
		}
	}
}

// nearest is the place of the largest impostor of pair i among the b values
// from first on, step apart; the first of equals; -1 for none. A NaN is nearer
// than any number, so that it is seen.
func (m marginLoss[T]) nearest(s []T, i, first, step int) int {
	best, own := -1, s[i*m.b+i]
	for j := range m.b {
		at := first + j*step
		if j == i || m.Kind == LossSemiHard && s[at] >= own {
			continue
		}
		if best < 0 || s[at] > s[best] || s[at] != s[at] && s[best] == s[best] {
			best = at
		}
	}
	return best
}

// A softmaxLoss is weight times the mean cross-entropy of rows plus that of
// columns of z = by*(s - margin on the diagonal), the diagonal being right.
type softmaxLoss[T Float] struct {
	b                  int
	margin, by, weight float64
}

// each calls f for every row and column: the place of its first value, the step
// to the next, which one is right, and the logarithm of the sum of e^z.
func (m softmaxLoss[T]) each(s []T, f func(first, step, right int, logSum float64)) {
	for i := range m.b {
		for _, line := range [2][2]int{{i * m.b, 1}, {i, m.b}} {
			first, step := line[0], line[1]
			top, sum := math.Inf(-1), 0.0
			for j := range m.b {
				top = max(top, m.z(s, first, step, j, i))
			}
			for j := range m.b {
				sum += math.Exp(m.z(s, first, step, j, i) - top)
			}
			f(first, step, i, top+math.Log(sum))
		}
	}
}

func (m softmaxLoss[T]) z(s []T, first, step, j, right int) float64 {
	v := float64(s[first+j*step])
	if j == right {
		v -= m.margin
	}
	return v * m.by
}

func (m softmaxLoss[T]) value(in [][]T) (float64, error) {
	var sum float64
	m.each(in[0], func(first, step, right int, logSum float64) {
		sum += logSum - m.z(in[0], first, step, right, right)
	})
	return m.weight * sum / float64(m.b), nil
}

func (m softmaxLoss[T]) gradient(in [][]T, grad float64, ds []T) {
	acc := make([]float64, len(ds))
	m.each(in[0], func(first, step, right int, logSum float64) {
		for j := range m.b {
			acc[first+j*step] += math.Exp(m.z(in[0], first, step, j, right) - logSum)
		}
		acc[first+right*step]--
	})
	f := grad * m.weight * m.by / float64(m.b)
	for i, v := range acc {
		ds[i] = T(f * v)
	}
}

// exactUnit is x rounded to so few bits that its multiples up to n are exact.
func exactUnit[T Float](x float64, n int) T {
	digits := 53
	if dtype[T]() == tensor.Float32 {
		digits = 24
	}
	frac, exp := math.Frexp(x)
	scale := math.Ldexp(1, digits-bits.Len(uint(n)))
	return T(math.Ldexp(math.RoundToEven(frac*scale)/scale, exp))
}
