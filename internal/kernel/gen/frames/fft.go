package frames

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A pair is a complex number in two registers.
type pair struct{ re, im reg.VecVirtual }

func (f *writer) addPair(a, b pair) pair { return pair{f.add(a.re, b.re), f.add(a.im, b.im)} }
func (f *writer) subPair(a, b pair) pair { return pair{f.sub(a.re, b.re), f.sub(a.im, b.im)} }

// addTurned is a - i·b, subTurned a + i·b.
func (f *writer) addTurned(a, b pair) pair { return pair{f.add(a.re, b.im), f.sub(a.im, b.re)} }
func (f *writer) subTurned(a, b pair) pair { return pair{f.sub(a.re, b.im), f.add(a.im, b.re)} }

func (f *writer) scalePair(k float64, a pair) pair {
	out := pair{f.new(), f.new()}
	f.timesBy(k, a.re, out.re)
	f.timesBy(k, a.im, out.im)
	return out
}

// plus adds k·b to a.
func (f *writer) plus(a pair, k float64, b pair) pair {
	for _, p := range [][2]reg.VecVirtual{{b.re, a.re}, {b.im, a.im}} {
		if k < 0 {
			f.minusBy(-k, p[0], p[1])
		} else {
			f.plusBy(k, p[0], p[1])
		}
	}
	return a
}

func (f *writer) copyPair(a pair) pair { return pair{f.copy(a.re), f.copy(a.im)} }

// turn is a times the twiddle factor in memory at w.
func (f *writer) turn(a pair, w operand.Mem) pair {
	im := w
	im.Disp += double
	wr, wi := f.broadcast(w), f.broadcast(im)
	re, t := f.mul(wi, a.im), f.mul(wr, a.im)
	f.VFMSUB231PD(wr, a.re, re)
	f.VFMADD231PD(wi, a.re, t)
	return pair{re, t}
}

// pass is one pass of a complex transform in Stockham's order.
func (f *writer) pass(radix int) {
	name := "Pass" + string(rune('0'+radix))
	f.begin(name, "func(src, dst, twiddle *float64, in, out, s, m int)")
	src, dst, twiddle, in, out, m := f.arg("src"), f.arg("dst"), f.arg("twiddle"), f.arg("in"), f.arg("out"), f.arg("m")
	s := f.GP64()
	triple := func(r reg.Register) reg.Register {
		if radix < 4 {
			return nil
		}
		t := f.GP64()
		f.LEAQ(operand.Mem{Base: r, Index: r, Scale: 2}, t)
		return t
	}
	in3, out3 := triple(in), triple(out)
	place := func(base, step, step3 reg.Register, i int) operand.Mem {
		switch i {
		case 0:
			return operand.Mem{Base: base}
		case 3:
			return operand.Mem{Base: base, Index: step3, Scale: 1}
		}
		return operand.Mem{Base: base, Index: step, Scale: uint8(i)}
	}
	f.Label("twiddle")
	f.Load(f.Param("s"), s)
	f.Label("loop")
	x := make([]pair, radix)
	for i := range x {
		m := place(src, in, in3, i)
		x[i].re = f.load(m)
		m.Disp += f.bytes()
		x[i].im = f.load(m)
	}
	f.butterfly(x, func(i int, y pair) {
		if i > 0 {
			y = f.turn(y, operand.Mem{Base: twiddle, Disp: (i - 1) * 2 * double})
		}
		m := place(dst, out, out3, i)
		f.store(y.re, m)
		m.Disp += f.bytes()
		f.store(y.im, m)
	})
	f.ADDQ(operand.U32(2*f.bytes()), src)
	f.ADDQ(operand.U32(2*f.bytes()), dst)
	f.DECQ(s)
	f.JNZ(operand.LabelRef("loop"))
	for range radix - 1 {
		f.ADDQ(out, dst)
	}
	f.ADDQ(operand.U32((radix-1)*2*double), twiddle)
	f.DECQ(m)
	f.JNZ(operand.LabelRef("twiddle"))
	f.end()
}

