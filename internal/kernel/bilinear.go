package kernel

import (
	"math"
	"unsafe"
)

// A bilinear is a convolution, with its gradients, as products in a domain where
// there are fewer of them: that of the DFT over time (dft.go), or Winograd's for
// 3x3 pixels ([Winograd]). The output is cut into blocks; with linear
// transforms of the input under a block, V, of the weights, U, and of the
// gradient by the output, D,
//
//	y  = back(M)       M[p] = V[p]·U[p]    [blocks][Out] = [blocks][In]·[In][Out]
//	dw = back'(P)      P[p] = V[p]ᵀ·D[p]   [In][Out] = [In][blocks]·[blocks][Out]
//
// for each of pos places p. The gradient by the input is the forward way from
// dy, with turned taps.
//
// U and P are four times the weights. Here, where weights change at each
// step, they never exist as a whole: they are made and used a piece of 64 rows
// by a panel at a time, in L2. A NaN makes NaN of whole blocks.
type bilinear[T Float] struct {
	Conv2D
	path   *path
	domain transforms[T]
	pos    int // products for a block
	taps   int // of the weights as the transforms take them, at least KH*KW
	blocks int

	n, h, w int // images of the input
}

// transforms are those of a domain. scratch() values are scratch for the
// others; the first simd.Tmp vectors are tmp.
type transforms[T Float] interface {
	scratch() int

	// input writes V of block b: place p, channel c to dst[p*pos+c].
	input(b int, x, dst []T, pos int, scratch []T)

	// output computes the part of y for block b, channels c0.., from M: place p,
	// channel c0+c at src[p*pos+c].
	output(b int, src []T, pos int, y []T, c0 int, bias []T, floor T, scratch []T)

	// gradient writes D of block b by panels: place p, channel j*nr+c to
	// dst[j*panel+p*pos+c].
	gradient(b int, dy, dst []T, panel, pos int, scratch []T)

	// weights and weightGrad transform n kernels, taps and places stride apart.
	weights(w, u, tmp []T, stride, n int)
	weightGrad(p, dw, tmp []T, stride, n int)
}

// How the work is cut; by the shape alone, for it decides the order of sums.
const (
	// pieceRows is the height of a piece of the weights: higher, and the
	// pieces at all places do not lie in L2; lower, and the sums move more.
	pieceRows = 64
	// chunkSums is how many rows of M are done together at most: as rows of a
	// panel, 0.4 MiB, they lie in L2 beside a piece of U. U is made anew
	// for each chunk, so fewer would cost more of that.
	chunkSums = 42 * 71
	// gradTiles is how many tiles of rows of dw one goroutine does, for
	// gradPanels panels: their sums lie in L2.
	gradTiles, gradPanels = 2, 8
	// minChannels is from how many channels on this is faster than the direct
	// way, all panels being whole.
	minChannels = 64
)

// newBilinear is the way in which a convolution over n images of h×w with
// changing weights is faster, or nil for the direct way. It does not depend on
// n, lest an image alone had other bits than among others. float64 goes the
// direct way, as something to compare with.
func newBilinear[T Float](c Conv2D, n, h, w int) *bilinear[T] {
	var z T
	nr := active().nr()
	switch {
	case unsafe.Sizeof(z) != 4 || min(c.In, c.Out) < minChannels || c.In%nr != 0 || c.Out%nr != 0 || n == 0:
		return nil
	case c.fitsDFT(w):
		return newDFT[T](c, n*h, w)
	case c.isWinograd() && h*w >= minPixels:
		return newWinograd[T](c, n, h, w)
	}
	return nil
}

// A taps is the weights of a convolution as forward needs them: of c itself or,
// if turned, of its gradient by the input, whose rows are the output channels,
// whose columns are the input channels, and whose taps come in reverse order.
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
		return t.weights[((t.c.KH*t.c.KW-1-k)*t.c.In+c0)*t.c.Out+i0:]
	}
	return t.weights[(k*t.c.In+i0)*t.c.Out+c0:]
}

