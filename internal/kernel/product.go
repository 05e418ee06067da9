package kernel

import (
	"unsafe"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// A product is C (+)= A·B with A a view. A has groups of rows; each row has
// segs segments of segLen values that lie together:
//
//	A(g, r, s, i) = a[group.at(g) + r*lda + seg.at(s) + i]
//
// A plain matrix is one group and one segment. In a convolution a group is one
// row of the output image, a segment one row of the kernel. A transposed view
// swaps the strides: the i of a segment are lda apart, rows lie together.
// C has groups*rows rows, ldc apart.
type product[T Float] struct {
	path         *path
	a            []T
	lda          int
	trans        bool
	groups, rows int
	group        offsets
	segs, segLen int
	seg          offsets
	n            int
	c            []T
	ldc          int
	e            Epilogue[T]
}

// offsets are places at two steps: i/inner*outerStep + i%inner*step.
// The zero value is for i = 0 only.
type offsets struct{ inner, outerStep, step int }

func (o offsets) at(i int) int {
	if o.inner == 0 {
		return i * o.step
	}
	return i/o.inner*o.outerStep + i%o.inner*o.step
}

const (
	// maxPacked bounds the scratch for B: 4 MiB of float32, a part of L3.
	maxPacked = 1 << 20
	// taskRows and taskCols are the part of C that one goroutine takes at a
	// time: a block of 256 columns stays in L2 while the rows pass by, 14 of
	// them in L1.
	taskRows = 196
	taskCols = 256
	// manyTasks is how many tasks to cut, where the shape allows, so that a
	// handful of CPUs ends together; each is worth handing out if it has minTask
	// multiplications (2 µs with AVX-512). Where each lays out its rows of A there
	// are someTasks, larger, as each reads all of B.
	manyTasks = 16
	someTasks = 8
	minTask   = 1 << 18
)

// kBlocks are the blocks of k. A transposed view is packed, which flattens it.
func (p *product[T]) kBlocks() []block {
	if p.trans {
		return blocks(1, p.segs*p.segLen)
	}
	return blocks(p.segs, p.segLen)
}

// runSource packs B, a few blocks of k at a time, and multiplies: what it packs is
// read before other data push it out of the caches.
func (p *product[T]) runSource(b source[T]) {
	k := p.segs * p.segLen
	if p.groups*p.rows == 0 || p.n == 0 {
		return
	}
	bl := p.kBlocks()
	parts := max(1, ceilDiv(panelsSize(p.path, longest(bl), p.n), maxPacked))
	step := ceilTo(ceilDiv(p.n, parts), p.path.nr())
	slab := max(1, len(bl)/max(1, ceilDiv(panelsSize(p.path, k, min(p.n, step)), maxPacked)))
	buf := getBuf[T](&bPool, panelsSize(p.path, slab*longest(bl), min(p.n, step)))
	defer putBuf(&bPool, buf)
	for c0 := 0; c0 < p.n; c0 += step {
		cols := min(step, p.n-c0)
		for i := 0; i < len(bl); i += slab {
			pan := newPanels(p.path, bl[i:min(i+slab, len(bl))], cols, *buf)
			pan.fill(b, c0)
			p.runPacked(&pan, c0)
		}
	}
}

// A grid is a product cut into tasks, each a rectangle of C. It is kept from
// product to product, so that one takes no memory.
type grid[T Float] struct {
	product[T]
	b        panels[T]
	col0     int // where panel 0 is in C
	perGroup int // tiles in a group of rows
	tiles    int
	nt, nc   int // cut into nt runs of tiles and nc runs of panels
}

// runPacked multiplies with the packed columns of B that start at col0 of C.
func (p *product[T]) runPacked(b *panels[T], col0 int) {
	if p.groups*p.rows == 0 || p.n == 0 {
		return
	}
	g := getGrid[T]()
	defer putGrid(g)
	g.product, g.b, g.col0 = *p, *b, col0
	if p.segs*p.segLen == 0 { // A may be an empty slice: stay at its start
		g.lda, g.group, g.seg = 0, offsets{}, offsets{}
	}
	g.cut()
	parallel(g.nt*g.nc, g)
}

// cut chooses tiles and tasks. A number of tiles that 2 or 4 divide, and so of
// runs, gives as many CPUs the same share; tiles a row lower are no slower.
func (g *grid[T]) cut() {
	g.perGroup = ceilDiv(g.rows, g.path.mr)
	for _, even := range []int{2, 4} {
		if g.groups%even != 0 && g.perGroup > 4*even {
			g.perGroup = ceilTo(g.perGroup, even)
		}
	}
	g.tiles = g.groups * g.perGroup
	np := g.b.count()
	g.nt = ceilDiv(g.tiles, max(1, taskRows*g.perGroup/g.rows))
	g.nc = ceilDiv(np, max(1, taskCols/g.path.nr()))
	want := manyTasks
	if g.packsA(np) { // once: for all columns
		g.nc, want = 1, someTasks
	}
	want = min(want, g.groups*g.rows*g.b.n*g.segs*g.segLen/minTask)
	for g.nt*g.nc < want && g.nt < g.tiles {
		n := ceilDiv(g.tiles, ceilDiv(g.tiles, 2*g.nt))
		g.nt = min(g.tiles, n+n%2)
	}
	if g.nc%2 != 0 && g.nt > 2 { // as with tiles: 11 tasks are 6 for one of two CPUs
		g.nt = min(g.tiles, ceilTo(g.nt, 4))
	}
}

// do does task i.
func (g *grid[T]) do(i int) {
	t, j, np := i/g.nc, i%g.nc, g.b.count()
	g.run(&g.b, task{
		col0: g.col0, perGroup: g.perGroup,
		tile0: t * g.tiles / g.nt, tile1: (t + 1) * g.tiles / g.nt,
		panel0: j * np / g.nc, panel1: (j + 1) * np / g.nc,
	})
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// A task is a rectangle of C: tiles of rows by panels of columns.
type task struct {
	tile0, tile1   int
	panel0, panel1 int
	col0           int // where panel 0 is in C
	perGroup       int // tiles in a group of rows
}

// tileRows says which rows tile i covers: groups are split evenly, so that no
// tile is left with a row or two.
func (t *task) tileRows(i, rows int) (group, r0, r1 int) {
	group, i = i/t.perGroup, i%t.perGroup
	return group, i * rows / t.perGroup, (i + 1) * rows / t.perGroup
}

func (p *product[T]) run(b *panels[T], t task) {
	var packed []T
	if p.packsA(t.panel1 - t.panel0) {
		buf := getBuf[T](&aPool, (t.tile1-t.tile0)*p.path.mr*(slackK+rowPad))
		defer putBuf(&aPool, buf)
		packed = *buf
	}
	step := max(1, taskCols/p.path.nr())
	for i := range b.blocks {
		bl := &b.blocks[i]
		if packed != nil {
			p.packA(packed, bl, &t)
		}
		for j := t.panel0; j < t.panel1; j += step {
			p.runPanels(b, bl, j, min(j+step, t.panel1), &t, packed)
		}
	}
}

// runPanels runs all tiles of the task over some panels of one block, tile by
// tile: its rows of A stay in L1, the panels in L2, and C is written in long
// stretches, as its rows may lie on a page each, and all on the same cache sets.
func (p *product[T]) runPanels(b *panels[T], bl *block, j0, j1 int, t *task, packed []T) {
	later, last := bl.row0 > 0, bl.row0+bl.len == p.segs*p.segLen
	nr := p.path.nr()
	op := tileOp[T]{
		k: bl.klen, segs: bl.segs,
		ldc: p.ldc, acc: later || p.e.Acc, relu: last && p.e.ReLU,
		rs: p.lda, ks: 1, segStep: p.seg.step, packed: p.trans,
	}
	if packed != nil {
		op.k, op.segs = bl.len, 1
	}
	at := 0
	for i := t.tile0; i < t.tile1; i++ {
		g, r0, r1 := t.tileRows(i, p.rows)
		op.rows = r1 - r0
		switch {
		case p.trans:
			op.a, op.rs, op.ks = packed[at:], 1, op.rows
			at += op.rows*bl.len + rowPad
		case packed != nil:
			op.a, op.rs = packed[at:], bl.len+rowPad
			at += op.rows * op.rs
		default:
			op.a = p.a[p.group.at(g)+r0*p.lda+p.seg.at(bl.seg0)+bl.k0:]
		}
		c := p.c[(g*p.rows+r0)*p.ldc+t.col0:]
		for j := j0; j < j1; j++ {
			op.b, op.cols, op.nv = b.at(bl, j)
			op.c = c[j*nr:]
			if last && p.e.Bias != nil {
				op.bias = p.e.Bias[t.col0+j*nr:][:op.cols]
			}
			op.run(p.path)
		}
	}
}

// A tileOp is one tile of C and all that goes into it.
type tileOp[T Float] struct {
	k, segs         int
	a               []T
	rs, ks, segStep int // steps in a: row to row, k to k, segment to segment
	packed          bool
	b               []T
	rows, cols, nv  int
	c               []T
	ldc             int
	acc, relu       bool
	bias            []T
}

func (o *tileOp[T]) run(p *path) {
	if p.set == nil {
		tilePlain(o)
		return
	}
	const size = 4 // float32: the only type that has assembly
	flags := 0
	if o.acc {
		flags |= simd.Acc
	}
	if o.relu {
		flags |= simd.ReLU
	}
	tiles := &p.set.Strided
	if o.packed {
		tiles = &p.set.Packed
	}
	tail := o.cols - (o.nv-1)*p.lanes
	tiles[o.nv][o.rows](o.k, o.segs, start(o.a), o.rs*size, o.segStep*size, start(o.b),
		start(o.c), o.ldc*size, flags, tail, start(o.bias))
}

func start[T Float](s []T) *float32 { return (*float32)(unsafe.Pointer(unsafe.SliceData(s))) }

// rowPad keeps the rows of a packed A from lying a power of two apart.
const rowPad = 16

// packsA reports whether a task lays out its rows of A first: a transposed view,
// or rows that fall on the same cache sets, as those 4 KiB apart do (1024
// float32: 85 instead of 113 GFLOP/s), if enough panels read them to pay for it.
func (p *product[T]) packsA(panels int) bool {
	var z T
	return p.trans || p.path.set != nil && p.rows > 1 && p.lda*int(unsafe.Sizeof(z))%4096 == 0 && panels >= 4
}

// packA copies the task's part of A for block bl: transposed views to
// [k][row] tile by tile, others to padded rows.
func (p *product[T]) packA(dst []T, bl *block, t *task) {
	if p.trans {
		p.packTrans(dst, bl, t)
		return
	}
	at := 0
	for i := t.tile0; i < t.tile1; i++ {
		g, r0, r1 := t.tileRows(i, p.rows)
		for r := r0; r < r1; r++ {
			for s := range bl.segs {
				from := p.group.at(g) + r*p.lda + p.seg.at(bl.seg0+s) + bl.k0
				copy(dst[at+s*bl.klen:], p.a[from:from+bl.klen])
			}
			at += bl.len + rowPad
		}
	}
}

// packTrans takes some rows of a transposed A at a time through all tiles of the
// task, so that what it reads lies together, and has the next ones fetched.
func (p *product[T]) packTrans(dst []T, bl *block, t *task) {
	const some = 32 // fewer cost more calls, more leave L2 before they are taken
	for k, end := bl.row0, bl.row0+bl.len; k < end; {
		s, in := k/p.segLen, k%p.segLen
		n := min(end-k, p.segLen-in, some)
		base := p.seg.at(s) + in*p.lda
		_, first, _ := t.tileRows(t.tile0, p.rows)
		_, _, last := t.tileRows(t.tile1-1, p.rows)
		if more := min(p.segLen-in-n, 2*some-n); p.path.set != nil && p.groups == 1 && more > 0 {
			p.path.set.Prefetch(start(p.a[base+n*p.lda+first:]), p.lda*4, (last-first)*4, more)
		}
		at := 0
		for i := t.tile0; i < t.tile1; i++ {
			g, r0, r1 := t.tileRows(i, p.rows)
			rows := r1 - r0
			to := at + (k-bl.row0)*rows
			gather(p.path.set, dst[to:to+n*rows], p.a[base+p.group.at(g)+r0:], p.lda, rows)
			at += rows*bl.len + rowPad // gather writes a bit more than it should
		}
		k += n
	}
}

// tilePlain is the tile in plain Go, one or two rows by four columns: the
// meaning of the assembly tiles, their twin in tests, and the only tile for
// float64 and other CPUs.
func tilePlain[T Float](o *tileOp[T]) {
	var sum [2][4]T
	if o.rows == 2 {
		sumTwo(o, &sum)
	} else {
		sumOne(o, &sum[0])
	}
	for i := range o.rows {
		c := o.c[i*o.ldc : i*o.ldc+o.cols]
		for j := range c {
			v := sum[i][j]
			if o.acc {
				v = c[j] + v
			}
			if o.bias != nil {
				v += o.bias[j]
			}
			if o.relu && v < 0 {
				v = 0
			}
			c[j] = v
		}
	}
}

func sumTwo[T Float](o *tileOp[T], sum *[2][4]T) {
	var s00, s01, s02, s03, s10, s11, s12, s13 T
	b := o.b
	for g := range o.segs {
		i0 := g * o.segStep
		i1 := i0 + o.rs
		for range o.k {
			x, y, row := o.a[i0], o.a[i1], (*[4]T)(b)
			s00 += x * row[0]
			s01 += x * row[1]
			s02 += x * row[2]
			s03 += x * row[3]
			s10 += y * row[0]
			s11 += y * row[1]
			s12 += y * row[2]
			s13 += y * row[3]
			b = b[4:]
			i0 += o.ks
			i1 += o.ks
		}
	}
	*sum = [2][4]T{{s00, s01, s02, s03}, {s10, s11, s12, s13}}
}

func sumOne[T Float](o *tileOp[T], sum *[4]T) {
	var s0, s1, s2, s3 T
	b := o.b
	for g := range o.segs {
		i := g * o.segStep
		for range o.k {
			x, row := o.a[i], (*[4]T)(b)
			s0 += x * row[0]
			s1 += x * row[1]
			s2 += x * row[2]
			s3 += x * row[3]
			b = b[4:]
			i += o.ks
		}
	}
	*sum = [4]T{s0, s1, s2, s3}
}
