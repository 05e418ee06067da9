package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Say how each stage stands, what was set aside and how the last run ended",
		Example: "  hearsight status\n  hearsight status --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.planned(c.Context(), pipeline.Selection{}, a.printStatus)
		},
	}
}

// statusJSON is what `status --json` prints.
type statusJSON struct {
	Stages  []stageStatus  `json:"stages"`
	Rejects []table.Reject `json:"rejects"`
	LastRun *runStatus     `json:"last_run,omitempty"`
}

type stageStatus struct {
	Stage    string            `json:"stage"`
	State    pipeline.State    `json:"state"`
	Reason   string            `json:"reason,omitempty"`
	Items    int64             `json:"items,omitempty"`
	Rejected int64             `json:"rejected,omitempty"`
	Bytes    int64             `json:"bytes,omitempty"`
	Digest   *artifacts.Digest `json:"digest,omitempty"`
	// Failed is why the stage failed in the last run, if it did and has no
	// result since. It names the items of a stage that set too many aside.
	Failed string `json:"failed,omitempty"`
}

type runStatus struct {
	ID      string    `json:"id"`
	State   string    `json:"state"` // done, failed, interrupted, or running or killed: no end was written
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds,omitempty"`
}

func (a *app) printStatus(p *pipeline.Plan, s *artifacts.Store) error {
	st := statusJSON{Rejects: []table.Reject{}, LastRun: lastRun(s)}
	failed := failures(s, st.LastRun)
	for _, x := range p.Actions {
		row := stageStatus{Stage: x.Stage.Name, State: x.State, Reason: x.Reason}
		if x.Artifact != nil {
			m := x.Artifact.Manifest
			row.Items, row.Rejected, row.Digest = m.Items, m.Rejected, &x.Artifact.Digest
			for _, part := range m.Parts {
				row.Bytes += part.Size
			}
			rejects, err := rows.All(table.Rejects, x.Artifact)
			if err != nil {
				return fmt.Errorf("read rejects of %s: %w", x.Stage.Name, err)
			}
			st.Rejects = append(st.Rejects, rejects...)
		} else {
			row.Failed = failed[x.Stage.Name]
		}
		st.Stages = append(st.Stages, row)
	}
	if a.json {
		return a.printJSON(st)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, r := range st.Stages {
		state, text := string(r.State), r.Reason
		switch {
		case r.Digest != nil:
			text = fmt.Sprintf("%s, %s", itemsText(r), bytesText(r.Bytes))
		case r.Failed != "":
			state = "failed"
			text, _, _ = strings.Cut(r.Failed, "\n")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", state, r.Stage, text)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range st.Stages {
		if _, more, ok := strings.Cut(r.Failed, "\n"); ok {
			fmt.Fprintf(a.stdout, "%s:\n%s\n", r.Stage, more)
		}
	}
	printRejects(a.stdout, st.Rejects)
	if r := st.LastRun; r != nil {
		fmt.Fprintf(a.stdout, "last run %s: %s, started %s\n", r.ID, r.State, r.Started.Local().Format(time.DateTime))
	}
	return nil
}

func itemsText(r stageStatus) string {
	if r.Items == 0 && r.Rejected == 0 {
		return "done"
	}
	text := fmt.Sprintf("%d items", r.Items)
	if r.Rejected > 0 {
		text += fmt.Sprintf(", %d set aside", r.Rejected)
	}
	return text
}

const mostRejects = 20

func printRejects(w io.Writer, rejects []table.Reject) {
	if len(rejects) == 0 {
		return
	}
	fmt.Fprintf(w, "set aside: %d\n", len(rejects))
	for i, r := range rejects {
		if i == mostRejects {
			fmt.Fprintf(w, "  and %d more: `hearsight status --json` names them all\n", len(rejects)-i)
			return
		}
		fmt.Fprintf(w, "  %s: %s: %s\n", r.Stage, r.Item, r.Reason)
	}
}

func bytesText(n int64) string {
	const k = 1024
	switch {
	case n < k:
		return fmt.Sprintf("%d B", n)
	case n < k*k:
		return fmt.Sprintf("%.1f KiB", float64(n)/k)
	case n < k*k*k:
		return fmt.Sprintf("%.1f MiB", float64(n)/(k*k))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(k*k*k))
}

// journalOf reads a run's journal; a run without one, or a damaged one, has
// the events that could be read.
func journalOf(s *artifacts.Store, id string) []pipeline.Event {
	events, err := pipeline.ReadJournal(filepath.Join(s.RunDir(id), "journal.jsonl"))
	if err != nil {
		return nil
	}
	return events
}

func lastRun(s *artifacts.Store) *runStatus {
	runs := s.Runs()
	if len(runs) == 0 {
		return nil
	}
	r := &runStatus{ID: runs[len(runs)-1], State: "running, or killed"}
	for _, ev := range journalOf(s, r.ID) {
		switch ev.Type {
		case pipeline.RunStarted:
			r.Started = ev.Time
		case pipeline.RunEnded:
			r.State, r.Seconds = ev.State, ev.Seconds
		}
	}
	return r
}

// failures returns why stages failed in a run, by their names.
func failures(s *artifacts.Store, run *runStatus) map[string]string {
	out := map[string]string{}
	if run == nil {
		return out
	}
	for _, ev := range journalOf(s, run.ID) {
		if ev.Type == pipeline.StageFailed {
			out[ev.Stage] = ev.Reason
		}
	}
	return out
}

func (a *app) logCommand() *cobra.Command {
	var list bool
	c := &cobra.Command{
		Use:     "log [RUN]",
		Short:   "Print the log of a run, the last one by default",
		Example: "  hearsight log\n  hearsight log --list\n  hearsight log --json 20261124T061500.000000Z",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			s, err := a.openStore(true)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			runs := s.Runs()
			if list {
				for _, id := range runs {
					fmt.Fprintln(a.stdout, id)
				}
				return nil
			}
			if len(runs) == 0 {
				return errors.New("there has been no run yet")
			}
			id := runs[len(runs)-1]
			if len(args) == 1 {
				id = args[0]
			}
			return a.printLog(s.RunDir(id), id)
		},
	}
	c.Flags().BoolVar(&list, "list", false, "list the runs instead")
	return c
}

func (a *app) printLog(dir, id string) (err error) {
	f, err := os.Open(filepath.Join(dir, "run.log"))
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("there is no log of run %s: `hearsight log --list` lists the runs", id)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var w io.Writer = a.stdout
	if !a.json {
		w = zerolog.ConsoleWriter{Out: a.stdout, NoColor: !tty(a.stdout), TimeFormat: time.DateTime, FieldsExclude: []string{"event", "key", "digest", "stage", "reason", "kind"}}
	}
	return copyLines(w, f)
}
