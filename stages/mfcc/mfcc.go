// Package mfcc turns recordings into features: for every 10 ms of sound one
// frame of mel-frequency cepstral coefficients, the input of the audio towers.
//
// In come the WAV files that decode made, out come rows of n_frames x
// n_coeffs numbers. The recipe is the paper's by default: that of
// python_speech_features with a window of 551 samples (25 ms at 22,050 Hz), a
// hop of 221, 40 filters and 40 coefficients of which column 0 is the frame's
// log energy. internal/mel computes it; this package opens, calls and writes.
//
// Deltas and the normalisation of each clip by its own statistics (cmvn:
// utterance) are options; that by the corpus's is the stage cmvn, because a
// clip's result then depends on all others.
//
// The features are as long as the sound. Filling them up or cutting them to
// what a network takes is left to training and scoring.
package mfcc

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/mel"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind computes features of clips.
var Kind = stage.NewItems(stage.Kind{
	Name:    "mfcc",
	Doc:     "compute MFCC or log mel features of WAV clips",
	Version: 3,
	Inputs:  []stage.Input{{Name: "wav", Doc: "mono 16-bit WAV clips", Types: []string{"wav"}}},
	Output:  "mfcc",
	Numeric: true,
}, defaults(), stage.Items[Params, table.MFCC]{
	List:  list,
	Open:  open,
	Table: func(Params) stage.Table[table.MFCC] { return table.MFCCs },
})

// Params are the parameters of Kind: the fields of mel.Config by the names that
// a spec uses.
type Params struct {
	Recipe        string  `json:"recipe" doc:"whose definition of the features; with librosa, kaldi and davenet the defaults are the library's own, not those below" enum:"psf,librosa,kaldi,davenet"`
	Features      string  `json:"features" doc:"cepstra or log filter energies, which kaldi calls fbank; empty: the recipe's usual" enum:",mfcc,logmel,fbank"`
	SampleRateHz  int     `json:"sample_rate_hz" doc:"rate the clips must have" min:"1" max:"768000" unit:"Hz"`
	Filters       int     `json:"filters" doc:"mel filters" min:"1" max:"1024"`
	Cepstra       int     `json:"cepstra" doc:"coefficients kept" min:"0" max:"1024"`
	FFTSize       int     `json:"fft_size" doc:"length of the Fourier transform" min:"2" max:"65536" unit:"samples"`
	WindowSamples int     `json:"window_samples" doc:"length of a frame" min:"1" max:"65536" unit:"samples"`
	HopSamples    int     `json:"hop_samples" doc:"from one frame to the next" min:"1" max:"65536" unit:"samples"`
	Window        string  `json:"window" doc:"shape of the window" enum:"rect,hamming,hann,povey"`
	PreEmphasis   float64 `json:"pre_emphasis" doc:"share of the sample before that is taken off; 0: none" min:"0" max:"1"`
	Lifter        int     `json:"lifter" doc:"length of the cepstral lifter; 0: none" min:"0" max:"1048576"`
	Energy        bool    `json:"energy" doc:"column 0 is the frame's log energy"`
	LowHz         float64 `json:"low_hz" doc:"where the filters begin" min:"0" unit:"Hz"`
	Deltas        int     `json:"deltas" doc:"1: slopes over time beside the features; 2: and theirs" min:"0" max:"2"`
	DeltaReach    int     `json:"delta_reach" doc:"frames on either side that a slope is fitted to" min:"1" max:"1000" unit:"frames"`
	CMVN          string  `json:"cmvn" doc:"utterance: each column to mean 0 and deviation 1 over the clip" enum:"none,utterance"`
	HighHz        float64 `json:"high_hz" doc:"where the filters end; 0: half the sample rate" min:"0" unit:"Hz"`
	HTK           bool    `json:"htk,omitempty" doc:"librosa: mel scale of HTK, not Slaney's"`
	NoCenter      bool    `json:"no_center,omitempty" doc:"librosa: frames begin at multiples of the hop, with nothing before the first; librosa's center=False"`
}

func defaults() Params { return params(mel.Default()) }

// Preset implements stage.Presetter: `recipe: librosa` alone is what
// librosa.feature.mfcc gives at the clips' rate. psf's is the paper's.
func (p Params) Preset() Params {
	if p.Recipe == mel.PSF {
		return defaults()
	}
	return params(mel.Preset(p.Recipe, p.SampleRateHz))
}

func params(c mel.Config) Params {
	return Params{
		Recipe: c.Dialect, Features: "", SampleRateHz: c.SampleRateHz, Filters: c.Filters, Cepstra: c.Cepstra,
		FFTSize: c.FFTSize, WindowSamples: c.WindowSamples, HopSamples: c.HopSamples, Window: c.Window,
		PreEmphasis: c.PreEmphasis, Lifter: c.Lifter, Energy: c.Energy, LowHz: c.LowHz, HighHz: c.HighHz,
		Deltas: 0, DeltaReach: 2, CMVN: cmvnNone,
	}
}

