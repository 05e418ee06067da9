package kernel

import "math"

// AdamStep does one step of Adam (Kingma and Ba, 2015, algorithm 1, with the
// bias correction folded as in PyTorch) on the weights w with gradient g; m and
// v are the running moments, t counts steps from 1:
//
//	m = beta1*m + (1-beta1)*g
//	v = beta2*v + (1-beta2)*g²
//	w -= lr/(1-beta1^t) * m / (sqrt(v)/sqrt(1-beta2^t) + eps)
//
// The result is the same on every path of one CPU family.
func AdamStep[T Float](w, g, m, v []T, lr, beta1, beta2, eps float64, t int) {
	const fn = "AdamStep"
	checkLen(fn, "t", t, 1)
	checkLen(fn, "g", len(g), len(w))
	checkLen(fn, "m", len(m), len(w))
	checkLen(fn, "v", len(v), len(w))
	c := adamConsts[T]{
		T(beta1), T(1 - beta1), T(beta2), T(1 - beta2),
		T(lr / (1 - math.Pow(beta1, float64(t)))),
		T(1 / math.Sqrt(1-math.Pow(beta2, float64(t)))),
		T(eps),
	}
	vectors(len(w), func(lo, hi int) {
		set, n := simdFor[T](hi - lo)
		if set != nil {
			set.Adam(start(w[lo:]), start(g[lo:]), start(m[lo:]), start(v[lo:]), n, start(c[:]))
		}
		adamPlain(w[lo+n:hi], g[lo+n:hi], m[lo+n:hi], v[lo+n:hi], &c)
	})
}

// adamConsts are beta1, 1-beta1, beta2, 1-beta2, rate, scale and eps.
type adamConsts[T Float] [7]T

// adamPlain rounds after every operation (the conversions forbid fusing), as
// the assembly does.
func adamPlain[T Float](w, g, m, v []T, c *adamConsts[T]) {
	beta1, rest1, beta2, rest2, rate, scale, eps := c[0], c[1], c[2], c[3], c[4], c[5], c[6]
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i, d := range g {
		mi := T(beta1*m[i]) + T(rest1*d)
		vi := T(beta2*v[i]) + T(rest2*T(d*d))
		m[i], v[i] = mi, vi
		root := T(math.Sqrt(float64(vi)))
		w[i] -= T(rate*mi) / (T(root*scale) + eps)
	}
}
