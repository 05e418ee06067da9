package mel

import "math"

// kaldiEpsilon is the floor of filter outputs before the logarithm: the machine
// epsilon of float32, as in Kaldi, whatever the arithmetic.
const kaldiEpsilon = 1.1920928955078125e-07

// kaldiEnergyFloor is the floor of a frame's energy.
const kaldiEnergyFloor = 1.0

// kaldi is the recipe of Kaldi's compute-mfcc-feats and compute-fbank-feats as
// torchaudio.compliance.kaldi has it, dither 0: whole frames only, in each of
// which the mean is taken off and pre-emphasis starts anew.
type kaldi struct {
	c     Config
	bank  *filterbank
	spec  *spectrum
	win   []float64
	dct   *dct
	power []float64
	mel   []float64
}

func newKaldi(c Config) *kaldi {
	r := &kaldi{
		c: c, bank: kaldiBank(c), spec: newSpectrum(c.FFTSize), win: window(c.Window, c.WindowSamples, false),
		power: make([]float64, c.FFTSize/2+1), mel: make([]float64, c.Filters),
	}
	if c.Output == OutputMFCC {
		r.dct = kaldiDCT(c.Cepstra, c.Filters, c.Lifter)
	}
	return r
}

func (r *kaldi) frames(n int) int {
	if n < r.c.WindowSamples {
		return 0
	}
	return 1 + (n-r.c.WindowSamples)/r.c.HopSamples
}

func (r *kaldi) extract(out, x []float64) {
	cols := r.c.Cols()
	for t := range len(out) / cols {
		energy := r.load(x[t*r.c.HopSamples:][:r.c.WindowSamples])
		r.spec.power(r.power, 1)
		r.bank.apply(r.mel, r.power)
		for i, v := range r.mel {
			r.mel[i] = math.Log(max(v, kaldiEpsilon))
		}
		row := out[t*cols : (t+1)*cols]
		if r.c.Output == OutputLogMel {
			copy(row, r.mel)
			continue
		}
		r.dct.apply(row, r.mel)
		if r.c.Energy {
			row[0] = math.Log(max(energy, kaldiEnergyFloor))
		}
	}
}

// load prepares a frame in the FFT's buffer and returns its energy before
// pre-emphasis and window.
func (r *kaldi) load(frame []float64) (energy float64) {
	buf := r.spec.buf
	mean := sum(frame) / float64(len(frame))
	for i, v := range frame {
		v -= mean
		buf[i] = v
		energy += v * v
	}
	a := r.c.PreEmphasis
	for i := len(frame) - 1; i > 0; i-- {
		buf[i] -= float64(a * buf[i-1])
	}
	buf[0] -= float64(a * buf[0]) // the sample before the first is taken to be the first
	for i, w := range r.win {
		buf[i] *= w
	}
	clear(buf[len(frame):])
	return energy
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
func kaldiDCT(rows, n, lifter int) *dct {
	d := &dct{n: n, m: make([]float64, rows*n)}
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
			d.m[k*n+j] = float64(v) * float64(lift)
		}
	}
	return d
}
