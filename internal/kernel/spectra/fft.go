package spectra

import (
	"fmt"
	"iter"
	"math"
)

// Power computes power spectra of real frames of one length, at least 2.
type Power struct {
	lanes Lanes
	n     int
	frame []float64
	scale float64
	apply func(power, frame []float64)
}

// NewPower is for frames of n samples.
func (l Lanes) NewPower(n int) *Power {
	if n < 2 {
		panic(fmt.Sprintf("spectra: a transform of %d points", n))
	}
	p := &Power{lanes: l, n: n, frame: make([]float64, l.Round(n+2)*l.N), scale: 1}
	switch {
	case n == size551:
		p.apply = newDFT551(l).apply
	case n%2 == 0:
		p.scale = 4
		p.apply = newHalved(l, n).apply
	default:
		p.apply = newWhole(l, n).apply
	}
	return p
}

// Frame is where Apply takes its frames from, sample by sample; at least n
// samples rounded up to whole vectors.
func (p *Power) Frame() []float64 { return p.frame }

// Bins is how many places a spectrum has, n/2 + 1.
func (p *Power) Bins() int { return p.n/2 + 1 }

// Scale is what Apply's powers come multiplied by: 1 or 4.
func (p *Power) Scale() float64 { return p.scale }

// Apply sets power, bin by bin, to Scale times |FFT|² of the frames, which are
// lost.
func (p *Power) Apply(power []float64) { p.apply(power, p.frame) }

// factors writes n as a product of 4, 2, 3, 5 and the primes up to largest.
func factors(n, largest int) (out []int, ok bool) {
	for r := range radices(largest) {
		for n%r == 0 {
			out = append(out, r)
			n /= r
		}
	}
	return out, n == 1
}

// radices is 4, 2, 3, and odd numbers from 5 on, of which those that divide what
// the ones before leave are primes.
func radices(largest int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range []int{4, 2, 3} {
			if !yield(r) {
				return
			}
		}
		for r := 5; r <= largest && yield(r); r += 2 {
		}
	}
}

// A transformer transforms complex points. The result is in x or in other, two
// buffers with room for a point more, whichever it returns; what was in both is
// lost.
type transformer interface {
	transform(x, other []float64) (result, rest []float64)
}

// newTransformer is for n points; with powers the results may have any phase.
func newTransformer(l Lanes, n int, powers bool) transformer {
	if radices, ok := factors(n, maxRadix); ok {
		return newStockham(l, n, radices)
	}
	return newBluestein(l, n, powers)
}

// A stockham is Stockham's transform, in passes between two buffers that need no
// reordering.
type stockham struct {
	lanes  Lanes
	passes []pass
}

type pass struct {
	radix, s, m int
	twiddle     []float64
	odd         oddRadix // of radices above 5
}

// unit appends exp(-2 pi i j/n).
func unit(to []float64, j, n int) []float64 {
	sin, cos := math.Sincos(2 * math.Pi * float64(j%n) / float64(n))
	return append(to, cos, -sin)
}

func newStockham(l Lanes, points int, radices []int) *stockham {
	f := &stockham{lanes: l}
	s := 1
	for _, r := range radices {
		p := pass{radix: r, s: s, m: points / r}
		for j := range p.m {
			for i := 1; i < r; i++ {
				p.twiddle = unit(p.twiddle, i*j, points)
			}
		}
		if r > 5 {
			p.odd = newOddRadix(l, r)
		}
		f.passes = append(f.passes, p)
		points, s = points/r, s*r
	}
	return f
}

func (f *stockham) transform(x, other []float64) (result, rest []float64) {
	for i := range f.passes {
		f.pass(&f.passes[i], x, other)
		x, other = other, x
	}
	return x, other
}

