package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// sparse is a tensor of rows of ch channels, none of them negative, of which each
// is there in a share of the rows of its own, down to none, and of a size of its own.
func sparse(rows, ch int, seed uint64) []float32 {
	rnd := newRand(seed)
	x := make([]float32, rows*ch)
	for c := range ch {
		share := math.Pow(rnd.Float64(), 4)
		if c%16 == 0 {
			share = 0
		}
		size := math.Exp2(float64(rnd.IntN(20) - 10))
		for r := range rows {
			if rnd.Float64() < share {
				x[r*ch+c] = float32(size * (.1 + rnd.Float64()))
			}
		}
	}
	return x
}

// wrongZeros counts the gradients that are 0 in one and not in the other.
func wrongZeros(got []float32, want []float64) (zeros, wrong int) {
	for i, v := range want {
		if v == 0 {
			zeros++
		}
		if (v == 0) != (got[i] == 0) {
			wrong++
		}
	}
	return zeros, wrong
}

// TestZeroGradients: a weight that no product adds to gets exactly 0 through the
// transforms as well, and no other does.
func TestZeroGradients(t *testing.T) {
	type shape struct {
		n, h, w int
		c       Conv2D
		domain  func(c Conv2D, n, h, w int) *bilinear[float32]
	}
	var shapes []shape
	for _, s := range dftShapes {
		shapes = append(shapes, shape{s.n, s.h, s.w, s.c, func(c Conv2D, n, h, w int) *bilinear[float32] { return newDFT[float32](c, n*h, w) }})
	}
	for _, s := range winoTraining {
		shapes = append(shapes, shape{s.n, s.h, s.w, s.c, newWinograd[float32]})
	}
	for _, s := range shapes {
		t.Run(fmt.Sprintf("%d×%d×%d %+v", s.n, s.h, s.w, s.c), func(t *testing.T) {
			oh, ow := s.c.OutSize(s.h, s.w)
			x, dy := sparse(s.n*s.h*s.w, s.c.In, 1), sparse(s.n*oh*ow, s.c.Out, 2)
			want := newNaiveConv(s.c, s.n, s.h, s.w, widen(x), make([]float64, s.c.WeightLen()), make([]float64, s.c.Out), widen(dy)).dw
			eachPath(t, func(t *testing.T) {
				dw := make([]float32, s.c.WeightLen())
				s.domain(s.c, s.n, s.h, s.w).weightGrad(x, dy, dw)
				if d := rms(widen(dw), want); !(d <= 5e-6) {
					t.Errorf("relative rms %g, want <= 5e-6", d)
				}
				if zeros, wrong := wrongZeros(dw, want); wrong > 0 || zeros == 0 || zeros == len(want) {
					t.Errorf("%d of %d weights have no product: %d are 0 and should not be, or the other way round", zeros, len(want), wrong)
				}
			})
		})
	}
}

// TestFewRows: a gradient that is 0 but in few rows gives, by one product of
// these, what the definition says; and none at all gives 0.
func TestFewRows(t *testing.T) {
	shapes := append(slices.Clone(winoTraining), dftShapes...)
	for _, s := range shapes {
		oh, ow := s.c.OutSize(s.h, s.w)
		rows := s.n * oh * ow
		for _, few := range []int{0, 1, 5} {
			rnd := newRand(uint64(few))
			x, dy := sparse(s.n*s.h*s.w, s.c.In, 3), make([]float32, rows*s.c.Out)
			for range few {
				copy(dy[rnd.IntN(rows)*s.c.Out:][:s.c.Out], random[float32](rnd, s.c.Out))
			}
			want := newNaiveConv(s.c, s.n, s.h, s.w, widen(x), make([]float64, s.c.WeightLen()), make([]float64, s.c.Out), widen(dy)).dw
			if left := nonZeroRows(rows, s.c.Out, dy); len(left) > few || few > 0 && len(left) == 0 {
				t.Fatalf("%d of %d rows are not 0, not %d", len(left), rows, few)
			}
			eachPath(t, func(t *testing.T) {
				dw, whole := guarded[float32](s.c.WeightLen())
				Conv2DBackwardWeights(s.c, s.n, s.h, s.w, x, dy, dw, nil)
				if d := rms(widen(dw), want); !(d <= 1e-6) || !whole() {
					t.Errorf("%+v, %d rows: relative rms %g, want <= 1e-6; nothing written behind: %v", s.c, few, d, whole())
				}
				if _, wrong := wrongZeros(dw, want); wrong > 0 {
					t.Errorf("%+v, %d rows: %d weights are 0 and should not be, or the other way round", s.c, few, wrong)
				}
			})
		}
	}
}

// TestZeroGradientsNaN: a NaN or an infinity of the input where the gradient is 0
// is not hidden, neither by zeros behind the transforms nor by leaving rows out.
func TestZeroGradientsNaN(t *testing.T) {
	for _, c := range []struct {
		h, w int
		c    Conv2D
	}{{1, 64, Conv1D(17, 64, 64, 1, 8)}, {9, 10, conv3x3(64, 64)}} {
		for _, odd := range []float64{math.NaN(), math.Inf(1)} {
			for _, rows := range []int{1, c.h * c.w / 2} {
				x, dy := random[float32](newRand(5), c.h*c.w*c.c.In), make([]float32, c.h*c.w*c.c.Out)
				for r := range rows { // channel 3 has a gradient in the first rows, others have none
					dy[r*c.c.Out+3] = 1
				}
				at := (c.h*c.w - 1) * c.c.In
				for p := 0; p < at; p += c.c.In { // of channel 0 there is the last place alone
					x[p] = 0
				}
				x[at] = float32(odd)
				eachPath(t, func(t *testing.T) {
					dw := make([]float32, c.c.WeightLen())
					Conv2DBackwardWeights(c.c, 1, c.h, c.w, x, dy, dw, nil)
					middle := (c.c.KH*c.c.KW/2*c.c.In+0)*c.c.Out + 3
					if v := dw[middle]; v == v {
						t.Errorf("%+v, %d rows, %v times 0: gradient %v, want NaN", c.c, rows, odd, v)
					}
				})
			}
		}
	}
}

// TestFlip: bit c of word r goes to bit r of word c.
func TestFlip(t *testing.T) {
	rnd := newRand(4)
	var a, b [64]uint64
	for i := range a {
		a[i] = rnd.Uint64()
	}
	b = a
	flip(&b)
	for r := range 64 {
		for c := range 64 {
			if a[r]>>c&1 != b[c]>>r&1 {
				t.Fatalf("bit %d of word %d is not bit %d of word %d", c, r, r, c)
			}
		}
	}
}
