package report

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/table"
)

// details adds what stands behind a set's scores.
func details(s *report.System, set table.SetMetrics) {
	for _, way := range []struct {
		name string
		r    table.RecallMetrics
	}{{"speech → photo", set.SpeechToImage}, {"photo → speech", set.ImageToSpeech}} {
		if b := way.r.Bootstrap; b != nil {
			r := recall(way.r)
			r.P1Low, r.P1High, r.P5Low, r.P5High, r.P10Low, r.P10High = b.P1.Low, b.P1.High, b.P5.Low, b.P5.High, b.P10.Low, b.P10.High
			s.Bootstrap = append(s.Bootstrap, report.Line{Name: way.name, Recall: r})
		}
	}
	if d := set.Draws; d != nil {
		s.Draws = append(s.Draws, drawn(fmt.Sprintf("%d photos, one caption each", d.Photos), d.One)...)
		if d.All != nil {
			s.Draws = append(s.Draws, drawn(fmt.Sprintf("%d photos, all captions", d.Photos), *d.All)...)
		}
	}
	s.ByWords, s.ByVoice = slice(set.ByWords), slice(set.ByVoice)
	for _, c := range set.Confusion {
		out := report.Confusion{Of: c.Of, Labels: c.Labels}
		most := 1
		for _, row := range c.Counts {
			for _, n := range row {
				most = max(most, n)
			}
		}
		for i, row := range c.Counts {
			r := report.ConfusionRow{Label: c.Labels[i]}
			for _, n := range row {
				r.Cells = append(r.Cells, report.Cell{N: n, Percent: 100 * n / most})
			}
			out.Rows = append(out.Rows, r)
		}
		s.Confusion = append(s.Confusion, out)
	}
	for _, h := range set.Hardest {
		text := h.Text
		if text == "" {
			text = h.Caption
		}
		s.Hardest = append(s.Hardest, report.Hard{Caption: text, Rank: h.Rank, Score: h.Score, Found: h.Found, FoundScore: h.FoundScore})
	}
}

// drawn are the lines of disjoint draws: all their queries together, both ways,
// and each draw.
func drawn(what string, d table.DrawScores) []report.Line {
	out := []report.Line{
		{Name: fmt.Sprintf("%d draws of %s", len(d.Each), what), Recall: recall(d.Pooled.SpeechToImage), Sum: true},
		{Name: "photo → speech", Recall: recall(d.Pooled.ImageToSpeech), Sum: true},
	}
	for i, e := range d.Each {
		out = append(out, report.Line{Name: fmt.Sprintf("draw %d", i+1), Recall: recall(e.SpeechToImage)})
	}
	return out
}

func slice(slices []table.Slice) (out []report.Line) {
	for _, s := range slices {
		out = append(out, report.Line{Name: s.Name, Recall: recall(s.SpeechToImage)})
	}
	return out
}

// chances is the mean, over queries, of the chance that a model that knows
// nothing has one right answer among the first 1, 5 and 10.
type chances struct {
	n   int
	sum [3]float64
}

// add adds a query that has so many right ones among so many candidates.
func (c *chances) add(candidates, right int) {
	c.n++
	for i, k := range []int{1, 5, 10} {
		if right == 1 {
			c.sum[i] += min(1, float64(k)/float64(candidates))
			continue
		}
		miss := 1.0
		for at := range k {
			miss *= max(0, float64(candidates-right-at)) / max(1, float64(candidates-at))
		}
		c.sum[i] += 1 - miss
	}
}

func (c *chances) put(r *report.Recall) {
	if c.n > 0 {
		n := float64(c.n)
		r.Chance1, r.Chance5, r.Chance10 = c.sum[0]/n, c.sum[1]/n, c.sum[2]/n
	}
}
