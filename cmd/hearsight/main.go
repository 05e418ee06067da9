// Command hearsight runs pipelines that end in a model which finds photos from
// spoken descriptions. `hearsight --help` lists its commands; the README says
// what it is for.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/hearsight/hearsight/internal/inspect"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/spec"
	"github.com/spf13/cobra"
)

// Exit codes, as the user's scripts see them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRejected    = 3
	exitInterrupted = 75
	exitCancelled   = 130
)

func main() {
	switch {
	case inspect.IsChild(os.Args):
		os.Exit(inspect.Child(os.Args))
	case tool.IsSupervisor(os.Args):
		os.Exit(tool.Supervise())
	}
	if os.Getenv("GOGC") == "" {
		// Lists of items and stages are what lives long here, and what does the
		// work allocates next to nothing: memory is worth more than the time.
		debug.SetGCPercent(40)
	}
	log.SetOutput(io.Discard) // libraries' remarks: one makes one for each frame of some FLAC
	tool.UseSupervisor()
	code := run(os.Args[1:], os.Stdout, os.Stderr)
	tool.CloseSupervisor()
	os.Exit(code)
}

// run is main with its edges passed in.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := withSignals(context.Background())
	defer stop()
	out := &printer{w: stdout}
	root := newRoot(out, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("print: %w", out.err)
	}
	code := exitCode(ctx, err)
	if err != nil {
		fmt.Fprintf(stderr, "hearsight: %s\n", printable(err.Error()))
	}
	return code
}

// printer remembers the first error of printing, so that a command whose answer
// did not get through does not end as if it had.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if p.err == nil {
		p.err = err
	}
	return n, err
}

// errCancelled is the cause of a context that the user ended; errStopped of one
// that the system ended.
var (
	errCancelled = errors.New("cancelled")
	errStopped   = errors.New("stopped")
)

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode is the one place where an error becomes an exit code.
func exitCode(ctx context.Context, err error) int {
	var problems spec.Problems
	var usage usageError
	var blocked *pipeline.BlockedError
	var selection *pipeline.SelectionError
	var item *pipeline.UnknownItemError
	var limit *pipeline.RejectLimitError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(context.Cause(ctx), errCancelled):
		return exitCancelled
	case errors.Is(context.Cause(ctx), errStopped):
		return exitInterrupted
	case errors.As(err, &problems), errors.As(err, &usage), errors.As(err, &blocked), errors.As(err, &selection), errors.As(err, &item):
		return exitUsage
	case errors.As(err, &limit):
		return exitRejected
	}
	return exitFailed
}

// withSignals ends the context on SIGINT (the user's wish) and SIGTERM or
// SIGHUP (the system's). A second SIGINT ends the process at once: everything
// on disk is safe at any moment anyway.
func withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		interrupts := 0
		for {
			select {
			case s := <-ch:
				if s != os.Interrupt {
					cancel(errStopped)
					continue
				}
				if interrupts++; interrupts > 1 {
					os.Exit(exitCancelled)
				}
				cancel(errCancelled)
			case <-done:
				return
			}
		}
	}()
	return ctx, func() { signal.Stop(ch); close(done); cancel(nil) }
}

// newRoot lists every command.
func newRoot(stdout, stderr io.Writer) *cobra.Command {
	a := &app{stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:           "hearsight",
		Short:         "Find photos from spoken descriptions, and run the pipelines that learn it",
		Long:          "Hearsight finds photos from spoken descriptions, and learns to do so from nothing but pairs of a photo and speech.\nIt runs pipelines of declarative stages: every result is kept by its content, nothing is done twice, and a run goes on where it was interrupted.",
		Example:       "  hearsight run -f demo.yaml           draw, speak, train, score and report\n  hearsight plan                       what `run` would do, and why\n  hearsight run scores@VGG16_5         one result of pipeline.yaml and all it needs\n  hearsight inspect mfcc               look at a stage's result\n  hearsight run --help                 more about one command",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // RunE says better what is wrong with them
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			var names []string
			for _, sub := range c.Commands() {
				names = append(names, sub.Name())
			}
			if near := spec.Nearest(args[0], names); near != "" {
				return usagef("there is no command %q (did you mean %q?)", args[0], near)
			}
			return usagef("there is no command %q: `hearsight --help` lists them", args[0])
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w; see `%s --help`", err, c.CommandPath())
	})
	a.globalFlags(root)
	root.AddCommand(
		a.runCommand(), a.planCommand(), a.statusCommand(), a.logCommand(),
		a.inspectCommand(), a.getCommand(), a.exportCommand(), a.diffCommand(), a.digestCommand(),
		a.metricsCommand(), a.scoreCommand(), a.compareCommand(), a.matchmapCommand(), a.reportCommand(),
		a.verifyCommand(), a.pinCommand(), a.gcCommand(), a.duCommand(), a.pushCommand(), a.pullCommand(),
		a.stagesCommand(), a.schemaCommand(), a.doctorCommand(), a.initCommand(),
	)
	for _, c := range root.Commands() {
		if c.Args == nil {
			c.Args = cobra.NoArgs
		}
		args := c.Args
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return usagef("%w; see `%s --help`", err, c.CommandPath())
			}
			return nil
		}
	}
	return root
}
