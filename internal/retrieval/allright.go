package retrieval

import (
	"cmp"
	"slices"

	"github.com/hearsight/hearsight/internal/table"
)

// allRight ranks all captions for each photo that has any, with wrong ones
// before right ones of the same score; nil if no photo has several.
func (s *Set) allRight(of []int) *table.AllRight {
	own := make([]int, len(s.Photos))
	for _, i := range of {
		own[i]++
	}
	if slices.Max(own) < 2 {
		return nil
	}
	var a table.AllRight
	n := 0.0
	order := make([]int, len(of))
	for i, right := range own {
		if right == 0 {
			continue
		}
		n++
		for j := range order {
			order[j] = j
		}
		slices.SortFunc(order, func(x, y int) int {
			return cmp.Or(cmp.Compare(s.at(i, y), s.at(i, x)), wrongFirst(of[x] == i, of[y] == i), cmp.Compare(x, y))
		})
		hits, mean := 0, 0.0
		at := func(k int, precision, recall *float64) {
			*precision += float64(hits) / float64(k)
			*recall += float64(hits) / float64(right)
		}
		for place := 1; place <= max(10, len(order)); place++ {
			if place <= len(order) && of[order[place-1]] == i {
				hits++
				mean += float64(hits) / float64(place) / float64(right)
			}
			switch place {
			case 1:
				at(1, &a.Precision1, &a.Recall1)
			case 5:
				at(5, &a.Precision5, &a.Recall5)
			case 10:
				at(10, &a.Precision10, &a.Recall10)
			}
		}
		a.MAP += mean
	}
	for _, v := range []*float64{&a.Precision1, &a.Precision5, &a.Precision10, &a.Recall1, &a.Recall5, &a.Recall10, &a.MAP} {
		*v /= n
	}
	return &a
}

func wrongFirst(xRight, yRight bool) int {
	switch {
	case xRight == yRight:
		return 0
	case yRight:
		return -1
	}
	return 1
}
