package simd

import "math"

// The functions of this file are what the assembly of their names computes,
// operation by operation, so that both give the same bits: float64 between a
// float32 and a float32, sums and products fused where math.FMA says so. Results
// are within .51 units in the last place, and the exact value's neighbours only
// where it lies so near the middle between them; overflow, underflow and numbers
// that are not normal come out as that one rounding has it.

// power is scale and p, the factors of e^y = scale*(1+p), y being cut off at
// ±105, where float32 has long reached its limits. With k the nearest integer to
// y/ln 2 and r = y - k*ln 2, |r| <= .347, scale is 2^k and p = e^r - 1, the
// Taylor series to r^8: to a relative 6e-10.
func power(y float64) (scale, p float64) {
	const (
		limit = 105
		magic = 3 << 51 // adding it rounds to an integer, which the low bits then hold
	)
	if y > limit {
		y = limit
	}
	if y < -limit {
		y = -limit
	}
	k := math.FMA(y, 1/math.Ln2, magic)
	scale = math.Float64frombits(math.Float64bits(k)<<52 + 1023<<52)
	k -= magic
	r := math.FMA(-k, math.Ln2, y)
	p = math.FMA(1./40320, r, 1./5040)
	p = math.FMA(p, r, 1./720)
	p = math.FMA(p, r, 1./120)
	p = math.FMA(p, r, 1./24)
	p = math.FMA(p, r, 1./6)
	p = math.FMA(p, r, 1./2)
	p = math.FMA(p, r, 1)
	return scale, p * r
}

// Exp is e^x.
func Exp(x float32) float32 {
	scale, p := power(float64(x))
	return float32(math.FMA(p, scale, scale))
}

// Sigmoid is 1/(1+e^-x).
func Sigmoid(x float32) float32 {
	scale, p := power(-float64(x))
	return float32(1 / (1 + math.FMA(p, scale, scale)))
}

// Tanh is the hyperbolic tangent of x, e/(2+e) with e = e^2|x| - 1 and the sign
// of x.
func Tanh(x float32) float32 {
	y := math.Abs(float64(x))
	scale, p := power(y + y)
	e := math.FMA(p, scale, scale-1)
	return float32(math.Copysign(e/(e+2), float64(x)))
}

// Log is the natural logarithm of x: -Inf for 0, NaN for less. With
// x = 2^k*m, m from the root of 1/2 to that of 2, and s = (m-1)/(m+1) it is
//
//	k*ln 2 + 2*(s + s^3/3 + s^5/5 … + s^11/11)
//
// to a relative 6e-11. Every float32 but 0 is a normal float64.
func Log(x float32) float32 {
	const rootHalf = 0x3fe6a09e00000000
	v := float64(x)
	switch {
	case v < 0:
		return float32(math.NaN())
	case v == 0:
		return float32(math.Inf(-1))
	case !(v < math.Inf(1)):
		return x
	}
	b := math.Float64bits(v) + 1023<<52 - rootHalf
	k := float64(int(b>>52) - 1023)
	m := math.Float64frombits(b&(1<<52-1) + rootHalf)
	s := (m - 1) / (m + 1)
	z := s * s
	p := math.FMA(2./11, z, 2./9)
	p = math.FMA(p, z, 2./7)
	p = math.FMA(p, z, 2./5)
	p = math.FMA(p, z, 2./3)
	p = math.FMA(p, z, 2)
	return float32(math.FMA(k, math.Ln2, p*s))
}
