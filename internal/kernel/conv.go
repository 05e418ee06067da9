package kernel

import "fmt"

// A Conv2D is the shape of a convolution over images with channels last:
// x is [n][h][w][In], the weights are [KH][KW][In][Out], y is
// [n][outH][outW][Out]. It is what deep learning calls a convolution (the
// kernel is not turned round), with zeros PadH and PadW deep on both sides.
// A convolution over time is the case of h = 1: see [Conv1D].
type Conv2D struct {
	KH, KW           int
	In, Out          int
	StrideH, StrideW int
	PadH, PadW       int
}

// Conv1D is the shape of a convolution over time: x is [n][t][in], the weights
// [k][in][out], y [n][outT][out]. Use it with h = 1 and w = t.
func Conv1D(k, in, out, stride, pad int) Conv2D {
	return Conv2D{KH: 1, KW: k, In: in, Out: out, StrideH: 1, StrideW: stride, PadW: pad}
}

// OutSize is the height and width of the output for an input of h×w.
func (c Conv2D) OutSize(h, w int) (outH, outW int) {
	return outSize(h, c.KH, c.StrideH, c.PadH), outSize(w, c.KW, c.StrideW, c.PadW)
}

func outSize(n, k, stride, pad int) int {
	if n+2*pad < k {
		return 0
	}
	return (n+2*pad-k)/stride + 1
}

// WeightLen is the number of weights.
func (c Conv2D) WeightLen() int { return c.KH * c.KW * c.In * c.Out }

func (c Conv2D) check(fn string, n, h, w int) {
	if c.KH < 1 || c.KW < 1 || c.In < 1 || c.Out < 1 || c.StrideH < 1 || c.StrideW < 1 || c.PadH < 0 || c.PadW < 0 || n < 0 || h < 0 || w < 0 {
		panic(fmt.Sprintf("kernel: %s: %+v on %d×%d×%d", fn, c, n, h, w))
	}
}

// Conv2DForward computes y = conv(x, weights) + bias, with negative values made
// zero if relu. bias has Out values or is nil. In float32, 3x3 pixels and 9 to
// 17 taps over time with many channels go through another domain: see bilinear.
func Conv2DForward[T Float](c Conv2D, n, h, w int, x, weights, bias []T, relu bool, y []T) {
	c.check("Conv2DForward", n, h, w)
	checkLen("Conv2DForward", "weights", len(weights), c.WeightLen())
	if b := newBilinear[T](c, n, h, w); b != nil {
		oh, ow := c.OutSize(h, w)
		checkLen("Conv2DForward", "x", len(x), n*h*w*c.In)
		checkLen("Conv2DForward", "y", len(y), n*oh*ow*c.Out)
		checkBias("Conv2DForward", bias, c.Out)
		b.forward(x, taps[T]{c: c, on: b.path, weights: weights}, bias, relu, y)
		return
	}
	directForward(c, n, h, w, x, weights, bias, relu, y)
}

func directForward[T Float](c Conv2D, n, h, w int, x, weights, bias []T, relu bool, y []T) {
	forward("Conv2DForward", pathFor[T](), c, n, h, w, x, y, Epilogue[T]{Bias: bias, ReLU: relu}, func(p *product[T]) {
		p.runSource(source[T]{data: weights, ld: c.Out})
	})
}

// A PackedConv2D is a convolution with its weights packed for one numeric path,
// for weights that are used many times. It always goes the direct way. It does
// not change and may be shared.
type PackedConv2D[T Float] struct {
	Conv2D
	p panels[T]
}

// PackConv2D packs weights.
func PackConv2D[T Float](c Conv2D, weights []T) *PackedConv2D[T] {
	c.check("PackConv2D", 0, 0, 0)
	checkLen("PackConv2D", "weights", len(weights), c.WeightLen())
	segs, segLen := c.segments()
	on := pathFor[T]()
	p := newPanels(on, blocks(segs, segLen), c.Out, Make[T](panelsSize(on, segs*segLen, c.Out)))
	p.fill(source[T]{data: weights, ld: c.Out}, 0)
	return &PackedConv2D[T]{Conv2D: c, p: p}
}

