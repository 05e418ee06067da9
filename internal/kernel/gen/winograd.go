package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The transforms of Winograd's F(4x4,3x3): see kernel.Winograd for what they
// compute. A function takes one tile and goes along its channels, a vector of
// them at a time: it transforms the columns of the tile into tmp and then the
// rows of tmp. The products by 4 and 2 are exact, so that an FMA rounds as a
// product and a sum do, and the bits are those of the plain Go twin.

const winogradSide = 6 // of a tile before and of a tile in the domain of the products

func winograd(v *vector) {
	v.winogradIn()
	v.winogradOut("WinogradOut", false)
	v.winogradOut("WinogradPool", true)
	v.onPieces("WinogradTaps", "w", "u", winogradTaps())
	v.onPieces("WinogradGrad", "p", "dw", winogradGrad())
	v.throughTmp("WinogradSpread", 4*4, winogradSide*winogradSide, winogradSpread())
	v.factorTable()
}

// square applies f to the columns of side x side inputs, and then to the rows.
func square(w *network, side int, f func(w *network, x []*expr) []*expr) []*expr {
	var columns [][]*expr
	for x := range side {
		var column []*expr
		for y := range side {
			column = append(column, w.input(y*side+x))
		}
		columns = append(columns, f(w, column))
	}
	var outs []*expr
	for y := range columns[0] {
		var row []*expr
		for _, c := range columns {
			row = append(row, c[y])
		}
		outs = append(outs, f(w, row)...)
	}
	return outs
}

// winogradG is G·g for three taps.
func winogradG(w *network, g []*expr) []*expr {
	even, odd := w.scale(1./6, w.add(g[0], g[2])), w.scale(1./6, g[1])
	near, far := w.add(w.scale(1./24, g[0]), w.scale(1./6, g[2])), w.scale(1./12, g[1])
	return []*expr{
		w.scale(1./4, g[0]), w.neg(w.add(even, odd)), w.sub(odd, even), w.add(near, far), w.sub(near, far), g[2],
	}
}

func winogradTaps() []*expr { return square(newNetwork(), 3, winogradG) }

// winogradGrad is the transpose of winogradTaps.
func winogradGrad() []*expr {
	w, to := newNetwork(), newNetwork()
	outs := square(w, 3, winogradG)
	var given []*expr
	for i := range outs {
		given = append(given, to.input(i))
	}
	return w.transpose(outs, given, to, 3*3)
}

// winogradSpread is A·d·At for a gradient of 4x4 pixels.
func winogradSpread() []*expr {
	return square(newNetwork(), 4, func(w *network, d []*expr) []*expr {
		even, odd := w.add(d[0], d[2]), w.add(d[1], d[3])
		even2, odd2 := w.add(d[0], w.scale(4, d[2])), w.scale(2, w.add(d[1], w.scale(4, d[3])))
		return []*expr{d[0], w.add(even, odd), w.sub(even, odd), w.add(even2, odd2), w.sub(even2, odd2), d[3]}
	})
}

// constant sets all lanes of r to the float32 of these bits, by RAX and register 0.
func (v *vector) constant(bits uint32, r reg.VecPhysical) {
	v.MOVL(operand.U32(bits), reg.EAX)
	v.VMOVD(reg.EAX, reg.X0)
	v.VBROADCASTSS(reg.X0, r)
}

const fourBits = 0x40800000

// walk emits f for n places from base on, step (a register) apart.
func (v *vector) walk(base, at, step reg.GPPhysical, n int, f func(i int, m operand.Mem)) {
	v.MOVQ(base, at)
	for i := range n {
		f(i, operand.Mem{Base: at})
		if i < n-1 {
			v.ADDQ(step, at)
		}
	}
}

// tmpAt is where value (y, x) of the half transformed tile lies.
func (v *vector) tmpAt(y, x int) operand.Mem {
	return operand.Mem{Base: v.ptrs["tmp"], Disp: (y*winogradSide + x) * v.bytes()}
}

