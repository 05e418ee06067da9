package retrieval

import (
	"math"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/table"
)

// TestMcNemar: the example of Fagerland, Lydersen and Laake 2013, table 1 (1 and
// 7 discordant pairs), others by scipy.stats.binom, and what equality means.
func TestMcNemar(t *testing.T) {
	for _, c := range []struct {
		b, c        int
		exact, midP float64
	}{
		{1, 7, .0703125, .0390625},
		{7, 1, .0703125, .0390625},
		{0, 0, 1, 1},
		{0, 5, .0625, .03125},
		{3, 3, 1, 1 - .3125/2},
		{12, 30, 0.007915897334896727, 0.0054015726545912895},
	} {
		exact, midP := McNemar(c.b, c.c)
		if math.Abs(exact-c.exact) > 1e-9 || math.Abs(midP-c.midP) > 1e-9 {
			t.Errorf("McNemar(%d, %d) = %v, %v; want %v, %v", c.b, c.c, exact, midP, c.exact, c.midP)
		}
	}
	if exact, midP := McNemar(4000, 4000); exact != 1 || !(midP > .99) {
		t.Errorf("McNemar of 4,000 each = %v, %v", exact, midP)
	}
}

func scores(t *testing.T, s *Set) Scores {
	t.Helper()
	r := evaluate(t, s, Options{})
	return Scores{table.Metrics{Sets: []table.SetMetrics{r.Metrics}}, r.Queries}
}

func TestCompare(t *testing.T) {
	weak, strong := noisy(50, 2, 1, 3), noisy(50, 2, 3, 3)
	strong.Captions[0], strong.Captions[99] = strong.Captions[99], strong.Captions[0] // in another order
	for i := range 50 {
		s := strong.Matrix.S[i*100:][:100]
		s[0], s[99] = s[99], s[0]
	}
	a, b := scores(t, weak), scores(t, strong)
	got, err := Compare(a, b, []int{1, 10}, 1)
	if err != nil || len(got) != 4 {
		t.Fatalf("Compare = %+v, %v", got, err)
	}
	for i, c := range got {
		wantA, wantB := a.Metrics.Sets[0].SpeechToImage, b.Metrics.Sets[0].SpeechToImage
		if c.Direction == table.ImageToSpeech {
			wantA, wantB = a.Metrics.Sets[0].ImageToSpeech, b.Metrics.Sets[0].ImageToSpeech
		}
		pa, pb := wantA.P1.Value, wantB.P1.Value
		if c.K == 10 {
			pa, pb = wantA.P10.Value, wantB.P10.Value
		}
		if math.Abs(c.A-pa) > 1e-9 || math.Abs(c.B-pb) > 1e-9 || c.N != wantA.N || i%2 == 0 != (c.Direction == table.SpeechToImage) {
			t.Errorf("%+v: shares are not the metrics' %v and %v", c, pa, pb)
		}
		if d := float64(c.OnlyB-c.OnlyA) / float64(c.N); math.Abs(c.Difference-d) > 1e-12 || math.Abs(c.B-c.A-d) > 1e-9 {
			t.Errorf("%+v: the difference is not that of the discordant queries", c)
		}
		if c.K == 1 && (c.MidP > 1e-3 || c.Interval.Low <= 0 || c.Interval.High <= c.Difference || c.Interval.Low >= c.Difference) {
			t.Errorf("%+v: a signal of 3 is not seen to be above one of 1", c)
		}
	}
	same, err := Compare(a, a, []int{1}, 1)
	if err != nil || same[0].MidP != 1 || same[0].Exact != 1 || same[0].Interval != (table.Interval{}) {
		t.Errorf("a system beside itself: %+v, %v", same, err)
	}
}

// TestCompareTies: a model that gives all the same score is right about nothing.
func TestCompareTies(t *testing.T) {
	none := noisy(20, 1, 1, 1)
	clear(none.Matrix.S)
	got, err := Compare(scores(t, none), scores(t, noisy(20, 1, 9, 1)), []int{15}, 1) // the expected rank of equals is 10.5
	if err != nil || got[0].A != 0 || math.Abs(got[0].B-1) > 1e-9 || got[0].OnlyB != 20 {
		t.Errorf("Compare = %+v, %v", got, err)
	}
}

func TestCompareRefuses(t *testing.T) {
	a, other := scores(t, noisy(5, 1, 1, 1)), scores(t, noisy(6, 1, 1, 1))
	if _, err := Compare(a, other, []int{1}, 1); err == nil || !strings.Contains(err.Error(), "the pairs are not the same: 5 of 5 photos") {
		t.Errorf("other pairs: %v", err)
	}
	old := scores(t, noisy(5, 1, 1, 1))
	old.Metrics.Sets[0].PairsDigest = ""
	if _, err := Compare(a, old, []int{1}, 1); err == nil || !strings.Contains(err.Error(), "score it again") {
		t.Errorf("no digest: %v", err)
	}
	mixed := scores(t, noisy(5, 1, 1, 1))
	mixed.Queries = other.Queries
	if _, err := Compare(a, mixed, []int{1}, 1); err == nil || !strings.Contains(err.Error(), "rows for 5 and 6") {
		t.Errorf("rows of another result: %v", err)
	}
	mixed.Queries = append([]table.Query{}, a.Queries...)
	mixed.Queries[0].Photo = "p003"
	if _, err := Compare(a, mixed, []int{1}, 1); err == nil || !strings.Contains(err.Error(), "one result only") {
		t.Errorf("another photo: %v", err)
	}
	named := scores(t, noisy(5, 1, 1, 1))
	named.Metrics.Sets[0].Set = "other"
	if _, err := Compare(a, named, []int{1}, 1); err == nil || !strings.Contains(err.Error(), "no set was scored in both") {
		t.Errorf("no common set: %v", err)
	}
}
