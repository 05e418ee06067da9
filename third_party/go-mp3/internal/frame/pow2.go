package frame

import "math"

// Not of go-mp3 0.3.4, see CHANGES.md: requantize calls for a power of two at
// each spectral line, and all it calls for have a multiple of a quarter as
// exponent.

// powtab2 has 2^(i/4), from i = powtab2Min on: more than scale factors and gains
// of a stream can add up to, which is from -97.5 to 11.25.
var powtab2 [480]float64

const powtab2Min = -430

func init() {
	for i := range powtab2 {
		powtab2[i] = math.Pow(2, float64(i+powtab2Min)/4)
	}
}

// pow2 is math.Pow(2, x) for multiples of a quarter, to the bit.
func pow2(x float64) float64 {
	if i := int(4*x) - powtab2Min; uint(i) < uint(len(powtab2)) {
		return powtab2[i]
	}
	return math.Pow(2, x)
}
