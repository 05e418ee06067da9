package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/stages/stage"
)

// watcher passes on what training tells: to the terminal, and to two files in
// the run's folder, metrics.jsonl and a TensorBoard event file. Clocks stand
// in both; neither is part of the artifact.
type watcher struct {
	t      *stage.Task
	now    func() time.Time // nil without a clock
	lines  *os.File         // nil when nobody watches
	events *os.File
	board  *learn.EventWriter
	err    error // the first of writing
}

func newWatcher(t *stage.Task) (*watcher, error) {
	w := &watcher{t: t, now: t.Now}
	if t.RunDir == "" || t.Now == nil {
		return w, nil
	}
	if err := os.MkdirAll(t.RunDir, 0o755); err != nil {
		return nil, err
	}
	var err error
	if w.lines, err = appendTo(t.RunDir, "metrics.jsonl"); err != nil {
		return nil, err
	}
	// TensorBoard wants a new file for each attempt and finds them by this name.
	name := fmt.Sprintf("events.out.tfevents.%d.hearsight", t.Now().UnixNano())
	if w.events, err = appendTo(t.RunDir, name); err != nil {
		return nil, errors.Join(err, w.lines.Close())
	}
	w.board = learn.NewEventWriter(w.events, t.Now)
	return w, nil
}

func appendTo(dir, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// line is a point of the curve in metrics.jsonl.
type line struct {
	Time           time.Time `json:"time"`
	Step           int64     `json:"step"`
	Epoch          float64   `json:"epoch"`
	PairsSeen      int64     `json:"pairs_seen"`
	Loss           *float64  `json:"loss,omitempty"`
	LearningRate   float64   `json:"learning_rate"`
	P1             *float64  `json:"p1,omitempty"`
	P5             *float64  `json:"p5,omitempty"`
	P10            *float64  `json:"p10,omitempty"`
	PairsPerSecond float64   `json:"pairs_per_second,omitempty"`
	GFLOPPerSecond float64   `json:"gflop_per_second,omitempty"`
	SecondsLeft    float64   `json:"seconds_left,omitempty"`
}

func (w *watcher) progress(p learn.Progress) {
	w.t.Report(stage.Progress{
		Done: p.Step, Total: p.Steps, Unit: "steps", Message: p.Message, Warning: p.Warning,
		Metrics: []stage.Metric{
			{Name: "loss", Value: p.Loss}, {Name: "rate", Value: p.LearningRate}, {Name: "P@1", Value: p.P1}, {Name: "P@10", Value: p.P10},
			{Name: "pairs/s", Value: known(p.PairsPerSecond)}, {Name: "GFLOP/s", Value: known(math.Round(p.GFLOPPerSecond))},
			{Name: "s left", Value: known(math.Round(p.Left.Seconds()))},
		},
	})
	if w.lines == nil || p.Message != "" && math.IsNaN(p.Loss) && math.IsNaN(p.P10) {
		return
	}
	text, err := json.Marshal(line{
		Time: w.now(), Step: p.Step, Epoch: p.Epoch, PairsSeen: p.PairsSeen, Loss: number(p.Loss), LearningRate: p.LearningRate,
		P1: number(p.P1), P5: number(p.P5), P10: number(p.P10), PairsPerSecond: p.PairsPerSecond, GFLOPPerSecond: p.GFLOPPerSecond, SecondsLeft: p.Left.Seconds(),
	})
	if err == nil {
		_, err = w.lines.Write(append(text, '\n'))
	}
	board := w.board.Scalars(p.Step,
		learn.Scalar{Tag: "loss", Value: p.Loss}, learn.Scalar{Tag: "learning_rate", Value: p.LearningRate},
		learn.Scalar{Tag: "validation/P@1", Value: p.P1}, learn.Scalar{Tag: "validation/P@5", Value: p.P5}, learn.Scalar{Tag: "validation/P@10", Value: p.P10},
		learn.Scalar{Tag: "pairs_per_second", Value: known(p.PairsPerSecond)})
	if w.err == nil {
		w.err = errors.Join(err, board)
	}
}

// known is NaN, which is shown nowhere, for a figure that is not known yet.
func known(x float64) float64 {
	if x == 0 {
		return math.NaN()
	}
	return x
}

func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// close closes the files. That people could not watch is no reason to throw a
// model away: an error of theirs is told and not returned.
func (w *watcher) close() error {
	if w.lines == nil {
		return nil
	}
	if err := errors.Join(w.err, w.lines.Close(), w.events.Close()); err != nil {
		w.t.Report(stage.Progress{Message: fmt.Sprintf("metrics were not all written: %v", err), Warning: true})
	}
	return nil
}
