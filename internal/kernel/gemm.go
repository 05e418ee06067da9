package kernel

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// An Epilogue says what is done to C as it is stored:
// C = relu(C·Acc + A·B + Bias).
type Epilogue[T Float] struct {
	Acc  bool // add to what is in C
	Bias []T  // one value a column of C, or nil
	ReLU bool // negative values become zero; NaN stays NaN
}

// Gemm computes C = A·B, or C += A·B with acc. A is m×k with rows lda apart, B
// k×n with rows ldb apart, C m×n with rows ldc apart.
func Gemm[T Float](m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, acc bool) {
	checkMatrix("Gemm", "A", len(a), m, k, lda)
	checkMatrix("Gemm", "B", len(b), k, n, ldb)
	gemm(m, n, k, a, lda, source[T]{data: b, ld: ldb}, c, ldc, acc)
}

// GemmTB is Gemm with B stored transposed: n×k, rows ldb apart.
func GemmTB[T Float](m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, acc bool) {
	checkMatrix("GemmTB", "A", len(a), m, k, lda)
	checkMatrix("GemmTB", "B", len(b), n, k, ldb)
	gemm(m, n, k, a, lda, source[T]{data: b, ld: ldb, trans: true}, c, ldc, acc)
}

// GemmTA is Gemm with A stored transposed: k×m, rows lda apart.
func GemmTA[T Float](m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, acc bool) {
	checkMatrix("GemmTA", "A", len(a), k, m, lda)
	checkMatrix("GemmTA", "B", len(b), k, n, ldb)
	checkMatrix("GemmTA", "C", len(c), m, n, ldc)
	p := product[T]{
		path: pathFor[T](), a: a, lda: lda, trans: true,
		groups: 1, rows: m, segs: 1, segLen: k,
		n: n, c: c, ldc: ldc, e: Epilogue[T]{Acc: acc},
	}
	p.runSource(source[T]{data: b, ld: ldb})
}

func gemm[T Float](m, n, k int, a []T, lda int, b source[T], c []T, ldc int, acc bool) {
	checkMatrix("Gemm", "C", len(c), m, n, ldc)
	p := product[T]{
		path: pathFor[T](), a: a, lda: lda,
		groups: 1, rows: m, segs: 1, segLen: k,
		n: n, c: c, ldc: ldc, e: Epilogue[T]{Acc: acc},
	}
	p.runSource(b)
}

// A Packed is a matrix B laid out for the tiles of one numeric path, for use
// in many products. It does not change and may be shared.
type Packed[T Float] struct {
	K, N int
	p    panels[T]
}

// PackB packs the k×n matrix b with rows ldb apart.
func PackB[T Float](k, n int, b []T, ldb int) *Packed[T] {
	checkMatrix("PackB", "B", len(b), k, n, ldb)
	return pack(k, n, source[T]{data: b, ld: ldb})
}

// PackBT packs the transpose of the n×k matrix b with rows ldb apart.
func PackBT[T Float](k, n int, b []T, ldb int) *Packed[T] {
	checkMatrix("PackBT", "B", len(b), n, k, ldb)
	return pack(k, n, source[T]{data: b, ld: ldb, trans: true})
}

func pack[T Float](k, n int, b source[T]) *Packed[T] {
	p := newPanels[T](pathFor[T](), blocks(1, k), n, nil)
	p.fill(b, 0)
	return &Packed[T]{K: k, N: n, p: p}
}

// Gemm computes C = A·B with the packed B, A being m×K with rows lda apart,
// and finishes C as e says. It uses the path that B was packed for. Rows of A
// may overlap (lda < K): A is then the windows of a signal.
func (b *Packed[T]) Gemm(m int, a []T, lda int, c []T, ldc int, e Epilogue[T]) {
	checkWindows("Packed.Gemm", len(a), m, b.K, lda)
	checkMatrix("Packed.Gemm", "C", len(c), m, b.N, ldc)
	checkBias("Packed.Gemm", e.Bias, b.N)
	p := product[T]{
		path: b.p.path, a: a, lda: lda,
		groups: 1, rows: m, segs: 1, segLen: b.K,
		n: b.N, c: c, ldc: ldc, e: e,
	}
	p.runPacked(&b.p, 0)
}

// Panels is how many stretches of columns, of how many each, GemmPanel computes
// on its own; the last may be narrower.
func (b *Packed[T]) Panels() (n, columns int) { return b.p.count(), b.p.path.nr() }

