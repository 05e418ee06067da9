package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// winoShapes have all kinds of edges and of tails of the channels.
func winoShapes(short bool) [][5]int { // n, h, w, in, out
	var all [][5]int
	for side := 1; side <= 13; side++ {
		all = append(all, [5]int{1, side, (side*5)%13 + 1, 16 + side, 30 - side})
	}
	all = append(all, [5]int{2, 6, 6, 1, 1}, [5]int{3, 4, 4, 8, 5}, [5]int{2, 14, 14, 33, 64}, [5]int{1, 8, 9, 16, 300})
	if !short {
		all = append(all, [5]int{2, 50, 51, 64, 70}, [5]int{2, 7, 9, 700, 40}) // many blocks; two blocks of k
	}
	return all
}

// naivePool is a max-pool of 2x2 by its definition.
func naivePool(n, h, w, ch int, x []float64) []float64 {
	y := make([]float64, 0, n*(h/2)*(w/2)*ch)
	for i := range n * (h / 2) * (w / 2) * ch {
		c, col, row, img := i%ch, i/ch%(w/2), i/ch/(w/2)%(h/2), i/ch/(w/2)/(h/2)
		at := ((img*h+2*row)*w+2*col)*ch + c
		y = append(y, max(x[at], x[at+ch], x[at+w*ch], x[at+w*ch+ch]))
	}
	return y
}

// guarded is a slice of n canaries with more of them after it, and a check
// that these are still there.
func guarded[T Float](n int) (s []T, check func() bool) {
	all := make([]T, n+100)
	for i := range all {
		all[i] = T(canary)
	}
	return all[:n:n], func() bool {
		return !slices.ContainsFunc(all[n:], func(v T) bool { return v != T(canary) })
	}
}

func rms(got []float64, want []float64) float64 {
	var d, s float64
	for i, w := range want {
		d += (got[i] - w) * (got[i] - w)
		s += w * w
	}
	if s == 0 {
		return math.Sqrt(d)
	}
	return math.Sqrt(d / s)
}

func testWinograd[T Float](t *testing.T, tol float64) {
	for _, s := range winoShapes(testing.Short()) {
		n, h, w := s[0], s[1], s[2]
		c := conv3x3(s[3], s[4])
		t.Run(fmt.Sprintf("%d×%d×%d %d→%d", n, h, w, c.In, c.Out), func(t *testing.T) {
			rnd := newRand(11)
			x, wt, bias := random[T](rnd, n*h*w*c.In), random[T](rnd, c.WeightLen()), random[T](rnd, c.Out)
			dy := make([]float64, n*h*w*c.Out)
			want := newNaiveConv(c, n, h, w, widen(x), widen(wt), widen(bias), dy).y
			f := PackWinograd(c, wt)
			for _, relu := range []bool{false, true} {
				if relu {
					for i := range want {
						want[i] = max(want[i], 0)
					}
				}
				y, whole := guarded[T](n * h * w * c.Out)
				f.Forward(n, h, w, x, bias, relu, y)
				if d := rms(widen(y), want); !(d <= tol) || !whole() {
					t.Errorf("relu %v: relative rms %g, want <= %g; nothing written behind y: %v", relu, d, tol, whole())
				}
				pooled, whole := guarded[T](n * (h / 2) * (w / 2) * c.Out)
				f.ForwardPool(n, h, w, x, bias, relu, pooled)
				if got := naivePool(n, h, w, c.Out, widen(y)); !slices.Equal(widen(pooled), got) || !whole() {
					t.Errorf("relu %v: pooled is not the maxima of the unpooled; nothing written behind y: %v", relu, whole())
				}
			}
			y, zero := make([]T, n*h*w*c.Out), make([]T, n*h*w*c.Out)
			f.Forward(n, h, w, x, nil, false, y)
			f.Forward(n, h, w, x, make([]T, c.Out), false, zero)
			if !slices.Equal(y, zero) {
				t.Error("no bias differs from a bias of 0")
			}
		})
	}
}

func TestWinograd(t *testing.T) {
	t.Run("float64", func(t *testing.T) { testWinograd[float64](t, 1e-14) })
	eachPath(t, func(t *testing.T) { testWinograd[float32](t, 5e-6) })
}

