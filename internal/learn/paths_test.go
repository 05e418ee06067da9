package learn

import (
	"context"
	"math"
	"testing"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/similarity"
)

// TestNumericPaths: the scores of a fixed model agree between numeric paths to
// 1e-4 of the largest, in the paper's systems at a sixteenth of their width and, not
// in short, at their own.
func TestNumericPaths(t *testing.T) {
	specs := map[string]model.Spec{}
	for _, audio := range model.AudioNames() {
		specs["narrow "+audio] = narrowSpec(t, audio)
		if (audio == "conv6" || audio == "lstm") && !testing.Short() {
			spec := paperSpec(t, audio)
			spec.Height, spec.Width, spec.Frames = 5, 5, 160 // plain Go takes long for the whole
			specs[audio] = spec
		}
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			m, err := model.New[float32](spec, 5)
			if err != nil {
				t.Fatal(err)
			}
			data := noiseData(spec, func(i int) int { return 30 + 4*i })
			items := []int{0, 7, 21, 63}
			var first []float64
			paths := 0
			defer force(t, "")
			for _, path := range []string{"avx512", "avx2", "go-amd64", "go-arm64"} {
				if kernel.Force(path) != nil {
					continue
				}
				paths++
				s, err := similarity.NewScorer(m)
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.Similarities(context.Background(), items, data.Images, items, data.Clips)
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = got.S
				}
				apart(t, path, got.S, first)
			}
			if paths == 0 {
				t.Error("no numeric path was tried")
			}
		})
	}
}

func force(t *testing.T, path string) {
	t.Helper()
	if err := kernel.Force(path); err != nil {
		t.Error(err)
	}
}

func apart(t *testing.T, path string, got, want []float64) {
	t.Helper()
	most, off := 0.0, 0.0
	for i, w := range want {
		most, off = max(most, math.Abs(w)), max(off, math.Abs(got[i]-w))
	}
	if !(off <= 1e-4*most) || most == 0 {
		t.Errorf("%s: scores are off by %.2g of the largest, %v", path, off/most, most)
	}
	t.Logf("%s: off by %.2g of the largest, %.3g", path, off/most, most)
}
