package mel

import (
	"errors"
	"fmt"
	"iter"
	"math"
)

// ErrNoSamples is returned for a signal without samples: there is no frame to
// speak of, and a row of logarithms of nothing would pass for silence.
var ErrNoSamples = errors.New("mel: no samples")

// maxSample bounds samples, whose int16 scale ends at 32768: squares of what is
// larger may overflow.
const maxSample = 1e100

// An Extractor computes the features of one Config. It owns its plans and
// buffers and allocates nothing once these have grown to their size, which does
// not depend on the length of a signal. Make one per goroutine: it is not safe
// for concurrent use.
type Extractor struct {
	cfg      Config
	cols     int
	warnings []string
	p        *pipeline
	rows     []float32 // of a batch, for Stream
}

// New returns an Extractor for c, or what Validate says is wrong with it. It
// computes on the numeric path that is in use at this moment.
func New(c Config) (*Extractor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	e := &Extractor{cfg: c, cols: c.Cols()}
	if c.Dialect == PSF && c.WindowSamples > c.FFTSize {
		e.warnings = append(e.warnings, fmt.Sprintf("window of %d samples is cut to the FFT size %d", c.WindowSamples, c.FFTSize))
	}
	fb := c.bank()
	if empty := fb.empty(); len(empty) > 0 {
		e.warnings = append(e.warnings, fmt.Sprintf("filters %v of %d are empty: too many filters for %d FFT bins", empty, c.Filters, c.FFTSize/2+1))
	}
	e.p = newPipeline(c, fb)
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
func (e *Extractor) Frames(n int) int { return e.cfg.frames(n) }

// Extract returns the features of x, frames x Cols() row by row, and the number
// of frames. Samples are at int16 scale (-32768..32767) in every dialect; those
// whose libraries work on -1..1 scale them here. The result is in dst where its
// capacity suffices. x without samples is ErrNoSamples, x too short for a single
// frame or with a sample that is not finite or beyond 1e100 another error.
func (e *Extractor) Extract(dst []float64, x []float64) ([]float64, int, error) {
	for i, v := range x {
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			return nil, 0, fmt.Errorf("mel: non-finite sample at %d", i)
		case math.Abs(v) > maxSample:
			return nil, 0, fmt.Errorf("mel: sample at %d is %g, want at most %g", i, v, maxSample)
		}
	}
	frames := e.Frames(len(x))
	if err := e.enough(len(x), frames); err != nil {
		return nil, 0, err
	}
	dst = resize(dst, frames*e.cols)
	e.p.to64 = dst
	defer e.p.release()
	for pass := e.p.first(); pass != done; pass = e.p.next() {
		e.p.begin(pass)
		e.p.feed(x)
		if err := e.p.end(); err != nil {
			return nil, 0, err
		}
	}
	return dst, frames, nil
}

// ExtractPCM16 is Extract for 16-bit samples with a float32 result: the path
// from a WAV file to a stored feature. The arithmetic between is float64.
func (e *Extractor) ExtractPCM16(dst []float32, x []int16) ([]float32, int, error) {
	frames := e.Frames(len(x))
	if err := e.enough(len(x), frames); err != nil {
		return nil, 0, err
	}
	dst = resize(dst, frames*e.cols)
	e.p.to32 = dst
	defer e.p.release()
	for pass := e.p.first(); pass != done; pass = e.p.next() {
		e.p.begin(pass)
		e.p.feed16(x)
		if err := e.p.end(); err != nil {
			return nil, 0, err
		}
	}
	return dst, frames, nil
}

// Stream is ExtractPCM16 for a signal of any length in constant memory: chunks
// yields it piece by piece, emit gets the features of some frames at a time, in
// order, frames x Cols() in memory that it may not keep. They are the same bits
// however the signal is cut. chunks is ranged over once for psf and kaldi; what
// the librosa and davenet dialects do to a frame depends on the whole signal
// (its loudest value, for davenet also its mean), so for them it is ranged over
// up to two and three times, and must yield the same each time. Errors are
// those of chunks, of emit, and Extract's.
func (e *Extractor) Stream(chunks iter.Seq2[[]int16, error], emit func(rows []float32) error) (frames int, err error) {
	e.rows = resize(e.rows, e.p.lanes.N*e.cols)
	e.p.to32, e.p.emit = e.rows, emit
	defer e.p.release()
	samples := -1
	for pass := e.p.first(); pass != done; pass = e.p.next() {
		e.p.begin(pass)
		for x, err := range chunks {
			if err != nil {
				return 0, err
			}
			if e.p.feed16(x); e.p.err != nil {
				return 0, e.p.err
			}
		}
		n := e.p.samples
		if err := e.enough(n, e.Frames(n)); err != nil {
			return 0, err
		}
		if samples >= 0 && n != samples {
			return 0, fmt.Errorf("mel: the signal had %d samples when it was first read and then %d", samples, n)
		}
		samples = n
		if err := e.p.end(); err != nil {
			return 0, err
		}
	}
	return e.Frames(samples), nil
}

// enough reports an error unless there is a frame.
func (e *Extractor) enough(samples, frames int) error {
	switch {
	case samples == 0:
		return ErrNoSamples
	case frames == 0:
		return fmt.Errorf("mel: %d samples are too few for a frame of %d", samples, e.cfg.WindowSamples)
	}
	return nil
}

// resize returns a slice of n elements, s's own memory if it is large enough.
// The contents are unspecified.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
