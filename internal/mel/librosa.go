package mel

import "math"

const (
	dbFloor = 1e-10 // amin of librosa.power_to_db
	dbRange = 80    // its top_db
)

// What librosa.feature.mfcc 0.11 and DAVEnet's front end do to a frame depends
// on the loudest of the signal.

// notePeak looks for the largest filter output of count frames, and keeps all of
// them as long as there is room.
func (p *pipeline) notePeak(count int) {
	n := p.lanes.N
	for f := range p.c.Filters {
		for _, v := range p.logs[f*n:][:count] {
			p.peak = max(p.peak, v)
		}
	}
	if p.keeping = p.keeping && len(p.kept)+len(p.logs) <= p.room; p.keeping {
		p.kept = append(p.kept, p.logs...)
	}
}

// fromKept makes features of the filter outputs that were kept.
func (p *pipeline) fromKept() {
	total := p.frame
	p.pass, p.frame = passRows, 0
	for from := 0; from < len(p.kept) && p.err == nil; from += len(p.logs) {
		copy(p.logs, p.kept[from:])
		count := min(p.lanes.N, total-p.frame)
		p.finish(count)
		p.frame += count
	}
	p.pass = passPeak
}

// decibels is power_to_db: 10 log10, floored at 1e-10, and at 80 dB below the
// loudest value of the whole signal. For DAVEnet the loudest is 0 dB.
func (p *pipeline) decibels() {
	const perNeper = 10 / math.Ln10
	top := perNeper * math.Log(max(dbFloor, p.peak))
	floor, ref := top-dbRange, 0.0
	if p.c.Dialect == DAVEnet {
		ref = top
	}
	p.lanes.Log(p.logs, dbFloor, dbFloor)
	for i, v := range p.logs {
		p.logs[i] = max(float64(perNeper*v), floor) - ref
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
