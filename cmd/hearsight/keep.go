package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

func (a *app) verifyCommand() *cobra.Command {
	var repair bool
	c := &cobra.Command{
		Use:     "verify",
		Short:   "Check every byte of the store against its digest",
		Long:    "Reads the whole store and names everything damaged. Exit code 1 if there is any.\nWith --repair the damaged is dropped; the next run makes it again.",
		Example: "  hearsight verify\n  hearsight verify --repair",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			s, err := a.openStore(!repair)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			found := []artifacts.Problem{}
			err = s.Verify(c.Context(), artifacts.VerifyOptions{Repair: repair}, func(p artifacts.Problem) {
				found = append(found, p)
				if !a.json {
					fmt.Fprintln(a.stdout, p)
				}
			})
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(found)
			} else if len(found) == 0 {
				fmt.Fprintln(a.stdout, "nothing is damaged")
			}
			return errors.Join(err, verdict(found))
		},
	}
	c.Flags().BoolVar(&repair, "repair", false, "drop what is damaged")
	return c
}

// verdict is an error if something damaged is still there.
func verdict(found []artifacts.Problem) error {
	n := 0
	for _, p := range found {
		if !p.Repaired {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d damaged: `hearsight verify --repair` drops what it can, the next run makes it again", n)
}

func (a *app) pinCommand() *cobra.Command {
	var remove bool
	c := &cobra.Command{
		Use:     "pin [NAME [STAGE]]",
		Short:   "Keep a stage's result from gc under a name, or list the pins",
		Example: "  hearsight pin best model@VGG16_5\n  hearsight pin                list them\n  hearsight pin --remove best",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return a.listPins()
			case remove && len(args) == 1:
				return a.unpin(c, args[0])
			case len(args) == 2 && !remove:
				return a.planned(c.Context(), pipeline.Selection{Targets: args[1:]}, func(p *pipeline.Plan, s *artifacts.Store) error {
					art, err := result(p, args[1])
					if err != nil {
						return err
					}
					return s.Pin(c.Context(), args[0], art.Digest)
				})
			}
			return usagef("want `pin`, `pin NAME STAGE` or `pin --remove NAME`")
		},
	}
	c.Flags().BoolVar(&remove, "remove", false, "remove the pin")
	return c
}

func (a *app) listPins() (err error) {
	s, err := a.openStore(true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	pins, err := s.Pins()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(pins)
	}
	names := slices.Sorted(maps.Keys(pins))
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, name := range names {
		fmt.Fprintf(w, "%s\t%s\n", name, pins[name])
	}
	return w.Flush()
}

func (a *app) unpin(c *cobra.Command, name string) (err error) {
	s, err := a.openStore(false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Unpin(c.Context(), name)
}

func (a *app) gcCommand() *cobra.Command {
	var o artifacts.GCOptions
	var force bool
	c := &cobra.Command{
		Use:   "gc",
		Short: "Say what could be removed from the store, or remove it",
		Long: "Keeps the results of the spec as it stands, what is pinned and what runs need; says how much the rest takes, and removes it with --force.\n" +
			"Results of other variables or older specs are among the rest: pin what you want to keep.",
		Example: "  hearsight gc            what would go\n  hearsight gc --force    remove it",
		RunE: func(c *cobra.Command, _ []string) error {
			o.DryRun = !force
			roots, err := a.roots(c.Context())
			if err != nil {
				return err
			}
			return a.collect(c.Context(), roots, o)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "remove it")
	c.Flags().IntVar(&o.KeepRuns, "keep-runs", 20, "how many of the last runs' journals and logs to keep")
	return c
}

// roots are the results that the spec as it stands needs, and the shards that
// they would be remade from.
func (a *app) roots(ctx context.Context) (_ []artifacts.Digest, err error) {
	e, _, s, err := a.engine(false, pipeline.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	plan, err := e.Plan(ctx, pipeline.Selection{})
	if err != nil {
		return nil, err
	}
	return e.Roots(plan), nil
}

// collectedJSON is what `gc --json` prints.
type collectedJSON struct {
	Removed     bool  `json:"removed"` // false: it would be
	Objects     int   `json:"objects"`
	Bytes       int64 `json:"bytes"`
	KeptObjects int   `json:"kept_objects"`
	KeptBytes   int64 `json:"kept_bytes"`
	Results     int   `json:"results"`
	Runs        int   `json:"runs"`
}

func (a *app) collect(ctx context.Context, roots []artifacts.Digest, o artifacts.GCOptions) (err error) {
	s, err := a.openStore(false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r, err := s.GC(ctx, roots, o)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(collectedJSON{!o.DryRun, r.Objects, r.Bytes, r.KeptObjects, r.KeptBytes, len(r.Actions), len(r.Runs)})
	}
	word := "removed"
	if o.DryRun {
		word = "would go"
	}
	fmt.Fprintf(a.stdout, "%s: %d objects, %s, of %d results and shards; %d old runs\nkept: %d objects, %s\n",
		word, r.Objects, bytesText(r.Bytes), len(r.Actions), len(r.Runs), r.KeptObjects, bytesText(r.KeptBytes))
	if o.DryRun {
		fmt.Fprintln(a.stdout, "nothing was removed: `hearsight gc --force` does")
	}
	return nil
}
