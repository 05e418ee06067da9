package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/stages/report"
)

// trainingDiff is how two runs trained a model, by `diff RUN RUN`.
type trainingDiff struct {
	A *report.Training `json:"a"`
	B *report.Training `json:"b"`
	// Settings are those notes of the models that differ; one that a model does
	// not have is empty.
	Settings map[string][2]string `json:"settings"`
}

// addTraining reads how a model that both runs have, and not the same, was
// trained, where it still is in the store.
func addTraining(s *artifacts.Store, d pipeline.StageDiff, to map[string]trainingDiff) error {
	if d.A == nil || d.B == nil || d.Same() {
		return nil
	}
	var both [2]*report.Training
	for i, digest := range []artifacts.Digest{d.A.Digest, d.B.Digest} {
		art, err := s.Artifact(digest)
		if err != nil || art.Manifest.Type != "model" {
			return nil // collected, or no model
		}
		if both[i], _, err = report.ReadTraining(art); err != nil {
			return fmt.Errorf("%s: %w", d.Stage, err)
		}
	}
	x := trainingDiff{A: both[0], B: both[1], Settings: map[string][2]string{}}
	for _, side := range both {
		for name := range side.Settings {
			if was, is := x.A.Settings[name], x.B.Settings[name]; was != is {
				x.Settings[name] = [2]string{was, is}
			}
		}
	}
	to[d.Stage] = x
	return nil
}

// printTraining prints how a model's training differs: settings, length and
// what came of it.
func printTraining(w io.Writer, stage string, d trainingDiff) error {
	fmt.Fprintf(w, "%s, training:\n", stage)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(d.Settings)) {
		fmt.Fprintf(t, "  %s\t%s\t->  %s\n", name, orNone(d.Settings[name][0]), orNone(d.Settings[name][1]))
	}
	measured := func(x *float64) string {
		if x == nil {
			return "not measured"
		}
		return strconv.FormatFloat(*x, 'f', 3, 64)
	}
	best := func(t *report.Training) string {
		if t.BestP10 == nil {
			return measured(nil)
		}
		return fmt.Sprintf("%s at step %d", measured(t.BestP10), t.BestStep)
	}
	for _, line := range []struct{ name, a, b string }{
		{"parameters", fmt.Sprint(d.A.Parameters), fmt.Sprint(d.B.Parameters)},
		{"steps", fmt.Sprint(d.A.Steps), fmt.Sprint(d.B.Steps)},
		{"pairs seen", fmt.Sprint(d.A.PairsSeen), fmt.Sprint(d.B.PairsSeen)},
		{"final loss", measured(d.A.Loss), measured(d.B.Loss)},
		{"P@1, development", measured(d.A.P1), measured(d.B.P1)},
		{"P@5, development", measured(d.A.P5), measured(d.B.P5)},
		{"P@10, development", measured(d.A.P10), measured(d.B.P10)},
		{"best P@10", best(d.A), best(d.B)},
	} {
		if line.a == line.b {
			fmt.Fprintf(t, "  %s\t%s\tin both\n", line.name, line.a)
		} else {
			fmt.Fprintf(t, "  %s\t%s\t->  %s\n", line.name, line.a, line.b)
		}
	}
	return t.Flush()
}
