package inspect

import (
	"math"
	"slices"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/mel"
	"github.com/hearsight/hearsight/internal/plot"
)

// envelope draws a waveform of 24 x 80 cells: 1 between the lowest and highest
// sample of a column.
func envelope(x []float32) *picture {
	const rows, cols = 24, 80
	p := &picture{rows, cols, make([]float64, rows*cols)}
	for c := range cols {
		part := x[c*len(x)/cols : (c+1)*len(x)/cols]
		lo, hi := float32(0), float32(0)
		for _, v := range part {
			lo, hi = min(lo, v), max(hi, v)
		}
		for r := range rows {
			top := 1 - 2*float32(r)/rows
			if top >= lo && top-2.0/rows <= hi {
				p.values[r*cols+c] = 1
			}
		}
	}
	return p
}

// maxColumns of a spectrogram: more than any picture of it shows. Of long sound
// the frames lie further apart.
const maxColumns = 4000

// shownDB of a spectrogram below its loudest value; what is softer is drawn alike.
const shownDB = 80

// spectrogram is the log mel spectrogram of mono sound, the highest band in the
// first row, from 20 Hz to half the sample rate. Of sound too short or too slow
// for one it has no values. Frames are made a few at a time, so that an hour
// takes little more memory than a second.
func spectrogram(x []float32, rateHz int) (*picture, error) {
	c := mel.Preset(mel.Kaldi, rateHz)
	c.Output, c.Filters, c.Cepstra, c.FFTSize = mel.OutputLogMel, 40, 0, 2*c.FFTSize // finer than the lowest bands are wide
	c.Lifter, c.Energy = 0, false
	c.HopSamples = max(c.HopSamples, len(x)/maxColumns+1)
	if c.Validate() != nil || len(x) < c.WindowSamples { // a rate of some 40 Hz, or a click
		return &picture{}, nil
	}
	e, err := mel.New(c)
	if err != nil {
		return nil, err
	}
	const batch = 64
	var values []float64
	for from := 0; from+c.WindowSamples <= len(x); from += batch * c.HopSamples {
		to := min(len(x), from+(batch-1)*c.HopSamples+c.WindowSamples)
		f, _, err := e.ExtractPCM16(nil, audio.ToPCM16(x[from:to]))
		if err != nil {
			return nil, err
		}
		values = append(values, widen(f)...)
	}
	floor := slices.Max(values) - shownDB*math.Ln10/10
	for i, v := range values {
		values[i] = max(v, floor)
	}
	frames := len(values) / e.Cols()
	return &picture{e.Cols(), frames, plot.Upright(frames, e.Cols(), values)}, nil
}
