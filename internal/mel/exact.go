package mel

import (
	"math"
	"math/big"
)

// The edges of a psf filterbank are floored to FFT bins, and the last of them
// misses a whole number by one rounding: an error of one unit in the last place
// moves a filter. math.Log10 and math.Pow err by that much now and then, so the
// few dozen values a filterbank needs are computed with 128 bits and rounded
// once, as good C libraries do.

const exactBits = 128

func bigConst(digits string) *big.Float {
	f, _, err := big.ParseFloat(digits, 10, exactBits, big.ToNearestEven)
	if err != nil {
		panic("mel: bad constant " + digits)
	}
	return f
}

func bigFloat(x float64) *big.Float { return new(big.Float).SetPrec(exactBits).SetFloat64(x) }

func bigLn2() *big.Float { return bigConst("0.693147180559945309417232121458176568075500134360255254") }
func bigLn10() *big.Float {
	return bigConst("2.302585092994045684017991454684364207601101488628772976")
}

// bigExp returns e^x for |x| < 700: the Taylor series of the remainder after
// whole multiples of ln 2.
func bigExp(x *big.Float) *big.Float {
	approx, _ := x.Float64()
	k := math.Round(approx / math.Ln2)
	r := new(big.Float).Sub(x, new(big.Float).Mul(bigFloat(k), bigLn2()))
	sum, term := bigFloat(1), bigFloat(1)
	for i := 1; i <= 30; i++ { // .35^30 / 30! < 2^-150
		term.Mul(term, r)
		term.Quo(term, bigFloat(float64(i)))
		sum.Add(sum, term)
	}
	return sum.SetMantExp(sum, int(k))
}

// log10 returns the decimal logarithm of x > 0, correctly rounded: one Newton
// step of second order on math.Log leaves an error of some 2^-150.
func log10(x float64) float64 {
	y := bigFloat(math.Log(x))
	e := new(big.Float).Mul(bigFloat(x), bigExp(new(big.Float).Neg(y)))
	e.Sub(e, bigFloat(1)) // x = e^y (1 + e), ln(1 + e) = e - e²/2 + ...
	y.Add(y, e)
	half := new(big.Float).Mul(e, e)
	y.Sub(y, half.Mul(half, bigFloat(.5)))
	out, _ := y.Quo(y, bigLn10()).Float64()
	return out
}

// exp10 returns 10^x, correctly rounded.
func exp10(x float64) float64 {
	out, _ := bigExp(new(big.Float).Mul(bigFloat(x), bigLn10())).Float64()
	return out
}
