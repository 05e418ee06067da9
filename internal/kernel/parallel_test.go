package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestParallel(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		atProcs(t, procs, func() {
			for _, n := range []int{0, 1, 3, 100} {
				seen := make([]atomic.Int32, n)
				Parallel(n, func(i int) { seen[i].Add(1) })
				for i := range seen {
					if got := seen[i].Load(); got != 1 {
						t.Errorf("GOMAXPROCS %d: f(%d) of %d called %d times", procs, i, n, got)
					}
				}
			}
			defer func() {
				if r := recover(); r != "seven" {
					t.Errorf("GOMAXPROCS %d: recovered %v, want the panic of f", procs, r)
				}
			}()
			Parallel(9, func(i int) {
				if i == 7 {
					panic("seven")
				}
			})
		})
	}
}

// Many callers at once, each of whose tasks calls Parallel again: more regions
// than there are.
func TestParallelNested(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		atProcs(t, procs, func() {
			var total atomic.Int64
			var wg sync.WaitGroup
			for range 3 * maxRegions {
				wg.Go(func() {
					for range 20 {
						Parallel(5, func(int) { Parallel(7, func(i int) { total.Add(int64(i)) }) })
					}
				})
			}
			wg.Wait()
			if got, want := total.Load(), int64(3*maxRegions*20*5*21); got != want {
				t.Errorf("GOMAXPROCS %d: the tasks add up to %d, want %d", procs, got, want)
			}
		})
	}
}

// No more goroutines work than GOMAXPROCS at that time.
func TestParallelProcs(t *testing.T) {
	for _, procs := range []int{4, 2, 3} {
		atProcs(t, procs, func() {
			var now, most atomic.Int64
			for range 200 {
				Parallel(20, func(int) {
					if n := now.Add(1); n > most.Load() {
						most.Store(n)
					}
					runtime.Gosched()
					now.Add(-1)
				})
			}
			if got := int(most.Load()); got > procs {
				t.Errorf("GOMAXPROCS %d: %d tasks at once", procs, got)
			}
		})
	}
}

// A panic of any task comes to the caller, and a task that ends its goroutine
// leaves the team whole.
func TestParallelEnds(t *testing.T) {
	atProcs(t, 4, func() {
		for bad := range 40 {
			func() {
				defer func() {
					if r := recover(); r != bad {
						t.Errorf("recovered %v, want the panic of task %d", r, bad)
					}
				}()
				Parallel(40, func(i int) {
					if i == bad {
						panic(i)
					}
				})
			}()
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { Parallel(8, func(int) { runtime.Goexit() }) })
		}
		wg.Wait()
		for i := range team.regions {
			if s := team.regions[i].state.Load(); s != 0 {
				t.Errorf("region %d is left in state %d", i, s)
			}
		}
	})
}

func TestParallelLeavesNothing(t *testing.T) {
	atProcs(t, 4, func() {
		Parallel(100, func(int) {})
		for begin := time.Now(); team.helpers.Load() > 0; runtime.Gosched() {
			if time.Since(begin) > 10*time.Second {
				t.Fatalf("%d goroutines still run", team.helpers.Load())
			}
		}
		f := func(int) {}
		if got := testing.AllocsPerRun(100, func() { Parallel(8, f) }); got > 0 {
			t.Errorf("a call allocates %v times", got)
		}
	})
}

// BenchmarkParallel measures what a call costs beside its tasks, of which there
// are as many as CPUs: hot calls follow one another, cold ones come when the
// team has gone home.
func BenchmarkParallel(b *testing.B) {
	work := func(d time.Duration) {
		for begin := time.Now(); time.Since(begin) < d; {
		}
	}
	for _, c := range []struct {
		name string
		gap  time.Duration
	}{{"hot", 0}, {"gap 20us", 20 * time.Microsecond}, {"cold", 300 * time.Microsecond}} {
		for _, size := range []time.Duration{10, 100, 1000} {
			b.Run(c.name+"/"+(size*time.Microsecond).String(), func(b *testing.B) {
				var spent time.Duration
				for b.Loop() {
					work(c.gap)
					begin := time.Now()
					Parallel(20, func(int) { work(size * time.Microsecond / 20) })
					spent += time.Since(begin)
				}
				alone := size * time.Microsecond / time.Duration(runtime.GOMAXPROCS(0))
				b.ReportMetric(float64(spent)/float64(b.N)/1e3-float64(alone)/1e3, "us-more")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
