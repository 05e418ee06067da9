package mel

import "math"

// psfEpsilon takes the place of zeros before the logarithm, in filter outputs
// and energy alike: numpy.finfo(float).eps.
const psfEpsilon = 2.220446049250313e-16

// psf is the recipe of python_speech_features 0.6 (base.mfcc, base.logfbank).
type psf struct {
	c     Config
	bank  *filterbank
	spec  *spectrum
	win   []float64 // nil for the rectangular window
	dct   *dct
	used  int // samples of a window that reach the FFT
	power []float64
	mel   []float64
}

func newPSF(c Config) *psf {
	r := &psf{
		c: c, bank: psfBank(c), spec: newSpectrum(c.FFTSize), dct: newDCT(c.Cepstra, c.Filters, c.Lifter),
		used: min(c.WindowSamples, c.FFTSize), power: make([]float64, c.FFTSize/2+1), mel: make([]float64, c.Filters),
	}
	if c.Window != "rect" {
		r.win = window(c.Window, c.WindowSamples, false)
	}
	return r
}

// frames is 1 for anything up to a window, then one more for each hop begun.
func (r *psf) frames(n int) int {
	if n <= r.c.WindowSamples {
		return 1
	}
	return 1 + (n-r.c.WindowSamples+r.c.HopSamples-1)/r.c.HopSamples
}

func (r *psf) extract(out, x []float64) {
	cols := r.c.Cols()
	for t := range len(out) / cols {
		r.load(x, t*r.c.HopSamples)
		r.spec.power(r.power, 1/float64(r.c.FFTSize))
		r.bank.apply(r.mel, r.power)
		for i, v := range r.mel {
			r.mel[i] = math.Log(orEpsilon(v))
		}
		row := out[t*cols : (t+1)*cols]
		if r.c.Output == OutputLogMel {
			copy(row, r.mel)
			continue
		}
		r.dct.apply(row, r.mel)
		if r.c.Energy {
			row[0] = math.Log(orEpsilon(sum(r.power)))
		}
	}
}

// load puts the pre-emphasised, windowed frame that starts at sample from into
// the FFT's buffer, zeros after the signal's end. (Pre-emphasis of the whole
// signal, a frame at a time: only the sample before the frame is needed.)
func (r *psf) load(x []float64, from int) {
	buf, a := r.spec.buf, r.c.PreEmphasis
	n := max(0, min(r.used, len(x)-from))
	prev := 0.0
	if from > 0 && n > 0 {
		prev = x[from-1]
	}
	for i, v := range x[min(from, len(x)):][:n] {
		buf[i] = v - float64(a*prev)
		prev = v
	}
	clear(buf[n:])
	if r.win != nil {
		for i, w := range r.win[:n] {
			buf[i] *= w
		}
	}
}

func orEpsilon(v float64) float64 {
	if v == 0 {
		return psfEpsilon
	}
	return v
}

func sum(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += v
	}
	return s
}
