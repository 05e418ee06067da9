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

// Panels is B in the order in which tiles read it:
//
//	for each block, for each panel of nr columns, for each row of the block:
//	nr values (the last panel: rounded up to whole vectors, filled with zeros)
type panels[T Float] struct {
	path   *path
	blocks []block
	row0   int // first row of B held
	n      int // columns
	padded int // n rounded up to whole vectors
	data   []T
}

// size of panels for k rows of n columns.
func panelsSize(p *path, k, n int) int { return k * ceilTo(n, p.lanes) }

func ceilTo(n, to int) int { return (n + to - 1) / to * to }

// newPanels makes empty panels in buf, or in new memory if buf is nil.
func newPanels[T Float](p *path, bl []block, n int, buf []T) panels[T] {
	first, last := bl[0], bl[len(bl)-1]
	size := panelsSize(p, last.row0+last.len-first.row0, n)
	if buf == nil {
		buf = make([]T, size)
	}
	return panels[T]{path: p, blocks: bl, row0: first.row0, n: n, padded: ceilTo(n, p.lanes), data: buf[:size]}
}

// longest is the length of the longest block.
func longest(bl []block) int {
	n := 0
	for i := range bl {
		n = max(n, bl[i].len)
	}
	return n
}

// at gives panel j of block b: its values, columns and width in vectors.
func (p *panels[T]) at(b *block, j int) (data []T, cols, nv int) {
	nr := p.path.nr()
	cols = min(nr, p.n-j*nr)
	nv = (cols + p.path.lanes - 1) / p.path.lanes
	off := (b.row0-p.row0)*p.padded + j*nr*b.len
	return p.data[off : off+b.len*nv*p.path.lanes], cols, nv
}

func (p *panels[T]) count() int { return (p.n + p.path.nr() - 1) / p.path.nr() }

// fill packs the columns of src from col0 on.
func (p *panels[T]) fill(src source[T], col0 int) {
	nj := p.count()
	if !src.trans && src.tapRows == 0 {
		parts := max(1, longest(p.blocks)/dealRows)
		parallelIf(len(p.data), len(p.blocks)*parts, func(i int) {
			b, j := &p.blocks[i/parts], i%parts
			p.deal(src, b, j*b.len/parts, (j+1)*b.len/parts, col0)
		})
		return
	}
	parallelIf(len(p.data), len(p.blocks)*nj, func(i int) {
		b, j := &p.blocks[i/nj], i%nj
		dst, cols, nv := p.at(b, j)
		src.pack(p.path.set, dst, b.row0, b.len, col0+j*p.path.nr(), cols, nv*p.path.lanes)
	})
}

// dealRows is how many rows of B are dealt out to the panels at a time.
const dealRows = 32

// deal packs rows r0 to r1 of block b into all panels, a row of src after the
// other: down the columns of one panel, each row would be on a page of its own.
func (p *panels[T]) deal(src source[T], b *block, r0, r1, col0 int) {
	if r0 == r1 || p.n == 0 {
		return
	}
	nr, from := p.path.nr(), src.data[(b.row0+r0)*src.ld+col0:]
	full := 0
	if p.path.set != nil {
		full = p.n / nr
	}
	if full > 0 {
		dst, _, _ := p.at(b, 0)
		p.path.set.Deal(start(dst[r0*nr:]), start(from), src.ld*4, nr*b.len*4, full, r1-r0)
	}
	for j := full; j < p.count(); j++ {
		dst, cols, nv := p.at(b, j)
		width := nv * p.path.lanes
		packRows(dst[r0*width:], from[j*nr:], src.ld, r1-r0, cols, width)
	}
}

// setRow fills in row r of new panels, whose spare columns are zero, from src.
func (p *panels[T]) setRow(r int, src []T) {
	for i := range p.blocks {
		b := &p.blocks[i]
		if r < b.row0 || r >= b.row0+b.len {
			continue
		}
		for j := range p.count() {
			dst, cols, nv := p.at(b, j)
			width := nv * p.path.lanes
			dst = dst[(r-b.row0)*width:][:width]
			copy(dst, src[j*p.path.nr():][:cols])
		}
	}
}
