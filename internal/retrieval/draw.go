package retrieval

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/hearsight/hearsight/internal/table"
)

// draw scores disjoint draws of photos and notes in the queries which draw they
// are in. The photos are ordered by a hash of seed and id, and cut: a draw does
// not depend on how many others there are. There are as many draws as the set
// has photos for; nil for none.
func (s *Set) draw(o Options, of []int, queries []table.Query) (*table.Draws, error) {
	captions := make([][]int, len(s.Photos))
	for j, i := range of {
		captions[i] = append(captions[i], j)
	}
	var photos []int
	for i, own := range captions {
		if len(own) > 0 {
			photos = append(photos, i)
			slices.SortStableFunc(own, func(a, b int) int { return cmp.Compare(s.Captions[a].Index, s.Captions[b].Index) })
		}
	}
	if o.DrawPhotos < 1 || o.Draws < 1 || len(photos) < o.DrawPhotos {
		return nil, nil
	}
	hash := make(map[int][sha256.Size]byte, len(photos))
	for _, i := range photos {
		hash[i] = sha256.Sum256(fmt.Appendf(nil, "draw %d %s", o.Seed, s.Photos[i]))
	}
	slices.SortFunc(photos, func(a, b int) int {
		x, y := hash[a], hash[b]
		return slices.Compare(x[:], y[:])
	})
	out := &table.Draws{Photos: o.DrawPhotos, Seed: o.Seed}
	var one, all drawn
	for n := 0; n < o.Draws && (n+1)*o.DrawPhotos <= len(photos); n++ {
		chosen := photos[n*o.DrawPhotos:][:o.DrawPhotos]
		var first, every []int
		for _, i := range chosen {
			first = append(first, captions[i][0])
			every = append(every, captions[i]...)
		}
		if _, err := one.add(s.part(chosen, first, of)); err != nil {
			return nil, err
		}
		ranks, err := all.add(s.part(chosen, every, of))
		if err != nil {
			return nil, err
		}
		for k, r := range ranks {
			q := &queries[every[k]]
			q.Draw, q.DrawRank = int32(n+1), r.Rank
		}
	}
	out.One = one.scores()
	if len(all.to) != len(one.to) {
		a := all.scores()
		out.All = &a
	}
	return out, nil
}

// part is the matrix of some photos and captions, and each caption's photo in it.
func (s *Set) part(photos, captions, of []int) (Matrix, []int) {
	m := Matrix{Images: len(photos), Clips: len(captions), S: make([]float64, 0, len(photos)*len(captions))}
	at := make(map[int]int, len(photos))
	for i, p := range photos {
		at[p] = i
		for _, c := range captions {
			m.S = append(m.S, s.at(p, c))
		}
	}
	own := make([]int, len(captions))
	for j, c := range captions {
		own[j] = at[of[c]]
	}
	return m, own
}

// drawn collects the ranks of draws.
type drawn struct {
	to, from []Rank
	each     []table.BothWays
}

// add ranks a draw and returns its ranks from speech to photo.
func (d *drawn) add(m Matrix, of []int) ([]Rank, error) {
	to, err := m.Ranks(SpeechToImage, of)
	if err != nil {
		return nil, err
	}
	from, err := m.Ranks(ImageToSpeech, of)
	if err != nil {
		return nil, err
	}
	d.to, d.from = append(d.to, to...), append(d.from, from...)
	d.each = append(d.each, table.BothWays{SpeechToImage: recall(to), ImageToSpeech: recall(from)})
	return to, nil
}

func (d *drawn) scores() table.DrawScores {
	return table.DrawScores{Pooled: table.BothWays{SpeechToImage: recall(d.to), ImageToSpeech: recall(d.from)}, Each: d.each}
}
