package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Kinds of tile, by how they read A.
const (
	strided = "Strided"
	packed  = "Packed"
)

const (
	float  = 4 // bytes
	unroll = 4 // steps of k in the main loop
	// ahead is how far B is fetched before it is used: 64 rows of a 32-wide
	// panel, which take longer than memory answers. Where B lies in L2 an
	// eighth would do as well; weights of 40 MB, used for a few rows each,
	// stream in at twice the rate, and at the end of a panel it is the next
	// that is fetched. It must fit into L1 beside the rows of A.
	ahead = 8192
)

// An isa is an instruction set as the tiles see it.
type isa struct {
	name  string
	lanes int
	mr    int // rows of the largest tile
	nv    int // vectors across it
	vec   []reg.VecPhysical
	zero  func(t *tile, v reg.VecPhysical)
	// mask makes the mask of n valid columns; loadTail and storeTail move them.
	// It uses RAX and RCX.
	mask      func(t *tile, n reg.GPPhysical)
	loadTail  func(t *tile, from operand.Mem, to reg.VecPhysical)
	storeTail func(t *tile, from reg.VecPhysical, to operand.Mem)
	table     func(ctx *build.Context) // constants, in each file
	// fmaMemory is whether an FMA can broadcast its factor from memory.
	fmaMemory bool
}

func (s *isa) bytes() int { return s.lanes * float }

func (s *isa) tileName(kind string, mr, nv int) string {
	return fmt.Sprintf("%s%s%dx%d", s.name, kind, mr, nv)
}

// A tile is the state of writing one tile function.
type tile struct {
	*build.Context
	*isa
	kind string
	rows int
	cols int // in vectors
	acc  []reg.VecPhysical
	b    []reg.VecPhysical
	tmp  []reg.VecPhysical
}

// Registers of the integer side. A has a pointer for each three rows, the
// others being one and two lda further.
var (
	regK    = reg.RCX
	regA    = []reg.GPPhysical{reg.R8, reg.R10, reg.R11, reg.R12, reg.R13}
	regLDA  = reg.RSI
	regB    = reg.R9
	regSegs = reg.RBX
	regC    = reg.RDI
	regLDC  = reg.RDX
	regTmp  = reg.RAX
)

func tiles(ctx *build.Context, s *isa) {
	for _, kind := range []string{strided, packed} {
		for nv := 1; nv <= s.nv; nv++ {
			for mr := 1; mr <= s.mr; mr++ {
				n := mr * nv
				t := &tile{Context: ctx, isa: s, kind: kind, rows: mr, cols: nv,
					acc: s.vec[:n], b: s.vec[n : n+nv], tmp: s.vec[n+nv:]}
				t.emit()
			}
		}
	}
}

// peak writes a loop of FMAs that touch no memory, for benchmarks: as many sums
// as there are registers hide the latency of any unit.
func peak(ctx *build.Context, s *isa) {
	ctx.Function(s.name + "Peak")
	ctx.Attributes(attr.NOSPLIT)
	ctx.Doc(s.name + "Peak does n rounds of peakFMAs independent FMAs.")
	ctx.SignatureExpr("func(n int)")
	ctx.Load(ctx.Param("n"), regK)
	ctx.Label("loop")
	for i := range peakFMAs {
		v := s.vec[i%(len(s.vec)-2)]
		ctx.VFMADD231PS(s.vec[len(s.vec)-1], s.vec[len(s.vec)-2], v)
	}
	ctx.DECQ(regK)
	ctx.JNZ(operand.LabelRef("loop"))
	ctx.VZEROUPPER()
	ctx.RET()
}

// peakFMAs is a multiple of both 30 and 14, the sums in flight.
const peakFMAs = 210

func (t *tile) emit() {
	t.Function(t.tileName(t.kind, t.rows, t.cols))
	t.Attributes(attr.NOSPLIT)
	t.Doc(fmt.Sprintf("%s is a %s Tile of %d rows by %d vectors.", t.tileName(t.kind, t.rows, t.cols), t.kind, t.rows, t.cols))
	t.Pragma("noescape")
	t.SignatureExpr("func(k, segs int, a *float32, lda, aseg int, b, c *float32, ldc, flags, tail int, bias *float32)")
	t.Load(t.Param("a"), regA[0])
	t.Load(t.Param("b"), regB)
	t.Load(t.Param("c"), regC)
	t.Load(t.Param("ldc"), regLDC)
	for _, v := range t.acc {
		t.zero(t, v)
	}
	t.prefetchC()
	if t.kind == strided {
		t.rowPointers()
		t.Load(t.Param("segs"), regSegs)
		t.Label("segment")
	}
	t.loops()
	if t.kind == strided {
		t.nextSegment()
	}
	t.finish()
	t.VZEROUPPER()
	t.RET()
}

// prefetchC asks for the lines of C, which are needed only at the end.
func (t *tile) prefetchC() {
	t.MOVQ(regC, regTmp)
	for i := range t.rows {
		for j := range t.cols {
			t.PREFETCHT0(operand.Mem{Base: regTmp, Disp: j * t.bytes()})
		}
		if i < t.rows-1 {
			t.ADDQ(regLDC, regTmp)
		}
	}
}

func (t *tile) pointers() []reg.GPPhysical {
	if t.kind == packed {
		return regA[:1]
	}
	return regA[:(t.rows+2)/3]
}

