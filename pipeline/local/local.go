// Package local runs jobs in this process, under a budget of cores and memory.
//
// Jobs wait in line: the first that asked is the first to run, so that one
// that wants every core is not passed by for ever. Programs that a job starts
// keep to its memory and output, and end when its time is up. A panic in a job becomes an
// error that names its stage and carries the stack, so that one stage's
// mistake takes neither the run nor its journal with it.
package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/pipeline"
)

// Options are the budget. The zero value is one core and any memory.
type Options struct {
	CPUs        int
	MemoryBytes int64 // 0: no limit
}

// An Executor runs jobs in this process. Safe for concurrent use.
type Executor struct {
	o      Options
	cpus   *semaphore.Weighted
	memory *semaphore.Weighted
}

// New returns an Executor with the budget o.
func New(o Options) *Executor {
	o.CPUs = max(1, o.CPUs)
	return &Executor{o: o, cpus: semaphore.NewWeighted(int64(o.CPUs)), memory: semaphore.NewWeighted(max(0, o.MemoryBytes))}
}

// CPUTime is the processor time of programs that were not our children.
func (e *Executor) CPUTime() time.Duration { return tool.CPU() }

// CPUs is how many cores jobs may keep busy in all.
func (e *Executor) CPUs() int { return e.o.CPUs }

// Do waits for j's share of the budget and runs it. A job that asks for more
// memory than there is runs when it can have all of it.
func (e *Executor) Do(ctx context.Context, j pipeline.Job) (err error) {
	if e.o.MemoryBytes > 0 && j.MemoryBytes > 0 {
		n := min(j.MemoryBytes, e.o.MemoryBytes)
		if err := e.memory.Acquire(ctx, n); err != nil {
			return context.Cause(ctx)
		}
		defer e.memory.Release(n)
	}
	if n := int64(min(j.CPUs, e.o.CPUs)); n > 0 {
		if err := e.cpus.Acquire(ctx, n); err != nil {
			return context.Cause(ctx)
		}
		defer e.cpus.Release(n)
	}
	if j.Time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, j.Time, &TimeError{Stage: j.Stage, Limit: j.Time})
		defer cancel()
	}
	ctx = tool.WithLimits(ctx, tool.Limits{MemoryBytes: j.MemoryBytes, OutputBytes: j.OutputBytes})
	if err = pipeline.Guard(j.Stage, func() error { return j.Run(ctx) }); err != nil {
		if late, ok := errors.AsType[*TimeError](context.Cause(ctx)); ok && !errors.Is(err, late) {
			return late // a program that was ended for it says more
		}
	}
	return err
}

// A TimeError is a stage that took longer than its resources allow.
type TimeError struct {
	Stage string
	Limit time.Duration
}

func (e *TimeError) Error() string {
	return fmt.Sprintf("took longer than its time limit of %v", e.Limit)
}
