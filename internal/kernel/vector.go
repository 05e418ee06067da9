package kernel

import (
	"math"
	"unsafe"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// ReLU computes y = max(x, 0); NaN stays NaN. y may be x.
func ReLU[T Float](x, y []T) {
	checkLen("ReLU", "y", len(y), len(x))
	vectors(len(x), func(lo, hi int) {
		set, n := simdFor[T](hi - lo)
		if set != nil {
			set.ReLU(start(x[lo:]), start(y[lo:]), n)
		}
		for i := lo + n; i < hi; i++ {
			v := x[i]
			if v < 0 {
				v = 0
			}
			y[i] = v
		}
	})
}

// ReLUBackward computes dx = 0 where y <= 0 and dy elsewhere, y being the output
// of ReLU (or its input: the sign is the same). dx may be dy.
func ReLUBackward[T Float](y, dy, dx []T) {
	checkLen("ReLUBackward", "dy", len(dy), len(y))
	checkLen("ReLUBackward", "dx", len(dx), len(y))
	vectors(len(y), func(lo, hi int) {
		set, n := simdFor[T](hi - lo)
		if set != nil {
			set.ReLUBackward(start(y[lo:]), start(dy[lo:]), start(dx[lo:]), n)
		}
		for i := lo + n; i < hi; i++ {
			d := dy[i]
			if y[i] <= 0 {
				d = 0
			}
			dx[i] = d
		}
	})
}

// Axpy computes y += alpha*x.
func Axpy[T Float](alpha T, x, y []T) {
	checkLen("Axpy", "y", len(y), len(x))
	vectors(len(x), func(lo, hi int) {
		set, n := simdFor[T](hi - lo)
		if set != nil {
			set.Axpy(float32(alpha), start(x[lo:]), start(y[lo:]), n)
		}
		for i := lo + n; i < hi; i++ {
			y[i] += T(alpha * x[i])
		}
	})
}

// addInto computes y += x, for short rows.
func addInto[T Float](x, y []T) {
	set, n := simdFor[T](len(x))
	if set != nil {
		set.Add(start(x), start(y), n)
	}
	y = y[:len(x)]
	for i := n; i < len(x); i++ {
		y[i] += x[i]
	}
}

// An elementary is one function of one number: of vectors in assembly, and the
// same in plain Go, bit for bit.
type elementary struct {
	vector func(*simd.Set) func(x, y *float32, n int)
	single func(float32) float32
	double func(float64) float64
}

var (
	expOf     = elementary{func(s *simd.Set) func(x, y *float32, n int) { return s.Exp }, simd.Exp, math.Exp}
	logOf     = elementary{func(s *simd.Set) func(x, y *float32, n int) { return s.Log }, simd.Log, math.Log}
	tanhOf    = elementary{func(s *simd.Set) func(x, y *float32, n int) { return s.Tanh }, simd.Tanh, math.Tanh}
	sigmoidOf = elementary{func(s *simd.Set) func(x, y *float32, n int) { return s.Sigmoid }, simd.Sigmoid, sigmoid}
)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Exp computes y = e^x, Log its inverse, Tanh the hyperbolic tangent and Sigmoid
// 1/(1+e^-x). y may be x. float32 is within .51 units in the last place, the
// same bits on every path; float64 is package math's. NaN stays NaN; what is too
// large is Inf, what is too small 0; Log of 0 is -Inf and of less NaN.
func Exp[T Float](x, y []T)     { element(&expOf, "Exp", x, y) }
func Log[T Float](x, y []T)     { element(&logOf, "Log", x, y) }
func Tanh[T Float](x, y []T)    { element(&tanhOf, "Tanh", x, y) }
func Sigmoid[T Float](x, y []T) { element(&sigmoidOf, "Sigmoid", x, y) }

func element[T Float](f *elementary, name string, x, y []T) {
	checkLen(name, "y", len(y), len(x))
	if len(x) <= chunk { // allocates nothing, as a gate of a step must not
		elementPart(f, x, y[:len(x)])
		return
	}
	vectors(len(x), func(lo, hi int) { elementPart(f, x[lo:hi], y[lo:hi]) })
}

func elementPart[T Float](f *elementary, x, y []T) {
	set, n := simdFor[T](len(x))
	if set != nil {
		f.vector(set)(start(x), start(y), n)
	}
	y = y[:len(x)]
	if zero := T(0); unsafe.Sizeof(zero) == 4 {
		for i := n; i < len(x); i++ {
			y[i] = T(f.single(float32(x[i])))
		}
		return
	}
	for i := n; i < len(x); i++ {
		y[i] = T(f.double(float64(x[i])))
	}
}

// Scale computes x *= alpha.
func Scale[T Float](alpha T, x []T) {
	vectors(len(x), func(lo, hi int) {
		part := x[lo:hi]
		for i := range part {
			part[i] *= alpha
		}
	})
}

// Dot is the sum of x[i]*y[i], in float64, in an order that depends on the
// length alone.
func Dot[T Float](x, y []T) T {
	checkLen("Dot", "y", len(y), len(x))
	return T(reduce(len(x), func(lo, hi int) float64 {
		var s [4]float64
		a, b := x[lo:hi], y[lo:hi]
		for ; len(a) >= 4; a, b = a[4:], b[4:] {
			s[0] += float64(a[0]) * float64(b[0])
			s[1] += float64(a[1]) * float64(b[1])
			s[2] += float64(a[2]) * float64(b[2])
			s[3] += float64(a[3]) * float64(b[3])
		}
		for i, v := range a {
			s[i] += float64(v) * float64(b[i])
		}
		return (s[0] + s[1]) + (s[2] + s[3])
	}))
}

// Sum is the sum of x, in float64, in an order that depends on the length
// alone.
func Sum[T Float](x []T) T {
	return T(reduce(len(x), func(lo, hi int) float64 {
		var s [4]float64
		a := x[lo:hi]
		for ; len(a) >= 4; a = a[4:] {
			s[0] += float64(a[0])
			s[1] += float64(a[1])
			s[2] += float64(a[2])
			s[3] += float64(a[3])
		}
		for i, v := range a {
			s[i] += float64(v)
		}
		return (s[0] + s[1]) + (s[2] + s[3])
	}))
}

// reduce adds up the parts of 0..n, chunk by chunk, in their order.
func reduce(n int, part func(lo, hi int) float64) float64 {
	parts := make([]float64, ceilDiv(n, chunk))
	Parallel(len(parts), func(i int) {
		parts[i] = part(i*chunk, min(n, (i+1)*chunk))
	})
	var s float64
	for _, v := range parts {
		s += v
	}
	return s
}

// Max is the largest of x and its first place; a NaN is larger than all. It
// panics if x is empty.
func Max[T Float](x []T) (value T, at int) {
	checkLen("Max", "x", len(x), 1)
	value = x[0]
	for i, v := range x {
		if value != value {
			break
		}
		if v > value || v != v {
			value, at = v, i
		}
	}
	return value, at
}

// AddBias adds bias to each of the rows of x, which are len(bias) long.
func AddBias[T Float](rows int, x, bias []T) {
	n := len(bias)
	checkLen("AddBias", "x", len(x), rows*n)
	eachRows(rows, n, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			addInto(bias, x[r*n:(r+1)*n])
		}
	})
}

