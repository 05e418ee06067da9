package main

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"
)

// evaluate computes outs for inputs x.
func evaluate(outs []*expr, x []float64) []float64 {
	known := map[*expr]float64{}
	var value func(e *expr) float64
	value = func(e *expr) float64 {
		if e == nil {
			return 0
		}
		if v, ok := known[e]; ok {
			return v
		}
		var v float64
		switch e.op {
		case input:
			v = x[e.in]
		case sum:
			v = value(e.a) + value(e.b)
		case diff:
			v = value(e.a) - value(e.b)
		case scaling:
			v = float64(e.k) * value(e.a)
		}
		known[e] = v
		return v
	}
	var all []float64
	for _, o := range outs {
		all = append(all, value(o))
	}
	return all
}

func randoms(n int) []float64 {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	x := make([]float64, n)
	for i := range x {
		x[i] = rnd.Float64() - .5
	}
	return x
}

func TestDFTNetwork(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48} {
		w := newNetwork()
		in := make([]*expr, n)
		for i := range in {
			in[i] = w.input(i)
		}
		var re, im []*expr
		for _, c := range w.dft(in) {
			re, im = append(re, c.re), append(im, c.im)
		}
		x := randoms(n)
		gotRe, gotIm := evaluate(re, x), evaluate(im, x)
		for q := range n {
			var want complex128
			for i, v := range x {
				want += complex(v, 0) * cmplx.Exp(complex(0, -2*math.Pi*float64(q*i%n)/float64(n)))
			}
			if d := cmplx.Abs(complex(gotRe[q], gotIm[q]) - want); d > 1e-6 { // factors are float32
				t.Errorf("%d points: element %d is off by %g", n, q, d)
			}
		}
	}
}

// The transposed network is the transpose: y·(F x) = (Ft y)·x.
func TestTranspose(t *testing.T) {
	w, to := newNetwork(), newNetwork()
	outs := square(w, 3, winogradG)
	var given []*expr
	for i := range outs {
		given = append(given, to.input(i))
	}
	x, y := randoms(9), randoms(36)
	back := evaluate(w.transpose(outs, given, to, 9), y)
	var forward, backward float64
	for i, v := range evaluate(outs, x) {
		forward += v * y[i]
	}
	for i, v := range back {
		backward += v * x[i]
	}
	if math.Abs(forward-backward) > 1e-12 {
		t.Errorf("y·(F x) = %v, (Ft y)·x = %v", forward, backward)
	}
}
