package retrieval

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/hearsight/hearsight/internal/table"
)

// Scores are what two systems are compared by: metrics.json and queries.parquet.
type Scores struct {
	Metrics table.Metrics
	Queries []table.Query
}

// A Comparison sets two systems beside each other at one k. A query is right if
// its right answer is among the k best with all equals before it, so that each
// is right or wrong, and never right by a tie.
type Comparison struct {
	Set       string `json:"set"`
	Direction string `json:"direction"`
	K         int    `json:"k"`
	N         int    `json:"n"` // queries
	// A and B are the shares of queries that each has right, Difference is B - A
	// with a 95 % bootstrap interval over photos.
	A          float64        `json:"a"`
	B          float64        `json:"b"`
	Difference float64        `json:"difference"`
	Interval   table.Interval `json:"interval"`
	OnlyA      int            `json:"only_a"` // queries that A alone has right
	OnlyB      int            `json:"only_b"`
	Exact      float64        `json:"p_exact"` // McNemar's test: the chance of so uneven a split, or a more uneven one
	MidP       float64        `json:"p_mid"`   // the same, less conservative
}

// Compare compares b with a at each k on every set that both have. A set of
// other pairs in one than in the other is an error: their ranks are among other
// candidates.
func Compare(a, b Scores, ks []int, seed int64) ([]Comparison, error) {
	var out []Comparison
	for _, sa := range a.Metrics.Sets {
		i := slices.IndexFunc(b.Metrics.Sets, func(s table.SetMetrics) bool { return s.Set == sa.Set })
		if i < 0 {
			continue
		}
		switch sb := b.Metrics.Sets[i]; {
		case sa.PairsDigest == "" || sb.PairsDigest == "":
			return nil, fmt.Errorf("compare set %s: one result does not say which pairs it scored: score it again", sa.Set)
		case sa.PairsDigest != sb.PairsDigest:
			return nil, fmt.Errorf("compare set %s: the pairs are not the same: %d of %d photos (%.19s…) and %d of %d (%.19s…)", sa.Set, sa.Pairs, sa.Photos, sa.PairsDigest, sb.Pairs, sb.Photos, sb.PairsDigest)
		}
		some, err := compareSet(sa.Set, a.Queries, b.Queries, ks, seed)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("compare: no set was scored in both")
	}
	return out, nil
}

// A query of one direction, as both systems placed it.
type placed struct {
	photo int
	a, b  float64 // rank, equals before it
}

func compareSet(set string, a, b []table.Query, ks []int, seed int64) ([]Comparison, error) {
	inB := map[string]table.Query{}
	for _, q := range b {
		if q.Set == set {
			inB[q.Caption] = q
		}
	}
	photoAt := map[string]int{}
	var speech, photos []placed
	for _, qa := range a {
		if qa.Set != set {
			continue
		}
		qb, ok := inB[qa.Caption]
		if !ok || qb.Photo != qa.Photo {
			return nil, fmt.Errorf("compare set %s: caption %q of photo %q is in one result only: its rows do not belong to its metrics", set, qa.Caption, qa.Photo)
		}
		i, ok := photoAt[qa.Photo]
		if !ok {
			i = len(photos)
			photoAt[qa.Photo] = i
			photos = append(photos, placed{i, qa.PhotoWorstRank, qb.PhotoWorstRank})
		}
		speech = append(speech, placed{i, qa.WorstRank, qb.WorstRank})
		// A photo is right by the best placed of its captions.
		photos[i].a, photos[i].b = min(photos[i].a, qa.PhotoWorstRank), min(photos[i].b, qb.PhotoWorstRank)
	}
	if len(speech) != len(inB) || len(speech) == 0 {
		return nil, fmt.Errorf("compare set %s: rows for %d and %d captions", set, len(speech), len(inB))
	}
	var out []Comparison
	for _, k := range ks {
		out = append(out, compareAt(set, table.SpeechToImage, k, speech, len(photos), seed), compareAt(set, table.ImageToSpeech, k, photos, len(photos), seed))
	}
	return out, nil
}

func compareAt(set, direction string, k int, queries []placed, photos int, seed int64) Comparison {
	c := Comparison{Set: set, Direction: direction, K: k, N: len(queries)}
	n := float64(c.N)
	of, moved := make([]int, photos), make([]int, photos) // queries, and B's less A's, of each photo
	for _, q := range queries {
		a, b := q.a <= float64(k), q.b <= float64(k)
		of[q.photo]++
		if a {
			c.A += 1 / n
		}
		if b {
			c.B += 1 / n
		}
		switch {
		case a && !b:
			c.OnlyA++
			moved[q.photo]--
		case b && !a:
			c.OnlyB++
			moved[q.photo]++
		}
	}
	c.Difference = float64(c.OnlyB-c.OnlyA) / n
	draw := newResampler(photos, seed)
	got := make([]float64, resamples)
	for i := range got {
		draw.next()
		sum, all := 0, 0
		for p, t := range draw.times {
			sum += t * moved[p]
			all += t * of[p]
		}
		got[i] = float64(sum) / float64(all)
	}
	c.Interval = interval(got)
	c.Exact, c.MidP = McNemar(c.OnlyA, c.OnlyB)
	return c
}

// McNemar is the two-sided p-value of McNemar's test for b and c discordant
// pairs, exact (binomial) and mid-p (Fagerland, Lydersen and Laake 2013: half
// the probability of what was seen is left out, on either side).
func McNemar(b, c int) (exact, midP float64) {
	if b+c == 0 {
		return 1, 1
	}
	split := distuv.Binomial{N: float64(b + c), P: .5}
	least := float64(min(b, c))
	seen := split.Prob(least)
	if b == c {
		return 1, 1 - seen/2
	}
	exact = min(1, 2*split.CDF(least))
	return exact, exact - seen
}
