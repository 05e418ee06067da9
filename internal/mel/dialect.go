package mel

// psfEpsilon takes the place of zeros before the logarithm, in filter outputs
// and energy alike: numpy.finfo(float).eps.
const psfEpsilon = 2.220446049250313e-16

// frames returns how many frames n samples give. psf: 1 for anything up to a
// window, then one more for each hop begun. kaldi, and librosa without centring:
// whole frames only. Centred: those whose middle is in the signal, nearly.
func (c Config) frames(n int) int {
	whole := c.WindowSamples
	switch {
	case n <= 0:
		return 0
	case c.Dialect == PSF && n <= c.WindowSamples:
		return 1
	case c.Dialect == PSF:
		return 1 + (n-c.WindowSamples+c.HopSamples-1)/c.HopSamples
	case c.Dialect != Kaldi:
		n, whole = n+2*c.lead(), c.FFTSize
	}
	if n < whole {
		return 0
	}
	return 1 + (n-whole)/c.HopSamples
}

// lead is how many zeros the first frame reaches back into before the signal.
func (c Config) lead() int {
	if (c.Dialect == Librosa || c.Dialect == DAVEnet) && !c.NoCenter {
		return c.FFTSize / 2
	}
	return 0
}

// bank returns the dialect's filters, at its own scale.
func (c Config) bank() *filterbank {
	switch c.Dialect {
	case PSF:
		return psfBank(c)
	case Kaldi:
		return kaldiBank(c)
	}
	return slaneyBank(c)
}

// window returns the weights of the FFT's samples: psf's window is cut where it
// is longer, librosa's and davenet's is in the middle of zeros.
func (c Config) window() []float64 {
	out := make([]float64, c.FFTSize)
	at := 0
	if c.Dialect == Librosa || c.Dialect == DAVEnet {
		at = (c.FFTSize - c.WindowSamples) / 2
	}
	// librosa takes windows by name as periodic ones; DAVEnet hands scipy's
	// function over, which is then called for the symmetric window.
	copy(out[at:], window(c.Window, c.WindowSamples, c.Dialect == Librosa))
	return out
}

// dct returns the cosine transform, Cepstra x Filters, with the lifter.
func (c Config) dct() []float64 {
	if c.Dialect == Kaldi {
		return kaldiDCT(c.Cepstra, c.Filters, c.Lifter)
	}
	return newDCT(c.Cepstra, c.Filters, c.Lifter)
}