// prefetch asks for what pack will read: lines a whole row of weights apart,
// which no hardware would guess.
func (t taps[T]) prefetch(k, i0, rows, c0 int) {
	if t.on.set == nil || k >= t.c.KH*t.c.KW {
		return
	}
	width := t.on.nr()
	if t.turned {
		rows, width = width, rows
	}
	t.on.set.Prefetch(start(t.at(k, i0, c0)), t.c.Out*4, width*4, rows)
}

// chunks calls f for each run of blocks that are done together.
func (d *bilinear[T]) chunks(f func(b0, b1 int)) {
	n := ceilDiv(d.blocks, chunkSums/d.pos)
	for i := range n {
		f(i*d.blocks/n, (i+1)*d.blocks/n)
	}
}

// forward computes y.
func (d *bilinear[T]) forward(x []T, w taps[T], bias []T, relu bool, y []T) {
	floor := T(math.Inf(-1))
	if relu {
		floor = 0
	}
	if bias == nil {
		bias = make([]T, d.Out)
	}
	d.chunks(func(b0, b1 int) {
		v := newDomain[T](b1-b0, d.In)
		buf := getBuf[T](&winoPool, d.pos*v.pos)
		defer putBuf(&winoPool, buf)
		v.data = *buf
		d.load(b0, b1, func(b int, scratch []T) { d.domain.input(b, x, v.tile(b-b0), v.pos, scratch) })
		Parallel(d.Out/d.path.nr(), func(j int) {
			d.panel(v, b0, b1, j*d.path.nr(), w, bias, floor, y)
		})
	})
}

// load calls f for blocks b0 to b1.
func (d *bilinear[T]) load(b0, b1 int, f func(b int, scratch []T)) {
	Parallel(b1-b0, func(i int) {
		s := getBuf[T](&tilePool, d.domain.scratch())
		defer putBuf(&tilePool, s)
		f(b0+i, *s)
	})
}

// A pieceScratch is what one goroutine needs for pieces of the weights.
type pieceScratch[T Float] struct {
	buf             *[]T
	tmp, taps, u, m []T
	stride          int // of taps and u
}

func (d *bilinear[T]) scratch(m int) pieceScratch[T] {
	s := pieceScratch[T]{stride: pieceRows * d.path.nr()}
	if d.path.set != nil {
		s.stride = d.path.set.PieceStride
	}
	s.buf = getBuf[T](&piecePool, d.domain.scratch()+(d.taps+d.pos)*s.stride+m)
	rest := *s.buf
	for _, part := range []struct {
		to *[]T
		n  int
	}{{&s.tmp, d.domain.scratch()}, {&s.taps, d.taps * s.stride}, {&s.u, d.pos * s.stride}, {&s.m, m}} {
		*part.to, rest = rest[:part.n], rest[part.n:]
	}
	return s
}

func (s *pieceScratch[T]) free() { putBuf(&piecePool, s.buf) }

// panel computes the columns of y from c0 on for blocks b0 to b1.
func (d *bilinear[T]) panel(v domain[T], b0, b1, c0 int, w taps[T], bias []T, floor T, y []T) {
	nr, blocks := d.path.nr(), b1-b0
	pos := blocks*nr | 16 // see domain
	s := d.scratch(d.pos * pos)
	defer s.free()
	clear(s.taps[d.KH*d.KW*s.stride:])
	for i0 := 0; i0 < d.In; i0 += pieceRows {
		rows := min(pieceRows, d.In-i0)
		for k := range d.KH * d.KW {
			w.pack(s.taps[k*s.stride:], k, i0, rows, c0)
		}
		d.domain.weights(s.taps, s.u, s.tmp, s.stride, rows*nr)
		op := tileOp[T]{k: rows, segs: 1, rs: v.ld, ks: 1, cols: nr, nv: d.path.nv, ldc: nr, acc: i0 > 0}
		t := task{perGroup: ceilDiv(blocks, d.path.mr)}
		for p := range d.pos {
			op.b = s.u[p*s.stride:]
			if next := i0 + pieceRows; p%4 == 0 && next < d.In {
				w.prefetch(p/4, next, min(pieceRows, d.In-next), c0)
			}
			for i := range t.perGroup {
				_, r0, r1 := t.tileRows(i, blocks)
				op.rows = r1 - r0
				op.a, op.c = v.data[p*v.pos+r0*v.ld+i0:], s.m[p*pos+r0*nr:]
				op.run(d.path)
			}
		}
	}
	for i := range blocks {
		d.domain.output(b0+i, s.m[i*nr:], pos, y, c0, bias[c0:c0+nr], floor, s.tmp)
	}
}

