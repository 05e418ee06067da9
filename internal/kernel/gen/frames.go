package main

import (
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// frames writes the functions of simd.FrameSet: float64, a frame of sound in
// each lane. simd/frames.go says what each computes; package spectra has the
// same once more in plain Go, operation by operation.
type frames struct {
	*build.Context
	*isa
	table []uint64 // factors, for the table of the file
}

const (
	frameTable = "frameFactors"
	double     = 8 // bytes
)

// frameFunctions are the fields of simd.FrameSet that are functions.
var frameFunctions = []string{"Emphasise", "Window", "DFT19", "DFT29", "Pass2", "Pass3", "Pass4", "Pass5", "Split", "Spread", "Turn", "Bank", "Log", "Matrix"}

func framesOf(ctx *build.Context, s *isa) {
	f := &frames{Context: ctx, isa: s}
	f.emphasise()
	f.window()
	f.dft19()
	f.dft29()
	for _, radix := range []int{2, 3, 4, 5} {
		f.pass(radix)
	}
	f.split()
	f.spread()
	f.turnAll()
	f.bank()
	f.log()
	f.matrix()
	f.StaticGlobal(frameTable)
	f.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, k := range f.table {
		for range f.copies() {
			f.AppendDatum(operand.U64(k))
		}
	}
}

// across is how many float64 a vector holds.
func (f *frames) across() int { return f.lanes / 2 }

func (f *frames) wide() bool { return f.lanes == 16 }

// begin opens a function.
func (f *frames) begin(name, signature string) {
	f.Function(f.isa.name + "Frames" + name)
	f.Attributes(attr.NOSPLIT)
	f.Doc(f.isa.name + "Frames" + name + " is a FrameSet." + name + ".")
	f.Pragma("noescape")
	f.SignatureExpr(signature)
}

func (f *frames) end() {
	f.VZEROUPPER()
	f.RET()
}

// arg loads an argument into a register.
func (f *frames) arg(name string) reg.Register { return f.Load(f.Param(name), f.GP64()) }

// new is a vector register.
func (f *frames) new() reg.VecVirtual {
	if f.wide() {
		return f.ZMM()
	}
	return f.YMM()
}

// at is vector i from base on.
func (f *frames) at(base reg.Register, i int) operand.Mem {
	return operand.Mem{Base: base, Disp: i * f.bytes()}
}

func (f *frames) load(m operand.Mem) reg.VecVirtual {
	r := f.new()
	f.VMOVUPD(m, r)
	return r
}

func (f *frames) store(r reg.VecVirtual, m operand.Mem) { f.VMOVUPD(r, m) }

// broadcast is one float64 of memory in all lanes.
func (f *frames) broadcast(m operand.Mem) reg.VecVirtual {
	r := f.new()
	f.VBROADCASTSD(m, r)
	return r
}

func (f *frames) add(a, b reg.VecVirtual) reg.VecVirtual {
	r := f.new()
	f.VADDPD(b, a, r)
	return r
}

func (f *frames) sub(a, b reg.VecVirtual) reg.VecVirtual {
	r := f.new()
	f.VSUBPD(b, a, r)
	return r
}

func (f *frames) mul(k operand.Op, a reg.VecVirtual) reg.VecVirtual {
	r := f.new()
	f.VMULPD(k, a, r)
	return r
}

func (f *frames) copy(a reg.VecVirtual) reg.VecVirtual {
	r := f.new()
	f.VMOVAPD(a, r)
	return r
}

func (f *frames) zeroed() reg.VecVirtual {
	r := f.new()
	if f.wide() {
		f.VPXORQ(r, r, r)
	} else {
		f.VXORPD(r, r, r)
	}
	return r
}

// copies is how often a factor is in the table: AVX-512 broadcasts it from one,
// for whole vectors would lie across cache lines, a symbol being aligned to 32
// bytes at most.
func (f *frames) copies() int {
	if f.wide() {
		return 1
	}
	return f.across()
}

// by emits an operation whose first operand is factor k.
func (f *frames) by(k float64, narrow, wide func(...operand.Op), ops ...operand.Op) {
	f.byBits(bits(k), narrow, wide, ops...)
}

func (f *frames) byBits(k uint64, narrow, wide func(...operand.Op), ops ...operand.Op) {
	if !f.wide() {
		wide = narrow
	}
	wide(append([]operand.Op{f.factorBits(k)}, ops...)...)
}

// plusBy adds k times x to s, minusBy takes it off.
func (f *frames) plusBy(k float64, x, s reg.VecVirtual) {
	f.by(k, f.VFMADD231PD, f.VFMADD231PD_BCST, x, s)
}

func (f *frames) minusBy(k float64, x, s reg.VecVirtual) {
	f.by(k, f.VFNMADD231PD, f.VFNMADD231PD_BCST, x, s)
}

func (f *frames) timesBy(k float64, x, to reg.VecVirtual) {
	f.by(k, f.VMULPD, f.VMULPD_BCST, x, to)
}

func (f *frames) factorBits(k uint64) operand.Mem {
	i := slices.Index(f.table, k)
	if i < 0 {
		i = len(f.table)
		f.table = append(f.table, k)
	}
	return operand.NewDataAddr(operand.NewStaticSymbol(frameTable), i*f.copies()*double)
}

// emphasise widens 16-bit samples and takes a share of the one before off.
func (f *frames) emphasise() {
	f.begin("Emphasise", "func(x *int16, y *float64, a float64, n int)")
	x, y, n := f.arg("x"), f.arg("y"), f.arg("n")
	a := f.broadcast(operand.NewParamAddr("a", 16))
	widen := func(disp int) reg.VecVirtual {
		r, m := f.new(), operand.Mem{Base: x, Disp: disp}
		if f.wide() {
			half := f.YMM()
			f.VPMOVSXWD(m, half)
			f.VCVTDQ2PD(half, r)
		} else {
			half := f.XMM()
			f.VPMOVSXWD(m, half)
			f.VCVTDQ2PD(half, r)
		}
		return r
	}
	f.Label("loop")
	before, now := widen(0), widen(2)
	f.store(f.sub(now, f.mul(a, before)), f.at(y, 0))
	f.ADDQ(operand.U32(2*f.across()), x)
	f.ADDQ(operand.U32(f.bytes()), y)
	f.SUBQ(operand.U32(f.across()), n)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}

// window turns squares of frames by samples, so that the frames lie in lanes,
// and multiplies by the window's weights.
func (f *frames) window() {
	f.begin("Window", "func(src, dst, win *float64, hop, n int)")
	src, dst, win, hop, n := f.arg("src"), f.arg("dst"), f.arg("win"), f.arg("hop"), f.arg("n")
	at := f.GP64()
	f.Label("loop")
	f.MOVQ(src, at)
	rows := make([]reg.VecVirtual, f.across())
	for i := range rows {
		rows[i] = f.load(operand.Mem{Base: at})
		if i < len(rows)-1 {
			f.ADDQ(hop, at)
		}
	}
	for i, r := range f.transposed(rows) {
		weight := operand.Mem{Base: win, Disp: i * double}
		if f.wide() {
			f.VMULPD_BCST(weight, r, r)
		} else {
			f.VMULPD(f.broadcast(weight), r, r)
		}
		f.store(r, f.at(dst, i))
	}
	f.ADDQ(operand.U32(f.bytes()), src)
	f.ADDQ(operand.U32(f.across()*f.bytes()), dst)
	f.ADDQ(operand.U32(f.across()*double), win)
	f.SUBQ(operand.U32(f.across()), n)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}

// transposed interleaves pairs of rows, then puts the 128-bit parts in place.
func (f *frames) transposed(rows []reg.VecVirtual) []reg.VecVirtual {
	pairs := make([][2]reg.VecVirtual, len(rows)/2) // even and odd columns of two rows
	for i := range pairs {
		pairs[i] = [2]reg.VecVirtual{f.new(), f.new()}
		f.VUNPCKLPD(rows[2*i+1], rows[2*i], pairs[i][0])
		f.VUNPCKHPD(rows[2*i+1], rows[2*i], pairs[i][1])
	}
	cols := make([]reg.VecVirtual, len(rows))
	for odd := range 2 {
		if !f.wide() {
			for part, imm := range []operand.Constant{operand.Imm(0x20), operand.Imm(0x31)} {
				cols[2*part+odd] = f.new()
				f.VPERM2F128(imm, pairs[1][odd], pairs[0][odd], cols[2*part+odd])
			}
			continue
		}
		const even, uneven = 0x88, 0xdd // parts 0 and 2, or 1 and 3, of both operands
		for i, imm := range []operand.Constant{operand.Imm(even), operand.Imm(uneven)} {
			lo, hi := f.new(), f.new()
			f.VSHUFF64X2(imm, pairs[1][odd], pairs[0][odd], lo)
			f.VSHUFF64X2(imm, pairs[3][odd], pairs[2][odd], hi)
			cols[2*i+odd], cols[2*(i+2)+odd] = f.new(), f.new()
			f.VSHUFF64X2(operand.Imm(even), hi, lo, cols[2*i+odd])
			f.VSHUFF64X2(operand.Imm(uneven), hi, lo, cols[2*(i+2)+odd])
		}
	}
	return cols
}

// bank adds up runs of weighted bins, in four strands.
func (f *frames) bank() {
	f.begin("Bank", "func(power, weights, out *float64, runs *int, n int)")
	power, weights, out, runs, n := f.arg("power"), f.arg("weights"), f.arg("out"), f.arg("runs"), f.arg("n")
	at, left := f.GP64(), f.GP64()
	f.Label("filter")
	f.MOVQ(operand.Mem{Base: runs}, at)
	f.ADDQ(power, at)
	f.MOVQ(operand.Mem{Base: runs, Disp: 8}, left)
	acc := []reg.VecVirtual{f.zeroed(), f.zeroed(), f.zeroed(), f.zeroed()}
	f.SUBQ(operand.Imm(4), left)
	f.JLT(operand.LabelRef("rest"))
	f.Label("four")
	for i, s := range acc {
		f.weigh(operand.Mem{Base: weights, Disp: i * double}, f.load(f.at(at, i)), s)
	}
	f.ADDQ(operand.U32(4*f.bytes()), at)
	f.ADDQ(operand.Imm(4*double), weights)
	f.SUBQ(operand.Imm(4), left)
	f.JGE(operand.LabelRef("four"))
	f.Label("rest")
	f.ADDQ(operand.Imm(4), left)
	f.JZ(operand.LabelRef("sum"))
	f.Label("one")
	f.weigh(operand.Mem{Base: weights}, f.load(f.at(at, 0)), acc[0])
	f.ADDQ(operand.U32(f.bytes()), at)
	f.ADDQ(operand.Imm(double), weights)
	f.DECQ(left)
	f.JNZ(operand.LabelRef("one"))
	f.Label("sum")
	f.store(f.add(f.add(acc[0], acc[1]), f.add(acc[2], acc[3])), f.at(out, 0))
	f.ADDQ(operand.U32(f.bytes()), out)
	f.ADDQ(operand.Imm(2*double), runs)
	f.DECQ(n)
	f.JNZ(operand.LabelRef("filter"))
	f.end()
}

// weigh adds x times the float64 at k to s.
func (f *frames) weigh(k operand.Mem, x, s reg.VecVirtual) {
	if f.wide() {
		f.VFMADD231PD_BCST(k, x, s)
		return
	}
	f.VFMADD231PD(f.broadcast(k), x, s)
}

// matrix makes rows of the product eight at a time.
func (f *frames) matrix() {
	f.begin("Matrix", "func(m, x, y *float64, cols, n int)")
	m, x, y, cols, n := f.arg("m"), f.arg("x"), f.arg("y"), f.arg("cols"), f.arg("n")
	at, left := f.GP64(), f.GP64()
	f.Label("block")
	var acc [8]reg.VecVirtual
	for i := range acc {
		acc[i] = f.zeroed()
	}
	f.MOVQ(x, at)
	f.MOVQ(cols, left)
	f.Label("column")
	v := f.load(f.at(at, 0))
	for i, s := range acc {
		f.weigh(operand.Mem{Base: m, Disp: i * double}, v, s)
	}
	f.ADDQ(operand.U32(f.bytes()), at)
	f.ADDQ(operand.Imm(8*double), m)
	f.DECQ(left)
	f.JNZ(operand.LabelRef("column"))
	for i, s := range acc {
		f.store(s, f.at(y, i))
	}
	f.ADDQ(operand.U32(8*f.bytes()), y)
	f.DECQ(n)
	f.JNZ(operand.LabelRef("block"))
	f.end()
}

// log21 are the factors of atanh's series, to the 21st power.
func log21() []float64 {
	var out []float64
	for k := 21; k >= 3; k -= 2 {
		out = append(out, 2/float64(k))
	}
	return out
}

func (f *frames) log() {
	f.begin("Log", "func(x *float64, at, to float64, n int)")
	const lessOrEqual = 18
	x, n := f.arg("x"), f.arg("n")
	at, to := f.broadcast(operand.NewParamAddr("at", 8)), f.broadcast(operand.NewParamAddr("to", 16))
	f.Label("loop")
	v := f.load(f.at(x, 0))
	if f.wide() {
		f.VCMPPD(operand.Imm(lessOrEqual), at, v, reg.K1)
		f.VMOVAPD(to, reg.K1, v)
	} else {
		mask := f.new()
		f.VCMPPD(operand.Imm(lessOrEqual), at, v, mask)
		f.VBLENDVPD(mask, to, v, v)
	}
	m, k := f.new(), f.new()
	f.byBits(toRootHalf, f.VPADDQ, f.VPADDQ_BCST, v, m)
	f.VPSRLQ(operand.Imm(52), m, k)
	f.byBits(twoTo52, threeOf(f.VPOR), f.VPORQ_BCST, k, k)
	f.byBits(biased, f.VSUBPD, f.VSUBPD_BCST, k, k)
	f.byBits(mantissa, threeOf(f.VPAND), f.VPANDQ_BCST, m, m)
	f.byBits(rootHalf, f.VPADDQ, f.VPADDQ_BCST, m, m)
	s, d := f.new(), f.new()
	f.by(1, f.VADDPD, f.VADDPD_BCST, m, d)
	f.by(1, f.VSUBPD, f.VSUBPD_BCST, m, s)
	f.VDIVPD(d, s, s)
	z, p := f.mul(s, s), f.new()
	series := log21()
	f.VBROADCASTSD(f.factorBits(bits(series[0])), p)
	for _, c := range series[1:] {
		f.by(c, f.VFMADD213PD, f.VFMADD213PD_BCST, z, p) // p = p*z + c
	}
	f.VMULPD(z, p, p)
	f.by(2, f.VADDPD, f.VADDPD_BCST, p, p)
	f.VMULPD(s, p, p)
	f.plusBy(math.Ln2, k, p)
	f.store(p, f.at(x, 0))
	f.ADDQ(operand.U32(f.bytes()), x)
	f.DECQ(n)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}

// threeOf is an instruction of three operands as those are that take masks, too.
func threeOf(op func(a, b, c operand.Op)) func(...operand.Op) {
	return func(ops ...operand.Op) { op(ops[0], ops[1], ops[2]) }
}
