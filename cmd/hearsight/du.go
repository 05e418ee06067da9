package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (a *app) duCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "du",
		Short: "Say what takes how much space in the store, by stage",
		Long: "For each stage: what its result for the spec as it stands takes, and what results of other variables or older specs take. An object that several have is counted once, with the spec as it stands first.\n" +
			"`hearsight gc` says which of it could go.",
		Example: "  hearsight du\n  hearsight du --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.planned(c.Context(), pipeline.Selection{}, func(p *pipeline.Plan, s *artifacts.Store) error {
				return a.du(c.Context(), p, s)
			})
		},
	}
}

// usageJSON is what `du --json` prints.
type usageJSON struct {
	Stages []stageUsage `json:"stages"`
	// Unreferenced are objects that no record leads to, and the manifests.
	Unreferenced int64            `json:"unreferenced_bytes"`
	Entries      map[string]int64 `json:"entries"` // bytes under each entry of the store's folder
	Total        int64            `json:"total_bytes"`
}

type stageUsage struct {
	Stage   string  `json:"stage"`
	Bytes   int64   `json:"bytes"` // of the spec as it stands
	Older   int64   `json:"older_bytes"`
	Results int     `json:"results"`           // of any variables
	Seconds float64 `json:"seconds,omitempty"` // that they took, as far as journals say
}

func (a *app) du(ctx context.Context, p *pipeline.Plan, s *artifacts.Store) error {
	entries, err := s.Usage(ctx)
	if err != nil {
		return err
	}
	rows := map[string]*stageUsage{}
	row := func(stage string) *stageUsage {
		if rows[stage] == nil {
			rows[stage] = &stageUsage{Stage: stage}
		}
		return rows[stage]
	}
	seen, known := map[artifacts.Digest]bool{}, int64(0)
	add := func(art *artifacts.Artifact, to *int64) {
		for _, part := range art.Manifest.Parts {
			if !seen[part.Digest] {
				seen[part.Digest] = true
				*to += part.Size
				known += part.Size
			}
		}
	}
	for _, x := range p.Actions {
		r := row(x.Stage.Name)
		if x.Artifact != nil {
			add(x.Artifact, &r.Bytes)
		}
	}
	costs := costsOf(s)
	err = s.Actions(ctx, func(k artifacts.ActionKey, act *artifacts.Action) error {
		art, err := s.Artifact(act.Manifest)
		if err != nil {
			return nil // `verify` says more
		}
		c := costs[k.String()]
		r := row(cmp.Or(c.stage, kindOf(act.Description)))
		if art.Manifest.Type != "shard" {
			r.Results++
			r.Seconds += c.seconds
		}
		add(art, &r.Older)
		return nil
	})
	if err != nil {
		return err
	}
	out := usageJSON{Entries: entries, Unreferenced: max(0, entries["objects"]-known)}
	for _, name := range sortedKeys(rows) {
		out.Stages = append(out.Stages, *rows[name])
	}
	for _, n := range entries {
		out.Total += n
	}
	if a.json {
		return a.printJSON(out)
	}
	return a.printUsage(out)
}

func (a *app) printUsage(u usageJSON) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "stage\tnow\tolder\tresults\ttook")
	for _, r := range u.Stages {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", r.Stage, bytesText(r.Bytes), bytesText(r.Older), r.Results, seconds(r.Seconds))
	}
	fmt.Fprintf(w, "records and what no record leads to\t%s\n", bytesText(u.Unreferenced+u.Entries["actions"]+u.Entries["lineage"]))
	fmt.Fprintf(w, "unfinished work\t%s\n", bytesText(u.Entries["partial"]+u.Entries["tmp"]))
	fmt.Fprintf(w, "journals and logs\t%s\n", bytesText(u.Entries["runs"]))
	fmt.Fprintf(w, "total\t%s\n", bytesText(u.Total))
	return w.Flush()
}
