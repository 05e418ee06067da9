// Command paper runs the paper's Table 1, row by row, and keeps what came out in
// docs/: `make paper`.
//
//	paper                                20 minutes of training a row
//	paper -budget 90 -rows VGG16_5       one row, longer
//	paper -steps 11300                   a number of steps, the same on any machine
//	paper -steps 0                       the paper's recipe: 150 epochs, days
//	paper -steps 60 -photos 200          a try on few photos, kept nowhere
//	paper -table                         docs/results.md anew from docs/paper.jsonl
//
// A budget is turned into steps before anything is trained: a step is measured
// by a short run (once a machine: the times lie in the user's cache, -measure
// takes them again), and the number is rounded down to 100. Only steps are a
// parameter of training, so no clock is in a key, and what a budget came to is
// had again, on any day, by -steps.
//
// A run that was interrupted or killed goes on when it is started again, with
// the same arguments; rows that are done cost a look. More steps train a row from
// its beginning, for steps are in its key: a model of fewer is not gone on from.
//
// paper.html shows all rows of the run on one page, each with the steps that it
// was given. docs/paper.jsonl keeps a line a row, which only one that has seen
// more pairs replaces, and docs/results.md the table made from it. A line's date
// and machine are those of its training, by the journal of the store; where that
// does not tell, they are left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch exit := (*exec.ExitError)(nil); {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case errors.As(err, &exit) && exit.ExitCode() > 1: // 75: interrupted, to go on
		fmt.Fprintln(os.Stderr, "paper:", err)
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "paper:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	binary, store, data, docs, cache, rows, page string
	steps                                        int64
	budget                                       float64
	photos                                       int
	gate, measure, table                         bool
}

// Defaults; whole is all of Flickr8k's training photos.
const (
	defaultBudget = 20
	whole         = 6000
)

func parse(args []string, said io.Writer) (o options, err error) {
	f := flag.NewFlagSet("paper", flag.ContinueOnError)
	f.SetOutput(said)
	f.StringVar(&o.binary, "binary", filepath.Join("bin", "hearsight"), "the program")
	f.StringVar(&o.store, "store", ".hearsight", "folder of the store")
	f.StringVar(&o.data, "data", "", "folder with flickr8k/ and weights/ (default: HEARSIGHT_DATA, or data/ of HEARSIGHT_SHARED, ../shared)")
	f.StringVar(&o.docs, "docs", "docs", "folder of results.md and paper.jsonl")
	f.StringVar(&o.cache, "cache", "", "file with the measured step times (default: hearsight/paper.json in the user's cache)")
	f.StringVar(&o.page, "page", "paper.html", "where the page with all rows of this run is written")
	f.StringVar(&o.rows, "rows", "", "rows, with commas between them (default: all; with -steps without "+randomRow+", whose step takes 20 times as long)")
	f.Int64Var(&o.steps, "steps", -1, "steps of a trained row; 0: the paper's 150 epochs. Another number trains the row anew, from its beginning")
	f.Float64Var(&o.budget, "budget", 0, fmt.Sprintf("minutes of training a row, turned into steps (default %d)", defaultBudget))
	f.IntVar(&o.photos, "photos", whole, "training photos; with fewer than all nothing is kept in docs/")
	f.BoolVar(&o.gate, "gate", false, "exit with 1 if a trained convolutional row is not above chance and its (R) row")
	f.BoolVar(&o.measure, "measure", false, "measure step times again")
	f.BoolVar(&o.table, "table", false, "write the table of results.md anew, and run nothing")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	budget := o.budget != 0
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q: all is said by flags", f.Arg(0))
	case o.steps >= 0 && budget:
		return o, errors.New("-steps and -budget: say one of them")
	case o.steps < -1:
		return o, fmt.Errorf("-steps %d: want 0 or more", o.steps)
	case budget && !(o.budget > 0 && o.budget < 1e6):
		return o, fmt.Errorf("-budget %v: want minutes of training, more than 0", o.budget)
	case o.photos < 2 || o.photos > whole:
		return o, fmt.Errorf("-photos %d: want 2 to %d", o.photos, whole)
	case o.steps < 0 && !budget:
		o.budget = defaultBudget
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, said io.Writer) error {
	o, err := parse(args, said)
	if err != nil {
		return err
	}
	kept := book{o.docs}
	if o.table {
		return kept.write()
	}
	rows, err := chosen(o.rows, o.steps >= 0)
	if err != nil {
		return err
	}
	if o.data, err = findData(o.data, os.Getenv); err != nil {
		return err
	}
	if err := kept.check(); err != nil {
		return err
	}
	// --store is relative to the working folder, as the specs are.
	p := &program{binary: o.binary, store: o.store, data: o.data, photos: o.photos, captions: captions, out: out, err: said}
	todo, err := planned(ctx, p, o, rows)
	if err != nil {
		return err
	}
	var lines []line
	var shown []string // digests, for the page
	for _, t := range todo {
		fmt.Fprintf(out, "\n%s\n", t)
		if err := p.run(ctx, t.row, t.steps, t.row.scores); err != nil {
			return err
		}
		l, err := p.line(ctx, t.row, t.steps)
		if err != nil {
			return err
		}
		lines = append(lines, l)
		d, err := p.digests(ctx, t.row, t.steps)
		if err != nil {
			return err
		}
		shown = append(shown, d...)
		// After each, for a table may take days.
		if err := p.page(ctx, rows[0], shown, o.page); err != nil {
			return err
		}
		if o.photos < whole {
			continue
		}
		why, err := kept.enter(l)
		if err != nil {
			return err
		}
		if why != "" {
			fmt.Fprintf(out, "%s: not entered in %s: %s\n", l.Row, kept.linesPath(), why)
		}
	}
	return conclude(out, o, kept, rows, lines)
}

// conclude prints what came out, and the gates.
func conclude(out io.Writer, o options, kept book, chosen []row, lines []line) error {
	var rows []row
	for _, r := range allRows() {
		if _, run := byRow(lines)[r.name]; run {
			rows = append(rows, r)
		}
	}
	fmt.Fprint(out, block(rows, lines))
	if o.photos < whole {
		fmt.Fprintf(out, "Learnt from %d photos of %d: kept nowhere.\n", o.photos, whole)
	}
	all := lines
	if o.photos == whole { // (R) rows of other days
		before, err := readLines(kept.linesPath())
		if err != nil {
			return err
		}
		for _, l := range before {
			if _, run := byRow(lines)[l.Row]; !run {
				all = append(all, l)
			}
		}
	}
	failed, judged := 0, gates(all)
	for _, r := range chosen {
		if _, run := byRow(lines)[r.name]; !run && r.conv && !r.untrained && !r.random {
			judged = append(judged, gate{row: r.name, reason: "not run"})
		}
	}
	for _, g := range judged {
		word := "ok  "
		if !g.ok {
			word = "FAIL"
			failed++
		}
		fmt.Fprintf(out, "gate %s %s: %s\n", word, g.row, g.reason)
	}
	if failed > 0 && o.gate {
		return fmt.Errorf("%d rows do not pass their gate", failed)
	}
	return nil
}
