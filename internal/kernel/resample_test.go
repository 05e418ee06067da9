package kernel

import (
	"bytes"
	"image/color"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// randomTaps are n pixels' of an input of in: of every length, some negative,
// some as large as may be.
func randomTaps(rnd *rand.Rand, n, in int) []Taps {
	out := make([]Taps, n)
	for i := range out {
		first := rnd.IntN(in)
		out[i] = Taps{First: first, Weights: make([]int32, 1+rnd.IntN(min(11, in-first)))}
		for k := range out[i].Weights {
			out[i].Weights[k] = rnd.Int32N(3<<Precision) - 1<<Precision
			if rnd.IntN(9) == 0 {
				out[i].Weights[k] = 1<<27 - 1 - rnd.Int32N(2)*(1<<28-1)
			}
		}
	}
	return out
}

func randomBytes(rnd *rand.Rand, n int) []uint8 {
	b := make([]uint8, n)
	for i := range b {
		b[i] = uint8(rnd.Uint32())
		if rnd.IntN(4) == 0 {
			b[i] = uint8(rnd.IntN(2) * 255)
		}
	}
	return b
}

// resampled is the formula of ResampleAcross and ResampleDown: values of one
// line, step apart.
func resampled(src []uint8, step int, t Taps) uint8 {
	s := int32(1 << (Precision - 1))
	for k, w := range t.Weights {
		s += int32(src[(t.First+k)*step]) * w
	}
	return uint8(min(max(s>>Precision, 0), 255))
}

func TestResample(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rnd := newRand(5)
		for range 300 {
			w, h, n := 1+rnd.IntN(40), 1+rnd.IntN(12), 1+rnd.IntN(20)
			src, across, down := randomBytes(rnd, w*h*3), randomTaps(rnd, n, w), randomTaps(rnd, n, h)
			got, want := make([]uint8, n*h*3), make([]uint8, n*h*3)
			ResampleAcross(got, src, w, h, across)
			for i := range want {
				y, x, c := i/3/n, i/3%n, i%3
				want[i] = resampled(src[y*w*3+c:], 3, across[x])
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("ResampleAcross of %d x %d to %d: got\n%d, want\n%d", w, h, n, got, want)
			}
			got, want = make([]uint8, n*w*3), make([]uint8, n*w*3)
			ResampleDown(got, src, 3*w, h, down)
			for i := range want {
				want[i] = resampled(src[i%(3*w):], 3*w, down[i/(3*w)])
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("ResampleDown of %d x %d to %d: got\n%d, want\n%d", w, h, n, got, want)
			}
		}
	})
}

// TestYCbCrToRGB goes over every blue and red with some grays, doubled or not.
func TestYCbCrToRGB(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		const n = 1 << 16
		y, cb, cr := make([]uint8, n), make([]uint8, n), make([]uint8, n)
		for _, gray := range []int{0, 1, 77, 128, 254, 255} {
			for i := range y {
				y[i], cb[i], cr[i] = uint8(gray), uint8(i), uint8(i>>8)
			}
			for _, half := range []int{0, 1} {
				for _, from := range []int{0, n - 11, n - 9, n - 8, n - 1} {
					dst := make([]uint8, 3*(n-from))
					YCbCrToRGB(dst, y[from:], cb[from:], cr[from:], half == 1)
					for i := range n - from {
						r, g, b := color.YCbCrToRGB(y[from+i], cb[from+i>>half], cr[from+i>>half])
						if [3]uint8(dst[3*i:]) != [3]uint8{r, g, b} {
							t.Fatalf("pixel %d of %d, half %d: %d, want %d", i, n-from, half, dst[3*i:3*i+3], []uint8{r, g, b})
						}
					}
				}
			}
		}
	})
}

func TestResampleRefuses(t *testing.T) {
	for name, f := range map[string]func(){
		"no weights": func() { ResampleAcross(make([]uint8, 3), make([]uint8, 9), 3, 1, []Taps{{First: 1}}) },
		"beyond":     func() { ResampleDown(make([]uint8, 3), make([]uint8, 9), 3, 3, []Taps{{2, []int32{1, 1}}}) },
		"before":     func() { ResampleDown(make([]uint8, 3), make([]uint8, 9), 3, 3, []Taps{{-1, []int32{1, 1}}}) },
		"short dst":  func() { ResampleAcross(make([]uint8, 2), make([]uint8, 9), 3, 1, []Taps{{0, []int32{1}}}) },
		"short cb":   func() { YCbCrToRGB(make([]uint8, 9), make([]uint8, 3), make([]uint8, 1), make([]uint8, 2), true) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// pixels is the last n bytes of a buffer taken for bytes, which may begin up to
// three bytes after it.
func pixels(s []float32, n int) []uint8 {
	all := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(s))), 4*len(s))
	return all[len(all)-n:]
}

// pictureGuards: all small widths, with taps at both ends of the rows.
func pictureGuards() []guardCase {
	var all []guardCase
	add := func(name, covers string, call func(dst, src []uint8), dst, src int) {
		all = append(all, guardCase{name: name, covers: covers, sizes: []int{(dst + 3) / 4, (src + 3) / 4},
			call: func(p *path, b [][]float32) { on(p, func() { call(pixels(b[0], dst), pixels(b[1], src)) }) }})
	}
	for n := range 40 {
		n++
		rnd := newRand(uint64(n))
		across, down := randomTaps(rnd, 1+n/3, n), randomTaps(rnd, 3, 4)
		across[n/3] = Taps{First: n - 1, Weights: []int32{1 << Precision}}
		down[2] = Taps{First: 1, Weights: []int32{1 << 20, 1 << 20, 1 << 21}}
		add("ResampleAcross", "ResampleAcross", func(dst, src []uint8) { ResampleAcross(dst, src, n, 3, across) }, 3*3*len(across), 3*3*n)
		add("ResampleDown", "ResampleDown", func(dst, src []uint8) { ResampleDown(dst, src, 3*n, 4, down) }, 3*3*n, 4*3*n)
		for _, doubled := range []bool{false, true} {
			chroma := n
			if doubled {
				chroma = (n + 1) / 2
			}
			add("YCbCrToRGB", "YCbCrToRGB", func(dst, src []uint8) {
				YCbCrToRGB(dst, src[:n], src[n:n+chroma], src[n+chroma:], doubled)
			}, 3*n, n+2*chroma)
		}
	}
	return all
}
