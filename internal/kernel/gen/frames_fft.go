package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The transform of 551 points: 29 of 19 points, then 10 of 29. Both are products
// with a small matrix of cosines and one of sines, whose rows are sums in
// registers; what they go into is added up and subtracted in pairs beforehand.
const (
	dftA, dftB   = 19, 29
	halfA, halfB = dftA / 2, dftB / 2
)

// rotation is the sum's factor for output k and input n of an n-point transform,
// 1 <= k, n: cos or sin of 2 pi k n / points, as a positive factor and its sign.
func rotation(cosine bool, k, n, points int) (factor float64, negative bool) {
	j := k * n % points
	if j > points/2 {
		j, negative = points-j, !cosine
	}
	sin, cos := math.Sincos(2 * math.Pi * float64(j) / float64(points))
	if cosine {
		return cos, false // the cosine has its own sign
	}
	return sin, negative
}

// rotate returns first[k] + sum over n of in[n] times cos or sin of k+1, n+1, for
// k below points/2; without first, the sum alone.
func (f *frames) rotate(cosine bool, points int, in func(n int) operand.Mem, first *operand.Mem) []reg.VecVirtual {
	half := points / 2
	acc := make([]reg.VecVirtual, half)
	for k := range acc {
		acc[k] = f.new()
	}
	if first != nil {
		f.VMOVUPD(*first, acc[0])
		for k := 1; k < half; k++ {
			f.VMOVAPD(acc[0], acc[k])
		}
	}
	for n := range half {
		x := f.load(in(n))
		for k := range acc {
			c, negative := rotation(cosine, k+1, n+1, points)
			switch {
			case n == 0 && first == nil:
				f.timesBy(c, x, acc[k]) // k+1 <= half: positive
			case negative:
				f.minusBy(c, x, acc[k])
			default:
				f.plusBy(c, x, acc[k])
			}
		}
	}
	return acc
}

// fold adds and subtracts the pairs of places 1+n and points-1-n of in, into tmp
// from even and from odd on, and returns the sum of all.
func (f *frames) fold(points int, in func(i int) operand.Mem, tmp reg.Register, even, odd int) reg.VecVirtual {
	total := f.load(in(0))
	for n := range points / 2 {
		a, b := f.load(in(n+1)), f.load(in(points-1-n))
		s := f.add(a, b)
		f.store(s, f.at(tmp, even+n))
		f.store(f.sub(a, b), f.at(tmp, odd+n))
		f.VADDPD(s, total, total)
	}
	return total
}

func (f *frames) dft19() {
	f.begin("DFT19", "func(x, z, tmp *float64, at *int)")
	x, z, tmp, at := f.arg("x"), f.arg("z"), f.arg("tmp"), f.arg("at")
	left := f.GP64()
	f.MOVQ(operand.U32(dftB), left)
	f.Label("loop")
	in := func(i int) operand.Mem {
		to := f.GP64()
		f.MOVQ(operand.Mem{Base: at, Disp: i * 8}, to)
		return operand.Mem{Base: x, Index: to, Scale: 1}
	}
	zero := in(0)
	f.store(f.fold(dftA, in, tmp, 0, halfA), f.at(z, 0))
	part := func(from int) func(n int) operand.Mem {
		return func(n int) operand.Mem { return f.at(tmp, from+n) }
	}
	for k, r := range f.rotate(true, dftA, part(0), &zero) {
		f.store(r, f.at(z, (k+1)*dftB))
	}
	for k, r := range f.rotate(false, dftA, part(halfA), nil) {
		f.store(r, f.at(z, (halfA+1+k+1)*dftB))
	}
	f.ADDQ(operand.U32(dftA*8), at)
	f.ADDQ(operand.U32(f.bytes()), z)
	f.DECQ(left)
	f.JNZ(operand.LabelRef("loop"))
	f.end()
}

