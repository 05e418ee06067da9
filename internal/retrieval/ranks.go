package retrieval

import (
	"fmt"
	"math"
	"slices"
)

// A Matrix holds the similarity of every picture (rows) with every clip
// (columns), row by row.
type Matrix struct {
	Images, Clips int
	S             []float64
}

// The two ways to search, as ranks.parquet names them.
const (
	SpeechToImage = "speech->image"
	ImageToSpeech = "image->speech"
)

// A Rank is where one query's right answer came.
type Rank struct {
	Query     int     // clip for speech->image, image for image->speech
	Partner   int     // the best placed of its right answers
	Rank      float64 // expected over all orders of equal scores; 1 is best
	Greater   int     // candidates with a higher score
	Ties      int     // wrong candidates with the same score
	Right     int     // right answers with that score
	Score     float64 // of the partner
	Best      int     // the candidate in the first place, the lowest index of equals
	BestScore float64
	// Candidates is how many there were to choose from.
	Candidates int
}

// Ranks ranks the candidates of each query. imageOf[j] is the picture that
// clip j describes, so a picture may have several right clips.
func (m Matrix) Ranks(direction string, imageOf []int) ([]Rank, error) {
	if len(m.S) != m.Images*m.Clips || len(imageOf) != m.Clips {
		return nil, fmt.Errorf("rank: %d scores and %d partners for %d pictures and %d clips", len(m.S), len(imageOf), m.Images, m.Clips)
	}
	for i, v := range m.S {
		if math.IsNaN(v) {
			return nil, fmt.Errorf("rank: the similarity of picture %d and clip %d is not a number", i/m.Clips, i%m.Clips)
		}
	}
	clipsOf := make([][]int, m.Images)
	for j, i := range imageOf {
		if i < 0 || i >= m.Images {
			return nil, fmt.Errorf("rank: clip %d has picture %d of %d", j, i, m.Images)
		}
		clipsOf[i] = append(clipsOf[i], j)
	}
	var out []Rank
	switch direction {
	case SpeechToImage:
		for j, i := range imageOf {
			out = append(out, rank(j, []int{i}, m.Images, func(c int) float64 { return m.S[c*m.Clips+j] }))
		}
	case ImageToSpeech:
		for i, right := range clipsOf {
			if len(right) > 0 { // a picture without a clip is a candidate, not a query
				out = append(out, rank(i, right, m.Clips, func(c int) float64 { return m.S[i*m.Clips+c] }))
			}
		}
	default:
		return nil, fmt.Errorf("rank: direction %q is not known", direction)
	}
	return out, nil
}

func rank(query int, right []int, candidates int, score func(int) float64) Rank {
	r := Rank{Query: query, Partner: right[0], Score: score(right[0]), BestScore: score(0), Candidates: candidates}
	for _, c := range right[1:] {
		if v := score(c); v > r.Score {
			r.Partner, r.Score = c, v
		}
	}
	for c := range candidates {
		v := score(c)
		if v > r.BestScore {
			r.Best, r.BestScore = c, v
		}
		switch {
		case v > r.Score:
			r.Greater++
		case v == r.Score && slices.Contains(right, c):
			r.Right++
		case v == r.Score:
			r.Ties++
		}
	}
	// The expected place of the first of Right among Right+Ties in random order.
	r.Rank = float64(r.Greater) + float64(r.Ties+r.Right+1)/float64(r.Right+1)
	return r
}

// Worst is the rank with all equal wrong candidates before the right one.
func (r Rank) Worst() int { return r.Greater + r.Ties + 1 }

// Within is the chance that the right answer is among the first k.
func (r Rank) Within(k int) float64 {
	miss := 1.0 // that none of the right ones is in the k-Greater places left
	for i := range max(0, k-r.Greater) {
		left := r.Ties - i
		if left <= 0 {
			return 1
		}
		miss *= float64(left) / float64(left+r.Right)
	}
	return 1 - miss
}

// Reciprocal is the expected value of 1/rank.
func (r Rank) Reciprocal() float64 {
	sum, before := 0.0, 1.0 // before: the chance that no right one came yet
	for i := 0; i <= r.Ties; i++ {
		left := float64(r.Ties - i)
		hit := before * float64(r.Right) / (left + float64(r.Right))
		sum += hit / float64(r.Greater+i+1)
		before -= hit
	}
	return sum
}

// An Interval is a Wilson 95 % interval.
type Interval struct{ Low, High float64 }

// Metrics sums up the ranks of one direction. P1 is the share of queries whose
// right answer came first, and so on: the paper's P@k, elsewhere recall@k.
type Metrics struct {
	N                          int
	P1, P5, P10                float64
	I1, I5, I10                Interval
	MedianRank, MeanRank       float64
	MRR                        float64 // mean reciprocal rank
	Ties                       int     // queries whose right answer shares its place with a wrong one
	Candidates                 int
	Chance1, Chance5, Chance10 float64 // of a model that knows nothing, with one right answer
}

// Summarize computes the metrics of some ranks.
func Summarize(ranks []Rank) Metrics {
	m := Metrics{N: len(ranks)}
	if m.N == 0 {
		return m
	}
	all := make([]float64, m.N)
	n := float64(m.N)
	for i, r := range ranks {
		m.P1 += r.Within(1)
		m.P5 += r.Within(5)
		m.P10 += r.Within(10)
		m.MeanRank += r.Rank
		m.MRR += r.Reciprocal()
		if r.Ties > 0 {
			m.Ties++
		}
		all[i] = r.Rank
		m.Candidates = max(m.Candidates, r.Candidates)
	}
	for _, v := range []*float64{&m.P1, &m.P5, &m.P10, &m.MeanRank, &m.MRR} {
		*v /= n
	}
	slices.Sort(all)
	m.MedianRank = (all[(m.N-1)/2] + all[m.N/2]) / 2
	m.I1, m.I5, m.I10 = Wilson(m.P1, m.N), Wilson(m.P5, m.N), Wilson(m.P10, m.N)
	chance := func(k float64) float64 { return min(1, k/float64(m.Candidates)) }
	m.Chance1, m.Chance5, m.Chance10 = chance(1), chance(5), chance(10)
	return m
}

// Wilson is the 95 % interval of a share p of n (Wilson 1927), z = 1.96.
func Wilson(p float64, n int) Interval {
	if n == 0 {
		return Interval{0, 1}
	}
	const z = 1.959963984540054
	f := float64(n)
	center := (p + z*z/(2*f)) / (1 + z*z/f)
	half := z / (1 + z*z/f) * math.Sqrt(p*(1-p)/f+z*z/(4*f*f))
	return Interval{max(0, center-half), min(1, center+half)}
}