func (v *vector) winogradIn() {
	v.begin("WinogradIn", "func(src, dst, tmp *float32, row, col, pos, n int)", "src", "dst", "tmp")
	row, col, pos, at := reg.RSI, reg.RDI, reg.RDX, regTmp
	v.Load(v.Param("row"), row)
	v.Load(v.Param("col"), col)
	v.Load(v.Param("pos"), pos)
	d := v.vec[:winogradSide]
	v.constant(fourBits, v.vec[8])
	v.Label("loop")
	v.walk(v.ptrs["src"], reg.RBX, col, winogradSide, func(x int, top operand.Mem) {
		v.walk(reg.RBX, at, row, winogradSide, func(y int, m operand.Mem) { v.VMOVUPS(m, d[y]) })
		v.forward1D()
		for y := range d {
			v.VMOVUPS(d[y], v.tmpAt(y, x))
		}
	})
	v.MOVQ(v.ptrs["dst"], at)
	for y := range winogradSide {
		for x := range d {
			v.VMOVUPS(v.tmpAt(y, x), d[x])
		}
		v.forward1D()
		for x := range d {
			v.VMOVUPS(d[x], operand.Mem{Base: at})
			if y < winogradSide-1 || x < winogradSide-1 {
				v.ADDQ(pos, at)
			}
		}
	}
	v.next("src", "dst")
}

// next goes on to the next vector of channels and closes the function.
func (v *vector) next(moving ...string) {
	for _, s := range moving {
		v.ADDQ(operand.U32(v.bytes()), v.ptrs[s])
	}
	v.SUBQ(operand.U32(v.lanes), regK)
	v.JNZ(operand.LabelRef("loop"))
	v.end()
}

// forward1D is kernel.winogradIn1D on registers 0 to 5, in place, with 4 in
// register 8.
func (v *vector) forward1D() {
	d, c, e, four := v.vec, v.vec[6], v.vec[7], v.vec[8]
	v.VSUBPS(d[2], d[4], c)
	v.VSUBPS(d[1], d[3], e)
	v.VSUBPS(d[2], d[0], d[0])
	v.VFMADD213PS(c, four, d[0]) // t0 = 4(d0-d2) + (d4-d2)
	v.VSUBPS(d[3], d[5], d[5])
	v.VFNMADD231PS(e, four, d[5])    // t5 = (d5-d3) - 4(d3-d1)
	v.VFNMADD231PS(d[2], four, d[4]) // a = d4 - 4d2
	v.VFNMADD231PS(d[1], four, d[3]) // b = d3 - 4d1
	v.VADDPS(d[3], d[4], d[1])       // t1 = a + b
	v.VSUBPS(d[3], d[4], d[2])       // t2 = a - b
	v.VADDPS(e, e, e)
	v.VADDPS(e, c, d[3]) // t3 = (d4-d2) + 2(d3-d1)
	v.VSUBPS(e, c, d[4]) // t4 = (d4-d2) - 2(d3-d1)
}

// inverse1D is kernel.winogradOut1D on registers 0 to 5, with 4 in register 8.
// It returns where the four results are.
func (v *vector) inverse1D() [4]reg.VecPhysical {
	m, s, d, four := v.vec, v.vec[6], v.vec[7], v.vec[8]
	v.VADDPS(m[2], m[1], s)
	v.VSUBPS(m[2], m[1], d)
	v.VADDPS(m[4], m[3], m[1])
	v.VSUBPS(m[4], m[3], m[2])
	v.VADDPS(s, m[0], m[0])
	v.VADDPS(m[1], m[0], m[0]) // y0 = m0 + (m1+m2) + (m3+m4)
	v.VADDPS(m[2], m[2], m[2]) // 2(m3-m4)
	v.VADDPS(m[5], d, m[5])
	v.VFMADD231PS(m[2], four, m[5]) // y3 = (m1-m2) + m5 + 8(m3-m4)
	v.VADDPS(m[2], d, d)            // y1 = (m1-m2) + 2(m3-m4)
	v.VFMADD231PS(m[1], four, s)    // y2 = (m1+m2) + 4(m3+m4)
	return [4]reg.VecPhysical{m[0], d, s, m[5]}
}

