package mel

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// elsewhere are golden files of sound that other packages' tests read.
var elsewhere = map[string]string{
	"stereo8k.resample_poly_441_160": "internal/audio: resampling",
	"stereo8k.soxr_hq_22050":         "internal/audio: resampling",
}

// goldenCases lists the arrays that the tests of this package compare with.
func goldenCases() map[string]bool {
	all := map[string]bool{}
	for _, sound := range slices.Concat(goldenSounds, edgeSounds) {
		for _, g := range psfGolden {
			all[sound+"."+g.name] = true
		}
	}
	for _, sound := range goldenSounds {
		for _, g := range dialectGolden {
			all[sound+"."+g.name] = true
		}
		for _, s := range []string{"preemph_head256", "frames_first3", "powspec_first16_last4", "fbank", "energy"} {
			all[sound+".stage_"+s] = true
		}
	}
	for _, b := range bankGolden {
		name := b.name()
		all["fb.psf_"+name], all["fb.psf_bins_"+name], all["fb.psf_binsraw_"+name] = true, true, true
	}
	for _, name := range []string{
		"fb.librosa_slaney_40_551_22050", "fb.librosa_htk_nonorm_40_551_22050",
		"speech.psf_delta2_of_paper13", "speech.cmvn_of_paper13", "speech.padded1024_nframes",
	} {
		all[name] = true
	}
	return all
}

// TestGoldenAll: no golden array of sound is without a case.
func TestGoldenAll(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(sharedtest.Path(t, "golden", "audio"), "*"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	cases := goldenCases()
	for _, f := range files {
		name, isArray := strings.CutSuffix(filepath.Base(f), ".npy")
		if isArray && !cases[name] && elsewhere[name] == "" {
			t.Errorf("no case compares with golden/audio/%s.npy", name)
		}
		if sound, isWAV := strings.CutSuffix(filepath.Base(f), ".wav"); isWAV && !slices.Contains(slices.Concat(goldenSounds, edgeSounds), sound) {
			t.Errorf("no case reads golden/audio/%s.wav", sound)
		}
	}
}

func TestGoldenPadded(t *testing.T) {
	x, rate := goldenInput(t, "speech")
	if want := golden(t, "speech.padded1024_nframes").F64[0]; float64(mustNew(t, paper(rate)).Frames(len(x))) != want {
		t.Errorf("speech has %d frames, want %v", mustNew(t, paper(rate)).Frames(len(x)), want)
	}
}

// paths are the numeric paths of this build on this CPU.
func paths() (out []string) {
	for _, p := range []string{"avx512", "avx2", "go-amd64", "go-arm64"} {
		if kernel.Force(p) == nil {
			out = append(out, p)
		}
	}
	_ = kernel.Force("") // cannot fail
	return out
}

// onPath runs f on each numeric path.
func onPath(t *testing.T, f func(t *testing.T)) {
	for _, p := range paths() {
		t.Run(p, func(t *testing.T) {
			if err := kernel.Force(p); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = kernel.Force("") }()
			f(t)
		})
	}
}

// TestPathsAgree: all numeric paths give the same bits, in every dialect and for
// signals that end anywhere in a batch of frames.
func TestPathsAgree(t *testing.T) {
	configs := map[string]Config{"paper": Default(), "logmel": Default()}
	c := configs["logmel"]
	c.Output, c.Window = OutputLogMel, "hamming"
	configs["logmel"] = c
	for _, d := range []string{PSF, Librosa, Kaldi, DAVEnet} {
		configs[d] = Preset(d, 16000)
	}
	for name, c := range configs {
		for _, n := range []int{600, 2000, 5011} {
			x := make([]float64, n)
			for i := range x {
				x[i] = math.Round(7000*math.Sin(float64(i*i)*.0003) + 200*math.Cos(float64(i)))
			}
			clear(x[n/2 : n*3/4])
			var want []float64
			for _, p := range paths() {
				if err := kernel.Force(p); err != nil {
					t.Fatal(err)
				}
				got, _, err := mustNew(t, c).Extract(nil, x)
				if err != nil {
					t.Fatal(err)
				}
				if want == nil {
					want = got
				}
				for i := range want {
					if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
						t.Errorf("%s: %d samples, %s: value %d is %v, on %s %v", name, n, p, i, got[i], paths()[0], want[i])
						break
					}
				}
			}
		}
	}
	_ = kernel.Force("")
}

// TestGoldenOnEveryPath holds each numeric path to the golden files.
func TestGoldenOnEveryPath(t *testing.T) {
	onPath(t, func(t *testing.T) {
		t.Run("psf", TestGoldenPSF)
		t.Run("dialects", TestGoldenDialects)
		t.Run("stages", TestGoldenStages)
		t.Run("delta", TestGoldenDeltaCMVN)
	})
}
