package mel

import "math"

const (
	dbFloor = 1e-10 // amin of librosa.power_to_db
	dbRange = 80    // its top_db
)

// librosaLike is the recipe of librosa.feature.mfcc 0.11, and, with the mean
// taken off, pre-emphasis and decibels below the loudest value, that of
// DAVEnet's log mel front end.
type librosaLike struct {
	c     Config
	bank  *filterbank
	spec  *spectrum
	win   []float64 // of FFTSize samples, the window in its middle
	dct   *dct
	power []float64
	x     []float64 // the signal scaled and prepared
	db    []float64 // frames x Filters
}

func newLibrosa(c Config) *librosaLike {
	r := &librosaLike{
		c: c, bank: slaneyBank(c), spec: newSpectrum(c.FFTSize), win: make([]float64, c.FFTSize), power: make([]float64, c.FFTSize/2+1),
	}
	if c.Output == OutputMFCC {
		r.dct = newDCT(c.Cepstra, c.Filters, 0)
	}
	// librosa takes windows by name as periodic ones; DAVEnet hands scipy's
	// function over, which is then called for the symmetric window.
	w := window(c.Window, c.WindowSamples, c.Dialect == Librosa)
	copy(r.win[(c.FFTSize-c.WindowSamples)/2:], w)
	return r
}

func (r *librosaLike) frames(n int) int {
	if r.c.NoCenter {
		if n < r.c.FFTSize {
			return 0
		}
		return 1 + (n-r.c.FFTSize)/r.c.HopSamples
	}
	return 1 + (n+2*(r.c.FFTSize/2)-r.c.FFTSize)/r.c.HopSamples
}

func (r *librosaLike) extract(out, x []float64) {
	r.prepare(x)
	frames := len(out) / r.c.Cols()
	r.db = resize(r.db, frames*r.c.Filters)
	for t := range frames {
		from := t * r.c.HopSamples
		if !r.c.NoCenter {
			from -= r.c.FFTSize / 2
		}
		for i, w := range r.win {
			v := 0.0
			if j := from + i; j >= 0 && j < len(r.x) {
				v = r.x[j] * w
			}
			r.spec.buf[i] = v
		}
		r.spec.power(r.power, 1)
		r.bank.apply(r.db[t*r.c.Filters:][:r.c.Filters], r.power)
	}
	r.toDB()
	if r.c.Output == OutputLogMel {
		copy(out, r.db)
		return
	}
	for t := range frames {
		r.dct.apply(out[t*r.c.Cepstra:][:r.c.Cepstra], r.db[t*r.c.Filters:])
	}
}

// prepare scales the signal to -1..1; for DAVEnet it takes the mean off and
// applies pre-emphasis, the first sample staying as it is.
func (r *librosaLike) prepare(x []float64) {
	r.x = resize(r.x, len(x))
	mean := 0.0
	if r.c.Dialect == DAVEnet {
		mean = sum(x) / float64(len(x))
	}
	for i, v := range x {
		r.x[i] = (v - mean) / 32768
	}
	if a := r.c.PreEmphasis; a != 0 {
		for i := len(r.x) - 1; i > 0; i-- {
			r.x[i] -= float64(a * r.x[i-1])
		}
	}
}

// toDB is power_to_db: 10 log10, floored at 1e-10, and at 80 dB below the
// loudest value of the whole signal. For DAVEnet the loudest is 0 dB.
func (r *librosaLike) toDB() {
	top := 0.0
	for _, v := range r.db {
		top = max(top, v)
	}
	topDB := 10 * math.Log10(max(dbFloor, top))
	ref := 0.0
	if r.c.Dialect == DAVEnet {
		ref = topDB
	}
	for i, v := range r.db {
		r.db[i] = max(10*math.Log10(max(dbFloor, v)), topDB-dbRange) - ref
	}
}

// Slaney's mel scale is linear, 200/3 Hz a mel, below 1 kHz, and logarithmic
// above, 27 mel a factor of 6.4.
const (
	slaneyStep = 200. / 3
	slaneyKnee = 1000.
)

func slaneyMel(hz float64) float64 {
	if hz < slaneyKnee {
		return hz / slaneyStep
	}
	return slaneyKnee/slaneyStep + math.Log(hz/slaneyKnee)/(math.Log(6.4)/27)
}

func slaneyHz(mel float64) float64 {
	if mel < slaneyKnee/slaneyStep {
		return slaneyStep * mel
	}
	return slaneyKnee * math.Exp(math.Log(6.4)/27*(mel-slaneyKnee/slaneyStep))
}

// slaneyBank is librosa.filters.mel: triangles between edges equally spaced in
// mel, in Hz not floored to bins, each of unit area. HTK uses the other scale.
func slaneyBank(c Config) *filterbank { return triangles(c, true) }

func triangles(c Config, unitArea bool) *filterbank {
	toMel, toHz := slaneyMel, slaneyHz
	if c.HTK {
		toMel, toHz = hzToMel, melToHz
	}
	edges := linspace(toMel(c.LowHz), toMel(c.HighHz), c.Filters+2)
	for i, m := range edges {
		edges[i] = toHz(m)
	}
	rows := make([][]float64, c.Filters)
	for j := range rows {
		rows[j] = make([]float64, c.FFTSize/2+1)
		scale := 1.0
		if unitArea {
			scale = 2 / (edges[j+2] - edges[j])
		}
		for k := range rows[j] {
			f := float64(k) * float64(c.SampleRateHz) / float64(c.FFTSize)
			up, down := (f-edges[j])/(edges[j+1]-edges[j]), (edges[j+2]-f)/(edges[j+2]-edges[j+1])
			rows[j][k] = scale * max(0, min(up, down))
		}
	}
	return newFilterbank(rows)
}
