package kernel

// nonZeroRows lists those of the rows of x, n values each, that are not all 0.
func nonZeroRows[T Float](rows, n int, x []T) []int {
	zero := make([]bool, rows)
	eachRows(rows, n, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			zero[r] = allZero(x[r*n:][:n])
		}
	})
	var left []int
	for r, z := range zero {
		if !z {
			left = append(left, r)
		}
	}
	return left
}

func allZero[T Float](x []T) bool {
	for _, v := range x {
		if v != 0 {
			return false
		}
	}
	return true
}

// finite reports whether x has neither NaN nor infinities: times 0, they are no 0.
func finite[T Float](x []T) bool {
	return reduce(len(x), func(lo, hi int) float64 {
		var s T
		for _, v := range x[lo:hi] {
			s += v - v
		}
		return float64(s)
	}) == 0
}

// fewWeights is the gradient by the weights of a convolution of stride 1 where dy
// is 0 but in these rows: one product of them with the windows they come from,
// [KH*KW*In][rows]·[rows][Out]. MISA's maximum reaches but few places of a picture.
func fewWeights[T Float](c Conv2D, h, w int, rows []int, x, dy, dw []T) {
	oh, ow := c.OutSize(h, w)
	m, window := len(rows), c.KH*c.KW*c.In
	if m == 0 {
		clear(dw[:window*c.Out])
		return
	}
	buf := getBuf[T](&padPool, m*(window+c.Out))
	defer putBuf(&padPool, buf)
	windows, left := (*buf)[:m*window], (*buf)[m*window:]
	parallelIf(len(*buf), m, func(i int) {
		r := rows[i]
		copy(left[i*c.Out:][:c.Out], dy[r*c.Out:])
		to, img := windows[i*window:][:window], x[r/(oh*ow)*h*w*c.In:]
		top, start := r/ow%oh-c.PadH, r%ow-c.PadW
		k0, k1 := max(0, -start), min(c.KW, w-start) // taps within the row
		clear(to)
		for kh := range c.KH {
			if y := top + kh; y >= 0 && y < h && k0 < k1 {
				copy(to[(kh*c.KW+k0)*c.In:(kh*c.KW+k1)*c.In], img[(y*w+start+k0)*c.In:])
			}
		}
	})
	GemmTA(window, c.Out, m, windows, window, left, c.Out, dw, c.Out, false)
}