// butterfly is the transform of two to five points.
func (f *writer) butterfly(x []pair, put func(i int, y pair)) {
	switch len(x) {
	case 2:
		put(0, f.addPair(x[0], x[1]))
		put(1, f.subPair(x[0], x[1]))
	case 3:
		sum, d := f.addPair(x[1], x[2]), f.subPair(x[1], x[2])
		put(0, f.addPair(x[0], sum))
		mid, side := f.plus(x[0], -.5, sum), f.scalePair(math.Sqrt(3)/2, d)
		put(1, f.addTurned(mid, side))
		put(2, f.subTurned(mid, side))
	case 4:
		a, b := f.addPair(x[0], x[2]), f.subPair(x[0], x[2])
		c, d := f.addPair(x[1], x[3]), f.subPair(x[1], x[3])
		put(0, f.addPair(a, c))
		put(1, f.addTurned(b, d))
		put(2, f.subPair(a, c))
		put(3, f.subTurned(b, d))
	case 5:
		s1, c1 := math.Sincos(2 * math.Pi / 5)
		s2, c2 := math.Sincos(4 * math.Pi / 5)
		p, r := f.addPair(x[1], x[4]), f.subPair(x[1], x[4])
		q, t := f.addPair(x[2], x[3]), f.subPair(x[2], x[3])
		put(0, f.addPair(f.addPair(x[0], p), q))
		mid1 := f.plus(f.plus(f.copyPair(x[0]), c1, p), c2, q)
		mid2 := f.plus(f.plus(x[0], c2, p), c1, q)
		side1 := f.plus(f.scalePair(s1, r), s2, t)
		put(1, f.addTurned(mid1, side1))
		put(4, f.subTurned(mid1, side1))
		side2 := f.plus(f.scalePair(s2, r), -s1, t)
		put(2, f.addTurned(mid2, side2))
		put(3, f.subTurned(mid2, side2))
	}
}

// split makes the power spectrum of twice as many real points out of a complex
// one, from both ends to the middle.
func (f *writer) split() {
	f.begin("Split", "func(z, power, twiddle *float64, n, last int)")
	z, power, twiddle, n, last := f.arg("z"), f.arg("power"), f.arg("twiddle"), f.arg("n"), f.arg("last")
	zBack, powerBack := f.GP64(), f.GP64()
	f.IMUL3Q(operand.U32(f.bytes()), last, powerBack)
	f.LEAQ(operand.Mem{Base: z, Index: powerBack, Scale: 2}, zBack)
	f.ADDQ(power, powerBack)
	f.Label("loop")
	a, b := pair{f.load(f.at(z, 0)), f.load(f.at(z, 1))}, pair{f.load(f.at(zBack, 0)), f.load(f.at(zBack, 1))}
	even := pair{f.add(a.re, b.re), f.sub(a.im, b.im)}
	odd := f.turn(pair{f.add(a.im, b.im), f.sub(b.re, a.re)}, operand.Mem{Base: twiddle})
	for _, side := range []struct {
		x  pair
		to reg.Register
	}{{f.addPair(even, odd), power}, {f.subPair(even, odd), powerBack}} {
		f.VMULPD(side.x.re, side.x.re, side.x.re)
		f.VFMADD231PD(side.x.im, side.x.im, side.x.re)
		f.store(side.x.re, f.at(side.to, 0))
	}
	f.ADDQ(operand.U32(2*f.bytes()), z)
	f.SUBQ(operand.U32(2*f.bytes()), zBack)
	f.ADDQ(operand.U32(f.bytes()), power)
	f.SUBQ(operand.U32(f.bytes()), powerBack)
	f.ADDQ(operand.Imm(2*double), twiddle)
	f.DECQ(n)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}

// spread makes complex points of real ones by factors.
func (f *writer) spread() {
	f.begin("Spread", "func(src, dst, factor *float64, n int)")
	src, dst, factor, n := f.arg("src"), f.arg("dst"), f.arg("factor"), f.arg("n")
	f.Label("loop")
	x := f.load(f.at(src, 0))
	for i := range 2 {
		f.store(f.mul(f.broadcast(operand.Mem{Base: factor, Disp: i * double}), x), f.at(dst, i))
	}
	f.ADDQ(operand.U32(f.bytes()), src)
	f.ADDQ(operand.U32(2*f.bytes()), dst)
	f.ADDQ(operand.Imm(2*double), factor)
	f.DECQ(n)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}

// turnAll multiplies complex points by factors.
func (f *writer) turnAll() {
	f.begin("Turn", "func(x, factor *float64, n int)")
	x, factor, n := f.arg("x"), f.arg("factor"), f.arg("n")
	f.Label("loop")
	y := f.turn(pair{f.load(f.at(x, 0)), f.load(f.at(x, 1))}, operand.Mem{Base: factor})
	f.store(y.re, f.at(x, 0))
	f.store(y.im, f.at(x, 1))
	f.ADDQ(operand.U32(2*f.bytes()), x)
	f.ADDQ(operand.Imm(2*double), factor)
	f.DECQ(n)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}
