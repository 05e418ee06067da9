package mfcc

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

func wav(t testing.TB, id string, rateHz int, samples []int16) table.Clip {
	t.Helper()
	var b bytes.Buffer
	if err := audio.EncodeWAV(&b, rateHz, 1, samples); err != nil {
		t.Fatal(err)
	}
	return clip(id, b.Bytes())
}

func clip(id string, data []byte) table.Clip {
	return table.Clip{ID: id, SHA256: table.SumBytes(data), Format: "wav", Audio: data}
}

func tone(hz float64, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(9000 * math.Sin(2*math.Pi*hz*float64(i)/22050))
	}
	return out
}

func run(t testing.TB, s *artifacts.Store, params map[string]any, clips ...table.Clip) stagetest.Result {
	t.Helper()
	in := stagetest.Artifact(t, s, "wav", stagetest.Part("clips-00.parquet", table.Clips, clips...))
	return stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: stagetest.In("wav", in), Params: params})
}

func TestRows(t *testing.T) {
	s := stagetest.Store(t)
	clips := []table.Clip{
		wav(t, "a", 22050, tone(440, 22050)), wav(t, "b", 22050, tone(880, 551)), wav(t, "c", 22050, tone(880, 552)),
		wav(t, "d", 16000, tone(880, 8000)), wav(t, "e", 22050, nil), clip("f", []byte("not a WAV")),
	}
	r := run(t, s, nil, clips...)
	rows := stagetest.Rows(t, r.Artifact, table.MFCCs)
	if len(rows) != 3 || len(r.Rejects) != 3 || !strings.Contains(r.Reason("d"), "16000 Hz") {
		t.Fatalf("%d rows, rejects %q; want 3 rows, d, e and f rejected", len(rows), r.Rejects)
	}
	for i, frames := range []int32{99, 1, 2} { // 1 if n <= 551, else 1 + ceil((n-551)/221)
		m := rows[i]
		if m.NFrames != frames || m.NCoeffs != 40 || len(m.Features) != int(frames)*40 {
			t.Errorf("%s: %d frames of %d, %d numbers; want %d frames of 40", m.ID, m.NFrames, m.NCoeffs, len(m.Features), frames)
		}
		if m.SourceSHA256 != clips[i].SHA256 || m.SHA256 != table.SumFloats(m.Features) || m.SampleRateHz != 22050 || m.WindowSamples != 551 || m.HopSamples != 221 {
			t.Errorf("%s: provenance %+v", m.ID, m)
		}
	}
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	if again := run(t, s, nil, clips...); again.Artifact.Digest != r.Artifact.Digest {
		t.Error("four cores gave other bytes")
	}
}

// TestEnergy checks column 0 against its definition on one frame: the log of
// the power spectrum's sum, which for white input is the signal's own.
func TestEnergy(t *testing.T) {
	s := stagetest.Store(t)
	loud, soft := make([]int16, 551), make([]int16, 551)
	for i := range loud {
		loud[i] = int16((i*7919)%2000 - 1000)
		soft[i] = loud[i] / 10
	}
	rows := stagetest.Rows(t, run(t, s, nil, wav(t, "loud", 22050, loud), wav(t, "soft", 22050, soft)).Artifact, table.MFCCs)
	if d := float64(rows[0].Features[0] - rows[1].Features[0]); math.Abs(d-math.Log(100)) > .02 {
		t.Errorf("ten times the amplitude is %.3f more log energy, want %.3f", d, math.Log(100))
	}
}

