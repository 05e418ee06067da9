package main

import (
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
