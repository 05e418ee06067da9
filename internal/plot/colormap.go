package plot

import (
	"fmt"
	"image/color"
	"math"
)

// A colour map has shades from low to high and one more for NaN, so that a
// picture fits the 256 colours of a paletted PNG.
const (
	shades   = 255
	nanShade = 255
)

// stops are ten evenly spaced colours of viridis (S. van der Walt, N. Smith,
// 2015; in the public domain), whose lightness grows evenly and which reads the
// same for colour-blind eyes and in grey print. Between them straight lines in
// sRGB; TestColorMapIsPerceptual holds them to what matters, the lightness.
var stops = [...][3]int{
	{0x44, 0x01, 0x54}, {0x48, 0x28, 0x78}, {0x3e, 0x4a, 0x89}, {0x31, 0x68, 0x8e}, {0x26, 0x82, 0x8e},
	{0x1f, 0x9e, 0x89}, {0x35, 0xb7, 0x79}, {0x6d, 0xcd, 0x59}, {0xb4, 0xde, 0x2c}, {0xfd, 0xe7, 0x25},
}

// colorMap returns the palette: shades from low to high, then grey for NaN.
// Integer arithmetic, so that it is one table on every machine.
func colorMap() color.Palette {
	p := make(color.Palette, shades+1)
	for i := range shades {
		const pieces = len(stops) - 1
		at := i * pieces
		k := min(at/(shades-1), pieces-1)
		part := at - k*(shades-1) // of shades-1
		var c [3]uint8
		for ch := range c {
			a, b := stops[k][ch], stops[k+1][ch]
			c[ch] = uint8((a*(shades-1-part) + b*part + (shades-1)/2) / (shades - 1))
		}
		p[i] = color.RGBA{R: c[0], G: c[1], B: c[2], A: 0xff}
	}
	p[nanShade] = color.RGBA{R: 0x99, G: 0x99, B: 0x99, A: 0xff}
	return p
}

// scale maps values to 0..1 between lo and hi.
type scale struct{ lo, hi float64 }

// newScale fits a scale to the finite values; ends given replace the fitted.
func newScale(values []float64, lo, hi *float64) (scale, error) {
	for _, end := range []*float64{lo, hi} {
		if end != nil && (math.IsNaN(*end) || math.IsInf(*end, 0)) {
			return scale{}, fmt.Errorf("%g cannot be the end of a colour scale", *end)
		}
	}
	if lo != nil && hi != nil && *lo > *hi {
		return scale{}, fmt.Errorf("colour scale from %g to %g is empty", *lo, *hi)
	}
	s := scale{math.Inf(1), math.Inf(-1)}
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			s = scale{min(s.lo, v), max(s.hi, v)}
		}
	}
	if s.lo > s.hi {
		s = scale{0, 0}
	}
	if lo != nil {
		s = scale{*lo, max(*lo, s.hi)}
	}
	if hi != nil {
		s = scale{min(s.lo, *hi), *hi}
	}
	return s, nil
}

// level returns where v lies between s.lo and s.hi, from 0 to 1, and NaN for
// NaN. On a scale of no width everything at its one value is in the middle:
// neither low nor high is true of it.
func (s scale) level(v float64) float64 {
	switch {
	case math.IsNaN(v):
		return v
	case v < s.lo:
		return 0
	case v > s.hi:
		return 1
	case s.lo == s.hi:
		return 0.5
	}
	if width := s.hi - s.lo; !math.IsInf(width, 0) {
		return (v - s.lo) / width
	}
	return (v/2 - s.lo/2) / (s.hi/2 - s.lo/2)
}

// shade returns the colour map's index for v.
func (s scale) shade(v float64) uint8 {
	t := s.level(v)
	if math.IsNaN(t) {
		return nanShade
	}
	return uint8(float64(t*(shades-1)) + 0.5) // the conversion forbids a fused multiply-add
}
