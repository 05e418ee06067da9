package plot

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// span is the range of an axis; empty while lo > hi.
type span struct{ lo, hi float64 }

// spans returns the ranges of x and y over all curves.
func spans(curves []*curve) (xs, ys span) {
	xs = span{math.Inf(1), math.Inf(-1)}
	ys = xs
	for _, curve := range curves {
		for _, run := range curve.runs {
			for _, q := range run {
				xs = span{min(xs.lo, q.x), max(xs.hi, q.x)}
				ys = span{min(ys.lo, q.y), max(ys.hi, q.y)}
			}
		}
	}
	return xs, ys
}

// widened makes a range that an axis can show: of no points 0 to 1, of one
// value (or of values equal to nine digits, where labels would all read the
// same) a tenth of it to either side.
func (s span) widened() span {
	if s.lo > s.hi {
		return span{0, 1}
	}
	size := max(math.Abs(s.lo), math.Abs(s.hi))
	switch {
	case size < 1e-100:
		return span{-1, 1}
	case s.hi-s.lo <= 1e-9*size:
		return span{s.lo - 0.1*size, s.hi + 0.1*size}
	}
	return s
}

// within applies the ends the caller chose, and leaves a little air at those
// that are fitted, though never below zero for values that are not.
func (s span) within(lo, hi *float64) (span, error) {
	for _, end := range []*float64{lo, hi} {
		if end != nil && !(math.Abs(*end) <= farOut) {
			return s, fmt.Errorf("draw chart: %g cannot be the end of an axis", *end)
		}
	}
	if lo != nil && hi != nil && !(*lo < *hi) {
		return s, fmt.Errorf("draw chart: y axis from %g to %g is empty", *lo, *hi)
	}
	s = s.widened()
	air := 0.05 * (s.hi - s.lo)
	if s.lo < 0 || s.lo >= air {
		s.lo -= air
	} else {
		s.lo = 0
	}
	s.hi += air
	if lo != nil {
		s.lo = *lo
	}
	if hi != nil {
		s.hi = *hi
	}
	if s.lo >= s.hi { // all the data lie beyond the one end given
		size := max(1, math.Abs(s.lo), math.Abs(s.hi))
		if lo != nil {
			s.hi = s.lo + size
		} else {
			s.lo = s.hi - size
		}
	}
	return s.widened(), nil
}

// ticker places about so many labelled ticks at multiples of 1, 2 or 5 times a
// power of ten. It stands in for plot.DefaultTicks, which aims at three labels
// whatever the size, and can loop without end where a range is narrow against
// its distance from zero.
type ticker int

// Ticks implements plot.Ticker. It needs lo < hi, as span.widened ensures.
func (n ticker) Ticks(lo, hi float64) []plot.Tick {
	least := (hi - lo) / float64(n+1)
	exp := int(math.Floor(math.Log10(least)))
	mantissa := 1.0
	for _, m := range []float64{1, 2, 5, 10} {
		if mantissa = m; times10(m, exp) >= least {
			break
		}
	}
	if mantissa == 10 {
		mantissa, exp = 1, exp+1
	}
	step := times10(mantissa, exp)
	var ticks []plot.Tick
	const slack = 1e-9 // 0.7/0.1 is 6.999..., yet an axis to 0.7 has its tick there
	for k := math.Ceil(lo/step - slack); k <= math.Floor(hi/step+slack); k++ {
		v := min(max(times10(k*mantissa, exp), lo), hi)
		ticks = append(ticks, plot.Tick{Value: v, Label: label(v, exp, max(math.Abs(lo), math.Abs(hi)))})
	}
	return ticks
}

// logTicker does the same for an axis of decimal logarithms: ticks at powers of
// ten, and at twice and five times these where there is room for them.
type logTicker int

// Ticks implements plot.Ticker.
func (n logTicker) Ticks(lo, hi float64) []plot.Tick {
	first, last := math.Floor(lo), math.Ceil(hi)
	by, mantissas := max(1, math.Ceil((hi-lo)/float64(n))), []float64{1}
	if 3*(hi-lo) <= 2*float64(n) {
		mantissas = []float64{1, 2, 5}
	}
	var ticks []plot.Tick
	for exp := math.Ceil(first/by) * by; exp <= last; exp += by {
		for _, m := range mantissas {
			if v := exp + math.Log10(m); lo <= v && v <= hi {
				label := fmt.Sprintf("%ge%g", m, exp)
				if math.Abs(exp) < 5 {
					label = strconv.FormatFloat(times10(m, int(exp)), 'f', -1, 64)
				}
				ticks = append(ticks, plot.Tick{Value: v, Label: label})
			}
		}
	}
	return ticks
}

// times10 returns m·10^exp. Dividing for negative exponents gives the float
// nearest to 0.3 where 3·0.1 gives its neighbour.
func times10(m float64, exp int) float64 {
	if exp < 0 {
		return m / math.Pow10(-exp)
	}
	return m * math.Pow10(exp)
}

// label writes v to the digit at 10^exp, in scientific form where an axis up to
// size would need many zeros.
func label(v float64, exp int, size float64) string {
	if v == 0 {
		return "0"
	}
	if exp >= -6 && size < 1e7 {
		return strconv.FormatFloat(v, 'f', max(0, -exp), 64)
	}
	digits := int(math.Floor(math.Log10(math.Abs(v)))) - exp
	return strconv.FormatFloat(v, 'e', max(0, digits), 64)
}
