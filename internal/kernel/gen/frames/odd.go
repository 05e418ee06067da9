package frames

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// oddBlock is how many pairs of outputs of PassOdd are made at once: four sums
// each, beside four vectors of input, and in AVX2 two of factors.
func (f *writer) oddBlock() int {
	if f.wide() {
		return 3
	}
	return 2
}

// An oddPass is what PassOdd has in registers.
type oddPass struct {
	src, dst, twiddle      reg.Register // of this butterfly, or this p
	w, stride, tmp, n      reg.Register // the factors, and from one output's to the next's
	up, down               reg.Register // the pair of points that is read or written
	twiddleUp, twiddleDown reg.Register // and its twiddle factors
	k                      reg.Register // outputs to be made
	s                      reg.Register
}

// parameters of PassOdd that stay in memory.
func param(name string) operand.Mem {
	at := map[string]int{"src": 0, "dst": 8, "twiddle": 16, "factors": 24, "tmp": 32, "in": 40, "out": 48, "s": 56, "m": 64, "half": 72}
	return operand.NewParamAddr(name, at[name])
}

// passOdd is a pass of any odd radix, 2 half + 1: points n and R-n of each
// butterfly are added and subtracted, into tmp, and the outputs k and R-k are the
// sums and differences of four sums over these.
func (f *writer) passOdd() {
	f.begin("PassOdd", "func(src, dst, twiddle, factors, tmp *float64, in, out, s, m, half int)")
	p := &oddPass{
		src: f.arg("src"), dst: f.arg("dst"), twiddle: f.arg("twiddle"), stride: f.GP64(), w: f.GP64(), tmp: f.GP64(), n: f.GP64(),
		up: f.GP64(), down: f.GP64(), twiddleUp: f.GP64(), twiddleDown: f.GP64(), k: f.GP64(), s: f.GP64(),
	}
	f.MOVQ(param("half"), p.stride)
	f.SHLQ(operand.Imm(4), p.stride)
	f.Label("twiddle")
	f.MOVQ(param("s"), p.s)
	f.Label("loop")
	f.oddFold(p)
	f.MOVQ(param("out"), p.down)
	f.IMULQ(param("half"), p.down)
	f.LEAQ(operand.Mem{Base: p.dst, Index: p.down, Scale: 2}, p.down)
	f.MOVQ(p.dst, p.up)
	f.ADDQ(param("out"), p.up)
	f.MOVQ(p.twiddle, p.twiddleUp)
	f.LEAQ(operand.Mem{Base: p.twiddle, Index: p.stride, Scale: 2, Disp: -2 * double}, p.twiddleDown)
	f.MOVQ(param("factors"), p.w)
	f.MOVQ(param("half"), p.k)
	for block := f.oddBlock(); block > 0; block-- {
		f.Label(fmt.Sprint("block", block))
		f.CMPQ(p.k, operand.Imm(uint64(block)))
		f.JLT(operand.LabelRef(fmt.Sprint("under", block)))
		f.oddOutputs(p, block)
		f.SUBQ(operand.Imm(uint64(block)), p.k)
		f.JMP(operand.LabelRef(fmt.Sprint("block", block)))
		f.Label(fmt.Sprint("under", block))
	}
	f.ADDQ(operand.U32(2*f.bytes()), p.src)
	f.ADDQ(operand.U32(2*f.bytes()), p.dst)
	f.DECQ(p.s)
	f.JNZ(operand.LabelRef("loop"))
	f.MOVQ(param("out"), p.n) // over the other outputs
	f.IMULQ(param("half"), p.n)
	f.LEAQ(operand.Mem{Base: p.dst, Index: p.n, Scale: 2}, p.dst)
	f.LEAQ(operand.Mem{Base: p.twiddle, Index: p.stride, Scale: 2}, p.twiddle)
	f.DECQ(param("m"))
	f.JNZ(operand.LabelRef("twiddle"))
	f.end()
}

