package resample

import "math"

// A fineTable holds the filter at many places, for ratios such as 44,101 to
// 22,050 Hz that never repeat in a clip's length: between two of its rows lie
// straight lines.
type fineTable struct {
	phases int       // rows, less one
	rows   []float64 // row p, column k: k - half + 1 - p/phases from the middle
}

func newFineTable(low float64, half int) *fineTable {
	f := &fineTable{phases: int(math.Ceil(finePhases * low))}
	taps := 2 * half
	f.rows = make([]float64, (f.phases+1)*taps)
	for p := range f.phases + 1 {
		for k := range taps {
			f.rows[p*taps+k] = filter(low, float64((k-half+1)*f.phases-p)/float64(f.phases))
		}
	}
	return f
}

// resample returns n outputs. Products and sums are float64.
func (f *fineTable) resample(r *Resampler, x []float32, n int) []float32 {
	taps := 2 * r.half
	padded := make([]float64, len(x)+2*taps)
	for i, v := range x {
		padded[taps+i] = float64(v)
	}
	out := make([]float32, n)
	at, frac := 0, 0 // input time at + frac/l
	for i := range out {
		in := padded[taps+at-r.half+1:][:taps]
		pos := float64(frac) / float64(r.l) * float64(f.phases)
		p := int(pos)
		a, b := dot(f.rows[p*taps:][:taps], in), dot(f.rows[(p+1)*taps:][:taps], in)
		out[i] = float32(a + float64((pos-float64(p))*(b-a)))
		at, frac = at+r.m/r.l, frac+r.m%r.l
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
