package report

import (
	"fmt"
	"math"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

// A Training says how a model was trained and what came of it, by its artifact
// alone. Figures that were not measured are nil.
type Training struct {
	Settings   map[string]string `json:"settings"` // its notes, all but "note"
	Parameters int               `json:"parameters"`
	Steps      int64             `json:"steps"`
	PairsSeen  int64             `json:"pairs_seen"`
	PairFLOP   float64           `json:"pair_flop"` // of training, for a pair with a clip of Frames; 0 if untrained
	Frames     int               `json:"frames"`
	Loss       *float64          `json:"loss"` // mean of the last steps
	P1         *float64          `json:"p1"`   // on the development pairs, measured last
	P5         *float64          `json:"p5"`
	P10        *float64          `json:"p10"`
	BestP10    *float64          `json:"best_p10"` // of all times it was measured
	BestStep   int64             `json:"best_step,omitempty"`
}

// ReadTraining reads a model's training, and its curve.
func ReadTraining(art *artifacts.Artifact) (*Training, []table.CurvePoint, error) {
	config, err := rows.Bytes(art, model.Format)
	if err != nil {
		return nil, nil, err
	}
	spec, parameters, err := model.ReadSpec(config)
	if err != nil {
		return nil, nil, err
	}
	curve, err := rows.All(table.Curve, art)
	if err != nil {
		return nil, nil, fmt.Errorf("curve: %w", err)
	}
	t := &Training{Settings: map[string]string{}, Parameters: parameters, Frames: spec.Frames}
	for _, n := range spec.Notes {
		if n.Key != "note" {
			t.Settings[n.Key] = n.Value
		}
	}
	for _, p := range curve {
		t.Steps, t.PairsSeen = p.Step, p.PairsSeen
		for _, f := range []struct {
			to *(*float64)
			x  float64
		}{{&t.Loss, p.Loss}, {&t.P1, p.P1}, {&t.P5, p.P5}, {&t.P10, p.P10}} {
			if !math.IsNaN(f.x) && !math.IsInf(f.x, 0) {
				*f.to = &f.x
			}
		}
		if !math.IsNaN(p.P10) && (t.BestP10 == nil || p.P10 > *t.BestP10) {
			t.BestP10, t.BestStep = &p.P10, p.Step
		}
	}
	if t.Steps > 0 && spec.Check() == nil { // what is no model costs nothing
		t.PairFLOP = learn.PairFLOP(&spec, float64(t.PairsSeen)/float64(t.Steps))
	}
	return t, curve, nil
}
