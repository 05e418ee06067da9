package report

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/matchmap"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
)

// matchmaps adds the examples' matchmaps, of the queries in the same order, and
// says whose they are or why there are none.
//
// Scores do not name their model. It is one whose notes are their settings and
// which, put to the examples, gives the scores that stand there: only what is
// proved so is shown. Scores of several models together are no single one's, so
// that for these the notes have to do.
func matchmaps(ctx context.Context, page *report.Page, s Sources, sys scored, queries []table.Rank, lib *library) error {
	switch {
	case len(queries) == 0:
		return nil
	case len(s.Models) == 0 || len(s.MFCC) == 0 || len(s.Images) == 0:
		page.Maps = "No matchmaps: they take models, mfcc and images, and features where the model starts from these."
		return nil
	}
	maps, why, err := mapsOf(ctx, s, sys, queries)
	if err != nil {
		return err
	}
	if maps == nil {
		page.Maps = "No matchmaps: " + why + "."
		return nil
	}
	page.Maps = "Matchmaps show how well each place of the photo described matches each moment of the clip."
	if how := sys.m.Settings[table.ScoredBy]; how != "" {
		page.Maps += fmt.Sprintf(" %s is scored by %s; they are those of its first model, of the photo itself.", sys.m.System, how)
	}
	return draw(ctx, page, s, sys, queries, maps, lib, maxMaps)
}

// A pairMap is the matchmap of an example, and the picture it lies over.
type pairMap struct {
	m     *matchmap.Map
	image table.Image // red, green, blue
}

// mapsOf computes the matchmaps of the queries by the model that was scored; if
// there is none, why is why.
func mapsOf(ctx context.Context, s Sources, sys scored, queries []table.Rank) (maps []pairMap, why string, err error) {
	of, err := holding(s, queries[0])
	if err != nil {
		return nil, "", err
	}
	why = "none of the models has the settings that the scores of " + sys.m.System + " name"
	for _, art := range s.Models {
		t, _, err := ReadTraining(art)
		if err != nil {
			return nil, "", err
		}
		if !scoredWith(sys.m.Settings, t.Settings) {
			continue
		}
		m, err := dataset.LoadModel(art)
		if err != nil {
			return nil, "", err
		}
		takes := of.inputs(&m.Spec)
		if len(takes) == 0 {
			why = "the model of " + sys.m.System + " takes other features, images or mfcc than are given"
		}
		for _, in := range takes {
			found, no, err := in.maps(ctx, m, sys, queries)
			if err != nil || no == "" {
				return found, "", err
			}
			why = no
		}
	}
	return nil, why, nil
}

// alike is how far a score computed again may be from what it was, as a share of
// the largest: on another numeric path it has other last bits.
const alike = 1e-3

// maps computes the matchmaps of the queries; no says why this model, or its
// input, is not what was scored.
func (in modelInput) maps(ctx context.Context, m *model.Model[float32], sys scored, queries []table.Rank) (out []pairMap, no string, err error) {
	d, err := in.open()
	if err != nil {
		return nil, "", err
	}
	var clips shelf[table.MFCC]
	var images shelf[table.Image]
	defer func() { err = errors.Join(err, d.Close(), clips.close(), images.close()) }()
	if err := d.Shape().Fits(&m.Spec); err != nil {
		return nil, err.Error(), nil
	}
	err = clips.open(table.MFCCs, []*artifacts.Artifact{in.mfcc})
	if err == nil {
		err = images.open(table.Images, []*artifacts.Artifact{in.images})
	}
	if err != nil {
		return nil, "", err
	}
	pairs, largest := map[string]minibatch.Pair{}, 0.
	for _, split := range d.Splits() {
		for _, p := range d.Split(split) {
			pairs[p.ID] = p
		}
	}
	for _, q := range queries {
		largest = max(largest, math.Abs(q.Score), math.Abs(q.BestScore))
	}
	for _, q := range queries {
		pair, ok := pairs[q.Query]
		clip, okClip, err := clips.row(q.Query)
		if err != nil {
			return nil, "", err
		}
		image, okImage, err := images.row(q.Partner)
		if err != nil {
			return nil, "", err
		}
		if !ok || !okClip || !okImage || pair.Photo != q.Partner {
			return nil, fmt.Sprintf("caption %q, which was scored, has no clip or photo in what is given", q.Query), nil
		}
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		picture, err := d.Image(pair.Image)
		if err != nil {
			return nil, "", err
		}
		if image.Order == "bgr" {
			image.Pixels = vision.SwapRB(image.Pixels)
		}
		senses := matchmap.SensesOf(d.Shape(), int(image.Height), int(image.Width), clip)
		mm, err := matchmap.Compute(m, picture, clip.Features, senses)
		if err != nil {
			return nil, err.Error(), nil
		}
		if sys.m.Settings[table.ScoredBy] == "" && !(math.Abs(mm.Score-q.Score) <= alike*largest) {
			return nil, fmt.Sprintf("the model with the settings of %s scores caption %q %.4g, and its score is %.4g: another model, or other data, was scored", sys.m.System, q.Query, mm.Score, q.Score), nil
		}
		out = append(out, pairMap{mm, image})
	}
	return out, "", nil
}