// biasRows is how many rows are added up before their sum is: it keeps the
// rounding of a long float32 column near that of pairwise summation.
const biasRows = 128

// BiasGrad computes db[j], the sum of column j of dy, which has rows rows of n
// values. db is overwritten.
func BiasGrad[T Float](rows, n int, dy, db []T) {
	checkLen("BiasGrad", "dy", len(dy), rows*n)
	checkLen("BiasGrad", "db", len(db), n)
	blocks := ceilDiv(rows, biasRows)
	buf := getBuf[T](&colPool, blocks*n)
	defer putBuf(&colPool, buf)
	parallelIf(rows*n, blocks, func(i int) {
		sum := (*buf)[i*n : (i+1)*n]
		clear(sum)
		for r := i * biasRows; r < min(rows, (i+1)*biasRows); r++ {
			addInto(dy[r*n:(r+1)*n], sum)
		}
	})
	db = db[:n]
	clear(db)
	for i := range blocks {
		addInto((*buf)[i*n:(i+1)*n], db)
	}
}

// eachRows cuts rows of n values into fixed chunks and runs them in parallel.
func eachRows(rows, n int, f func(lo, hi int)) {
	step := max(1, chunk/max(1, n))
	Parallel(ceilDiv(rows, step), func(i int) { f(i*step, min(rows, (i+1)*step)) })
}

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
