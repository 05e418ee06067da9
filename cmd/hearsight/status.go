package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say how each stage stands, what was set aside and how the last run is doing",
		Example: "  hearsight status\n  hearsight status --json\n" +
			"  hearsight status --follow      show the run that is under way in another terminal, to its end",
		RunE: func(c *cobra.Command, _ []string) error {
			if follow {
				return a.withStore(func(s *artifacts.Store) error { return a.follow(c.Context(), s) })
			}
			return a.planned(c.Context(), pipeline.Selection{}, a.printStatus)
		},
	}
	c.Flags().BoolVar(&follow, "follow", false, "show the run that is under way, as its own terminal does, to its end")
	return c
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
	State   string    `json:"state"` // done, failed, interrupted, running, or killed: no end was written
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds,omitempty"`
	// Now is how far the stages are that a running run is at.
	Now []pipeline.Event `json:"now,omitempty"`
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
		fmt.Fprintf(w, "%s\t%s\t%s\n", state, r.Stage, printable(text))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range st.Stages {
		if _, more, ok := strings.Cut(r.Failed, "\n"); ok {
			fmt.Fprintf(a.stdout, "%s:\n%s\n", r.Stage, printable(more))
		}
	}
	printRejects(a.stdout, st.Rejects)
	if r := st.LastRun; r != nil {
		fmt.Fprintf(a.stdout, "last run %s: %s, started %s\n", r.ID, r.State, r.Started.Local().Format(time.DateTime))
		for _, ev := range r.Now {
			fmt.Fprintf(a.stdout, "  %s\n", printable(sentence(ev)))
		}
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
		fmt.Fprintf(w, "  %s: %s: %s\n", r.Stage, printable(r.Item), printable(r.Reason))
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
	events, err := pipeline.ReadJournal(filepath.Join(s.RunDir(id), pipeline.JournalName))
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
	return statusOf(s, runs[len(runs)-1])
}

// statusOf says how a run of the store stands.
func statusOf(s *artifacts.Store, id string) *runStatus {
	r := &runStatus{ID: id, State: "killed"}
	for _, ev := range journalOf(s, id) {
		switch ev.Type {
		case pipeline.RunStarted:
			r.Started = ev.Time
		case pipeline.RunEnded:
			r.State, r.Seconds = ev.State, ev.Seconds
			return r
		}
	}
	if pipeline.RunIsAlive(s.RunDir(id)) {
		r.State = "running"
		r.Now = pipeline.ReadLive(s.RunDir(id))
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
