package main

import (
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
	dftFew   = 9                  // taps of a shorter kernel: -8..0
	dftOut9  = dftN - dftFew + 1  // results of it that do not wrap round
	dftPos   = 2 + 3*(dftN/2-1)   // products for a block
	dftScale = 2. / dftN          // of the inverse, but for points 0 and 24
)

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
	v.throughTmp("DFTIn", dftN, dftPos, forwardNet())
	v.dftOut("DFTOut", dftOut)
	v.dftOut("DFTOut9", dftOut9)
	v.onPieces("DFTTaps", "w", "u", tapsNet())
	v.onPieces("DFTGrad", "p", "dw", inverseNet(-dftHalf, dftTaps, true))
	v.prefetch()
	v.factorTable()
}

// dftOut writes the way back from the products to n results.
func (v *vector) dftOut(name string, n int) {
	v.begin(name, "func(src, dst, tmp, bias *float32, pos, row int, floor float32, n int)", "src", "dst", "tmp", "bias")
	pos, row := reg.RDX, reg.RSI
	v.Load(v.Param("pos"), pos)
	v.Load(v.Param("row"), row)
	v.Label("loop")
	v.move("gather", v.ptrs["src"], pos, 0, dftPos, true, nil)
	v.network(inverseNet(dftHalf, n, false), v.tmp(0), v.tmp(dftPos), v.tmp(dftPos+n))
	bias, floor := v.vec[1], v.vec[2]
	v.VMOVUPS(v.at("bias"), bias)
	v.VBROADCASTSS(operand.NewParamAddr("floor", 48), floor)
	v.move("scatter", v.ptrs["dst"], row, dftPos, n, false, func(r reg.VecPhysical) {
		v.VADDPS(bias, r, r)
		v.VMAXPS(r, floor, r)
	})
	v.next("src", "dst", "bias")
}
