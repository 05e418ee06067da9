package kernel

import (
	"fmt"
	"math"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// transformGuards: each transform along one to three vectors of channels, and,
// where Go does the rest, one with a tail.
func transformGuards(p *path) []guardCase {
	var all []guardCase
	tmp := simd.Tmp * p.lanes
	add := func(covers string, n int, tol float64, call func(p *path, b [][]float32), sizes ...int) {
		all = append(all, guardCase{
			name: fmt.Sprintf("%s of %d channels", covers, n), covers: covers, sizes: append(sizes, tmp), scratch: 1, tol: tol, call: call,
		})
	}
	for _, n := range []int{p.lanes, 2 * p.lanes, 3 * p.lanes, p.lanes + 3, 2*p.lanes + 1} {
		for _, pad := range []int{0, 5} {
			row, col, pos := 7*(n+pad), n+pad, n+pad
			add("WinogradIn", n, 0, func(p *path, b [][]float32) { winogradIn(p, b[0], b[1], b[2], row, col, pos, n) },
				5*row+5*col+n, (winoPos-1)*pos+n)
			for _, floor := range []float32{0, float32(math.Inf(-1))} {
				add("WinogradOut", n, 0, func(p *path, b [][]float32) { winogradOut(p, b[0], b[1], b[3], b[2], pos, row, col, floor, false) },
					(winoPos-1)*pos+n, 3*row+3*col+n, n)
				add("WinogradPool", n, 0, func(p *path, b [][]float32) { winogradOut(p, b[0], b[1], b[3], b[2], pos, row, col, floor, true) },
					(winoPos-1)*pos+n, row+col+n, n)
			}
			if n%p.lanes != 0 {
				continue
			}
			row = n + pad
			add("WinogradSpread", n, 1e-6, func(p *path, b [][]float32) { winogradSpread(p, b[0], b[1], b[2], row, pos, n) },
				15*row+n, (winoPos-1)*pos+n)
			add("DFTIn", n, 1e-6, func(p *path, b [][]float32) { dftIn(p, b[0], b[1], b[2], row, pos, n) },
				(dftN-1)*row+n, (dftPos-1)*pos+n)
			for _, floor := range []float32{0, float32(math.Inf(-1))} {
				for name, steps := range map[string]int{"DFTOut": dftOut, "DFTOut9": dftOut9} {
					add(name, n, 1e-6, func(p *path, b [][]float32) { dftResult(p, steps, b[0], b[1], b[3], b[2], pos, row, floor) },
						(dftPos-1)*pos+n, (steps-1)*row+n, n)
				}
			}
		}
	}
	stride := p.set.PieceStride
	for _, n := range []int{p.lanes, 3 * p.lanes, pieceRows * p.nr()} {
		for _, v := range []struct {
			covers   string
			from, to int
			f        func(on *path, from, to, tmp []float32, stride, n int)
		}{
			{"DFTTaps", dftTaps, dftPos, dftWeights[float32]},
			{"DFTGrad", dftPos, dftTaps, dftGrad[float32]},
			{"WinogradTaps", 9, winoPos, winogradTaps[float32]},
			{"WinogradGrad", winoPos, 9, winogradGrad[float32]},
		} {
			add(v.covers, n, 1e-6, func(p *path, b [][]float32) { v.f(p, b[0], b[1], b[2], stride, n) },
				(v.from-1)*stride+n, (v.to-1)*stride+n)
		}
	}
	return all
}

// productGuards: matrices of all small sizes, with rows that follow each other.
func productGuards() []guardCase {
	var all []guardCase
	for _, s := range sizes() {
		m, n, k := s[0], s[1], s[2]
		add := func(name string, call func(b [][]float32), sizes ...int) {
			all = append(all, guardCase{
				name: fmt.Sprintf("%s m=%d n=%d k=%d", name, m, n, k), sizes: sizes, tol: 5e-6,
				call: func(p *path, b [][]float32) { on(p, func() { call(b) }) },
			})
		}
		add("Gemm", func(b [][]float32) { Gemm(m, n, k, b[0], k, b[1], n, b[2], n, false) }, m*k, k*n, m*n)
		add("GemmTA", func(b [][]float32) { GemmTA(m, n, k, b[0], m, b[1], n, b[2], n, true) }, m*k, k*n, m*n)
		add("GemmTB", func(b [][]float32) { GemmTB(m, n, k, b[0], k, b[1], k, b[2], n, false) }, m*k, k*n, m*n)
		add("Packed", func(b [][]float32) {
			PackB(k, n, b[1], n).Gemm(m, b[0], k, b[2], n, Epilogue[float32]{Bias: b[3], ReLU: true, Acc: true})
		}, m*k, k*n, m*n, n)
	}
	m, n, k := 5, 130, 1024 // rows 4 KiB apart are copied first
	return append(all, guardCase{name: "Gemm, bad stride", sizes: []int{m * k, k * n, m * n}, tol: 5e-6,
		call: func(p *path, b [][]float32) { on(p, func() { Gemm(m, n, k, b[0], k, b[1], n, b[2], n, false) }) }})
}

// convGuards: convolutions with their gradients, the direct way and both others.
func convGuards() []guardCase {
	var all []guardCase
	add := func(n, h, w int, c Conv2D) {
		oh, ow := c.OutSize(h, w)
		x, y, wt := n*h*w*c.In, n*oh*ow*c.Out, c.WeightLen()
		with := func(name string, call func(b [][]float32), sizes ...int) {
			all = append(all, guardCase{name: fmt.Sprintf("%s %d×%d×%d %+v", name, n, h, w, c), sizes: sizes, tol: 2e-5,
				call: func(p *path, b [][]float32) { on(p, func() { call(b) }) }})
		}
		with("Conv2DForward", func(b [][]float32) { Conv2DForward(c, n, h, w, b[0], b[1], b[2], true, b[3]) }, x, wt, c.Out, y)
		with("Conv2DBackwardInput", func(b [][]float32) { Conv2DBackwardInput(c, n, h, w, b[0], b[1], b[2]) }, y, wt, x)
		with("Conv2DBackwardWeights", func(b [][]float32) { Conv2DBackwardWeights(c, n, h, w, b[0], b[1], b[2], b[3]) }, x, y, wt, c.Out)
		with("PackFrozen.Forward", func(b [][]float32) { PackFrozen(c, b[1]).Forward(n, h, w, b[0], b[2], true, b[3]) }, x, wt, c.Out, y)
		with("PackFrozen.ForwardPool", func(b [][]float32) { PackFrozen(c, b[1]).ForwardPool(n, h, w, b[0], b[2], false, b[3]) },
			x, wt, c.Out, n*(oh/2)*(ow/2)*c.Out)
	}
	for _, s := range convShapes {
		add(s.n, s.h, s.w, s.c)
	}
	for _, s := range winoShapes(true) {
		add(s[0], s[1], s[2], conv3x3(s[3], s[4]))
	}
	for _, s := range dftShapes[:4] {
		add(s.n, s.h, s.w, s.c)
	}
	add(1, 9, 10, conv3x3(64, 96)) // through Winograd's domain in training
	return all
}
