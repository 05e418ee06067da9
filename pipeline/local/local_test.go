package local

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hearsight/hearsight/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBudget(t *testing.T) {
	e := New(Options{CPUs: 3, MemoryBytes: 100})
	var cpus, memory, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		j := pipeline.Job{CPUs: i % 5, MemoryBytes: int64(i%4) * 40} // some ask for more than there is
		c, m := int64(min(j.CPUs, 3)), min(j.MemoryBytes, 100)
		j.Run = func(context.Context) error {
			if n := cpus.Add(c); n > 3 {
				t.Errorf("%d of 3 cores in use", n)
			} else if n > most.Load() {
				most.Store(n)
			}
			if n := memory.Add(m); n > 100 {
				t.Errorf("%d of 100 bytes in use", n)
			}
			cpus.Add(-c)
			memory.Add(-m)
			return nil
		}
		wg.Go(func() {
			if err := e.Do(context.Background(), j); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestNestedJobsDoNotLock(t *testing.T) {
	e := New(Options{CPUs: 1, MemoryBytes: 10})
	outer := pipeline.Job{MemoryBytes: 10, Run: func(ctx context.Context) error {
		return e.Do(ctx, pipeline.Job{CPUs: 1, Run: func(context.Context) error { return nil }})
	}}
	if err := e.Do(context.Background(), outer); err != nil {
		t.Error(err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	e := New(Options{})
	err := e.Do(context.Background(), pipeline.Job{Stage: "mfcc", CPUs: 1, Run: func(context.Context) error {
		panic("boo")
	}})
	var p *pipeline.PanicError
	if !errors.As(err, &p) || p.Stage != "mfcc" || !strings.Contains(string(p.Stack), "TestPanicIsAnError") {
		t.Errorf("got %v", err)
	}
	if err := e.Do(context.Background(), pipeline.Job{CPUs: 1, Run: func(context.Context) error { return nil }}); err != nil {
		t.Errorf("the core was not given back: %v", err)
	}
}

func TestTimeLimit(t *testing.T) {
	e := New(Options{})
	err := e.Do(context.Background(), pipeline.Job{Stage: "s", Time: time.Millisecond, Run: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}})
	var late *TimeError
	if !errors.As(err, &late) || late.Stage != "s" {
		t.Errorf("got %v", err)
	}
}

func TestCancelWhileWaiting(t *testing.T) {
	e := New(Options{CPUs: 1})
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	err := e.Do(context.Background(), pipeline.Job{CPUs: 1, Run: func(context.Context) error {
		cancel(why)
		return e.Do(ctx, pipeline.Job{CPUs: 1, Run: func(context.Context) error {
			t.Error("it ran")
			return nil
		}})
	}})
	if !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
