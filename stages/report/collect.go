package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
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
	var scored []table.Metrics
	best := -1.0 // the examples are those of the system with the highest P@10
	for i, art := range s.Scores {
		m, ranks, err := readScores(art)
		if err != nil {
			return page, fmt.Errorf("scores %d: %w", i+1, err)
		}
		scored = append(scored, m)
		for k, set := range m.Sets {
			sys := system(m, set, ranks)
			sys.Main = k == 0
			page.Systems = append(page.Systems, sys)
		}
		if len(m.Sets) == 0 || m.Sets[0].SpeechToImage.P10.Value <= best {
			continue
		}
		best = m.Sets[0].SpeechToImage.P10.Value
		for k := range page.Systems {
			page.Systems[k].Best = k == len(page.Systems)-len(m.Sets)
		}
		if page.Examples, err = examples(ctx, s, art, m, ranks); err != nil {
			return page, fmt.Errorf("examples of %s: %w", m.System, err)
		}
	}
	if err := models(&page, s.Models, scored); err != nil {
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
	var err error
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
	right := map[string]int{} // captions of each photo
	for _, r := range ranks {
		if r.Set == set.Set && r.Direction == table.SpeechToImage {
			right[r.Partner]++
		}
	}
	var way [2]chances
	for _, r := range ranks {
		switch {
		case r.Set != set.Set || r.Candidates == 0:
		case r.Direction == table.ImageToSpeech:
			way[1].add(int(r.Candidates), max(1, right[r.Query]))
		default:
			way[0].add(int(r.Candidates), 1)
		}
	}
	way[0].put(&s.ToPhoto)
	way[1].put(&s.ToSpeech)
	s.Digest = set.PairsDigest
	details(&s, set)
	for _, name := range slices.Sorted(maps.Keys(m.Settings)) {
		s.Settings = append(s.Settings, report.Setting{Name: name, Value: m.Settings[name]})
	}
	return s
}

func recall(r table.RecallMetrics) report.Recall {
	return report.Recall{
		P1: r.P1.Value, P5: r.P5.Value, P10: r.P10.Value,
		P1Low: r.P1.Low, P1High: r.P1.High, P5Low: r.P5.Low, P5High: r.P5.High, P10Low: r.P10.Low, P10High: r.P10.High,
		N: r.N, MedianRank: r.MedianRank, MRR: r.MRR, TiedQueries: r.Tied,
	}
}

// maxSound bounds the bytes of all clips on a page.
const maxSound = 16 << 20

// examples returns the best and the worst spoken queries of the first set. Among
// equally good ones the surest come first: those whose photo leads by most.
func examples(ctx context.Context, s Sources, art *artifacts.Artifact, m table.Metrics, ranks []table.Rank) ([]report.Example, error) {
	if len(s.Pairs) == 0 || s.Examples == 0 || len(m.Sets) == 0 {
		return nil, nil
	}
	var queries []table.Rank
	for _, r := range ranks {
		if r.Direction == table.SpeechToImage && r.Set == m.Sets[0].Set {
			queries = append(queries, r)
		}
	}
	lead := map[string]float64{} // of each caption's photo over the best of the others
	_, err := rows.Each(table.Queries, art, func(q table.Query) error {
		if q.Set == m.Sets[0].Set {
			lead[q.Caption] = q.Score - q.ImpostorScore
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(queries, func(a, b table.Rank) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(lead[b.Query], lead[a.Query]), cmp.Compare(b.Score, a.Score), cmp.Compare(a.Query, b.Query))
	})
	n := min(s.Examples, len(queries)/2)
	lib, err := openLibrary(s)
	if err != nil {
		return nil, err
	}
	out := make([]report.Example, 0, 2*n)
	sound := maxSound
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
		if sound -= len(e.Clip); sound < 0 {
			sound += len(e.Clip)
			e.Clip, e.Silent = nil, true
		}
		if r, ok := lead[q.Query]; ok && r > 0 {
			e.Lead = r
		}
		out = append(out, e)
	}
	return out, errors.Join(err, lib.close())
}
