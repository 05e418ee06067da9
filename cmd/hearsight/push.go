package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

func (a *app) pushCommand() *cobra.Command {
	var to string
	var o remote.PushOptions
	c := &cobra.Command{
		Use:   "push --remote REMOTE [STAGE...]",
		Short: "Copy results to a remote, for others to run from",
		Long: "Copies the results of the stages named and all they need, or of the whole spec, to a remote, with the records that a run elsewhere finds them by. What is there is not sent again; a push that was interrupted goes on where it was.\n" +
			remoteHelp + "\nWho may write to a remote is trusted by all who run from it.",
		Example: "  hearsight push --remote /mnt/shared/results\n  hearsight push --remote s3://lab/hearsight scores@VGG16_5\n" +
			"  hearsight push --remote s3://lab/hearsight --dry-run     what would be sent\n  hearsight push --remote s3://lab/hearsight --check       also read back what is there, and mend it",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := openRemote(to, !o.DryRun)
			if err != nil {
				return err
			}
			return a.push(c.Context(), r, pipeline.Selection{Targets: args}, o)
		},
	}
	remoteFlag(c, &to, "copy to")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would be sent, and send nothing")
	c.Flags().BoolVar(&o.Check, "check", false, "read back what the remote holds already, and send again what is damaged")
	return c
}

// pushedJSON is what `push --json` prints.
type pushedJSON struct {
	Remote string             `json:"remote"`
	DryRun bool               `json:"dry_run,omitempty"`
	Sent   remote.Transferred `json:"sent"` // with dry_run: to be sent
	Held   remote.Transferred `json:"held"` // by the remote already
	Mended int                `json:"mended,omitempty"`
	// Differ are the keys of actions of which the remote holds another result.
	Differ []artifacts.ActionKey `json:"differ,omitempty"`
	// Missing are stages without a result.
	Missing []string `json:"missing,omitempty"`
}

func (a *app) push(ctx context.Context, r remote.Remote, sel pipeline.Selection, o remote.PushOptions) (err error) {
	e, p, s, err := a.engine(false, pipeline.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := known(p, sel); err != nil {
		return err
	}
	held := a.use(ctx, s)
	defer func() { err = errors.Join(err, release(held)) }()
	plan, err := e.Plan(ctx, sel)
	if err != nil {
		return err
	}
	out := pushedJSON{Remote: r.String(), DryRun: o.DryRun}
	what := remote.Choice{Lineage: e.Lineage(plan)}
	for _, x := range plan.Actions {
		if x.Artifact == nil {
			out.Missing = append(out.Missing, x.Stage.Name)
			continue
		}
		what.Artifacts = append(what.Artifacts, x.Artifact.Digest)
	}
	if len(what.Artifacts) == 0 {
		return errors.New("there is nothing to push yet: `hearsight run` makes it")
	}
	m := a.newMeter()
	o.Progress = func(done, all int64) { m.tell("push", done, all) }
	report, err := remote.Push(ctx, s, r, what, o)
	m.close()
	if err != nil {
		if errors.Is(err, remote.ErrRefused) {
			return err
		}
		return fmt.Errorf("%w: the same command goes on where this stopped", err)
	}
	out.Sent, out.Held, out.Mended, out.Differ = report.Sent, report.Held, report.Mended, report.Differ
	if a.json {
		return a.printJSON(out)
	}
	a.printPushed(out)
	return nil
}

func (a *app) printPushed(p pushedJSON) {
	word := "sent"
	if p.DryRun {
		word = "would send"
	}
	fmt.Fprintf(a.stdout, "%s %d files, %s, to %s; %d files, %s, were there\n", word, p.Sent.Files, bytesText(p.Sent.Bytes), p.Remote, p.Held.Files, bytesText(p.Held.Bytes))
	if p.Mended > 0 {
		fmt.Fprintf(a.stdout, "%d of them were damaged there\n", p.Mended)
	}
	for _, k := range p.Differ {
		fmt.Fprintf(a.stderr, "warning: the remote holds another result of the same work, and keeps it: %s\n", k)
	}
	for _, name := range p.Missing {
		fmt.Fprintf(a.stderr, "%-20s has no result yet\n", name)
	}
}

// use keeps the collector out of a store, where that can be done: what the
// command finds in its plan is there when it comes to it.
func (a *app) use(ctx context.Context, s *artifacts.Store) *artifacts.Lock {
	l, err := s.Use(ctx)
	if err != nil {
		return nil // a store that cannot be written to; who may collect it will not ask us
	}
	return l
}

func release(l *artifacts.Lock) error {
	if l == nil {
		return nil
	}
	return l.Unlock()
}
