package kernel

import (
	"slices"
	"testing"
)

// TestRepack: a matrix packed into the place of another gives the products of
// one packed anew, on any path, and in the same memory.
func TestRepack(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		t.Run("float32", repackAll[float32])
		t.Run("float64", repackAll[float64])
	})
}

func repackAll[T Float](t *testing.T) {
	rnd := newRand(3)
	const m, pad = 3, 2
	for _, s := range [][2]int{{1, 1}, {5, 7}, {17, 33}, {64, 96}, {700, 40}} {
		k, n := s[0], s[1]
		a, old, b := random[T](rnd, m*k), random[T](rnd, k*(n+pad)), random[T](rnd, k*(n+pad))
		bt := make([]T, n*(k+pad))
		for i := range k {
			for j := range n {
				bt[j*(k+pad)+i] = b[i*(n+pad)+j]
			}
		}
		product := func(p *Packed[T]) []T {
			c := make([]T, m*n)
			p.Gemm(m, a, k, c, n, Epilogue[T]{})
			return c
		}
		want := product(PackB(k, n, b, n+pad))
		p := PackB(k, n, old, n+pad)
		if slices.Equal(product(p), want) {
			t.Fatalf("%dx%d: two matrices have one product", k, n)
		}
		if p.Repack(b, n+pad); !slices.Equal(product(p), want) {
			t.Errorf("%dx%d: Repack gives another product than PackB", k, n)
		}
		p.Repack(old, n+pad)
		if p.RepackT(bt, k+pad); !slices.Equal(product(p), want) {
			t.Errorf("%dx%d: RepackT gives another product than PackB", k, n)
		}
	}
}

// TestRepackMemory: packing again takes no memory, and follows a change of path.
func TestRepackMemory(t *testing.T) {
	const k, n = 40, 30
	b, a := random[float32](newRand(4), k*n), make([]float32, k)
	a[1] = 1
	p := PackB(k, n, b, n)
	if got := testing.AllocsPerRun(10, func() { p.Repack(b, n); p.RepackT(b, k) }); got > 2 { // closures
		t.Errorf("packing twice allocates %v times", got)
	}
	eachPath(t, func(t *testing.T) {
		p.Repack(b, n)
		c := make([]float32, n)
		p.Gemm(1, a, k, c, n, Epilogue[float32]{})
		if !slices.Equal(c, b[n:2*n]) {
			t.Error("the product is wrong after a change of path")
		}
	})
}