func (t *tile) rowPointers() {
	t.Load(t.Param("lda"), regLDA)
	p := t.pointers()
	if len(p) > 1 {
		t.LEAQ(operand.Mem{Base: regLDA, Index: regLDA, Scale: 2}, regTmp)
	}
	for i := 1; i < len(p); i++ {
		t.LEAQ(operand.Mem{Base: p[i-1], Index: regTmp, Scale: 1}, p[i])
	}
}

// loops runs over the k of a segment.
func (t *tile) loops() {
	t.Load(t.Param("k"), regK)
	t.SUBQ(operand.Imm(unroll), regK)
	t.JLT(operand.LabelRef("rest"))
	t.Label("loop")
	for u := range unroll {
		t.step(u)
	}
	t.advance(unroll)
	t.SUBQ(operand.Imm(unroll), regK)
	t.JGE(operand.LabelRef("loop"))
	t.Label("rest")
	t.ADDQ(operand.Imm(unroll), regK)
	t.JZ(operand.LabelRef("summed"))
	t.Label("single")
	t.step(0)
	t.advance(1)
	t.DECQ(regK)
	t.JNZ(operand.LabelRef("single"))
	t.Label("summed")
}

// step adds the products of one k, u steps after the pointers.
func (t *tile) step(u int) {
	for j, v := range t.b {
		t.VMOVUPS(operand.Mem{Base: regB, Disp: (u*t.cols + j) * t.bytes()}, v)
	}
	for line := u * t.cols * t.bytes(); line < (u+1)*t.cols*t.bytes(); line += 64 {
		if line%64 == 0 {
			t.PREFETCHT0(operand.Mem{Base: regB, Disp: line + ahead})
		}
	}
	for i := range t.rows {
		if t.fmaMemory && t.cols == 1 {
			t.VFMADD231PS_BCST(t.element(i, u), t.b[0], t.acc[i])
			continue
		}
		x := t.tmp[i%len(t.tmp)]
		t.VBROADCASTSS(t.element(i, u), x)
		for j, v := range t.b {
			t.VFMADD231PS(v, x, t.acc[i*t.cols+j])
		}
	}
}

// element is A(i, k+u).
func (t *tile) element(i, u int) operand.Mem {
	if t.kind == packed {
		return operand.Mem{Base: regA[0], Disp: (u*t.rows + i) * float}
	}
	m := operand.Mem{Base: regA[i/3], Disp: u * float}
	if i%3 > 0 {
		m.Index, m.Scale = regLDA, uint8(i%3)
	}
	return m
}

func (t *tile) advance(steps int) {
	by := steps * float
	if t.kind == packed {
		by *= t.rows
	}
	for _, p := range t.pointers() {
		t.ADDQ(operand.U32(by), p)
	}
	t.ADDQ(operand.U32(steps*t.cols*t.bytes()), regB)
}

// nextSegment moves A from the end of one segment to the start of the next.
func (t *tile) nextSegment() {
	t.DECQ(regSegs)
	t.JZ(operand.LabelRef("finish"))
	t.Load(t.Param("aseg"), regTmp)
	t.Load(t.Param("k"), regK)
	t.SHLQ(operand.Imm(2), regK)
	t.SUBQ(regK, regTmp)
	for _, p := range t.pointers() {
		t.ADDQ(regTmp, p)
	}
	t.JMP(operand.LabelRef("segment"))
	t.Label("finish")
}

// finish adds C and bias, cuts at zero and stores. The registers of B and tmp
// are free by now.
func (t *tile) finish() {
	t.Load(t.Param("tail"), reg.RBX)
	t.mask(t, reg.RBX)
	flags := reg.RBX
	t.Load(t.Param("flags"), flags)
	t.TESTQ(operand.U32(1), flags)
	t.JZ(operand.LabelRef("bias"))
	t.MOVQ(regC, regTmp)
	x := t.b[0]
	for i := range t.rows {
		for j := range t.cols {
			t.loadColumn(regTmp, j, x)
			t.VADDPS(x, t.acc[i*t.cols+j], t.acc[i*t.cols+j])
		}
		t.ADDQ(regLDC, regTmp)
	}
	t.Label("bias")
	t.Load(t.Param("bias"), regTmp)
	t.TESTQ(regTmp, regTmp)
	t.JZ(operand.LabelRef("relu"))
	for j, v := range t.b {
		t.loadColumn(regTmp, j, v)
	}
	for i, v := range t.acc {
		t.VADDPS(t.b[i%t.cols], v, v)
	}
	t.Label("relu")
	t.TESTQ(operand.U32(2), flags)
	t.JZ(operand.LabelRef("store"))
	t.zero(t, x)
	for _, v := range t.acc { // max(0, v) gives its second operand, v, for NaN
		t.VMAXPS(v, x, v)
	}
	t.Label("store")
	t.store()
}

func (t *tile) loadColumn(base reg.Register, j int, to reg.VecPhysical) {
	from := operand.Mem{Base: base, Disp: j * t.bytes()}
	if j == t.cols-1 {
		t.loadTail(t, from, to)
		return
	}
	t.VMOVUPS(from, to)
}

func (t *tile) store() {
	for i := range t.rows {
		for j := range t.cols {
			to := operand.Mem{Base: regC, Disp: j * t.bytes()}
			if v := t.acc[i*t.cols+j]; j == t.cols-1 {
				t.storeTail(t, v, to)
			} else {
				t.VMOVUPS(v, to)
			}
		}
		if i < t.rows-1 {
			t.ADDQ(regLDC, regC)
		}
	}
}
