package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

var dftShapes = []struct {
	n, h, w int
	c       Conv2D
}{
	{1, 1, 32, Conv1D(17, 64, 64, 1, 8)},
	{2, 1, 48, Conv1D(17, 64, 96, 1, 0)},
	{2, 3, 45, Conv1D(11, 96, 64, 1, 5)},  // rows of an image are sequences too
	{1, 1, 100, Conv1D(9, 160, 64, 1, 8)}, // two pieces and a half; the output is longer than the input
	{3, 1, 34, Conv1D(16, 64, 64, 1, 7)},
	{2, 1, 63, Conv1D(17, 64, 64, 1, 8)},  // a step less than two blocks
	{1, 1, 17, Conv1D(17, 64, 64, 1, 8)},  // shorter than a block
	{23, 1, 64, Conv1D(17, 64, 64, 1, 8)}, // two chunks
	{2, 1, 40, Conv1D(9, 64, 96, 1, 4)},   // 9 taps: a block of 40 steps
	{43, 1, 41, Conv1D(9, 64, 64, 1, 4)},  // a step more; three chunks
	{1, 1, 16, Conv1D(9, 96, 64, 1, 4)},
}

// Small shapes of Winograd: all kinds of edges, two chunks.
var winoTraining = []struct {
	n, h, w int
	c       Conv2D
}{
	{1, 4, 4, conv3x3(64, 64)},
	{2, 9, 10, conv3x3(64, 96)},
	{1, 3, 21, conv3x3(160, 64)},
	{6, 16, 17, conv3x3(64, 64)},
}

// testBilinear compares with the definition. domain makes its transforms.
func testBilinear[T Float](t *testing.T, tol float64, n, h, w int, c Conv2D, domain func(c Conv2D, n, h, w int) *bilinear[T]) {
	t.Run(fmt.Sprintf("%d×%d×%d %+v", n, h, w, c), func(t *testing.T) {
		rnd := newRand(21)
		oh, ow := c.OutSize(h, w)
		x, wt := random[T](rnd, n*h*w*c.In), random[T](rnd, c.WeightLen())
		bias, dy := random[T](rnd, c.Out), random[T](rnd, n*oh*ow*c.Out)
		want := newNaiveConv(c, n, h, w, widen(x), widen(wt), widen(bias), widen(dy))
		y, wholeY := guarded[T](len(dy))
		dx, wholeX := guarded[T](len(x))
		dw, wholeW := guarded[T](len(wt))
		f, back := domain(c, n, h, w), domain(c.turned(), n, oh, ow)
		f.forward(x, taps[T]{c: c, on: f.path, weights: wt}, bias, false, y)
		back.forward(dy, taps[T]{c: c, on: f.path, weights: wt, turned: true}, nil, false, dx)
		f.weightGrad(x, dy, dw)
		for _, v := range []struct {
			name  string
			got   []T
			want  []float64
			whole func() bool
		}{{"y", y, want.y, wholeY}, {"dx", dx, want.dx, wholeX}, {"dw", dw, want.dw, wholeW}} {
			if d := rms(widen(v.got), v.want); !(d <= tol) || !v.whole() {
				t.Errorf("%s: relative rms %g, want <= %g; nothing written behind: %v", v.name, d, tol, v.whole())
			}
		}
		for i, v := range want.y {
			want.y[i] = math.Max(v, 0)
		}
		f.forward(x, taps[T]{c: c, on: f.path, weights: wt}, bias, true, y)
		if d := rms(widen(y), want.y); !(d <= tol) {
			t.Errorf("y, relu: relative rms %g, want <= %g", d, tol)
		}
	})
}

func testDFT[T Float](t *testing.T, tol float64) {
	for _, s := range dftShapes {
		testBilinear(t, tol, s.n, s.h, s.w, s.c, func(c Conv2D, n, h, w int) *bilinear[T] { return newDFT[T](c, n*h, w) })
	}
}

func testWinogradTraining[T Float](t *testing.T, tol float64) {
	for _, s := range winoTraining {
		testBilinear(t, tol, s.n, s.h, s.w, s.c, newWinograd[T])
	}
}

func TestDFT(t *testing.T) {
	t.Run("float64", func(t *testing.T) { testDFT[float64](t, 1e-14) })
	eachPath(t, func(t *testing.T) { testDFT[float32](t, 2e-6) })
}

func TestWinogradTraining(t *testing.T) {
	t.Run("float64", func(t *testing.T) { testWinogradTraining[float64](t, 1e-14) })
	eachPath(t, func(t *testing.T) { testWinogradTraining[float32](t, 5e-6) })
}

