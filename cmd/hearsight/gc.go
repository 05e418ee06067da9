package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

// gcFlags say what stays beside the results of the spec and the pins.
type gcFlags struct {
	force      bool
	runs, logs int
}

func (a *app) gcCommand() *cobra.Command {
	var f gcFlags
	c := &cobra.Command{
		Use:   "gc",
		Short: "Say what could be removed from the store, or remove it",
		Long: "Keeps what the spec as it stands, the last runs, pins and runs under way need. Lists the rest with what it would take to make it again, as it was recorded, and removes it with --force.\n" +
			"It does not run beside a run; a run that begins meanwhile waits.\n" +
			"Results of other variables or older specs are among the rest: pin what you want to keep.",
		Example: "  hearsight gc                          what would go, and what it cost\n  hearsight gc --force                  remove it\n  hearsight gc --force --keep-runs 0    keep no more than the spec and the pins need",
		RunE: func(c *cobra.Command, _ []string) error {
			if f.runs < 0 || f.logs < 0 {
				return usagef("--keep-runs and --keep-logs: at least 0")
			}
			return a.gc(c.Context(), f)
		},
	}
	c.Flags().BoolVar(&f.force, "force", false, "remove it")
	c.Flags().IntVar(&f.runs, "keep-runs", 3, "of how many of the last runs to keep what they made and used, and their unfinished work")
	c.Flags().IntVar(&f.logs, "keep-logs", 20, "of how many of the last runs to keep the journals and logs")
	return c
}

func (a *app) gc(ctx context.Context, f gcFlags) (err error) {
	e, _, s, err := a.engine(false, pipeline.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var plan *pipeline.Plan
	var costs map[string]cost
	o := artifacts.GCOptions{DryRun: !f.force, KeepRuns: max(f.runs, f.logs)}
	o.Roots = func(ctx context.Context) ([]artifacts.Digest, error) {
		if plan, err = e.Plan(ctx, pipeline.Selection{}); err != nil {
			return nil, err
		}
		costs = costsOf(s)
		used, since := usedByRuns(s, f.runs, !f.force)
		keys, all := e.Partials(plan)
		o.KeepPartial = func(k artifacts.ActionKey, dir string) bool {
			return !all || keys[k] || touched(dir, since)
		}
		return slices.Concat(e.Roots(plan), used), nil
	}
	keep := func(k artifacts.ActionKey, dir string) bool { return o.KeepPartial(k, dir) }
	r, err := s.GC(ctx, nil, artifacts.GCOptions{DryRun: o.DryRun, KeepRuns: o.KeepRuns, Roots: o.Roots, KeepPartial: keep})
	if errors.Is(err, artifacts.ErrBusy) {
		return fmt.Errorf("%w: try again when it has ended", err)
	}
	if err != nil {
		return err
	}
	return a.printCollected(r, collectedResults(r, plan, costs), f.force)
}

// usedByRuns returns the results that the last runs made or found made, and
// when the first of these runs began. With live, runs that have no end yet are
// among them.
func usedByRuns(s *artifacts.Store, last int, live bool) (used []artifacts.Digest, since time.Time) {
	ids := s.Runs()
	for i, id := range ids {
		counts := i >= len(ids)-last
		if !counts && !live {
			continue
		}
		events := journalOf(s, id)
		ended := len(events) == 0 || events[len(events)-1].Type == pipeline.RunEnded
		if !counts && ended {
			continue
		}
		for _, ev := range events {
			if since.IsZero() || ev.Time.Before(since) {
				since = ev.Time
			}
			if d, err := artifacts.ParseDigest(ev.Digest); err == nil {
				used = append(used, d)
			}
		}
	}
	if last >= len(ids) && last > 0 {
		since = time.Time{} // all there ever was
	} else if since.IsZero() {
		since = time.Now()
	}
	return used, since
}

// touched reports whether anything in a folder changed since then.
func touched(dir string, since time.Time) bool {
	found := false
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		found = found || err == nil && info.ModTime().After(since)
		return err
	})
	return found || err != nil && !errors.Is(err, os.ErrNotExist) // what cannot be told stays
}

// A cost is what an action took when it was done, by the journals.
type cost struct {
	stage   string
	seconds float64 // 0: not known
}

// costsOf reads from all journals what took how long, by key. Where items were
// taken over, those that were done say what all of them would take.
func costsOf(s *artifacts.Store) map[string]cost {
	out := map[string]cost{}
	for _, id := range s.Runs() {
		for _, ev := range journalOf(s, id) {
			if ev.Key == "" || ev.Stage == "" {
				continue
			}
			c := cost{stage: ev.Stage}
			if ev.Type == pipeline.StageFinished || ev.Type == pipeline.ShardFinished {
				c.seconds = ev.Seconds
				if ev.Done > 0 && ev.Done < ev.Total {
					c.seconds *= float64(ev.Total) / float64(ev.Done)
				}
			}
			if old := out[ev.Key]; old.seconds > c.seconds {
				c.seconds = old.seconds
			}
			out[ev.Key] = c
		}
	}
	return out
}

