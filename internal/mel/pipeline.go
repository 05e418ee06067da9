package mel

import (
	"math"

	"github.com/hearsight/hearsight/internal/kernel/spectra"
)

// A pass is one reading of the signal. What psf and kaldi do to a frame depends
// on the frame; the others want to know something of the whole signal first.
type pass int

const (
	passMean pass = iota // davenet: the mean of all samples
	passPeak             // librosa, davenet: the largest filter output
	passRows             // the features
	done
)

const (
	// chunkSamples is how many samples are prepared at a time: they and what
	// becomes of a batch of frames stay in the first two levels of cache.
	chunkSamples = 4096
	// keepValues is how many filter outputs passPeak keeps, 8 MB, so that there
	// need be no passRows: four minutes of sound.
	keepValues = 1 << 20
)

// A pipeline turns a signal, which comes in pieces, into features, which leave
// in batches: as many frames as there are lanes. It holds no more of the signal
// than the frames of a batch need.
type pipeline struct {
	c     Config
	cols  int
	lanes spectra.Lanes
	win   []float64 // weights of the FFT's samples, rounded up to whole vectors
	power *spectra.Power
	bank  *spectra.Bank
	dct   *spectra.Matrix // nil: the log filter outputs are the features

	bins []float64 // power spectra
	logs []float64 // filter outputs, then psf's energy
	out  []float64 // cepstra
	own  []float64 // kaldi: frames prepared one by one, a window apart
	loud []float64 // kaldi: their energies

	pass    pass
	err     error     // of emit
	samples int       // read so far
	frame   int       // the next one
	y       []float64 // the signal as the dialect prepares it, from place pos on
	pos     int
	last    float64 // the sample before, as pre-emphasis sees it
	sum     float64
	mean    float64
	peak    float64
	kept    []float64 // filter outputs, batch by batch
	keeping bool
	room    int // how many may be kept

	to64 []float64 // where features go
	to32 []float32
	emit func(rows []float32) error // nil: all features go into to64 or to32
}

func newPipeline(c Config, fb *filterbank) *pipeline {
	l := spectra.Best()
	p := &pipeline{c: c, cols: c.Cols(), lanes: l, power: l.NewPower(c.FFTSize), room: keepValues}
	p.win = make([]float64, l.Round(c.FFTSize))
	copy(p.win, c.window())
	scale := 1 / p.power.Scale()
	start, weights := fb.start, fb.w
	if c.Dialect == PSF {
		scale /= float64(c.FFTSize)
		all := make([]float64, p.power.Bins())
		for i := range all {
			all[i] = 1
		}
		start, weights = append(start, 0), append(weights, all)
	}
	scaled := make([][]float64, len(weights))
	for i, w := range weights {
		scaled[i] = make([]float64, len(w))
		for k, v := range w {
			scaled[i][k] = v * scale
		}
	}
	p.bank = l.NewBank(p.power.Bins(), start, scaled)
	if c.Output == OutputMFCC {
		p.dct = l.NewMatrix(c.dct(), c.Filters)
		p.out = make([]float64, p.dct.Rows()*l.N)
	}
	p.bins, p.logs = make([]float64, p.power.Bins()*l.N), make([]float64, p.bank.Filters()*l.N)
	if c.Dialect == Kaldi {
		p.own, p.loud = make([]float64, len(p.win)*l.N), make([]float64, l.N)
	}
	return p
}

func (p *pipeline) first() pass {
	switch p.c.Dialect {
	case DAVEnet:
		return passMean
	case Librosa:
		return passPeak
	}
	return passRows
}

// next is what is to be done when a pass has ended.
func (p *pipeline) next() pass {
	if p.pass == passPeak && p.keeping {
		return done
	}
	return p.pass + 1
}

// release forgets the caller's memory.
func (p *pipeline) release() { p.to64, p.to32, p.emit, p.kept = nil, nil, nil, p.kept[:0] }

// begin starts a pass at the signal's begin, before which there are the zeros
// that centred frames reach into.
func (p *pipeline) begin(pass pass) {
	p.pass, p.err = pass, nil
	p.samples, p.frame, p.pos, p.last, p.sum = 0, 0, 0, 0, 0
	if pass == passPeak {
		p.peak, p.kept, p.keeping = 0, p.kept[:0], true
	}
	if pass == passMean {
		p.mean = 0
	}
	p.y = p.y[:0]
	p.pad(p.c.lead())
}

// pad appends n zeros to y.
func (p *pipeline) pad(n int) {
	clear(p.grow(n))
}

// grow appends n places to y and returns them.
func (p *pipeline) grow(n int) []float64 {
	have := len(p.y)
	if cap(p.y) < have+n {
		y := make([]float64, have, have+n+chunkSamples)
		copy(y, p.y)
		p.y = y
	}
	p.y = p.y[:have+n]
	return p.y[have:]
}

// feed takes in samples at int16 scale.
func (p *pipeline) feed(x []float64) {
	for len(x) > 0 && p.err == nil {
		n := min(len(x), chunkSamples)
		if p.pass == passMean {
			for _, v := range x[:n] {
				p.sum += v
			}
		} else {
			p.prepare(p.grow(n), x[:n])
			p.batches(false)
		}
		x, p.samples = x[n:], p.samples+n
	}
}