// GemmPanel is Gemm for the columns of panel j alone, without other goroutines
// and without allocating. a, c and e are those of the whole product.
func (b *Packed[T]) GemmPanel(j, m int, a []T, lda int, c []T, ldc int, e Epilogue[T]) {
	checkWindows("Packed.GemmPanel", len(a), m, b.K, lda)
	checkMatrix("Packed.GemmPanel", "C", len(c), m, b.N, ldc)
	checkBias("Packed.GemmPanel", e.Bias, b.N)
	if m == 0 {
		return
	}
	p := product[T]{
		path: b.p.path, a: a, lda: lda,
		groups: 1, rows: m, segs: 1, segLen: b.K,
		n: b.N, c: c, ldc: ldc, e: e,
	}
	tiles := ceilDiv(m, b.p.path.mr)
	p.run(&b.p, task{tile1: tiles, perGroup: tiles, panel0: j, panel1: j + 1})
}

func checkMatrix(fn, name string, have, rows, cols, ld int) {
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("kernel: %s: %s of %d×%d", fn, name, rows, cols))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols {
		panic(fmt.Sprintf("kernel: %s: rows of %s are %d long but %d apart", fn, name, cols, ld))
	}
	if need := (rows-1)*ld + cols; have < need {
		panic(fmt.Sprintf("kernel: %s: %s of %d×%d, rows %d apart, needs %d elements, has %d", fn, name, rows, cols, ld, need, have))
	}
}

// checkWindows is checkMatrix for an A whose rows may overlap.
func checkWindows(fn string, have, rows, cols, ld int) {
	if rows <= 0 || cols == 0 || ld < 0 || ld >= cols {
		checkMatrix(fn, "A", have, rows, cols, ld)
		return
	}
	if need := (rows-1)*ld + cols; have < need {
		panic(fmt.Sprintf("kernel: %s: A of %d windows of %d, %d apart, needs %d elements, has %d", fn, rows, cols, ld, need, have))
	}
}

func checkBias[T Float](fn string, bias []T, n int) {
	if bias != nil && len(bias) != n {
		panic(fmt.Sprintf("kernel: %s: bias of %d for %d columns", fn, len(bias), n))
	}
}

func checkLen(fn, name string, have, need int) {
	if have < need {
		panic(fmt.Sprintf("kernel: %s: %s needs %d elements, has %d", fn, name, need, have))
	}
}

// A block is a run of k that one tile sums in registers. Between blocks the
// sums rest in C.
type block struct {
	row0, len int // the rows of B: len = segs*klen
	seg0      int // first segment of A
	segs      int
	k0, klen  int // where in each segment, and how much of it
}

// maxK is the longest block. 512 rows of a 32-wide panel (64 KiB) and 196 rows
// of A (400 KiB) lie in a 1 MiB L2 together; a longer one gains nothing
// (measured on Zen 4 and Zen 5), a shorter one moves C more often.
const maxK = 512

// slackK is how much longer a block may be to spare a second one: 3x3x64
// windows (576) fit whole.
const slackK = 640

// blocks cuts segs segments of segLen each: the order of every sum, so a
// function of the shape alone.
func blocks(segs, segLen int) []block {
	total := segs * segLen
	if total <= slackK {
		return []block{{len: total, segs: segs, klen: segLen}}
	}
	var out []block
	if 2*segLen <= maxK {
		per := maxK / segLen
		parts := (segs + per - 1) / per
		for i := range parts {
			s0, s1 := i*segs/parts, (i+1)*segs/parts
			out = append(out, block{row0: s0 * segLen, len: (s1 - s0) * segLen, seg0: s0, segs: s1 - s0, klen: segLen})
		}
		return out
	}
	parts := (segLen + maxK - 1) / maxK
	if segLen <= slackK {
		parts = 1
	}
	for s := range segs {
		for i := range parts {
			k0, k1 := cut(i, parts, segLen), cut(i+1, parts, segLen)
			out = append(out, block{row0: s*segLen + k0, len: k1 - k0, seg0: s, segs: 1, k0: k0, klen: k1 - k0})
		}
	}
	return out
}

// cut is the start of part i of n, on a multiple of the tiles' unrolling.
func cut(i, parts, n int) int {
	if i == parts {
		return n
	}
	return i * n / parts &^ 3
}

