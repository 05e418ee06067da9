package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hearsight/hearsight/artifacts"
)

// Patience says how long a remote is waited for. The zero value is the
// default of each field.
type Patience struct {
	Answer     time.Duration // to a question. 30 s
	Stall      time.Duration // in it StallBytes must come. 30 s
	StallBytes int64         // 64 KiB: less is as good as nothing
	Put        time.Duration // in it a Put must ask for more, or end. 5 min
	Tries      int           // 3
	Wait       time.Duration // before the second try; doubles. 0.5 s
	Failures   int           // in a row, after which a Reader asks no more. 3
}

func (p Patience) orDefault() Patience {
	or := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	or(&p.Answer, 30*time.Second)
	or(&p.Stall, 30*time.Second)
	or(&p.Put, 5*time.Minute)
	or(&p.Wait, 500*time.Millisecond)
	if p.StallBytes == 0 {
		p.StallBytes = 64 << 10
	}
	if p.Tries == 0 {
		p.Tries = 3
	}
	if p.Failures == 0 {
		p.Failures = 3
	}
	return p
}

// freshTries is how many bytes in one go give a download its tries back.
const freshTries = 1 << 20

var (
	errSilent = errors.New("no answer in time")
	errStall  = errors.New("too slow: given up")
	errShort  = errors.New("it ended too early")
)

// patient calls a Remote, but waits for nothing for ever, and tries again what
// may go better the next time. A Remote's code that does not return when its
// ctx ends is left to itself: it can no longer reach anything of ours.
type patient struct {
	r Remote
	p Patience
}

// limited calls f with a ctx that ends, with the cause, when watch says so.
// watch is asked every period; it returns nil to wait on. limited returns when
// f does, or when ctx or the watch ended and f did not.
func limited(ctx context.Context, period time.Duration, watch func() error, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			if err := watch(); err != nil {
				cancel(err)
				return err
			}
		}
	}
}

// again calls f until it succeeds, its error is one that will not pass, or the
// tries are used up. f says whether it got so far that the tries count anew.
func (c patient) again(ctx context.Context, f func() (fresh bool, err error)) error {
	wait := c.p.Wait
	for try := 1; ; try++ {
		fresh, err := f()
		if err == nil || ctx.Err() != nil || lasting(err) {
			return err
		}
		if fresh {
			try, wait = 1, c.p.Wait
		}
		if try >= c.p.Tries {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
		wait *= 2
	}
}

// lasting reports whether trying again is no use.
func lasting(err error) bool {
	return errors.Is(err, artifacts.ErrNotFound) || errors.Is(err, ErrRefused) || errors.Is(err, errTooMuch) ||
		errors.As(err, new(*localError))
}

var errTooMuch = errors.New("it is longer than it should be")

// A localError is a failure on our side.
type localError struct{ error }

func (e *localError) Unwrap() error { return e.error }

// stat asks for a file's Info.
func (c patient) stat(ctx context.Context, name string) (Info, error) {
	var found Info
	err := c.again(ctx, func() (bool, error) {
		out := make(chan Info, 1) // f may return when nobody waits any more
		err := limited(ctx, c.p.Answer, func() error { return errSilent }, func(ctx context.Context) error {
			info, err := c.r.Stat(ctx, name)
			if err == nil {
				out <- info
			}
			return err
		})
		if err == nil {
			found = <-out
		}
		return false, err
	})
	return found, c.named(err, name)
}

// put sends a file.
func (c patient) put(ctx context.Context, name string, src Source) error {
	err := c.again(ctx, func() (bool, error) {
		g := &gate{}
		defer g.shut()
		last := int64(-1)
		watch := func() error {
			now := g.passed.Load()
			if now == last {
				return errSilent
			}
			last = now
			return nil
		}
		return false, limited(ctx, c.p.Put, watch, func(ctx context.Context) error {
			return c.r.Put(ctx, name, Source{Body: gatedSource{g, src.Body}, Size: src.Size, Digest: src.Digest})
		})
	})
	return c.named(err, name)
}

// copy writes a file's bytes to w, at most limit of them, and returns how many
// there were. What breaks off goes on where it was. A size of -1 is not known;
// else a file that ends before it has broken off.
func (c patient) copy(ctx context.Context, name string, w io.Writer, size, limit int64) (int64, error) {
	var n int64
	err := c.again(ctx, func() (bool, error) {
		m, err := c.copyFrom(ctx, name, n, w, limit-n)
		n += m
		if err == nil && n < size {
			err = errShort
		}
		return m >= freshTries, err
	})
	return n, c.named(err, name)
}

func (c patient) copyFrom(ctx context.Context, name string, from int64, w io.Writer, limit int64) (int64, error) {
	g := &gate{w: w, limit: limit}
	last := int64(0)
	watch := func() error {
		now := g.passed.Load()
		if now-last < c.p.StallBytes {
			return errStall
		}
		last = now
		return nil
	}
	err := limited(ctx, c.p.Stall, watch, func(ctx context.Context) error {
		r, err := c.r.Open(ctx, name, from)
		if err != nil {
			return err
		}
		_, err = io.Copy(g, r)
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		return err
	})
	return g.shut(), err
}

// bytes reads a small file.
func (c patient) bytes(ctx context.Context, name string, limit int64) ([]byte, error) {
	var b bytes.Buffer
	_, err := c.copy(ctx, name, &b, -1, limit)
	return b.Bytes(), err
}

func (c patient) named(err error, name string) error {
	if err == nil || errors.As(err, new(*localError)) {
		return err
	}
	return fmt.Errorf("%s: %s: %w", c.r, name, err)
}

// A gate lets bytes pass until it is shut: after that, code that was given up
// on reaches nothing.
type gate struct {
	w      io.Writer
	limit  int64
	passed atomic.Int64
	mu     sync.Mutex
	closed bool
}

var errShut = errors.New("given up on")

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, errShut
	}
	if g.passed.Load()+int64(len(p)) > g.limit {
		return 0, errTooMuch
	}
	n, err := g.w.Write(p)
	g.passed.Add(int64(n))
	if err != nil {
		err = &localError{err}
	}
	return n, err
}

// shut shuts the gate and returns how many bytes passed.
func (g *gate) shut() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return g.passed.Load()
}

// A gatedSource counts what is read of a source, and gives no more when the
// gate is shut.
type gatedSource struct {
	g *gate
	r io.ReaderAt
}

func (s gatedSource) ReadAt(p []byte, at int64) (int, error) {
	s.g.mu.Lock()
	closed := s.g.closed
	s.g.mu.Unlock()
	if closed {
		return 0, errShut
	}
	n, err := s.r.ReadAt(p, at)
	s.g.passed.Add(int64(n))
	return n, err
}
