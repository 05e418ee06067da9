package eval

import (
	"context"
	"fmt"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/retrieval"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/similarity"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
)

// score scores every set that has pairs.
func score(ctx context.Context, t *stage.Task, p Params, models []*model.Model[float32], d *dataset.Data) ([]retrieval.Scored, error) {
	var scorers []*similarity.Scorer
	for i, m := range models {
		err := d.Shape().Fits(&m.Spec)
		if err == nil {
			var s *similarity.Scorer
			s, err = similarity.NewScorer(m)
			scorers = append(scorers, s)
		}
		if err != nil && len(models) > 1 {
			err = fmt.Errorf("model %d of %d: %w", i+1, len(models), err)
		}
		if err != nil {
			return nil, err
		}
	}
	var voices map[string]string
	var err error
	if speech := t.Input("speech"); speech != nil {
		if voices, err = voicesOf(ctx, speech, p, d); err != nil {
			return nil, fmt.Errorf("read speech: %w", err)
		}
	}
	var out []retrieval.Scored
	for i, name := range p.Sets {
		if len(d.Split(name)) == 0 {
			continue
		}
		t.Report(stage.Progress{Done: int64(i), Total: int64(len(p.Sets)), Unit: "sets"})
		s, err := scoreSet(ctx, scorers, d, name, voices)
		if err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
		r, err := s.Evaluate(ctx, retrieval.Options{Seed: p.Seed, Draws: p.Draws, DrawPhotos: p.DrawPhotos})
		if err != nil {
			return nil, err
		}
		n := 0
		if r.Metrics.Draws != nil {
			n = len(r.Metrics.Draws.One.Each)
		}
		if n < p.Draws {
			t.Report(stage.Progress{Message: fmt.Sprintf("set %s: %d draws of %d photos in place of %d: it has %d photos", name, n, p.DrawPhotos, p.Draws, len(s.Photos)), Warning: true})
		}
		out = append(out, retrieval.Scored{Matrix: s.Matrix, Result: r})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no pairs with sound and photo in the sets %v: the splits are %v", p.Sets, d.Splits())
	}
	return out, nil
}

// voicesOf says who speaks each caption that is scored.
func voicesOf(ctx context.Context, speech *artifacts.Artifact, p Params, d *dataset.Data) (voices map[string]string, err error) {
	scored := map[string]bool{}
	for _, name := range p.Sets {
		for _, pair := range d.Split(name) {
			scored[pair.ID] = true
		}
	}
	voices = map[string]string{}
	_, err = rows.Each(table.Clips.Light(), speech, func(clip table.Clip) error {
		if scored[clip.ID] {
			voices[clip.ID] = clip.Voice
		}
		return ctx.Err()
	})
	return voices, err
}

// scoreSet computes a set's similarities, of several models their mean. Its
// candidates are the set's own photos and clips.
func scoreSet(ctx context.Context, scorers []*similarity.Scorer, d *dataset.Data, name string, voices map[string]string) (*retrieval.Set, error) {
	pairs := d.Split(name)
	images, clips, imageOf := similarity.Candidates(pairs)
	s := &retrieval.Set{Name: name, Photos: make([]string, len(images))}
	for j, i := range imageOf {
		s.Photos[i] = pairs[j].Photo
		s.Captions = append(s.Captions, retrieval.Caption{Caption: d.Caption(pairs[j].ID), Voice: voices[pairs[j].ID]})
	}
	views := []minibatch.Images{d}
	if d.Mirrored() {
		if err := d.CheckMirrored(pairs); err != nil {
			return nil, err
		}
		views = append(views, mirrors{d})
	}
	for _, scorer := range scorers {
		m, err := scorer.OverViews(ctx, images, views, clips, d)
		if err != nil {
			return nil, err
		}
		if s.Matrix.S == nil {
			s.Matrix = m
			continue
		}
		for i, x := range m.S {
			s.Matrix.S[i] += x
		}
	}
	for i := range s.Matrix.S {
		s.Matrix.S[i] /= float64(len(scorers))
	}
	return s, nil
}

// mirrors are the mirror images of the data's pictures.
type mirrors struct{ *dataset.Data }

func (m mirrors) Image(i int) (minibatch.Image, error) { return m.Mirror(i) }
