package spectra

import "math"

// An oddRadix is what a pass of an odd number of points needs, 2*half + 1: the
// points n and R-n of a butterfly are added and subtracted first, which leaves
// of its matrix of cosines and of that of sines a quarter each,
//
//	X[k], X[R-k] = x[0] + sum of cos (x[n]+x[R-n]) ∓ i sum of sin (x[n]-x[R-n])
//
// with n and k in 1..half. Above 5 that is done as plain sums, about R
// multiply-adds a point.
type oddRadix struct {
	half    int
	factors []float64 // cos and sin of 2 pi k n/R, by k, n
	tmp     []float64 // sums and differences, by n
}

// maxRadix is the largest prime that is a pass. Thereabouts its sums take as long
// as a convolution does, measured on Zen 5 with AVX-512 and AVX2.
const maxRadix = 127

func newOddRadix(l Lanes, radix int) oddRadix {
	r := oddRadix{half: radix / 2}
	angles := newRotations(radix)
	for k, cos := range angles.cos {
		for n, c := range cos {
			r.factors = append(r.factors, c, angles.sin[k][n])
		}
	}
	r.tmp = make([]float64, 4*r.half*l.N)
	return r
}

func (f *stockham) passOdd(p *pass, x, y []float64) {
	o := &p.odd
	if set := f.lanes.set; set != nil {
		vector := 2 * 8 * f.lanes.N
		set.PassOdd(&x[0], &y[0], &p.twiddle[0], &o.factors[0], &o.tmp[0], p.s*p.m*vector, p.s*vector, p.s, p.m, o.half)
		return
	}
	for j := range p.m {
		w := p.twiddle[j*(p.radix-1)*2:]
		for q := range p.s {
			o.butterfly(func(i int) complexPair { return point(x, q+p.s*(j+i*p.m)) }, func(i int, v complexPair) {
				if i > 0 {
					v = v.turn(w[2*(i-1):])
				}
				at := q + p.s*(p.radix*j+i)
				y[2*at], y[2*at+1] = v.re, v.im
			})
		}
	}
}

// butterfly transforms the points that get gives.
func (o *oddRadix) butterfly(get func(i int) complexPair, put func(i int, v complexPair)) {
	first := get(0)
	total := first
	for n := range o.half {
		a, b := get(n+1), get(2*o.half-n)
		sum, d := a.add(b), a.sub(b)
		copy(o.tmp[4*n:], []float64{sum.re, sum.im, d.re, d.im})
		total = total.add(sum)
	}
	put(0, total)
	for k := range o.half {
		even, odd := first, complexPair{}
		for n, w := 0, o.factors[2*o.half*k:][:2*o.half]; n < o.half; n++ {
			t := o.tmp[4*n:][:4]
			even = complexPair{math.FMA(w[2*n], t[0], even.re), math.FMA(w[2*n], t[1], even.im)}
			odd = complexPair{math.FMA(w[2*n+1], t[2], odd.re), math.FMA(w[2*n+1], t[3], odd.im)}
		}
		put(k+1, even.addTurned(odd))
		put(2*o.half-k, even.subTurned(odd))
	}
}