// A goneResult is a result that goes, or shards of a stage that belong to none.
type goneResult struct {
	Stage   string            `json:"stage,omitempty"` // as it was called; empty: no journal says
	Kind    string            `json:"kind,omitempty"`
	Shards  int               `json:"shards,omitempty"` // of an older result
	Digest  *artifacts.Digest `json:"digest,omitempty"`
	Items   int64             `json:"items,omitempty"`
	Bytes   int64             `json:"bytes"`             // that nothing listed before has
	Seconds float64           `json:"seconds,omitempty"` // to make it again; 0: not known
	// Differs says how it was made otherwise than the spec as it stands says.
	Differs string `json:"differs,omitempty"`
}

// collectedResults lists what goes: results, each with the shards it consists
// of, then shards of results that are gone.
func collectedResults(r artifacts.GCReport, plan *pipeline.Plan, costs map[string]cost) []goneResult {
	seen := map[artifacts.Digest]bool{}
	bytes := func(parts []artifacts.Part) (n int64) {
		for _, p := range parts {
			if !seen[p.Digest] {
				seen[p.Digest] = true
				n += p.Size
			}
		}
		return n
	}
	var out []goneResult
	for _, g := range r.Actions {
		if g.Type == "shard" {
			continue
		}
		c := costs[g.Key.String()]
		row := goneResult{Stage: c.stage, Kind: kindOf(g.Description), Items: g.Items, Bytes: bytes(g.Parts), Seconds: c.seconds}
		if !g.Manifest.IsZero() {
			row.Digest = &g.Manifest
		}
		if now := plan.Action(c.stage); now != nil && now.Description != "" && g.Description != "" {
			row.Differs = inWords(pipeline.Diff(g.Description, now.Description))
		}
		out = append(out, row)
	}
	slices.SortStableFunc(out, func(a, b goneResult) int { return cmp.Compare(a.Stage, b.Stage) })
	loose := map[string]*goneResult{}
	for _, g := range r.Actions {
		own := slices.ContainsFunc(g.Parts, func(p artifacts.Part) bool { return !seen[p.Digest] && p.Schema != pipeline.ItemsSchema })
		if g.Type != "shard" || !own {
			continue
		}
		c := costs[g.Key.String()]
		row := loose[c.stage]
		if row == nil {
			row = &goneResult{Stage: c.stage, Kind: kindOf(g.Description)}
			loose[c.stage] = row
		}
		row.Shards++
		row.Items += g.Items
		row.Bytes += bytes(g.Parts)
		row.Seconds += c.seconds
	}
	for _, stage := range sortedKeys(loose) {
		out = append(out, *loose[stage])
	}
	return out
}

// kindOf is the kind's name in the description of an action.
func kindOf(description string) string {
	_, rest, _ := strings.Cut(description, "\nkind ")
	kind, _, _ := strings.Cut(rest, " ")
	return kind
}

func inWords(changes []pipeline.Change) string {
	words := make([]string, 0, len(changes))
	for _, c := range changes {
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}

// collectedJSON is what `gc --json` prints.
type collectedJSON struct {
	Removed      bool         `json:"removed"` // false: it would be
	Objects      int          `json:"objects"`
	Bytes        int64        `json:"bytes"`
	KeptObjects  int          `json:"kept_objects"`
	KeptBytes    int64        `json:"kept_bytes"`
	Results      int          `json:"results"` // and shards
	Seconds      float64      `json:"seconds,omitempty"`
	Runs         []string     `json:"runs"`
	Partials     int          `json:"partials"` // unfinished work
	PartialBytes int64        `json:"partial_bytes"`
	List         []goneResult `json:"list"`
}

func (a *app) printCollected(r artifacts.GCReport, list []goneResult, removed bool) error {
	out := collectedJSON{Removed: removed, Objects: r.Objects, Bytes: r.Bytes, KeptObjects: r.KeptObjects, KeptBytes: r.KeptBytes,
		Results: len(r.Actions), Runs: append([]string{}, r.Runs...), Partials: len(r.Partials), PartialBytes: r.PartialBytes, List: append([]goneResult{}, list...)}
	for _, g := range list {
		out.Seconds += g.Seconds
	}
	if a.json {
		return a.printJSON(out)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, g := range list {
		what := cmp.Or(g.Stage, g.Kind, "unknown")
		if g.Shards > 0 {
			what += fmt.Sprintf(" (%d older shards)", g.Shards)
		}
		again := "not known how long it took"
		if g.Seconds > 0 {
			again = seconds(g.Seconds) + " to make again"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", what, bytesText(g.Bytes), again, g.Differs)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	word := "removed"
	if !removed {
		word = "would go"
	}
	fmt.Fprintf(a.stdout, "%s: %d objects, %s, of %d results and shards, %s to make again; unfinished work: %d, %s; %d old runs\nkept: %d objects, %s\n",
		word, r.Objects, bytesText(r.Bytes), len(r.Actions), seconds(out.Seconds), len(r.Partials), bytesText(r.PartialBytes), len(r.Runs), r.KeptObjects, bytesText(r.KeptBytes))
	if !removed {
		fmt.Fprintln(a.stdout, "nothing was removed: `hearsight gc --force` does")
	}
	return nil
}