// weightGrad computes dw. What no product adds to is exactly 0: see support.
func (d *bilinear[T]) weightGrad(x, dy, dw []T) {
	nr := d.path.nr()
	where := newSupport(d.path, d.Conv2D, d.n, d.h, d.w, x, dy)
	defer where.free()
	tiles, panels := ceilDiv(d.In, d.path.mr), d.Out/nr
	nt, np := ceilDiv(tiles, gradTiles), ceilDiv(panels, gradPanels)
	d.chunks(func(b0, b1 int) {
		v := newDomain[T](b1-b0, d.In)
		g := domain[T]{ld: nr, pos: (b1-b0)*d.Out | 16} // [place][panel][block][nr]
		buf := getBuf[T](&winoPool, d.pos*(v.pos+g.pos))
		defer putBuf(&winoPool, buf)
		v.data, g.data = (*buf)[:d.pos*v.pos], (*buf)[d.pos*v.pos:]
		d.load(b0, b1, func(b int, scratch []T) {
			d.domain.input(b, x, v.tile(b-b0), v.pos, scratch)
			d.domain.gradient(b, dy, g.tile(b-b0), (b1-b0)*nr, g.pos, scratch)
		})
		Parallel(nt*np, func(i int) {
			t, j := i/np*gradTiles, i%np*gradPanels
			d.gradTiles(v, g, where, b1-b0, task{
				perGroup: tiles, tile0: t, tile1: min(tiles, t+gradTiles),
				panel0: j, panel1: min(panels, j+gradPanels),
			}, b0 > 0, dw)
		})
	})
}

// gradTiles computes some tiles of rows of dw, some panels of them.
func (d *bilinear[T]) gradTiles(v, g domain[T], where *support, blocks int, t task, acc bool, dw []T) {
	nr := d.path.nr()
	_, first, _ := t.tileRows(t.tile0, d.In)
	_, _, end := t.tileRows(t.tile1-1, d.In)
	rows := end - first
	s := d.scratch(d.pos*blocks*rows + d.path.lanes)
	defer s.free()
	var small sieve[T]
	at := 0
	for p := range d.pos {
		for i := t.tile0; i < t.tile1; i++ {
			_, r0, r1 := t.tileRows(i, d.In)
			gather(d.path.set, s.m[at:at+blocks*(r1-r0)], v.data[p*v.pos+r0:], v.ld, r1-r0)
			at += blocks * (r1 - r0)
		}
	}
	for j := t.panel0; j < t.panel1; j++ {
		op := tileOp[T]{k: blocks, segs: 1, rs: 1, packed: true, cols: nr, nv: d.path.nv, ldc: nr}
		at = 0
		for p := range d.pos {
			op.b = g.data[p*g.pos+j*blocks*nr:]
			for i := t.tile0; i < t.tile1; i++ {
				_, r0, r1 := t.tileRows(i, d.In)
				op.rows, op.ks = r1-r0, r1-r0
				op.a, op.c = s.m[at:], s.u[p*s.stride+(r0-first)*nr:]
				op.run(d.path)
				at += blocks * op.rows
			}
		}
		d.domain.weightGrad(s.u, s.taps, s.tmp, s.stride, rows*nr)
		clearNone(where, d.path, &small, s.taps, s.stride, first, rows, j*nr, nr)
		d.storeGrad(s.taps, s.stride, first, rows, j*nr, acc, dw)
	}
}

// storeGrad adds a piece to dw, or stores it.
func (d *bilinear[T]) storeGrad(piece []T, stride, i0, rows, c0 int, acc bool, dw []T) {
	nr := d.path.nr()
	for k := range d.KH * d.KW {
		for r := range rows {
			to, from := dw[(k*d.In+i0+r)*d.Out+c0:][:nr], piece[k*stride+r*nr:][:nr]
			if acc {
				addInto(from, to)
			} else {
				copy(to, from)
			}
		}
	}
}
