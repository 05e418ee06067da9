package kernel

import (
	"image/color"
	"slices"
	"unsafe"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// Precision is how many bits of a weight of Taps are its fraction: 32 less 8
// for the pixel and 2 for the overshoot of a filter with negative weights
// (Pillow's Resample.c).
const Precision = 32 - 8 - 2

const half = 1 << (Precision - 1)

// Taps are the weights that make one pixel from those of the input that begin
// at First, in units of 2^-Precision; each is less than 32 in size.
type Taps struct {
	First   int
	Weights []int32
}

// splitBits is how many lower bits of a weight the assembly multiplies apart
// from the others: its factors have 16 bits.
const splitBits = 12

func clip(v int32) uint8 { return uint8(min(max(v>>Precision, 0), 255)) }

// ResampleAcross makes rows of len(taps) pixels from rows of w pixels, three
// bytes each:
//
//	dst[y][x][c] = clip(½ + Σ_k src[y][taps[x].First+k][c] * taps[x].Weights[k])
//
// in 32 bits that wrap around: the same on every path.
func ResampleAcross(dst, src []uint8, w, rows int, taps []Taps) {
	const fn = "ResampleAcross"
	in, out := 3*w, 3*len(taps)
	checkLen(fn, "src", len(src), rows*in)
	checkLen(fn, "dst", len(dst), rows*out)
	checkTaps(fn, taps, w)
	set := active().set
	if set == nil || rows == 0 || out == 0 {
		for y := range rows {
			acrossPlain(dst[y*out:][:out], src[y*in:][:in], taps)
		}
		return
	}
	p := packTaps(taps)
	p.across(set, dst[:rows*out], src[:rows*in], in, out)
}

func acrossPlain(dst, src []uint8, taps []Taps) {
	for x := range taps {
		r, g, b := int32(half), int32(half), int32(half)
		px := src[taps[x].First*3:]
		for i, k := range taps[x].Weights {
			p := px[3*i : 3*i+3 : 3*i+3]
			r += int32(p[0]) * k
			g += int32(p[1]) * k
			b += int32(p[2]) * k
		}
		dst[3*x], dst[3*x+1], dst[3*x+2] = clip(r), clip(g), clip(b)
	}
}

// packedTaps are taps as the assembly reads them.
type packedTaps struct {
	first   []int32 // bytes
	weights []int16 // for each tap, for each group: 4 lower parts, 4 upper ones
	groups  int     // of 4 pixels, the same for all
	reach   int     // bytes of a row that are read, those beyond its end with weight 0
}

func packTaps(taps []Taps) packedTaps {
	most := 1
	for _, t := range taps {
		most = max(most, len(t.Weights))
	}
	p := packedTaps{first: make([]int32, len(taps)), groups: (most + 3) / 4}
	p.weights = make([]int16, len(taps)*p.groups*8)
	for x, t := range taps {
		p.first[x] = int32(3 * t.First)
		p.reach = max(p.reach, 3*t.First+12*p.groups+4)
		for i, k := range t.Weights {
			at := (x*p.groups+i/4)*8 + i%4
			p.weights[at], p.weights[at+4] = splitWeight(k)
		}
	}
	return p
}

func splitWeight(k int32) (low, high int16) {
	return int16(k & (1<<splitBits - 1)), int16(k >> splitBits)
}

// across goes through rows of in bytes, which become out bytes. The last ones
// are copied to where there is room to read and to write beyond their ends;
// what others write there is overwritten by the next.
func (p *packedTaps) across(set *simd.Set, dst, src []uint8, in, out int) {
	row := func(to, from []uint8) {
		set.ResampleAcross(unsafe.SliceData(to), unsafe.SliceData(from), &p.first[0], &p.weights[0], p.groups, out/3)
	}
	var to, from []uint8
	for ; len(dst) > 0; dst, src = dst[out:], src[in:] {
		if len(dst) > out && len(src) >= p.reach {
			row(dst, src)
			continue
		}
		if from == nil {
			to, from = make([]uint8, out+1), make([]uint8, max(in, p.reach))
		}
		copy(from, src[:in])
		row(to, from)
		copy(dst[:out], to)
	}
}

// ResampleDown makes len(taps) rows of n bytes from h rows:
//
//	dst[y][i] = clip(½ + Σ_k src[taps[y].First+k][i] * taps[y].Weights[k])
//
// with the arithmetic of ResampleAcross.
func ResampleDown(dst, src []uint8, n, h int, taps []Taps) {
	const fn = "ResampleDown"
	checkLen(fn, "src", len(src), h*n)
	checkLen(fn, "dst", len(dst), len(taps)*n)
	checkTaps(fn, taps, h)
	set := active().set
	const lanes = 32
	if set == nil || n < lanes {
		sums := make([]int32, n)
		for y, t := range taps {
			downPlain(dst[y*n:][:n], src[t.First*n:], t.Weights, sums)
		}
		return
	}
	for y, t := range taps {
		weights := make([]int16, (len(t.Weights)+1)/2*4)
		for i, k := range t.Weights {
			weights[i/2*4+i%2], weights[i/2*4+i%2+2] = splitWeight(k)
		}
		to, from := dst[y*n:][:n], src[t.First*n:]
		part := func(at, count int) {
			set.ResampleDown(&to[at], &from[at], &weights[0], n, len(t.Weights), count)
		}
		part(0, n-n%lanes)
		if n%lanes > 0 {
			part(n-lanes, lanes) // some of it again
		}
	}
}

func downPlain(dst, src []uint8, weights, sums []int32) {
	for i := range sums {
		sums[i] = half
	}
	for i, k := range weights {
		for x, p := range src[i*len(sums):][:len(sums)] {
			sums[x] += int32(p) * k
		}
	}
	for x, v := range sums {
		dst[x] = clip(v)
	}
}

// checkTaps panics if taps read outside n pixels or rows, or nothing.
func checkTaps(fn string, taps []Taps, n int) {
	if i := slices.IndexFunc(taps, func(t Taps) bool {
		return len(t.Weights) == 0 || t.First < 0 || t.First+len(t.Weights) > n
	}); i >= 0 {
		panic("kernel: " + fn + ": taps outside the input")
	}
}

// YCbCrToRGB converts a row of a JPEG's pixels: dst[3*i:][:3] is
// color.YCbCrToRGB(y[i], cb[j], cr[j]), j being i, or i/2 where each chroma is
// for two pixels (doubled).
func YCbCrToRGB(dst, y, cb, cr []uint8, doubled bool) {
	const fn = "YCbCrToRGB"
	n, chroma, shift := len(y), len(y), 0
	if doubled {
		chroma, shift = (n+1)/2, 1
	}
	checkLen(fn, "dst", len(dst), 3*n)
	checkLen(fn, "cb", len(cb), chroma)
	checkLen(fn, "cr", len(cr), chroma)
	i := 0
	// 4 bytes more are written: two pixels stay for Go.
	if set := active().set; set != nil && n >= 8+2 {
		i = (n - 2) &^ 7
		set.YCbCrToRGB(&dst[0], &y[0], &cb[0], &cr[0], shift, i)
	}
	for ; i < n; i++ {
		j := i >> shift
		dst[3*i], dst[3*i+1], dst[3*i+2] = color.YCbCrToRGB(y[i], cb[j], cr[j])
	}
}
