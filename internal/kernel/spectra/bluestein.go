package spectra

// A bluestein transforms any number n of points: as i*k is (i² + k² - (k-i)²)/2,
//
//	X[k] = c[k] sum over i of (x[i] c[i]) / c[k-i]  with  c[i] = exp(-pi i i²/n)
//
// which is a convolution, done by transforms of m >= 2n-1 points, m a product of
// 2, 3 and 5. Transforming twice gives the points in the reverse order. For
// powers the c[k] in front, of modulus 1, is left out.
type bluestein struct {
	*stockham
	n, m     int
	powers   bool
	x, other []float64
	chirp    []float64 // c
	filter   []float64 // transform of 1/c, over m
}

func newBluestein(l Lanes, n int, powers bool) *bluestein {
	m := 2*n - 1
	radices, ok := factors(m, 5)
	for ; !ok; radices, ok = factors(m, 5) {
		m++
	}
	b := &bluestein{stockham: newStockham(l, m, radices), n: n, m: m, powers: powers, x: make([]float64, 2*m*l.N), other: make([]float64, 2*m*l.N)}
	inverse := make([]float64, 2*m)
	for i := range n {
		b.chirp = unit(b.chirp, i*i, 2*n)
		re, im := b.chirp[2*i]/float64(m), -b.chirp[2*i+1]/float64(m)
		for _, at := range []int{i, (m - i) % m} {
			inverse[2*at], inverse[2*at+1] = re, im
		}
	}
	b.filter, _ = newStockham(Lanes{N: 1}, m, radices).transform(inverse, make([]float64, 2*m))
	return b
}

func (b *bluestein) transform(x, other []float64) (result, rest []float64) {
	point := 2 * b.lanes.N
	b.lanes.turn(x, b.chirp, b.n)
	clear(b.x[copy(b.x, x[:b.n*point]):])
	y, z := b.stockham.transform(b.x, b.other)
	b.lanes.turn(y, b.filter, b.m)
	y, _ = b.stockham.transform(y, z)
	for k := range b.n {
		copy(other[k*point:], y[(b.m-k)%b.m*point:][:point])
	}
	if !b.powers {
		b.lanes.turn(other, b.chirp, b.n)
	}
	return other, x
}

// turn multiplies n complex points by factors.
func (l Lanes) turn(x, factor []float64, n int) {
	if l.set != nil {
		l.set.Turn(&x[0], &factor[0], n)
		return
	}
	for i := range n {
		v := point(x, i).turn(factor[2*i:])
		x[2*i], x[2*i+1] = v.re, v.im
	}
}