// oddFold puts sums and differences, of real and imaginary parts, into tmp, and
// the sum of all points into output 0.
func (f *writer) oddFold(p *oddPass) {
	f.MOVQ(param("in"), p.down)
	f.IMULQ(param("half"), p.down)
	f.LEAQ(operand.Mem{Base: p.src, Index: p.down, Scale: 2}, p.down)
	f.MOVQ(p.src, p.up)
	f.MOVQ(param("tmp"), p.tmp)
	f.MOVQ(param("half"), p.n)
	total := pair{f.load(f.at(p.src, 0)), f.load(f.at(p.src, 1))}
	f.Label("fold")
	f.ADDQ(param("in"), p.up)
	for i, t := range []reg.VecVirtual{total.re, total.im} {
		a, b := f.load(f.at(p.up, i)), f.load(f.at(p.down, i))
		s := f.add(a, b)
		f.store(s, f.at(p.tmp, i))
		f.store(f.sub(a, b), f.at(p.tmp, 2+i))
		f.VADDPD(s, t, t)
	}
	f.SUBQ(param("in"), p.down)
	f.ADDQ(operand.U32(4*f.bytes()), p.tmp)
	f.DECQ(p.n)
	f.JNZ(operand.LabelRef("fold"))
	f.store(total.re, f.at(p.dst, 0))
	f.store(total.im, f.at(p.dst, 1))
}

// oddOutputs makes the next outputs k and R-k, so many of each.
func (f *writer) oddOutputs(p *oddPass, block int) {
	even, odd := make([]pair, block), make([]pair, block)
	even[0] = pair{f.load(f.at(p.src, 0)), f.load(f.at(p.src, 1))}
	for i := range block {
		if i > 0 {
			even[i] = f.copyPair(even[0])
		}
		odd[i] = pair{f.zeroed(), f.zeroed()}
	}
	f.MOVQ(param("tmp"), p.tmp)
	f.MOVQ(param("half"), p.n)
	label := fmt.Sprint("sum", block)
	f.Label(label)
	var x [4]reg.VecVirtual
	for i := range x {
		x[i] = f.load(f.at(p.tmp, i))
	}
	for i := range block {
		cos := operand.Mem{Base: p.w}
		if i > 0 {
			cos = operand.Mem{Base: p.w, Index: p.stride, Scale: uint8(i)}
		}
		sin := cos
		sin.Disp = double
		f.weighBoth(cos, x[0], even[i].re, x[1], even[i].im)
		f.weighBoth(sin, x[2], odd[i].re, x[3], odd[i].im)
	}
	f.ADDQ(operand.U32(4*f.bytes()), p.tmp)
	f.ADDQ(operand.Imm(2*double), p.w)
	f.DECQ(p.n)
	f.JNZ(operand.LabelRef(label))
	for i := range block {
		if i > 0 {
			f.ADDQ(p.stride, p.w)
		}
		for _, side := range []struct {
			y           pair
			to, twiddle reg.Register
		}{{f.addTurned(even[i], odd[i]), p.up, p.twiddleUp}, {f.subTurned(even[i], odd[i]), p.down, p.twiddleDown}} {
			y := f.turn(side.y, operand.Mem{Base: side.twiddle})
			f.store(y.re, f.at(side.to, 0))
			f.store(y.im, f.at(side.to, 1))
		}
		f.ADDQ(param("out"), p.up)
		f.SUBQ(param("out"), p.down)
		f.ADDQ(operand.Imm(2*double), p.twiddleUp)
		f.SUBQ(operand.Imm(2*double), p.twiddleDown)
	}
}

// weighBoth is weigh for two sums.
func (f *writer) weighBoth(k operand.Mem, x, s, y, t reg.VecVirtual) {
	if f.wide() {
		f.weigh(k, x, s)
		f.weigh(k, y, t)
		return
	}
	factor := f.broadcast(k)
	f.VFMADD231PD(factor, x, s)
	f.VFMADD231PD(factor, y, t)
}
