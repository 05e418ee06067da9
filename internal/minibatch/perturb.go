package minibatch

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Perturb says how the inputs of a step differ from the data, so that a model
// does not learn them by heart. The zero value changes nothing.
type Perturb struct {
	Speed float64 // a clip is up to this much faster or slower than it was spoken: 0 to less than 1
	Noise float64 // deviation of Gaussian noise on the audio tower's input

	DropFrames            int // at most, off a clip's front
	TimeMasks, MaskFrames int // a clip, each of at most so many frames
	Places                int // of a feature map that a step sees; 0: all
}

// Perturbations are what was drawn for a step.
type Perturbations struct {
	drop   []int     // of each clip: frames off its front
	speed  []float64 // of each clip: how much faster it is than it was spoken
	masks  [][2]int  // of each clip, one after another: first frame of a mask, and its end
	each   int       // masks a clip
	places []int     // of every picture: places of the feature map that are kept, nil for all

	noise float64
	seed  uint64
	step  int64
}

// Streams keep these draws apart from the others of a seed.
const (
	perturbStream = 1 << 62
	noiseStream   = 3 << 61
)

// Draw draws the perturbations of a step, for clips of so many frames, of
// which a model takes most at most, and feature maps of so many places. They follow from seed and step.
func (s Perturb) Draw(seed uint64, step int64, frames []int, most, places int) (p Perturbations) {
	p.each, p.noise, p.seed, p.step = s.TimeMasks, s.Noise, seed, step
	if s.DropFrames == 0 && s.TimeMasks == 0 && s.Places == 0 && s.Speed == 0 {
		return p
	}
	r := rand.New(rand.NewPCG(seed, uint64(step)|perturbStream))
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

// Drops reports whether clips lose frames off their fronts.
func (p *Perturbations) Drops() bool { return p.drop != nil }

// Dropped is clip k without the frames off its front.
func (p *Perturbations) Dropped(k int, x []float32, coeffs int) []float32 {
	if p.drop == nil {
		return x
	}
	return x[p.drop[k]*coeffs:]
}

// hastened is how many frames n are when they are spoken faster.
func hastened(n int, speed float64) int { return max(1, int(math.Round(float64(n)/speed))) }

// AtSpeed is clip k at its speed: frames between those that there are, by linear
// interpolation.
func (p *Perturbations) AtSpeed(k int, x []float32, coeffs int) []float32 {
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

// AddNoise adds its noise to clip k, x in the tower's input.
func (p *Perturbations) AddNoise(k int, x []float32) {
	if p.noise == 0 {
		return
	}
	r := rand.New(rand.NewPCG(p.seed, noiseStream|uint64(p.step)<<12|uint64(k)))
	for i := range x {
		x[i] += float32(p.noise * r.NormFloat64())
	}
}

// Mask sets the masked frames of clip k, in the tower's input, to zero: the
// corpus's mean, where the input is normalised by it.
func (p *Perturbations) Mask(k int, x []float32, coeffs int) {
	if p.each == 0 {
		return
	}
	for _, m := range p.masks[k*p.each : (k+1)*p.each] {
		clear(x[m[0]*coeffs : m[1]*coeffs])
	}
}

// Places are the places of the feature maps that the step sees, in order; nil
// for all.
func (p *Perturbations) Places() []int { return p.places }
