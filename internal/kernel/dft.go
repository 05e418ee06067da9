package kernel

import "github.com/hearsight/hearsight/internal/kernel/simd"

// Convolution over time in the domain of the discrete Fourier transform, for
// kernels of 9 to 17 taps (the paper's have 11 and 17).
//
// The output is cut into blocks of 32 steps. Under one lie 32+16 = 48 steps of
// the input, x. With ^ for the DFT of 48 points, and the taps w put into 48
// points at -8..8, reversed,
//
//	y[t] = Σ_j w[j]·x[t+j]   for 8 <= t < 40   is   y = inverse(^x · ^w)
//
// (overlap-save: the other 16 results have wrapped round). A real spectrum has
// two real points, 0 and 24, and 23 complex ones, and a complex product takes
// three real products (Gauss): with factors (a+b, a, b) of a+ib
//
//	k1, k2, k3 = (a+b)(c+d), ac, bd;   (a+ib)(c+id) = (k2-k3) + i(k1-k2-k3)
//
// A kernel of 9 taps lies at -8..0, so that only 8 results wrap round, and a block
// has 40 steps.
//
// So there are 71 products for 32 steps where the direct way takes 17·32 = 544,
// and over all blocks and channels they are 71 matrix products:
//
//	forward          M[p] = V[p]·U[p]    [blocks][Out] = [blocks][In]·[In][Out]
//	input gradient   the same from dy, with the taps turned round and transposed
//	weight gradient  P[p] = V[p]ᵀ·D[p]   [In][Out] = [In][blocks]·[blocks][Out]
//
// where V, U and D are the factors of x, w and dy (dy reversed in time as w is,
// since dw[j] = Σ_t dy[t]·x[t+j]). The driver of all this is [bilinear].
const (
	dftN    = 48
	dftTaps = 17
	dftHalf = dftTaps / 2
	dftOut  = dftN - dftTaps + 1
	dftFew  = 9
	dftOut9 = dftN - dftFew + 1
	dftPos  = 2 + 3*(dftN/2-1)
)

// minDFT is from how many taps on this is faster than the direct way.
const minDFT = 9

// minFewSteps is from how many steps on it is so with few taps, in a minibatch:
// a block then takes 71 products where the direct way takes 144. A longer kernel
// takes more than one block.
const minFewSteps = 16

// dftSteps is how many steps a block has.
func (c Conv2D) dftSteps() int {
	if c.KW <= dftFew {
		return dftOut9
	}
	return dftOut
}

// fitsDFT reports whether a convolution of sequences w long goes through the
// DFT: over time, with stride 1, enough taps, and long enough.
func (c Conv2D) fitsDFT(w int) bool {
	_, ow := c.OutSize(1, w)
	more := dftOut
	if c.KW <= dftFew {
		more = minFewSteps - 1
	}
	return c.KH == 1 && c.StrideH == 1 && c.StrideW == 1 && c.PadH == 0 &&
		c.KW >= minDFT && c.KW <= dftTaps && c.PadW < c.KW && min(w, ow) > more
}

// A dftDomain is the transforms for sequences in blocks.
type dftDomain[T Float] struct {
	Conv2D
	path      *path
	inT, outT int // steps of a sequence, before and after
	steps     int // of a block
	per       int // blocks of a sequence
}

func newDFT[T Float](c Conv2D, seqs, w int) *bilinear[T] {
	_, ow := c.OutSize(1, w)
	d := &dftDomain[T]{Conv2D: c, path: pathFor[T](), inT: w, outT: ow, steps: c.dftSteps(), per: ceilDiv(ow, c.dftSteps())}
	return &bilinear[T]{Conv2D: c, path: d.path, domain: d, pos: dftPos, taps: dftTaps, blocks: seqs * d.per, n: seqs, h: 1, w: w}
}

func (d *dftDomain[T]) scratch() int {
	return simd.Tmp*d.path.lanes + dftN*max(d.In, d.Out)
}

func (d *dftDomain[T]) input(b int, x, dst []T, pos int, scratch []T) {
	seq, start := b/d.per, b%d.per*d.steps-d.PadW
	own := x[seq*d.inT*d.In:][:d.inT*d.In]
	tmp, patch := scratch[:simd.Tmp*d.path.lanes], scratch[simd.Tmp*d.path.lanes:]
	if start >= 0 && start+dftN <= d.inT {
		patch = own[start*d.In:]
	} else {
		t0, t1 := max(0, -start), max(0, min(dftN, d.inT-start))
		clear(patch[:t0*d.In])
		copy(patch[t0*d.In:t1*d.In], own[(start+t0)*d.In:])
		clear(patch[t1*d.In : dftN*d.In])
	}
	dftIn(d.path, patch, dst, tmp, d.In, pos, d.In)
}

func (d *dftDomain[T]) output(b int, src []T, pos int, y []T, c0 int, bias []T, floor T, scratch []T) {
	seq, start := b/d.per, b%d.per*d.steps
	n := len(bias)
	to := y[(seq*d.outT+start)*d.Out+c0:]
	tmp, patch := scratch[:simd.Tmp*d.path.lanes], scratch[simd.Tmp*d.path.lanes:]
	if start+d.steps <= d.outT {
		dftResult(d.path, d.steps, src, to, tmp, bias, pos, d.Out, floor)
		return
	}
	dftResult(d.path, d.steps, src, patch, tmp, bias, pos, n, floor)
	for t := range d.outT - start {
		copy(to[t*d.Out:], patch[t*n:(t+1)*n])
	}
}

func (d *dftDomain[T]) gradient(b int, dy, dst []T, panel, pos int, scratch []T) {
	seq, start := b/d.per, b%d.per*d.steps
	own := dy[seq*d.outT*d.Out:][:d.outT*d.Out]
	tmp, patch := scratch[:simd.Tmp*d.path.lanes], scratch[simd.Tmp*d.path.lanes:]
	clear(patch[:dftN*d.Out])
	for t := range min(d.steps, d.outT-start) { // step t is point 8+t; reversed, 48-8-t
		copy(patch[(dftN-dftHalf-t)*d.Out:][:d.Out], own[(start+t)*d.Out:])
	}
	nr := d.path.nr()
	for j := range d.Out / nr {
		dftIn(d.path, patch[j*nr:], dst[j*panel:], tmp, d.Out, pos, nr)
	}
}

func (d *dftDomain[T]) weights(w, u, tmp []T, stride, n int) {
	dftWeights(d.path, w, u, tmp, stride, n)
}

func (d *dftDomain[T]) weightGrad(p, dw, tmp []T, stride, n int) {
	dftGrad(d.path, p, dw, tmp, stride, n)
}
