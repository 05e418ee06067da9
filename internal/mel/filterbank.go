package mel

import "math"

// A filterbank is a set of filters over FFT bins, each kept as its first bin
// and its run of weights, for a triangle touches few of the bins.
type filterbank struct {
	bins  int
	start []int
	w     [][]float64
}

// newFilterbank packs the dense rows (filters x bins), dropping the zeros
// around each filter.
func newFilterbank(rows [][]float64) *filterbank {
	fb := &filterbank{bins: len(rows[0])}
	for _, row := range rows {
		lo, hi := 0, len(row)
		for lo < hi && row[lo] == 0 {
			lo++
		}
		for hi > lo && row[hi-1] == 0 {
			hi--
		}
		fb.start = append(fb.start, lo)
		fb.w = append(fb.w, row[lo:hi])
	}
	return fb
}

// empty returns the indices of filters without a non-zero weight.
func (fb *filterbank) empty() []int {
	var out []int
	for i, w := range fb.w {
		if len(w) == 0 {
			out = append(out, i)
		}
	}
	return out
}

// hzToMel and melToHz are the HTK formula, 2595 log10(1 + f/700).
func hzToMel(hz float64) float64  { return 2595 * log10(1+hz/700) }
func melToHz(mel float64) float64 { return 700 * (exp10(mel/2595) - 1) }

// linspace returns n points from lo to hi, rounded as numpy.linspace does it:
// each is i*step rounded, then + lo rounded. (The conversion forbids the fused
// multiply-add that some processors would use.)
func linspace(lo, hi float64, n int) []float64 {
	out := make([]float64, n)
	step := (hi - lo) / float64(n-1)
	for i := range out {
		out[i] = float64(float64(i)*step) + lo
	}
	out[n-1] = hi
	return out
}

// psfEdges returns the filters+2 edges of python_speech_features' filterbank in
// units of FFT bins, before they are floored: (nfft+1) f / rate. At odd sizes
// the last is an integer but for one rounding, and flooring makes a whole bin of
// that: hence the care with the order of operations.
func psfEdges(c Config) []float64 {
	edges := linspace(hzToMel(c.LowHz), hzToMel(c.HighHz), c.Filters+2)
	for i, m := range edges {
		edges[i] = float64(c.FFTSize+1) * melToHz(m) / float64(c.SampleRateHz)
	}
	return edges
}

// psfBank is python_speech_features.get_filterbanks: triangles between floored
// edges, peak 1.
func psfBank(c Config) *filterbank {
	edges := psfEdges(c)
	bin := make([]float64, len(edges))
	for i, e := range edges {
		bin[i] = math.Floor(e)
	}
	bins := c.FFTSize/2 + 1
	rows := make([][]float64, c.Filters)
	for j := range rows {
		rows[j] = make([]float64, bins)
		for i := int(bin[j]); i < int(bin[j+1]) && i < bins; i++ {
			rows[j][i] = (float64(i) - bin[j]) / (bin[j+1] - bin[j])
		}
		for i := int(bin[j+1]); i < int(bin[j+2]) && i < bins; i++ {
			rows[j][i] = (bin[j+2] - float64(i)) / (bin[j+2] - bin[j+1])
		}
	}
	return newFilterbank(rows)
}
