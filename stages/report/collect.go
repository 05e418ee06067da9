package report

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/plot"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

// Sources are the artifacts that a report is made from.
type Sources struct {
	Scores, Models []*artifacts.Artifact
	Pairs, WAV     []*artifacts.Artifact // where the examples come from; may be empty
	Speech         []*artifacts.Artifact // whose voices are counted; may be empty
	Rejects        []*artifacts.Artifact
	Examples       int // best and worst queries, each
}

// Collect reads all that a page shows, but for its title, spec and run.
func Collect(ctx context.Context, s Sources) (report.Page, error) {
	var page report.Page
	best := -1.0 // the examples are those of the system with the highest P@10
	for i, art := range s.Scores {
		m, ranks, err := readScores(art)
		if err != nil {
			return page, fmt.Errorf("scores %d: %w", i+1, err)
		}
		for _, set := range m.Sets {
			page.Systems = append(page.Systems, system(m, set, ranks))
		}
		if len(m.Sets) == 0 || m.Sets[0].SpeechToImage.P10.Value <= best {
			continue
		}
		best = m.Sets[0].SpeechToImage.P10.Value
		if page.Examples, err = examples(ctx, s, m, ranks); err != nil {
			return page, fmt.Errorf("examples of %s: %w", m.System, err)
		}
	}
	var err error
	if page.Curves, err = curves(s.Models); err != nil {
		return page, err
	}
	for _, art := range s.Rejects {
		rejects, err := rows.All(table.Rejects, art)
		if err != nil {
			return page, fmt.Errorf("rejects: %w", err)
		}
		for _, r := range rejects {
			page.Rejects = append(page.Rejects, report.Reject{Item: r.Item, Stage: r.Stage, Reason: r.Reason})
		}
	}
	page.Corpus, err = corpus(ctx, s, page.Rejects)
	return page, err
}

func readScores(art *artifacts.Artifact) (m table.Metrics, ranks []table.Rank, err error) {
	parts := art.Parts(table.MetricsSchema)
	if len(parts) != 1 {
		return m, nil, fmt.Errorf("%d metrics parts, want 1", len(parts))
	}
	f, err := art.Open(parts[0])
	if err != nil {
		return m, nil, err
	}
	m, err = table.ReadMetrics(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return m, nil, err
	}
	ranks, err = rows.All(table.Ranks, art)
	return m, ranks, err
}

func system(m table.Metrics, set table.SetMetrics, ranks []table.Rank) report.System {
	s := report.System{Name: m.System, Set: set.Set, Note: m.Note, Pairs: set.Pairs, ToPhoto: recall(set.SpeechToImage), ToSpeech: recall(set.ImageToSpeech)}
	if g := set.GroupRight; g != nil {
		right := fmt.Sprintf("of two photos that differ only in relation or size the right one scores higher for %.0f %% of queries (chance 50 %%; interval %.0f–%.0f %%)", 100*g.Value, 100*g.Low, 100*g.High)
		s.Note = strings.TrimPrefix(s.Note+"; "+right, "; ")
	}
	for _, r := range ranks {
		if r.Set != set.Set || r.Candidates == 0 {
			continue
		}
		chance := func(k float64) float64 { return min(1, k/float64(r.Candidates)) }
		to := &s.ToPhoto
		if r.Direction == table.ImageToSpeech {
			to = &s.ToSpeech
		}
		to.Chance1, to.Chance5, to.Chance10 = chance(1), chance(5), chance(10)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Settings)) {
		s.Settings = append(s.Settings, report.Setting{Name: name, Value: m.Settings[name]})
	}
	return s
}

func recall(r table.RecallMetrics) report.Recall {
	return report.Recall{
		P1: r.P1.Value, P5: r.P5.Value, P10: r.P10.Value,
		P1Low: r.P1.Low, P1High: r.P1.High, P5Low: r.P5.Low, P5High: r.P5.High, P10Low: r.P10.Low, P10High: r.P10.High,
		MedianRank: r.MedianRank, MRR: r.MRR, TiedQueries: r.Tied,
	}
}

