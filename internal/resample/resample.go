// Package resample changes the sample rate of mono sound.
//
// Output i is what the sound was at input time i from / to, so nothing is
// delayed, and n samples become ceil(n to / from):
//
//	y, err := resample.Resample(x, 48000, 22050)
//
// # How it works
//
// Each output is the sum of the input around its place, weighted by a windowed
// sinc. The rates 48,000 and 22,050 Hz have the ratio 320 : 147, so after 147
// outputs and 320 inputs the places repeat: there are 147 filters in all. A few
// neighbouring outputs look at nearly the same input, and a period later they
// look at it with the same weights. So a panel of them, over all periods, is one
// matrix product
//
//	Y (periods x outputs) = X (periods x inputs) · H (inputs x outputs)
//
// where the rows of X are windows of the input, 320 samples apart: a view, that
// copies nothing. internal/kernel does it in float32.
//
// # What is promised
//
// Ripple is below .1 dB up to .9 of the lower of the two Nyquist frequencies;
// from 1.0 of it on everything is at least 100 dB down. A tone has a signal to
// noise ratio of at least 100 dB. Time and memory grow with the length. The same
// input gives the same bits on one numeric path (kernel.Numeric), however many
// CPUs there are. Everything may be used by many goroutines at once.
package resample

import (
	"fmt"
	"math"
	"sync"

	"github.com/hearsight/hearsight/internal/kernel"
)

// The filter is a sinc under a Kaiser window with the transition band of soxr's
// HQ quality, .913 to 1.0 of the lower Nyquist frequency, so that the two agree
// where good resamplers usually differ. Kaiser's formulas for a stop band of 104
// dB (measured: 105.8) give beta = .1102 (A - 8.7) and a length of (A - 7.95) /
// (2.285 pi .087) = 154 samples at the lower rate.
const (
	beta   = 10.502
	reach  = 77 // half the length, in samples at the lower rate
	cutoff = .9565
	// panelWidth is how many outputs a product has, if there are as many: two
	// vectors of AVX-512. More read too much of the input for nothing.
	panelWidth = 32
	// finePhases is how finely the filter is tabulated, per sample at the lower
	// rate, for ratios that have too many phases for a table of their own.
	// Straight lines between entries err by (pi/2048)²/8, or -130 dB.
	finePhases = 2048
	maxTable   = 1 << 20 // coefficients of all panels: 4 MiB
	maxOutput  = 1 << 31 // samples
	// Rates that are taken: 768 kHz is beyond any recorder.
	minRateHz, maxRateHz = 100, 768000
)

// A Resampler changes the sample rate by one ratio. It holds the filters and
// nothing else.
type Resampler struct {
	l, m    int     // output i lies at input time i m / l
	low     float64 // the lower rate, per input sample
	half    int     // input samples that a filter reaches to either side
	periods int     // of l outputs and m inputs that a row of the panels has
	panels  []panel
	fine    *fineTable // in place of panels, if there were too many
}

// A panel is some neighbouring outputs of a period.
type panel struct {
	out   int // the first
	in    int // where its window of the input begins, from the period's first sample
	coeff *kernel.Packed[float32]
}

// New designs the filters for a pair of sample rates from 100 Hz to 768 kHz.
func New(fromHz, toHz int) (*Resampler, error) {
	for _, hz := range []int{fromHz, toHz} {
		if hz < minRateHz || hz > maxRateHz {
			return nil, fmt.Errorf("resample %d to %d Hz: a rate must be %d to %d Hz", fromHz, toHz, minRateHz, maxRateHz)
		}
	}
	g := gcd(fromHz, toHz)
	r := &Resampler{l: toHz / g, m: fromHz / g, low: min(1, float64(toHz)/float64(fromHz))}
	if r.l == r.m {
		return r, nil
	}
	r.half = int(math.Ceil(reach / r.low))
	r.periods = max(1, panelWidth/r.l)
	n := r.l * r.periods
	count := (n + panelWidth - 1) / panelWidth
	if n*(2*r.half+panelWidth*r.m/r.l+1) > maxTable {
		r.fine = newFineTable(r.low, r.half)
		return r, nil
	}
	for i := range count {
		r.panels = append(r.panels, r.panel(i*n/count, (i+1)*n/count))
	}
	return r, nil
}

