// Package eval scores a model: every photo of a set against every clip of it,
// and how often a query finds its own partner among the best.
//
// Several models of the same task are scored as one: by the mean of their
// similarities, which errs less than each, for models that start from different
// seeds err at different places. With maps of mirror images each photo counts as
// the mean of both its views. With a query bank, captions and photos that are not
// scored, what is near to everything is held against it (retrieval.LessHubs).
//
// The main direction is the paper's, from speech to photo; the other is scored
// beside it, a photo with several captions by the best placed. "P@k" is the
// share of queries whose partner is among the k best (recall@k), with a Wilson
// and a bootstrap interval; equals count by their expected rank. With draws the
// same is said of disjoint random draws of photos, as the paper scores 100
// pairs. The result holds the numbers and a digest of the pairs (metrics.json),
// a row a caption (queries.parquet), every query's rank (ranks.parquet) and all
// similarities (similarity-SET.npy, photos by clips, float32).
package eval

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/retrieval"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind scores a model.
var Kind = stage.New(stage.Kind{
	Name:    "eval",
	Doc:     "score a model: P@1/5/10 both ways, ranks, similarities",
	Version: 4,
	Inputs: []stage.Input{
		{Name: "model", Doc: "the model; of several the mean of their similarities is scored", Types: []string{"model"}, Many: true},
		{Name: "pairs", Doc: "captions, with the sets they belong to", Types: []string{"pairs"}},
		{Name: "mfcc", Doc: "the captions' sound", Types: []string{"mfcc"}},
		{Name: "features", Doc: "the photos, as the model's image tower takes them", Types: []string{"features"}, Many: true, Optional: true},
		{Name: "mirrored", Doc: "feature maps of the photos' mirror images, by the same networks: scored as the mean over both views", Types: []string{"features"}, Many: true, Optional: true},
		{Name: "images", Doc: "the same for a model that starts from pixels", Types: []string{"images"}, Optional: true},
		{Name: "bank_pairs", Doc: "querybank: captions that it is of, if not of those of pairs", Types: []string{"pairs"}, Optional: true},
		{Name: "bank_mfcc", Doc: "querybank: their sound", Types: []string{"mfcc"}, Optional: true},
		{Name: "speech", Doc: "the clips, for scores by voice", Types: []string{"speech", "wav"}, Optional: true},
	},
	Output:  "scores",
	Numeric: true,
	CPUs:    stage.AllCPUs,
}, Params{Sets: []string{"validation", "hard", "test"}, DrawPhotos: 100, Seed: 1}, run)

// Params are the parameters of Kind.
type Params struct {
	System     string   `json:"system" doc:"name of the system in tables; empty: model"`
	Sets       []string `json:"sets" doc:"splits to score; the first that has pairs is the main one"`
	Draws      int      `json:"draws" doc:"disjoint draws of photos to score beside each set, as far as it has photos for them; 0: none" min:"0" max:"1000"`
	DrawPhotos int      `json:"draw_photos" doc:"photos of each draw: the paper has 100" min:"1" unit:"photos"`
	Seed       int64    `json:"seed" doc:"what draws and bootstrap intervals are drawn from"`

	// Left out of the key while there is no bank.
	QueryBank     int     `json:"querybank,omitempty" doc:"photos, each with a caption, that similarities are normalised by, so that what is near to everything loses; 0: none" min:"0"`
	QueryBankBeta float64 `json:"querybank_beta,omitempty" doc:"querybank: how much the nearest of it count for more, for similarities of -1 to 1 about 10 to 20" min:"0"`
	BankSplit     string  `json:"bank_split,omitempty" doc:"querybank: the split that it is drawn from; empty: train"`
}

// Check implements stage.Checker.
func (p Params) Check() []spec.ParamProblem {
	if len(p.Sets) == 0 {
		return []spec.ParamProblem{{Param: "sets", Message: "name at least one split"}}
	}
	var out []spec.ParamProblem
	if p.QueryBank > 0 && p.QueryBankBeta == 0 {
		out = append(out, spec.ParamProblem{Param: "querybank_beta", Message: "say how much the nearest of the bank count for more: for similarities of -1 to 1 about 10 to 20"})
	}
	for i, name := range p.Sets {
		if slices.Contains(p.Sets[:i], name) {
			out = append(out, spec.ParamProblem{Param: "sets", Message: fmt.Sprintf("%q is named twice", name)})
		}
	}
	return out
}

func run(ctx context.Context, t *stage.Task, p Params) error {
	models, err := load(t.Inputs["model"])
	if err != nil {
		return err
	}
	d, err := dataset.Open(dataset.Of[artifacts.Part](t.Inputs))
	if err != nil {
		return err
	}
	if left := d.LeftOut(); left != "" {
		t.Report(stage.Progress{Message: left, Warning: true})
	}
	scores, err := score(ctx, t, p, models, d)
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return write(ctx, t, p, notes(models, d.Mirrored(), p), scores)
}

func load(arts []*artifacts.Artifact) (out []*model.Model[float32], err error) {
	for i, art := range arts {
		m, err := dataset.LoadModel(art)
		if err != nil {
			return nil, fmt.Errorf("load model %d of %d: %w", i+1, len(arts), err)
		}
		out = append(out, m)
	}
	return out, nil
}

// notes are what the models say of themselves, what they differ in side by side,
// and how the similarities came about if not plainly by one of them.
func notes(models []*model.Model[float32], mirrored bool, p Params) (out []model.KeyString) {
	var keys []string
	values := map[string][]string{}
	for _, m := range models {
		for _, n := range m.Notes {
			if !slices.Contains(keys, n.Key) {
				keys = append(keys, n.Key)
			}
			if !slices.Contains(values[n.Key], n.Value) {
				values[n.Key] = append(values[n.Key], n.Value)
			}
		}
	}
	for _, k := range keys {
		out = append(out, model.KeyString{Key: k, Value: strings.Join(values[k], table.Besides)})
	}
	by := "the similarity"
	if len(models) > 1 {
		by = fmt.Sprintf("the mean similarity of %d models", len(models))
	}
	if mirrored {
		by += ", the mean of a photo and its mirror image"
	}
	if p.QueryBank > 0 {
		by += fmt.Sprintf(", less that to a query bank of %d (beta %g)", p.QueryBank, p.QueryBankBeta)
	}
	if len(models) > 1 || mirrored || p.QueryBank > 0 {
		out = append(out, model.KeyString{Key: table.ScoredBy, Value: by})
	}
	return out
}

func write(ctx context.Context, t *stage.Task, p Params, notes []model.KeyString, scores []retrieval.Scored) error {
	m := table.Metrics{System: p.System, Settings: map[string]string{}}
	if m.System == "" {
		m.System = "model"
	}
	for _, n := range notes {
		if n.Key == "note" {
			m.Note = n.Value
			continue
		}
		m.Settings[n.Key] = n.Value
	}
	for _, part := range retrieval.Parts(m, scores) {
		if err := t.Write(ctx, part.Name, part.Schema, part.Write); err != nil {
			return fmt.Errorf("write %s: %w", part.Name, err)
		}
	}
	return nil
}
