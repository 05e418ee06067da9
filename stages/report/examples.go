package report

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

// maxSound bounds the bytes of all clips on a page.
const maxSound = 16 << 20

// A scored system is what a page's examples are of.
type scored struct {
	art   *artifacts.Artifact
	m     table.Metrics
	ranks []table.Rank
}

// examples adds the best and the worst spoken queries of a system's first set, with
// their matchmaps.
func examples(ctx context.Context, page *report.Page, s Sources, sys scored) (err error) {
	if len(s.Pairs) == 0 || s.Examples == 0 || len(sys.m.Sets) == 0 {
		return nil
	}
	queries, lead, err := chosen(ctx, s, sys)
	if err != nil {
		return err
	}
	lib, err := openLibrary(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lib.close()) }()
	sound := maxSound
	for i, q := range queries {
		kind := "best"
		if i >= len(queries)/2 {
			kind = "worst"
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := lib.example(kind, sys.m.System, q)
		if err != nil {
			return err
		}
		if sound -= len(e.Clip); sound < 0 {
			sound += len(e.Clip)
			e.Clip, e.Silent = nil, true
		}
		if r, ok := lead[q.Query]; ok && r > 0 {
			e.Lead = r
		}
		page.Examples = append(page.Examples, e)
	}
	return matchmaps(ctx, page, s, sys, queries, lib)
}

// chosen are the best queries and, after these, as many of the worst, the worst
// first. Among equally good ones the surest come first: those whose photo leads
// the best of the others by most.
func chosen(ctx context.Context, s Sources, sys scored) (out []table.Rank, lead map[string]float64, err error) {
	set := sys.m.Sets[0].Set
	lead = map[string]float64{}
	_, err = rows.Each(table.Queries, sys.art, func(q table.Query) error {
		if q.Set == set {
			lead[q.Caption] = q.Score - q.ImpostorScore
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, nil, err
	}
	var all []table.Rank
	for _, r := range sys.ranks {
		if r.Direction == table.SpeechToImage && r.Set == set {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b table.Rank) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), cmp.Compare(lead[b.Query], lead[a.Query]), cmp.Compare(b.Score, a.Score), cmp.Compare(a.Query, b.Query))
	})
	n := min(s.Examples, len(all)/2)
	worst := slices.Clone(all[len(all)-n:])
	slices.Reverse(worst)
	return append(all[:n:n], worst...), lead, nil
}
