package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/hearsight/hearsight/internal/table"
)

// printDetails prints what stands behind the scores of each set.
func (a *app) printDetails(all []table.Metrics) error {
	for _, m := range all {
		for _, s := range m.Sets {
			fmt.Fprintf(a.stdout, "\n%s, %s: %d captions of %d photos, pairs %s\n", m.System, s.Set, s.Pairs, s.Photos, s.PairsDigest)
			w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			details(w, s)
			if err := w.Flush(); err != nil {
				return err
			}
			for _, c := range s.Confusion {
				fmt.Fprintf(a.stdout, "photos that found a wrong caption first, by %s: their own in rows, the one found in columns\n", c.Of)
				w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
				fmt.Fprintf(w, "\t%s\t\n", strings.Join(c.Labels, "\t"))
				for i, row := range c.Counts {
					fmt.Fprintf(w, "%s\t%s\t\n", c.Labels[i], strings.Trim(strings.Join(strings.Fields(fmt.Sprint(row)), "\t"), "[]"))
				}
				if err := w.Flush(); err != nil {
					return err
				}
			}
			if len(s.Hardest) > 0 {
				fmt.Fprintln(a.stdout, "captions that found their photo last:")
			}
			for _, h := range s.Hardest {
				text := h.Caption
				if h.Text != "" {
					text = fmt.Sprintf("%s, %q", h.Caption, h.Text)
				}
				fmt.Fprintf(a.stdout, "  rank %.4g  %s: %.4g with its own photo, %.4g with %s\n", h.Rank, text, h.Score, h.FoundScore, h.Found)
			}
		}
	}
	return nil
}

// details writes the lines of a table: what, and its scores.
func details(w io.Writer, s table.SetMetrics) {
	fmt.Fprintln(w, "  \tqueries\tP@1\tP@5\tP@10\tmedian rank\tMRR")
	line := func(what string, r table.RecallMetrics) {
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\t%.4g\t%.3f\n", what, r.N, share(r.P1), share(r.P5), share(r.P10), r.MedianRank, r.MRR)
	}
	for _, way := range []struct {
		name string
		r    table.RecallMetrics
	}{{"speech -> photo", s.SpeechToImage}, {"photo -> speech", s.ImageToSpeech}} {
		line(way.name, way.r)
		if b := way.r.Bootstrap; b != nil {
			in := func(i table.Interval) string { return fmt.Sprintf("%.2f to %.2f", i.Low, i.High) }
			fmt.Fprintf(w, "    bootstrap over photos\t\t%s\t%s\t%s\t%.4g to %.4g\t%s\n", in(b.P1), in(b.P5), in(b.P10), b.MedianRank.Low, b.MedianRank.High, in(b.MRR))
		}
		if r := way.r.All; r != nil {
			fmt.Fprintf(w, "    of all right captions\t\t%.2f\t%.2f\t%.2f\t\tMAP %.3f\n", r.Recall1, r.Recall5, r.Recall10, r.MAP)
		}
	}
	if d := s.Draws; d != nil {
		drawn := func(what string, x table.DrawScores) {
			line(fmt.Sprintf("%d draws of %d photos, %s", len(x.Each), d.Photos, what), x.Pooled.SpeechToImage)
			for i, e := range x.Each {
				line(fmt.Sprintf("  draw %d", i+1), e.SpeechToImage)
			}
			line("  photo -> speech", x.Pooled.ImageToSpeech)
		}
		drawn("one caption each", d.One)
		if d.All != nil {
			drawn("all captions", *d.All)
		}
	}
	for _, by := range [][]table.Slice{s.ByWords, s.ByVoice} {
		for _, x := range by {
			line(x.Name, x.SpeechToImage)
		}
	}
}
