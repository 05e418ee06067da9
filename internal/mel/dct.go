package mel

import "math"

// newDCT returns the matrix, rows x n, of the orthonormal DCT-II with the lifter
// folded in: y[k] = lift(k) s(k) sum_j x[j] cos(pi k (2j+1) / 2n) with
// s(0) = sqrt(1/n), s(k) = sqrt(2/n) and lift(k) = 1 + lifter/2 sin(pi k /
// lifter), 1 for lifter 0. Beyond k = lifter the lift turns below 1 and even
// negative: the libraries do that, too.
func newDCT(rows, n, lifter int) []float64 {
	m := make([]float64, rows*n)
	for k := range rows {
		scale := math.Sqrt(2 / float64(n))
		if k == 0 {
			scale = math.Sqrt(1 / float64(n))
		}
		if lifter > 0 {
			l := float64(lifter)
			scale *= 1 + l/2*math.Sin(math.Pi*float64(k)/l)
		}
		for j := range n {
			// The angle is reduced in integers: cos of a large float argument
			// would lose the digits that the tolerance asks for.
			m[k*n+j] = scale * math.Cos(math.Pi*float64(k*(2*j+1)%(4*n))/float64(2*n))
		}
	}
	return m
}

// window returns n weights of the named window. Periodic windows (librosa's)
// are those of n+1 points without the last. povey is Kaldi's hann to the power
// .85.
func window(name string, n int, periodic bool) []float64 {
	w := make([]float64, n)
	den := float64(n - 1)
	if periodic {
		den = float64(n)
	}
	for i := range w {
		c := math.Cos(2 * math.Pi * float64(i) / den)
		switch {
		case name == "rect" || den == 0:
			w[i] = 1
		case name == "hamming":
			w[i] = .54 - .46*c
		case name == "hann":
			w[i] = .5 - .5*c
		case name == "povey":
			w[i] = math.Pow(.5-.5*c, .85)
		}
	}
	return w
}
