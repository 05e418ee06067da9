package retrieval

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/table"
)

// A Caption is a spoken query and what is known of it.
type Caption struct {
	table.Caption
	Voice string
}

// A Set is what is scored together: every photo with every caption.
type Set struct {
	Name     string
	Captions []Caption // columns of Matrix
	Photos   []string  // rows of Matrix; those that no caption describes are candidates only
	Matrix   Matrix    // higher is nearer
}

// Options are what a result may depend on beside the set.
type Options struct {
	Seed       int64 // of draws and resamples
	Draws      int   // disjoint draws of photos; 0 for none
	DrawPhotos int   // photos of each

	Phase func(what string) // told what is being done, if not nil: for those who wait
}

// A Result is a set's scores.
type Result struct {
	Metrics table.SetMetrics
	Ranks   []table.Rank  // both directions, in the order of the matrix
	Queries []table.Query // in the order of the captions
}

// partners returns the row of each caption's photo.
func (s *Set) partners() ([]int, error) {
	row := make(map[string]int, len(s.Photos))
	for i, p := range s.Photos {
		if _, twice := row[p]; twice {
			return nil, fmt.Errorf("set %s: photo %q is there twice", s.Name, p)
		}
		row[p] = i
	}
	of, seen := make([]int, len(s.Captions)), make(map[string]bool, len(s.Captions))
	for j, c := range s.Captions {
		i, ok := row[c.PhotoID]
		if !ok {
			return nil, fmt.Errorf("set %s: caption %q describes photo %q, which is not there", s.Name, c.ID, c.PhotoID)
		}
		if seen[c.ID] {
			return nil, fmt.Errorf("set %s: caption %q is there twice", s.Name, c.ID)
		}
		of[j], seen[c.ID] = i, true
	}
	if s.Matrix.Images != len(s.Photos) || s.Matrix.Clips != len(s.Captions) {
		return nil, fmt.Errorf("set %s: similarities of %d photos and %d captions, want %d and %d", s.Name, s.Matrix.Images, s.Matrix.Clips, len(s.Photos), len(s.Captions))
	}
	if len(of) == 0 {
		return nil, fmt.Errorf("set %s: there are no captions", s.Name)
	}
	return of, nil
}

// Evaluate scores the set. A similarity that is no finite number is an error
// that names the pair; so is the end of ctx.
func (s *Set) Evaluate(ctx context.Context, o Options) (*Result, error) {
	of, err := s.partners()
	if err != nil {
		return nil, err
	}
	for k, v := range s.Matrix.S {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("set %s: the similarity of photo %q and caption %q is %v", s.Name, s.Photos[k/s.Matrix.Clips], s.Captions[k%s.Matrix.Clips].ID, v)
		}
	}
	phase := func(what string) error {
		if o.Phase != nil {
			o.Phase(what)
		}
		return ctx.Err()
	}
	if err := phase("rank photos for each caption"); err != nil {
		return nil, err
	}
	toImage, err := s.Matrix.Ranks(SpeechToImage, of)
	if err != nil {
		return nil, err
	}
	if err := phase("rank captions for each photo"); err != nil {
		return nil, err
	}
	toSpeech, err := s.Matrix.Ranks(ImageToSpeech, of)
	if err != nil {
		return nil, err
	}
	r := &Result{Metrics: table.SetMetrics{
		Set: s.Name, Pairs: len(of), Photos: len(s.Photos), PairsDigest: s.digest(of),
		SpeechToImage: recall(toImage), ImageToSpeech: recall(toSpeech),
	}}
	m := &r.Metrics
	if err := phase("draw bootstrap intervals"); err != nil {
		return nil, err
	}
	m.SpeechToImage.Bootstrap = bootstrap(toImage, func(r Rank) int { return of[r.Query] }, o.Seed)
	m.ImageToSpeech.Bootstrap = bootstrap(toSpeech, func(r Rank) int { return r.Query }, o.Seed)
	if err := phase("place each caption among those of other photos"); err != nil {
		return nil, err
	}
	m.GroupRight = s.groups(of)
	caption := func(j int) string { return s.Captions[j].ID }
	photo := func(i int) string { return s.Photos[i] }
	r.Ranks = append(rankRows(s.Name, table.SpeechToImage, toImage, caption, photo), rankRows(s.Name, table.ImageToSpeech, toSpeech, photo, caption)...)
	if r.Queries, err = s.queries(ctx, of, toImage); err != nil {
		return nil, err
	}
	m.ImageToSpeech.All = s.allRight(of, r.Queries)
	if m.Draws, err = s.draw(o, of, r.Queries); err != nil {
		return nil, err
	}
	m.ByWords, m.ByVoice = s.slices(toImage)
	m.Confusion = s.confusion(of, toSpeech)
	m.Hardest = hardest(r.Queries)
	return r, nil
}

func rankRows(set, direction string, ranks []Rank, query, candidate func(int) string) []table.Rank {
	out := make([]table.Rank, len(ranks))
	for i, r := range ranks {
		out[i] = table.Rank{
			Direction: direction, Query: query(r.Query), Partner: candidate(r.Partner), Rank: r.Rank, Score: r.Score,
			Ties: int32(r.Ties), Best: candidate(r.Best), BestScore: r.BestScore, Candidates: int32(r.Candidates), Set: set,
		}
	}
	return out
}

func recall(ranks []Rank) table.RecallMetrics {
	m := Summarize(ranks)
	share := func(p float64, i Interval) table.Share { return table.Share{Value: p, Low: i.Low, High: i.High} }
	return table.RecallMetrics{
		N: m.N, P1: share(m.P1, m.I1), P5: share(m.P5, m.I5), P10: share(m.P10, m.I10),
		MedianRank: m.MedianRank, MeanRank: m.MeanRank, MRR: m.MRR, Tied: m.Ties,
	}
}

// digest pins the pairs: see [table.SetMetrics].
func (s *Set) digest(of []int) string {
	asked := make([]bool, len(s.Photos))
	var lines []string
	for j, c := range s.Captions {
		asked[of[j]] = true
		lines = append(lines, c.ID+"\t"+c.PhotoID+"\n")
	}
	for i, p := range s.Photos {
		if !asked[i] {
			lines = append(lines, "\t"+p+"\n")
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(strings.Join(lines, ""))))
}

func (s *Set) at(photo, caption int) float64 { return s.Matrix.S[photo*s.Matrix.Clips+caption] }

// groups says, for sets whose captions come in groups of near-equals, how often
// a caption scores its own photo above every other photo of its group. Equals
// count as they would in random order: half for one, a third for two. nil where
// there are no groups of two photos or more.
func (s *Set) groups(of []int) *table.Share {
	members := map[string][]int{}
	for j, c := range s.Captions {
		if c.Group != "" && !slices.Contains(members[c.Group], of[j]) {
			members[c.Group] = append(members[c.Group], of[j])
		}
	}
	n, right := 0, 0.0
	for j, c := range s.Captions {
		group := members[c.Group]
		if len(group) < 2 {
			continue
		}
		n++
		own, greater, equal := s.at(of[j], j), 0, 0
		for _, i := range group {
			if i == of[j] {
				continue
			}
			switch other := s.at(i, j); {
			case other > own:
				greater++
			case other == own:
				equal++
			}
		}
		if greater == 0 {
			right += 1 / float64(1+equal)
		}
	}
	if n == 0 {
		return nil
	}
	share := right / float64(n)
	i := Wilson(share, n)
	return &table.Share{Value: share, Low: i.Low, High: i.High}
}