func (f *frames) dft29() {
	f.begin("DFT29", "func(z, power, tmp *float64, at *int)")
	z, power, tmp, at := f.arg("z"), f.arg("power"), f.arg("tmp"), f.arg("at")
	const evenRe, oddRe, evenIm, oddIm, sums, plus, minus = 0, halfB, 2 * halfB, 3 * halfB, 4 * halfB, 5 * halfB, 6 * halfB
	left, to := f.GP64(), f.GP64()
	f.MOVQ(operand.U32(halfA+1), left)
	f.Label("row")
	part := func(base reg.Register, from int) func(n int) operand.Mem {
		return func(n int) operand.Mem { return f.at(base, from+n) }
	}
	const im = (halfA + 1) * dftB
	re := f.fold(dftB, part(z, 0), tmp, evenRe, oddRe)
	put := func(i int, re, im reg.VecVirtual) { // re is lost
		f.VMULPD(re, re, re)
		f.VFMADD231PD(im, im, re)
		f.MOVQ(operand.Mem{Base: at, Disp: i * 8}, to)
		f.store(re, operand.Mem{Base: power, Index: to, Scale: 1})
	}
	put(0, re, f.fold(dftB, part(z, im), tmp, evenIm, oddIm))
	first := f.at(z, 0)
	for k, r := range f.rotate(true, dftB, part(tmp, evenRe), &first) {
		f.store(r, f.at(tmp, sums+k))
	}
	for k, r := range f.rotate(false, dftB, part(tmp, oddIm), nil) {
		s := f.load(f.at(tmp, sums+k))
		f.store(f.add(s, r), f.at(tmp, plus+k))
		f.store(f.sub(s, r), f.at(tmp, minus+k))
	}
	first = f.at(z, im)
	for k, r := range f.rotate(true, dftB, part(tmp, evenIm), &first) {
		f.store(r, f.at(tmp, sums+k))
	}
	for k, r := range f.rotate(false, dftB, part(tmp, oddRe), nil) {
		s := f.load(f.at(tmp, sums+k))
		put(k+1, f.load(f.at(tmp, minus+k)), f.add(s, r))
		put(dftB-1-k, f.load(f.at(tmp, plus+k)), f.sub(s, r))
	}
	f.ADDQ(operand.U32(dftB*8), at)
	f.ADDQ(operand.U32(dftB*f.bytes()), z)
	f.DECQ(left)
	f.JNZ(operand.LabelRef("row"))
	f.end()
}

// A pair is a complex number in two registers.
type pair struct{ re, im reg.VecVirtual }

func (f *frames) addPair(a, b pair) pair { return pair{f.add(a.re, b.re), f.add(a.im, b.im)} }
func (f *frames) subPair(a, b pair) pair { return pair{f.sub(a.re, b.re), f.sub(a.im, b.im)} }

// addTurned is a - i·b, subTurned a + i·b.
func (f *frames) addTurned(a, b pair) pair { return pair{f.add(a.re, b.im), f.sub(a.im, b.re)} }
func (f *frames) subTurned(a, b pair) pair { return pair{f.sub(a.re, b.im), f.add(a.im, b.re)} }

func (f *frames) scalePair(k float64, a pair) pair {
	out := pair{f.new(), f.new()}
	f.timesBy(k, a.re, out.re)
	f.timesBy(k, a.im, out.im)
	return out
}

// plus adds k·b to a.
func (f *frames) plus(a pair, k float64, b pair) pair {
	for _, p := range [][2]reg.VecVirtual{{b.re, a.re}, {b.im, a.im}} {
		if k < 0 {
			f.minusBy(-k, p[0], p[1])
		} else {
			f.plusBy(k, p[0], p[1])
		}
	}
	return a
}

func (f *frames) copyPair(a pair) pair { return pair{f.copy(a.re), f.copy(a.im)} }

// turn is a times the twiddle factor in memory at w.
func (f *frames) turn(a pair, w operand.Mem) pair {
	im := w
	im.Disp += double
	wr, wi := f.broadcast(w), f.broadcast(im)
	re, t := f.mul(wi, a.im), f.mul(wr, a.im)
	f.VFMSUB231PD(wr, a.re, re)
	f.VFMADD231PD(wi, a.re, t)
	return pair{re, t}
}

// pass is one pass of a complex transform in Stockham's order.
func (f *frames) pass(radix int) {
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
func (f *frames) butterfly(x []pair, put func(i int, y pair)) {
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
func (f *frames) split() {
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
func (f *frames) spread() {
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
func (f *frames) turnAll() {
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
