package kernel

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
)

// naiveConv is the convolution and its gradients by their definition.
type naiveConv struct{ y, dx, dw, db []float64 }

func newNaiveConv(c Conv2D, n, h, w int, x, weights, bias, dy []float64) naiveConv {
	oh, ow := c.OutSize(h, w)
	r := naiveConv{
		y:  make([]float64, n*oh*ow*c.Out),
		dx: make([]float64, len(x)), dw: make([]float64, len(weights)), db: make([]float64, c.Out),
	}
	for i := range n * oh * ow {
		img, row, col := i/(oh*ow), i/ow%oh, i%ow
		for o := range c.Out {
			s, d := bias[o], dy[i*c.Out+o]
			r.db[o] += d
			for k := range c.KH * c.KW {
				iy, ix := row*c.StrideH-c.PadH+k/c.KW, col*c.StrideW-c.PadW+k%c.KW
				if iy < 0 || iy >= h || ix < 0 || ix >= w {
					continue
				}
				for ci := range c.In {
					xi, wi := ((img*h+iy)*w+ix)*c.In+ci, (k*c.In+ci)*c.Out+o
					s += x[xi] * weights[wi]
					r.dx[xi] += d * weights[wi]
					r.dw[wi] += d * x[xi]
				}
			}
			r.y[i*c.Out+o] = s
		}
	}
	return r
}

var convShapes = []struct {
	n, h, w int
	c       Conv2D
}{
	{2, 9, 11, Conv2D{KH: 3, KW: 3, In: 3, Out: 5, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}},
	{1, 14, 14, Conv2D{KH: 3, KW: 3, In: 70, Out: 33, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}},
	{1, 5, 6, Conv2D{KH: 3, KW: 3, In: 200, Out: 40, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}},
	{3, 12, 10, Conv2D{KH: 5, KW: 5, In: 3, Out: 16, StrideH: 2, StrideW: 2, PadH: 2, PadW: 2}},
	{2, 7, 8, Conv2D{KH: 3, KW: 2, In: 4, Out: 6, StrideH: 2, StrideW: 3, PadH: 0, PadW: 1}},
	{2, 8, 8, Conv2D{KH: 1, KW: 1, In: 64, Out: 64, StrideH: 1, StrideW: 1}},
	{2, 7, 7, Conv2D{KH: 1, KW: 1, In: 6, Out: 4, StrideH: 2, StrideW: 2}},
	{1, 4, 4, Conv2D{KH: 2, KW: 2, In: 2, Out: 3, StrideH: 1, StrideW: 1, PadH: 2, PadW: 2}},
	{2, 4, 6, Conv2D{KH: 4, KW: 1, In: 3, Out: 5, StrideH: 1, StrideW: 1}},
	{2, 1, 37, Conv1D(11, 16, 16, 1, 5)},
	{2, 1, 5, Conv1D(17, 50, 34, 1, 8)},
	{3, 1, 29, Conv1D(9, 5, 7, 2, 4)},
	{2, 1, 3, Conv1D(7, 2, 2, 1, 1)}, // no output
}

func testConv[T Float](t *testing.T, tol float64) {
	for _, s := range convShapes {
		t.Run(fmt.Sprintf("%d×%d×%d %+v", s.n, s.h, s.w, s.c), func(t *testing.T) {
			rnd := newRand(5)
			oh, ow := s.c.OutSize(s.h, s.w)
			x, w := random[T](rnd, s.n*s.h*s.w*s.c.In), random[T](rnd, s.c.WeightLen())
			bias, dy := random[T](rnd, s.c.Out), random[T](rnd, s.n*oh*ow*s.c.Out)
			want := newNaiveConv(s.c, s.n, s.h, s.w, widen(x), widen(w), widen(bias), widen(dy))
			y, dx, dw, db := make([]T, len(dy)), make([]T, len(x)), make([]T, len(w)), make([]T, s.c.Out)
			check := func(name string, got []T, want []float64) {
				t.Helper()
				if d := worst(got, want); !(d <= tol) {
					t.Errorf("%s: off by %g, want <= %g", name, d, tol)
				}
			}
			Conv2DForward(s.c, s.n, s.h, s.w, x, w, bias, false, y)
			check("y", y, want.y)
			Conv2DBackwardInput(s.c, s.n, s.h, s.w, dy, w, dx)
			check("dx", dx, want.dx)
			Conv2DBackwardWeights(s.c, s.n, s.h, s.w, x, dy, dw, db)
			check("dw", dw, want.dw)
			check("db", db, want.db)
			for i, v := range want.y {
				want.y[i] = math.Max(v, 0)
			}
			packed := make([]T, len(y))
			PackConv2D(s.c, w).Forward(s.n, s.h, s.w, x, bias, true, packed)
			check("packed, relu", packed, want.y)
			Conv2DForward(s.c, s.n, s.h, s.w, x, w, bias, true, y)
			if !slices.Equal(y, packed) {
				t.Error("packed and unpacked weights give different bits")
			}
		})
	}
}

func TestConv(t *testing.T) {
	t.Run("float64", func(t *testing.T) { testConv[float64](t, 1e-13) })
	eachPath(t, func(t *testing.T) { testConv[float32](t, 1e-5) })
}