// The bits depend neither on the number of CPUs nor on which images and how
// many tiles go together.
func TestWinogradSameBits(t *testing.T) {
	const n, h, w = 3, 61, 43 // 528 tiles: several blocks
	c := conv3x3(40, 48)
	rnd := newRand(12)
	x, wt := random[float32](rnd, n*h*w*c.In), random[float32](rnd, c.WeightLen())
	eachPath(t, func(t *testing.T) {
		f := PackWinograd(c, wt)
		first := make([]float32, n*h*w*c.Out)
		atProcs(t, 1, func() { f.Forward(n, h, w, x, nil, true, first) })
		for _, procs := range []int{2, 4} {
			y := make([]float32, len(first))
			atProcs(t, procs, func() { f.Forward(n, h, w, x, nil, true, y) })
			if !slices.Equal(y, first) {
				t.Errorf("other bits with GOMAXPROCS %d than with 1", procs)
			}
		}
		for i := range n {
			y := make([]float32, h*w*c.Out)
			f.Forward(1, h, w, x[i*h*w*c.In:], nil, true, y)
			if !slices.Equal(y, first[i*len(y):(i+1)*len(y)]) {
				t.Errorf("image %d alone has other bits than among %d", i, n)
			}
		}
	})
}

// A NaN makes NaN of every output whose window it is in, pooled or not, with
// ReLU or not; images without one keep their values.
func TestWinogradNaN(t *testing.T) {
	const n, h, w = 2, 9, 10
	c := conv3x3(18, 19)
	rnd := newRand(13)
	clean, wt := random[float32](rnd, n*h*w*c.In), random[float32](rnd, c.WeightLen())
	wt[0] = 0 // hides nothing
	bias := random[float32](rnd, c.Out)
	eachPath(t, func(t *testing.T) {
		f := PackWinograd(c, wt)
		y, pooled := make([]float32, n*h*w*c.Out), make([]float32, n*(h/2)*(w/2)*c.Out)
		without := make([]float32, len(y))
		f.Forward(n, h, w, clean, bias, true, without)
		for p := range h * w {
			row, col := p/w, p%w
			x := slices.Clone(clean)
			x[p*c.In+p%c.In] = float32(math.NaN())
			f.Forward(n, h, w, x, bias, true, y)
			f.ForwardPool(n, h, w, x, bias, true, pooled)
			for i := max(0, row-1); i < min(h, row+2); i++ {
				for j := max(0, col-1); j < min(w, col+2); j++ {
					for o := range c.Out {
						if v := y[(i*w+j)*c.Out+o]; v == v {
							t.Fatalf("NaN at %d,%d: output %d,%d channel %d is %v", row, col, i, j, o, v)
						}
						if i/2 >= h/2 || j/2 >= w/2 {
							continue
						}
						if v := pooled[(i/2*(w/2)+j/2)*c.Out+o]; v == v {
							t.Fatalf("NaN at %d,%d: pooled output %d,%d channel %d is %v", row, col, i/2, j/2, o, v)
						}
					}
				}
			}
			if !slices.Equal(y[h*w*c.Out:], without[h*w*c.Out:]) {
				t.Fatalf("NaN at %d,%d of image 0 changes image 1", row, col)
			}
		}
	})
}

// The assembly of the transforms has the bits of the plain Go.
func TestWinogradTransforms(t *testing.T) {
	for _, p := range paths {
		if p.set == nil {
			continue
		}
		for _, n := range []int{p.lanes, p.lanes + 3, 3 * p.lanes} {
			rnd := newRand(uint64(n))
			col, pos := n+5, n+2
			row := 7 * col
			src, tmp := random[float32](rnd, 6*row), make([]float32, simd.Tmp*p.lanes)
			got, whole := guarded[float32](winoPos * pos)
			want, _ := guarded[float32](winoPos * pos)
			winogradIn(p, src, got, tmp, row, col, pos, n)
			winogradIn(plain, src, want, nil, row, col, pos, n)
			if !slices.Equal(got, want) || !whole() {
				t.Errorf("%s: %d channels: winogradIn has other bits than in plain Go", p.name, n)
			}
			bias := random[float32](rnd, n)
			for _, pool := range []bool{false, true} {
				for _, floor := range []float32{0, float32(math.Inf(-1))} {
					got, whole := guarded[float32](4 * row)
					want, _ := guarded[float32](4 * row)
					winogradOut(p, src, got, tmp, bias, pos, row, col, floor, pool)
					winogradOut(plain, src, want, nil, bias, pos, row, col, floor, pool)
					if !slices.Equal(got, want) || !whole() {
						t.Errorf("%s: %d channels, pool %v, floor %v: winogradOut has other bits than in plain Go", p.name, n, pool, floor)
					}
				}
			}
		}
	}
}

