package minibatch

import "math/rand/v2"

// impostorStream keeps the draws of impostors apart from the orders of pairs,
// which come of the same seed.
const impostorStream = 1 << 63

// Impostors fills in the impostors of a step, [2][batch]: for each pair the
// place of another clip, then for each that of another picture.
func Impostors(dst []float32, seed uint64, step int64) {
	r := rand.New(rand.NewPCG(seed, uint64(step)|impostorStream))
	b := len(dst) / 2
	for k := range dst {
		at := r.IntN(b - 1)
		if at >= k%b {
			at++
		}
		dst[k] = float32(at)
	}
}
