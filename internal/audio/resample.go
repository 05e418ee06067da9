package audio

import (
	"fmt"
	"math"
	"sync"
)

// The filter is a sinc under a Kaiser window with the transition band of soxr's
// HQ quality, .913 to 1.0 of the lower Nyquist frequency, so that the two agree
// where good resamplers usually differ. Kaiser's formulas for a stop band of 110
// dB (10 more than promised, because the images of all phases add up) give beta
// = .1102 (A - 8.7) and a length of (A - 7.95) / (2.285 pi .087) = 164 samples at
// the lower rate.
const (
	resampleBeta   = 11.163
	resampleHalf   = 82 // half the length, in samples at the lower rate
	resampleCutoff = .9565
	// resamplePhases is how finely the filter is tabulated, per sample at the
	// lower rate, for ratios that have too many phases for a table of their own.
	// Straight lines between entries err by (pi/2048)²/8, or -130 dB.
	resamplePhases = 2048
	maxTable       = 1 << 20 // coefficients of an exact table: 8 MiB
	maxOutput      = 1 << 31 // samples
	minRateHz      = 100
)

// A Resampler changes the sample rate of mono sound by one ratio. It holds the
// filter and nothing else, so it is safe for concurrent use.
type Resampler struct {
	l, m   int // output i lies at input time i m / l
	half   int // input samples that a filter reaches to either side
	phases int // rows of table, less one
	exact  bool
	table  []float64 // (phases + 1) x 2 half
}

// NewResampler designs the filter for a pair of sample rates from 100 Hz to
// 768 kHz.
func NewResampler(fromHz, toHz int) (*Resampler, error) {
	for _, hz := range []int{fromHz, toHz} {
		if hz < minRateHz || hz > maxRateHz {
			return nil, fmt.Errorf("resample %d to %d Hz: a rate must be %d to %d Hz", fromHz, toHz, minRateHz, maxRateHz)
		}
	}
	g := gcd(fromHz, toHz)
	r := &Resampler{l: toHz / g, m: fromHz / g}
	low := min(1, float64(toHz)/float64(fromHz)) // lower rate, per input sample
	r.half = int(math.Ceil(resampleHalf / low))
	r.phases, r.exact = r.l, (r.l+1)*2*r.half <= maxTable
	if !r.exact {
		r.phases = int(math.Ceil(resamplePhases * low))
	}
	if r.l == r.m {
		return r, nil
	}
	r.design(low)
	return r, nil
}

// design fills the table: row p, column k holds the filter at k - half + 1 - p /
// phases input samples from the output's place.
func (r *Resampler) design(low float64) {
	taps := 2 * r.half
	r.table = make([]float64, (r.phases+1)*taps)
	norm := 1 / bessel0(resampleBeta)
	for p := range r.phases + 1 {
		for k := range taps {
			// In integers up to the division, so that the filter is symmetric to
			// the last bit.
			t := float64((k-r.half+1)*r.phases-p) / float64(r.phases)
			u := t * low / resampleHalf
			if u <= -1 || u >= 1 {
				continue
			}
			x := math.Pi * resampleCutoff * low * t
			sinc := 1.0
			if x != 0 {
				sinc = math.Sin(x) / x
			}
			r.table[p*taps+k] = resampleCutoff * low * sinc * norm * bessel0(resampleBeta*math.Sqrt(1-u*u))
		}
	}
}

// Len returns the number of samples that n samples become: ceil(n to / from).
func (r *Resampler) Len(n int) int {
	hi, lo := int64(n)/int64(r.m), int64(n)%int64(r.m)
	return int(hi*int64(r.l) + (lo*int64(r.l)+int64(r.m)-1)/int64(r.m))
}

// Resample returns x at the other rate: output i is the value at input time
// i from / to, so there is no delay, and the length is Len(len(x)). Before and
// after x lies silence. Products and sums are float64.
func (r *Resampler) Resample(x []float32) []float32 {
	if r.l == r.m {
		return append([]float32(nil), x...)
	}
	taps := 2 * r.half
	padded := make([]float64, len(x)+2*taps)
	for i, v := range x {
		padded[taps+i] = float64(v)
	}
	out := make([]float32, r.Len(len(x)))
	at, frac := 0, 0 // input time at + frac/l
	stepAt, stepFrac := r.m/r.l, r.m%r.l
	for i := range out {
		in := padded[taps+at-r.half+1:][:taps]
		if r.exact {
			out[i] = float32(dot(r.table[frac*taps:][:taps], in))
		} else {
			pos := float64(frac) / float64(r.l) * float64(r.phases)
			p := int(pos)
			f := pos - float64(p)
			a, b := dot(r.table[p*taps:][:taps], in), dot(r.table[(p+1)*taps:][:taps], in)
			out[i] = float32(a + float64(f*(b-a)))
		}
		at, frac = at+stepAt, frac+stepFrac
		if frac >= r.l {
			at, frac = at+1, frac-r.l
		}
	}
	return out
}

// dot returns the sum of the products of equally long slices, in four strands.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i, v := range a {
		s0 += v * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// resamplers keeps the filters in use: designing one costs as much as resampling
// seconds of sound. It is cleared when it grows beyond what a sane corpus needs.
var resamplers struct {
	sync.Mutex
	m map[[2]int]*Resampler
}

// Resample changes the sample rate of mono sound; see Resampler.Resample.
// Pass-band ripple is below .1 dB up to .9 of the lower Nyquist frequency, and
// from 1.0 of it everything is at least 100 dB down. Rates outside 100 Hz to
// 768 kHz are errors, as is an output of more than 2^31 samples. With equal
// rates the result is a copy. Filters are kept for later calls.
func Resample(x []float32, fromHz, toHz int) ([]float32, error) {
	key := [2]int{fromHz, toHz}
	resamplers.Lock()
	r := resamplers.m[key]
	resamplers.Unlock()
	if r == nil {
		var err error
		if r, err = NewResampler(fromHz, toHz); err != nil {
			return nil, err
		}
		resamplers.Lock()
		if resamplers.m == nil || len(resamplers.m) >= 16 {
			resamplers.m = make(map[[2]int]*Resampler)
		}
		resamplers.m[key] = r
		resamplers.Unlock()
	}
	if int64(len(x)) > maxOutput || r.Len(len(x)) > maxOutput {
		return nil, fmt.Errorf("resample %d to %d Hz: %d samples are too many", fromHz, toHz, len(x))
	}
	return r.Resample(x), nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// bessel0 is the modified Bessel function I0, by its power series.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-18*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}
