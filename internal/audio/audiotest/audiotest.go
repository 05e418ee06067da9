// Package audiotest makes and measures tones, for tests of what handles sound.
package audiotest

import "math"

// Sine returns n samples of a .5 sine at freq of rate.
func Sine(freq float64, rate, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(.5 * math.Sin(2*math.Pi*freq*float64(i)/float64(rate)))
	}
	return x
}

// FitSine returns amplitude and phase (against sin(2 pi f i/rate)) of the best
// fitting sine of y's middle, and the ratio of it to what remains in dB.
func FitSine(y []float32, freq float64, rate int) (amp, phase, snr float64) {
	lo, hi := len(y)/5, len(y)*4/5
	var ss, sc, cc, ys, yc float64
	for i := lo; i < hi; i++ {
		s, c := math.Sincos(2 * math.Pi * freq * float64(i) / float64(rate))
		v := float64(y[i])
		ss, sc, cc, ys, yc = ss+s*s, sc+s*c, cc+c*c, ys+v*s, yc+v*c
	}
	det := ss*cc - sc*sc
	a, b := (ys*cc-yc*sc)/det, (yc*ss-ys*sc)/det
	var sig, res float64
	for i := lo; i < hi; i++ {
		s, c := math.Sincos(2 * math.Pi * freq * float64(i) / float64(rate))
		m := a*s + b*c
		sig, res = sig+m*m, res+(float64(y[i])-m)*(float64(y[i])-m)
	}
	return math.Hypot(a, b), math.Atan2(b, a), 10 * math.Log10(sig/res)
}
