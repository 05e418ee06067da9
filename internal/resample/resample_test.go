package resample

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/audio/audiotest"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"pgregory.net/rapid"
)

func TestResampleTones(t *testing.T) {
	for _, rates := range [][2]int{{48000, 22050}, {44100, 22050}, {24000, 22050}, {16000, 22050}, {8000, 22050}, {22050, 16000}, {44101, 22050}, {96000, 8000}} {
		from, to := rates[0], rates[1]
		t.Run(fmt.Sprintf("%d_%d", from, to), func(t *testing.T) {
			nyquist := float64(min(from, to)) / 2
			for _, f := range []float64{.01, .3, .62, .9} {
				y, err := Resample(audiotest.Sine(f*nyquist, from, from/2), from, to)
				if err != nil {
					t.Fatal(err)
				}
				amp, phase, snr := audiotest.FitSine(y, f*nyquist, to)
				if db := 20 * math.Log10(amp/.5); math.Abs(db) >= .1 || snr < 100 || math.Abs(phase) > 1e-5 {
					t.Errorf("tone at %.2f of Nyquist: gain %.3f dB, snr %.1f dB, phase %g", f, db, snr, phase)
				}
			}
			for _, f := range []float64{1.001, 1.05, 1.4, 1.9} {
				if f*nyquist >= float64(from)/2 {
					continue // such a tone does not exist in the input
				}
				y, err := Resample(audiotest.Sine(f*nyquist, from, from/2), from, to)
				if err != nil {
					t.Fatal(err)
				}
				var e float64
				mid := y[len(y)/5 : len(y)*4/5]
				for _, v := range mid {
					e += float64(v) * float64(v)
				}
				if db := 10 * math.Log10(e/float64(len(mid))/.125); db > -100 {
					t.Errorf("tone at %.3f of Nyquist comes through at %.1f dB", f, db)
				}
			}
		})
	}
}

func TestResampleGolden(t *testing.T) {
	data, err := os.ReadFile(sharedtest.Path(t, "golden", "audio", "stereo8k.wav"))
	if err != nil {
		t.Fatal(err)
	}
	pcm, _, err := audio.Decode("stereo8k.wav", data)
	if err != nil {
		t.Fatal(err)
	}
	y, err := Resample(pcm.Mono(), 8000, 22050)
	if err != nil {
		t.Fatal(err)
	}
	// scipy's resample_poly has a filter of only 10 zero crossings: against soxr,
	// too, it reaches 37.8 dB. Where neither filter cuts, below .8 of Nyquist, it
	// is a good witness.
	for name, cutoff := range map[string]float64{"stereo8k.soxr_hq_22050.npy": 0, "stereo8k.resample_poly_441_160.npy": .8 * 4000} {
		want, err := npy.ReadFile(sharedtest.Path(t, "golden", "audio", name))
		if err != nil {
			t.Fatal(err)
		}
		if len(y) != len(want.F64) {
			t.Fatalf("%d samples, %s has %d", len(y), name, len(want.F64))
		}
		diff := make([]float64, len(y))
		for i, v := range y {
			diff[i] = float64(v) - want.F64[i]
		}
		if cutoff > 0 {
			diff = lowpass(diff, cutoff/22050)
		}
		var sig, res float64
		for i := len(y) / 10; i < len(y)*9/10; i++ {
			sig, res = sig+want.F64[i]*want.F64[i], res+diff[i]*diff[i]
		}
		snr := 10 * math.Log10(sig/res)
		t.Logf("%s: %.1f dB", name, snr)
		if snr < 60 {
			t.Errorf("%s: %.1f dB, want 60", name, snr)
		}
	}
}

// lowpass convolves x with a Blackman-windowed sinc of 401 taps; fc in cycles
// per sample.
func lowpass(x []float64, fc float64) []float64 {
	const half = 200
	out := make([]float64, len(x))
	for i := range x {
		for k := -half; k <= half; k++ {
			if j := i + k; j >= 0 && j < len(x) {
				h := 2 * fc
				if k != 0 {
					h = math.Sin(2*math.Pi*fc*float64(k)) / (math.Pi * float64(k))
				}
				a := math.Pi * float64(k) / (half + 1)
				out[i] += x[j] * h * (.42 + .5*math.Cos(a) + .08*math.Cos(2*a))
			}
		}
	}
	return out
}

func TestResampleLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.SampledFrom([]int{4000, 5000, 8000, 9001}).Draw(t, "from"), rapid.SampledFrom([]int{4000, 8000, 11025}).Draw(t, "to")
		n := rapid.IntRange(0, 300).Draw(t, "n")
		y, err := Resample(make([]float32, n), from, to)
		if err != nil {
			t.Fatal(err)
		}
		if want := (n*to + from - 1) / from; len(y) != want {
			t.Errorf("%d samples at %d Hz became %d at %d Hz, want %d", n, from, len(y), to, want)
		}
	})
	for _, bad := range [][2]int{{0, 22050}, {22050, -1}, {99, 22050}, {1 << 30, 22050}} {
		if _, err := Resample([]float32{1}, bad[0], bad[1]); err == nil {
			t.Errorf("Resample from %d to %d Hz: no error", bad[0], bad[1])
		}
	}
}

func BenchmarkResample(b *testing.B) {
	for _, from := range []int{44100, 48000, 24000} {
		b.Run(fmt.Sprintf("%d_22050", from), func(b *testing.B) {
			x := audiotest.Sine(1000, from, from)
			for b.Loop() {
				if _, err := Resample(x, from, 22050); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "x-real-time")
		})
	}
}
