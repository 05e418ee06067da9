package similarity

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// TestMatchmap: what each kind makes of a pair's matchmap is the pair's
// similarity, whatever the length of the clip.
func TestMatchmap(t *testing.T) {
	mean := func(m *Matchmap, steps bool, of func(values []float64) float64) float64 {
		outer, inner := m.Height*m.Width, m.Steps
		if steps {
			outer, inner = inner, outer
		}
		sum := 0.
		for a := range outer {
			var row []float64
			for b := range inner {
				at := a*m.Steps + b
				if steps {
					at = b*m.Steps + a
				}
				row = append(row, float64(m.M[at]))
			}
			sum += of(row)
		}
		return sum / float64(outer)
	}
	largest := func(x []float64) float64 {
		top := math.Inf(-1)
		for _, v := range x {
			top = max(top, v)
		}
		return top
	}
	average := func(x []float64) (sum float64) {
		for _, v := range x {
			sum += v / float64(len(x))
		}
		return sum
	}
	for _, c := range []struct {
		kind, length string
		of           func(m *Matchmap) float64
	}{
		{nn.MISA, model.LengthTrue, func(m *Matchmap) float64 { return mean(m, true, largest) }},
		{nn.MISA, model.LengthFixed, func(m *Matchmap) float64 { return mean(m, true, largest) }},
		{nn.SIMA, model.LengthTrue, func(m *Matchmap) float64 { return mean(m, false, largest) }},
		{nn.SISA, model.LengthTrue, func(m *Matchmap) float64 { return mean(m, false, average) }},
		{model.SimilarityAttention, model.LengthTrue, func(m *Matchmap) float64 { return mean(m, false, average) * float64(len(m.M)) }},
		{model.SimilarityAttention, model.LengthFixed, func(m *Matchmap) float64 { return mean(m, false, average) * float64(len(m.M)) }},
	} {
		spec := pixelSpec()
		if c.kind == model.SimilarityAttention {
			spec = mapSpec()
			spec.MapNorm = &model.CoeffNorm{Mean: []float64{.5, 1, 2}, Std: 2}
		}
		spec.Similarity, spec.Length, spec.Scale = c.kind, c.length, .7
		spec.LearnScale = c.length == model.LengthTrue
		photos, sound := noise(spec, 10)
		m, err := model.New[float32](spec, 2)
		if err != nil {
			t.Fatal(err)
		}
		if p := m.Params(); spec.LearnScale {
			p[len(p)-1].W[0] = .5
		}
		s, err := NewScorer(m)
		if err != nil {
			t.Fatal(err)
		}
		all := upTo(6)
		want, err := s.Similarities(context.Background(), all, photos, all, sound)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range all {
			img, _ := photos.Image(i)
			clip, _ := sound.Frames(5 - i)
			got, err := MatchmapOf(m, img, clip)
			if err != nil {
				t.Fatal(err)
			}
			if w := want.S[i*want.Clips+5-i]; math.Abs(c.of(got)-w) > 1e-5*max(.1, math.Abs(w)) {
				t.Errorf("%s, %s: the matchmap of pair %d, %dx%dx%d, makes %v, the similarity is %v", c.kind, c.length, i, got.Height, got.Width, got.Steps, c.of(got), w)
			}
		}
	}
	m, _ := model.New[float32](pixelSpec(), 2)
	if _, err := MatchmapOf(m, minibatch.Image{Pixels: make([]uint8, 5)}, make([]float32, 50)); err == nil || !strings.Contains(err.Error(), "picture: 5 values") {
		t.Errorf("a picture of another size: %v", err)
	}
	if _, err := MatchmapOf(m, minibatch.Image{Pixels: make([]uint8, 192)}, nil); err == nil || !strings.Contains(err.Error(), "clip: no frames") {
		t.Errorf("no sound: %v", err)
	}
}
