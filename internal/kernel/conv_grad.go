package kernel

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
		turned := Conv2D{
			KH: c.KH, KW: c.KW, In: c.Out, Out: c.In, StrideH: 1, StrideW: 1,
			PadH: c.KH - 1 - c.PadH, PadW: c.KW - 1 - c.PadW,
		}
		forward(fn, pathFor[T](), turned, n, oh, ow, dy, nil, false, dx, func(p *product[T]) {
			p.runSource(source[T]{
				data: weights, ld: c.Out,
				tapRows: c.Out, taps: c.KH * c.KW, tapSize: c.In * c.Out,
			})
		})
		return
	}
	scatterInput(c, n, h, w, dy, weights, dx)
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
