package retrieval

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

func diagonal(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// byRule computes the golden file's figures of one way to treat ties.
func byRule(ranks []Rank, place func(Rank) float64) map[string]float64 {
	m := map[string]float64{}
	var all []float64
	for _, r := range ranks {
		p := place(r)
		all = append(all, p)
		for k, name := range map[float64]string{1: "R@1", 5: "R@5", 10: "R@10"} {
			if p <= k {
				m[name]++
			}
		}
		m["meanRank"] += p
		m["MRR"] += 1 / p
	}
	for k := range m {
		m[k] /= float64(len(ranks))
	}
	slices.Sort(all)
	n := len(all)
	m["medianRank"] = (all[(n-1)/2] + all[n/2]) / 2
	return m
}

// TestMetricsGolden compares with golden/eval to 1e-12. Its "index" rule, first
// come first served, is what we never report; the others follow from a Rank.
func TestMetricsGolden(t *testing.T) {
	dir := sharedtest.Path(t, "golden", "eval")
	raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, entry, rows, cols string
		imageOf                 []int
	}{
		{"S100", "S100", "rows_image_query_to_audio(A_rK in DAVEnet)", "cols_audio_query_to_image(I_rK in DAVEnet; the paper's task)", diagonal(100)},
		{"S100_ties", "S100_ties", "rows_image_query_to_audio(A_rK in DAVEnet)", "cols_audio_query_to_image(I_rK in DAVEnet; the paper's task)", diagonal(100)},
		{"S100_const", "S100_const", "rows", "cols", diagonal(100)},
		{"S7", "S7 (n<10)", "rows", "cols", diagonal(7)},
		{"S20x100", "S20x100 (5 captions per image)", "image->speech any-of-5", "speech->image", fives()},
	} {
		a, err := npy.ReadFile(filepath.Join(dir, c.file+".npy"))
		if err != nil {
			t.Fatal(err)
		}
		m := Matrix{Images: a.Shape[0], Clips: a.Shape[1], S: a.F64}
		for direction, key := range map[string]string{ImageToSpeech: c.rows, SpeechToImage: c.cols} {
			ranks, err := m.Ranks(direction, c.imageOf)
			if err != nil {
				t.Fatal(err)
			}
			var rules map[string]map[string]float64
			if err := json.Unmarshal(want[c.entry][key], &rules); err != nil || rules["optimistic"] == nil {
				t.Fatalf("%s %s: %v, %v", c.entry, key, rules, err)
			}
			same(t, c.file+" "+direction+" optimistic", byRule(ranks, func(r Rank) float64 { return float64(1 + r.Greater) }), rules["optimistic"])
			same(t, c.file+" "+direction+" pessimistic", byRule(ranks, func(r Rank) float64 { return float64(r.Worst()) }), rules["pessimistic"])
			s := Summarize(ranks)
			if rules["expected"] != nil {
				same(t, c.file+" "+direction+" expected", map[string]float64{"R@1": s.P1, "R@5": s.P5, "R@10": s.P10}, rules["expected"])
			}
			if s.Ties == 0 { // all rules agree
				same(t, c.file+" "+direction, map[string]float64{"R@1": s.P1, "R@5": s.P5, "R@10": s.P10, "medianRank": s.MedianRank, "meanRank": s.MeanRank, "MRR": s.MRR}, rules["index"])
			}
		}
	}
}

func fives() []int {
	out := make([]int, 100)
	for j := range out {
		out[j] = j / 5
	}
	return out
}

func same(t *testing.T, what string, got, want map[string]float64) {
	t.Helper()
	if len(want) == 0 {
		t.Errorf("%s: nothing to compare with", what)
	}
	for k, w := range want {
		if math.Abs(got[k]-w) > 1e-12 {
			t.Errorf("%s: %s = %v, want %v", what, k, got[k], w)
		}
	}
}

// TestConstant: a model that gives every pair the same score is at chance.
func TestConstant(t *testing.T) {
	m := Matrix{Images: 100, Clips: 100, S: make([]float64, 10000)}
	for _, d := range []string{SpeechToImage, ImageToSpeech} {
		ranks, err := m.Ranks(d, diagonal(100))
		if err != nil {
			t.Fatal(err)
		}
		s := Summarize(ranks)
		h := 0.0 // 1/100 (1 + 1/2 + … + 1/100)
		for i := 1; i <= 100; i++ {
			h += 1 / float64(i) / 100
		}
		want := map[string]float64{"p1": .01, "p5": .05, "p10": .1, "mean": 50.5, "median": 50.5, "mrr": h, "ties": 100}
		same(t, d, map[string]float64{"p1": s.P1, "p5": s.P5, "p10": s.P10, "mean": s.MeanRank, "median": s.MedianRank, "mrr": s.MRR, "ties": float64(s.Ties)}, want)
	}
}

// TestTiesOfMany compares the chances with several right answers with counting
// all orders.
func TestTiesOfMany(t *testing.T) {
	r := Rank{Greater: 1, Ties: 3, Right: 2}
	hit, mean, mrr, n := map[int]float64{}, 0.0, 0.0, 0.0
	for a := range 5 { // places of the two right ones among five
		for b := a + 1; b < 5; b++ {
			n++
			first := 1 + 1 + a
			mean += float64(first)
			mrr += 1 / float64(first)
			for k := 1; k <= 6; k++ {
				if first <= k {
					hit[k]++
				}
			}
		}
	}
	for k := 1; k <= 6; k++ {
		if got := r.Within(k); math.Abs(got-hit[k]/n) > 1e-12 {
			t.Errorf("within %d: %v, want %v", k, got, hit[k]/n)
		}
	}
	if got := r.Reciprocal(); math.Abs(got-mrr/n) > 1e-12 {
		t.Errorf("reciprocal rank %v, want %v", got, mrr/n)
	}
	m := Matrix{Images: 1, Clips: 6, S: []float64{1, 1, 1, 1, 1, 2}}
	m.Images = 2
	m.S = append(m.S, make([]float64, 6)...)
	ranks, err := m.Ranks(ImageToSpeech, []int{0, 0, 1, 1, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := ranks[0]; got.Rank != mean/n || got.Ties != 3 || got.Right != 2 || got.Best != 5 || got.BestScore != 2 {
		t.Errorf("rank is %+v, want the expected place %v", got, mean/n)
	}
}

func TestRanksRefuse(t *testing.T) {
	m := Matrix{Images: 2, Clips: 2, S: []float64{0, math.NaN(), 1, 2}}
	if _, err := m.Ranks(SpeechToImage, []int{0, 1}); err == nil {
		t.Error("a score that is no number was ranked")
	}
	m.S[1] = 0
	for _, bad := range [][]int{{0}, {0, 2}, {0, -1}} {
		if _, err := m.Ranks(SpeechToImage, bad); err == nil {
			t.Errorf("partners %v were taken", bad)
		}
	}
}

// TestWilson: the paper's .76 of 100 is .67 to .83.
func TestWilson(t *testing.T) {
	got := Wilson(.76, 100)
	if math.Abs(got.Low-.6677) > 5e-4 || math.Abs(got.High-.8331) > 5e-4 {
		t.Errorf("interval of .76 of 100 is %v", got)
	}
	if z := Wilson(0, 10); z.Low != 0 || z.High < .2 || z.High > .3 {
		t.Errorf("interval of 0 of 10 is %v", z)
	}
}
