package vision

import (
	"fmt"
	"math"
)

// A Filter is a way to resample.
type Filter int

// The filters, as Pillow defines them.
const (
	Bilinear Filter = iota // triangle of radius 1
	Bicubic                // cubic convolution of radius 2, a = -0.5
	Nearest                // the pixel under the centre
)

// ParseFilter returns the filter called name: bilinear, bicubic or nearest.
func ParseFilter(name string) (Filter, error) {
	for f, n := range map[Filter]string{Bilinear: "bilinear", Bicubic: "bicubic", Nearest: "nearest"} {
		if n == name {
			return f, nil
		}
	}
	return 0, fmt.Errorf("filter %q is none of bilinear, bicubic, nearest", name)
}

func (f Filter) support() float64 {
	if f == Bicubic {
		return 2
	}
	return 1
}

// at is the filter's weight at distance x. The conversions keep compilers from
// fusing products and sums, which would change the last bit on arm64.
func (f Filter) at(x float64) float64 {
	x = math.Abs(x)
	if f == Bilinear {
		return max(0, 1-x)
	}
	const a = -0.5
	switch {
	case x < 1:
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return float64(float64(float64(float64(float64(float64(x-5)*x)+8)*x)-4) * a)
	}
	return 0
}

// Resize returns m stretched or shrunk to w x h, both at least 1.
func Resize(m *RGB, w, h int, f Filter) *RGB {
	if w < 1 || h < 1 || m.W < 1 || m.H < 1 {
		panic(fmt.Sprintf("vision: resize %dx%d to %dx%d", m.W, m.H, w, h))
	}
	if f == Nearest {
		return nearest(m, w, h)
	}
	out := m
	if w != m.W {
		out = across(out, w, f)
	}
	if h != m.H {
		out = down(out, h, f)
	}
	if out == m {
		out = &RGB{m.W, m.H, append([]uint8(nil), m.Pix...)}
	}
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
	pos := scale * 0.5
	s := make([]int, out)
	for i := range s {
		s[i] = min(int(pos), in-1)
		pos += scale
	}
	return s
}

// precision is the number of fractional bits of a weight: 32 less 8 for the
// pixel and 2 for the overshoot of bicubic (Pillow, Resample.c).
const precision = 32 - 8 - 2

// taps are the weights that make one pixel of the output from the pixels of
// the input that begin at first.
type taps struct {
	first   int
	weights []int32
}

// weigh returns the taps of each of out pixels (precompute_coeffs and
// normalize_coeffs_8bpc of Pillow's Resample.c).
func weigh(in, out int, f Filter) []taps {
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	support := f.support() * stretch
	list := make([]taps, out)
	var k []float64
	for i := range list {
		center := (float64(i) + 0.5) * scale
		first := max(int(center-support+0.5), 0)
		last := min(int(center+support+0.5), in)
		k = k[:0]
		sum := 0.0
		for x := first; x < last; x++ {
			v := f.at((float64(x) - center + 0.5) * (1 / stretch))
			k = append(k, v)
			sum += v
		}
		t := taps{first: first, weights: make([]int32, len(k))}
		for x, v := range k {
			if sum != 0 {
				v /= sum
			}
			t.weights[x] = int32(math.Copysign(0.5, v) + float64(v*(1<<precision)))
		}
		list[i] = t
	}
	return list
}

const half = 1 << (precision - 1)

func clip(v int32) uint8 { return uint8(min(max(v>>precision, 0), 255)) }

func across(m *RGB, w int, f Filter) *RGB {
	out := NewRGB(w, m.H)
	list := weigh(m.W, w, f)
	for y := range m.H {
		src, dst := m.Pix[y*m.W*3:][:m.W*3], out.Pix[y*w*3:][:w*3]
		for x, t := range list {
			r, g, b := int32(half), int32(half), int32(half)
			px := src[t.first*3:]
			for i, k := range t.weights {
				p := px[3*i : 3*i+3 : 3*i+3]
				r += int32(p[0]) * k
				g += int32(p[1]) * k
				b += int32(p[2]) * k
			}
			dst[3*x], dst[3*x+1], dst[3*x+2] = clip(r), clip(g), clip(b)
		}
	}
	return out
}

func down(m *RGB, h int, f Filter) *RGB {
	out := NewRGB(m.W, h)
	row := make([]int32, m.W*3)
	for y, t := range weigh(m.H, h, f) {
		for i := range row {
			row[i] = half
		}
		for i, k := range t.weights {
			for x, p := range m.Pix[(t.first+i)*m.W*3:][:len(row)] {
				row[x] += int32(p) * k
			}
		}
		dst := out.Pix[y*m.W*3:][:len(row)]
		for x, v := range row {
			dst[x] = clip(v)
		}
	}
	return out
}

// ResizeShorter returns m resized so that its shorter side is size and its
// longer one int(size*long/short), as torchvision's Resize(size).
func ResizeShorter(m *RGB, size int, f Filter) *RGB {
	if m.W <= m.H {
		return Resize(m, size, size*m.H/m.W, f)
	}
	return Resize(m, size*m.W/m.H, size, f)
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
