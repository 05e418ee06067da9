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
// zero if relu. bias has Out values or is nil.
func Conv2DForward[T Float](c Conv2D, n, h, w int, x, weights, bias []T, relu bool, y []T) {
	c.check("Conv2DForward", n, h, w)
	checkLen("Conv2DForward", "weights", len(weights), c.WeightLen())
	forward("Conv2DForward", pathFor[T](), c, n, h, w, x, bias, relu, y, func(p *product[T]) {
		p.runSource(source[T]{data: weights, ld: c.Out})
	})
}

// A PackedConv2D is a convolution with its weights packed for one numeric path,
// for weights that are used many times. It does not change and may be shared.
type PackedConv2D[T Float] struct {
	Conv2D
	p panels[T]
}

// PackConv2D packs weights.
func PackConv2D[T Float](c Conv2D, weights []T) *PackedConv2D[T] {
	c.check("PackConv2D", 0, 0, 0)
	checkLen("PackConv2D", "weights", len(weights), c.WeightLen())
	segs, segLen := c.segments()
	p := newPanels[T](pathFor[T](), blocks(segs, segLen), segs*segLen, c.Out, nil)
	p.fill(source[T]{data: weights, ld: c.Out}, 0)
	return &PackedConv2D[T]{Conv2D: c, p: p}
}

// Forward is Conv2DForward with the packed weights.
func (c *PackedConv2D[T]) Forward(n, h, w int, x, bias []T, relu bool, y []T) {
	c.check("PackedConv2D.Forward", n, h, w)
	forward("PackedConv2D.Forward", c.p.path, c.Conv2D, n, h, w, x, bias, relu, y, func(p *product[T]) {
		p.runPacked(&c.p, 0)
	})
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
func forward[T Float](fn string, on *path, c Conv2D, n, h, w int, x, bias []T, relu bool, y []T, run func(*product[T])) {
	oh, ow := c.OutSize(h, w)
	checkLen(fn, "x", len(x), n*h*w*c.In)
	checkLen(fn, "y", len(y), n*oh*ow*c.Out)
	checkBias(fn, bias, c.Out)
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
		n: c.Out, c: y, ldc: c.Out, e: Epilogue[T]{Bias: bias, ReLU: relu},
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