func TestWinogradMisuse(t *testing.T) {
	for name, f := range map[string]func(){
		"stride": func() {
			PackWinograd(Conv2D{KH: 3, KW: 3, In: 16, Out: 16, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}, make([]float32, 9*256))
		},
		"weights": func() { PackWinograd(conv3x3(16, 16), make([]float32, 9*256-1)) },
		"y": func() {
			PackWinograd(conv3x3(16, 16), make([]float32, 9*256)).Forward(1, 4, 4, make([]float32, 256), nil, false, make([]float32, 255))
		},
		"bias": func() {
			PackWinograd(conv3x3(16, 16), make([]float32, 9*256)).Forward(1, 4, 4, make([]float32, 256), make([]float32, 15), false, make([]float32, 256))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

// PackFrozen chooses by shape, and both choices compute the same.
func TestPackFrozen(t *testing.T) {
	for _, s := range []struct {
		c    Conv2D
		wino bool
	}{
		{conv3x3(16, 16), true},
		{conv3x3(15, 16), false},
		{conv3x3(16, 15), false},
		{Conv2D{KH: 3, KW: 3, In: 16, Out: 16, StrideH: 2, StrideW: 1, PadH: 1, PadW: 1}, false},
		{Conv2D{KH: 3, KW: 3, In: 16, Out: 16, StrideH: 1, StrideW: 1, PadH: 1, PadW: 0}, false},
		{Conv2D{KH: 1, KW: 1, In: 16, Out: 16, StrideH: 1, StrideW: 1}, false},
	} {
		const n, h, w = 2, 7, 10
		rnd := newRand(14)
		x, wt, bias := random[float32](rnd, n*h*w*s.c.In), random[float32](rnd, s.c.WeightLen()), random[float32](rnd, s.c.Out)
		f := PackFrozen(s.c, wt)
		if _, ok := f.(*Winograd[float32]); ok != s.wino {
			t.Errorf("%+v: a Winograd: %v, want %v", s.c, ok, s.wino)
		}
		oh, ow := f.OutSize(h, w)
		want := newNaiveConv(s.c, n, h, w, widen(x), widen(wt), widen(bias), make([]float64, n*oh*ow*s.c.Out)).y
		y, pooled := make([]float32, len(want)), make([]float32, n*(oh/2)*(ow/2)*s.c.Out)
		f.Forward(n, h, w, x, bias, false, y)
		if d := rms(widen(y), want); !(d <= 2e-6) {
			t.Errorf("%+v: off by %g", s.c, d)
		}
		f.ForwardPool(n, h, w, x, bias, false, pooled)
		if !slices.Equal(widen(pooled), naivePool(n, oh, ow, s.c.Out, widen(y))) {
			t.Errorf("%+v: pooled is not the maxima of the unpooled", s.c)
		}
	}
}

// PyTorch's 3x3 convolutions, through Winograd.
func TestGoldenWinograd(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		tried := 0
		for name, a := range goldenCases(t, "conv2d") {
			kh, kw := size(a["w"])
			sh, sw := pair(a["stride"], 1)
			ph, pw := pair(a["pad"], 0)
			c := Conv2D{KH: kh, KW: kw, In: a["w"].Shape[1], Out: a["w"].Shape[0], StrideH: sh, StrideW: sw, PadH: ph, PadW: pw}
			if !c.isWinograd() {
				continue
			}
			tried++
			var bias []float32
			if a["b"] != nil {
				bias = narrow[float32](a["b"].F64)
			}
			h, w := size(a["x"])
			want := channelsLast(a["y"])
			y := make([]float32, len(want))
			PackWinograd(c, narrow[float32](weightsLast(a["w"]))).Forward(a["x"].Shape[0], h, w, narrow[float32](channelsLast(a["x"])), bias, false, y)
			if d := worst(y, want); !(d <= 1e-5) {
				t.Errorf("%s: off by %g", name, d)
			}
		}
		if tried == 0 {
			t.Error("no golden case is 3x3 with stride and border 1")
		}
	})
}
