package kernel

import (
	"math"
	"slices"
	"testing"
)

// TestBilinearNonFinite: through another domain as well, what is not finite
// makes each result not finite that the definition says it reaches: in y, in
// the gradient by the input, and in that by the weights.
func TestBilinearNonFinite(t *testing.T) {
	for _, s := range []struct {
		name    string
		n, h, w int
		c       Conv2D
		at      []int // places of the image
	}{
		{"DFT", 1, 1, 40, Conv1D(11, 64, 64, 1, 5), []int{0, 20, 31, 32, 39}},
		{"DFT of 9 taps", 1, 1, 44, Conv1D(9, 64, 64, 1, 4), []int{0, 20, 39, 40, 43}},
		{"Winograd", 1, 9, 9, conv3x3(64, 64), []int{0, 4*9 + 4, 3*9 + 8, 80}},
	} {
		rnd := newRand(31)
		size := s.n * s.h * s.w
		x, wt, dy := random[float32](rnd, size*s.c.In), random[float32](rnd, s.c.WeightLen()), random[float32](rnd, size*s.c.Out)
		reached := func(x, wt, dy []float32) (y, dx, dw []float32) {
			y, dx, dw = make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(wt))
			Conv2DForward(s.c, s.n, s.h, s.w, x, wt, nil, false, y)
			Conv2DBackwardInput(s.c, s.n, s.h, s.w, dy, wt, dx)
			Conv2DBackwardWeights(s.c, s.n, s.h, s.w, x, dy, dw, nil)
			return y, dx, dw
		}
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			for i, at := range s.at {
				badX, badDY, badW := slices.Clone(x), slices.Clone(dy), slices.Clone(wt)
				badX[at*s.c.In+i], badDY[at*s.c.Out+i], badW[i*s.c.Out+7*i] = bad, bad, bad
				var want [4][]float32
				if err := Force(plain.name); err != nil {
					t.Fatal(err)
				}
				// The direct way is the definition; float64 always goes it.
				wantY, wantDX, wantDW := direct(s.c, s.n, s.h, s.w, badX, badDY, wt)
				want[0], want[1], want[2] = wantY, wantDX, wantDW
				want[3], _, _ = direct(s.c, s.n, s.h, s.w, x, dy, badW)
				eachPath(t, func(t *testing.T) {
					if newBilinear[float32](s.c, s.n, s.h, s.w) == nil {
						t.Fatal("goes the direct way")
					}
					y, dx, dw := reached(badX, wt, badDY)
					byW, _, _ := reached(x, badW, dy)
					for k, got := range [][]float32{y, dx, dw, byW} {
						name := []string{"y", "dx", "dw", "y by weights"}[k]
						for j, w := range want[k] {
							if w-w != 0 && got[j]-got[j] == 0 {
								t.Fatalf("%s, %v at %d: %s[%d] is %v, want %v", s.name, bad, at, name, j, got[j], w)
							}
						}
					}
				})
			}
		}
	}
}

// direct is a convolution and its gradients the direct way.
func direct(c Conv2D, n, h, w int, x, dy, wt []float32) (y, dx, dw []float32) {
	y, dx, dw = make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(wt))
	directForward(c, n, h, w, x, wt, nil, false, y)
	directInput(c, n, h, w, dy, wt, dx)
	directWeights(c, n, h, w, x, dy, dw)
	return y, dx, dw
}

// TestReductionsNonFinite: a NaN, or infinities of both signs, anywhere makes
// NaN of a sum; one infinity stays it.
func TestReductionsNonFinite(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	eachPath(t, func(t *testing.T) {
		for _, n := range []int{2, 7, 16, 33, 1000, chunk + 3} {
			for _, at := range []int{0, (n - 1) / 2, n - 2} {
				for _, v := range []struct{ a, b, want float64 }{{nan, 1, nan}, {1, nan, nan}, {inf, 1, inf}, {1, -inf, -inf}, {inf, -inf, nan}} {
					x, ones := make([]float32, n), make([]float32, n)
					for i := range x {
						x[i], ones[i] = 1, 1
					}
					x[at], x[at+1] = float32(v.a), float32(v.b)
					column := make([]float32, 1)
					BiasGrad(n, 1, x, column)
					for name, got := range map[string]float32{"Sum": Sum(x), "Dot": Dot(x, ones), "BiasGrad": column[0]} {
						if g := float64(got); g != v.want && !(math.IsNaN(g) && math.IsNaN(v.want)) {
							t.Errorf("%s of %d with %v, %v at %d = %v, want %v", name, n, v.a, v.b, at, got, v.want)
						}
					}
				}
			}
		}
	})
}
