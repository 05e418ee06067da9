package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

var dftShapes = []struct {
	n, h, w int
	c       Conv2D
}{
	{1, 1, 32, Conv1D(17, 64, 64, 1, 8)},
	{2, 1, 48, Conv1D(17, 64, 96, 1, 0)},
	{2, 3, 45, Conv1D(11, 96, 64, 1, 5)},  // rows of an image are sequences too
	{1, 1, 100, Conv1D(9, 160, 64, 1, 8)}, // two pieces and a half; the output is longer than the input
	{3, 1, 33, Conv1D(16, 64, 64, 1, 7)},
	{1, 1, 17, Conv1D(17, 64, 64, 1, 8)},  // shorter than a block
	{23, 1, 64, Conv1D(17, 64, 64, 1, 8)}, // two chunks
}

func testDFT[T Float](t *testing.T, tol float64) {
	for _, s := range dftShapes {
		t.Run(fmt.Sprintf("%d×%d×%d %+v", s.n, s.h, s.w, s.c), func(t *testing.T) {
			rnd := newRand(21)
			oh, ow := s.c.OutSize(s.h, s.w)
			x, w := random[T](rnd, s.n*s.h*s.w*s.c.In), random[T](rnd, s.c.WeightLen())
			bias, dy := random[T](rnd, s.c.Out), random[T](rnd, s.n*oh*ow*s.c.Out)
			want := newNaiveConv(s.c, s.n, s.h, s.w, widen(x), widen(w), widen(bias), widen(dy))
			y, wholeY := guarded[T](len(dy))
			dx, wholeX := guarded[T](len(x))
			dw, wholeW := guarded[T](len(w))
			dftForward(s.c, s.n*s.h, s.w, x, w, bias, false, y)
			dftInput(s.c, s.n*s.h, s.w, dy, w, dx)
			newDFT[T](s.c, s.n*s.h, s.w).weightGrad(x, dy, dw)
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
			dftForward(s.c, s.n*s.h, s.w, x, w, bias, true, y)
			if d := rms(widen(y), want.y); !(d <= tol) {
				t.Errorf("y, relu: relative rms %g, want <= %g", d, tol)
			}
		})
	}
}

func TestDFT(t *testing.T) {
	t.Run("float64", func(t *testing.T) { testDFT[float64](t, 1e-14) })
	eachPath(t, func(t *testing.T) { testDFT[float32](t, 2e-6) })
}

// The written-out transforms compute what the definition says.
func TestDFTTransforms(t *testing.T) {
	for _, p := range paths {
		if p.set == nil {
			continue
		}
		n, rnd := 2*p.lanes, newRand(22)
		stride, tmp := p.set.DFTStride, make([]float32, 200*p.lanes)
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
			got, whole = guarded[float32](dftOut * row)
			want, _ = guarded[float32](dftOut * row)
			dftResult(p, src, got, tmp, bias, pos, row, floor)
			dftResult(plain, src, want, nil, bias, pos, row, floor)
			check("dftResult", got, want, whole)
		}

		got, whole = guarded[float32]((dftPos-1)*stride + n)
		want, _ = guarded[float32]((dftPos-1)*stride + n)
		dftWeights(p, src, got, tmp, stride, n)
		dftWeights(plain, src, want, nil, stride, n)
		check("dftWeights", got, want, whole)

		got, whole = guarded[float32]((dftTaps-1)*stride + n)
		want, _ = guarded[float32]((dftTaps-1)*stride + n)
		dftGrad(p, src, got, tmp, stride, n)
		dftGrad(plain, src, want, nil, stride, n)
		check("dftGrad", got, want, whole)
	}
}

func TestDFTSameBits(t *testing.T) {
	c := Conv1D(17, 64, 96, 1, 8)
	const n, w = 20, 90
	if !usesDFT[float32](c, w) || usesDFT[float64](c, w) {
		t.Fatal("usesDFT has changed")
	}
	rnd := newRand(23)
	x, wt, dy := random[float32](rnd, n*w*c.In), random[float32](rnd, c.WeightLen()), random[float32](rnd, n*w*c.Out)
	eachPath(t, func(t *testing.T) {
		var first []float32
		for _, procs := range []int{1, 2, 4} {
			y, dx, dw := make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(wt))
			atProcs(t, procs, func() {
				Conv2DForward(c, n, 1, w, x, wt, nil, false, y)
				Conv2DBackwardInput(c, n, 1, w, dy, wt, dx)
				Conv2DBackwardWeights(c, n, 1, w, x, dy, dw, nil)
			})
			if got := slices.Concat(y, dx, dw); first == nil {
				first = got
			} else if !slices.Equal(got, first) {
				t.Errorf("other bits with GOMAXPROCS %d than with 1", procs)
			}
		}
		y := make([]float32, w*c.Out) // sequence 7 alone
		Conv2DForward(c, 1, 1, w, x[7*w*c.In:], wt, nil, false, y)
		if !slices.Equal(y, first[7*len(y):8*len(y)]) {
			t.Error("a sequence alone has other bits than among others")
		}
	})
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

func BenchmarkDFT(b *testing.B) {
	for _, s := range []struct {
		name string
		n, w int
		c    Conv2D
	}{
		{"conv2", 4, 1024, Conv1D(11, 128, 256, 1, 5)},
		{"conv3", 4, 512, Conv1D(17, 256, 512, 1, 8)},
		{"conv4", 4, 256, Conv1D(17, 512, 512, 1, 8)},
		{"conv5", 4, 128, Conv1D(17, 512, 1024, 1, 8)},
		{"conv6", 4, 64, Conv1D(17, 1024, 1024, 1, 8)},
		{"conv5batch32", 32, 128, Conv1D(17, 512, 1024, 1, 8)},
		{"small", 4, 256, Conv1D(9, 64, 64, 1, 4)},
	} {
		rnd := newRand(1)
		x, w, dy := random[float32](rnd, s.n*s.w*s.c.In), random[float32](rnd, s.c.WeightLen()), random[float32](rnd, s.n*s.w*s.c.Out)
		y, dx, dw := make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(w))
		for _, v := range []struct {
			name string
			f    func()
		}{
			{"forward/dft", func() { dftForward(s.c, s.n, s.w, x, w, nil, true, y) }},
			{"forward/direct", func() { directForward(s.c, s.n, 1, s.w, x, w, nil, true, y) }},
			{"dx/dft", func() { dftInput(s.c, s.n, s.w, dy, w, dx) }},
			{"dx/direct", func() { directInput(s.c, s.n, 1, s.w, dy, w, dx) }},
			{"dw/dft", func() { newDFT[float32](s.c, s.n, s.w).weightGrad(x, dy, dw) }},
			{"dw/direct", func() { directWeights(s.c, s.n, 1, s.w, x, dy, dw) }},
		} {
			b.Run(s.name+"/"+v.name, func(b *testing.B) {
				for b.Loop() {
					v.f()
				}
				rate(b, 2*float64(s.n*s.w)*float64(s.c.WeightLen()))
			})
		}
	}
}
