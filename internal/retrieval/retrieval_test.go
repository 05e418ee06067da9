package retrieval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hearsight/hearsight/internal/table"
)

// noisy is a set of photos with so many captions each, whose right similarities
// are signal above noise of deviation 1.
func noisy(photos, each int, signal float64, seed uint64) *Set {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &Set{Name: "test", Matrix: Matrix{Images: photos, Clips: photos * each}}
	for i := range photos {
		s.Photos = append(s.Photos, fmt.Sprintf("p%03d", i))
		for k := range each {
			s.Captions = append(s.Captions, Caption{
				Caption: table.Caption{ID: fmt.Sprintf("p%03d#%d", i, k), PhotoID: s.Photos[i], Index: int32(k), Text: strings.Repeat("word ", 4+(i+k)%12)},
				Voice:   []string{"en-us", "en-gb"}[(i+k)%2],
			})
		}
		for j := range photos * each {
			v := r.NormFloat64()
			if j/each == i {
				v += signal
			}
			s.Matrix.S = append(s.Matrix.S, v)
		}
	}
	return s
}

func evaluate(t *testing.T, s *Set, o Options) *Result {
	t.Helper()
	r, err := s.Evaluate(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestQueries compares every column of every row with counting by hand.
func TestQueries(t *testing.T) {
	s := &Set{
		Name: "x", Photos: []string{"a", "b", "c"}, Matrix: Matrix{Images: 3, Clips: 4, S: []float64{
			5, 1, 2, 2, // a
			5, 3, 0, 4, // b
			1, 3, 2, 9, // c: no caption of its own
		}},
	}
	for _, c := range [][2]string{{"a0", "a"}, {"b0", "b"}, {"b1", "b"}, {"a1", "a"}} {
		s.Captions = append(s.Captions, Caption{Caption: table.Caption{ID: c[0], PhotoID: c[1], Text: "two  words"}, Voice: "v"})
	}
	got := evaluate(t, s, Options{}).Queries
	for i := range got {
		if !math.IsNaN(got[i].DrawRank) || got[i].Draw != 0 {
			t.Errorf("%s is in draw %d, rank %v, and there is none", got[i].Caption, got[i].Draw, got[i].DrawRank)
		}
		got[i].DrawRank = 0
	}
	row := func(caption, photo string, rank, worst, score float64, impostor string, impostorScore, photoRank, photoWorst float64, other string, otherScore float64) table.Query {
		return table.Query{
			Caption: caption, Set: "x", Photo: photo, Text: "two  words", Words: 2, Voice: "v", Rank: rank, WorstRank: worst, Score: score, Impostor: impostor, ImpostorScore: impostorScore,
			PhotoRank: photoRank, PhotoWorstRank: photoWorst, ImpostorCaption: other, ImpostorCaptionScore: otherScore,
		}
	}
	want := []table.Query{
		row("a0", "a", 1.5, 2, 5, "b", 5, 1, 1, "b1", 2),
		row("b0", "b", 1.5, 2, 3, "c", 3, 3, 3, "a0", 5),
		row("b1", "b", 3, 3, 0, "a", 2, 3, 3, "a0", 5), // a and c are equal
		row("a1", "a", 3, 3, 2, "c", 9, 1.5, 2, "b1", 2),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
}

// TestFiveCaptions: a photo is right by the best placed of its captions, and
// its others are no impostors.
func TestFiveCaptions(t *testing.T) {
	s := noisy(20, 5, 2, 3)
	r := evaluate(t, s, Options{})
	hits := 0
	for i := range 20 {
		best := slices.Index(s.Matrix.S[i*100:][:100], slices.Max(s.Matrix.S[i*100:][:100]))
		if best/5 == i {
			hits++
		}
	}
	if got := r.Metrics.ImageToSpeech; got.N != 20 || math.Abs(got.P1.Value-float64(hits)/20) > 1e-12 || hits == 0 || hits == 20 {
		t.Errorf("P@1 of %d photos is %v, want %d of 20", got.N, got.P1.Value, hits)
	}
	if got := r.Metrics.SpeechToImage.N; got != 100 {
		t.Errorf("%d captions asked, want 100", got)
	}
	tied := noisy(2, 2, 0, 1)
	clear(tied.Matrix.S)
	if a := evaluate(t, tied, Options{}).Metrics.ImageToSpeech.All; a.Recall1 != 0 || a.Recall5 != 1 || math.Abs(a.MAP-(1./3+2./4)/2) > 1e-12 {
		t.Errorf("with all equal, wrong ones come first: %+v", *a)
	}
	if r.Metrics.ImageToSpeech.All == nil || evaluate(t, noisy(20, 1, 2, 3), Options{}).Metrics.ImageToSpeech.All != nil {
		t.Error("measures of sets are for photos with several captions, and for no others")
	}
}

// TestDigest: pairs are pinned whatever their order and scores, and by nothing
// but what they are.
func TestDigest(t *testing.T) {
	digest := func(change func(*Set)) string {
		s := noisy(4, 2, 1, 1)
		change(s)
		return evaluate(t, s, Options{}).Metrics.PairsDigest
	}
	plain := digest(func(*Set) {})
	// printf 'p000#0\tp000\np000#1\tp000\n…' | sort | sha256sum
	if want := "sha256:bccbe8f2bb75e171"; !strings.HasPrefix(plain, want) {
		t.Errorf("digest %s, want %s…", plain, want)
	}
	if got := digest(func(s *Set) {
		s.Matrix.S[0] = 9
		s.Captions[0], s.Captions[3] = s.Captions[3], s.Captions[0]
	}); got != plain {
		t.Error("the order or a score changed the digest of the pairs")
	}
	if got := digest(func(s *Set) { s.Captions[0].PhotoID = "p001" }); got == plain {
		t.Error("another partner has the same digest")
	}
	if got := digest(func(s *Set) {
		s.Photos = append(s.Photos, "more")
		s.Matrix.Images++
		s.Matrix.S = append(s.Matrix.S, make([]float64, 8)...)
	}); got == plain {
		t.Error("one more candidate has the same digest")
	}
}

// TestBootstrap: of independent queries the interval is about Wilson's; with
// every caption there five times it stays as wide, where Wilson's shrinks.
func TestBootstrap(t *testing.T) {
	once := noisy(100, 1, 2.5, 7)
	five := &Set{Name: "test", Photos: once.Photos, Matrix: Matrix{Images: 100, Clips: 500}}
	for i := range 100 {
		for j := range 500 {
			five.Matrix.S = append(five.Matrix.S, once.at(i, j/5))
		}
	}
	for j := range 500 {
		five.Captions = append(five.Captions, Caption{Caption: table.Caption{ID: fmt.Sprint(j), PhotoID: five.Photos[j/5]}})
	}
	a, b := evaluate(t, once, Options{Seed: 1}).Metrics.SpeechToImage, evaluate(t, five, Options{Seed: 1}).Metrics.SpeechToImage
	if math.Abs(a.P1.Value-b.P1.Value) > 1e-12 || a.P1.Value < .2 || a.P1.Value > .8 {
		t.Fatalf("P@1 is %v and %v", a.P1.Value, b.P1.Value)
	}
	width := func(low, high float64) float64 { return high - low }
	for name, r := range map[string]table.RecallMetrics{"one caption": a, "five": b} {
		if r.Bootstrap.Resamples != 2000 {
			t.Errorf("%s: %d resamples", name, r.Bootstrap.Resamples)
		}
		if got, want := width(r.Bootstrap.P1.Low, r.Bootstrap.P1.High), width(a.P1.Low, a.P1.High); math.Abs(got-want) > .15*want {
			t.Errorf("%s: the interval of P@1 is %v wide, Wilson's of the photos %v", name, got, want)
		}
		for what, c := range map[string][3]float64{
			"P@5": {r.Bootstrap.P5.Low, r.P5.Value, r.Bootstrap.P5.High}, "P@10": {r.Bootstrap.P10.Low, r.P10.Value, r.Bootstrap.P10.High},
			"median": {r.Bootstrap.MedianRank.Low, r.MedianRank, r.Bootstrap.MedianRank.High}, "MRR": {r.Bootstrap.MRR.Low, r.MRR, r.Bootstrap.MRR.High},
		} {
			if c[0] > c[1] || c[1] > c[2] || c[0] == c[2] {
				t.Errorf("%s: %s %v is not within %v", name, what, c[1], c)
			}
		}
	}
	if got := width(b.P1.Low, b.P1.High); got > .6*width(a.P1.Low, a.P1.High) {
		t.Errorf("Wilson's interval of 500 queries is %v wide", got)
	}
	if again := evaluate(t, once, Options{Seed: 1}).Metrics.SpeechToImage; *again.Bootstrap != *a.Bootstrap {
		t.Error("one seed gave two intervals")
	}
	if other := evaluate(t, once, Options{Seed: 2}).Metrics.SpeechToImage; *other.Bootstrap == *a.Bootstrap {
		t.Error("two seeds gave one interval")
	}
}

// TestMedian compares the weighted median with sorting all that was drawn.
func TestMedian(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		ranks, times, order := make([]Rank, 1+r.IntN(7)), []int{}, []int{}
		var all []float64
		for i := range ranks {
			ranks[i].Rank = float64(i) // sorted
			times, order = append(times, r.IntN(3)), append(order, i)
			for range times[i] {
				all = append(all, ranks[i].Rank)
			}
		}
		if len(all) == 0 {
			continue
		}
		want := (all[(len(all)-1)/2] + all[len(all)/2]) / 2
		if got := median(ranks, order, func(i int) int { return times[i] }, len(all)); got != want {
			t.Errorf("median of %v is %v, want %v", all, got, want)
		}
	}
}

// TestDraws: draws are disjoint, hold whole photos, depend on the seed, and a
// draw is scored as the same photos are when they are all there is.
func TestDraws(t *testing.T) {
	s := noisy(43, 5, 2, 5)
	s.Captions[0].Index, s.Captions[1].Index = 1, 0 // not in the order of the columns
	r := evaluate(t, s, Options{Seed: 1, Draws: 5, DrawPhotos: 10})
	d := r.Metrics.Draws
	if d == nil || len(d.One.Each) != 4 || d.All == nil || len(d.All.Each) != 4 || d.Photos != 10 || d.Seed != 1 {
		t.Fatalf("draws are %+v, want four of ten: no more fit into 43", d)
	}
	photos := map[string]int32{}
	per := map[int32]int{}
	for _, q := range r.Queries {
		if n, ok := photos[q.Photo]; ok && n != q.Draw {
			t.Errorf("photo %s is in draws %d and %d", q.Photo, n, q.Draw)
		}
		photos[q.Photo] = q.Draw
		per[q.Draw]++
		if (q.Draw == 0) != math.IsNaN(q.DrawRank) || q.DrawRank > q.Rank || q.DrawRank < 1 {
			t.Errorf("%s has rank %v in draw %d, %v in the set", q.Caption, q.DrawRank, q.Draw, q.Rank)
		}
	}
	if d := cmp.Diff(map[int32]int{0: 15, 1: 50, 2: 50, 3: 50, 4: 50}, per); d != "" {
		t.Errorf("captions a draw (-want +got):\n%s", d)
	}
	two := &Set{Name: "two"} // the second draw as a set of its own
	var captions []int
	for j, c := range s.Captions {
		if photos[c.PhotoID] == 2 {
			captions, two.Captions = append(captions, j), append(two.Captions, c)
		}
	}
	for i, p := range s.Photos {
		if photos[p] == 2 {
			two.Photos = append(two.Photos, p)
			for _, j := range captions {
				two.Matrix.S = append(two.Matrix.S, s.at(i, j))
			}
		}
	}
	two.Matrix.Images, two.Matrix.Clips = 10, 50
	first := &Set{Name: "first", Photos: two.Photos, Matrix: Matrix{Images: 10, Clips: 10}} // and its first captions
	for i := range 10 {
		for j, c := range two.Captions {
			if c.Index == 0 {
				first.Matrix.S = append(first.Matrix.S, two.at(i, j))
			}
		}
	}
	for _, c := range two.Captions {
		if c.Index == 0 {
			first.Captions = append(first.Captions, c)
		}
	}
	for what, c := range map[string]struct {
		alone *Set
		drawn table.BothWays
	}{"all captions": {two, d.All.Each[1]}, "one caption": {first, d.One.Each[1]}} {
		want := evaluate(t, c.alone, Options{}).Metrics
		want.SpeechToImage.Bootstrap, want.ImageToSpeech.Bootstrap, want.ImageToSpeech.All = nil, nil, nil
		if diff := cmp.Diff(table.BothWays{SpeechToImage: want.SpeechToImage, ImageToSpeech: want.ImageToSpeech}, c.drawn, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("the second draw, %s (-alone +drawn):\n%s", what, diff)
		}
	}
	if p := d.One.Pooled.SpeechToImage; p.N != 40 {
		t.Errorf("%d queries of one caption a photo, want 40", p.N)
	} else {
		mean := 0.0
		for _, e := range d.One.Each {
			mean += e.SpeechToImage.P5.Value / 4
		}
		if math.Abs(p.P5.Value-mean) > 1e-12 {
			t.Errorf("pooled P@5 is %v, the mean over the draws %v", p.P5.Value, mean)
		}
	}
	fewer := evaluate(t, s, Options{Seed: 1, Draws: 2, DrawPhotos: 10}).Metrics.Draws
	if diff := cmp.Diff(d.One.Each[:2], fewer.One.Each); diff != "" {
		t.Errorf("a draw depends on how many others there are:\n%s", diff)
	}
	if other := evaluate(t, s, Options{Seed: 2, Draws: 5, DrawPhotos: 10}).Metrics.Draws; cmp.Equal(d.One, other.One) {
		t.Error("two seeds gave the same draws")
	}
	if none := evaluate(t, s, Options{Draws: 5, DrawPhotos: 100}).Metrics.Draws; none != nil {
		t.Errorf("draws of 100 from 43 photos: %+v", none)
	}
	if one := evaluate(t, noisy(20, 1, 1, 1), Options{Draws: 2, DrawPhotos: 10}).Metrics.Draws; one.All != nil {
		t.Error("with one caption a photo all captions are scored twice")
	}
}

func TestSlices(t *testing.T) {
	s := noisy(60, 1, 2, 9)
	s.Captions[3].Voice, s.Captions[5].Text = "", ""
	r := evaluate(t, s, Options{})
	sum := func(slices []table.Slice) (names []string, n int, p1 float64) {
		for _, l := range slices {
			names = append(names, l.Name)
			n += l.SpeechToImage.N
			p1 += l.SpeechToImage.P1.Value * float64(l.SpeechToImage.N)
		}
		return names, n, p1 / float64(n)
	}
	for what, c := range map[string]struct {
		got  []table.Slice
		want []string
	}{
		"words": {r.Metrics.ByWords, []string{"1-6 words", "7-9 words", "10-12 words", "13-16 words", "unknown"}},
		"voice": {r.Metrics.ByVoice, []string{"en-gb", "en-us", "unknown"}},
	} {
		names, n, p1 := sum(c.got)
		if !slices.Equal(names, c.want) || n != 60 || math.Abs(p1-r.Metrics.SpeechToImage.P1.Value) > 1e-12 {
			t.Errorf("by %s: %q of %d queries, P@1 %v; want %q, and all of 60 with %v", what, names, n, p1, c.want, r.Metrics.SpeechToImage.P1.Value)
		}
	}
	wrong := 60 - int(math.Round(60*r.Metrics.ImageToSpeech.P1.Value))
	if len(r.Metrics.Confusion) != 2 {
		t.Fatalf("%d confusions, want those of words and voice", len(r.Metrics.Confusion))
	}
	for _, c := range r.Metrics.Confusion {
		n := 0
		for _, row := range c.Counts {
			for _, v := range row {
				n += v
			}
		}
		if n != wrong || wrong == 0 {
			t.Errorf("confusion of %s counts %d photos, %d were wrong", c.Of, n, wrong)
		}
	}
	for n, want := range map[int]string{1: "1-6 words", 6: "1-6 words", 7: "7-9 words", 12: "10-12 words", 16: "13-16 words", 17: "17 words or more"} {
		if got := lengthName(n); got != want {
			t.Errorf("%d words are in %q, want %q", n, got, want)
		}
	}
	if h := r.Metrics.Hardest; len(h) != 10 || h[0].Rank < h[9].Rank || h[0].Rank != slices.MaxFunc(r.Queries, func(a, b table.Query) int { return int(a.Rank - b.Rank) }).Rank || h[0].Found == h[0].Photo || h[0].FoundScore <= h[0].Score {
		t.Errorf("the hardest are %+v", h)
	}
	if bare := evaluate(t, &Set{Name: "x", Photos: []string{"a"}, Captions: []Caption{{Caption: table.Caption{ID: "c", PhotoID: "a"}}}, Matrix: Matrix{Images: 1, Clips: 1, S: []float64{1}}}, Options{}); bare.Metrics.ByWords != nil || bare.Metrics.Confusion != nil || bare.Metrics.Hardest != nil || bare.Queries[0].Impostor != "" {
		t.Errorf("one pair of which nothing is known: %+v", bare.Metrics)
	}
}

func TestEvaluateRefuses(t *testing.T) {
	for want, change := range map[string]func(*Set){
		`photo "p000" is there twice`:               func(s *Set) { s.Photos[1] = "p000" },
		`caption "p000#0" is there twice`:           func(s *Set) { s.Captions[1].ID = "p000#0" },
		`describes photo "elsewhere"`:               func(s *Set) { s.Captions[1].PhotoID = "elsewhere" },
		"similarities of 3 photos":                  func(s *Set) { s.Photos = s.Photos[:2]; s.Captions = s.Captions[:2] },
		`photo "p001" and caption "p000#0" is NaN`:  func(s *Set) { s.Matrix.S[3] = math.NaN() },
		`photo "p002" and caption "p002#0" is +Inf`: func(s *Set) { s.Matrix.S[8] = math.Inf(1) },
		"there are no captions":                     func(s *Set) { s.Captions, s.Matrix.Clips, s.Matrix.S = nil, 0, nil },
		"8 scores and 3 partners":                   func(s *Set) { s.Matrix.S = s.Matrix.S[:8] },
	} {
		s := noisy(3, 1, 1, 1)
		change(s)
		if _, err := s.Evaluate(context.Background(), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