// Values of Params.CMVN.
const (
	cmvnNone      = "none"
	cmvnUtterance = "utterance"
)

func (p Params) config() mel.Config {
	return mel.Config{
		Dialect: p.Recipe, Output: p.Features, SampleRateHz: p.SampleRateHz, WindowSamples: p.WindowSamples,
		HopSamples: p.HopSamples, FFTSize: p.FFTSize, Filters: p.Filters, Cepstra: p.Cepstra, PreEmphasis: p.PreEmphasis,
		Lifter: p.Lifter, Energy: p.Energy, Window: p.Window, LowHz: p.LowHz, HighHz: p.HighHz,
		HTK: p.HTK, NoCenter: p.NoCenter,
	}
}

// Check implements stage.Checker.
func (p Params) Check() []spec.ParamProblem {
	if _, err := mel.New(p.config()); err != nil {
		return []spec.ParamProblem{{Message: strings.TrimPrefix(err.Error(), "mel: ")}}
	}
	return nil
}

func list(_ context.Context, t *stage.Task, _ Params) ([]stage.Item, error) {
	entries, err := rows.List(table.Clips, t.Input("wav"))
	if err != nil {
		return nil, err
	}
	items := make([]stage.Item, len(entries))
	for i, e := range entries {
		items[i] = stage.Item{ID: e.ID, Key: []string{"wav sha256:" + e.SHA256}, Ref: e.Ref}
	}
	return items, nil
}

func open(_ context.Context, t *stage.Task, p Params) (stage.Do[table.MFCC], func() error, error) {
	first, err := mel.New(p.config())
	if err != nil {
		return nil, nil, err
	}
	for _, w := range first.Warnings() {
		t.Report(stage.Progress{Message: w, Warning: true})
	}
	clips, err := rows.Open(table.Clips, t.Input("wav"))
	if err != nil {
		return nil, nil, err
	}
	// An extractor serves one goroutine at a time and is worth keeping.
	extractors := sync.Pool{New: func() any {
		e, err := mel.New(p.config())
		if err != nil {
			return err // cannot be: it just was made
		}
		return e
	}}
	do := func(_ context.Context, it stage.Item) (table.MFCC, error) {
		ref, _ := it.Ref.(rows.Ref)
		clip, err := clips.Row(ref)
		if err != nil {
			return table.MFCC{}, err
		}
		e, ok := extractors.Get().(*mel.Extractor)
		if !ok {
			return table.MFCC{}, fmt.Errorf("no extractor for %+v", p)
		}
		defer extractors.Put(e)
		return features(clip, e, p)
	}
	return do, clips.Close, nil
}

// features makes the row of a clip.
func features(clip table.Clip, e *mel.Extractor, p Params) (table.MFCC, error) {
	c := e.Config()
	samples, rate, err := audio.ReadPCM16(clip.Audio)
	switch {
	case err != nil:
		return table.MFCC{}, stage.Reject("%v", err)
	case rate != c.SampleRateHz:
		return table.MFCC{}, stage.Reject("clip has %d Hz, the features are defined for %d", rate, c.SampleRateHz)
	}
	x, frames, err := e.ExtractPCM16(nil, samples)
	if err != nil {
		return table.MFCC{}, stage.Reject("%v", err)
	}
	x, cols := p.finish(x, e.Cols())
	return table.MFCC{
		ID: clip.ID, SHA256: table.SumFloats(x), NFrames: int32(frames), NCoeffs: int32(cols), Features: x,
		SourceSHA256: clip.SHA256, SampleRateHz: int32(rate), WindowSamples: int32(c.WindowSamples), HopSamples: int32(c.HopSamples),
	}, nil
}

// finish adds slopes to features of cols columns and normalises: what it returns
// has cols*(1+Deltas) columns, the features, their slopes, and the slopes of
// these.
func (p Params) finish(x []float32, cols int) ([]float32, int) {
	if p.Deltas == 0 && p.CMVN != cmvnUtterance {
		return x, cols
	}
	parts := [][]float64{make([]float64, len(x))}
	for i, v := range x {
		parts[0][i] = float64(v)
	}
	for range p.Deltas {
		parts = append(parts, mel.Delta(parts[len(parts)-1], cols, p.DeltaReach))
	}
	if p.CMVN == cmvnUtterance {
		for _, part := range parts {
			mel.CMVN(part, cols)
		}
	}
	out := make([]float32, 0, len(parts)*len(x))
	for from := 0; from < len(x); from += cols {
		for _, part := range parts {
			for _, v := range part[from : from+cols] {
				out = append(out, float32(v))
			}
		}
	}
	return out, cols * len(parts)
}
