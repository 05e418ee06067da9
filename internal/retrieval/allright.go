package retrieval

import (
	"slices"

	"github.com/hearsight/hearsight/internal/table"
)

// allRight ranks all captions for each photo that has any, with wrong ones
// before right ones of the same score; nil if no photo has several.
func (s *Set) allRight(of []int, queries []table.Query) *table.AllRight {
	before := make([][]float64, len(s.Photos)) // of each right caption, the wrong ones
	most := 0
	for j, i := range of {
		before[i] = append(before[i], queries[j].PhotoWorstRank-1)
		most = max(most, len(before[i]))
	}
	if most < 2 {
		return nil
	}
	var a table.AllRight
	n := 0.0
	for _, own := range before {
		if len(own) == 0 {
			continue
		}
		n++
		slices.Sort(own)
		right, mean := float64(len(own)), 0.0
		for k := range own {
			own[k] += float64(k + 1) // its place
			mean += float64(k+1) / own[k] / right
		}
		for _, at := range []struct {
			k                 float64
			precision, recall *float64
		}{{1, &a.Precision1, &a.Recall1}, {5, &a.Precision5, &a.Recall5}, {10, &a.Precision10, &a.Recall10}} {
			hits := 0.0
			for _, place := range own {
				if place <= at.k {
					hits++
				}
			}
			*at.precision += hits / at.k
			*at.recall += hits / right
		}
		a.MAP += mean
	}
	for _, v := range []*float64{&a.Precision1, &a.Precision5, &a.Precision10, &a.Recall1, &a.Recall5, &a.Recall10, &a.MAP} {
		*v /= n
	}
	return &a
}
