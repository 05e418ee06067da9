package main

import "math"

// A network is a linear function written as additions and products by
// constants, each done once: nodes that would be equal are one.
type network struct {
	made map[exprKey]*expr
	all  []*expr // operands before what is made of them
}

// An expr is a node. A nil *expr is zero.
type expr struct {
	exprKey
	id int
}

type exprKey struct {
	op   exprOp
	a, b *expr
	k    float32 // the factor of a scaling
	in   int     // the number of an input
}

type exprOp int

const (
	input   exprOp = iota
	sum            // a + b
	diff           // a - b
	scaling        // k*a, k > 0 or k = -1
	fma            // a + k*b: made only when code is written
	fnma           // a - k*b
	fms            // k*b - a
)

func newNetwork() *network { return &network{made: map[exprKey]*expr{}} }

func (w *network) node(k exprKey) *expr {
	if e := w.made[k]; e != nil {
		return e
	}
	e := &expr{exprKey: k, id: len(w.all)}
	w.made[k] = e
	w.all = append(w.all, e)
	return e
}

func (w *network) input(i int) *expr { return w.node(exprKey{op: input, in: i}) }

func (e *expr) negated() bool { return e.op == scaling && e.k == -1 }

func (w *network) neg(a *expr) *expr {
	switch {
	case a == nil:
		return nil
	case a.negated():
		return a.a
	}
	return w.node(exprKey{op: scaling, a: a, k: -1})
}

func (w *network) add(a, b *expr) *expr {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case b.negated():
		return w.sub(a, b.a)
	case a.negated():
		return w.sub(b, a.a)
	case a.id > b.id:
		a, b = b, a
	}
	return w.node(exprKey{op: sum, a: a, b: b})
}

func (w *network) sub(a, b *expr) *expr {
	switch {
	case a == b:
		return nil
	case a == nil:
		return w.neg(b)
	case b == nil:
		return a
	case b.negated():
		return w.add(a, b.a)
	case a.negated():
		return w.neg(w.add(a.a, b))
	}
	if e := w.made[exprKey{op: diff, a: b, b: a}]; e != nil {
		return w.neg(e)
	}
	return w.node(exprKey{op: diff, a: a, b: b})
}

// scale is k*a. Factors within rounding of -1, 0 and 1 are those.
func (w *network) scale(k float64, a *expr) *expr {
	const tiny = 1e-12
	switch {
	case a == nil || math.Abs(k) < tiny:
		return nil
	case math.Abs(k-1) < tiny:
		return a
	case k < 0:
		return w.neg(w.scale(-k, a))
	case a.negated():
		return w.neg(w.scale(k, a.a))
	}
	return w.node(exprKey{op: scaling, a: a, k: float32(k)})
}

// A cx is a complex number of two nodes.
type cx struct{ re, im *expr }

func (w *network) conj(x cx) cx    { return cx{x.re, w.neg(x.im)} }
func (w *network) addC(x, y cx) cx { return cx{w.add(x.re, y.re), w.add(x.im, y.im)} }
func (w *network) subC(x, y cx) cx { return cx{w.sub(x.re, y.re), w.sub(x.im, y.im)} }

// turn is x·exp(-2πi·k/n).
func (w *network) turn(x cx, k, n int) cx {
	sin, cos := math.Sincos(-2 * math.Pi * float64(k%n) / float64(n))
	if x.re != nil && x.im != nil && math.Abs(math.Abs(sin)-math.Abs(cos)) < 1e-12 { // an odd eighth: 2 products
		u, v := w.sub(x.re, x.im), w.add(x.re, x.im)
		if sin*cos < 0 {
			return cx{w.scale(cos, v), w.scale(cos, w.sub(x.im, x.re))}
		}
		return cx{w.scale(cos, u), w.scale(cos, v)}
	}
	return cx{
		w.sub(w.scale(cos, x.re), w.scale(sin, x.im)),
		w.add(w.scale(cos, x.im), w.scale(sin, x.re)),
	}
}

// small is the DFT of 2, 3 or 4 points.
func (w *network) small(x []cx) []cx {
	switch len(x) {
	case 2:
		return []cx{w.addC(x[0], x[1]), w.subC(x[0], x[1])}
	case 3:
		s, d := w.addC(x[1], x[2]), w.subC(x[1], x[2])
		mid := w.subC(x[0], cx{w.scale(.5, s.re), w.scale(.5, s.im)})
		h := math.Sqrt(3) / 2
		side := cx{w.scale(h, d.im), w.neg(w.scale(h, d.re))} // -i·h·d
		return []cx{w.addC(x[0], s), w.addC(mid, side), w.subC(mid, side)}
	case 4:
		s, d := w.addC(x[0], x[2]), w.subC(x[0], x[2])
		t, e := w.addC(x[1], x[3]), w.subC(x[1], x[3])
		turned := cx{e.im, w.neg(e.re)} // -i·e
		return []cx{w.addC(s, t), w.addC(d, turned), w.subC(s, t), w.subC(d, turned)}
	}
	panic("gen: no DFT of this size")
}

// dft is the DFT of real x by decimation in time: len(x) is 2^a or 3·2^a.
// Element n-k is made the conjugate of element k.
func (w *network) dft(x []*expr) []cx {
	n := len(x)
	if n == 1 {
		return []cx{{x[0], nil}}
	}
	p := 3
	if n%4 == 0 {
		p = 4
	} else if n%2 == 0 {
		p = 2
	}
	m := n / p
	parts := make([][]cx, p)
	for r := range parts {
		var part []*expr
		for i := r; i < n; i += p {
			part = append(part, x[i])
		}
		parts[r] = w.dft(part)
	}
	out, set := make([]cx, n), make([]bool, n)
	put := func(i int, v cx) {
		if !set[i] {
			out[i], set[i] = v, true
		}
	}
	for k := 0; k <= m/2; k++ {
		t := make([]cx, p)
		for r := range t {
			t[r] = w.turn(parts[r][k], r*k, n)
		}
		for q, v := range w.small(t) {
			put(k+q*m, v)
			put((n-k-q*m)%n, w.conj(v))
		}
	}
	return out
}

// transpose gives, for the function from inputs to outs, the transposed one of
// given, one node for each of outs: result i belongs to input i of w. given are
// nodes of to.
func (w *network) transpose(outs, given []*expr, to *network, inputs int) []*expr {
	grad := make([]*expr, len(w.all))
	for i, o := range outs {
		if o != nil {
			grad[o.id] = to.add(grad[o.id], given[i])
		}
	}
	result := make([]*expr, inputs)
	for id := len(w.all) - 1; id >= 0; id-- {
		e, d := w.all[id], grad[id]
		switch e.op {
		case input:
			result[e.in] = d
		case sum:
			grad[e.a.id] = to.add(grad[e.a.id], d)
			grad[e.b.id] = to.add(grad[e.b.id], d)
		case diff:
			grad[e.a.id] = to.add(grad[e.a.id], d)
			grad[e.b.id] = to.sub(grad[e.b.id], d)
		case scaling:
			grad[e.a.id] = to.add(grad[e.a.id], to.scale(float64(e.k), d))
		}
	}
	return result
}
