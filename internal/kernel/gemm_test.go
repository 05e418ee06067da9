package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// naive is C (+)= A·B by its definition, in float64. ars and acs are the steps
// in a from row to row and column to column; brs and bcs likewise.
func naive[T Float](m, n, k int, a []T, ars, acs int, b []T, brs, bcs int, c []T, ldc int, e Epilogue[T]) []float64 {
	out := make([]float64, m*n)
	for i := range m {
		for j := range n {
			var s float64
			for x := range k {
				s += float64(a[i*ars+x*acs]) * float64(b[x*brs+j*bcs])
			}
			if e.Acc {
				s += float64(c[i*ldc+j])
			}
			if e.Bias != nil {
				s += float64(e.Bias[j])
			}
			if e.ReLU && s < 0 {
				s = 0
			}
			out[i*n+j] = s
		}
	}
	return out
}

const canary = -12345.678

// dense checks that nothing outside the n columns of c was written and gives
// those columns.
func dense[T Float](t *testing.T, what string, m, n int, c []T, ldc int) []T {
	t.Helper()
	var out []T
	for i, v := range c {
		r, j := i/ldc, i%ldc
		if r < m && j < n {
			out = append(out, v)
		} else if v != T(canary) {
			t.Fatalf("%s: wrote %v outside C, at row %d column %d", what, v, r, j)
		}
	}
	return out
}

// sizes are all of 0..40 in one direction, and such as cross blocks, chunks
// and tails in the others.
func sizes() [][3]int {
	var all [][3]int
	for i := range 41 {
		all = append(all, [3]int{i, (i * 7) % 41, (i * 11) % 41}, [3]int{(i * 5) % 41, i, (i*3 + 1) % 41}, [3]int{(i*13 + 2) % 41, (i * 9) % 41, i})
	}
	return append(all, [3]int{1, 1, 1}, [3]int{14, 32, 4}, [3]int{28, 33, 641}, [3]int{15, 65, 1030}, [3]int{211, 48, 13}, [3]int{5, 300, 520}, [3]int{100, 77, 333})
}

func testGemm[T Float](t *testing.T, tol float64) {
	rnd := newRand(1)
	for i, s := range sizes() {
		m, n, k := s[0], s[1], s[2]
		lda, ldb, ldc := k+i%3, n+i%4, n+i%5+1
		off := i % 3
		fresh := func() []T {
			c := make([]T, m*ldc+ldc)
			for i := range c {
				c[i] = T(canary)
				if i/ldc < m && i%ldc < n {
					c[i] = T(rnd.Float32())
				}
			}
			return c
		}
		a, b := random[T](rnd, off+m*lda)[off:], random[T](rnd, off+k*ldb)[off:]
		at, bt := random[T](rnd, k*(m+2)), random[T](rnd, n*lda)
		bias := random[T](rnd, n)
		for _, acc := range []bool{false, true} {
			what := fmt.Sprintf("m=%d n=%d k=%d acc=%v", m, n, k, acc)
			e := Epilogue[T]{Acc: acc}
			check := func(name string, want []float64, c []T) {
				t.Helper()
				if d := worst(dense(t, name+" "+what, m, n, c, ldc), want); !(d <= tol) {
					t.Fatalf("%s %s: off by %g, want <= %g", name, what, d, tol)
				}
			}
			c := fresh()
			want := naive(m, n, k, a, lda, 1, b, ldb, 1, c, ldc, e)
			Gemm(m, n, k, a, lda, b, ldb, c, ldc, acc)
			check("Gemm", want, c)

			c = fresh()
			want = naive(m, n, k, at, 1, m+2, b, ldb, 1, c, ldc, e)
			GemmTA(m, n, k, at, m+2, b, ldb, c, ldc, acc)
			check("GemmTA", want, c)

			c = fresh()
			want = naive(m, n, k, a, lda, 1, bt, 1, lda, c, ldc, e)
			GemmTB(m, n, k, a, lda, bt, lda, c, ldc, acc)
			check("GemmTB", want, c)

			c = fresh()
			e = Epilogue[T]{Acc: acc, Bias: bias, ReLU: true}
			want = naive(m, n, k, a, lda, 1, b, ldb, 1, c, ldc, e)
			PackB(k, n, b, ldb).Gemm(m, a, lda, c, ldc, e)
			check("PackB.Gemm", want, c)

			c = fresh()
			want = naive(m, n, k, a, lda, 1, bt, 1, lda, c, ldc, e)
			PackBT(k, n, bt, lda).Gemm(m, a, lda, c, ldc, e)
			check("PackBT.Gemm", want, c)
		}
	}
}

func TestGemm(t *testing.T) {
	t.Run("float64", func(t *testing.T) { testGemm[float64](t, 1e-13) })
	eachPath(t, func(t *testing.T) { testGemm[float32](t, 2e-5) })
}

// A is laid out first where it is transposed, for all columns and in several
// blocks of k, and B in several goes: the bits are those of the plain view.
func TestGemmTASameBits(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rnd := newRand(5)
		m, n, k := 121, 1030, 1400
		if Numeric() == plain.name {
			n, k = 1024, 641
		}
		at, b := random[float32](rnd, k*m), random[float32](rnd, k*n)
		a := make([]float32, m*k)
		for r := range k {
			for i := range m {
				a[i*k+r] = at[r*m+i]
			}
		}
		want, got := make([]float32, m*n), make([]float32, m*n)
		PackB(k, n, b, n).Gemm(m, a, k, want, n, Epilogue[float32]{})
		for _, procs := range []int{1, 2, 4} {
			clear(got)
			atProcs(t, procs, func() { GemmTA(m, n, k, at, m, b, n, got, n, false) })
			if !slices.Equal(got, want) {
				t.Errorf("GemmTA with GOMAXPROCS %d gives other bits than Gemm", procs)
			}
		}
	})
}