// panel computes the weights of outputs o0 to o1 of a period. Output o lies at
// input time o m/l, and takes the 2 half samples around it.
func (r *Resampler) panel(o0, o1 int) panel {
	first := o0*r.m/r.l - r.half + 1
	last := (o1-1)*r.m/r.l + r.half
	k, n := last-first+1, o1-o0
	h := make([]float32, k*n)
	for i := range k {
		for o := range n {
			// In integers up to the division, so that the filter is symmetric to
			// the last bit.
			t := float64((first+i)*r.l-(o0+o)*r.m) / float64(r.l)
			h[i*n+o] = float32(filter(r.low, t))
		}
	}
	return panel{out: o0, in: first, coeff: kernel.PackB(k, n, h, n)}
}

// filter is the impulse response at t input samples from its middle.
func filter(low, t float64) float64 {
	u := t * low / reach
	if u <= -1 || u >= 1 {
		return 0
	}
	x, sinc := math.Pi*cutoff*low*t, 1.0
	if x != 0 {
		sinc = math.Sin(x) / x
	}
	return cutoff * low * sinc * bessel0(beta*math.Sqrt(1-u*u)) / bessel0(beta)
}

// Len returns the number of samples that n samples become: ceil(n to / from).
func (r *Resampler) Len(n int) int {
	hi, lo := int64(n)/int64(r.m), int64(n)%int64(r.m)
	return int(hi*int64(r.l) + (lo*int64(r.l)+int64(r.m)-1)/int64(r.m))
}

// Resample returns x at the other rate, Len(len(x)) samples. Before and after x
// lies silence. With equal rates the result is a copy.
func (r *Resampler) Resample(x []float32) []float32 {
	n := r.Len(len(x))
	switch {
	case r.l == r.m:
		return append([]float32(nil), x...)
	case n == 0:
		return nil
	case r.fine != nil:
		return r.fine.resample(r, x, n)
	}
	rows := (n + r.l*r.periods - 1) / (r.l * r.periods)
	out := make([]float32, rows*r.l*r.periods)
	for i := range r.panels {
		r.run(&r.panels[i], x, out, rows)
	}
	return out[:n:n]
}

// run computes a panel's outputs in all rows. The windows at both ends, which
// reach beyond x, are copied out and filled up with zeros.
func (r *Resampler) run(p *panel, x, out []float32, rows int) {
	width, step, k := r.l*r.periods, r.m*r.periods, p.coeff.K
	none := kernel.Epilogue[float32]{}
	first := min(rows, max(0, (step-1-p.in)/step))
	last := max(first, min(rows, (len(x)-k-p.in+step)/step))
	edge := make([]float32, k)
	for row := range rows {
		if row == first && last > first {
			p.coeff.Gemm(last-first, x[first*step+p.in:], step, out[first*width+p.out:], width, none)
		}
		if row >= first && row < last {
			continue
		}
		clear(edge)
		at := row*step + p.in
		if at < len(x) {
			copy(edge[max(0, -at):], x[max(0, at):])
		}
		p.coeff.Gemm(1, edge, k, out[row*width+p.out:], width, none)
	}
}

// resamplers keeps the filters in use: designing one costs as much as resampling
// a minute of sound. It is cleared when it grows beyond what a sane corpus needs.
var resamplers struct {
	sync.Mutex
	m map[key]*Resampler
}

// A key is what a Resampler depends on: its panels are packed for one path.
type key struct {
	fromHz, toHz int
	numeric      string
}

// Resample changes the sample rate of x; see Resampler.Resample. Rates outside
// 100 Hz to 768 kHz are errors, as is an output of more than 2^31 samples.
// Filters are kept for later calls.
func Resample(x []float32, fromHz, toHz int) ([]float32, error) {
	k := key{fromHz, toHz, kernel.Numeric()}
	resamplers.Lock()
	r := resamplers.m[k]
	resamplers.Unlock()
	if r == nil {
		var err error
		if r, err = New(fromHz, toHz); err != nil {
			return nil, err
		}
		resamplers.Lock()
		if resamplers.m == nil || len(resamplers.m) >= 16 {
			resamplers.m = make(map[key]*Resampler)
		}
		resamplers.m[k] = r
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
