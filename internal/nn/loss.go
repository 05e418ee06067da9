package nn

import (
	"fmt"
	"math"
	"math/bits"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Hinge is the mean margin loss over all B(B-1) ordered pairs of the
// similarities s [B][B], rows images, columns speech:
//
//	L = 1/(B(B-1)) Σ_{i≠j} max(0, margin + s[i,j] - s[i,i]) + max(0, margin + s[j,i] - s[i,i])
//
// Embeddings that have collapsed to a point give exactly 2*margin at any B.
// The gradient of a term that is exactly 0 is 0.
func (g *Graph[T]) Hinge(s *Node, margin float64) *Node {
	shape := g.shape("hinge: similarities", s, 2)
	b := shape[0]
	if g.err == nil && (b < 2 || shape[1] != b) {
		g.fail(fmt.Errorf("hinge: similarities of %v, want a square of at least 2", shape))
	}
	if g.err != nil {
		return nil
	}
	share := 1 / (float64(b) * float64(b-1))
	return g.apply(&op[T]{
		name: "hinge all pairs mean", fail: g.Err,
		do: func(out []T, in [][]T) error {
			var sum float64
			eachTerm(in[0], b, margin, func(_, _ int, v float64) { sum += v })
			out[0] = T(sum * share)
			return nil
		},
		diff: func(o *op[T], in gorgonia.Nodes, _, grad *Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.gradient(o, &op[T]{
				name: "d/ds hinge all pairs mean", shape: in[0].Shape(), fail: g.Err,
				do: func(ds []T, in [][]T) error {
					// Whole numbers of terms, rounded once: where all terms count,
					// the sum of a column must not drift from its true 0.
					unit := exactUnit[T](share*float64(in[1][0]), 2*(b-1))
					clear(ds)
					eachTerm(in[0], b, margin, func(at, own int, _ float64) {
						ds[at]++
						ds[own]--
					})
					for i, terms := range ds {
						ds[i] = terms * unit
					}
					return nil
				},
			}, in[0], grad)}
		},
	}, s)
}

// eachTerm calls f for every positive term: at is the impostor's place in s,
// own that of the true pair.
func eachTerm[T Float](s []T, b int, margin float64, f func(at, own int, v float64)) {
	for i := range b {
		own := i*b + i
		for j := range b {
			if i == j {
				continue
			}
			for _, at := range [2]int{i*b + j, j*b + i} {
				if v := margin + float64(s[at]) - float64(s[own]); v > 0 || v != v {
					f(at, own, v)
				}
			}
		}
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
