package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/pipeline"
)

// runDiffJSON is what `diff RUN RUN --json` prints.
type runDiffJSON struct {
	A        *runStatus              `json:"a"`
	B        *runStatus              `json:"b"`
	Stages   []runStageDiff          `json:"stages"`   // those that are not the same
	Training map[string]trainingDiff `json:"training"` // of models trained in both, by stage
	Scores   map[string][2]score     `json:"scores"`   // of systems scored in both, by stage and set
}

type runStageDiff struct {
	pipeline.StageDiff
	Words []string `json:"words,omitempty"` // the changes in a person's words
}

type score struct {
	P1  table.Share `json:"p1"`
	P5  table.Share `json:"p5"`
	P10 table.Share `json:"p10"`
}

// diffRuns says what differs between two runs: which stages have another
// result, what changed in their parameters and inputs, how many items, how
// models were trained, and how the scores moved.
func (a *app) diffRuns(s *artifacts.Store, ids []string) error {
	diffs, err := pipeline.CompareRuns(s, ids[0], ids[1])
	if err != nil {
		return err
	}
	out := runDiffJSON{A: statusOf(s, ids[0]), B: statusOf(s, ids[1]), Stages: []runStageDiff{}, Training: map[string]trainingDiff{}, Scores: map[string][2]score{}}
	for _, d := range diffs {
		if err := addScores(s, d, out.Scores); err != nil {
			return err
		}
		if err := addTraining(s, d, out.Training); err != nil {
			return err
		}
		if d.Same() && d.A.Key == d.B.Key {
			continue
		}
		x := runStageDiff{StageDiff: d}
		for _, c := range d.Changes {
			x.Words = append(x.Words, c.String())
		}
		out.Stages = append(out.Stages, x)
	}
	if a.json {
		return a.printJSON(out)
	}
	for i, r := range []*runStatus{out.A, out.B} {
		fmt.Fprintf(a.stdout, "%c %s: %s", "-+"[i], r.ID, r.State)
		if r.Seconds > 0 {
			fmt.Fprintf(a.stdout, " in %s", seconds(r.Seconds))
		}
		fmt.Fprintln(a.stdout)
	}
	if len(out.Stages) == 0 {
		fmt.Fprintln(a.stdout, "every stage has the same result in both")
	}
	for _, d := range out.Stages {
		a.printStageDiff(d)
	}
	for _, name := range slices.Sorted(maps.Keys(out.Training)) {
		if err := printTraining(a.stdout, name, out.Training[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(out.Scores)) {
		x, y := out.Scores[name][0], out.Scores[name][1]
		fmt.Fprintf(a.stdout, "%s:\n", name)
		for _, p := range []struct {
			name string
			x, y table.Share
		}{{"P@1", x.P1, y.P1}, {"P@5", x.P5, y.P5}, {"P@10", x.P10, y.P10}} {
			fmt.Fprintf(a.stdout, "  %-4s %s -> %s\n", p.name, share(p.x), share(p.y))
		}
	}
	return nil
}

func (a *app) printStageDiff(d runStageDiff) {
	switch {
	case d.B == nil:
		fmt.Fprintf(a.stdout, "%s: has a result in the first run only\n", d.Stage)
		return
	case d.A == nil:
		fmt.Fprintf(a.stdout, "%s: has a result in the second run only\n", d.Stage)
		return
	case d.Same():
		fmt.Fprintf(a.stdout, "%s: the same result, though\n", d.Stage)
	default:
		fmt.Fprintf(a.stdout, "%s: another result\n", d.Stage)
	}
	for _, w := range d.Words {
		fmt.Fprintf(a.stdout, "  %s\n", w)
	}
	switch {
	case d.Gone:
		fmt.Fprintln(a.stdout, "  what it was made from is no longer in the store")
	case d.A.Key == d.B.Key:
		fmt.Fprintln(a.stdout, "  from equal parameters and inputs: it is not repeatable")
	}
	if d.Items != nil {
		fmt.Fprintf(a.stdout, "  %s\n", d.Items)
	}
	if d.A.Seconds > 0 && d.B.Seconds > 0 {
		fmt.Fprintf(a.stdout, "  took %s, then %s\n", seconds(d.A.Seconds), seconds(d.B.Seconds))
	}
}

// addScores reads the scores of a stage that both runs scored, where they
// still are in the store.
func addScores(s *artifacts.Store, d pipeline.StageDiff, to map[string][2]score) error {
	if d.A == nil || d.B == nil || d.Same() {
		return nil
	}
	var sets [2]map[string]score
	for i, digest := range []artifacts.Digest{d.A.Digest, d.B.Digest} {
		art, err := s.Artifact(digest)
		if err != nil || art.Manifest.Type != "scores" {
			return nil // collected, or no scores
		}
		m, err := readMetrics(art)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Stage, err)
		}
		sets[i] = map[string]score{}
		for _, set := range m.Sets {
			sets[i][set.Set] = score{P1: set.SpeechToImage.P1, P5: set.SpeechToImage.P5, P10: set.SpeechToImage.P10}
		}
	}
	for set, x := range sets[0] {
		if y, ok := sets[1][set]; ok {
			to[d.Stage+" "+set] = [2]score{x, y}
		}
	}
	return nil
}

// areRuns reports whether all names are runs of the store.
func areRuns(s *artifacts.Store, names []string) bool {
	runs := s.Runs()
	return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(runs, n) })
}