// The written-out transforms compute what the definition says.
func TestWrittenTransforms(t *testing.T) {
	for _, p := range paths {
		if p.set == nil {
			continue
		}
		n, rnd := 2*p.lanes, newRand(22)
		stride, tmp := p.set.PieceStride, make([]float32, simd.Tmp*p.lanes)
		row, pos := n+5, n+2
		check := func(name string, got, want []float32, whole func() bool) {
			t.Helper()
			if d := worst(got, widen(want)); !(d <= 1e-6) || !whole() {
				t.Errorf("%s: %s is off by %g; nothing written behind: %v", p.name, name, d, whole())
			}
		}
		src := random[float32](rnd, dftPos*stride)
		got, whole := guarded[float32](dftPos * pos)
		want, _ := guarded[float32](dftPos * pos)
		dftIn(p, src, got, tmp, row, pos, n)
		dftIn(plain, src, want, nil, row, pos, n)
		check("dftIn", got, want, whole)

		bias := random[float32](rnd, n)
		for _, floor := range []float32{0, float32(math.Inf(-1))} {
			for _, steps := range []int{dftOut, dftOut9} {
				got, whole = guarded[float32](steps * row)
				want, _ = guarded[float32](steps * row)
				dftResult(p, steps, src, got, tmp, bias, pos, row, floor)
				dftResult(plain, steps, src, want, nil, bias, pos, row, floor)
				check(fmt.Sprintf("dftResult of %d", steps), got, want, whole)
			}
		}

		got, whole = guarded[float32](winoPos * pos)
		want, _ = guarded[float32](winoPos * pos)
		winogradSpread(p, src, got, tmp, row, pos, n)
		winogradSpread(plain, src, want, nil, row, pos, n)
		check("winogradSpread", got, want, whole)

		for _, v := range []struct {
			name   string
			places int
			f      func(on *path, from, to, tmp []float32, stride, n int)
		}{
			{"dftWeights", dftPos, dftWeights[float32]},
			{"dftGrad", dftTaps, dftGrad[float32]},
			{"winogradTaps", winoPos, winogradTaps[float32]},
			{"winogradGrad", 9, winogradGrad[float32]},
		} {
			got, whole := guarded[float32]((v.places-1)*stride + n)
			want, _ := guarded[float32]((v.places-1)*stride + n)
			v.f(p, src, got, tmp, stride, n)
			v.f(plain, src, want, nil, stride, n)
			check(v.name, got, want, whole)
		}
	}
}

func TestBilinearSameBits(t *testing.T) {
	for _, s := range []struct {
		n, h, w int
		c       Conv2D
	}{{20, 1, 90, Conv1D(17, 64, 96, 1, 8)}, {9, 14, 14, conv3x3(64, 96)}} {
		n, h, w, c := s.n, s.h, s.w, s.c
		if newBilinear[float32](c, n, h, w) == nil || newBilinear[float64](c, n, h, w) != nil {
			t.Fatalf("%+v: newBilinear has changed", s)
		}
		rnd := newRand(23)
		x, wt, dy := random[float32](rnd, n*h*w*c.In), random[float32](rnd, c.WeightLen()), random[float32](rnd, n*h*w*c.Out)
		eachPath(t, func(t *testing.T) {
			var first []float32
			for _, procs := range []int{1, 2, 4} {
				y, dx, dw := make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(wt))
				atProcs(t, procs, func() {
					Conv2DForward(c, n, h, w, x, wt, nil, false, y)
					Conv2DBackwardInput(c, n, h, w, dy, wt, dx)
					Conv2DBackwardWeights(c, n, h, w, x, dy, dw, nil)
				})
				if got := slices.Concat(y, dx, dw); first == nil {
					first = got
				} else if !slices.Equal(got, first) {
					t.Errorf("%+v: other bits with GOMAXPROCS %d than with 1", s, procs)
				}
			}
			y := make([]float32, h*w*c.Out)
			Conv2DForward(c, 1, h, w, x[7*h*w*c.In:], wt, nil, false, y)
			if !slices.Equal(y, first[7*len(y):8*len(y)]) {
				t.Errorf("%+v: image 7 alone has other bits than among others", s)
			}
		})
	}
}

