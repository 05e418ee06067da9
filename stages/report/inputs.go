package report

import (
	"errors"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

// A modelInput is what a model may have been scored on.
type modelInput struct {
	pairs, mfcc, images *artifacts.Artifact
	features            []*artifacts.Artifact // of one network each; nil: the model starts from images
}

func (in modelInput) open() (*dataset.Data, error) {
	of := map[string][]*artifacts.Artifact{"pairs": {in.pairs}, "mfcc": {in.mfcc}}
	if in.features != nil {
		of["features"] = in.features
	} else {
		of["images"] = []*artifacts.Artifact{in.images}
	}
	return dataset.Open(dataset.Of[artifacts.Part](of))
}

// holders are the artifacts that hold a query's caption, clip and photo: a page may
// be of several data sets.
type holders struct {
	pairs, mfcc, images []*artifacts.Artifact
	features            []network
}

// A network is its feature maps of the photos.
type network struct {
	art   *artifacts.Artifact
	shape dataset.Shape
}

func holding(s Sources, q table.Rank) (h holders, err error) {
	if h.pairs, err = with(table.Captions, s.Pairs, q.Query); err != nil {
		return h, err
	}
	if h.mfcc, err = with(table.MFCCs, s.MFCC, q.Query); err != nil {
		return h, err
	}
	if h.images, err = with(table.Images, s.Images, q.Partner); err != nil {
		return h, err
	}
	features, err := with(table.FeatureMaps("", ""), s.Features, q.Partner)
	if err != nil {
		return h, err
	}
	for _, art := range features {
		shape, err := shapeOf(art)
		if err != nil {
			return h, err
		}
		h.features = append(h.features, network{art, shape})
	}
	return h, nil
}

// with are the artifacts that have a row of this id.
func with[R any](f table.Format[R], arts []*artifacts.Artifact, id string) (out []*artifacts.Artifact, err error) {
	for _, art := range arts {
		entries, err := rows.List(f, art)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(entries, func(e rows.Entry) bool { return e.ID == id }) {
			out = append(out, art)
		}
	}
	return out, nil
}

// shapeOf looks at the first of an artifact's feature maps, of which there is one.
func shapeOf(art *artifacts.Artifact) (s dataset.Shape, err error) {
	f := table.FeatureMaps("", "")
	entries, err := rows.List(f, art)
	if err != nil {
		return s, err
	}
	set, err := rows.Open(f, art)
	if err != nil {
		return s, err
	}
	first, err := set.Row(entries[0].Ref)
	s = dataset.Shape{Height: int(first.Height), Width: int(first.Width), Channels: int(first.Channels), Tower: set.Meta("tower"), Layer: set.Meta("layer")}
	return s, errors.Join(err, set.Close())
}

// inputs are all that the model may have been given.
func (h holders) inputs(m *model.Spec) (out []modelInput) {
	seen := [][]*artifacts.Artifact{nil}
	if m.Pixels == nil {
		seen = h.behind(m, nil)
	}
	for _, pairs := range h.pairs {
		for _, mfcc := range h.mfcc {
			for _, images := range h.images {
				for _, features := range seen {
					out = append(out, modelInput{pairs, mfcc, images, features})
				}
			}
		}
	}
	return out
}

// behind are the feature maps behind each other that the model takes, of which the
// first are of these networks. Several count where the model says that it learnt
// from them.
func (h holders) behind(m *model.Spec, first []network) (out [][]*artifacts.Artifact) {
	for _, s := range h.features {
		if slices.ContainsFunc(first, func(o network) bool { return o.art == s.art }) {
			continue
		}
		all := append(slices.Clone(first), s)
		arts, towers, layers := []*artifacts.Artifact{}, []string{}, []string{}
		shape := dataset.Shape{Height: s.shape.Height, Width: s.shape.Width, Coeffs: m.Audio.In}
		for _, o := range all {
			arts, towers, layers = append(arts, o.art), append(towers, o.shape.Tower), append(layers, o.shape.Layer)
			shape.Channels += o.shape.Channels
		}
		shape.Tower, shape.Layer = strings.Join(towers, " + "), strings.Join(layers, " + ")
		switch {
		case s.shape.Height != all[0].shape.Height || s.shape.Width != all[0].shape.Width:
		case shape.Channels >= m.Image.In:
			if shape.Fits(m) == nil {
				out = append(out, arts)
			}
		case slices.ContainsFunc(m.Notes, func(n model.KeyString) bool {
			return n.Key == "features" && strings.HasPrefix(n.Value, shape.Tower+" + ")
		}):
			out = append(out, h.behind(m, all)...)
		}
	}
	return out
}
