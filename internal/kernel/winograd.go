package kernel

import (
	"fmt"
	"math"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// A Winograd is a 3x3 convolution with stride 1 and a border of 1, by
// Winograd's minimal filtering F(4x4,3x3) (Winograd 1980; Lavin and Gray,
// "Fast algorithms for convolutional neural networks", 2016), for weights that
// are used many times. It does not change and may be shared.
//
// The output is cut into tiles of 4x4 pixels. The 6x6 pixels under one are
// transformed, the sums over the channels are done in that domain, and the
// result is transformed back:
//
//	Y = At·[ Σ_in (G·g·Gt) ∘ (Bt·d·B) ]·A
//
//	     | 4  0 -5  0  1  0 |        | 1/4    0    0  |
//	     | 0 -4 -4  1  1  0 |        |-1/6  -1/6 -1/6 |        | 1  1  1  1  1  0 |
//	Bt = | 0  4 -4 -1  1  0 |   G =  |-1/6   1/6 -1/6 |   At = | 0  1 -1  2 -2  0 |
//	     | 0 -2 -1  2  1  0 |        | 1/24  1/12 1/6 |        | 0  1  1  4  4  0 |
//	     | 0  2 -1 -2  1  0 |        | 1/24 -1/12 1/6 |        | 0  1 -1  8 -8  1 |
//	     | 0  4  0 -5  0  1 |        |  0     0    1  |
//
// The ∘ is 36 independent products, so that over many tiles it is 36 matrix
// products [tiles][In]·[In][Out]: 36 multiplications for 16 pixels where the
// direct way takes 144. The price is rounding (1e-6 of the rms in float32, some
// ten times that of the direct way), memory for the weights (4 times as much),
// and that a NaN or an infinity in x may make NaN of all pixels of the tiles
// that it touches.
type Winograd[T Float] struct {
	Conv2D
	u    []panels[T] // G·g·Gt, a matrix [In][Out] for each position
	zero []T         // in place of a bias
}

const (
	winoTile = 4            // pixels of the output, each way
	winoSide = winoTile + 2 // pixels under them
	winoPos  = winoSide * winoSide
)

func (c Conv2D) isWinograd() bool {
	return c.KH == 3 && c.KW == 3 && c.StrideH == 1 && c.StrideW == 1 && c.PadH == 1 && c.PadW == 1
}

// PackWinograd transforms and packs weights. It panics if c is not 3x3 with
// stride 1 and border 1.
func PackWinograd[T Float](c Conv2D, weights []T) *Winograd[T] {
	const fn = "PackWinograd"
	c.check(fn, 0, 0, 0)
	if !c.isWinograd() {
		panic(fmt.Sprintf("kernel: %s: %+v is not 3×3 with stride and border 1", fn, c))
	}
	checkLen(fn, "weights", len(weights), c.WeightLen())
	w := &Winograd[T]{Conv2D: c, u: make([]panels[T], winoPos), zero: make([]T, c.Out)}
	on := pathFor[T]()
	size := panelsSize(on, c.In, c.Out)
	all := Make[T](len(w.u) * size)
	for i := range w.u {
		w.u[i] = newPanels(on, blocks(1, c.In), c.Out, all[i*size:(i+1)*size])
	}
	const rows = 16 // input channels for one goroutine
	parallelIf(c.WeightLen(), ceilDiv(c.In, rows), func(i int) {
		u := make([]T, winoPos*c.Out)
		for in := i * rows; in < min(c.In, (i+1)*rows); in++ {
			winogradWeights(c, weights, in, u)
			for p := range w.u {
				w.u[p].setRow(in, u[p*c.Out:(p+1)*c.Out])
			}
		}
	})
	return w
}

// winogradWeights computes G·g·Gt for input channel in and all outputs o:
// u[(y*6+x)*Out+o]. It rounds once, from float64.
func winogradWeights[T Float](c Conv2D, weights []T, in int, u []T) {
	step := c.In * c.Out // tap to tap
	for o := range c.Out {
		at := in*c.Out + o
		var half [3][winoSide]float64
		for x := range half {
			w := weights[at+x*step:]
			half[x] = winogradG(float64(w[0]), float64(w[3*step]), float64(w[6*step]))
		}
		for y := range winoSide {
			for x, v := range winogradG(half[0][y], half[1][y], half[2][y]) {
				u[(y*winoSide+x)*c.Out+o] = T(v)
			}
		}
	}
}

// winogradG is G·(g0, g1, g2).
func winogradG[T Float](g0, g1, g2 T) [winoSide]T {
	even, odd := (g0+g2)/6, g1/6
	near, far := g0/24+g2/6, g1/12
	return [winoSide]T{g0 / 4, -even - odd, odd - even, near + far, near - far, g2}
}

// Forward is [Conv2DForward] with the packed weights.
func (c *Winograd[T]) Forward(n, h, w int, x, bias []T, relu bool, y []T) {
	c.forward("Winograd.Forward", n, h, w, x, bias, relu, false, y)
}

// ForwardPool is Forward followed by a max-pool of 2x2 with stride 2, in one
// go: y is [n][h/2][w/2][Out], an odd last row or column being left out.
func (c *Winograd[T]) ForwardPool(n, h, w int, x, bias []T, relu bool, y []T) {
	c.forward("Winograd.ForwardPool", n, h, w, x, bias, relu, true, y)
}

func (c *Winograd[T]) forward(fn string, n, h, w int, x, bias []T, relu, pool bool, y []T) {
	c.check(fn, n, h, w)
	checkLen(fn, "x", len(x), n*h*w*c.In)
	checkBias(fn, bias, c.Out)
	r := winoRun[T]{Winograd: c, winoTiling: newWinoTiling(h, w, pool), path: c.u[0].path, x: x, bias: bias, floor: T(math.Inf(-1)), y: y}
	checkLen(fn, "y", len(y), n*r.outH*r.outW*c.Out)
	if n*r.outH*r.outW == 0 {
		return
	}
	if bias == nil {
		r.bias = c.zero
	}
	if relu {
		r.floor = 0
	}
	r.all(n * r.down * r.across)
}

// How tiles are cut into blocks; measured on Zen 5 (1 MiB of L2, 32 MiB of L3)
// within 5 % of the best for all layers of VGG16.
const (
	// winoBlock is how many values a block may have in the domain of the
	// products, both before and after them: 1 MiB.
	winoBlock = 256 << 10
	// winoTiles is how many tiles a block has at least: fewer are too few rows
	// for a product.
	winoTiles = 56
	// winoBlocks is from how many blocks on each is one goroutine's work, all
	// three steps of it. Fewer blocks are done one after the other, each
	// step by all goroutines.
	winoBlocks = 8
)

// blockTiles is the size of a block. Where the weights are larger than the
// caches, it is so large that reading them takes less than half of the traffic.
func (c *Winograd[T]) blockTiles() int {
	return max(winoTiles, winoBlock/(winoPos*(c.In+c.Out)), c.In*c.Out/(2*(c.In+c.Out)))
}

// A winoRun is one call of Forward.
type winoRun[T Float] struct {
	*Winograd[T]
	winoTiling
	path       *path
	x, bias, y []T
	floor      T
}

// all runs all tiles. No value depends on how they are cut into blocks.
func (r *winoRun[T]) all(tiles int) {
	count := ceilDiv(tiles, r.blockTiles())
	each := func(n int, f func(i int)) {
		for i := range n {
			f(i)
		}
	}
	outer, inner := each, Parallel
	if count >= winoBlocks {
		outer, inner = Parallel, each
	}
	outer(count, func(i int) {
		r.block(i*tiles/count, (i+1)*tiles/count, inner)
	})
}

// block runs tiles t0 to t1, its steps cut up for each.
func (r *winoRun[T]) block(t0, t1 int, each func(n int, f func(i int))) {
	tiles := t1 - t0
	v, m := newDomain[T](tiles, r.In), newDomain[T](tiles, r.Out)
	buf := getBuf[T](&winoPool, winoPos*(v.pos+m.pos))
	defer putBuf(&winoPool, buf)
	v.data, m.data = (*buf)[:winoPos*v.pos], (*buf)[winoPos*v.pos:]

	const some = 8 // tiles for one goroutine
	each(ceilDiv(tiles, some), func(i int) {
		s := getBuf[T](&tilePool, r.scratch())
		defer putBuf(&tilePool, s)
		for t := i * some; t < min(tiles, (i+1)*some); t++ {
			tileIn(r.path, &r.winoTiling, t0+t, r.x, r.In, v.tile(t), v.pos, *s)
		}
	})
	panels := r.u[0].count()
	step := max(1, taskCols/r.path.nr())
	parts := ceilDiv(panels, step)
	each(winoPos*parts, func(i int) {
		pos, j := i/parts, i%parts*step
		p := product[T]{
			path: r.path, a: v.data[pos*v.pos:], lda: v.ld,
			groups: 1, rows: tiles, segs: 1, segLen: r.In,
			n: r.Out, c: m.data[pos*m.pos:], ldc: m.ld,
		}
		count := ceilDiv(tiles, r.path.mr)
		p.run(&r.u[pos], task{tile1: count, perGroup: count, panel0: j, panel1: min(panels, j+step)})
	})
	each(ceilDiv(tiles, some), func(i int) {
		s := getBuf[T](&tilePool, r.scratch())
		defer putBuf(&tilePool, s)
		for t := i * some; t < min(tiles, (i+1)*some); t++ {
			tileOut(r.path, &r.winoTiling, t0+t, m.tile(t), m.pos, r.y, r.Out, 0, r.bias, r.floor, *s)
		}
	})
}

// A domain is the values of a block of tiles at all positions:
//
//	[position][tile][channel], ld from tile to tile, pos from position to position
//
// Both steps are an odd number of cache lines, lest the 36 positions of a tile,
// or the tiles that a product reads together, fall on the same cache sets.
type domain[T Float] struct {
	ld, pos int
	data    []T
}

func newDomain[T Float](tiles, channels int) domain[T] {
	const line = 16 // float32 values
	ld := ceilTo(channels, line) | line
	return domain[T]{ld: ld, pos: tiles*ld | line}
}

func (d *domain[T]) tile(t int) []T { return d.data[t*d.ld:] }

// scratch is how many values a goroutine needs for one tile: its pixels, if
// they lie at the edge, and room for the transforms.
func (r *winoRun[T]) scratch() int {
	return simd.Tmp*r.path.lanes + max(winoPos*r.In, winoTile*winoTile*r.Out)
}

// A winoTiling is how images are cut into tiles.
type winoTiling struct {
	h, w         int // of the input
	outH, outW   int
	down, across int // tiles of an image
	step         int // pixels of the output from tile to tile
}

func newWinoTiling(h, w int, pool bool) winoTiling {
	g := winoTiling{h: h, w: w, step: winoTile}
	if pool {
		g.step = winoTile / 2
	}
	g.outH, g.outW = h*g.step/winoTile, w*g.step/winoTile
	g.down, g.across = ceilDiv(g.outH, g.step), ceilDiv(g.outW, g.step)
	return g
}

// place says where tile t is: its image, and its first pixel of the output.
func (g *winoTiling) place(t int) (img, row, col int) {
	img, t = t/(g.down*g.across), t%(g.down*g.across)
	return img, t / g.across * g.step, t % g.across * g.step
}

// tileIn transforms the pixels of x, ch channels, under tile t into dst,
// position by position.
func tileIn[T Float](on *path, g *winoTiling, t int, x []T, ch int, dst []T, pos int, scratch []T) {
	img, row, col := g.place(t)
	top, left := row*winoTile/g.step-1, col*winoTile/g.step-1
	image := x[img*g.h*g.w*ch:][:g.h*g.w*ch]
	tmp, patch := scratch[:simd.Tmp*on.lanes], scratch[simd.Tmp*on.lanes:]
	if top >= 0 && left >= 0 && top+winoSide <= g.h && left+winoSide <= g.w {
		winogradIn(on, image[(top*g.w+left)*ch:], dst, tmp, g.w*ch, ch, pos, ch)
		return
	}
	patchOf(image, g.h, g.w, ch, top, left, winoSide, patch)
	winogradIn(on, patch, dst, tmp, winoSide*ch, ch, pos, ch)
}

// patchOf copies side×side pixels of an image, with zeros outside of it.
func patchOf[T Float](image []T, h, w, ch, top, left, side int, patch []T) {
	c0, c1 := max(0, -left), min(side, w-left)
	for y := range side {
		line := patch[y*side*ch:][:side*ch]
		if top+y < 0 || top+y >= h {
			clear(line)
			continue
		}
		clear(line[:c0*ch])
		copy(line[c0*ch:c1*ch], image[((top+y)*w+left+c0)*ch:])
		clear(line[c1*ch:])
	}
}

// tileOut transforms the sums of tile t back and stores its pixels in y, which
// has ch channels, from channel c0 on, as many as there are biases.
func tileOut[T Float](on *path, g *winoTiling, t int, src []T, pos int, y []T, ch, c0 int, bias []T, floor T, scratch []T) {
	img, row, col := g.place(t)
	n := len(bias)
	to := y[((img*g.outH+row)*g.outW+col)*ch+c0:]
	tmp, patch := scratch[:simd.Tmp*on.lanes], scratch[simd.Tmp*on.lanes:]
	pool := g.step != winoTile
	if row+g.step <= g.outH && col+g.step <= g.outW {
		winogradOut(on, src, to, tmp, bias, pos, g.outW*ch, ch, floor, pool)
		return
	}
	winogradOut(on, src, patch, tmp, bias, pos, g.step*n, n, floor, pool)
	for i := range min(g.step, g.outH-row) {
		for j := range min(g.step, g.outW-col) {
			copy(to[(i*g.outW+j)*ch:][:n], patch[(i*g.step+j)*n:])
		}
	}
}

// minPixels is from how large an image on Winograd is faster than the direct way
// when the weights have to be transformed each time.
const minPixels = 64

// A winoDomain is Winograd's transforms for weights that change.
type winoDomain[T Float] struct {
	Conv2D
	winoTiling
	path *path
}

func newWinograd[T Float](c Conv2D, n, h, w int) *bilinear[T] {
	d := &winoDomain[T]{Conv2D: c, winoTiling: newWinoTiling(h, w, false), path: pathFor[T]()}
	return &bilinear[T]{Conv2D: c, path: d.path, domain: d, pos: winoPos, taps: c.KH * c.KW, blocks: n * d.down * d.across, n: n, h: h, w: w}
}

func (d *winoDomain[T]) scratch() int {
	return simd.Tmp*d.path.lanes + winoPos*max(d.In, d.Out)
}

func (d *winoDomain[T]) input(b int, x, dst []T, pos int, scratch []T) {
	tileIn(d.path, &d.winoTiling, b, x, d.In, dst, pos, scratch)
}

func (d *winoDomain[T]) output(b int, src []T, pos int, y []T, c0 int, bias []T, floor T, scratch []T) {
	tileOut(d.path, &d.winoTiling, b, src, pos, y, d.Out, c0, bias, floor, scratch)
}

func (d *winoDomain[T]) gradient(b int, dy, dst []T, panel, pos int, scratch []T) {
	img, row, col := d.place(b)
	tmp, patch := scratch[:simd.Tmp*d.path.lanes], scratch[simd.Tmp*d.path.lanes:]
	patchOf(dy[img*d.h*d.w*d.Out:][:d.h*d.w*d.Out], d.h, d.w, d.Out, row, col, winoTile, patch)
	nr := d.path.nr()
	for j := range d.Out / nr {
		winogradSpread(d.path, patch[j*nr:], dst[j*panel:], tmp, d.Out, pos, nr)
	}
}

func (d *winoDomain[T]) weights(w, u, tmp []T, stride, n int) {
	winogradTaps(d.path, w, u, tmp, stride, n)
}

func (d *winoDomain[T]) weightGrad(p, dw, tmp []T, stride, n int) {
	winogradGrad(d.path, p, dw, tmp, stride, n)
}
