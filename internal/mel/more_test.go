package mel

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestGoldenDeltaCMVN(t *testing.T) {
	x, rate := goldenInput(t, "speech")
	c := paper(rate)
	c.Cepstra = 13
	feat, rows, err := mustNew(t, c).Extract(nil, x)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, Delta(feat, 13, 2), golden(t, "speech.psf_delta2_of_paper13"), rows, 13, 1e-8)
	half := rows / 2 * 13
	var m Moments
	m.Add(feat[:half], 13)
	m.Add(feat[half:], 13)
	whole := slices.Clone(feat)
	m.Normalize(whole)
	CMVN(feat, 13)
	compare(t, feat, golden(t, "speech.cmvn_of_paper13"), rows, 13, 1e-8)
	compare(t, whole, golden(t, "speech.cmvn_of_paper13"), rows, 13, 1e-8)
}

// naivePSF is the recipe once more, with loops and a DFT by its definition: what
// always runs, without golden files.
func naivePSF(c Config, x []float64) []float64 {
	frames := 1
	for frames > 0 && (frames-1)*c.HopSamples+c.WindowSamples < len(x) {
		frames++
	}
	bank := psfBank(c.withDefaults())
	var out []float64
	for t := range frames {
		f := make([]float64, c.FFTSize)
		for i := range min(c.WindowSamples, c.FFTSize) {
			switch j := t*c.HopSamples + i; {
			case j == 0:
				f[i] = x[0]
			case j < len(x):
				f[i] = x[j] - c.PreEmphasis*x[j-1]
			}
		}
		power, energy := make([]float64, c.FFTSize/2+1), 0.0
		for k := range power {
			var re, im float64
			for i, v := range f {
				s, co := math.Sincos(2 * math.Pi * float64(i*k%c.FFTSize) / float64(c.FFTSize))
				re, im = re+v*co, im-v*s
			}
			power[k] = (re*re + im*im) / float64(c.FFTSize)
			energy += power[k]
		}
		logs := make([]float64, c.Filters)
		for j, w := range bank.w {
			s := 0.0
			for i, v := range w {
				s += v * power[bank.start[j]+i]
			}
			logs[j] = math.Log(max(s, psfEpsilon))
		}
		for k := range c.Cepstra {
			s := 0.0
			for j, v := range logs {
				s += 2 * v * math.Cos(math.Pi*float64(k)*(2*float64(j)+1)/float64(2*c.Filters))
			}
			s *= math.Sqrt(1 / float64(2*c.Filters))
			if k == 0 {
				s = math.Log(max(energy, psfEpsilon))
			}
			out = append(out, s*(1+float64(c.Lifter)/2*math.Sin(math.Pi*float64(k)/float64(c.Lifter))))
		}
	}
	return out
}

func TestAgainstNaive(t *testing.T) {
	c := Default()
	for _, n := range []int{1, 100, 551, 552, 772, 773, 1500} {
		x := make([]float64, n)
		for i := range x {
			x[i] = math.Round(9000*math.Sin(float64(i*i)*.001) + 300*math.Cos(float64(i)))
		}
		got, frames, err := mustNew(t, c).Extract(nil, x)
		want := naivePSF(c, x)
		if err != nil || frames != len(want)/40 || len(got) != len(want) {
			t.Fatalf("%d samples: %d frames, want %d (%v)", n, frames, len(want)/40, err)
		}
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-7 {
				t.Fatalf("%d samples: value %d is %v, want %v", n, i, got[i], want[i])
			}
		}
	}
}

func TestErrors(t *testing.T) {
	e := mustNew(t, Default())
	if _, _, err := e.Extract(nil, nil); !errors.Is(err, ErrNoSamples) {
		t.Errorf("no samples: %v", err)
	}
	if _, _, err := e.ExtractPCM16(nil, nil); !errors.Is(err, ErrNoSamples) {
		t.Errorf("no 16-bit samples: %v", err)
	}
	if _, _, err := e.Extract(nil, []float64{0, math.NaN()}); err == nil || !strings.Contains(err.Error(), "non-finite sample at 1") {
		t.Errorf("NaN: %v", err)
	}
	if _, _, err := mustNew(t, Preset(Kaldi, 22050)).Extract(nil, make([]float64, 550)); err == nil {
		t.Error("kaldi: 550 samples gave a frame of 551")
	}
	for name, change := range map[string]func(*Config){
		"dialect":  func(c *Config) { c.Dialect = "htk" },
		"output":   func(c *Config) { c.Output = "plp" },
		"window":   func(c *Config) { c.Window = "kaiser" },
		"rate":     func(c *Config) { c.SampleRateHz = 0 },
		"hop":      func(c *Config) { c.HopSamples = -1 },
		"fft":      func(c *Config) { c.FFTSize = 1 << 30 },
		"cepstra":  func(c *Config) { c.Cepstra = 41 },
		"high":     func(c *Config) { c.HighHz = 12000 },
		"low":      func(c *Config) { c.LowHz = math.NaN() },
		"emphasis": func(c *Config) { c.PreEmphasis = math.Inf(1) },
	} {
		c := Default()
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: New(%+v) gave no error", name, c)
		}
	}
}

