package spectra

import "math"

// A bluestein transforms any number n of real points: as i*k is
// (i² + k² - (k-i)²)/2, the transform is, but for a factor of modulus 1,
//
//	X[k] = sum over i of (x[i] c[i]) / c[k-i]  with  c[i] = exp(-pi i i²/n)
//
// which is a convolution, done by transforms of m >= 2n-1 points, m a product of
// 2, 3 and 5. Transforming twice gives the points in the reverse order.
type bluestein struct {
	stockham
	n, m   int
	x      []float64
	chirp  []float64 // c
	filter []float64 // transform of 1/c, over m
}

func newBluestein(l Lanes, n int) *bluestein {
	m := 2*n - 1
	radices, ok := factors(m)
	for ; !ok; radices, ok = factors(m) {
		m++
	}
	b := &bluestein{stockham: newStockham(l, m, radices), n: n, m: m, x: make([]float64, (2*m+2)*l.N)}
	inverse := make([]float64, 2*m+2)
	for i := range n {
		b.chirp = unit(b.chirp, i*i, 2*n)
		re, im := b.chirp[2*i]/float64(m), -b.chirp[2*i+1]/float64(m)
		for _, at := range []int{i, (m - i) % m} {
			inverse[2*at], inverse[2*at+1] = re, im
		}
	}
	one := newStockham(Lanes{N: 1}, m, radices)
	b.filter, _ = one.transform(inverse, one.other)
	return b
}

func (b *bluestein) apply(power, frame []float64) {
	n := b.lanes.N
	need("frame", len(frame), b.n*n)
	need("power", len(power), (b.n/2+1)*n)
	clear(b.x[2*b.n*n:])
	if set := b.lanes.set; set != nil {
		set.Spread(&frame[0], &b.x[0], &b.chirp[0], b.n)
	} else {
		for i, v := range frame[:b.n] {
			b.x[2*i], b.x[2*i+1] = v*b.chirp[2*i], v*b.chirp[2*i+1]
		}
	}
	x, y := b.transform(b.x, b.other)
	if set := b.lanes.set; set != nil {
		set.Turn(&x[0], &b.filter[0], b.m)
	} else {
		for i := range b.m {
			v := point(x, i).turn(b.filter[2*i:])
			x[2*i], x[2*i+1] = v.re, v.im
		}
	}
	x, _ = b.transform(x, y)
	for k := range b.n/2 + 1 {
		at := x[2*((b.m-k)%b.m)*n:][:2*n]
		for l, re := range at[:n] {
			im := at[n+l]
			power[k*n+l] = math.FMA(im, im, re*re)
		}
	}
}
