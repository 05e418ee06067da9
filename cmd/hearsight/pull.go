package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hearsight/hearsight/artifacts/remote"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

func (a *app) pullCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "pull --remote REMOTE [STAGE...]",
		Short: "Copy results from a remote, and run nothing",
		Long: "Copies the results of the stages named and all they need, or of the whole spec, from a remote into the store. Every byte is held to its digest. What the remote does not hold is said, and no error; `run --remote` makes it.\n" +
			remoteHelp + "\n\nExit code 1 if the remote failed.",
		Example:           "  hearsight pull --remote /mnt/shared/results\n  hearsight pull --remote s3://lab/hearsight scores@VGG16_5",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := openRemote(from, false)
			if err != nil {
				return err
			}
			return a.pull(c.Context(), r, pipeline.Selection{Targets: args})
		},
	}
	remoteFlag(c, &from, "copy from")
	return c
}

// pulledJSON is what `pull --json` prints.
type pulledJSON struct {
	Remote   string             `json:"remote"`
	Received remote.Transferred `json:"received"`
	Stages   []pulledStage      `json:"stages"`
}

type pulledStage struct {
	Stage  string `json:"stage"`
	State  string `json:"state"` // pulled, cached: it was here; absent: it would have to be run; blocked
	Digest string `json:"digest,omitempty"`
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
}

func (a *app) pull(ctx context.Context, r remote.Remote, sel pipeline.Selection) (err error) {
	e, p, s, reader, err := a.engineOn(r, true, pipeline.Options{})
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
	out, m := pulledJSON{Remote: r.String()}, a.newMeter()
	var failed error
	err = e.Pull(ctx, plan, m.tell, func(x pipeline.Pulled) {
		row := pulledStage{Stage: x.Stage, Reason: x.Reason}
		switch {
		case x.Remote:
			row.State = "pulled"
		case x.State == pipeline.MustRun:
			row.State = "absent"
		default:
			row.State = string(x.State)
		}
		if x.Artifact != nil {
			row.Digest = x.Artifact.Digest.String()
		}
		if x.Err != nil {
			row.Error, failed = x.Err.Error(), x.Err
		}
		out.Stages = append(out.Stages, row)
	})
	m.close()
	if err != nil {
		return err
	}
	out.Received = reader.Transferred()
	if a.json {
		err = a.printJSON(out)
	} else {
		a.printPulled(out)
	}
	if err == nil && failed != nil {
		err = fmt.Errorf("pull: %w: the same command goes on where this stopped, `run --remote` runs what is missing", failed)
	}
	return err
}

func (a *app) printPulled(p pulledJSON) {
	for _, s := range p.Stages {
		text := s.Reason
		if s.Error != "" {
			text = s.Error
		}
		fmt.Fprintf(a.stderr, "%-20s %-7s %s\n", s.Stage, s.State, text)
	}
	fmt.Fprintf(a.stdout, "received %d files, %s, from %s\n", p.Received.Files, bytesText(p.Received.Bytes), p.Remote)
}
