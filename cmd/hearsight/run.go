package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/pipeline/local"
	"github.com/spf13/cobra"
)

// runFlags are the flags of `run`, and those of `plan` that choose stages.
type runFlags struct {
	only, from, force []string
	jobs              int
	keepGoing         bool
	executor          string
	trace             string
	remote            string
}

func (f *runFlags) selectionFlags(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.force, "force", nil, "run `STAGE` anew; later stages only if its bytes change")
	c.Flags().StringSliceVar(&f.only, "only", nil, "run `STAGE` and nothing else: its inputs must be there")
	c.Flags().StringSliceVar(&f.from, "from", nil, "run `STAGE` and everything after it anew")
}

// selection is what the arguments and flags choose. Stages forced without a
// target are the targets: `run --force mfcc` is about mfcc and what follows it.
func (f *runFlags) selection(targets []string) (pipeline.Selection, error) {
	if len(f.only) > 0 && len(targets) > 0 {
		return pipeline.Selection{}, usagef("--only names the stages to run: leave out %v", targets)
	}
	return pipeline.Selection{Targets: targets, Only: f.only, From: f.from, Force: f.force}, nil
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [STAGE...]",
		Short: "Run what is not up to date",
		Long: "Runs the stages named, with all they need, or the whole spec. What is up to date is not run; an interrupted run goes on where it was.\n\n" +
			"Limits of a stage stand in the spec, resources: {memory: 8GiB, time: 12h, output: 1GiB}: a program that goes over them is ended with its children. " +
			"What programs leave running, in whatever session, ends with the run, also when that is killed.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 bad usage or spec, 3 too many items rejected, 75 interrupted and resumable, 130 cancelled by you.",
		Example: "  hearsight run                          everything in pipeline.yaml\n" +
			"  hearsight run scores@VGG16_5           one result and all it needs\n" +
			"  hearsight run --set epochs=5 model     with a variable changed\n" +
			"  hearsight run --force mfcc             mfcc anew; later stages only if its bytes change\n" +
			"  hearsight run --only mfcc              mfcc alone, from inputs that must be there\n" +
			"  hearsight run --from mfcc              mfcc and everything after it anew\n" +
			"  hearsight run --remote s3://lab/results    take from there what was made elsewhere",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			sel, err := f.selection(args)
			if err != nil {
				return err
			}
			if f.executor != "local" {
				return usagef("--executor %s is not built yet: only local is", f.executor)
			}
			return a.run(c.Context(), sel, f)
		},
	}
	f.selectionFlags(c)
	c.Flags().IntVarP(&f.jobs, "jobs", "j", runtime.GOMAXPROCS(0), "cores to keep busy")
	c.Flags().BoolVarP(&f.keepGoing, "keep-going", "k", false, "after a failure go on with what does not depend on it")
	remoteFlag(c, &f.remote, "before anything is run, look for its result in")
	c.Flags().StringVar(&f.executor, "executor", "local", "where actions run")
	c.Flags().StringVar(&f.trace, "trace", "", "write the run's times to `FILE` when it ends, for ui.perfetto.dev")
	return c
}

