package spectra

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// Lanes is a way to compute and how many frames it takes at once.
type Lanes struct {
	N   int
	set *simd.FrameSet // nil: plain Go, N = 1
}

// Best is that of the numeric path in use, see kernel.Numeric.
func Best() Lanes { return lanesOf(kernel.Numeric()) }

func lanesOf(path string) Lanes {
	for _, s := range simd.FrameSets() {
		if s.Name == path {
			return Lanes{s.Lanes, s}
		}
	}
	return Lanes{N: 1}
}

// Round returns n rounded up to whole vectors.
func (l Lanes) Round(n int) int { return (n + l.N - 1) / l.N * l.N }

func need(name string, got, want int) {
	if got < want {
		panic(fmt.Sprintf("spectra: %s has %d values, want %d", name, got, want))
	}
}

// Emphasise sets y[i] = x[i+1] - a*x[i] for the samples of x but the first.
func (l Lanes) Emphasise(y []float64, x []int16, a float64) {
	n := len(x) - 1
	if n <= 0 {
		return
	}
	need("y", len(y), n)
	whole := 0
	if l.set != nil {
		if whole = n / l.N * l.N; whole > 0 {
			l.set.Emphasise(&x[0], &y[0], a, whole)
		}
	}
	for i := whole; i < n; i++ {
		y[i] = float64(x[i+1]) - float64(a*float64(x[i]))
	}
}

// Window puts N frames into dst, which start in src hop samples apart, each
// times the window: dst[i*N+l] = src[l*hop+i]*win[i] for all i of win, whose
// length is a multiple of N.
func (l Lanes) Window(dst, src, win []float64, hop int) {
	n := len(win)
	need("dst", len(dst), n*l.N)
	need("src", len(src), (l.N-1)*hop+n)
	if n%l.N != 0 {
		panic(fmt.Sprintf("spectra: a window of %d for %d lanes", n, l.N))
	}
	if l.set != nil && n > 0 {
		l.set.Window(&src[0], &dst[0], &win[0], 8*hop, n)
		return
	}
	for i, w := range win {
		dst[i] = src[i] * w
	}
}