// feed16 is feed for 16-bit samples.
func (p *pipeline) feed16(x []int16) {
	for len(x) > 0 && p.err == nil {
		n := min(len(x), chunkSamples)
		piece := x[:n]
		switch {
		case p.pass == passMean:
			for _, v := range piece {
				p.sum += float64(v)
			}
		case p.c.Dialect == PSF:
			y := p.grow(n)
			y[0] = float64(piece[0]) - float64(p.c.PreEmphasis*p.last)
			p.lanes.Emphasise(y[1:], piece, p.c.PreEmphasis)
			p.last = float64(piece[n-1])
			p.batches(false)
		default:
			y := p.grow(n)
			for i, v := range piece {
				y[i] = float64(v)
			}
			p.prepare(y, y)
			p.batches(false)
		}
		x, p.samples = x[n:], p.samples+n
	}
}

// prepare makes of samples, x, what frames are cut from: kaldi's are, the others
// have pre-emphasis over the whole signal, librosa and davenet at -1..1. y may
// be x.
func (p *pipeline) prepare(y, x []float64) {
	a := p.c.PreEmphasis
	switch p.c.Dialect {
	case PSF:
		for i, v := range x {
			y[i], p.last = v-float64(a*p.last), v
		}
	case Kaldi:
		copy(y, x)
	default:
		for i, v := range x {
			v = (v - p.mean) / 32768
			y[i], p.last = v-float64(a*p.last), v
		}
	}
}

// batches computes the frames that the signal so far has whole, by batches; at
// its end, with zeros after it, all.
func (p *pipeline) batches(end bool) {
	n := p.lanes.N
	reach := (n-1)*p.c.HopSamples + len(p.win)
	total := math.MaxInt
	if end {
		total = p.c.frames(p.samples)
	}
	for p.err == nil {
		from := p.frame*p.c.HopSamples - p.pos
		if end && p.frame < total {
			p.pad(max(0, from+reach-len(p.y)))
		}
		if p.frame >= total || from+reach > len(p.y) {
			break
		}
		count := min(n, total-p.frame)
		p.spectrum(p.y[from:][:reach])
		p.finish(count)
		p.frame += count
	}
	gone := min(p.frame*p.c.HopSamples-p.pos, len(p.y))
	p.y = p.y[:copy(p.y, p.y[gone:])]
	p.pos += gone
}

// spectrum computes the filter outputs of a batch of frames.
func (p *pipeline) spectrum(y []float64) {
	if p.c.Dialect == Kaldi {
		for l := range p.lanes.N {
			p.loud[l] = p.c.kaldiFrame(p.own[l*len(p.win):], y[l*p.c.HopSamples:][:p.c.WindowSamples])
		}
		p.lanes.Window(p.power.Frame(), p.own, p.win, len(p.win))
	} else {
		p.lanes.Window(p.power.Frame(), y, p.win, p.c.HopSamples)
	}
	p.power.Apply(p.bins)
	p.bank.Apply(p.logs, p.bins)
}

// finish makes features of the filter outputs of count frames.
func (p *pipeline) finish(count int) {
	switch p.c.Dialect {
	case PSF:
		p.lanes.Log(p.logs, 0, psfEpsilon)
	case Kaldi:
		p.lanes.Log(p.logs, kaldiEpsilon, kaldiEpsilon)
		p.lanes.Log(p.loud, kaldiEnergyFloor, kaldiEnergyFloor)
	default:
		if p.pass == passPeak {
			p.notePeak(count)
			return
		}
		p.decibels()
	}
	if p.dct == nil {
		p.put(p.logs, count)
		return
	}
	p.dct.Apply(p.out, p.logs)
	if p.c.Energy {
		energy := p.loud
		if p.c.Dialect == PSF {
			energy = p.logs[p.c.Filters*p.lanes.N:]
		}
		copy(p.out[:p.lanes.N], energy)
	}
	p.put(p.out, count)
}

// end ends a pass: the last frames, with zeros after the signal, and what a pass
// finds out.
func (p *pipeline) end() error {
	switch p.pass {
	case passMean:
		p.mean = p.sum / float64(p.samples)
		return nil
	case passPeak:
		p.batches(true)
		if p.keeping {
			p.fromKept()
		}
	default:
		p.batches(true)
	}
	return p.err
}

// put hands over the features of count frames, of which block has place after
// place.
func (p *pipeline) put(block []float64, count int) {
	n, at := p.lanes.N, p.frame*p.cols
	if p.emit != nil {
		at = 0
	}
	if p.to64 != nil {
		to := p.to64[at:][:count*p.cols]
		for k := range p.cols {
			for l, v := range block[k*n:][:count] {
				to[l*p.cols+k] = v
			}
		}
		return
	}
	to := p.to32[at:][:count*p.cols]
	for k := range p.cols {
		for l, v := range block[k*n:][:count] {
			to[l*p.cols+k] = float32(v)
		}
	}
	if p.emit != nil {
		p.err = p.emit(to)
	}
}
