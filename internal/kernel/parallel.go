package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// Parallel calls f(0) … f(n-1), each once, on up to GOMAXPROCS goroutines, and
// returns when all are done. Which goroutine takes which i is not fixed, so
// the calls must not depend on each other; cut work by its size, never by the
// number of CPUs, and results stay the same for any number. A panic in f is
// raised again in the caller.
//
// Equal parts of 0..n are laid out for the goroutines beforehand, and whoever is
// done with its own takes from the others: so the same i tends to come to the
// same CPU, whose cache has what it touched the last time.
func Parallel(n int, f func(i int)) { parallel(n, taskFunc(f)) }

// ParallelErr is Parallel for work that can fail: it returns the error of the
// lowest i, after all calls have returned.
func ParallelErr(n int, f func(i int) error) error {
	errs := make([]error, n)
	Parallel(n, func(i int) { errs[i] = f(i) })
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// tasks are calls do(0) … do(n-1). A pointer to a struct that is kept does as
// well as a function and takes no memory a call.
type tasks interface{ do(i int) }

type taskFunc func(i int)

func (f taskFunc) do(i int) { f(i) }

func parallel(n int, t tasks) {
	workers := min(n, runtime.GOMAXPROCS(0), maxWorkers)
	var r *region
	if workers > 1 {
		r = openRegion(n, workers, t)
	}
	if r == nil {
		for i := range n {
			t.do(i)
		}
		return
	}
	defer r.finish()
	r.work(0)
}

// A region is one call of Parallel under way. Regions are kept and used over and
// over. Goroutines of the team join one while it is open; its caller closes it
// when no task is left to take and waits for those who joined.
type region struct {
	state   atomic.Int64 // 0: free; taken, open and waiting, and joined for each goroutine in it
	order   atomic.Int32 // of joining
	do      tasks
	workers int
	spans   [maxWorkers]span
	caught  atomic.Pointer[any] // the first panic
	done    chan struct{}       // the last one out wakes the caller, if waiting
}

const (
	taken   = int64(1) << iota
	open    // to be joined
	waiting // the caller sleeps
	joined
)

// A span is what one goroutine begins with: next to end-1.
type span struct {
	next atomic.Int64
	end  int64
	_    [6]int64 // a cache line of its own
}

const (
	maxWorkers = 64
	maxRegions = 16 // at once; further calls of Parallel work alone
)

// team helps callers of Parallel, on behalf of the process: as
// there is one set of CPUs, there is one team. A goroutine that finds nothing to
// do looks out for a while, as waking a sleeping CPU takes longer than many a
// task (20 to 60 µs on a virtual machine), and then ends: nothing is left
// running, and nothing needs to be stopped.
var team struct {
	posted  atomic.Int64 // regions ever opened
	helpers atomic.Int64 // goroutines
	idle    atomic.Int64 // of them, looking out
	limit   atomic.Int64 // helpers wanted at most: GOMAXPROCS-1 at the last call
	regions [maxRegions]region
}

const (
	// lookout is how long a goroutine of the team looks for the next region and
	// a caller for the end of its own, at most: about what waking one up costs.
	lookout = 50 * time.Microsecond
	// rounds is how often it looks before it looks at the clock.
	rounds = 200
)

// openRegion finds a free region, lays out the spans and calls the team. It is
// nil if all are taken.
func openRegion(n, workers int, t tasks) *region {
	var r *region
	for i := range team.regions {
		if c := &team.regions[i]; c.state.Load() == 0 && c.state.CompareAndSwap(0, taken) {
			r = c
			break
		}
	}
	if r == nil {
		return nil
	}
	if r.done == nil {
		r.done = make(chan struct{}, 1)
	}
	r.do, r.workers = t, workers
	r.order.Store(0)
	for w := range workers {
		r.spans[w].next.Store(int64(w * n / workers))
		r.spans[w].end = int64((w + 1) * n / workers)
	}
	limit := int64(runtime.GOMAXPROCS(0) - 1)
	team.limit.Store(limit)
	r.state.Store(taken | open)
	team.posted.Add(1)
	hired := false
	for range int64(workers-1) - team.idle.Load() {
		if team.helpers.Add(1) > limit {
			team.helpers.Add(-1)
			break
		}
		go help()
		hired = true
	}
	if hired {
		// The new goroutine begins on this CPU at once and the caller goes on
		// where the scheduler wakes another up: it would let the new one wait
		// for longer, in the hope that this CPU gets to it.
		runtime.Gosched()
	}
	return r
}

// work does tasks of the region, first its own, then others', until all are
// taken.
func (r *region) work(w int) {
	defer func() {
		if p := recover(); p != nil {
			r.caught.CompareAndSwap(nil, &p)
			for i := range r.workers {
				r.spans[i].next.Store(r.spans[i].end)
			}
		}
	}()
	defer r.state.And(^open) // nothing is left to join for
	for v := range r.workers {
		s := &r.spans[(w+v)%r.workers]
		for s.next.Load() < s.end {
			i := s.next.Add(1) - 1
			if i >= s.end {
				break
			}
			r.do.do(int(i))
		}
	}
}

// finish closes the region, waits for all who joined it and raises a panic of
// theirs again.
func (r *region) finish() {
	r.state.And(^open)
	if !patient(func() bool { return r.state.Load() == taken }) && r.state.Add(waiting) != taken|waiting {
		<-r.done
	}
	p := r.caught.Swap(nil)
	r.do = nil
	r.state.Store(0)
	if p != nil {
		panic(*p)
	}
}

// join works in the region if it is open, and reports whether it was.
func (r *region) join() bool {
	for {
		s := r.state.Load()
		if s&open == 0 {
			return false
		}
		if r.state.CompareAndSwap(s, s+joined) {
			break
		}
	}
	defer func() { // even if a task ends its goroutine
		if r.state.Add(-joined) == taken|waiting {
			r.done <- struct{}{}
		}
	}()
	r.work(int(r.order.Add(1)) % r.workers)
	return true
}

// help is one goroutine of the team.
func help() {
	defer team.helpers.Add(-1)
	for {
		seen := team.posted.Load()
		if team.helpers.Load() > team.limit.Load() {
			return
		}
		found := false
		for i := range team.regions {
			found = team.regions[i].join() || found
		}
		if found {
			continue
		}
		team.idle.Add(1)
		news := func() bool { return team.posted.Load() != seen }
		ok := patient(news)
		team.idle.Add(-1)
		if !ok && !news() {
			return
		}
	}
}

// patient looks out for ok and reports whether it came true in time. Midway
// it lets another goroutine have the CPU.
func patient(ok func() bool) bool {
	for range rounds {
		if ok() {
			return true
		}
	}
	runtime.Gosched()
	for begin := time.Now(); time.Since(begin) < lookout; {
		for range rounds {
			if ok() {
				return true
			}
		}
	}
	return false
}

// parallelIf is Parallel for work, in elements moved, that is worth starting
// goroutines for.
func parallelIf(work, n int, f func(i int)) {
	if work >= chunk/2 {
		Parallel(n, f)
		return
	}
	for i := range n {
		f(i)
	}
}

// chunk is how many elements of a long vector one call of f gets in vectors:
// 256 KiB of float32, far more work than starting a goroutine.
const chunk = 1 << 16

// vectors cuts 0..n into fixed chunks and runs them in parallel.
func vectors(n int, f func(lo, hi int)) {
	if n <= chunk {
		f(0, n)
		return
	}
	Parallel((n+chunk-1)/chunk, func(i int) { f(i*chunk, min(n, (i+1)*chunk)) })
}

// A bufPool keeps scratch slices of one use, so that their sizes settle.
type bufPool struct{ f32, f64 sync.Pool }

var (
	aPool     bufPool // packed rows of A, one a worker
	bPool     bufPool // packed B, one a product
	padPool   bufPool // padded inputs
	colPool   bufPool // columns of the strided input gradient
	winoPool  bufPool // tiles in Winograd's domain, one a block
	tilePool  bufPool // one tile at the edge, one a worker
	piecePool bufPool // pieces of the weights in another domain, one a worker
)

// getBuf returns a slice of n elements of unknown content.
func getBuf[T Float](p *bufPool, n int) *[]T {
	var z T
	pool := &p.f32
	if unsafe.Sizeof(z) == 8 {
		pool = &p.f64
	}
	b, _ := pool.Get().(*[]T)
	if b == nil {
		b = new([]T)
	}
	if cap(*b) < n {
		*b = Make[T](n)
	}
	*b = (*b)[:n]
	return b
}

func putBuf[T Float](p *bufPool, b *[]T) {
	var z T
	if unsafe.Sizeof(z) == 8 {
		p.f64.Put(b)
		return
	}
	p.f32.Put(b)
}

// Make returns n zeros, on huge pages where there are many and the system has
// them: for what is read as fast as memory gives it, such as weights.
func Make[T Float](n int) []T {
	s := make([]T, n)
	simd.HugePages(unsafe.Pointer(unsafe.SliceData(s)), n*int(unsafe.Sizeof(*new(T))))
	return s
}

// gridPool keeps the descriptions of products under way.
var gridPool struct{ f32, f64 sync.Pool }

func getGrid[T Float]() *grid[T] {
	var z T
	pool := &gridPool.f32
	if unsafe.Sizeof(z) == 8 {
		pool = &gridPool.f64
	}
	g, _ := pool.Get().(*grid[T])
	if g == nil {
		g = new(grid[T])
	}
	return g
}

func putGrid[T Float](g *grid[T]) {
	*g = grid[T]{} // let go of the slices
	var z T
	if unsafe.Sizeof(z) == 8 {
		gridPool.f64.Put(g)
		return
	}
	gridPool.f32.Put(g)
}
