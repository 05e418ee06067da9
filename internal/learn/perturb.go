package learn

import (
	"math"
	"math/rand/v2"
	"slices"
)

// perturbations are how the inputs of a step differ from the data, so that a
// model does not learn them by heart. What is drawn follows from (seed, step).
type perturbations struct {
	drop   []int     // of each clip: frames off its front
	speed  []float64 // of each clip: how much faster it is than it was spoken
	masks  [][2]int  // of each clip, one after another: first frame of a mask, and its end
	places []int     // of every picture: places of the feature map that are kept, nil for all
}

// Streams keep these draws apart from the others of a seed.
const (
	perturbStream = 1 << 62
	noiseStream   = 3 << 61
)

// perturb draws the perturbations of a step, for clips of so many frames, most
// being those that a model takes.
func (s *Settings) perturb(step int64, frames []int, most, places int) (p perturbations) {
	if s.DropFrames == 0 && s.TimeMasks == 0 && s.Places == 0 && s.Speed == 0 {
		return p
	}
	r := rand.New(rand.NewPCG(s.Seed, uint64(step)|perturbStream))
	for _, n := range frames {
		drop := min(r.IntN(s.DropFrames+1), max(0, n-1))
		p.drop = append(p.drop, drop)
		n -= drop
		if s.Speed > 0 {
			speed := 1 + float64(s.Speed*(2*r.Float64()-1))
			p.speed = append(p.speed, speed)
			n = min(most, hastened(n, speed))
		}
		for range s.TimeMasks { // SpecAugment's, over all coefficients (Park et al. 2019)
			w := r.IntN(s.MaskFrames + 1)
			first := r.IntN(max(1, n-w))
			p.masks = append(p.masks, [2]int{first, min(n, first+w)})
		}
	}
	if s.Places > 0 && s.Places < places {
		p.places = r.Perm(places)[:s.Places]
		slices.Sort(p.places)
	}
	return p
}

// dropped is clip k without the frames off its front.
func (p *perturbations) dropped(k int, x []float32, coeffs int) []float32 {
	if p.drop == nil {
		return x
	}
	return x[p.drop[k]*coeffs:]
}

// hastened is how many frames n are when they are spoken faster.
func hastened(n int, speed float64) int { return max(1, int(math.Round(float64(n)/speed))) }

// atSpeed is clip k at its speed: frames between those that there are, by linear
// interpolation.
func (p *perturbations) atSpeed(k int, x []float32, coeffs int) []float32 {
	if p.speed == nil {
		return x
	}
	n := len(x) / coeffs
	m := hastened(n, p.speed[k])
	out := make([]float32, m*coeffs)
	for j := range m {
		at := min(max(0, float64((float64(j)+.5)*float64(n)/float64(m))-.5), float64(n-1))
		first := min(int(at), max(0, n-2))
		w := float32(at - float64(first))
		a, b := x[first*coeffs:][:coeffs], x[min(first+1, n-1)*coeffs:][:coeffs]
		for c, v := range a {
			out[j*coeffs+c] = v + float32(w*(b[c]-v))
		}
	}
	return out
}

// noise adds Gaussian noise to clip k of a step, x in the tower's input.
func (s *Settings) noise(step int64, k int, x []float32) {
	if s.Noise == 0 {
		return
	}
	r := rand.New(rand.NewPCG(s.Seed, noiseStream|uint64(step)<<12|uint64(k)))
	for i := range x {
		x[i] += float32(s.Noise * r.NormFloat64())
	}
}

// mask sets the masked frames of clip k, in the tower's input, to zero: the
// corpus's mean, where the input is normalised by it.
func (p *perturbations) mask(k, masks int, x []float32, coeffs int) {
	if masks == 0 {
		return
	}
	for _, m := range p.masks[k*masks : (k+1)*masks] {
		clear(x[m[0]*coeffs : m[1]*coeffs])
	}
}
