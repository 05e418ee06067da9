package spectra

import "math"

// 551 samples, 25 ms at 22,050 Hz, are 19 x 29: too awkward for a general FFT,
// whose passes of 19 and 29 are plain sums with twiddle factors. But the two are
// coprime, and then, after Good and Thomas, the transform is a two-dimensional
// one of 19 by 29 without any twiddle factors:
//
//	X[k] = sum over n1, n2 of x[29 n1 + 19 n2] W19^(n1 k) W29^(n2 k)
//
// (indices mod 551). The input is real: 29 real transforms of 19, of which 10
// outputs are needed, then 10 complex ones of 29. In each, samples n and N-n are
// added and subtracted first, which halves the sums: 13,000 multiply-adds in
// all.
//
// Only powers are wanted, so the conjugates do as well, and they need no minus:
// the first step gives, by k1 and n2, the real part and minus the imaginary one
//
//	z[k1*29+n2], z[290+k1*29+n2]  with  k1 in 0..9
//
// and the second, in the other direction of time, has for the pair k2, 29-k2
// the sums re = A∓B and im = C±D.
const (
	size551  = 551
	dftA     = 19
	dftB     = 29
	halfA    = dftA / 2
	halfB    = dftB / 2
	dftRows  = halfA + 1
	dftTmp   = 7 * halfB // vectors of scratch
	dftImage = dftRows * dftB
)

type dft551 struct {
	lanes  Lanes
	z, tmp []float64
	in     []int // place of x[29 n1 + 19 n2] by n2, n1, in bytes
	bin    []int // place of the bin of k1, k2, in bytes
}

func newDFT551(l Lanes) *dft551 {
	d := &dft551{
		lanes: l, z: make([]float64, 2*dftImage*l.N), tmp: make([]float64, dftTmp*l.N),
		in: make([]int, size551), bin: make([]int, dftImage),
	}
	for n2 := range dftB {
		for n1 := range dftA {
			d.in[n2*dftA+n1] = (dftB*n1 + dftA*n2) % size551 * l.N * 8
		}
	}
	// Output (k1, k2) is the bin k that leaves k1 when divided by 19 and k2 by
	// 29; bins above 275 are the conjugates of those below.
	for k := range size551 {
		if k1 := k % dftA; k1 <= halfA {
			d.bin[k1*dftB+k%dftB] = min(k, size551-k) * l.N * 8
		}
	}
	return d
}

func (d *dft551) apply(power, frame []float64) {
	need("frame", len(frame), size551*d.lanes.N)
	need("power", len(power), (size551/2+1)*d.lanes.N)
	if s := d.lanes.set; s != nil {
		s.DFT19(&frame[0], &d.z[0], &d.tmp[0], &d.in[0])
		s.DFT29(&d.z[0], &power[0], &d.tmp[0], &d.bin[0])
		return
	}
	for n2 := range dftB {
		d.step19(frame, n2)
	}
	for k1 := range dftRows {
		d.step29(power, k1)
	}
}

// A rotations holds, for outputs k+1 and inputs n+1 up to half the points, the
// cosines and sines of their angles.
type rotations struct{ cos, sin [][]float64 }

var rotations19, rotations29 = newRotations(dftA), newRotations(dftB)

func newRotations(points int) rotations {
	var r rotations
	half := points / 2
	for k := 1; k <= half; k++ {
		cos, sin := make([]float64, half), make([]float64, half)
		for n := 1; n <= half; n++ {
			j, sign := k*n%points, 1.
			if j > half {
				j, sign = points-j, -1
			}
			s, c := math.Sincos(2 * math.Pi * float64(j) / float64(points))
			cos[n-1], sin[n-1] = c, sign*s
		}
		r.cos, r.sin = append(r.cos, cos), append(r.sin, sin)
	}
	return r
}

// dotFrom adds the products of a and b to s, one by one.
func dotFrom(s float64, a, b []float64) float64 {
	b = b[:len(a)]
	for i, v := range a {
		s = math.FMA(v, b[i], s)
	}
	return s
}

// dot is dotFrom the first product.
func dot(a, b []float64) float64 { return dotFrom(a[0]*b[0], a[1:], b[1:]) }

// step19 transforms column n2 over n1.
func (d *dft551) step19(x []float64, n2 int) {
	at := d.in[n2*dftA:][:dftA]
	var even, odd [halfA]float64
	first := x[at[0]/8]
	total := first
	for n := range halfA {
		a, b := x[at[n+1]/8], x[at[dftA-1-n]/8]
		even[n], odd[n] = a+b, a-b
		total += even[n]
	}
	d.z[n2] = total
	for k := range halfA {
		d.z[(k+1)*dftB+n2] = dotFrom(first, rotations19.cos[k], even[:])
		d.z[dftImage+(k+1)*dftB+n2] = dot(rotations19.sin[k], odd[:])
	}
}

// step29 transforms row k1 over n2 and puts its powers where they belong.
func (d *dft551) step29(power []float64, k1 int) {
	re, im, at := d.z[k1*dftB:][:dftB], d.z[dftImage+k1*dftB:][:dftB], d.bin[k1*dftB:][:dftB]
	put := func(k2 int, re, im float64) { power[at[k2]/8] = math.FMA(im, im, re*re) }
	var evenRe, oddRe, evenIm, oddIm [halfB]float64
	sumRe, sumIm := re[0], im[0]
	for n := range halfB {
		a, b := re[n+1], re[dftB-1-n]
		evenRe[n], oddRe[n] = a+b, a-b
		sumRe += evenRe[n]
		a, b = im[n+1], im[dftB-1-n]
		evenIm[n], oddIm[n] = a+b, a-b
		sumIm += evenIm[n]
	}
	put(0, sumRe, sumIm)
	for k := range halfB {
		cos, sin := rotations29.cos[k], rotations29.sin[k]
		a, b := dotFrom(re[0], cos, evenRe[:]), dot(sin, oddIm[:])
		c, d := dotFrom(im[0], cos, evenIm[:]), dot(sin, oddRe[:])
		put(k+1, a-b, c+d)
		put(dftB-1-k, a+b, c-d)
	}
}
