package eval

import (
	"context"
	"fmt"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/retrieval"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/similarity"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
)

// score scores every set that has pairs.
func score(ctx context.Context, t *stage.Task, p Params, models []*model.Model[float32], d *dataset.Data) ([]retrieval.Scored, error) {
	j, err := newJudge(models, d)
	if err != nil {
		return nil, err
	}
	if p.QueryBank > 0 {
		b, err := openBank(t, p, models, d)
		if err != nil {
			return nil, fmt.Errorf("query bank: %w", err)
		}
		defer b.close()
		j.bank = b
	}
	var voices map[string]string
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
		s, err := scoreSet(ctx, j, d, name, voices)
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

// scoreSet computes a set's similarities. Its candidates are the set's own photos
// and clips.
func scoreSet(ctx context.Context, j *judge, d *dataset.Data, name string, voices map[string]string) (*retrieval.Set, error) {
	pairs := d.Split(name)
	images, clips, imageOf := similarity.Candidates(pairs)
	s := &retrieval.Set{Name: name, Photos: make([]string, len(images))}
	for k, i := range imageOf {
		s.Photos[i] = pairs[k].Photo
		s.Captions = append(s.Captions, retrieval.Caption{Caption: d.Caption(pairs[k].ID), Voice: voices[pairs[k].ID]})
	}
	err := d.CheckMirrored(pairs)
	if err != nil {
		return nil, err
	}
	s.Matrix, err = j.similarities(ctx, images, d, clips, d)
	if err != nil || j.bank == nil {
		return s, err
	}
	b := j.bank
	photos, err := j.similarities(ctx, images, d, b.clips, b.data)
	if err != nil {
		return nil, err
	}
	captions, err := j.similarities(ctx, b.images, b.data, clips, d)
	if err != nil {
		return nil, err
	}
	return s, s.Matrix.LessHubs(photos, captions, b.beta)
}
