package spectra

import "math"

// Log sets x[i] to the natural logarithm of x[i], or that of to where
// x[i] <= at: a floor, or what takes the place of zero. Numbers must then be
// positive, finite and not subnormal. Results are within two units in the last
// place, near 1 a few 2^-55. len(x) must be a multiple of the lanes.
func (l Lanes) Log(x []float64, at, to float64) {
	if l.set != nil {
		if n := len(x) / l.N; n > 0 {
			l.set.Log(&x[0], at, to, n)
		}
		return
	}
	for i, v := range x {
		if v <= at {
			v = to
		}
		x[i] = log(v)
	}
}

// log of x = 2^k*m, m from the root of 1/2 to that of 2, is, with
// s = (m-1)/(m+1),
//
//	k*ln 2 + s*(2 + 2/3 s² + 2/5 s⁴ … + 2/21 s²⁰)
//
// to a relative 2e-17 before rounding.
func log(v float64) float64 {
	const rootHalf = 0x3fe6a09e00000000 // about the root of 1/2
	b := math.Float64bits(v) + 1023<<52 - rootHalf
	k := float64(int(b>>52) - 1023)
	m := math.Float64frombits(b&(1<<52-1) + rootHalf)
	s := (m - 1) / (m + 1)
	z := s * s
	p := math.FMA(2./21, z, 2./19)
	p = math.FMA(p, z, 2./17)
	p = math.FMA(p, z, 2./15)
	p = math.FMA(p, z, 2./13)
	p = math.FMA(p, z, 2./11)
	p = math.FMA(p, z, 2./9)
	p = math.FMA(p, z, 2./7)
	p = math.FMA(p, z, 2./5)
	p = math.FMA(p, z, 2./3)
	p = float64(p*z) + 2
	return math.FMA(k, math.Ln2, p*s)
}
