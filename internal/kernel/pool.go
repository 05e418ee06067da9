package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// A Pool2D is the shape of a max-pooling over images with channels last. The
// border, PadH and PadW deep, never wins. Pooling over time is h = 1, KH = 1,
// StrideH = 1.
type Pool2D struct {
	KH, KW           int
	StrideH, StrideW int
	PadH, PadW       int
}

// OutSize is the height and width of the output for an input of h×w.
func (p Pool2D) OutSize(h, w int) (outH, outW int) {
	return outSize(h, p.KH, p.StrideH, p.PadH), outSize(w, p.KW, p.StrideW, p.PadW)
}

func (p Pool2D) check(fn string, n, h, w, ch int) {
	if p.KH < 1 || p.KW < 1 || p.StrideH < 1 || p.StrideW < 1 || p.PadH < 0 || p.PadW < 0 || n < 0 || h < 0 || w < 0 || ch < 1 {
		panic(fmt.Sprintf("kernel: %s: %+v on %d×%d×%d×%d", fn, p, n, h, w, ch))
	}
}

// MaxPoolForward computes y [n][outH][outW][ch], the largest value of each
// window of x [n][h][w][ch]. If arg is not nil it gets, for each y, the place
// h*w of the maximum in its image (row*w + column): the first one where
// several are equal. A NaN in the window wins. A window that is all border
// gives -Inf and place -1.
func MaxPoolForward[T Float](p Pool2D, n, h, w, ch int, x, y []T, arg []int32) {
	const fn = "MaxPoolForward"
	p.check(fn, n, h, w, ch)
	oh, ow := p.OutSize(h, w)
	checkLen(fn, "x", len(x), n*h*w*ch)
	checkLen(fn, "y", len(y), n*oh*ow*ch)
	if arg != nil {
		checkLen(fn, "arg", len(arg), n*oh*ow*ch)
	}
	parallelIf(n*h*w*ch, n*oh, func(i int) {
		img, r := x[i/oh*h*w*ch:][:h*w*ch], i%oh
		for c := range ow {
			at := (i*ow + c) * ch
			var places []int32
			if arg != nil {
				places = arg[at : at+ch]
			}
			poolWindow(p, img, h, w, r, c, y[at:at+ch], places)
		}
	})
}

// poolWindow pools one window, all its channels.
func poolWindow[T Float](p Pool2D, img []T, h, w, r, c int, y []T, arg []int32) {
	ch := len(y)
	top, left := r*p.StrideH-p.PadH, c*p.StrideW-p.PadW
	for j := range y {
		y[j] = T(math.Inf(-1))
	}
	for j := range arg {
		arg[j] = -1
	}
	first := true
	for i := max(0, top); i < min(h, top+p.KH); i++ {
		for j := max(0, left); j < min(w, left+p.KW); j++ {
			at := int32(i*w + j)
			from := img[int(at)*ch:][:ch]
			switch {
			case first:
				copy(y, from)
				for k := range arg {
					arg[k] = at
				}
				first = false
			case arg == nil:
				maxInto(y, from)
			default:
				maxIntoArg(y, from, arg, at)
			}
		}
	}
}

// maxInto makes y the larger of x and y. A NaN is kept once it is there.
func maxInto[T Float](y, x []T) {
	set, n := simdFor[T](len(y))
	if set != nil {
		set.Max(start(x), start(y), n)
	}
	for i := n; i < len(y); i++ {
		if v := x[i]; v > y[i] || v != v {
			y[i] = v
		}
	}
}

// maxIntoArg is maxInto that notes where each y comes from.
func maxIntoArg[T Float](y, x []T, arg []int32, at int32) {
	set, n := simdFor[T](len(y))
	if set != nil {
		set.MaxArg(start(x), start(y), unsafe.SliceData(arg), n, at)
	}
	for i := n; i < len(y); i++ {
		if v, b := x[i], y[i]; v > b || v != v && b == b {
			y[i], arg[i] = v, at
		}
	}
}

// MaxPoolBackward computes dx: each dy goes to the place that arg, from
// MaxPoolForward, says. All of dx is overwritten.
func MaxPoolBackward[T Float](p Pool2D, n, h, w, ch int, dy []T, arg []int32, dx []T) {
	const fn = "MaxPoolBackward"
	p.check(fn, n, h, w, ch)
	oh, ow := p.OutSize(h, w)
	checkLen(fn, "dy", len(dy), n*oh*ow*ch)
	checkLen(fn, "arg", len(arg), n*oh*ow*ch)
	checkLen(fn, "dx", len(dx), n*h*w*ch)
	Parallel(n, func(i int) {
		img := dx[i*h*w*ch:][:h*w*ch]
		clear(img)
		for at := i * oh * ow * ch; at < (i+1)*oh*ow*ch; at += ch {
			from, places := dy[at:at+ch], arg[at:at+ch]
			for j, v := range from {
				if at := int(places[j]); at >= 0 {
					img[at*ch+j] += v
				}
			}
		}
	})
}
