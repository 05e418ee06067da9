package report

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/matchmap"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

// Sources are the artifacts that a report is made from. All but the scores may be
// left out.
type Sources struct {
	Scores, Models         []*artifacts.Artifact
	Pairs, WAV             []*artifacts.Artifact // where the examples come from
	MFCC, Images, Features []*artifacts.Artifact // what the models heard and saw, for the examples' matchmaps
	Speech                 []*artifacts.Artifact // whose voices are counted
	Rejects                []*artifacts.Artifact
	Examples               int // best and worst queries, each

	// Words says when each word of a clip of one of Speech is heard; nil words: that
	// is not known. Words may be nil.
	Words func(ctx context.Context, speech *artifacts.Artifact, clip table.Clip) ([]matchmap.Word, error)
}

// Collect reads all that a page shows, but for its title, spec and run.
func Collect(ctx context.Context, s Sources) (report.Page, error) {
	var page report.Page
	var all []scored
	// The examples are those of the system with the highest P@10 on the first
	// one's pairs: it is these that pairs, clips and maps are given of.
	best, p10 := -1, -1.
	for i, art := range s.Scores {
		m, ranks, err := readScores(art)
		if err != nil {
			return page, fmt.Errorf("scores %d: %w", i+1, err)
		}
		all = append(all, scored{art, m, ranks})
		for k, set := range m.Sets {
			sys := system(m, set, ranks)
			sys.Main = k == 0
			page.Systems = append(page.Systems, sys)
		}
		if len(m.Sets) == 0 || m.Sets[0].SpeechToImage.P10.Value <= p10 {
			continue
		}
		if best >= 0 && m.Sets[0].PairsDigest != all[best].m.Sets[0].PairsDigest {
			continue
		}
		best, p10 = i, m.Sets[0].SpeechToImage.P10.Value
		for k := range page.Systems {
			page.Systems[k].Best = k == len(page.Systems)-len(m.Sets)
		}
	}
	if best >= 0 {
		if err := examples(ctx, &page, s, all[best]); err != nil {
			return page, fmt.Errorf("examples of %s: %w", all[best].m.System, err)
		}
	}
	if err := models(&page, s.Models, all); err != nil {
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
