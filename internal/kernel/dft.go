package kernel

import (
	"math"
	"unsafe"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

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
// So there are 71 products for 32 steps where the direct way takes 17·32 = 544,
// and over all blocks and channels they are 71 matrix products:
//
//	forward          M[p] = V[p]·U[p]    [blocks][Out] = [blocks][In]·[In][Out]
//	input gradient   the same from dy, with the taps turned round and transposed
//	weight gradient  P[p] = V[p]ᵀ·D[p]   [In][Out] = [In][blocks]·[blocks][Out]
//
// where V, U and D are the factors of x, w and dy (dy reversed in time as w is,
// since dw[j] = Σ_t dy[t]·x[t+j]). U and P, four times the weights, would not
// fit into caches: they are made and used a piece of 64 rows by a panel at a
// time. A NaN makes NaN of the whole blocks that it touches.
const (
	dftN    = 48
	dftTaps = 17
	dftHalf = dftTaps / 2
	dftOut  = dftN - dftTaps + 1
	dftPos  = 2 + 3*(dftN/2-1)
)

// How the work is cut; by the shape alone, for it decides the order of sums.
const (
	// dftRows is the height of a piece of the weights: higher, and the pieces
	// at all 71 places do not lie in L2; lower, and the sums move more often.
	dftRows = 64
	// dftChunk is how many blocks are done together at most: 71 times 42×32
	// sums, 0.4 MiB, lie in L2 beside the weights. U is made anew for each
	// chunk, so fewer would cost more of that.
	dftChunk = 42
	// dftTiles is how many tiles of rows of dw one goroutine does, for
	// dftPanels panels: their sums lie in L2.
	dftTiles, dftPanels = 2, 8
	// minDFT and minDFTChannels say from how many taps and channels on this is
	// faster than the direct way.
	minDFT, minDFTChannels = 9, 64
)

// usesDFT reports whether a convolution of sequences w long goes through the
// DFT: float32, over time, with stride 1, enough taps, whole panels of channels,
// and more than one block. float64 goes the direct way, as something to compare
// with. It does not depend on the number of sequences, lest one alone had
// other bits than among others.
func usesDFT[T Float](c Conv2D, w int) bool {
	var z T
	_, ow := c.OutSize(1, w)
	nr := active().nr()
	return unsafe.Sizeof(z) == 4 && c.KH == 1 && c.StrideH == 1 && c.StrideW == 1 && c.PadH == 0 &&
		c.KW >= minDFT && c.KW <= dftTaps && c.PadW < c.KW && min(w, ow) > dftOut &&
		min(c.In, c.Out) >= minDFTChannels && c.In%nr == 0 && c.Out%nr == 0
}

// dftForward is Conv2DForward for seqs sequences.
func dftForward[T Float](c Conv2D, seqs, w int, x, weights, bias []T, relu bool, y []T) {
	d := newDFT[T](c, seqs, w)
	checkLen("Conv2DForward", "x", len(x), seqs*w*c.In)
	checkLen("Conv2DForward", "y", len(y), seqs*d.outT*c.Out)
	checkBias("Conv2DForward", bias, c.Out)
	d.forward(x, taps[T]{c: c, on: d.path, weights: weights}, bias, relu, y)
}

// dftInput is Conv2DBackwardInput.
func dftInput[T Float](c Conv2D, seqs, w int, dy, weights, dx []T) {
	_, ow := c.OutSize(1, w)
	d := newDFT[T](c.turned(), seqs, ow)
	d.forward(dy, taps[T]{c: c, on: d.path, weights: weights, turned: true}, nil, false, dx)
}

// A taps is the weights of a convolution as forward needs them: of c itself or,
// if turned, of its gradient by the input, whose rows are the output channels,
// whose columns are the input channels, and whose time runs backwards.
type taps[T Float] struct {
	c       Conv2D
	on      *path
	weights []T
	turned  bool
}

// pack copies tap k of rows i0.., columns c0.., as rows of nr.
func (t taps[T]) pack(dst []T, k, i0, rows, c0 int) {
	from, nr := t.at(k, i0, c0), t.on.nr()
	if t.turned {
		packTransposed(t.on.set, dst, from, t.c.Out, rows, nr, nr)
	} else {
		packRows(dst, from, t.c.Out, rows, nr, nr)
	}
}

func (t taps[T]) at(k, i0, c0 int) []T {
	if t.turned {
		return t.weights[((t.c.KW-1-k)*t.c.In+c0)*t.c.Out+i0:]
	}
	return t.weights[(k*t.c.In+i0)*t.c.Out+c0:]
}

// prefetch asks for what pack will read: lines a whole row of weights apart,
// which no hardware would guess.
func (t taps[T]) prefetch(k, i0, rows, c0 int) {
	if t.on.set == nil || k >= t.c.KW {
		return
	}
	width := t.on.nr()
	if t.turned {
		rows, width = width, rows
	}
	t.on.set.Prefetch(start(t.at(k, i0, c0)), t.c.Out*4, width*4, rows)
}

// A dft is one call: a convolution of seqs sequences in blocks.
type dft[T Float] struct {
	Conv2D
	path      *path
	seqs      int
	inT, outT int // steps of a sequence, before and after
	per       int // blocks of a sequence
}

func newDFT[T Float](c Conv2D, seqs, w int) *dft[T] {
	_, ow := c.OutSize(1, w)
	return &dft[T]{Conv2D: c, path: pathFor[T](), seqs: seqs, inT: w, outT: ow, per: ceilDiv(ow, dftOut)}
}

// chunks calls f for each run of blocks that are done together.
func (d *dft[T]) chunks(f func(b0, b1 int)) {
	blocks := d.seqs * d.per
	n := ceilDiv(blocks, dftChunk)
	for i := range n {
		f(i*blocks/n, (i+1)*blocks/n)
	}
}

// forward computes y.
func (d *dft[T]) forward(x []T, w taps[T], bias []T, relu bool, y []T) {
	floor := T(math.Inf(-1))
	if relu {
		floor = 0
	}
	if bias == nil {
		bias = make([]T, d.Out)
	}
	d.chunks(func(b0, b1 int) {
		v := newDomain[T](b1-b0, d.In)
		buf := getBuf[T](&winoPool, dftPos*v.pos)
		defer putBuf(&winoPool, buf)
		v.data = *buf
		d.loadInput(v, x, b0, b1)
		Parallel(d.Out/d.path.nr(), func(j int) {
			d.panel(v, b0, b1, j*d.path.nr(), w, bias, floor, y)
		})
	})
}

// A dftScratch is what one goroutine needs.
type dftScratch[T Float] struct {
	buf             *[]T
	tmp, taps, u, m []T
	stride          int // of taps and u
}

func (d *dft[T]) scratch(m int) dftScratch[T] {
	s := dftScratch[T]{stride: d.stride()}
	tmp := simd.DFTTmp * d.path.lanes
	s.buf = getBuf[T](&dftPool, tmp+(dftTaps+dftPos)*s.stride+m)
	s.tmp, s.taps = (*s.buf)[:tmp], (*s.buf)[tmp:][:dftTaps*s.stride]
	s.u = (*s.buf)[tmp+dftTaps*s.stride:][:dftPos*s.stride]
	s.m = (*s.buf)[tmp+(dftTaps+dftPos)*s.stride:]
	return s
}

func (s *dftScratch[T]) free() { putBuf(&dftPool, s.buf) }

func (d *dft[T]) stride() int {
	if d.path.set != nil {
		return d.path.set.DFTStride
	}
	return dftRows * d.path.nr()
}

// loadInput computes V of blocks b0 to b1.
func (d *dft[T]) loadInput(v domain[T], x []T, b0, b1 int) {
	Parallel(b1-b0, func(i int) {
		seq, start := (b0+i)/d.per, (b0+i)%d.per*dftOut-d.PadW
		own := x[seq*d.inT*d.In:][:d.inT*d.In]
		dst := v.data[i*v.ld:]
		buf := getBuf[T](&tilePool, simd.DFTTmp*d.path.lanes+dftN*d.In)
		defer putBuf(&tilePool, buf)
		tmp, patch := (*buf)[:simd.DFTTmp*d.path.lanes], (*buf)[simd.DFTTmp*d.path.lanes:]
		if start >= 0 && start+dftN <= d.inT {
			patch = own[start*d.In:]
		} else {
			t0, t1 := max(0, -start), max(0, min(dftN, d.inT-start))
			clear(patch[:t0*d.In])
			copy(patch[t0*d.In:t1*d.In], own[(start+t0)*d.In:])
			clear(patch[t1*d.In:])
		}
		dftIn(d.path, patch, dst, tmp, d.In, v.pos, d.In)
	})
}

// panel computes the columns of y from c0 on for blocks b0 to b1.
func (d *dft[T]) panel(v domain[T], b0, b1, c0 int, w taps[T], bias []T, floor T, y []T) {
	nr, blocks := d.path.nr(), b1-b0
	pos := blocks*nr | 16 // see domain
	s := d.scratch(dftPos*pos + dftOut*nr)
	defer s.free()
	clear(s.taps)
	for i0 := 0; i0 < d.In; i0 += dftRows {
		rows := min(dftRows, d.In-i0)
		for k := range d.KW {
			w.pack(s.taps[k*s.stride:], k, i0, rows, c0)
		}
		dftWeights(d.path, s.taps, s.u, s.tmp, s.stride, rows*nr)
		op := tileOp[T]{k: rows, segs: 1, rs: v.ld, ks: 1, cols: nr, nv: d.path.nv, ldc: nr, acc: i0 > 0}
		t := task{perGroup: ceilDiv(blocks, d.path.mr)}
		for p := range dftPos {
			op.b = s.u[p*s.stride:]
			if next := i0 + dftRows; p%4 == 0 && next < d.In {
				w.prefetch(p/4, next, min(dftRows, d.In-next), c0)
			}
			for i := range t.perGroup {
				_, r0, r1 := t.tileRows(i, blocks)
				op.rows = r1 - r0
				op.a, op.c = v.data[p*v.pos+r0*v.ld+i0:], s.m[p*pos+r0*nr:]
				op.run(d.path)
			}
		}
	}
	patch := s.m[dftPos*pos:]
	for i := range blocks {
		seq, start := (b0+i)/d.per, (b0+i)%d.per*dftOut
		to := y[(seq*d.outT+start)*d.Out+c0:]
		if start+dftOut <= d.outT {
			dftResult(d.path, s.m[i*nr:], to, s.tmp, bias[c0:c0+nr], pos, d.Out, floor)
			continue
		}
		dftResult(d.path, s.m[i*nr:], patch, s.tmp, bias[c0:c0+nr], pos, nr, floor)
		for t := range d.outT - start {
			copy(to[t*d.Out:], patch[t*nr:(t+1)*nr])
		}
	}
}

// weightGrad computes dw.
func (d *dft[T]) weightGrad(x, dy, dw []T) {
	first := true
	d.chunks(func(b0, b1 int) {
		v := newDomain[T](b1-b0, d.In)
		buf := getBuf[T](&winoPool, dftPos*v.pos)
		defer putBuf(&winoPool, buf)
		v.data = *buf
		g := domain[T]{ld: (b1 - b0) * d.path.nr(), pos: (b1-b0)*d.Out | 16}
		gbuf := getBuf[T](&winoPool, dftPos*g.pos)
		defer putBuf(&winoPool, gbuf)
		g.data = *gbuf
		d.loadInput(v, x, b0, b1)
		d.loadGrad(g, dy, b0, b1)
		tiles, panels := ceilDiv(d.In, d.path.mr), d.Out/d.path.nr()
		nt, np := ceilDiv(tiles, dftTiles), ceilDiv(panels, dftPanels)
		Parallel(nt*np, func(i int) {
			t, j := i/np*dftTiles, i%np*dftPanels
			d.gradTiles(v, g, b1-b0, task{
				perGroup: tiles, tile0: t, tile1: min(tiles, t+dftTiles),
				panel0: j, panel1: min(panels, j+dftPanels),
			}, !first, dw)
		})
		first = false
	})
}

// loadGrad computes D of blocks b0 to b1, of dy reversed in time, as panels:
// [position][panel][block][nr].
func (d *dft[T]) loadGrad(g domain[T], dy []T, b0, b1 int) {
	nr := d.path.nr()
	Parallel(b1-b0, func(i int) {
		seq, start := (b0+i)/d.per, (b0+i)%d.per*dftOut
		own := dy[seq*d.outT*d.Out:][:d.outT*d.Out]
		buf := getBuf[T](&tilePool, simd.DFTTmp*d.path.lanes+dftN*d.Out)
		defer putBuf(&tilePool, buf)
		tmp, patch := (*buf)[:simd.DFTTmp*d.path.lanes], (*buf)[simd.DFTTmp*d.path.lanes:]
		clear(patch)
		for t := range min(dftOut, d.outT-start) { // step t is point 8+t; reversed, 48-8-t
			copy(patch[(dftN-dftHalf-t)*d.Out:][:d.Out], own[(start+t)*d.Out:])
		}
		for c := 0; c < d.Out; c += nr {
			dftIn(d.path, patch[c:], g.data[c/nr*g.ld+i*nr:], tmp, d.Out, g.pos, nr)
		}
	})
}

// gradTiles computes some tiles of rows of dw, some panels of them.
func (d *dft[T]) gradTiles(v, g domain[T], blocks int, t task, acc bool, dw []T) {
	nr := d.path.nr()
	_, first, _ := t.tileRows(t.tile0, d.In)
	_, _, end := t.tileRows(t.tile1-1, d.In)
	rows := end - first
	s := d.scratch(dftPos*blocks*rows + d.path.lanes)
	defer s.free()
	at := 0
	for p := range dftPos {
		for i := t.tile0; i < t.tile1; i++ {
			_, r0, r1 := t.tileRows(i, d.In)
			gather(d.path.set, s.m[at:at+blocks*(r1-r0)], v.data[p*v.pos+r0:], v.ld, r1-r0)
			at += blocks * (r1 - r0)
		}
	}
	for j := t.panel0; j < t.panel1; j++ {
		op := tileOp[T]{k: blocks, segs: 1, rs: 1, packed: true, cols: nr, nv: d.path.nv, ldc: nr}
		at = 0
		for p := range dftPos {
			op.b = g.data[p*g.pos+j*g.ld:]
			for i := t.tile0; i < t.tile1; i++ {
				_, r0, r1 := t.tileRows(i, d.In)
				op.rows, op.ks = r1-r0, r1-r0
				op.a, op.c = s.m[at:], s.u[p*s.stride+(r0-first)*nr:]
				op.run(d.path)
				at += blocks * op.rows
			}
		}
		dftGrad(d.path, s.u, s.taps, s.tmp, s.stride, rows*nr)
		for k := range d.KW {
			for r := range rows {
				to, from := dw[(k*d.In+first+r)*d.Out+j*nr:][:nr], s.taps[k*s.stride+r*nr:][:nr]
				if acc {
					addInto(from, to)
				} else {
					copy(to, from)
				}
			}
		}
	}
}
