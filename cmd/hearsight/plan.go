package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

func (a *app) planCommand() *cobra.Command {
	var f runFlags
	var why string
	c := &cobra.Command{
		Use:   "plan [STAGE...]",
		Short: "Say what would run, and why",
		Long:  "Says of each stage whether it is cached, would run, or is blocked, and why. Nothing is run.\n\nExit code 2 if a stage is blocked: something is missing that must be there before anything runs.",
		Example: "  hearsight plan\n  hearsight plan scores@VGG16_5 --set epochs=5\n" +
			"  hearsight plan --why mfcc              what differs from the last result\n" +
			"  hearsight plan --why speech/ITEM       the same for one item",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			// It lives for a moment: collecting half-way costs more than the memory.
			debug.SetGCPercent(400)
			if why != "" {
				return a.why(c.Context(), why)
			}
			sel, err := f.selection(args)
			if err != nil {
				return err
			}
			return a.planned(c.Context(), sel, func(p *pipeline.Plan, s *artifacts.Store) error {
				return a.printPlan(p, pipeline.LastTimes(s, journalsRead))
			})
		},
	}
	f.selectionFlags(c)
	c.Flags().StringVar(&why, "why", "", "print how the key of `STAGE[/ITEM]` differs from the last result's")
	return c
}

// planJSON is a planned stage as `plan --json` prints it.
type planJSON struct {
	Stage  string                `json:"stage"`
	Kind   string                `json:"kind"`
	State  pipeline.State        `json:"state"`
	Reason string                `json:"reason,omitempty"`
	Key    *artifacts.ActionKey  `json:"key,omitempty"`
	Digest *artifacts.Digest     `json:"digest,omitempty"`
	Items  *pipeline.ItemChanges `json:"items,omitempty"`
	// LastSeconds is how long the stage took when it last ran.
	LastSeconds float64 `json:"last_seconds,omitempty"`
}

// journalsRead is how many of the last runs a plan's times are taken from.
const journalsRead = 20

func (a *app) printPlan(p *pipeline.Plan, last map[string]pipeline.StageTime) error {
	rows := make([]planJSON, 0, len(p.Actions))
	var todo float64
	for _, x := range p.Actions {
		row := planJSON{Stage: x.Stage.Name, Kind: x.Stage.Kind, State: x.State, Reason: x.Reason, Items: x.Items, LastSeconds: last[x.Stage.Name].Wall.Seconds()}
		if x.Description != "" {
			row.Key = &x.Key
		}
		if x.Artifact != nil {
			row.Digest = &x.Artifact.Digest
		}
		if x.State == pipeline.MustRun {
			todo += row.LastSeconds
		}
		rows = append(rows, row)
	}
	if a.json {
		if err := a.printJSON(rows); err != nil {
			return err
		}
		return a.blocked(p)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		text := r.Reason
		if r.LastSeconds > 0 && r.State == pipeline.MustRun {
			text += fmt.Sprintf(" (took %s the last time)", seconds(r.LastSeconds))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.State, r.Stage, printable(text))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if todo > 0 {
		fmt.Fprintf(a.stdout, "about %s to run, by the last times\n", seconds(todo))
	}
	return a.blocked(p)
}

// blocked is the error of a plan with blocked stages: those that something is
// missing for, not the ones that only wait for them, and what may be done.
func (a *app) blocked(p *pipeline.Plan) error {
	var causes []string
	paths, waiting := false, 0
	for _, x := range p.Actions {
		switch {
		case x.State != pipeline.Blocked:
		case strings.HasSuffix(x.Reason, "which is blocked"):
			waiting++
		default:
			causes = append(causes, x.Stage.Name+": "+x.Reason)
			paths = paths || strings.Contains(x.Reason, "no such file")
		}
	}
	if len(causes) == 0 {
		return p.Blocked()
	}
	if waiting > 0 {
		causes = append(causes, fmt.Sprintf("stages that need these: %d", waiting))
	}
	if paths {
		causes = append(causes, "paths come from the spec or its variables: name yours with --set NAME=PATH, or in "+a.file)
	}
	return &pipeline.BlockedError{Stages: causes}
}

// why prints the difference between the description of a stage's last result
// and the one it has now.
func (a *app) why(ctx context.Context, target string) (err error) {
	name, _, _ := strings.Cut(target, "/")
	e, p, s, err := a.engine(false, pipeline.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	sel := pipeline.Selection{Targets: []string{name}}
	if err := known(p, sel); err != nil {
		return err
	}
	plan, err := e.Plan(ctx, sel)
	if err != nil {
		return err
	}
	if plan.Action(name) == nil {
		return usagef("%s has several instances: name one of them, such as %s", name, plan.Actions[len(plan.Actions)-1].Stage.Name)
	}
	w, err := e.Why(ctx, plan, target)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(w)
	}
	reason := w.Reason
	if reason == "" {
		reason = "up to date"
	}
	fmt.Fprintf(a.stdout, "%s: %s: %s\n", target, w.State, printable(reason))
	for _, changes := range [][]pipeline.Change{w.Changes, w.ItemChanges} {
		for _, c := range changes {
			fmt.Fprintf(a.stdout, "  %s\n    - %s\n    + %s\n", c.What, orNone(c.Old), orNone(c.New))
		}
	}
	if len(w.Changes)+len(w.ItemChanges) == 0 && w.New != "" {
		fmt.Fprintf(a.stdout, "its key is the hash of\n%s", indent(w.New))
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n  ") + "\n"
}
