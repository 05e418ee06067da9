package mel

import "math"

// Delta returns the slopes of features over time, frames x cols like feat
// itself: the regression sum over n = 1..reach of n (c[t+n] - c[t-n]), divided
// by 2 sum n², the first and last frames standing in beyond the ends, as
// python_speech_features.delta. Apply it twice for accelerations. It panics if
// feat is not whole frames or reach < 1.
func Delta(feat []float64, cols, reach int) []float64 {
	if cols < 1 || len(feat)%cols != 0 || reach < 1 {
		panic("mel: Delta wants whole frames and a reach of at least 1")
	}
	frames := len(feat) / cols
	out := make([]float64, len(feat))
	den := 0.0
	for n := 1; n <= reach; n++ {
		den += 2 * float64(n*n)
	}
	for t := range frames {
		row := out[t*cols : (t+1)*cols]
		for n := 1; n <= reach; n++ {
			after, before := feat[min(t+n, frames-1)*cols:], feat[max(t-n, 0)*cols:]
			for i := range row {
				row[i] += float64(n) * (after[i] - before[i])
			}
		}
		for i := range row {
			row[i] /= den
		}
	}
	return out
}

// CMVN normalises each column of feat (frames x cols) in place to mean 0 and,
// unless it is constant, standard deviation 1 (population, not sample) over the
// utterance.
func CMVN(feat []float64, cols int) {
	var m Moments
	m.Add(feat, cols)
	m.Normalize(feat)
}

// Moments gathers means and variances of columns over any number of utterances,
// for normalising a corpus by its own statistics. The zero value is empty. Added
// in the same order, utterances give the same bits.
type Moments struct {
	n    float64
	mean []float64
	m2   []float64 // sums of squared differences from the mean
}

// Add takes in the frames of feat (frames x cols). cols may not change between
// calls; it panics if it does, or if feat is not whole frames.
func (m *Moments) Add(feat []float64, cols int) {
	if m.mean == nil {
		m.mean, m.m2 = make([]float64, cols), make([]float64, cols)
	}
	if cols != len(m.mean) || cols < 1 || len(feat)%cols != 0 {
		panic("mel: Moments wants whole frames of one width")
	}
	// Two passes over the utterance, then Chan's update: squares of sums would
	// cancel where the mean is large against the deviation.
	frames := float64(len(feat) / cols)
	if frames == 0 {
		return
	}
	for c := range cols {
		var s, ss float64
		for i := c; i < len(feat); i += cols {
			s += feat[i]
		}
		mean := s / frames
		for i := c; i < len(feat); i += cols {
			d := feat[i] - mean
			ss += d * d
		}
		d := mean - m.mean[c]
		total := m.n + frames
		m.mean[c] += d * frames / total
		m.m2[c] += ss + d*d*m.n*frames/total
	}
	m.n += frames
}

// MeanStd returns the mean and the population standard deviation of the columns.
func (m *Moments) MeanStd() (mean, std []float64) {
	mean, std = append([]float64(nil), m.mean...), make([]float64, len(m.m2))
	for c, v := range m.m2 {
		std[c] = math.Sqrt(v / m.n)
	}
	return mean, std
}

// Normalize subtracts the mean and divides by the standard deviation, column by
// column, in place. Constant columns, whose deviation is but that of rounding,
// become 0.
func (m *Moments) Normalize(feat []float64) {
	mean, std := m.MeanStd()
	cols := len(mean)
	for i, v := range feat {
		c := i % cols
		if v -= mean[c]; std[c] > constantStd*max(1, math.Abs(mean[c])) {
			v /= std[c]
		} else {
			v = 0
		}
		feat[i] = v
	}
}

// constantStd is the deviation, against the mean, of what may be a constant: the
// mean of n equal values is off by some n roundings.
const constantStd = 1e-10
