package frames

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// emphasise widens 16-bit samples and takes a share of the one before off.
func (f *writer) emphasise() {
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
	f.ADDQ(operand.U32(2*f.lanes), x)
	f.ADDQ(operand.U32(f.bytes()), y)
	f.SUBQ(operand.U32(f.lanes), n)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}

// window turns squares of frames by samples, so that the frames lie in lanes,
// and multiplies by the window's weights.
func (f *writer) window() {
	f.begin("Window", "func(src, dst, win *float64, hop, n int)")
	src, dst, win, hop, n := f.arg("src"), f.arg("dst"), f.arg("win"), f.arg("hop"), f.arg("n")
	at := f.GP64()
	f.Label("loop")
	f.MOVQ(src, at)
	rows := make([]reg.VecVirtual, f.lanes)
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
	f.ADDQ(operand.U32(f.lanes*f.bytes()), dst)
	f.ADDQ(operand.U32(f.lanes*double), win)
	f.SUBQ(operand.U32(f.lanes), n)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}

// transposed interleaves pairs of rows, then puts the 128-bit parts in place.
func (f *writer) transposed(rows []reg.VecVirtual) []reg.VecVirtual {
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
func (f *writer) bank() {
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
func (f *writer) weigh(k operand.Mem, x, s reg.VecVirtual) {
	if f.wide() {
		f.VFMADD231PD_BCST(k, x, s)
		return
	}
	f.VFMADD231PD(f.broadcast(k), x, s)
}

// matrix makes rows of the product eight at a time.
func (f *writer) matrix() {
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
