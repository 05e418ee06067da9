package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The transforms of the convolution over time in the domain of the DFT: see
// kernel/dft.go for what they compute.
const (
	dftN     = 48                 // points
	dftTaps  = 17                 // of the kernel: -8..8
	dftHalf  = dftTaps / 2        //
	dftOut   = dftN - dftTaps + 1 // results that do not wrap round
	dftPos   = 2 + 3*(dftN/2-1)   // products for a block
	dftSlots = 80                 // values that may be in memory for want of registers
	dftScale = 2. / dftN          // of the inverse, but for points 0 and 24
	dftRows  = 64                 // rows of the weights' buffers
	dftLine  = 16                 // float32 values more, lest positions share cache sets
)

// dftStride is from position to position, and tap to tap, in the weights'
// buffers.
func (s *isa) dftStride() int { return dftRows*s.nv*s.lanes + dftLine }

// planes turns a spectrum into the three factors of each complex product.
func planes(w *network, x []cx) []*expr {
	outs := []*expr{x[0].re, x[dftN/2].re}
	for q := 1; q < dftN/2; q++ {
		outs = append(outs, w.add(x[q].re, x[q].im), x[q].re, x[q].im)
	}
	return outs
}

// forwardNet is from 48 samples to the factors.
func forwardNet() []*expr {
	w := newNetwork()
	x := make([]*expr, dftN)
	for i := range x {
		x[i] = w.input(i)
	}
	return planes(w, w.dft(x))
}

// tapsNet is from 17 taps, reversed in time, to the factors, with the scale of
// the inverse.
func tapsNet() []*expr {
	w := newNetwork()
	x := make([]*expr, dftN)
	for i := range dftTaps {
		x[(dftN+dftHalf-i)%dftN] = w.scale(dftScale, w.input(i))
	}
	y := w.dft(x)
	for _, q := range []int{0, dftN / 2} {
		y[q].re = w.scale(.5, y[q].re)
	}
	return planes(w, y)
}

// inverseNet is from the products back to n points from first on. The inverse
// DFT is the transpose of the DFT, with a scale.
func inverseNet(first, n int, scaled bool) []*expr {
	w := newNetwork()
	x := make([]*expr, dftN)
	for i := range n {
		x[(first+i+dftN)%dftN] = w.input(i)
	}
	var outs, given []*expr
	to := newNetwork()
	half, all := 1., 1.
	if scaled {
		half, all = .5, dftScale
	}
	for q, y := range w.dft(x)[:dftN/2+1] {
		if q == 0 || q == dftN/2 {
			outs = append(outs, y.re)
			given = append(given, to.scale(half, to.input(q/(dftN/2))))
			continue
		}
		at := 2 + 3*(q-1)
		k1, k2, k3 := to.input(at), to.input(at+1), to.input(at+2)
		outs = append(outs, y.re, y.im)
		given = append(given, to.sub(k2, k3), to.sub(k1, to.add(k2, k3)))
	}
	result := w.transpose(outs, given, to, n)
	for i := range result {
		result[i] = to.scale(all, result[i])
	}
	return result
}

func dft(v *vector) {
	factors := &[]float32{}
	base := func(name string) func(i int) operand.Mem {
		return func(i int) operand.Mem { return operand.Mem{Base: v.ptrs[name], Disp: i * v.bytes()} }
	}
	part := func(from int) func(i int) operand.Mem { // of tmp
		return func(i int) operand.Mem { return operand.Mem{Base: v.ptrs["tmp"], Disp: (from + i) * v.bytes()} }
	}
	wide := func(name string) func(i int) operand.Mem {
		return func(i int) operand.Mem {
			return operand.Mem{Base: v.ptrs[name], Disp: i * v.dftStride() * float}
		}
	}
	write := func(outs []*expr, in, out, spill func(i int) operand.Mem) {
		c := &codelet{vector: v, consts: "factors", factors: factors, in: in, out: out, spill: spill}
		c.write(outs)
		if c.slots > dftSlots {
			panic(fmt.Sprintf("gen: %d values in memory, at most %d", c.slots, dftSlots))
		}
	}
	v.dftIn(func() { write(forwardNet(), part(0), part(dftN), part(dftN+dftPos)) })
	v.dftOut(func() { write(inverseNet(dftHalf, dftOut, false), part(0), part(dftPos), part(dftPos+dftOut)) })

	v.begin("DFTTaps", "func(w, u, tmp *float32, n int)", "w", "u", "tmp")
	v.Label("loop")
	write(tapsNet(), wide("w"), wide("u"), base("tmp"))
	v.next("w", "u")

	v.begin("DFTGrad", "func(p, dw, tmp *float32, n int)", "p", "dw", "tmp")
	v.Label("loop")
	write(inverseNet(-dftHalf, dftTaps, true), wide("p"), wide("dw"), base("tmp"))
	v.next("p", "dw")

	v.prefetch()
	(&codelet{vector: v, consts: "factors", factors: factors}).table()
}