func TestConvSameBits(t *testing.T) {
	shapes := convShapes
	if !testing.Short() {
		shapes = append(slices.Clone(shapes), struct {
			n, h, w int
			c       Conv2D
		}{3, 28, 28, Conv2D{KH: 3, KW: 3, In: 96, Out: 300, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}})
	}
	eachPath(t, func(t *testing.T) {
		for _, s := range shapes {
			rnd := newRand(6)
			oh, ow := s.c.OutSize(s.h, s.w)
			x, w, dy := random[float32](rnd, s.n*s.h*s.w*s.c.In), random[float32](rnd, s.c.WeightLen()), random[float32](rnd, s.n*oh*ow*s.c.Out)
			var first [][]float32
			for _, procs := range []int{1, 2, 4} {
				y, dx, dw, db := make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(w)), make([]float32, s.c.Out)
				atProcs(t, procs, func() {
					Conv2DForward(s.c, s.n, s.h, s.w, x, w, nil, false, y)
					Conv2DBackwardInput(s.c, s.n, s.h, s.w, dy, w, dx)
					Conv2DBackwardWeights(s.c, s.n, s.h, s.w, x, dy, dw, db)
				})
				got := [][]float32{y, dx, dw, db}
				if procs == 1 {
					first = got
				}
				for i, name := range []string{"y", "dx", "dw", "db"} {
					if !slices.Equal(got[i], first[i]) {
						t.Errorf("%+v: %s has other bits with GOMAXPROCS %d than with 1", s.c, name, procs)
					}
				}
			}
		}
	})
}

// Scratch is pooled: a step of training must not leave it behind as garbage.
func TestConvMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("under -race, sync.Pool forgets at random")
	}
	for _, v := range []struct {
		name    string
		n, h, w int
		c       Conv2D
	}{
		{"direct", 2, 14, 14, Conv2D{KH: 3, KW: 3, In: 48, Out: 48, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}},
		{"Winograd", 2, 14, 14, Conv2D{KH: 3, KW: 3, In: 64, Out: 64, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}},
		{"DFT", 2, 1, 200, Conv1D(17, 64, 64, 1, 8)},
		{"DFT of 9 taps", 2, 1, 38, Conv1D(9, 64, 64, 1, 4)},
	} {
		x, wt := make([]float32, v.n*v.h*v.w*v.c.In), make([]float32, v.c.WeightLen())
		y, dw := make([]float32, len(x)), make([]float32, len(wt))
		step := func() {
			Conv2DForward(v.c, v.n, v.h, v.w, x, wt, nil, true, y)
			Conv2DBackwardInput(v.c, v.n, v.h, v.w, y, wt, x)
			Conv2DBackwardWeights(v.c, v.n, v.h, v.w, x, y, dw, nil)
		}
		// The least of several batches: pools are refilled now and then, by the
		// collector and as goroutines change CPUs; garbage comes every time.
		const steps, batches = 5, 20
		least := uint64(math.MaxUint64)
		for range batches {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range steps {
				step()
			}
			runtime.ReadMemStats(&after)
			least = min(least, (after.TotalAlloc-before.TotalAlloc)/steps)
		}
		if least > 32<<10 {
			t.Errorf("%s: a step allocates %d bytes, want <= 32 KiB (its input is %d)", v.name, least, 4*len(x))
		}
	}
}

// ForwardAdd is Forward added to what is there, in one block of k and in several.
func TestForwardAdd(t *testing.T) {
	for _, c := range []Conv2D{
		{KH: 1, KW: 1, In: 33, Out: 70, StrideH: 1, StrideW: 1},
		{KH: 1, KW: 1, In: 700, Out: 40, StrideH: 2, StrideW: 1},
		{KH: 3, KW: 3, In: 5, Out: 8, StrideH: 1, StrideW: 2, PadH: 1, PadW: 1},
	} {
		const n, h, w = 2, 7, 9
		eachPath(t, func(t *testing.T) {
			rnd := newRand(21)
			x, wt, bias := random[float32](rnd, n*h*w*c.In), random[float32](rnd, c.WeightLen()), random[float32](rnd, c.Out)
			oh, ow := c.OutSize(h, w)
			f, alone := PackConv2D(c, wt), make([]float32, n*oh*ow*c.Out)
			f.Forward(n, h, w, x, bias, false, alone)
			before := random[float32](rnd, len(alone))
			for _, relu := range []bool{false, true} {
				want := make([]float64, len(alone))
				for i, v := range alone {
					want[i] = float64(v) + float64(before[i])
					if relu {
						want[i] = max(want[i], 0)
					}
				}
				y, whole := guarded[float32](len(alone))
				copy(y, before)
				f.ForwardAdd(n, h, w, x, bias, relu, y)
				if d := worst(y, want); !(d <= 1e-6) || !whole() {
					t.Errorf("%+v relu %v: off by %g; nothing written behind y: %v", c, relu, d, whole())
				}
			}
		})
	}
}

// Memory on huge pages is memory like any other, wherever it starts and ends.
func TestMake(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 19, 1<<20 + 5, 3<<19 - 1} {
		s := Make[float32](n)
		if len(s) != n || slices.ContainsFunc(s, func(v float32) bool { return v != 0 }) {
			t.Fatalf("Make(%d) is not %d zeros", n, n)
		}
		for i := range s {
			s[i] = float32(i)
		}
		for i := range s {
			if s[i] != float32(i) {
				t.Fatalf("Make(%d): element %d reads as %v", n, i, s[i])
			}
		}
	}
}
