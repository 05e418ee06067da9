package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

func (a *app) metricsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:               "metrics [STAGE...]",
		Short:             "Print the scores of every system that has been scored",
		Example:           "  hearsight metrics\n  hearsight metrics scores@VGG16_5\n  hearsight metrics --details    intervals, draws, by length and voice, the hardest captions\n  hearsight metrics --json",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			return a.planned(c.Context(), pipeline.Selection{Targets: args}, func(p *pipeline.Plan, _ *artifacts.Store) error {
				all, err := scored(p)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(metricsJSON(all))
				}
				if len(all) == 0 {
					return errors.New("no system has been scored yet: hearsight run")
				}
				return a.printMetrics(all)
			})
		},
	}
	c.Flags().BoolVar(&a.details, "details", false, "print intervals, draws, scores by length and voice, and the hardest captions too")
	return c
}

// scored reads the metrics of every score in the plan that is there. A name that
// several systems have is followed by the stage's.
func scored(p *pipeline.Plan) ([]table.Metrics, error) {
	var out []table.Metrics
	var stages []string
	times := map[string]int{}
	for _, x := range p.Actions {
		if x.Artifact == nil || x.Artifact.Manifest.Type != "scores" {
			continue
		}
		m, err := readMetrics(x.Artifact)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.Stage.Name, err)
		}
		out, stages = append(out, m), append(stages, x.Stage.Name)
		times[m.System]++
	}
	for i := range out {
		if times[out[i].System] > 1 {
			out[i].System += " (" + stages[i] + ")"
		}
	}
	return out, nil
}

func readMetrics(art *artifacts.Artifact) (m table.Metrics, err error) {
	parts := art.Parts(table.MetricsSchema)
	if len(parts) == 0 {
		return m, errors.New("holds no metrics")
	}
	f, err := art.Open(parts[0])
	if err != nil {
		return m, err
	}
	m, err = table.ReadMetrics(f)
	return m, errors.Join(err, f.Close())
}

// systemJSON is a system's scores as `metrics --json` prints them: those of the
// main direction, speech to photo, at the top.
type systemJSON struct {
	P1         float64 `json:"p1"`
	P5         float64 `json:"p5"`
	P10        float64 `json:"p10"`
	N          int     `json:"n"`
	MedianRank float64 `json:"median_rank"`
	MRR        float64 `json:"mrr"`
	table.Metrics
}

func metricsJSON(all []table.Metrics) map[string]systemJSON {
	out := map[string]systemJSON{}
	for _, m := range all {
		s := systemJSON{Metrics: m}
		if len(m.Sets) > 0 {
			r := m.Sets[0].SpeechToImage
			s.P1, s.P5, s.P10, s.N, s.MedianRank, s.MRR = r.P1.Value, r.P5.Value, r.P10.Value, r.N, r.MedianRank, r.MRR
		}
		out[m.System] = s
	}
	return out
}

func (a *app) printMetrics(all []table.Metrics) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "system\tset\tpairs\tdirection\tP@1\tP@5\tP@10\tmedian rank\tMRR")
	for _, m := range all {
		for _, s := range m.Sets {
			for _, d := range []struct {
				name string
				r    table.RecallMetrics
			}{{"speech -> photo", s.SpeechToImage}, {"photo -> speech", s.ImageToSpeech}} {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%.4g\t%.3f\n", m.System, s.Set, s.Pairs, d.name,
					share(d.r.P1), share(d.r.P5), share(d.r.P10), d.r.MedianRank, d.r.MRR)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, m := range all {
		for _, s := range m.Sets {
			if s.GroupRight != nil {
				fmt.Fprintf(a.stdout, "%s, %s: of two photos that differ only in relation or size the right one scores higher for %s (chance .50)\n", m.System, s.Set, share(*s.GroupRight))
			}
		}
		if m.Note != "" {
			fmt.Fprintf(a.stdout, "%s: %s\n", m.System, m.Note)
		}
	}
	fmt.Fprintln(a.stdout, "P@k: the share of queries whose partner is among the k best; in brackets the 95 % Wilson interval")
	if a.details {
		return a.printDetails(all)
	}
	return nil
}

func share(s table.Share) string {
	p := func(x float64) string { return strings.TrimPrefix(fmt.Sprintf("%.2f", x), "0") }
	return fmt.Sprintf("%s [%s %s]", p(s.Value), p(s.Low), p(s.High))
}