// A product takes no memory for matrices: what it packs goes to buffers that are
// kept. A few descriptions are left.
func TestGemmAllocs(t *testing.T) {
	const m, n, k, few = 64, 96, 700, 8
	a, b, c := make([]float32, m*k), make([]float32, n*k), make([]float32, m*n)
	for name, f := range map[string]func(){
		"Gemm":   func() { Gemm(m, n, k, a, k, b, n, c, n, false) },
		"GemmTA": func() { GemmTA(m, n, k, a, m, b, n, c, n, false) },
		"GemmTB": func() { GemmTB(m, n, k, a, k, b, k, c, n, false) },
	} {
		if got := testing.AllocsPerRun(20, f); got > few {
			t.Errorf("%s takes memory %g times a call, want <= %d", name, got, few)
		}
	}
}

// Rows 4 KiB apart take the way through packed rows.
func TestGemmBadStride(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rnd := newRand(2)
		for _, s := range [][3]int{{30, 160, 1024}, {3, 130, 2048}, {29, 128, 100}} {
			m, n, k := s[0], s[1], s[2]
			a, b, c := random[float32](rnd, m*2048), random[float32](rnd, k*n), make([]float32, m*n)
			want := naive(m, n, k, a, 2048, 1, b, n, 1, c, n, Epilogue[float32]{})
			Gemm(m, n, k, a, 2048, b, n, c, n, false)
			if d := worst(c, want); !(d <= 2e-5) {
				t.Errorf("Gemm %v: off by %g", s, d)
			}
		}
	})
}

// A row of C depends on its row of A alone: not on the other rows, the number
// of CPUs or the way the work was cut.
func TestGemmSameBits(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rnd := newRand(3)
		const m, n, k = 300, 333, 1500
		a, b := random[float32](rnd, m*k), random[float32](rnd, k*n)
		c := make([]float32, m*n)
		atProcs(t, 1, func() { Gemm(m, n, k, a, k, b, n, c, n, false) })
		for _, procs := range []int{2, 4} {
			got := make([]float32, m*n)
			atProcs(t, procs, func() { Gemm(m, n, k, a, k, b, n, got, n, false) })
			if !slices.Equal(got, c) {
				t.Errorf("GOMAXPROCS %d gives other bits than 1", procs)
			}
		}
		row := make([]float32, n)
		for _, i := range []int{0, 13, 255, 299} {
			Gemm(1, n, k, a[i*k:], k, b, n, row, n, false)
			if !slices.Equal(row, c[i*n:(i+1)*n]) {
				t.Errorf("row %d alone has other bits than within %d rows", i, m)
			}
		}
	})
}

func TestGemmNonFinite(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		const m, n, k = 15, 33, 9
		for _, bad := range []float32{inf, -inf, nan} {
			for _, e := range []Epilogue[float32]{{}, {ReLU: true}, {Bias: make([]float32, n), ReLU: true}} {
				rnd := newRand(4)
				a, b := random[float32](rnd, m*k), random[float32](rnd, k*n)
				a[3*k+5], b[2*n+32] = bad, bad
				a[7*k+2] = 0 // 0 * Inf is NaN: no shortcut for zeros
				c := make([]float32, m*n)
				want := naive(m, n, k, a, k, 1, b, n, 1, c, n, e)
				PackB(k, n, b, n).Gemm(m, a, k, c, n, e)
				for i, w := range want {
					g := float64(c[i])
					if math.IsNaN(w) != math.IsNaN(g) || (math.IsInf(w, 0) || math.IsInf(g, 0)) && w != g {
						t.Fatalf("%v, relu %v: C[%d][%d] = %v, want %v", bad, e.ReLU, i/n, i%n, g, w)
					}
				}
			}
		}
	})
}

func TestForce(t *testing.T) {
	if err := Force("mmx"); err == nil {
		t.Error(`Force("mmx") gave no error`)
	}
	best := Numeric()
	if err := Force(plain.name); err != nil || Numeric() != plain.name {
		t.Errorf("Force(%q): %v, Numeric() = %q", plain.name, err, Numeric())
	}
	if err := Force(""); err != nil || Numeric() != best {
		t.Errorf(`Force(""): %v, Numeric() = %q, want %q`, err, Numeric(), best)
	}
}

func TestShapeBugsPanic(t *testing.T) {
	x := make([]float32, 6)
	for name, f := range map[string]func(){
		"short A":  func() { Gemm(2, 2, 4, x, 4, x, 2, x, 2, false) },
		"short C":  func() { Gemm(4, 2, 1, x, 1, x, 2, x, 2, false) },
		"small ld": func() { Gemm(2, 3, 2, x, 2, x, 2, x, 3, false) },
		"bias":     func() { PackB(2, 2, x, 2).Gemm(1, x, 2, x, 2, Epilogue[float32]{Bias: x}) },
		"conv":     func() { Conv2DForward(Conv1D(3, 1, 1, 1, 1), 1, 1, 7, x, x, nil, false, x) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r, ok := recover().(string); !ok || r[:8] != "kernel: " {
					t.Errorf("panic %q, want one that starts with kernel:", r)
				}
			}()
			f()
		})
	}
}
