package mel

import (
	"errors"
	"fmt"
	"math"
)

// ErrNoSamples is returned for a signal without samples: there is no frame to
// speak of, and a row of logarithms of nothing would pass for silence.
var ErrNoSamples = errors.New("mel: no samples")

// A recipe is one dialect. frames gives the number of frames of n > 0 samples;
// extract writes frames x cols values for the samples x, which it may not keep
// or change.
type recipe interface {
	frames(n int) int
	extract(out, x []float64)
}

// An Extractor computes the features of one Config. It owns its plans and
// buffers and allocates nothing once they have grown to the longest signal, so
// make one per goroutine: it is not safe for concurrent use.
type Extractor struct {
	cfg      Config
	cols     int
	recipe   recipe
	warnings []string
	in       []float64 // samples widened from int16 or float32
	out      []float64 // features before they are narrowed to float32
}

// New returns an Extractor for c, or what Validate says is wrong with it.
func New(c Config) (*Extractor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	e := &Extractor{cfg: c, cols: c.Cols()}
	var fb *filterbank
	switch c.Dialect {
	case PSF:
		r := newPSF(c)
		e.recipe, fb = r, r.bank
		if c.WindowSamples > c.FFTSize {
			e.warnings = append(e.warnings, fmt.Sprintf("window of %d samples is cut to the FFT size %d", c.WindowSamples, c.FFTSize))
		}
	case Kaldi:
		r := newKaldi(c)
		e.recipe, fb = r, r.bank
	case Librosa, DAVEnet:
		r := newLibrosa(c)
		e.recipe, fb = r, r.bank
	}
	if empty := fb.empty(); len(empty) > 0 {
		e.warnings = append(e.warnings, fmt.Sprintf("filters %v of %d are empty: too many filters for %d FFT bins", empty, c.Filters, c.FFTSize/2+1))
	}
	return e, nil
}

// Config returns the configuration, with its defaults filled in.
func (e *Extractor) Config() Config { return e.cfg }

// Warnings returns what is lawful but suspect about the configuration, such as
// filters that no FFT bin falls into. The same for all signals.
func (e *Extractor) Warnings() []string { return e.warnings }

// Cols returns the number of features of a frame.
func (e *Extractor) Cols() int { return e.cols }

// Frames returns how many frames n samples give; 0 for n <= 0, and for signals
// too short for a dialect that has whole frames only.
func (e *Extractor) Frames(n int) int {
	if n <= 0 {
		return 0
	}
	return e.recipe.frames(n)
}

// Extract returns the features of x, frames x Cols() row by row, and the number
// of frames. Samples are at int16 scale (-32768..32767) in every dialect; those
// whose libraries work on -1..1 scale them here. The result is in dst where its
// capacity suffices. x without samples is ErrNoSamples, x too short for a single
// frame or with a non-finite sample another error.
func (e *Extractor) Extract(dst []float64, x []float64) ([]float64, int, error) {
	frames := e.Frames(len(x))
	switch {
	case len(x) == 0:
		return nil, 0, ErrNoSamples
	case frames == 0:
		return nil, 0, fmt.Errorf("mel: %d samples are too few for a frame of %d", len(x), e.cfg.WindowSamples)
	}
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, 0, fmt.Errorf("mel: non-finite sample at %d", i)
		}
	}
	dst = resize(dst, frames*e.cols)
	e.recipe.extract(dst, x)
	return dst, frames, nil
}

// ExtractPCM16 is Extract for 16-bit samples with a float32 result: the path
// from a WAV file to a stored feature. The arithmetic between is float64.
func (e *Extractor) ExtractPCM16(dst []float32, x []int16) ([]float32, int, error) {
	e.in = resize(e.in, len(x))
	for i, v := range x {
		e.in[i] = float64(v)
	}
	var frames int
	var err error
	if e.out, frames, err = e.Extract(e.out, e.in); err != nil {
		return nil, 0, err
	}
	dst = resize(dst, len(e.out))
	for i, v := range e.out {
		dst[i] = float32(v)
	}
	return dst, frames, nil
}

// resize returns a slice of n elements, s's own memory if it is large enough.
// The contents are unspecified.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
