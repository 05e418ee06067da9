// Package eval scores a model: every photo of a set against every clip of it,
// and how often a query finds its own partner among the best.
//
// The main direction is the paper's, from speech to photo; the other is scored
// beside it. "P@k" is the share of queries whose partner is among the k best
// (recall@k), with a Wilson interval; equals count by their expected rank. The
// result holds the numbers (metrics.json), every query's rank (ranks.parquet)
// and all similarities (similarity-SET.npy, photos by clips, float32).
package eval

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind scores a model.
var Kind = stage.New(stage.Kind{
	Name:    "eval",
	Doc:     "score a model: P@1/5/10 both ways, ranks, similarities",
	Version: 2,
	Inputs: []stage.Input{
		{Name: "model", Doc: "the model", Types: []string{"model"}},
		{Name: "pairs", Doc: "captions, with the sets they belong to", Types: []string{"pairs"}},
		{Name: "mfcc", Doc: "the captions' sound", Types: []string{"mfcc"}},
		{Name: "features", Doc: "the photos, as the model's image tower takes them", Types: []string{"features"}, Optional: true},
		{Name: "images", Doc: "the same for a model that starts from pixels", Types: []string{"images"}, Optional: true},
	},
	Output:  "scores",
	Numeric: true,
	CPUs:    stage.AllCPUs,
}, Params{Sets: []string{"validation", "hard", "test"}}, run)

// Params are the parameters of Kind.
type Params struct {
	System string   `json:"system" doc:"name of the system in tables; empty: model"`
	Sets   []string `json:"sets" doc:"splits to score; the first that has pairs is the main one"`
}

// Check implements stage.Checker.
func (p Params) Check() []spec.ParamProblem {
	if len(p.Sets) == 0 {
		return []spec.ParamProblem{{Param: "sets", Message: "name at least one split"}}
	}
	var out []spec.ParamProblem
	for i, name := range p.Sets {
		if slices.Contains(p.Sets[:i], name) {
			out = append(out, spec.ParamProblem{Param: "sets", Message: fmt.Sprintf("%q is named twice", name)})
		}
	}
	return out
}

func run(ctx context.Context, t *stage.Task, p Params) error {
	m, err := load(t)
	if err != nil {
		return fmt.Errorf("load model: %w", err)
	}
	d, err := dataset.Open(dataset.Of[artifacts.Part](t.Input("pairs"), t.Input("mfcc"), t.Input("features"), t.Input("images")))
	if err != nil {
		return err
	}
	if left := d.LeftOut(); left != "" {
		t.Report(stage.Progress{Message: left, Warning: true})
	}
	scores, err := score(ctx, t, p, m, d)
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return write(ctx, t, p, m.Notes, scores)
}

func load(t *stage.Task) (*model.Model[float32], error) {
	config, err := rows.Bytes(t.Input("model"), model.Format)
	if err != nil {
		return nil, err
	}
	weights, err := rows.Bytes(t.Input("model"), model.WeightsFormat)
	if err != nil {
		return nil, err
	}
	return model.Load(config, weights)
}

// setScores is what one set of pairs gave.
type setScores struct {
	name    string
	pairs   []learn.Pair
	matrix  learn.Matrix
	metrics table.SetMetrics
	ranks   []table.Rank
}

func write(ctx context.Context, t *stage.Task, p Params, notes []model.KeyString, scores []setScores) error {
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
	var ranks []table.Rank
	for _, s := range scores {
		m.Sets = append(m.Sets, s.metrics)
		ranks = append(ranks, s.ranks...)
		err := t.Write(ctx, "similarity-"+s.name+".npy", "", func(w io.Writer) (int64, error) {
			flat := make([]float32, len(s.matrix.S))
			for i, v := range s.matrix.S {
				flat[i] = float32(v)
			}
			return 0, npy.Write(w, []int{s.matrix.Images, s.matrix.Clips}, flat)
		})
		if err != nil {
			return fmt.Errorf("write similarities: %w", err)
		}
	}
	if err := t.Write(ctx, "metrics.json", table.MetricsSchema, func(w io.Writer) (int64, error) { return 0, table.WriteMetrics(w, m) }); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	err := t.Write(ctx, "ranks"+table.Ranks.Ext(), table.Ranks.Schema(), func(w io.Writer) (int64, error) {
		return table.Ranks.Write(w, func(yield func(table.Rank, error) bool) {
			for _, r := range ranks {
				if !yield(r, nil) {
					return
				}
			}
		})
	})
	if err != nil {
		return fmt.Errorf("write ranks: %w", err)
	}
	return nil
}
