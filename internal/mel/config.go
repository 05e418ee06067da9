package mel

import (
	"fmt"
	"math"
)

// Dialects of Config.Dialect.
const (
	PSF     = "psf"     // python_speech_features 0.6
	Librosa = "librosa" // librosa.feature.mfcc 0.11
	Kaldi   = "kaldi"   // torchaudio.compliance.kaldi 2.11
	DAVEnet = "davenet" // the log mel front end of Harwath et al. 2018
)

// Outputs of Config.Output.
const (
	OutputMFCC   = "mfcc"   // cepstra, frames x Cepstra
	OutputLogMel = "logmel" // log filter energies, frames x Filters
	OutputFbank  = "fbank"  // what kaldi calls them
)

// Limits on a Config, far beyond any sensible setting; they keep a typing error
// from asking for gigabytes.
const (
	maxRateHz  = 1 << 20
	maxSamples = 1 << 16 // window, hop and FFT
	maxFilters = 1 << 10
)

// A Config says which features an Extractor computes. Start from Default or
// Preset and change what differs; every field counts as it stands.
type Config struct {
	Dialect       string // PSF, Librosa, Kaldi or DAVEnet; "" is PSF
	Output        string // OutputMFCC or OutputLogMel; "" is the dialect's usual
	SampleRateHz  int
	WindowSamples int
	HopSamples    int
	FFTSize       int // bins are FFTSize/2 + 1; psf cuts a longer window to it
	Filters       int
	Cepstra       int     // at most Filters
	PreEmphasis   float64 // y[t] = x[t] - PreEmphasis x[t-1]; 0 is none
	Lifter        int     // cepstral lifter length L; 0 is none
	Energy        bool    // column 0 becomes the frame's log energy
	Window        string  // rect, hamming, hann, povey; periodic as in librosa, else symmetric
	LowHz         float64
	HighHz        float64 // 0 is half the sample rate
	HTK           bool    // librosa: HTK mel scale in place of Slaney's
	NoCenter      bool    // librosa: frames start at t*hop, none is padded
}

// Default returns the recipe of the paper: python_speech_features at 22,050 Hz,
// window 551 (25 ms), hop 221 (10 ms, half rounded up), FFT 551, 40 filters,
// 40 cepstra, rectangular window, column 0 the log energy.
func Default() Config {
	return Config{
		Dialect: PSF, Output: OutputMFCC, SampleRateHz: 22050, WindowSamples: 551, HopSamples: 221, FFTSize: 551,
		Filters: 40, Cepstra: 40, PreEmphasis: 0.97, Lifter: 22, Energy: true, Window: "rect",
	}
}

// Preset returns the defaults of a dialect's own library at a sample rate:
// python_speech_features.mfcc, librosa.feature.mfcc, kaldi's mfcc, or DAVEnet's
// log mel. An unknown dialect gives a Config that New refuses.
func Preset(dialect string, sampleRateHz int) Config {
	rate := float64(sampleRateHz)
	c := Config{Dialect: dialect, SampleRateHz: sampleRateHz, Output: OutputMFCC}
	switch dialect {
	case PSF:
		c.WindowSamples, c.HopSamples, c.FFTSize = RoundHalfUp(.025*rate), RoundHalfUp(.01*rate), 512
		c.Filters, c.Cepstra, c.PreEmphasis, c.Lifter, c.Energy, c.Window = 26, 13, .97, 22, true, "rect"
	case Librosa:
		c.WindowSamples, c.HopSamples, c.FFTSize = 2048, 512, 2048
		c.Filters, c.Cepstra, c.Window = 128, 20, "hann"
	case Kaldi:
		c.WindowSamples, c.HopSamples = int(rate*.025), int(rate*.01)
		c.FFTSize = nextPow2(c.WindowSamples)
		c.Filters, c.Cepstra, c.PreEmphasis, c.Lifter, c.Window = 23, 13, .97, 22, "povey"
		c.LowHz = 20
	case DAVEnet:
		c.WindowSamples, c.HopSamples = int(rate*.025), int(rate*.01)
		c.FFTSize = c.WindowSamples
		c.Filters, c.Cepstra, c.PreEmphasis, c.Window, c.LowHz = 40, 0, .97, "hamming", 20
		c.Output = OutputLogMel
	}
	return c
}

