package retrieval

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/table"
)

// queries makes the row of each caption. It goes through the matrix once, row by
// row: a set may have a hundred thousand captions.
func (s *Set) queries(ctx context.Context, of []int, toImage []Rank) ([]table.Query, error) {
	out := make([]table.Query, len(of))
	for j, c := range s.Captions {
		out[j] = table.Query{
			Caption: c.ID, Set: s.Name, Photo: c.PhotoID, Text: c.Text, Words: int32(len(strings.Fields(c.Text))), Voice: c.Voice,
			Rank: toImage[j].Rank, WorstRank: float64(toImage[j].Worst()), Score: toImage[j].Score, DrawRank: math.NaN(),
			ImpostorScore: math.NaN(),
		}
	}
	own := make([][]int, len(s.Photos)) // captions of each photo
	for j, i := range of {
		own[i] = append(own[i], j)
	}
	impostor := make([]int, len(of))
	for i, captions := range own {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row := s.Matrix.S[i*s.Matrix.Clips:][:s.Matrix.Clips]
		for j, v := range row {
			if q := &out[j]; of[j] != i && !(v <= q.ImpostorScore) { // the first of equals
				q.ImpostorScore, impostor[j] = v, i+1
			}
		}
		s.placeCaptions(i, row, captions, of, out)
	}
	for j, i := range impostor {
		if i > 0 {
			out[j].Impostor = s.Photos[i-1]
		}
	}
	return out, nil
}

// placeCaptions says, of each caption of a photo, where it stands among the
// captions of other photos when its photo asks, and which of these is best.
// row is the photo's similarity with every caption.
func (s *Set) placeCaptions(photo int, row []float64, captions, of []int, out []table.Query) {
	if len(captions) == 0 {
		return
	}
	slices.SortFunc(captions, func(a, b int) int { return cmp.Compare(row[a], row[b]) })
	scores := make([]float64, len(captions))
	for n, j := range captions {
		scores[n] = row[j]
	}
	// Of the wrong captions, above[n] lie above the n lowest of scores and not
	// above the next, and equal[n] are equal to that, the first of its equals.
	above, equal := make([]int, len(scores)+1), make([]int, len(scores))
	best, bestScore := -1, math.NaN()
	for k, v := range row {
		if of[k] == photo {
			continue
		}
		if best < 0 || v > bestScore {
			best, bestScore = k, v
		}
		n, found := slices.BinarySearch(scores, v)
		if found {
			equal[n]++
		}
		above[n]++
	}
	greater := 0
	for n := len(scores) - 1; n >= 0; n-- {
		greater += above[n+1]
		first, _ := slices.BinarySearch(scores, scores[n])
		same := equal[first]
		q := &out[captions[n]]
		q.PhotoRank, q.PhotoWorstRank = float64(greater+1)+float64(same)/2, float64(greater+same+1)
		q.ImpostorCaptionScore = bestScore
		if best >= 0 {
			q.ImpostorCaption = s.Captions[best].ID
		}
	}
}
