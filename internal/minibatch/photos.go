package minibatch

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hearsight/hearsight/internal/kernel"
)

// photos is the order of a sampler by photos: a pass shows each photo once, with
// one of its captions; as many passes as it has captions show each of them once.
type photos struct {
	pairs  [][]int // by photo, in the order of their first pairs
	sort   int     // minibatches whose pairs are sorted by length together; 0: none
	frames []int   // of each pair's clip, where they are sorted
}

// NewPhotoSampler returns the order of minibatches over the photos of pairs. It
// sorts the clips of so many minibatches at a time by their frames and cuts them
// into minibatches again, in an order of chance, so that little of a minibatch
// is padding; 0 sorts none.
func NewPhotoSampler(pairs []Pair, batch int, seed uint64, sorted int, frames func(clip int) (int, error)) (*Sampler, error) {
	p := &photos{sort: sorted}
	at := map[string]int{}
	for i, pair := range pairs {
		k, ok := at[pair.Photo]
		if !ok {
			k = len(p.pairs)
			at[pair.Photo] = k
			p.pairs = append(p.pairs, nil)
		}
		p.pairs[k] = append(p.pairs[k], i)
	}
	if len(p.pairs) < batch {
		return nil, fmt.Errorf("batch %d needs as many different photos, there are %d", batch, len(p.pairs))
	}
	if sorted > 0 {
		p.frames = make([]int, len(pairs))
		err := kernel.ParallelErr(len(pairs), func(i int) (err error) {
			if p.frames[i], err = frames(pairs[i].Clip); err != nil {
				err = fmt.Errorf("clip of %s: %w", pairs[i].ID, err)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return &Sampler{pairs: pairs, batch: batch, seed: seed, photos: p, epoch: -1}, nil
}

// captionStream keeps the draws of captions apart from the others of a seed.
const captionStream = 1 << 61

// order is the pairs of an epoch, minibatch after minibatch.
func (p *photos) order(r *rand.Rand, seed uint64, epoch int64, batch int) []int {
	order := r.Perm(len(p.pairs))
	order = order[:len(order)/batch*batch]
	for i, k := range order {
		captions := p.pairs[k]
		n := int64(len(captions))
		draw := rand.New(rand.NewPCG(seed^captionStream, uint64(epoch/n)<<32|uint64(k)))
		order[i] = captions[draw.Perm(len(captions))[epoch%n]]
	}
	if p.sort == 0 {
		return order
	}
	for some := range slices.Chunk(order, p.sort*batch) {
		slices.SortStableFunc(some, func(a, b int) int { return p.frames[a] - p.frames[b] })
	}
	batches := slices.Collect(slices.Chunk(order, batch))
	r.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	return slices.Concat(batches...)
}