// RoundHalfUp rounds a length in samples as python_speech_features does: halves
// go up, so that 10 ms at 22,050 Hz (220.5) are 221 samples.
func RoundHalfUp(v float64) int { return int(math.Floor(v + 0.5)) }

func nextPow2(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// withDefaults fills in the fields whose zero value means "the usual".
func (c Config) withDefaults() Config {
	if c.Dialect == "" {
		c.Dialect = PSF
	}
	if c.Output == "" {
		c.Output = OutputMFCC
		if c.Dialect == DAVEnet {
			c.Output = OutputLogMel
		}
	}
	if c.Output == OutputFbank && c.Dialect == Kaldi {
		c.Output = OutputLogMel
	}
	if c.HighHz == 0 {
		c.HighHz = float64(c.SampleRateHz) / 2
	}
	if c.Window == "" {
		c.Window = "rect"
	}
	return c
}

// Validate reports the first thing that is wrong with c, or nil.
func (c Config) Validate() error {
	c = c.withDefaults()
	check := func(name string, v, lo, hi int) error {
		if v < lo || v > hi {
			return fmt.Errorf("mel: %s is %d, want %d to %d", name, v, lo, hi)
		}
		return nil
	}
	minCepstra := 1
	if c.Output == OutputLogMel {
		minCepstra = 0
	}
	for _, err := range []error{
		check("sample rate", c.SampleRateHz, 1, maxRateHz),
		check("window samples", c.WindowSamples, 1, maxSamples),
		check("hop samples", c.HopSamples, 1, maxSamples),
		check("fft size", c.FFTSize, 2, maxSamples),
		check("filters", c.Filters, 1, maxFilters),
		check("cepstra", c.Cepstra, minCepstra, c.Filters),
		check("lifter", c.Lifter, 0, 1<<20),
	} {
		if err != nil {
			return err
		}
	}
	return c.validateRest()
}

func (c Config) validateRest() error {
	half := float64(c.SampleRateHz) / 2
	switch {
	case c.Dialect != PSF && c.Dialect != Librosa && c.Dialect != Kaldi && c.Dialect != DAVEnet:
		return fmt.Errorf("mel: unknown dialect %q, want psf, librosa, kaldi or davenet", c.Dialect)
	case c.Output == OutputFbank:
		return fmt.Errorf("mel: fbank is kaldi's word; the %s dialect has logmel", c.Dialect)
	case c.Output != OutputMFCC && c.Output != OutputLogMel:
		return fmt.Errorf("mel: unknown output %q, want mfcc or logmel", c.Output)
	case c.Window != "rect" && c.Window != "hamming" && c.Window != "hann" && c.Window != "povey":
		return fmt.Errorf("mel: unknown window %q, want rect, hamming, hann or povey", c.Window)
	case !(c.LowHz >= 0 && c.LowHz < c.HighHz && c.HighHz <= half):
		return fmt.Errorf("mel: filters from %g to %g Hz, want 0 <= low < high <= %g (half the sample rate)", c.LowHz, c.HighHz, half)
	case !(math.Abs(c.PreEmphasis) <= 1):
		return fmt.Errorf("mel: pre-emphasis is %g, want -1 to 1", c.PreEmphasis)
	case c.Dialect != PSF && c.WindowSamples > c.FFTSize:
		return fmt.Errorf("mel: window of %d samples is longer than the FFT of %d", c.WindowSamples, c.FFTSize)
	case c.Dialect == DAVEnet && c.Output == OutputMFCC:
		return fmt.Errorf("mel: the davenet dialect has log mel output only")
	case c.Energy && c.Dialect != PSF && c.Dialect != Kaldi:
		return fmt.Errorf("mel: the %s dialect has no energy column: say false", c.Dialect)
	case c.Lifter > 0 && c.Dialect == Librosa:
		return fmt.Errorf("mel: the librosa dialect has no lifter here: say 0")
	case (c.HTK || c.NoCenter) && c.Dialect != Librosa:
		return fmt.Errorf("mel: HTK's scale and frames without centring are choices of the librosa dialect, this is %s", c.Dialect)
	}
	return nil
}

// Cols returns the number of features a frame has under c.
func (c Config) Cols() int {
	if c.withDefaults().Output == OutputLogMel {
		return c.Filters
	}
	return c.Cepstra
}