// TestGolden compares with each library, called by as few parameters as its own
// function: a recipe's name alone is its defaults.
func TestGolden(t *testing.T) {
	type with = map[string]any
	for _, c := range []struct {
		suffix    string
		params    with
		transpose bool // the library has a column a frame
		within    float64
	}{
		{"psf_paper40", nil, false, 2e-3},
		{"psf_paper13", with{"cepstra": 13}, false, 2e-3},
		{"psf_paper40_hop215", with{"hop_samples": 215}, false, 2e-3},
		{"psf_paper40_nolift_noenergy_hamming", with{"lifter": 0, "energy": false, "window": "hamming"}, false, 2e-3},
		{"psf_default", with{"fft_size": 512, "filters": 26, "cepstra": 13}, false, 2e-3},
		{"psf_logfbank40", with{"features": "logmel"}, false, 2e-3},
		{"librosa_default", with{"recipe": "librosa"}, true, 1e-3},
		{"librosa_40_551_220", with{"recipe": "librosa", "filters": 40, "cepstra": 40, "fft_size": 551, "window_samples": 551, "hop_samples": 220, "window": "hamming"}, true, 1e-3},
		{"librosa_40_551_220_htk_nocenter", with{"recipe": "librosa", "filters": 40, "cepstra": 40, "fft_size": 551, "window_samples": 551, "hop_samples": 220, "window": "hamming", "htk": true, "no_center": true}, true, 1e-3},
		{"kaldi_mfcc13_23", with{"recipe": "kaldi"}, false, 3e-4}, // chirp's one value is PyTorch's own rounding: docs/mfcc.md
		{"kaldi_mfcc40_40", with{"recipe": "kaldi", "filters": 40, "cepstra": 40}, false, 1e-4},
		{"kaldi_fbank40", with{"recipe": "kaldi", "filters": 40, "features": "fbank"}, false, 1e-4},
		{"davenet_logmel", with{"recipe": "davenet"}, true, 1e-2},
	} {
		s := stagetest.Store(t)
		var clips []table.Clip
		for _, name := range []string{"chirp", "clipped_noise", "speech", "tone"} {
			data, err := os.ReadFile(sharedtest.Path(t, "golden", "audio", name+".wav"))
			if err != nil {
				t.Fatal(err)
			}
			clips = append(clips, clip(name, data))
		}
		for _, m := range stagetest.Rows(t, run(t, s, c.params, clips...).Artifact, table.MFCCs) {
			want, err := npy.ReadFile(sharedtest.Path(t, "golden", "audio", m.ID+"."+c.suffix+".npy"))
			if err != nil {
				t.Fatal(err)
			}
			shape := []int{int(m.NFrames), int(m.NCoeffs)}
			if c.transpose {
				slices.Reverse(shape)
			}
			if !slices.Equal(want.Shape, shape) {
				t.Errorf("%s.%s: shape %v, want %v", m.ID, c.suffix, shape, want.Shape)
				continue
			}
			for i, got := range m.Features {
				at := i
				if c.transpose {
					at = i%int(m.NCoeffs)*int(m.NFrames) + i/int(m.NCoeffs)
				}
				if v := want.F64[at]; math.Abs(v-float64(got)) > c.within {
					t.Errorf("%s.%s: value %d is %g, want %g", m.ID, c.suffix, i, got, v)
					break
				}
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		params map[string]any
		bad    bool
	}{
		"defaults":           {nil, false},
		"cepstra of filters": {map[string]any{"filters": 20}, true},
		"fft above window":   {map[string]any{"fft_size": 1024}, false},
		"high above nyquist": {map[string]any{"high_hz": 12000.}, true},
		"low above high":     {map[string]any{"low_hz": 4000., "high_hz": 300.}, true},
		"librosa alone":      {map[string]any{"recipe": "librosa"}, false},
		"davenet at 16 kHz":  {map[string]any{"recipe": "davenet", "sample_rate_hz": 16000}, false},
		"librosa's energy":   {map[string]any{"recipe": "librosa", "energy": true}, true},
		"kaldi by HTK":       {map[string]any{"recipe": "kaldi", "htk": true}, true},
		"psf not centred":    {map[string]any{"no_center": true}, true},
	} {
		if got := Kind.Spec().Check(c.params); (len(got) > 0) != c.bad {
			t.Errorf("%s: Check(%v) = %v", name, c.params, got)
		}
	}
}

// TestWarns checks that filters that nothing falls into are spoken of.
func TestWarns(t *testing.T) {
	r := run(t, stagetest.Store(t), map[string]any{"filters": 80}, wav(t, "a", 22050, tone(440, 2000)))
	if w := r.Warnings(); len(w) != 1 || !strings.Contains(w[0], "[1 5 12]") {
		t.Errorf("warnings %q, want one that names filters 1, 5 and 12", w)
	}
}

// TestDeltasAndCMVN compares with python_speech_features.delta and numpy, and
// holds the columns' order: features, slopes, slopes of these.
func TestDeltasAndCMVN(t *testing.T) {
	data, err := os.ReadFile(sharedtest.Path(t, "golden", "audio", "speech.wav"))
	if err != nil {
		t.Fatal(err)
	}
	s := stagetest.Store(t)
	one := func(params map[string]any) table.MFCC {
		params["cepstra"] = 13
		return stagetest.Rows(t, run(t, s, params, clip("speech", data)).Artifact, table.MFCCs)[0]
	}
	column := func(m table.MFCC, part int) (out []float64) {
		for i := range m.Features {
			if i%int(m.NCoeffs)/13 == part {
				out = append(out, float64(m.Features[i]))
			}
		}
		return out
	}
	near := func(what string, got []float64, name string) {
		want, err := npy.ReadFile(sharedtest.Path(t, "golden", "audio", name+".npy"))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want.F64) {
			t.Fatalf("%s: %d values, want %d", what, len(got), len(want.F64))
		}
		for i, w := range want.F64 {
			if math.Abs(got[i]-w) > 1e-4 {
				t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], w)
			}
		}
	}
	both := one(map[string]any{"deltas": 2})
	if both.NCoeffs != 39 || int(both.NFrames)*39 != len(both.Features) || both.SHA256 != table.SumFloats(both.Features) {
		t.Fatalf("%d frames of %d, %d numbers; want 39 columns", both.NFrames, both.NCoeffs, len(both.Features))
	}
	near("slopes", column(both, 1), "speech.psf_delta2_of_paper13")
	near("cmvn", column(one(map[string]any{"cmvn": "utterance"}), 0), "speech.cmvn_of_paper13")
	plain := one(map[string]any{})
	for i, v := range column(both, 0) {
		if v != float64(plain.Features[i]) {
			t.Fatalf("feature %d is %v beside slopes and %v alone", i, v, plain.Features[i])
		}
	}
	normal := one(map[string]any{"deltas": 2, "cmvn": "utterance"})
	for c := range 39 {
		sum, squares, n := 0., 0., float64(normal.NFrames)
		for i := c; i < len(normal.Features); i += 39 {
			v := float64(normal.Features[i])
			sum, squares = sum+v, squares+v*v
		}
		if math.Abs(sum/n) > 1e-5 || math.Abs(squares/n-1) > 1e-4 {
			t.Errorf("column %d: mean %g, mean square %g, want 0 and 1", c, sum/n, squares/n)
		}
	}
}

// TestFbank: kaldi's word and ours give the same bytes but for the key.
func TestFbank(t *testing.T) {
	s := stagetest.Store(t)
	kaldi := func(features string) []float32 {
		p := map[string]any{"recipe": "kaldi", "features": features}
		return stagetest.Rows(t, run(t, s, p, wav(t, "a", 22050, tone(440, 3000))).Artifact, table.MFCCs)[0].Features
	}
	if a, b := kaldi("fbank"), kaldi("logmel"); len(a) == 0 || table.SumFloats(a) != table.SumFloats(b) {
		t.Errorf("fbank has %d numbers, logmel %d, or they differ", len(a), len(b))
	}
	if got := Kind.Spec().Check(map[string]any{"features": "fbank"}); len(got) != 1 {
		t.Errorf("fbank of psf: %v, want one problem", got)
	}
}