// Forward is Conv2DForward, the direct way, with the packed weights.
func (c *PackedConv2D[T]) Forward(n, h, w int, x, bias []T, relu bool, y []T) {
	c.check("PackedConv2D.Forward", n, h, w)
	c.run("PackedConv2D.Forward", n, h, w, x, y, Epilogue[T]{Bias: bias, ReLU: relu})
}

// ForwardAdd adds to what is in y, as a residual connection needs it:
// y = y + conv(x, weights) + bias, with negative values made zero if relu.
func (c *PackedConv2D[T]) ForwardAdd(n, h, w int, x, bias []T, relu bool, y []T) {
	const fn = "PackedConv2D.ForwardAdd"
	c.check(fn, n, h, w)
	c.run(fn, n, h, w, x, y, Epilogue[T]{Acc: true, Bias: bias, ReLU: relu})
}

func (c *PackedConv2D[T]) run(fn string, n, h, w int, x, y []T, e Epilogue[T]) {
	forward(fn, c.p.path, c.Conv2D, n, h, w, x, y, e, func(p *product[T]) { p.runPacked(&c.p, 0) })
}

// segments says how the window under the kernel lies in the padded input: one
// run of KW*In values for each row of the kernel.
func (c Conv2D) segments() (segs, segLen int) { return c.KH, c.KW * c.In }

// geometry is how the im2col matrix of a padded input lies in it: the place of
// each row of the output, of each row of the kernel, and of each column.
type geometry struct {
	group   offsets // n*outH rows of the output
	segStep int     // row to row of the kernel
	lda     int     // column to column of the output
}

func (c Conv2D) geometry(h, w int) geometry {
	oh, _ := c.OutSize(h, w)
	row := (w + 2*c.PadW) * c.In
	return geometry{
		group:   offsets{inner: oh, outerStep: (h + 2*c.PadH) * row, step: c.StrideH * row},
		segStep: row,
		lda:     c.StrideW * c.In,
	}
}

// forward fills in the product of the im2col view of x with the weights, whose
// columns run multiplies by.
func forward[T Float](fn string, on *path, c Conv2D, n, h, w int, x, y []T, e Epilogue[T], run func(*product[T])) {
	oh, ow := c.OutSize(h, w)
	checkLen(fn, "x", len(x), n*h*w*c.In)
	checkLen(fn, "y", len(y), n*oh*ow*c.Out)
	checkBias(fn, e.Bias, c.Out)
	if n*oh*ow == 0 {
		return
	}
	g := c.geometry(h, w)
	segs, segLen := c.segments()
	padded := padImages(c, n, h, w, x)
	defer padded.free()
	p := product[T]{
		path: on, a: padded.data, lda: g.lda,
		groups: n * oh, rows: ow, group: g.group,
		segs: segs, segLen: segLen, seg: offsets{step: g.segStep},
		n: c.Out, c: y, ldc: c.Out, e: e,
	}
	if segs == 1 && p.lda*ow == g.group.step && g.group.step*oh == g.group.outerStep {
		// Nothing between rows of the output, as in 1x1 windows: one group.
		p.groups, p.rows, p.group = 1, n*oh*ow, offsets{}
	}
	run(&p)
}

// images is an input with its zero border.
type images[T Float] struct {
	data []T
	buf  *[]T
}

func (m images[T]) free() {
	if m.buf != nil {
		putBuf(&padPool, m.buf)
	}
}

// padImages puts the zero border of c round each image of x: into scratch, or
// nowhere if there is none.
func padImages[T Float](c Conv2D, n, h, w int, x []T) images[T] {
	if c.PadH == 0 && c.PadW == 0 {
		return images[T]{data: x}
	}
	hp, row, side := h+2*c.PadH, (w+2*c.PadW)*c.In, c.PadW*c.In
	buf := getBuf[T](&padPool, n*hp*row)
	const band = 16 // rows for one goroutine
	bands := ceilDiv(hp, band)
	parallelIf(len(*buf), n*bands, func(i int) {
		img, r0 := i/bands, i%bands*band
		for r := r0; r < min(hp, r0+band); r++ {
			dst := (*buf)[(img*hp+r)*row:][:row]
			if r < c.PadH || r >= c.PadH+h {
				clear(dst)
				continue
			}
			src := x[(img*h+r-c.PadH)*w*c.In:][:w*c.In]
			clear(dst[:side])
			copy(dst[side:], src)
			clear(dst[side+len(src):])
		}
	})
	return images[T]{data: *buf, buf: buf}
}