func TestEmptyFiltersWarn(t *testing.T) {
	c := Default()
	c.Filters = 80
	if w := mustNew(t, c).Warnings(); len(w) != 1 || !strings.Contains(w[0], "[1 5 12]") {
		t.Errorf("80 filters: warnings %q, want filters 1, 5 and 12", w)
	}
	if w := mustNew(t, Default()).Warnings(); len(w) != 0 {
		t.Errorf("default: warnings %q", w)
	}
}

// TestProperties: any lawful configuration gives finite numbers of the promised
// shape, the same ones again from a used extractor, and leaves its input alone.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Preset(rapid.SampledFrom([]string{PSF, Librosa, Kaldi, DAVEnet}).Draw(t, "dialect"), rapid.SampledFrom([]int{8000, 16000, 22050}).Draw(t, "rate"))
		c.Filters = rapid.IntRange(c.Cepstra+1, 90).Draw(t, "filters")
		x := rapid.SliceOfN(rapid.Float64Range(-32768, 32767), 1, 1500).Draw(t, "x")
		before := slices.Clone(x)
		e, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		a, frames, err := e.Extract(nil, x)
		if e.Frames(len(x)) == 0 {
			if err == nil {
				t.Fatal("no frames and no error")
			}
			return
		}
		if err != nil || frames != e.Frames(len(x)) || len(a) != frames*e.Cols() || !slices.Equal(x, before) {
			t.Fatalf("%d frames of %d, %d values, %v", frames, e.Cols(), len(a), err)
		}
		for i, v := range a {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("value %d is %v", i, v)
			}
		}
		if b, _, _ := e.Extract(make([]float64, 1, 100000), x); !slices.Equal(a, b) {
			t.Fatal("the second call differs")
		}
	})
}

func TestNoAllocations(t *testing.T) {
	for _, dialect := range []string{PSF, Librosa, Kaldi, DAVEnet} {
		e := mustNew(t, Preset(dialect, 22050))
		pcm := make([]int16, 4000)
		var dst []float32
		got := testing.AllocsPerRun(5, func() {
			var err error
			if dst, _, err = e.ExtractPCM16(dst, pcm); err != nil {
				t.Fatal(err)
			}
		})
		if got > 0 {
			t.Errorf("%s: %v allocations a call", dialect, got)
		}
	}
}

// BenchmarkExtract runs the paper's recipe on clips of 3.5 s, the length of a
// spoken caption.
func BenchmarkExtract(b *testing.B) {
	for _, name := range []string{"paper", PSF, Librosa, Kaldi, DAVEnet} {
		b.Run(name, func(b *testing.B) {
			c := Preset(name, 22050)
			if name == "paper" {
				c = Default()
			}
			e := mustNew(b, c)
			pcm := make([]int16, 22050*7/2)
			for i := range pcm {
				pcm[i] = int16(9000 * math.Sin(float64(i)*float64(i)*1e-5))
			}
			var dst []float32
			frames := 0
			for b.Loop() {
				var err error
				if dst, frames, err = e.ExtractPCM16(dst, pcm); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "clips/s")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*frames), "us/frame")
		})
	}
}

// TestCMVNOfConstant: the mean of equal values is off by rounding, and what is
// left must not be blown up to 1.
func TestCMVNOfConstant(t *testing.T) {
	for _, frames := range []int{1, 3, 97, 1000} {
		feat := make([]float64, 2*frames)
		for i := range frames {
			feat[2*i], feat[2*i+1] = -36.0436533891172, float64(i%3)
		}
		CMVN(feat, 2)
		for i := range frames {
			if feat[2*i] != 0 {
				t.Fatalf("%d frames: a constant column became %g", frames, feat[2*i])
			}
		}
		if frames > 1 && feat[1] == 0 {
			t.Errorf("%d frames: a column that is none became 0", frames)
		}
	}
}
