package audio

import "math"

// Levels say how loud a recording is, for people who look for bad ones.
type Levels struct {
	Peak         float64 // largest absolute value, full scale being 1
	SilenceShare float64 // of all blocks of 20 ms, those with an RMS below -60 dB of full scale
	LoudnessLUFS float64 // integrated, by ITU-R BS.1770-4, to .01; -70 where no block is louder
}

const (
	silenceRMS    = 1e-3 // -60 dB, where ffmpeg's silencedetect begins, too
	silenceBlocks = 50   // a second
	quietestLUFS  = -70  // BS.1770's absolute gate
	gateLU        = 10   // its relative one
)

// MeasurePCM16 measures mono samples of 16 bits, in one pass. Of no samples all
// is 0 but the loudness.
func MeasurePCM16(samples []int16, rateHz int) Levels {
	shelf, pass := kWeighting(rateHz)
	var s1, s2, p1, p2 float64 // what the filters remember
	tenth, block := max(1, rateHz/10), max(1, rateHz/silenceBlocks)
	var peak int
	var silent, blocks int
	var power, energy float64 // of the block of silence, and the tenth of loudness
	var tenths []float64
	inBlock, inTenth := 0, 0
	for _, s := range samples {
		a := int(s)
		peak = max(peak, a, -a)
		v := float64(s) / 32768
		power += float64(v * v) // conversions forbid fused multiply-adds here and below
		if inBlock++; inBlock == block {
			if blocks++; power < float64(block)*(silenceRMS*silenceRMS) {
				silent++
			}
			power, inBlock = 0, 0
		}
		// The filters, in transposed direct form II. Each sample waits for the one
		// before, so this stays here, where the compiler keeps all in registers.
		y := float64(shelf.b0*v) + s1
		s1 = float64(shelf.b1*v) - float64(shelf.a1*y) + s2
		s2 = float64(shelf.b2*v) - float64(shelf.a2*y)
		v = y + p1 // b of the high pass is 1, -2, 1
		p1 = p2 - 2*y - float64(pass.a1*v)
		p2 = y - float64(pass.a2*v)
		energy += float64(v * v)
		if inTenth++; inTenth == tenth {
			tenths = append(tenths, energy/float64(tenth))
			energy, inTenth = 0, 0
		}
	}
	if blocks == 0 && len(samples) > 0 { // shorter than one
		if blocks = 1; power < float64(len(samples))*(silenceRMS*silenceRMS) {
			silent = 1
		}
	}
	if len(tenths) < 4 && len(samples) > 0 { // no whole block of .4 s: all there is makes one
		sum := energy
		for _, t := range tenths {
			sum += float64(t * float64(tenth))
		}
		mean := sum / float64(len(samples))
		tenths = []float64{mean, mean, mean, mean}
	}
	return Levels{
		Peak: float64(peak) / 32768, SilenceShare: float64(silent) / float64(max(1, blocks)),
		LoudnessLUFS: math.Round(100*gated(tenths)) / 100,
	}
}

// gated is the loudness of blocks of four tenths of a second, one beginning at
// each tenth, leaving out what is below both gates.
func gated(tenths []float64) float64 {
	gate := float64(quietestLUFS)
	for range 2 {
		sum, n := 0.0, 0
		for i := 3; i < len(tenths); i++ {
			p := (tenths[i-3] + tenths[i-2] + tenths[i-1] + tenths[i]) / 4
			if lufs(p) > gate {
				sum += p
				n++
			}
		}
		if n == 0 {
			return quietestLUFS
		}
		loudness := lufs(sum / float64(n))
		if gate != quietestLUFS || loudness-gateLU <= quietestLUFS {
			return loudness
		}
		gate = loudness - gateLU
	}
	return quietestLUFS // not reached
}

func lufs(power float64) float64 { return -.691 + 10*math.Log10(power) }

// A biquad is a filter of second order.
type biquad struct{ b0, b1, b2, a1, a2 float64 }

// kWeighting returns the two filters of BS.1770 for a sample rate: a shelf that
// lifts what the head does, and a high pass. The standard lists coefficients for
// 48 kHz only; these are the analogue filters behind them, as libebur128 found
// them. A shelf above half the sample rate is none.
func kWeighting(rateHz int) (shelf, pass biquad) {
	const shelfHz, gainDB, shelfQ = 1681.974450955533, 3.999843853973347, .7071752369554196
	const passHz, passQ = 38.13547087602444, .5003270373238773
	shelf = biquad{b0: 1}
	if 2*shelfHz < float64(rateHz) {
		k := math.Tan(math.Pi * shelfHz / float64(rateHz))
		high := math.Pow(10, gainDB/20)
		band := math.Pow(high, .4996667741545416)
		a0 := 1 + k/shelfQ + k*k
		shelf = biquad{
			b0: (high + band*k/shelfQ + k*k) / a0, b1: 2 * (k*k - high) / a0, b2: (high - band*k/shelfQ + k*k) / a0,
			a1: 2 * (k*k - 1) / a0, a2: (1 - k/shelfQ + k*k) / a0,
		}
	}
	k := math.Tan(math.Pi * passHz / float64(max(rateHz, 100)))
	a0 := 1 + k/passQ + k*k
	return shelf, biquad{b0: 1, b1: -2, b2: 1, a1: 2 * (k*k - 1) / a0, a2: (1 - k/passQ + k*k) / a0}
}

// fullScale is the largest value that a codec has, where that is below 1 - 1/32768.
var fullScale = map[string]float32{
	"pcm_u8": 127. / 128, "pcm_s8": 127. / 128, "pcm_alaw": 32256. / 32768, "pcm_mulaw": 32124. / 32768,
}

// Clipped counts the samples, over all channels, that are at full scale of the
// codec they were in, or beyond.
func (p *PCM) Clipped(codec string) int64 {
	limit, ok := fullScale[codec]
	if !ok {
		limit = 32767. / 32768
	}
	var n int64
	for _, v := range p.Samples {
		if v >= limit || v <= -limit {
			n++
		}
	}
	return n
}