func (v *vector) winogradOut(name string, pool bool) {
	v.begin(name, "func(src, dst, tmp, bias *float32, pos, row, col int, floor float32, n int)", "src", "dst", "tmp", "bias")
	pos, row, col, at, column := reg.RDX, reg.RSI, reg.RDI, regTmp, reg.RBX
	v.Load(v.Param("pos"), pos)
	v.Load(v.Param("row"), row)
	v.Load(v.Param("col"), col)
	v.constant(fourBits, v.vec[8])
	bias, floor := v.vec[9], v.vec[10]
	v.VBROADCASTSS(operand.NewParamAddr("floor", 56), floor)
	down := reg.R12 // a row of positions further
	v.LEAQ(operand.Mem{Base: pos, Index: pos, Scale: 2}, down)
	v.ADDQ(down, down)
	v.Label("loop")
	v.walk(v.ptrs["src"], column, pos, winogradSide, func(x int, _ operand.Mem) {
		v.walk(column, at, down, winogradSide, func(y int, m operand.Mem) { v.VMOVUPS(m, v.vec[y]) })
		for y, r := range v.inverse1D() {
			v.VMOVUPS(r, v.tmpAt(y, x))
		}
	})
	v.VMOVUPS(v.at("bias"), bias)
	v.MOVQ(v.ptrs["dst"], column)
	for y := range 4 {
		for x := range winogradSide {
			v.VMOVUPS(v.tmpAt(y, x), v.vec[x])
		}
		out := v.inverse1D()
		if pool {
			v.poolRow(y, out, bias, floor, column, row, col)
			continue
		}
		v.walk(column, at, col, 4, func(x int, to operand.Mem) { v.finish(out[x], bias, floor, to) })
		if y < 3 {
			v.ADDQ(row, column)
		}
	}
	v.next("src", "dst", "bias")
}

// finish adds the bias, cuts at floor and stores: max gives its second
// operand, r, for NaN.
func (v *vector) finish(r, bias, floor reg.VecPhysical, to operand.Mem) {
	v.VADDPS(bias, r, r)
	v.VMAXPS(r, floor, r)
	v.VMOVUPS(r, to)
}

// poolRow takes the maxima of row y by two columns; after an odd row, of both
// rows, and stores them. Bias and floor come last, for they keep the order.
func (v *vector) poolRow(y int, out [4]reg.VecPhysical, bias, floor reg.VecPhysical, to, row, col reg.GPPhysical) {
	keep, tmp := v.vec[11:13], v.vec[13]
	v.maxNaN(out[0], out[1], out[0], tmp)
	v.maxNaN(out[2], out[3], out[2], tmp)
	if y%2 == 0 {
		v.VMOVAPS(out[0], keep[0])
		v.VMOVAPS(out[2], keep[1])
		return
	}
	v.maxNaN(keep[0], out[0], out[0], tmp)
	v.maxNaN(keep[1], out[2], out[2], tmp)
	v.finish(out[0], bias, floor, operand.Mem{Base: to})
	v.finish(out[2], bias, floor, operand.Mem{Base: to, Index: col, Scale: 1})
	if y < 3 {
		v.ADDQ(row, to)
	}
}

// maxNaN is the larger of a and b, NaN if one of them is: of the two orders,
// one gives the NaN.
func (v *vector) maxNaN(a, b, to, tmp reg.VecPhysical) {
	v.VMAXPS(a, b, tmp)
	v.VMAXPS(b, a, to)
	if v.wide() {
		v.VPORD(tmp, to, to)
	} else {
		v.VORPS(tmp, to, to)
	}
}
