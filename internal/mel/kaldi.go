package mel

import "math"

// kaldiEpsilon is the floor of filter outputs before the logarithm: the machine
// epsilon of float32, as in Kaldi, whatever the arithmetic.
const kaldiEpsilon = 1.1920928955078125e-07

// kaldiEnergyFloor is the floor of a frame's energy.
const kaldiEnergyFloor = 1.0

// kaldiFrame makes of a frame what Kaldi's compute-mfcc-feats and
// compute-fbank-feats do, as torchaudio.compliance.kaldi has it, dither 0: the
// mean is taken off and pre-emphasis starts anew in each. It returns the energy
// before pre-emphasis and window where that is wanted.
func (c Config) kaldiFrame(out, frame []float64) (energy float64) {
	mean := sum(frame) / float64(len(frame))
	out = out[:len(frame)]
	a := c.PreEmphasis
	before := frame[0] - mean // the sample before the first is taken to be the first
	for i, v := range frame {
		v -= mean
		out[i], before = v-float64(a*before), v
	}
	if c.Energy {
		for _, v := range frame {
			energy = math.FMA(v-mean, v-mean, energy)
		}
	}
	return energy
}

// sum adds up in four strands.
func sum(x []float64) float64 {
	var s [4]float64
	for ; len(x) >= 4; x = x[4:] {
		s[0] += x[0]
		s[1] += x[1]
		s[2] += x[2]
		s[3] += x[3]
	}
	for _, v := range x {
		s[0] += v
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// kaldiBank has triangles that are straight in mel, 1127 ln(1 + f/700), not in
// Hz, and does not use the last bin. torchaudio computes it in float32 even for
// float64 sound; the liftered cepstra show the difference.
func kaldiBank(c Config) *filterbank {
	toMel := func(hz float64) float64 { return 1127 * math.Log(1+hz/700) }
	low := toMel(c.LowHz)
	step := float32((toMel(c.HighHz) - low) / float64(c.Filters+1))
	edge := func(j int) float32 { return float32(low) + float32(float32(j)*step) }
	width := float32(float64(c.SampleRateHz) / float64(c.FFTSize))
	rows := make([][]float64, c.Filters)
	for j := range rows {
		rows[j] = make([]float64, c.FFTSize/2+1)
		left, centre, right := edge(j), edge(j+1), edge(j+2)
		for k := range c.FFTSize / 2 {
			m := 1127 * float32(math.Log(float64(1+float32(width*float32(k))/700)))
			rows[j][k] = float64(max(0, min((m-left)/(centre-left), (right-m)/(right-centre))))
		}
	}
	return newFilterbank(rows)
}

// kaldiDCT is newDCT as torchaudio rounds it: its matrix and lifter are computed
// in float32 even for float64 sound, angles included, and at high coefficients
// that shows in the fourth digit.
func kaldiDCT(rows, n, lifter int) []float64 {
	m := make([]float64, rows*n)
	step, scale := float32(math.Pi/float64(n)), float32(math.Sqrt(2/float64(n)))
	for k := range rows {
		lift := float32(1)
		if lifter > 0 {
			angle := float32(math.Pi) * float32(k) / float32(lifter)
			lift = 1 + float32(float32(.5*float64(lifter))*float32(math.Sin(float64(angle))))
		}
		for j := range n {
			angle := float32(step*(float32(j)+.5)) * float32(k)
			v := float32(math.Cos(float64(angle))) * scale
			if k == 0 {
				v = float32(math.Sqrt(1 / float64(n)))
			}
			m[k*n+j] = float64(v) * float64(lift)
		}
	}
	return m
}
