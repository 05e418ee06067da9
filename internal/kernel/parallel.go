package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// Parallel calls f(0) … f(n-1), each once, on up to GOMAXPROCS goroutines, and
// returns when all are done. Which goroutine takes which i is not fixed, so
// the calls must not depend on each other; cut work by its size, never by the
// number of CPUs, and results stay the same for any number. A panic in f is
// raised again in the caller.
func Parallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		once   sync.Once
		caught any
	)
	work := func() {
		defer func() {
			if r := recover(); r != nil {
				once.Do(func() { caught = r })
				next.Store(int64(n))
			}
		}()
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f(i)
		}
	}
	for range workers - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	if caught != nil {
		panic(caught)
	}
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
