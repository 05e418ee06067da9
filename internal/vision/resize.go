package vision

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/kernel"
)

// A Filter is a way to resample.
type Filter int

// The filters, as Pillow defines them.
const (
	Bilinear Filter = iota // triangle of radius 1
	Bicubic                // cubic convolution of radius 2, a = -0.5
	Nearest                // the pixel under the centre
	Lanczos                // sinc of radius 3 under a sinc
	Box                    // the mean of what lies under the pixel
)

// filters are their names, how far they reach and what they weigh at a distance.
var filters = []struct {
	name    string
	support float64
	at      func(x float64) float64
}{
	Bilinear: {"bilinear", 1, triangle},
	Bicubic:  {"bicubic", 2, cubic},
	Nearest:  {"nearest", 0, nil},
	Lanczos:  {"lanczos", 3, lanczos},
	Box:      {"box", .5, box},
}

// Filters lists the names of the filters.
func Filters() []string {
	var names []string
	for _, f := range filters {
		names = append(names, f.name)
	}
	return names
}

// ParseFilter returns the filter called name, one of [Filters].
func ParseFilter(name string) (Filter, error) {
	if i := slices.Index(Filters(), name); i >= 0 {
		return Filter(i), nil
	}
	return 0, fmt.Errorf("filter %q is none of %s", name, strings.Join(Filters(), ", "))
}

// The conversions below keep compilers from fusing products and sums, which
// would change the last bit on arm64.

func triangle(x float64) float64 { return max(0, 1-math.Abs(x)) }

func cubic(x float64) float64 {
	x = math.Abs(x)
	const a = -0.5
	switch {
	case x < 1:
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return float64(float64(float64(float64(float64(float64(x-5)*x)+8)*x)-4) * a)
	}
	return 0
}

func lanczos(x float64) float64 {
	if x < -3 || x >= 3 {
		return 0
	}
	return float64(sinc(x) * sinc(x/3))
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// box has its left border outside, so that a pixel on the border of two counts
// once.
func box(x float64) float64 {
	if x > -.5 && x <= .5 {
		return 1
	}
	return 0
}

// Resize returns m stretched or shrunk to w x h, both at least 1: first across,
// then down, or the other way where that is what Pillow 13 does.
func Resize(m *RGB, w, h int, f Filter) *RGB {
	if w < 1 || h < 1 || m.W < 1 || m.H < 1 {
		panic(fmt.Sprintf("vision: resize %dx%d to %dx%d", m.W, m.H, w, h))
	}
	switch {
	case f == Nearest:
		return nearest(m, w, h)
	case w == m.W && h == m.H:
		return &RGB{m.W, m.H, slices.Clone(m.Pix)}
	case downFirst(m, w, h):
		return across(down(m, h, f), w, f)
	}
	return down(across(m, w, f), h, f)
}

// downFirst is Pillow's rule from version 13 on for pictures that become lower
// by far more than they become narrower (pull request 9549; the rule itself was
// found by 1,488 random sizes, whose pixels show the order: all obey it). Before,
// it went across first always; where the order differs, so does the rounding
// between.
func downFirst(m *RGB, w, h int) bool {
	return h < m.H && m.H-h > 2*(m.W-w)
}

func across(m *RGB, w int, f Filter) *RGB {
	if w == m.W {
		return m
	}
	out := NewRGB(w, m.H)
	kernel.ResampleAcross(out.Pix, m.Pix, m.W, m.H, weigh(m.W, w, f))
	return out
}

func down(m *RGB, h int, f Filter) *RGB {
	if h == m.H {
		return m
	}
	out := NewRGB(m.W, h)
	kernel.ResampleDown(out.Pix, m.Pix, 3*m.W, m.H, weigh(m.H, h, f))
	return out
}

// nearest adds up steps as Pillow's ImagingScaleAffine does, rounding errors
// included.
func nearest(m *RGB, w, h int) *RGB {
	xs, ys := steps(m.W, w), steps(m.H, h)
	out := NewRGB(w, h)
	for y, sy := range ys {
		for x, sx := range xs {
			copy(out.Pix[(y*w+x)*3:][:3], m.Pix[(sy*m.W+sx)*3:][:3])
		}
	}
	return out
}

func steps(in, out int) []int {
	scale := float64(in) / float64(out)
	pos := float64(scale * 0.5)
	s := make([]int, out)
	for i := range s {
		s[i] = min(int(pos), in-1)
		pos += scale
	}
	return s
}

// weigh returns the taps of each of out pixels (precompute_coeffs and
// normalize_coeffs_8bpc of Pillow's Resample.c).
func weigh(in, out int, f Filter) []kernel.Taps {
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	support := float64(filters[f].support * stretch)
	list := make([]kernel.Taps, out)
	var k []float64
	for i := range list {
		center := float64((float64(i) + 0.5) * scale)
		first := max(int(center-support+0.5), 0)
		last := min(int(center+support+0.5), in)
		k = k[:0]
		sum := 0.0
		for x := first; x < last; x++ {
			v := filters[f].at((float64(x) - center + 0.5) * (1 / stretch))
			k = append(k, v)
			sum += v
		}
		t := kernel.Taps{First: first, Weights: make([]int32, len(k))}
		for x, v := range k {
			if sum != 0 {
				v /= sum
			}
			t.Weights[x] = int32(math.Copysign(0.5, v) + float64(v*(1<<kernel.Precision)))
		}
		list[i] = t
	}
	return list
}

// ResizeShorter returns m resized so that its shorter side is size and its
// longer one int(size*long/short), as torchvision's Resize(size).
func ResizeShorter(m *RGB, size int, f Filter) *RGB {
	if m.W <= m.H {
		return Resize(m, size, size*m.H/m.W, f)
	}
	return Resize(m, size*m.W/m.H, size, f)
}

// Fit returns m, its shape kept, as large as it goes into w x h, in the middle
// of a picture of that size, the rest of which has one colour: Pillow's
// ImageOps.pad.
func Fit(m *RGB, w, h int, f Filter, around [3]uint8) *RGB {
	iw, ih := w, h
	if wide, want := float64(m.W)/float64(m.H), float64(w)/float64(h); wide > want {
		ih = max(1, int(math.RoundToEven(float64(m.H)/float64(m.W)*float64(w))))
	} else if wide < want {
		iw = max(1, int(math.RoundToEven(float64(m.W)/float64(m.H)*float64(h))))
	}
	m = Resize(m, iw, ih, f)
	if iw == w && ih == h {
		return m
	}
	out := NewRGB(w, h)
	for i := range out.Pix {
		out.Pix[i] = around[i%3]
	}
	x0, y0 := int(math.RoundToEven(float64(w-iw)/2)), int(math.RoundToEven(float64(h-ih)/2))
	for y := range ih {
		copy(out.Pix[((y0+y)*w+x0)*3:], m.Pix[y*iw*3:][:iw*3])
	}
	return out
}

// CenterCrop returns the w x h pixels in the middle of m, which must be at
// least as large; offsets of half a pixel are rounded to even, as torchvision.
func CenterCrop(m *RGB, w, h int) *RGB {
	if w > m.W || h > m.H || w < 1 || h < 1 {
		panic(fmt.Sprintf("vision: crop %dx%d out of %dx%d", w, h, m.W, m.H))
	}
	x0 := int(math.RoundToEven(float64(m.W-w) / 2))
	y0 := int(math.RoundToEven(float64(m.H-h) / 2))
	out := NewRGB(w, h)
	for y := range h {
		copy(out.Pix[y*w*3:][:w*3], m.Pix[((y0+y)*m.W+x0)*3:])
	}
	return out
}
