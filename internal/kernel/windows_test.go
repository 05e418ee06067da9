package kernel

import (
	"math"
	"strings"
	"testing"
)

// TestWindows: the rows of A may overlap, and a short A is still refused.
func TestWindows(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, s := range [][4]int{{1, 1, 1, 1}, {5, 3, 20, 2}, {9, 33, 700, 64}, {4, 16, 50, 0}} {
			m, n, k, step := s[0], s[1], s[2], s[3]
			rnd := newRand(7)
			a, b, c := random[float32](rnd, (m-1)*step+k), random[float32](rnd, k*n), make([]float32, m*n)
			p := PackB(k, n, b, n)
			p.Gemm(m, a, step, c, n, Epilogue[float32]{})
			for i := range m {
				for j := range n {
					want, size := 0., 0.
					for l := range k {
						v := float64(a[i*step+l]) * float64(b[l*n+j])
						want, size = want+v, size+math.Abs(v)
					}
					if d := math.Abs(float64(c[i*n+j]) - want); d > 1e-6*size {
						t.Fatalf("%v: C[%d,%d] is off by %g", s, i, j, d)
					}
				}
			}
			refuses := func() (r any) {
				defer func() { r = recover() }()
				p.Gemm(m, a[:len(a)-1], step, c, n, Epilogue[float32]{})
				return nil
			}
			if r, _ := refuses().(string); !strings.Contains(r, "kernel: Packed.Gemm") {
				t.Errorf("%v: a short A: %v", s, r)
			}
		}
	})
}
