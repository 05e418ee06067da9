package mel

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// A spectrum computes power spectra of real frames of one length: 551 with its
// own transform, all others with gonum's.
type spectrum struct {
	own  *fft551
	plan *fourier.FFT
	buf  []float64    // the frame, zero-padded to the FFT's length
	bins []complex128 // FFT(buf), n/2 + 1 of them
}

func newSpectrum(n int) *spectrum {
	s := &spectrum{buf: make([]float64, n)}
	if n == ft551 {
		s.own = newFFT551()
		return s
	}
	s.plan, s.bins = fourier.NewFFT(n), make([]complex128, n/2+1)
	return s
}

// power sets out[k] = scale |FFT(buf)[k]|² for the frame that was put in buf.
func (s *spectrum) power(out []float64, scale float64) {
	if s.own != nil {
		s.own.power(out, s.buf, scale)
		return
	}
	s.plan.Coefficients(s.bins, s.buf)
	for k, v := range s.bins {
		re, im := real(v), imag(v)
		out[k] = scale * (re*re + im*im)
	}
}

// A dct is the orthonormal DCT-II of n values, of which the first rows are
// wanted, with the lifter folded into its rows.
type dct struct {
	n int
	m []float64 // rows x n
}

// newDCT returns y[k] = lift(k) s(k) sum_j x[j] cos(pi k (2j+1) / 2n) with
// s(0) = sqrt(1/n), s(k) = sqrt(2/n) and lift(k) = 1 + lifter/2 sin(pi k /
// lifter), 1 for lifter 0. Beyond k = lifter the lift turns below 1 and even
// negative: the libraries do that, too.
func newDCT(rows, n, lifter int) *dct {
	d := &dct{n: n, m: make([]float64, rows*n)}
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
			d.m[k*n+j] = scale * math.Cos(math.Pi*float64(k*(2*j+1)%(4*n))/float64(2*n))
		}
	}
	return d
}

// apply sets out to the rows of the transform of x.
func (d *dct) apply(out, x []float64) {
	x = x[:d.n]
	for k := range out {
		row := d.m[k*d.n:]
		row = row[:len(x)]
		var s0, s1, s2, s3 float64
		j := 0
		for ; j+4 <= len(x); j += 4 {
			s0 += row[j] * x[j]
			s1 += row[j+1] * x[j+1]
			s2 += row[j+2] * x[j+2]
			s3 += row[j+3] * x[j+3]
		}
		for ; j < len(x); j++ {
			s0 += row[j] * x[j]
		}
		out[k] = (s0 + s1) + (s2 + s3)
	}
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
