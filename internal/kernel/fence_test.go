package kernel

import (
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"unsafe"
)

// fenceCanaries is how many canaries lie beside a fenced slice, where there is
// no page that may not be touched.
const fenceCanaries = 64

// A fence is memory for one slice. Where the system can, what lies before begin
// and behind end are pages that fault when they are read or written.
type fence struct {
	all        []float32
	begin, end int
	from, to   int // the slice in use
}

// slice is n values that end at the fence's end or start at its begin, with
// canaries on the other side.
func (f *fence) slice(n int, atEnd bool) []float32 {
	f.from, f.to = f.begin, f.begin+n
	if atEnd {
		f.from, f.to = f.end-n, f.end
	}
	for _, side := range f.sides() {
		for i := range side {
			side[i] = canary
		}
	}
	return f.all[f.from:f.to:f.to]
}

func (f *fence) sides() [2][]float32 {
	return [2][]float32{f.all[max(0, f.from-fenceCanaries):f.from], f.all[f.to:min(len(f.all), f.to+fenceCanaries)]}
}

// whole reports whether the canaries are.
func (f *fence) whole() bool {
	for _, side := range f.sides() {
		if slices.ContainsFunc(side, func(v float32) bool { return v != canary }) {
			return false
		}
	}
	return true
}

// A guardCase is a call of what uses assembly, on buffers no larger than what
// it asks for.
type guardCase struct {
	name    string
	covers  string  // the field of simd.Set that it is for, if any
	sizes   []int   // of the buffers, in float32
	scratch int     // how many of these, the last ones, hold no result
	odd     bool    // with NaN, infinities and -0 among the values
	tol     float64 // against plain Go, as a part of the largest value; 0: the same bits
	call    func(p *path, b [][]float32)
}

// A guard runs cases between fences.
type guard struct {
	path   *path
	fences []*fence
	seed   uint64
}

// run tries a case with each buffer at the end of its memory, at the begin, and
// by turns, which also makes buffers differ in their alignment, and compares
// with plain Go on ordinary memory.
func (g *guard) run(t *testing.T, c guardCase) {
	t.Helper()
	g.seed++
	rnd := newRand(g.seed)
	var given, want [][]float32
	for i, n := range c.sizes {
		for len(g.fences) <= i {
			g.fences = append(g.fences, &fence{})
		}
		if len(g.fences[i].all) < n+2*fenceCanaries {
			g.fences[i] = newFence(t, 2*n+2*fenceCanaries)
		}
		x := random[float32](rnd, n)
		if c.odd {
			special(x[n/3*(i%2):])
		}
		given, want = append(given, x), append(want, slices.Clone(x))
	}
	c.call(plain, want)
	for ends := range 4 { // bit i%2: buffer i lies at the end
		var b [][]float32
		for i, x := range given {
			b = append(b, g.fences[i].slice(len(x), ends>>(i%2)&1 == 1))
			copy(b[i], x)
		}
		if err := g.try(c, b); err != nil {
			t.Fatalf("%s: %s %v, ends %02b: %v", g.path.name, c.name, c.sizes, ends, err)
		}
		for i := range b {
			if !g.fences[i].whole() {
				t.Errorf("%s: %s %v, ends %02b: wrote beside buffer %d", g.path.name, c.name, c.sizes, ends, i)
			}
			if i >= len(b)-c.scratch {
				continue
			}
			if c.tol == 0 && !sameBits(b[i], want[i]) || c.tol > 0 && !(worst(b[i], widen(want[i])) <= c.tol) {
				t.Fatalf("%s: %s %v, ends %02b: buffer %d is %v, in plain Go %v", g.path.name, c.name, c.sizes, ends, i, some(b[i]), some(want[i]))
			}
		}
	}
}

// try calls, and says of a fault which buffer is near.
func (g *guard) try(c guardCase, b [][]float32) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		err = fmt.Errorf("%v", r)
		if fault, ok := r.(interface{ Addr() uintptr }); ok {
			for i, s := range b {
				first := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
				if off := int(fault.Addr()) - int(first); off >= -1<<13 && off < 4*len(s)+1<<13 {
					err = fmt.Errorf("touches byte %d of buffer %d, which has %d", off, i, 4*len(s))
				}
			}
		}
	}()
	c.call(g.path, b)
	return nil
}

func some(x []float32) []float32 { return x[:min(len(x), 40)] }