// Conv2DBackwardInput computes dx, the gradient by the input of a convolution
// over n images of h×w, from dy, the gradient by its output. All of dx is
// overwritten.
func Conv2DBackwardInput[T Float](c Conv2D, n, h, w int, dy, weights, dx []T) {
	const fn = "Conv2DBackwardInput"
	c.check(fn, n, h, w)
	oh, ow := c.OutSize(h, w)
	checkLen(fn, "dy", len(dy), n*oh*ow*c.Out)
	checkLen(fn, "weights", len(weights), c.WeightLen())
	checkLen(fn, "dx", len(dx), n*h*w*c.In)
	if oh*ow == 0 {
		clear(dx[:n*h*w*c.In])
		return
	}
	if c.StrideH == 1 && c.StrideW == 1 && c.PadH < c.KH && c.PadW < c.KW {
		if b := newBilinear[T](c.turned(), n, oh, ow); b != nil {
			b.forward(dy, taps[T]{c: c, on: b.path, weights: weights, turned: true}, nil, false, dx)
			return
		}
		directInput(c, n, h, w, dy, weights, dx)
		return
	}
	scatterInput(c, n, h, w, dy, weights, dx)
}

// directInput is the input gradient for stride 1, as a convolution.
func directInput[T Float](c Conv2D, n, h, w int, dy, weights, dx []T) {
	oh, ow := c.OutSize(h, w)
	forward("Conv2DBackwardInput", pathFor[T](), c.turned(), n, oh, ow, dy, dx, Epilogue[T]{}, func(p *product[T]) {
		p.runSource(source[T]{
			data: weights, ld: c.Out,
			tapRows: c.Out, taps: c.KH * c.KW, tapSize: c.In * c.Out,
		})
	})
}

// turned is the convolution that is the gradient of c by its input, for stride
// 1: weights transposed, in reverse order.
func (c Conv2D) turned() Conv2D {
	return Conv2D{
		KH: c.KH, KW: c.KW, In: c.Out, Out: c.In, StrideH: 1, StrideW: 1,
		PadH: c.KH - 1 - c.PadH, PadW: c.KW - 1 - c.PadW,
	}
}

// scatterInput is the input gradient for strides: the gradient of each window,
// by one row of the output at a time, added where the window lies. An image is
// one goroutine's, so the order of additions is fixed.
func scatterInput[T Float](c Conv2D, n, h, w int, dy, weights, dx []T) {
	oh, ow := c.OutSize(h, w)
	window := c.KH * c.KW * c.In
	wt := PackBT(c.Out, window, weights, c.Out)
	Parallel(n, func(i int) {
		img := dx[i*h*w*c.In : (i+1)*h*w*c.In]
		clear(img)
		buf := getBuf[T](&colPool, ow*window)
		defer putBuf(&colPool, buf)
		for y := range oh {
			wt.Gemm(ow, dy[(i*oh+y)*ow*c.Out:], c.Out, *buf, window, Epilogue[T]{})
			for x := range ow {
				addWindow(c, (*buf)[x*window:(x+1)*window], img, h, w, y, x)
			}
		}
	})
}

// addWindow adds a window's gradient to the pixels under it, without the
// border.
func addWindow[T Float](c Conv2D, window, img []T, h, w, y, x int) {
	top, left := y*c.StrideH-c.PadH, x*c.StrideW-c.PadW
	k0, k1 := max(0, -left), min(c.KW, w-left)
	if k0 >= k1 {
		return
	}
	for kh := range c.KH {
		if top+kh < 0 || top+kh >= h {
			continue
		}
		from := window[(kh*c.KW+k0)*c.In : (kh*c.KW+k1)*c.In]
		to := img[((top+kh)*w+left+k0)*c.In:][:len(from)]
		addInto(from, to)
	}
}