func (a *app) run(ctx context.Context, sel pipeline.Selection, f runFlags) (err error) {
	if f.jobs < 1 {
		return usagef("--jobs %d: at least 1", f.jobs)
	}
	var from remote.Remote
	if f.remote != "" {
		from, err = openRemote(f.remote, false)
		if errors.Is(err, fs.ErrNotExist) { // its disk may be away: a run can do without
			fmt.Fprintf(a.stderr, "warning: running without the remote: %v\n", err)
			from, err = nil, nil
		}
		if err != nil {
			return err
		}
	}
	view, id := a.newView(), runID(time.Now())
	e, p, s, _, err := a.engineOn(from, true, pipeline.Options{KeepGoing: f.keepGoing, Events: view.event, RunID: id, Machine: kernel.Machine()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := known(p, sel); err != nil {
		return err
	}
	held := a.use(ctx, s) // from the plan on nothing that it found is collected
	defer func() { err = errors.Join(err, release(held)) }()
	if sel, err = followers(ctx, e, s, sel); err != nil {
		return err
	}
	plan, err := e.Plan(ctx, sel)
	if err != nil {
		return err
	}
	if err := a.blocked(plan); err != nil {
		return fmt.Errorf("nothing was run: %w", err)
	}
	defer func() { err = errors.Join(err, view.close()) }()
	view.runDir = s.RunDir(id)
	res, err := e.Run(ctx, plan, local.New(local.Options{CPUs: f.jobs}))
	view.end(res)
	if f.trace != "" && res != nil {
		err = errors.Join(err, writeTrace(f.trace, journalOf(s, id)))
	}
	if res == nil && upToDate(plan) && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		fmt.Fprintf(a.stderr, "all %d stages are up to date; the store %s cannot be written to, so this run leaves no journal\n", len(plan.Actions), s.Dir())
		return nil
	}
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted: `hearsight run` goes on where this stopped")
	}
	return told(res, err)
}

func upToDate(p *pipeline.Plan) bool {
	return !slices.ContainsFunc(p.Actions, func(x *pipeline.Action) bool { return x.State != pipeline.Cached })
}

// A toldError is a failure that the view has shown in full: what is left to say
// is which stages.
type toldError struct {
	error
	stages []string
}

func (t *toldError) Error() string { return "failed: " + strings.Join(t.stages, ", ") }
func (t *toldError) Unwrap() error { return t.error }

func told(res *pipeline.Result, err error) error {
	if res == nil || err == nil {
		return err
	}
	t := &toldError{error: err}
	for _, s := range res.Stages {
		if s.State == pipeline.StageFailed {
			t.stages = append(t.stages, s.Stage)
		}
	}
	if t.stages == nil {
		return err
	}
	return t
}

// followers fills in the targets of --force without targets: the stages forced
// and, of those that come after them, the ones that had a result with nothing
// but inputs to change: up to date now, or waiting for what runs before. What
// never ran, or must run for another reason, is not begun by it.
func followers(ctx context.Context, e *pipeline.Engine, s *artifacts.Store, sel pipeline.Selection) (pipeline.Selection, error) {
	if len(sel.Force) == 0 || len(sel.Targets)+len(sel.Only)+len(sel.From) > 0 {
		return sel, nil
	}
	plan, err := e.Plan(ctx, pipeline.Selection{})
	if err != nil {
		return sel, err
	}
	after, ran := map[string]bool{}, everRan(s)
	for _, a := range plan.Actions {
		forced := slices.Contains(sel.Force, a.Stage.Name) || slices.Contains(sel.Force, a.Stage.Base)
		for _, names := range a.Stage.Inputs {
			forced = forced || slices.ContainsFunc(names, func(n string) bool { return after[n] })
		}
		after[a.Stage.Name] = forced
		waits := a.State == pipeline.MustRun && a.Description == ""
		if forced && (a.State == pipeline.Cached || waits && ran[a.Stage.Name]) {
			sel.Targets = append(sel.Targets, a.Stage.Name)
		}
	}
	sel.Targets = append(sel.Targets, sel.Force...)
	return sel, nil
}

// everRan are the stages that a run, by its journal, made or found made.
func everRan(s *artifacts.Store) map[string]bool {
	ran := map[string]bool{}
	for _, id := range s.Runs() {
		for _, ev := range journalOf(s, id) {
			if ev.Type == pipeline.StageFinished || ev.Type == pipeline.StageCached {
				ran[ev.Stage] = true
			}
		}
	}
	return ran
}

// runID names a run by the time it began: sorted by name they are in order.
func runID(now time.Time) string { return now.UTC().Format("20060102T150405.000000Z") }

func (a *app) completeStages(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	p, err := a.spec()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for i := range p.Stages {
		out = append(out, p.Stages[i].Name)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
