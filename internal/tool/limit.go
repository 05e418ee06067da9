package tool

import (
	"context"
	"syscall"
)

// Limits are what a program may use. They are not in Cmd alone because who runs
// a stage knows them and the stage need not.
type Limits struct {
	// MemoryBytes limits the memory that a program and its children have in
	// use together. Over it they are killed. Linux only. 0: no limit.
	MemoryBytes int64
	// OutputBytes limits what a program prints, on stdout and stderr each, and
	// the size of each file that it writes. 0: no limit but the Cmd's.
	OutputBytes int64
}

type limitsKey struct{}

// WithLimits returns a context under which every program keeps to l too.
func WithLimits(ctx context.Context, l Limits) context.Context {
	if l == (Limits{}) {
		return ctx
	}
	return context.WithValue(ctx, limitsKey{}, l)
}

// LimitsOf returns the limits of a context.
func LimitsOf(ctx context.Context) Limits {
	l, _ := ctx.Value(limitsKey{}).(Limits)
	return l
}

// under returns c with the limits of ctx where those are tighter.
func (c Cmd) under(ctx context.Context) Cmd {
	l := LimitsOf(ctx)
	c.MaxMemoryBytes = tighter(c.MaxMemoryBytes, l.MemoryBytes)
	c.MaxFileBytes = tighter(c.MaxFileBytes, l.OutputBytes)
	if c.MaxOutputBytes <= 0 {
		c.MaxOutputBytes = defaultMaxOutputBytes
	}
	c.MaxOutputBytes = tighter(c.MaxOutputBytes, l.OutputBytes)
	return c
}

func tighter(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// limitNextFiles limits the size of files that the next child writes, from its
// first instruction on, until restore is called. It limits this process too,
// which a supervisor does not mind: it writes none.
func limitNextFiles(n int64) (restore func()) {
	var was syscall.Rlimit
	if n <= 0 || syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was) != nil {
		return func() {}
	}
	now := was
	now.Cur = min(was.Cur, uint64(n))
	if syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now) != nil {
		return func() {}
	}
	return func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was) } // the soft limit can always go back to what it was
}