// examples returns the best and the worst spoken queries of the first set. Among
// equally good ones the surest come first: those whose photo leads by most.
func examples(ctx context.Context, s Sources, m table.Metrics, ranks []table.Rank) ([]report.Example, error) {
	if len(s.Pairs) == 0 || s.Examples == 0 || len(m.Sets) == 0 {
		return nil, nil
	}
	var queries []table.Rank
	for _, r := range ranks {
		if r.Direction == table.SpeechToImage && r.Set == m.Sets[0].Set {
			queries = append(queries, r)
		}
	}
	slices.SortFunc(queries, func(a, b table.Rank) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(b.Score, a.Score), cmp.Compare(a.Query, b.Query))
	})
	n := min(s.Examples, len(queries)/2)
	lib, err := openLibrary(s)
	if err != nil {
		return nil, err
	}
	out := make([]report.Example, 0, 2*n)
	for i := range 2 * n {
		kind, q := "best", table.Rank{}
		if i < n {
			q = queries[i]
		} else {
			kind, q = "worst", queries[len(queries)-1-(i-n)]
		}
		if err = ctx.Err(); err != nil {
			break
		}
		var e report.Example
		if e, err = lib.example(kind, m.System, q); err != nil {
			break
		}
		out = append(out, e)
	}
	return out, errors.Join(err, lib.close())
}

// curves draws each model's loss and recall over its steps.
func curves(models []*artifacts.Artifact) ([]report.Curve, error) {
	var loss, recall []plot.Series
	named := map[string]int{} // models of the same towers are numbered
	for i, art := range models {
		points, err := rows.All(table.Curve, art)
		if err != nil {
			return nil, fmt.Errorf("curve of model %d: %w", i+1, err)
		}
		name, err := modelName(art)
		if err != nil {
			return nil, fmt.Errorf("model %d: %w", i+1, err)
		}
		if named[name]++; named[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, named[name])
		}
		l, r := plot.Series{Name: name}, plot.Series{Name: name}
		for _, p := range points {
			l.X, l.Y = append(l.X, float64(p.Step)), append(l.Y, p.Loss)
			if p.P10 == p.P10 { // measured at this step: not NaN
				r.X, r.Y = append(r.X, float64(p.Step)), append(r.Y, p.P10)
			}
		}
		if len(l.X) > 1 {
			loss = append(loss, l)
		}
		if len(r.X) > 1 {
			recall = append(recall, r)
		}
	}
	var out []report.Curve
	for _, c := range []struct {
		series  []plot.Series
		y, text string
	}{{loss, "loss", "Training loss; a model that has learnt nothing sits at 2.000."}, {recall, "P@10", "P@10 on the validation pairs, speech to photo."}} {
		if len(c.series) == 0 {
			continue
		}
		svg, err := drawCurves(c.series, c.y)
		if err != nil {
			return nil, fmt.Errorf("draw %s: %w", c.y, err)
		}
		out = append(out, report.Curve{Caption: c.text, SVG: svg})
	}
	return out, nil
}

// drawCurves lays the models' curves over each other.
func drawCurves(series []plot.Series, y string) ([]byte, error) {
	var b bytes.Buffer
	err := plot.SVG(&b, plot.Chart{XLabel: "step", YLabel: y, Series: series})
	return b.Bytes(), err
}

// modelName is what a model's curve is called: its towers, as its settings say.
func modelName(art *artifacts.Artifact) (string, error) {
	config, err := rows.Bytes(art, model.Format)
	if err != nil {
		return "", err
	}
	notes, err := model.ReadNotes(config)
	if err != nil {
		return "", err
	}
	for _, n := range notes {
		if n.Key == "towers" {
			return n.Value, nil
		}
	}
	return "model", nil
}