// With as many channels as the paper has, float32 through another domain stays
// within 1e-5 of the direct way in float64.
func TestBilinearAccuracy(t *testing.T) {
	for _, s := range []struct {
		name    string
		n, h, w int
		c       Conv2D
	}{{"DFT", 1, 1, 128, Conv1D(17, 512, 64, 1, 8)}, {"Winograd", 1, 14, 14, conv3x3(512, 64)}} {
		rnd := newRand(25)
		x, wt, dy := random[float32](rnd, s.n*s.h*s.w*s.c.In), random[float32](rnd, s.c.WeightLen()), random[float32](rnd, s.n*s.h*s.w*s.c.Out)
		y, dx, dw := make([]float64, len(dy)), make([]float64, len(x)), make([]float64, len(wt))
		Conv2DForward(s.c, s.n, s.h, s.w, widen(x), widen(wt), nil, false, y)
		Conv2DBackwardInput(s.c, s.n, s.h, s.w, widen(dy), widen(wt), dx)
		Conv2DBackwardWeights(s.c, s.n, s.h, s.w, widen(x), widen(dy), dw, nil)
		eachPath(t, func(t *testing.T) {
			if newBilinear[float32](s.c, s.n, s.h, s.w) == nil {
				t.Fatal("goes the direct way")
			}
			y32, dx32, dw32 := make([]float32, len(y)), make([]float32, len(dx)), make([]float32, len(dw))
			Conv2DForward(s.c, s.n, s.h, s.w, x, wt, nil, false, y32)
			Conv2DBackwardInput(s.c, s.n, s.h, s.w, dy, wt, dx32)
			Conv2DBackwardWeights(s.c, s.n, s.h, s.w, x, dy, dw32, nil)
			a, b, c := rms(widen(y32), y), rms(widen(dx32), dx), rms(widen(dw32), dw)
			t.Logf("%s: relative rms of y %.2g, dx %.2g, dw %.2g", s.name, a, b, c)
			if !(max(a, b, c) <= 1e-5) {
				t.Errorf("%s: relative rms of y %g, dx %g, dw %g, want <= 1e-5", s.name, a, b, c)
			}
		})
	}
}

// A NaN makes NaN of all that it reaches.
func TestDFTNaN(t *testing.T) {
	c := Conv1D(11, 64, 64, 1, 5)
	const w = 70
	rnd := newRand(24)
	wt := random[float32](rnd, c.WeightLen())
	eachPath(t, func(t *testing.T) {
		for at := range w {
			x, y := random[float32](rnd, w*c.In), make([]float32, w*c.Out)
			x[at*c.In+at%c.In] = float32(math.NaN())
			Conv2DForward(c, 1, 1, w, x, wt, nil, true, y)
			for i := max(0, at-5); i < min(w, at+6); i++ {
				for o := range c.Out {
					if v := y[i*c.Out+o]; v == v {
						t.Fatalf("NaN at %d: step %d, channel %d is %v", at, i, o, v)
					}
				}
			}
		}
	})
}

func BenchmarkBilinear(b *testing.B) {
	for _, s := range []struct {
		name    string
		n, h, w int
		c       Conv2D
	}{
		{"conv2", 4, 1, 1024, Conv1D(11, 128, 256, 1, 5)},
		{"conv3", 4, 1, 512, Conv1D(17, 256, 512, 1, 8)},
		{"conv4", 4, 1, 256, Conv1D(17, 512, 512, 1, 8)},
		{"conv5", 4, 1, 128, Conv1D(17, 512, 1024, 1, 8)},
		{"conv6", 4, 1, 64, Conv1D(17, 1024, 1024, 1, 8)},
		{"conv5batch32", 32, 1, 128, Conv1D(17, 512, 1024, 1, 8)},
		{"conv5batch1", 1, 1, 128, Conv1D(17, 512, 1024, 1, 8)},
		{"small", 4, 1, 256, Conv1D(9, 64, 64, 1, 4)},
		{"head", 4, 14, 14, conv3x3(512, 1024)},
		{"headbatch1", 1, 14, 14, conv3x3(512, 1024)},
		{"smallhead", 1, 8, 8, conv3x3(64, 64)},
	} {
		rnd := newRand(1)
		size := s.n * s.h * s.w
		x, w, dy := random[float32](rnd, size*s.c.In), random[float32](rnd, s.c.WeightLen()), random[float32](rnd, size*s.c.Out)
		y, dx, dw := make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(w))
		for _, v := range []struct {
			name string
			f    func()
		}{
			{"forward/fast", func() { Conv2DForward(s.c, s.n, s.h, s.w, x, w, nil, true, y) }},
			{"forward/direct", func() { directForward(s.c, s.n, s.h, s.w, x, w, nil, true, y) }},
			{"dx/fast", func() { Conv2DBackwardInput(s.c, s.n, s.h, s.w, dy, w, dx) }},
			{"dx/direct", func() { directInput(s.c, s.n, s.h, s.w, dy, w, dx) }},
			{"dw/fast", func() { Conv2DBackwardWeights(s.c, s.n, s.h, s.w, x, dy, dw, nil) }},
			{"dw/direct", func() { directWeights(s.c, s.n, s.h, s.w, x, dy, dw) }},
		} {
			b.Run(s.name+"/"+v.name, func(b *testing.B) {
				for b.Loop() {
					v.f()
				}
				rate(b, 2*float64(size)*float64(s.c.WeightLen()))
			})
		}
	}
}
