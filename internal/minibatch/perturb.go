package minibatch

import (
	"math/rand/v2"
	"slices"
)

// Perturb says how the inputs of a step differ from the data, so that a model
// does not learn them by heart. The zero value changes nothing.
type Perturb struct {
	DropFrames            int // at most, off a clip's front
	TimeMasks, MaskFrames int // a clip, each of at most so many frames
	Places                int // of a feature map that a step sees; 0: all
}

// Perturbations are what was drawn for a step.
type Perturbations struct {
	drop   []int    // of each clip: frames off its front
	masks  [][2]int // of each clip, one after another: first frame of a mask, and its end
	each   int      // masks a clip
	places []int    // of every picture: places of the feature map that are kept, nil for all
}

// perturbStream keeps these draws apart from the others of a seed.
const perturbStream = 1 << 62

// Draw draws the perturbations of a step, for clips of so many frames and
// feature maps of so many places. They follow from seed and step.
func (s Perturb) Draw(seed uint64, step int64, frames []int, places int) (p Perturbations) {
	if s.DropFrames == 0 && s.TimeMasks == 0 && s.Places == 0 {
		return p
	}
	p.each = s.TimeMasks
	r := rand.New(rand.NewPCG(seed, uint64(step)|perturbStream))
	for _, n := range frames {
		drop := min(r.IntN(s.DropFrames+1), max(0, n-1))
		p.drop = append(p.drop, drop)
		n -= drop
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
