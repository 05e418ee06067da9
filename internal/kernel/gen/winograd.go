package main

import (
	"slices"

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
	w := v.window()
	v.constant(fourBits, w.four)
	v.Label("loop")
	var half [winogradSide][winogradSide]value // [y][x]
	v.walk(v.ptrs["src"], reg.RBX, col, winogradSide, func(x int, top operand.Mem) {
		d := w.take(winogradSide)
		v.walk(reg.RBX, at, row, winogradSide, func(y int, m operand.Mem) { v.VMOVUPS(m, d[y]) })
		c := w.take(2)
		v.forward1D(d, c, w.four)
		w.give(c...)
		for y, r := range d {
			half[y][x] = w.keep(y, x, r, y < 4)
		}
	})
	for range 4 { // the pixels that the next tile to the right adds
		v.ADDQ(col, reg.RBX)
		v.walk(reg.RBX, at, row, winogradSide, func(_ int, m operand.Mem) { v.PREFETCHT0(m) })
	}
	v.MOVQ(v.ptrs["dst"], at)
	for y, line := range half {
		d := w.all(line[:])
		c := w.take(2)
		v.forward1D(d, c, w.four)
		for x := range d {
			v.VMOVUPS(d[x], operand.Mem{Base: at})
			if y < winogradSide-1 || x < winogradSide-1 {
				v.ADDQ(pos, at)
			}
		}
		w.give(append(c, d...)...)
	}
	v.next("src", "dst")
}

// A window is the registers and the scratch of a transform. With 32 registers
// most of a half transformed tile stays in them; with 16 all of it rests in tmp.
type window struct {
	*vector
	four reg.VecPhysical // 4
	free []reg.VecPhysical
}

func (v *vector) window() *window {
	last := len(v.vec) - 1
	return &window{vector: v, four: v.vec[last], free: slices.Clone(v.vec[:last])}
}

func (w *window) take(n int) []reg.VecPhysical {
	if n > len(w.free) {
		panic("gen: no register left in " + w.name)
	}
	r := slices.Clone(w.free[:n])
	w.free = w.free[n:]
	return r
}

func (w *window) give(r ...reg.VecPhysical) { w.free = append(w.free, r...) }

// A value is a half transformed one: in a register, or at its place in tmp.
type value struct {
	r  reg.VecPhysical
	at *operand.Mem
}

// keep takes r over as value (y, x): where it is, if there is room for such.
func (w *window) keep(y, x int, r reg.VecPhysical, room bool) value {
	if room && w.wide() {
		return value{r: r}
	}
	m := w.tmpAt(y, x)
	w.VMOVUPS(r, m)
	w.give(r)
	return value{at: &m}
}

// all brings values into registers.
func (w *window) all(values []value) (r []reg.VecPhysical) {
	for _, v := range values {
		if v.at != nil {
			v.r = w.take(1)[0]
			w.VMOVUPS(*v.at, v.r)
		}
		r = append(r, v.r)
	}
	return r
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

// forward1D is kernel.winogradIn1D on registers d, in place.
func (v *vector) forward1D(d, tmp []reg.VecPhysical, four reg.VecPhysical) {
	c, e := tmp[0], tmp[1]
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

// inverse1D is kernel.winogradOut1D on registers m. It returns where the four
// results are, and the registers that are free then.
func (v *vector) inverse1D(m, tmp []reg.VecPhysical, four reg.VecPhysical) (out, free []reg.VecPhysical) {
	s, d := tmp[0], tmp[1]
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
	return []reg.VecPhysical{m[0], d, s, m[5]}, []reg.VecPhysical{m[1], m[2], m[3], m[4]}
}

func (v *vector) winogradOut(name string, pool bool) {
	v.begin(name, "func(src, dst, tmp, bias *float32, pos, row, col int, floor float32, n int)", "src", "dst", "tmp", "bias")
	pos, row, col, at, column := reg.RDX, reg.RSI, reg.RDI, regTmp, reg.RBX
	v.Load(v.Param("pos"), pos)
	v.Load(v.Param("row"), row)
	v.Load(v.Param("col"), col)
	w := v.window()
	v.constant(fourBits, w.four)
	down := reg.R12 // a row of positions further
	v.LEAQ(operand.Mem{Base: pos, Index: pos, Scale: 2}, down)
	v.ADDQ(down, down)
	v.Label("loop")
	var half [4][winogradSide]value // [y][x]
	v.walk(v.ptrs["src"], column, pos, winogradSide, func(x int, _ operand.Mem) {
		m := w.take(winogradSide)
		v.walk(column, at, down, winogradSide, func(y int, from operand.Mem) { v.VMOVUPS(from, m[y]) })
		out, free := v.inverse1D(m, w.take(2), w.four)
		w.give(free...)
		for y, r := range out {
			half[y][x] = w.keep(y, x, r, true)
		}
	})
	fixed := w.take(2)
	bias, floor := fixed[0], fixed[1]
	v.VMOVUPS(v.at("bias"), bias)
	v.VBROADCASTSS(operand.NewParamAddr("floor", 56), floor)
	v.MOVQ(v.ptrs["dst"], column)
	var even []reg.VecPhysical // of a row with an even number, for the pool
	for y, line := range half {
		out, free := v.inverse1D(w.all(line[:]), w.take(2), w.four)
		w.give(free...)
		switch {
		case !pool:
			v.walk(column, at, col, 4, func(x int, to operand.Mem) { v.finish(out[x], bias, floor, to) })
		case y%2 == 0:
			even = v.maxPairs(out, w)
			continue
		default:
			odd, tmp := v.maxPairs(out, w), w.take(1)
			for i, to := range []operand.Mem{{Base: column}, {Base: column, Index: col, Scale: 1}} {
				v.maxNaN(even[i], odd[i], odd[i], tmp[0])
				v.finish(odd[i], bias, floor, to) // last, for they keep the order
			}
			out = append(append(tmp, even...), odd...)
		}
		w.give(out...)
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

// maxPairs takes the maxima of a row of four by two columns, and frees the other
// registers.
func (v *vector) maxPairs(out []reg.VecPhysical, w *window) []reg.VecPhysical {
	tmp := w.take(1)
	v.maxNaN(out[0], out[1], out[0], tmp[0])
	v.maxNaN(out[2], out[3], out[2], tmp[0])
	w.give(tmp[0], out[1], out[3])
	return []reg.VecPhysical{out[0], out[2]}
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
