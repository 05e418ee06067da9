package eval

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/stages/stage"
)

// A bank is photos, each with a caption, that a set's similarities are
// normalised by.
type bank struct {
	data          *dataset.Data
	images, clips []int
	beta          float64
	close         func() error
}

// openBank draws the bank from the bank's own pairs, or from d's.
func openBank(t *stage.Task, p Params, models []*model.Model[float32], d *dataset.Data) (*bank, error) {
	b := &bank{data: d, beta: p.QueryBankBeta, close: func() error { return nil }}
	pairs, mfcc := t.Inputs["bank_pairs"], t.Inputs["bank_mfcc"]
	switch {
	case (len(pairs) == 0) != (len(mfcc) == 0):
		return nil, errors.New("bank_pairs and bank_mfcc go together: captions and their sound")
	case len(pairs) > 0:
		in := maps.Clone(t.Inputs)
		in["pairs"], in["mfcc"] = pairs, mfcc
		var err error
		if b.data, err = dataset.Open(dataset.Of[artifacts.Part](in)); err != nil {
			return nil, err
		}
		b.close = b.data.Close
		for _, m := range models {
			if err := b.data.Shape().Fits(&m.Spec); err != nil {
				return nil, errors.Join(err, b.close())
			}
		}
	}
	split := cmp.Or(p.BankSplit, "train")
	drawn := drawBank(b.data.Split(split), p.QueryBank, p.Seed)
	err := b.data.CheckMirrored(drawn)
	if len(drawn) == 0 {
		err = fmt.Errorf("no pairs with sound and photo in split %s: the splits are %v", split, b.data.Splits())
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	for _, pair := range drawn {
		b.images, b.clips = append(b.images, pair.Image), append(b.clips, pair.Clip)
	}
	return b, nil
}

// drawBank draws up to n photos, each with one of its captions. They are ordered
// by a hash of seed and id, so that who is drawn does not depend on the others.
func drawBank(pairs []minibatch.Pair, n int, seed int64) (out []minibatch.Pair) {
	captions := map[string][]minibatch.Pair{}
	hash := map[string][sha256.Size]byte{}
	for _, p := range pairs {
		captions[p.Photo] = append(captions[p.Photo], p)
		hash[p.Photo] = sha256.Sum256(fmt.Appendf(nil, "bank %d %s", seed, p.Photo))
	}
	photos := slices.SortedFunc(maps.Keys(hash), func(a, b string) int {
		x, y := hash[a], hash[b]
		return slices.Compare(x[:], y[:])
	})
	for _, photo := range photos[:min(n, len(photos))] {
		own, h := captions[photo], hash[photo]
		out = append(out, own[int(h[0])%len(own)])
	}
	return out
}
