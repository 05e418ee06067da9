package kernel

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// A path is one way to compute: the shape of its tiles and its assembly.
type path struct {
	name  string
	mr    int       // most rows of C in a tile
	lanes int       // columns in a vector: panels are padded to a multiple
	nv    int       // vectors across a full tile
	set   *simd.Set // nil: plain Go
}

// nr is the number of columns of a full panel.
func (p *path) nr() int { return p.lanes * p.nv }

// plain is the Go path. 2x4 sums are what the compiler keeps in registers.
var plain = &path{name: "go-" + runtime.GOARCH, mr: 2, lanes: 4, nv: 1}

// paths lists what this CPU can do, best first.
var paths = detect()

// forced is the path chosen by Force; nil means the best.
var forced atomic.Pointer[path]

func detect() []*path {
	var all []*path
	for _, s := range simd.Sets() {
		all = append(all, &path{name: s.Name, mr: s.MR, lanes: s.Lanes, nv: 2, set: s})
	}
	return append(all, plain)
}

func active() *path {
	if p := forced.Load(); p != nil {
		return p
	}
	return paths[0]
}

// pathFor is the path that works on T.
func pathFor[T Float]() *path {
	var z T
	if unsafe.Sizeof(z) == 4 {
		return active()
	}
	return plain
}

// Numeric names the path in use, on which the bits of float32 results depend:
// "avx512", "avx2", "go-amd64", "go-arm64".
func Numeric() string { return active().name }

// Force chooses a path by name, to compare paths or to repeat results of a
// lesser CPU; "" goes back to the best. The error names what this CPU has.
// Products already under way keep their path.
func Force(name string) error {
	if name == "" {
		forced.Store(nil)
		return nil
	}
	var have []string
	for _, p := range paths {
		if p.name == name {
			forced.Store(p)
			return nil
		}
		have = append(have, p.name)
	}
	return fmt.Errorf("numeric path %q: this build on this CPU has %s", name, strings.Join(have, ", "))
}

// simdFor is the assembly for T on the path in use, or nil, and how many of n
// elements it can take: the rest is for Go.
func simdFor[T Float](n int) (*simd.Set, int) {
	set := pathFor[T]().set
	if set == nil || n < set.Lanes {
		return nil, 0
	}
	return set, n - n%set.Lanes
}
