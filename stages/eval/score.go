package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
)

// score scores every set that has pairs.
func score(ctx context.Context, t *stage.Task, p Params, m *model.Model[float32], d *dataset.Data) ([]setScores, error) {
	if err := fits(m, d.Shape()); err != nil {
		return nil, err
	}
	scorer, err := learn.NewScorer(m)
	if err != nil {
		return nil, err
	}
	var out []setScores
	for i, name := range p.Sets {
		pairs := d.Split(name)
		if len(pairs) == 0 {
			continue
		}
		t.Report(stage.Progress{Done: int64(i), Total: int64(len(p.Sets)), Unit: "sets"})
		s := setScores{name: name, pairs: pairs}
		if err := s.score(ctx, scorer, d); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no pairs with sound and photo in the sets %v: the splits are %v", p.Sets, d.Splits())
	}
	return out, nil
}

// fits says whether a model takes what the data look like. A model of 40
// coefficients would take clips of 20 for others half as long.
func fits(m *model.Model[float32], s dataset.Shape) error {
	kind := map[bool]string{true: "images", false: "features"}
	if wants := m.Pixels != nil; wants != s.Pixels {
		return fmt.Errorf("the model starts from %s and is given %s", kind[wants], kind[s.Pixels])
	}
	if m.Height != s.Height || m.Width != s.Width || m.Image.In != s.Channels {
		return fmt.Errorf("the model takes %s of %dx%dx%d and is given %dx%dx%d", kind[s.Pixels], m.Height, m.Width, m.Image.In, s.Height, s.Width, s.Channels)
	}
	if m.Audio.In != s.Coeffs {
		return fmt.Errorf("the model takes frames of %d coefficients and is given %d", m.Audio.In, s.Coeffs)
	}
	for _, n := range m.Notes {
		if n.Key == "features" && s.Tower != "" && n.Value != s.Source() {
			return fmt.Errorf("the model learnt from features of %s and is given those of %s", n.Value, s.Source())
		}
	}
	return nil
}

// score fills in a set's similarities, metrics and ranks. Its candidates are the
// set's own photos and clips.
func (s *setScores) score(ctx context.Context, scorer *learn.Scorer, d *dataset.Data) error {
	images, clips, imageOf := learn.Candidates(s.pairs)
	photos := make([]string, len(images)) // their ids
	for j, i := range imageOf {
		photos[i] = s.pairs[j].Photo
	}
	var err error
	if s.matrix, err = scorer.Similarities(ctx, images, d, clips, d); err != nil {
		return err
	}
	s.metrics = table.SetMetrics{Set: s.name, Pairs: len(s.pairs), Photos: len(photos)}
	clipID := func(j int) string { return s.pairs[j].ID }
	photoID := func(i int) string { return photos[i] }
	for _, way := range []struct {
		direction         string
		query, candidates func(int) string
		into              *table.RecallMetrics
	}{
		{learn.SpeechToImage, clipID, photoID, &s.metrics.SpeechToImage},
		{learn.ImageToSpeech, photoID, clipID, &s.metrics.ImageToSpeech},
	} {
		ranks, err := s.matrix.Ranks(way.direction, imageOf)
		if err != nil {
			return err
		}
		*way.into = recall(learn.Summarize(ranks))
		for _, r := range ranks {
			s.ranks = append(s.ranks, table.Rank{
				Direction: way.direction, Query: way.query(r.Query), Partner: way.candidates(r.Partner), Rank: r.Rank, Score: r.Score,
				Ties: int32(r.Ties), Best: way.candidates(r.Best), BestScore: r.BestScore, Candidates: int32(r.Candidates), Set: s.name,
			})
		}
	}
	s.metrics.GroupRight = s.groups(d, imageOf)
	return nil
}

func recall(m learn.Metrics) table.RecallMetrics {
	share := func(p float64, i learn.Interval) table.Share { return table.Share{Value: p, Low: i.Low, High: i.High} }
	return table.RecallMetrics{
		N: m.N, P1: share(m.P1, m.I1), P5: share(m.P5, m.I5), P10: share(m.P10, m.I10),
		MedianRank: m.MedianRank, MeanRank: m.MeanRank, MRR: m.MRR, Tied: m.Ties,
	}
}

// groups says, for sets whose captions come in groups of near-equals, how often
// a clip scores its own photo above every other photo of its group. Equals count
// as they would in random order: half for one, a third for two. nil where there
// are no groups of two photos or more.
func (s *setScores) groups(d *dataset.Data, imageOf []int) *table.Share {
	members := map[string][]int{}
	for i, p := range s.pairs {
		if g := d.Group(p.ID); g != "" && !slices.Contains(members[g], imageOf[i]) {
			members[g] = append(members[g], imageOf[i])
		}
	}
	n, right := 0, 0.0
	for j, p := range s.pairs {
		group := members[d.Group(p.ID)]
		if len(group) < 2 {
			continue
		}
		n++
		own, greater, equal := s.matrix.S[imageOf[j]*s.matrix.Clips+j], 0, 0
		for _, i := range group {
			if i == imageOf[j] {
				continue
			}
			switch other := s.matrix.S[i*s.matrix.Clips+j]; {
			case other > own:
				greater++
			case other == own:
				equal++
			}
		}
		if greater == 0 {
			right += 1 / float64(1+equal)
		}
	}
	if n == 0 {
		return nil
	}
	share := right / float64(n)
	i := learn.Wilson(share, n)
	return &table.Share{Value: share, Low: i.Low, High: i.High}
}
