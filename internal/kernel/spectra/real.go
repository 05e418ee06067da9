package spectra

import (
	"math"
	"slices"
)

// A halved transforms n real points, n even: points 2i and 2i+1 are the parts of
// complex point i of a transform of n/2 points, from which the spectrum is then
// split.
type halved struct {
	lanes Lanes
	half  int
	inner transformer
	other []float64 // the second buffer
	split []float64 // twiddle factors
}

func newHalved(l Lanes, n int) *halved {
	f := &halved{lanes: l, half: n / 2, inner: newTransformer(l, n/2, false), other: make([]float64, (n+2)*l.N)}
	for k := range f.half/2 + 1 {
		f.split = unit(f.split, k, n)
	}
	return f
}

func (f *halved) apply(power, frame []float64) {
	n := f.lanes.N
	need("frame", len(frame), (2*f.half+2)*n)
	need("power", len(power), (f.half+1)*n)
	x, _ := f.inner.transform(frame, f.other)
	copy(x[2*f.half*n:][:2*n], x[:2*n])
	if set := f.lanes.set; set != nil {
		set.Split(&x[0], &power[0], &f.split[0], f.half/2+1, f.half)
		return
	}
	for k := range f.half/2 + 1 {
		a, b := point(x, k), point(x, f.half-k)
		even := complexPair{a.re + b.re, a.im - b.im}
		odd := complexPair{a.im + b.im, b.re - a.re}.turn(f.split[2*k:])
		for _, side := range []struct {
			x complexPair
			k int
		}{{even.add(odd), k}, {even.sub(odd), f.half - k}} {
			power[side.k] = math.FMA(side.x.im, side.x.im, side.x.re*side.x.re)
		}
	}
}

// A whole transforms n real points, n odd, as complex ones.
type whole struct {
	lanes    Lanes
	n        int
	inner    transformer
	x, other []float64
	ones     []float64 // 1 + 0i, n times
}

func newWhole(l Lanes, n int) *whole {
	return &whole{
		lanes: l, n: n, inner: newTransformer(l, n, true), x: make([]float64, (2*n+2)*l.N), other: make([]float64, (2*n+2)*l.N),
		ones: slices.Repeat([]float64{1, 0}, n),
	}
}

func (w *whole) apply(power, frame []float64) {
	n := w.lanes.N
	need("frame", len(frame), w.n*n)
	need("power", len(power), (w.n/2+1)*n)
	if set := w.lanes.set; set != nil {
		set.Spread(&frame[0], &w.x[0], &w.ones[0], w.n)
	} else {
		for i, v := range frame[:w.n] {
			w.x[2*i], w.x[2*i+1] = v, 0
		}
	}
	x, _ := w.inner.transform(w.x, w.other)
	for k := range w.n/2 + 1 {
		re, im, to := x[2*k*n:][:n], x[(2*k+1)*n:][:n], power[k*n:][:n]
		for l, v := range re {
			to[l] = math.FMA(im[l], im[l], v*v)
		}
	}
}