// A source is a matrix B as the caller has it: row r, column c at
// data[r*ld+c], or data[c*ld+r] if trans. With tapRows it is the kernel of a
// convolution turned round, as the gradient by the input needs it: taps in
// reverse order, each of them (tapRows columns of ld values) transposed.
type source[T Float] struct {
	data    []T
	ld      int
	trans   bool
	tapRows int
	taps    int
	tapSize int
}

// pack writes rows row0.. and columns col0.. in rows of width values.
func (s source[T]) pack(set *simd.Set, dst []T, row0, rows, col0, cols, width int) {
	if rows == 0 { // data may be empty
		return
	}
	if s.tapRows == 0 {
		if s.trans {
			packTransposed(set, dst, s.data[col0*s.ld+row0:], s.ld, rows, cols, width)
		} else {
			packRows(dst, s.data[row0*s.ld+col0:], s.ld, rows, cols, width)
		}
		return
	}
	for rows > 0 {
		tap, in := row0/s.tapRows, row0%s.tapRows
		step := min(rows, s.tapRows-in)
		from := s.data[(s.taps-1-tap)*s.tapSize+col0*s.ld+in:]
		packTransposed(set, dst, from, s.ld, step, cols, width)
		dst = dst[step*width:]
		row0 += step
		rows -= step
	}
}

func packRows[T Float](dst, src []T, ld, rows, cols, width int) {
	for r := range rows {
		d := dst[r*width : (r+1)*width]
		copy(d, src[r*ld:r*ld+cols])
		clear(d[cols:])
	}
}

// packTransposed writes dst[r*width+c] = src[c*ld+r].
func packTransposed[T Float](set *simd.Set, dst, src []T, ld, rows, cols, width int) {
	fullRows, fullCols := 0, 0
	if set != nil {
		fullRows, fullCols = rows-rows%set.Lanes, cols-cols%set.Lanes
	}
	if fullRows > 0 {
		for c := 0; c < fullCols; c += set.Lanes {
			set.Transpose(start(dst[c:]), start(src[c*ld:]), ld*4, width*4, fullRows)
		}
		transposeBlock(dst[fullRows*width:], src[fullRows:], ld, rows-fullRows, fullCols, width)
	} else {
		fullCols = 0
	}
	if fullCols < cols {
		transposeBlock(dst[fullCols:], src[fullCols*ld:], ld, rows, cols-fullCols, width)
	}
	if cols < width {
		for r := range rows {
			clear(dst[r*width+cols : (r+1)*width])
		}
	}
}

// transposeBlock is packTransposed in plain Go, a stretch of rows at a time so
// that what is written stays in L1.
func transposeBlock[T Float](dst, src []T, ld, rows, cols, width int) {
	const stretch = 64
	for r0 := 0; r0 < rows; r0 += stretch {
		n := min(stretch, rows-r0)
		for c := range cols {
			from := src[c*ld+r0 : c*ld+r0+n]
			to := dst[r0*width+c:]
			for r, v := range from {
				to[r*width] = v
			}
		}
	}
}

// gather copies rows values at each of len(dst)/rows places of src, step apart.
// dst must have room for a vector more.
func gather[T Float](set *simd.Set, dst, src []T, step, rows int) {
	n := len(dst) / rows
	if set != nil {
		set.Gather(start(dst), start(src), step*4, n, rows)
		return
	}
	for i := range n {
		copy(dst[i*rows:(i+1)*rows], src[i*step:])
	}
}

// Repack lays out another K×N matrix with rows ldb apart in p's place, so that
// a matrix whose values change, as weights in training do, is packed over and
// over into the same memory. Nobody may use p meanwhile.
func (p *Packed[T]) Repack(b []T, ldb int) {
	checkMatrix("Repack", "B", len(b), p.K, p.N, ldb)
	p.repack(source[T]{data: b, ld: ldb})
}

// RepackT is Repack of the transpose of an N×K matrix.
func (p *Packed[T]) RepackT(b []T, ldb int) {
	checkMatrix("RepackT", "B", len(b), p.N, p.K, ldb)
	p.repack(source[T]{data: b, ld: ldb, trans: true})
}

// repack packs for the numeric path now in use; another may need more memory.
func (p *Packed[T]) repack(b source[T]) {
	buf, on := p.p.data[:cap(p.p.data)], pathFor[T]()
	if len(buf) < panelsSize(on, p.K, p.N) {
		buf = nil
	}
	p.p = newPanels(on, p.p.blocks, p.N, buf)
	p.p.fill(b, 0)
}
