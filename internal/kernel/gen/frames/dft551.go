package frames

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
func (f *writer) rotate(cosine bool, points int, in func(n int) operand.Mem, first *operand.Mem) []reg.VecVirtual {
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
func (f *writer) fold(points int, in func(i int) operand.Mem, tmp reg.Register, even, odd int) reg.VecVirtual {
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

func (f *writer) dft19() {
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

func (f *writer) dft29() {
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
