package eval

import (
	"context"
	"fmt"

	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/retrieval"
	"github.com/hearsight/hearsight/internal/similarity"
)

// A judge says how similar photos and clips are: by the mean over its models and
// over the views of a photo.
type judge struct {
	scorers []*similarity.Scorer
	bank    *bank // nil: none
}

// newJudge returns the judge by these models, which must take what d looks like.
func newJudge(models []*model.Model[float32], d *dataset.Data) (*judge, error) {
	j := &judge{}
	for i, m := range models {
		err := d.Shape().Fits(&m.Spec)
		if err == nil {
			var s *similarity.Scorer
			s, err = similarity.NewScorer(m)
			j.scorers = append(j.scorers, s)
		}
		if err != nil && len(models) > 1 {
			err = fmt.Errorf("model %d of %d: %w", i+1, len(models), err)
		}
		if err != nil {
			return nil, err
		}
	}
	return j, nil
}

// similarities are those of photos, which are d's, and clips, which are sound's.
func (j *judge) similarities(ctx context.Context, images []int, d *dataset.Data, clips []int, sound *dataset.Data) (out retrieval.Matrix, err error) {
	views := []minibatch.Images{d}
	if d.Mirrored() {
		views = append(views, mirrors{d})
	}
	for _, s := range j.scorers {
		m, err := s.OverViews(ctx, images, views, clips, sound)
		if err != nil {
			return out, err
		}
		if out.S == nil {
			out = m
			continue
		}
		for i, x := range m.S {
			out.S[i] += x
		}
	}
	for i := range out.S {
		out.S[i] /= float64(len(j.scorers))
	}
	return out, nil
}

// mirrors are the mirror images of the data's pictures.
type mirrors struct{ *dataset.Data }

func (m mirrors) Image(i int) (minibatch.Image, error) { return m.Mirror(i) }
