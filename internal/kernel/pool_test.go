package kernel

import (
	"math"
	"slices"
	"testing"
)

func TestMaxPool(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, s := range []struct {
			n, h, w, ch int
			p           Pool2D
		}{
			{2, 8, 10, 3, Pool2D{KH: 2, KW: 2, StrideH: 2, StrideW: 2}},
			{1, 9, 7, 20, Pool2D{KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}},
			{2, 1, 21, 33, Pool2D{KH: 1, KW: 3, StrideH: 1, StrideW: 2, PadW: 1}},
			{1, 3, 3, 16, Pool2D{KH: 3, KW: 3, StrideH: 1, StrideW: 1}},
			{1, 1, 1, 5, Pool2D{KH: 1, KW: 1, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}}, // windows of border only
		} {
			rnd := newRand(9)
			oh, ow := s.p.OutSize(s.h, s.w)
			x, dy := random[float32](rnd, s.n*s.h*s.w*s.ch), random[float32](rnd, s.n*oh*ow*s.ch)
			for i := range x { // ties in plenty
				x[i] = float32(math.Round(float64(x[i] * 4)))
			}
			special(x)
			y, arg, dx := make([]float32, len(dy)), make([]int32, len(dy)), make([]float32, len(x))
			MaxPoolForward(s.p, s.n, s.h, s.w, s.ch, x, y, arg)
			noArg := make([]float32, len(dy))
			MaxPoolForward(s.p, s.n, s.h, s.w, s.ch, x, noArg, nil)
			MaxPoolBackward(s.p, s.n, s.h, s.w, s.ch, dy, arg, dx)

			wantDX := make([]float32, len(x))
			for i := range dy {
				img, row, col, c := i/(oh*ow*s.ch), i/(ow*s.ch)%oh, i/s.ch%ow, i%s.ch
				want, at := float32(math.Inf(-1)), int32(-1)
				for k := range s.p.KH * s.p.KW {
					iy, ix := row*s.p.StrideH-s.p.PadH+k/s.p.KW, col*s.p.StrideW-s.p.PadW+k%s.p.KW
					if iy < 0 || iy >= s.h || ix < 0 || ix >= s.w {
						continue
					}
					v := x[((img*s.h+iy)*s.w+ix)*s.ch+c]
					if at < 0 || v > want || v != v && want == want {
						want, at = v, int32(iy*s.w+ix)
					}
				}
				if arg[i] != at || !sameBits(y[i:i+1], []float32{want}) {
					t.Fatalf("%+v: y[%d] = %v from %d, want %v from %d", s, i, y[i], arg[i], want, at)
				}
				if at >= 0 {
					wantDX[(img*s.h*s.w+int(at))*s.ch+c] += dy[i]
				}
			}
			if !sameBits(y, noArg) {
				t.Errorf("%+v: other maxima without arg", s)
			}
			if !slices.Equal(dx, wantDX) {
				t.Errorf("%+v: wrong dx", s)
			}
		}
	})
}
