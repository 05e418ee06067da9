package mel

import "math"

// 551 samples, 25 ms at 22,050 Hz, are 19 x 29: too awkward for a general FFT,
// whose passes of 19 and 29 are plain sums with twiddle factors. But the two are
// coprime, and then, after Good and Thomas, the transform is a two-dimensional
// one of 19 by 29 without any twiddle factors:
//
//	X[k] = sum over n1, n2 of x[29 n1 + 19 n2] W19^(n1 k) W29^(n2 k)
//
// (indices mod 551). The input is real: 29 real transforms of 19, of which 10
// outputs are needed, then one real and 9 complex transforms of 29. In each,
// samples n and N-n are added and subtracted first, which halves the sums. That
// is 12,100 multiply-adds, and each bin comes out once, itself or conjugated.
const (
	ft551 = 551
	ftA   = 19
	ftB   = 29
	ftHA  = ftA / 2 // 9
	ftHB  = ftB / 2 // 14
)

// fft551 computes power spectra of 551 real samples. It has buffers, so one is
// for one goroutine.
type fft551 struct {
	cosA, sinA [ftHA][ftHA]float64 // of 2 pi (n+1) (k+1) / 19
	cosB, sinB [ftHB][ftHB]float64
	in         [ftB][ftA]int16 // place of x[29 n1 + 19 n2] by n2, n1
	binA       [ftB]int16      // bin of output (k1 = 0, k2)
	bin        [ftHA][ftB]int16
	re, im     [ftHA + 1][ftB]float64 // between the two passes, by k1, n2
}

func newFFT551() *fft551 {
	f := &fft551{}
	for k := range ftHA {
		for n := range ftHA {
			f.sinA[k][n], f.cosA[k][n] = math.Sincos(2 * math.Pi * float64((k+1)*(n+1)%ftA) / ftA)
		}
	}
	for k := range ftHB {
		for n := range ftHB {
			f.sinB[k][n], f.cosB[k][n] = math.Sincos(2 * math.Pi * float64((k+1)*(n+1)%ftB) / ftB)
		}
	}
	for n2 := range ftB {
		for n1 := range ftA {
			f.in[n2][n1] = int16((ftB*n1 + ftA*n2) % ft551)
		}
	}
	// Output (k1, k2) is the bin k that leaves k1 when divided by 19 and k2 by
	// 29; bins above 275 are the conjugates of those below.
	for k := range ft551 {
		folded := int16(min(k, ft551-k))
		switch k1 := k % ftA; {
		case k1 == 0:
			f.binA[k%ftB] = folded
		case k1 <= ftHA:
			f.bin[k1-1][k%ftB] = folded
		}
	}
	return f
}

// power sets out[k] = scale |X[k]|² for the 276 bins of x's transform.
func (f *fft551) power(out, x []float64, scale float64) {
	x, out = x[:ft551], out[:ft551/2+1]
	for n2 := range ftB {
		f.pass19(x, n2)
	}
	f.real29(out, scale)
	for k1 := 1; k1 <= ftHA; k1++ {
		f.complex29(out, k1, scale)
	}
}

// pass19 transforms column n2 over n1.
func (f *fft551) pass19(x []float64, n2 int) {
	in := &f.in[n2]
	var e, o [ftHA]float64
	x0 := x[in[0]]
	total := x0
	for n := range ftHA {
		a, b := x[in[n+1]], x[in[ftA-1-n]]
		e[n], o[n] = a+b, a-b
		total += e[n]
	}
	f.re[0][n2] = total
	for k := range ftHA {
		c, s := &f.cosA[k], &f.sinA[k]
		f.re[k+1][n2] = x0 + ((e[0]*c[0] + e[1]*c[1] + e[2]*c[2]) + (e[3]*c[3] + e[4]*c[4] + e[5]*c[5]) + (e[6]*c[6] + e[7]*c[7] + e[8]*c[8]))
		f.im[k+1][n2] = -((o[0]*s[0] + o[1]*s[1] + o[2]*s[2]) + (o[3]*s[3] + o[4]*s[4] + o[5]*s[5]) + (o[6]*s[6] + o[7]*s[7] + o[8]*s[8]))
	}
}

// dot14 is a dot product in two strands.
func dot14(a, b *[ftHB]float64) float64 {
	return (a[0]*b[0] + a[2]*b[2] + a[4]*b[4] + a[6]*b[6] + a[8]*b[8] + a[10]*b[10] + a[12]*b[12]) +
		(a[1]*b[1] + a[3]*b[3] + a[5]*b[5] + a[7]*b[7] + a[9]*b[9] + a[11]*b[11] + a[13]*b[13])
}

// real29 transforms row k1 = 0, which is real, over n2.
func (f *fft551) real29(out []float64, scale float64) {
	row := &f.re[0]
	var e, o [ftHB]float64
	total := row[0]
	for n := range ftHB {
		a, b := row[n+1], row[ftB-1-n]
		e[n], o[n] = a+b, a-b
		total += e[n]
	}
	out[0] = scale * (total * total)
	for k := range ftHB {
		re, im := row[0]+dot14(&e, &f.cosB[k]), dot14(&o, &f.sinB[k])
		out[f.binA[k+1]] = scale * (re*re + im*im)
	}
}

// complex29 transforms row k1 over n2.
func (f *fft551) complex29(out []float64, k1 int, scale float64) {
	rr, ri, bin := &f.re[k1], &f.im[k1], &f.bin[k1-1]
	var er, or, ei, oi [ftHB]float64
	sr, si := rr[0], ri[0]
	for n := range ftHB {
		a, b := rr[n+1], rr[ftB-1-n]
		er[n], or[n] = a+b, a-b
		c, d := ri[n+1], ri[ftB-1-n]
		ei[n], oi[n] = c+d, c-d
		sr += er[n]
		si += ei[n]
	}
	out[bin[0]] = scale * (sr*sr + si*si)
	for k := range ftHB {
		c, s := &f.cosB[k], &f.sinB[k]
		ar, br := rr[0]+dot14(&er, c), dot14(&oi, s)
		ai, bi := ri[0]+dot14(&ei, c), dot14(&or, s)
		re, im := ar+br, ai-bi
		out[bin[k+1]] = scale * (re*re + im*im)
		re, im = ar-br, ai+bi
		out[bin[ftB-1-k]] = scale * (re*re + im*im)
	}
}
