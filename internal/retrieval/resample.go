package retrieval

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/hearsight/hearsight/internal/table"
)

// resamples is how many a bootstrap draws: the ends of a 95 % interval are then
// the 51st from either side.
const resamples = 2000

// A resampler draws clusters with replacement, as many as there are.
type resampler struct {
	rand  *rand.Rand
	times []int // how often each cluster was drawn
}

func newResampler(clusters int, seed int64) *resampler {
	return &resampler{rand.New(rand.NewPCG(uint64(seed), resamples)), make([]int, clusters)}
}

func (r *resampler) next() {
	clear(r.times)
	for range r.times {
		r.times[r.rand.IntN(len(r.times))]++
	}
}

// interval is the 95 % percentile interval of what the resamples gave.
func interval(x []float64) table.Interval {
	slices.Sort(x)
	cut := len(x) / 40
	return table.Interval{Low: x[cut], High: x[len(x)-1-cut]}
}

// dense numbers the clusters that there are from 0.
func dense(cluster []int) (each []int, n int) {
	at := map[int]int{}
	each = make([]int, len(cluster))
	for i, c := range cluster {
		if _, ok := at[c]; !ok {
			at[c] = len(at)
		}
		each[i] = at[c]
	}
	return each, len(at)
}

// bootstrap resamples clusters of queries: the photos.
func bootstrap(ranks []Rank, clusterOf func(Rank) int, seed int64) *table.Bootstrap {
	raw := make([]int, len(ranks))
	for i, r := range ranks {
		raw[i] = clusterOf(r)
	}
	cluster, n := dense(raw)
	if n == 0 {
		return nil
	}
	sums := make([][5]float64, n) // queries, P@1, P@5, P@10 and reciprocal rank of each cluster
	for i, r := range ranks {
		s := &sums[cluster[i]]
		for k, v := range [5]float64{1, r.Within(1), r.Within(5), r.Within(10), r.Reciprocal()} {
			s[k] += v
		}
	}
	order := make([]int, len(ranks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ranks[a].Rank, ranks[b].Rank) })
	draw := newResampler(n, seed)
	var got [5][]float64 // median in the place of queries
	for range resamples {
		draw.next()
		var total [5]float64
		for c, t := range draw.times {
			for k, v := range sums[c] {
				total[k] += float64(t) * v
			}
		}
		got[0] = append(got[0], median(ranks, order, func(i int) int { return draw.times[cluster[i]] }, int(total[0])))
		for k := 1; k < 5; k++ {
			got[k] = append(got[k], total[k]/total[0])
		}
	}
	return &table.Bootstrap{
		Resamples: resamples, MedianRank: interval(got[0]),
		P1: interval(got[1]), P5: interval(got[2]), P10: interval(got[3]), MRR: interval(got[4]),
	}
}

// median is that of n ranks, of which there are times(i) of rank i; order sorts them.
func median(ranks []Rank, order []int, times func(i int) int, n int) float64 {
	low, seen := 0.0, 0
	for _, i := range order {
		t := times(i)
		if seen <= (n-1)/2 && (n-1)/2 < seen+t {
			low = ranks[i].Rank
		}
		if seen += t; n/2 < seen {
			return (low + ranks[i].Rank) / 2
		}
	}
	return low
}
