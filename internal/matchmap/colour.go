package matchmap

import (
	"image"
	"image/color"
	"math"

	"github.com/hearsight/hearsight/internal/vision"
)

// stops are nine evenly spaced colours of inferno (S. van der Walt, N. Smith,
// 2015; in the public domain): lightness grows evenly, also for colour-blind eyes.
var stops = [...]color.RGBA{
	{0x00, 0x00, 0x04, 0xff}, {0x21, 0x0c, 0x4a, 0xff}, {0x57, 0x10, 0x6e, 0xff}, {0x8a, 0x22, 0x6a, 0xff}, {0xbc, 0x37, 0x54, 0xff},
	{0xe3, 0x59, 0x33, 0xff}, {0xf9, 0x8e, 0x09, 0xff}, {0xf9, 0xc9, 0x32, 0xff}, {0xfc, 0xff, 0xa4, 0xff},
}

// levels are the steps of the scale: fewer are seen as bands, more make an
// animation large.
const levels = 64

// most is how much of the photo the highest match covers.
const most = .78

// heat are the colours of the scale, not premultiplied: from nothing at its low
// end to most of what lies below.
var heat = func() (out [levels]color.NRGBA) {
	for i := range out {
		l := float64(i) / (levels - 1)
		at := l * float64(len(stops)-1)
		k := min(int(at), len(stops)-2)
		part := at - float64(k)
		mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-part) + float64(b)*part)) }
		a, b := stops[k], stops[k+1]
		out[i] = color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), uint8(math.Round(255 * most * l))}
	}
	return out
}()

// A scale maps matches to levels.
type scale struct{ lo, hi float64 }

// level is the colour's number of v: 0 at lo and below, levels-1 at hi and above.
func (s scale) level(v float64) int {
	if !(v > s.lo) || !(s.hi > s.lo) {
		return 0
	}
	return min(levels-1, int(math.Round((v-s.lo)/(s.hi-s.lo)*(levels-1))))
}

// under returns the photo, as large as the heat, with the heat laid over it.
func under(photo *vision.RGB, values []float64, s scale) *image.RGBA {
	out := photo.Image()
	for i, v := range values {
		c := heat[s.level(v)]
		a := int(c.A)
		px := out.Pix[4*i:][:3]
		for k, top := range [3]uint8{c.R, c.G, c.B} {
			px[k] = uint8((int(px[k])*(255-a) + int(top)*a + 127) / 255)
		}
	}
	return out
}
