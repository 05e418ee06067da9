package minibatch

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// A Sampler gives the pairs of every step. Any step can be asked for, in any
// order: the answer follows from the pairs, the batch and the seed alone. It keeps
// the order of the epoch asked for last, so it serves one goroutine at a time.
type Sampler struct {
	pairs  []Pair
	batch  int
	seed   uint64
	photos *photos // nil: an epoch is all pairs

	epoch int64 // of order
	order []int
}

// NewSampler returns the order of minibatches over pairs, which it keeps.
func NewSampler(pairs []Pair, batch int, seed uint64) (*Sampler, error) {
	photos := map[string]int{}
	most := 0
	for _, p := range pairs {
		photos[p.Photo]++
		most = max(most, photos[p.Photo])
	}
	if len(photos) < batch {
		return nil, fmt.Errorf("batch %d needs as many different photos, there are %d", batch, len(photos))
	}
	s := &Sampler{pairs: pairs, batch: batch, seed: seed, epoch: -1}
	// A photo with more captions than there are minibatches must meet itself.
	if int64(most) > s.StepsPerEpoch() {
		return nil, fmt.Errorf("a photo has %d captions for %d minibatches a pass of %d pairs: take a smaller batch or fewer captions a photo", most, s.StepsPerEpoch(), batch)
	}
	return s, nil
}

// StepsPerEpoch is the number of minibatches in a pass over the pairs, or over
// the photos. The len(pairs) mod batch that are left over differ from pass to
// pass.
func (s *Sampler) StepsPerEpoch() int64 {
	if s.photos != nil {
		return int64(len(s.photos.pairs) / s.batch)
	}
	return int64(len(s.pairs) / s.batch)
}

// Batch returns the indices of the pairs of a step, the first being 0. The
// slice is good until the next call.
func (s *Sampler) Batch(step int64) []int {
	epoch, k := step/s.StepsPerEpoch(), step%s.StepsPerEpoch()
	if epoch != s.epoch {
		s.shuffle(epoch)
	}
	return s.order[int(k)*s.batch:][:s.batch]
}

// shuffle puts the pairs into the order of an epoch: a permutation in which
// pairs that meet another caption of their photo are swapped away.
func (s *Sampler) shuffle(epoch int64) {
	r := rand.New(rand.NewPCG(s.seed, uint64(epoch)))
	if s.epoch = epoch; s.photos != nil {
		s.order = s.photos.order(r, s.seed, epoch, s.batch)
		return
	}
	s.order = r.Perm(len(s.pairs))
	for range 4 {
		if s.mend() == 0 {
			return
		}
	}
	s.deal()
}

// mend swaps pairs that meet their photo with the first place further on, going
// round, where both fit, and counts those for which there was none.
func (s *Sampler) mend() (left int) {
	used := int(s.StepsPerEpoch()) * s.batch
	for at := range used {
		if !s.meets(at, s.order[at]) {
			continue
		}
		left++
		for d := 1; d < len(s.order); d++ {
			to := (at + d) % len(s.order)
			if to < used && to/s.batch == at/s.batch {
				continue
			}
			if !s.meets(at, s.order[to]) && (to >= used || !s.meets(to, s.order[at])) {
				s.order[at], s.order[to] = s.order[to], s.order[at]
				left--
				break
			}
		}
	}
	return left
}

// deal is the arrangement that always exists, for few photos with many
// captions: the pairs, captions of a photo together, are dealt to the
// minibatches in turn.
func (s *Sampler) deal() {
	steps := int(s.StepsPerEpoch())
	first := map[string]int{}
	for i, p := range s.order {
		if _, ok := first[s.pairs[p].Photo]; !ok {
			first[s.pairs[p].Photo] = i
		}
	}
	used := slices.Clone(s.order[:steps*s.batch])
	slices.SortStableFunc(used, func(a, b int) int { return first[s.pairs[a].Photo] - first[s.pairs[b].Photo] })
	for i, p := range used {
		s.order[i%steps*s.batch+i/steps] = p
	}
}

// meets reports whether pair would find its photo in the minibatch round at,
// leaving out the place itself.
func (s *Sampler) meets(at, pair int) bool {
	first := at / s.batch * s.batch
	for i := first; i < first+s.batch; i++ {
		if i != at && s.pairs[s.order[i]].Photo == s.pairs[pair].Photo {
			return true
		}
	}
	return false
}
