package learn

import (
	"math/rand/v2"
	"slices"
)

// perturbations are how the inputs of a step differ from the data, so that a
// model does not learn them by heart. What is drawn follows from (seed, step).
type perturbations struct {
	drop   []int    // of each clip: frames off its front
	masks  [][2]int // of each clip, one after another: first frame of a mask, and its end
	places []int    // of every picture: places of the feature map that are kept, nil for all
}

// perturbStream keeps these draws apart from the others of a seed.
const perturbStream = 1 << 62

// perturb draws the perturbations of a step, for clips of so many frames.
func (s *Settings) perturb(step int64, frames []int, places int) (p perturbations) {
	if s.DropFrames == 0 && s.TimeMasks == 0 && s.Places == 0 {
		return p
	}
	r := rand.New(rand.NewPCG(s.Seed, uint64(step)|perturbStream))
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

// dropped is clip k without the frames off its front.
func (p *perturbations) dropped(k int, x []float32, coeffs int) []float32 {
	if p.drop == nil {
		return x
	}
	return x[p.drop[k]*coeffs:]
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
