package kernel

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

// eachPath runs f on every numeric path of this CPU.
func eachPath(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for _, p := range paths {
		t.Run(p.name, func(t *testing.T) {
			if err := Force(p.name); err != nil {
				t.Fatal(err)
			}
			defer Force("")
			f(t)
		})
	}
}

func random[T Float](rnd *rand.Rand, n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = T(rnd.Float32() - 0.5)
	}
	return s
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// worst is the largest difference, as a part of the largest value of want.
func worst[T Float](got []T, want []float64) float64 {
	top, diff := 0.0, 0.0
	for i, w := range want {
		top = math.Max(top, math.Abs(w))
		d := math.Abs(float64(got[i]) - w)
		if !(d <= diff) { // a NaN counts
			diff = d
		}
	}
	return diff / math.Max(top, 1e-30)
}

func atProcs(t *testing.T, n int, f func()) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	f()
}

func widen[T Float](s []T) []float64 {
	out := make([]float64, len(s))
	for i, v := range s {
		out[i] = float64(v)
	}
	return out
}

func narrow[T Float](s []float64) []T {
	out := make([]T, len(s))
	for i, v := range s {
		out[i] = T(v)
	}
	return out
}