// move copies n vectors between memory at base, step apart, and tmp from place
// from on.
func (v *vector) move(label string, base, step reg.GPPhysical, from, n int, in bool, each func(r reg.VecPhysical)) {
	at, tmp, left := regTmp, reg.RBX, reg.R12
	v.MOVQ(base, at)
	v.LEAQ(operand.Mem{Base: v.ptrs["tmp"], Disp: from * v.bytes()}, tmp)
	v.MOVQ(operand.U32(n), left)
	v.Label(label)
	if in {
		v.VMOVUPS(operand.Mem{Base: at}, v.vec[0])
		v.VMOVUPS(v.vec[0], operand.Mem{Base: tmp})
	} else {
		v.VMOVUPS(operand.Mem{Base: tmp}, v.vec[0])
		if each != nil {
			each(v.vec[0])
		}
		v.VMOVUPS(v.vec[0], operand.Mem{Base: at})
	}
	v.ADDQ(step, at)
	v.ADDQ(operand.U32(v.bytes()), tmp)
	v.DECQ(left)
	v.JNZ(operand.LabelRef(label))
}

func (v *vector) dftIn(core func()) {
	v.begin("DFTIn", "func(src, dst, tmp *float32, row, pos, n int)", "src", "dst", "tmp")
	row, pos := reg.RSI, reg.RDX
	v.Load(v.Param("row"), row)
	v.Load(v.Param("pos"), pos)
	v.Label("loop")
	v.move("gather", v.ptrs["src"], row, 0, dftN, true, nil)
	core()
	v.move("scatter", v.ptrs["dst"], pos, dftN, dftPos, false, nil)
	v.next("src", "dst")
}

func (v *vector) dftOut(core func()) {
	v.begin("DFTOut", "func(src, dst, tmp, bias *float32, pos, row int, floor float32, n int)", "src", "dst", "tmp", "bias")
	pos, row := reg.RDX, reg.RSI
	v.Load(v.Param("pos"), pos)
	v.Load(v.Param("row"), row)
	v.Label("loop")
	v.move("gather", v.ptrs["src"], pos, 0, dftPos, true, nil)
	core()
	bias, floor := v.vec[1], v.vec[2]
	v.VMOVUPS(v.at("bias"), bias)
	v.VBROADCASTSS(operand.NewParamAddr("floor", 48), floor)
	v.move("scatter", v.ptrs["dst"], row, dftPos, dftOut, false, func(r reg.VecPhysical) {
		v.VADDPS(bias, r, r)
		v.VMAXPS(r, floor, r)
	})
	v.next("src", "dst", "bias")
}

// prefetch asks for lines of memory, as far as L2.
func (v *vector) prefetch() {
	v.begin("Prefetch", "func(src *float32, row, width, n int)", "src")
	row, width, at, left := reg.RSI, reg.RDX, regTmp, reg.RBX
	v.Load(v.Param("row"), row)
	v.Load(v.Param("width"), width)
	v.Label("loop")
	v.MOVQ(v.ptrs["src"], at)
	v.MOVQ(width, left)
	v.Label("line")
	v.PREFETCHT1(operand.Mem{Base: at})
	v.ADDQ(operand.U32(64), at)
	v.SUBQ(operand.U32(64), left)
	v.JGT(operand.LabelRef("line"))
	v.ADDQ(row, v.ptrs["src"])
	v.DECQ(regK)
	v.JNZ(operand.LabelRef("loop"))
	v.end()
}
