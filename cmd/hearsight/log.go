package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

func (a *app) logCommand() *cobra.Command {
	var list bool
	var trace string
	c := &cobra.Command{
		Use:   "log [RUN] [STAGE [ITEM]]",
		Short: "Print the log of a run, of a stage or of an item; the last one by default",
		Example: "  hearsight log\n" +
			"  hearsight log --list                             all runs: how they ended, how long they took\n" +
			"  hearsight log 20261124T061500.000000Z            an earlier one\n" +
			"  hearsight log mfcc                               of one stage, in the last run that was at it\n" +
			"  hearsight log mfcc a_dog#2                       of one item\n" +
			"  hearsight log --trace out.json                   its times, for ui.perfetto.dev or chrome://tracing",
		Args: cobra.MaximumNArgs(3),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.withStore(func(s *artifacts.Store) error {
				if list {
					return a.listRuns(s)
				}
				w, err := wantOf(s, args)
				if err != nil {
					return err
				}
				if trace != "" {
					return writeTrace(trace, journalOf(s, w.run))
				}
				return a.printLog(s.RunDir(w.run), w)
			})
		},
	}
	c.Flags().BoolVar(&list, "list", false, "list the runs instead")
	c.Flags().StringVar(&trace, "trace", "", "write the run's times to `FILE` instead, in the trace event format")
	return c
}

// A logWant is what of which run's log is wanted; empty names are all.
type logWant struct{ run, stage, item string }

// wantOf understands the arguments of `log`. Without a run it is the last one,
// of a stage the last one that was at it.
func wantOf(s *artifacts.Store, args []string) (w logWant, err error) {
	runs := s.Runs()
	if len(runs) == 0 {
		return w, errors.New("there has been no run yet")
	}
	w.run = runs[len(runs)-1]
	named := len(args) > 0 && slices.Contains(runs, args[0])
	if named {
		w.run, args = args[0], args[1:]
	}
	if len(args) > 2 {
		return w, usagef("there is no run %s: `hearsight log --list` lists the runs", args[0])
	}
	if len(args) == 0 {
		return w, nil
	}
	w.stage = args[0]
	if len(args) == 2 {
		w.item = args[1]
	}
	at := func(ev pipeline.Event) bool {
		return ev.Stage == w.stage && ev.Type != pipeline.StageCached && (w.item == "" || ev.Item == w.item)
	}
	if named {
		if slices.ContainsFunc(journalOf(s, w.run), at) {
			return w, nil
		}
		return w, usagef("run %s did nothing at %s", w.run, w.what())
	}
	for _, id := range slices.Backward(runs) {
		if slices.ContainsFunc(journalOf(s, id), at) {
			w.run = id
			return w, nil
		}
	}
	return w, usagef("no run was ever at %s, and no run is called that: `hearsight log --list` lists the runs", w.what())
}

func (w logWant) what() string {
	if w.item == "" {
		return "a stage " + w.stage
	}
	return fmt.Sprintf("item %s of a stage %s", w.item, w.stage)
}

func (a *app) listRuns(s *artifacts.Store) error {
	all := []*runStatus{}
	for _, id := range s.Runs() {
		all = append(all, statusOf(s, id))
	}
	if a.json {
		return a.printJSON(all)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, r := range all {
		took := ""
		if r.Seconds > 0 {
			took = seconds(r.Seconds)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.ID, r.State, took, r.Started.Local().Format(time.DateTime))
	}
	return w.Flush()
}

func (a *app) printLog(dir string, want logWant) (err error) {
	f, err := os.Open(filepath.Join(dir, "run.log"))
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("there is no log of run %s: `hearsight log --list` lists the runs", want.run)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var w io.Writer = a.stdout
	if !a.json {
		w = zerolog.ConsoleWriter{Out: a.stdout, NoColor: !tty(a.stdout), TimeFormat: time.DateTime, FieldsExclude: []string{"event", "key", "digest", "stage", "reason", "kind"}}
	}
	if want.stage != "" {
		w = &onlyLines{w: w, want: want}
	}
	if want.item != "" { // what was done of an item is in the journal alone
		if err := a.printItem(w, dir, want); err != nil {
			return err
		}
	}
	if err := copyLines(w, f); err != nil || want.stage == "" || want.item != "" || a.json {
		return err
	}
	return a.printPrinted(pipeline.StageDir(dir, want.stage))
}

// printPrinted prints what the programs of a stage printed, if it was kept.
func (a *app) printPrinted(dir string) error {
	for _, name := range []string{"stdout.log", "stderr.log"} {
		f, err := os.Open(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "--- %s\n", f.Name())
		_, err = io.Copy(a.stdout, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// printItem says what the journal has of an item.
func (a *app) printItem(w io.Writer, dir string, want logWant) error {
	events, err := pipeline.ReadJournal(filepath.Join(dir, pipeline.JournalName))
	if err != nil {
		return err
	}
	l := zerolog.New(w)
	for _, ev := range events {
		if ev.Type == pipeline.ItemFinished && ev.Stage == want.stage && ev.Item == want.item {
			entry(l, ev).Msg(sentence(ev))
		}
	}
	return nil
}

// onlyLines lets through the lines of a log that are wanted.
type onlyLines struct {
	w    io.Writer
	want logWant
}

func (o *onlyLines) Write(line []byte) (int, error) {
	var l struct{ Stage, Item string }
	if err := json.Unmarshal(line, &l); err != nil || l.Stage != o.want.stage || o.want.item != "" && l.Item != o.want.item {
		return len(line), nil
	}
	return o.w.Write(line)
}