// Conv2DBackwardWeights computes dw, the gradient by the weights, and, if db
// is not nil, the gradient by the bias, from the input x of n images of h×w
// and dy, the gradient by the output. Both are overwritten.
func Conv2DBackwardWeights[T Float](c Conv2D, n, h, w int, x, dy, dw, db []T) {
	const fn = "Conv2DBackwardWeights"
	c.check(fn, n, h, w)
	oh, ow := c.OutSize(h, w)
	checkLen(fn, "x", len(x), n*h*w*c.In)
	checkLen(fn, "dy", len(dy), n*oh*ow*c.Out)
	checkLen(fn, "dw", len(dw), c.WeightLen())
	if db != nil {
		BiasGrad(n*oh*ow, c.Out, dy, db)
	}
	if n*oh*ow == 0 {
		clear(dw[:c.WeightLen()])
		return
	}
	if b := newBilinear[T](c, n, h, w); b != nil {
		if rows := nonZeroRows(n*oh*ow, c.Out, dy); len(rows)*c.KH*c.KW <= b.pos*b.blocks && finite(x[:n*h*w*c.In]) {
			fewWeights(c, h, w, rows, x, dy, dw)
		} else {
			b.weightGrad(x, dy, dw)
		}
		return
	}
	directWeights(c, n, h, w, x, dy, dw)
}

func directWeights[T Float](c Conv2D, n, h, w int, x, dy, dw []T) {
	oh, ow := c.OutSize(h, w)
	g := c.geometry(h, w)
	segs, segLen := c.segments()
	padded := padImages(c, n, h, w, x)
	defer padded.free()
	p := product[T]{
		path: pathFor[T](), a: padded.data, lda: g.lda, trans: true,
		groups: segs, rows: segLen, group: offsets{step: g.segStep},
		segs: n * oh, segLen: ow, seg: g.group,
		n: c.Out, c: dw, ldc: c.Out,
	}
	p.runSource(source[T]{data: dy, ld: c.Out})
}

// A FrozenConv is a convolution with weights that do not change, packed for one
// numeric path in the fastest way for its shape. It may be shared.
type FrozenConv[T Float] interface {
	// OutSize is the height and width of Forward's output for an input of h×w.
	OutSize(h, w int) (outH, outW int)

	// Forward computes y = conv(x, weights) + bias, with negative values made
	// zero if relu, as Conv2DForward does.
	Forward(n, h, w int, x, bias []T, relu bool, y []T)

	// ForwardPool is Forward followed by a max-pool of 2x2 with stride 2 and no
	// border: an odd last row or column is left out. A NaN in a window wins.
	ForwardPool(n, h, w int, x, bias []T, relu bool, y []T)
}

// minWinograd is how many channels, in and out, a convolution has at least for
// Winograd: with fewer, the transforms take longer than what they save.
const minWinograd = 16

// PackFrozen packs weights [KH][KW][In][Out] of convolution c: by [Winograd] if
// it is 3x3 with stride 1 and border 1 and has channels enough, else for the
// direct way. The choice depends on c alone.
func PackFrozen[T Float](c Conv2D, weights []T) FrozenConv[T] {
	if c.isWinograd() && c.In >= minWinograd && c.Out >= minWinograd {
		return PackWinograd(c, weights)
	}
	return PackConv2D(c, weights)
}

// ForwardPool is [FrozenConv].ForwardPool, one image after the other.
func (c *PackedConv2D[T]) ForwardPool(n, h, w int, x, bias []T, relu bool, y []T) {
	const fn = "PackedConv2D.ForwardPool"
	c.check(fn, n, h, w)
	oh, ow := c.OutSize(h, w)
	p := Pool2D{KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	ph, pw := p.OutSize(oh, ow)
	in, out, pooled := h*w*c.In, oh*ow*c.Out, ph*pw*c.Out
	checkLen(fn, "x", len(x), n*in)
	checkLen(fn, "y", len(y), n*pooled)
	buf := getBuf[T](&colPool, out)
	defer putBuf(&colPool, buf)
	for i := range n {
		c.Forward(1, h, w, x[i*in:], bias, relu, *buf)
		MaxPoolForward(p, 1, oh, ow, c.Out, *buf, y[i*pooled:], nil)
	}
}