func (f *stockham) pass(p *pass, x, y []float64) {
	if p.radix > 5 {
		f.passOdd(p, x, y)
		return
	}
	if set := f.lanes.set; set != nil {
		run := [...]func(src, dst, twiddle *float64, in, out, s, m int){2: set.Pass2, 3: set.Pass3, 4: set.Pass4, 5: set.Pass5}[p.radix]
		vector := 2 * 8 * f.lanes.N
		run(&x[0], &y[0], &p.twiddle[0], p.s*p.m*vector, p.s*vector, p.s, p.m)
		return
	}
	var in, out [5]complexPair
	for j := range p.m {
		w := p.twiddle[j*(p.radix-1)*2:]
		for q := range p.s {
			for i := range p.radix {
				in[i] = point(x, q+p.s*(j+i*p.m))
			}
			butterfly(p.radix, &in, &out)
			for i := range p.radix {
				v := out[i]
				if i > 0 {
					v = v.turn(w[2*(i-1):])
				}
				at := q + p.s*(p.radix*j+i)
				y[2*at], y[2*at+1] = v.re, v.im
			}
		}
	}
}

// A complexPair is a complex number whose products are fused as the assembly
// fuses them.
type complexPair struct{ re, im float64 }

func point(x []float64, i int) complexPair { return complexPair{x[2*i], x[2*i+1]} }

func (a complexPair) add(b complexPair) complexPair { return complexPair{a.re + b.re, a.im + b.im} }
func (a complexPair) sub(b complexPair) complexPair { return complexPair{a.re - b.re, a.im - b.im} }

// addTurned is a - i·b, subTurned a + i·b.
func (a complexPair) addTurned(b complexPair) complexPair {
	return complexPair{a.re + b.im, a.im - b.re}
}

func (a complexPair) subTurned(b complexPair) complexPair {
	return complexPair{a.re - b.im, a.im + b.re}
}

func (a complexPair) scale(k float64) complexPair { return complexPair{k * a.re, k * a.im} }

// plus is a + k·b.
func (a complexPair) plus(k float64, b complexPair) complexPair {
	return complexPair{math.FMA(k, b.re, a.re), math.FMA(k, b.im, a.im)}
}

// turn is a times the twiddle factor w[0] + i·w[1].
func (a complexPair) turn(w []float64) complexPair {
	return complexPair{math.FMA(a.re, w[0], -float64(a.im*w[1])), math.FMA(a.re, w[1], a.im*w[0])}
}

var (
	half3      = math.Sqrt(3) / 2
	sin1, cos1 = math.Sincos(2 * math.Pi / 5)
	sin2, cos2 = math.Sincos(4 * math.Pi / 5)
)

// butterfly is the transform of two to five points.
func butterfly(points int, x, y *[5]complexPair) {
	switch points {
	case 2:
		y[0], y[1] = x[0].add(x[1]), x[0].sub(x[1])
	case 3:
		sum, d := x[1].add(x[2]), x[1].sub(x[2])
		mid, side := x[0].plus(-.5, sum), d.scale(half3)
		y[0], y[1], y[2] = x[0].add(sum), mid.addTurned(side), mid.subTurned(side)
	case 4:
		a, b := x[0].add(x[2]), x[0].sub(x[2])
		c, d := x[1].add(x[3]), x[1].sub(x[3])
		y[0], y[1], y[2], y[3] = a.add(c), b.addTurned(d), a.sub(c), b.subTurned(d)
	case 5:
		p, r := x[1].add(x[4]), x[1].sub(x[4])
		q, t := x[2].add(x[3]), x[2].sub(x[3])
		y[0] = x[0].add(p).add(q)
		mid, side := x[0].plus(cos1, p).plus(cos2, q), r.scale(sin1).plus(sin2, t)
		y[1], y[4] = mid.addTurned(side), mid.subTurned(side)
		mid, side = x[0].plus(cos2, p).plus(cos1, q), r.scale(sin2).plus(-sin1, t)
		y[2], y[3] = mid.addTurned(side), mid.subTurned(side)
	}
}
