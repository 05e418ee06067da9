package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

func (a *app) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two results, or two runs",
		Long:  "Compares two results (stages of the spec, or artifacts by digest) part by part, or two runs: which stages have another result, by which parameters, inputs and items, how training went (settings, steps, pairs seen, loss, P@k on the development pairs), and how the scores moved.",
		Example: "  hearsight diff model@VGG16_5 model@VGG16_6\n" +
			"  hearsight diff scores sha256:0f…        against an earlier one, as `hearsight digest` printed it\n" +
			"  hearsight diff 20261124T061500.000000Z 20261124T070000.000000Z    two runs, as `hearsight log --list` names them\n" +
			"  hearsight diff --json RUN RUN           the same for programs",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			var targets []string
			for _, x := range args {
				if !strings.HasPrefix(x, "sha256:") {
					targets = append(targets, x)
				}
			}
			runs := false
			if err := a.withStore(func(s *artifacts.Store) error {
				if runs = areRuns(s, args); runs {
					return a.diffRuns(s, args)
				}
				return nil
			}); err != nil || runs {
				return err
			}
			if len(targets) == 0 {
				return a.withStore(func(s *artifacts.Store) error { return a.diff(s, nil, args) })
			}
			return a.planned(c.Context(), pipeline.Selection{Targets: targets}, func(p *pipeline.Plan, s *artifacts.Store) error {
				return a.diff(s, p, args)
			})
		},
	}
}

func (a *app) withStore(use func(*artifacts.Store) error) (err error) {
	s, err := a.openStore(true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return use(s)
}

// partDiff is one part that is not the same in both.
type partDiff struct {
	Part string          `json:"part"`
	A    *artifacts.Part `json:"a,omitempty"`
	B    *artifacts.Part `json:"b,omitempty"`
}

func (a *app) diff(s *artifacts.Store, p *pipeline.Plan, names []string) error {
	var arts [2]*artifacts.Artifact
	for i, name := range names {
		var err error
		if strings.HasPrefix(name, "sha256:") {
			var d artifacts.Digest
			if d, err = artifacts.ParseDigest(name); err != nil {
				return usageError{err}
			}
			arts[i], err = s.Artifact(d)
		} else {
			arts[i], err = result(p, name)
		}
		if err != nil {
			return err
		}
	}
	diffs := diffParts(arts[0], arts[1])
	if a.json {
		return a.printJSON(diffs)
	}
	if len(diffs) == 0 {
		fmt.Fprintln(a.stdout, "equal")
		return a.diffMetrics(names, arts)
	}
	for _, d := range diffs {
		fmt.Fprintf(a.stdout, "%s\n  - %s\n  + %s\n", d.Part, partText(d.A), partText(d.B))
	}
	return a.diffMetrics(names, arts)
}

func partText(p *artifacts.Part) string {
	if p == nil {
		return "not there"
	}
	text := fmt.Sprintf("%s %s", p.Digest, bytesText(p.Size))
	if p.Rows > 0 {
		text += fmt.Sprintf(", %d rows", p.Rows)
	}
	return text
}

// diffParts merges two sorted lists of parts.
func diffParts(a, b *artifacts.Artifact) []partDiff {
	out := []partDiff{}
	x, y := a.Manifest.Parts, b.Manifest.Parts
	for len(x) > 0 || len(y) > 0 {
		switch {
		case len(y) == 0 || len(x) > 0 && x[0].Name < y[0].Name:
			out = append(out, partDiff{Part: x[0].Name, A: &x[0]})
			x = x[1:]
		case len(x) == 0 || y[0].Name < x[0].Name:
			out = append(out, partDiff{Part: y[0].Name, B: &y[0]})
			y = y[1:]
		default:
			if x[0].Digest != y[0].Digest {
				out = append(out, partDiff{Part: x[0].Name, A: &x[0], B: &y[0]})
			}
			x, y = x[1:], y[1:]
		}
	}
	return out
}

// diffMetrics sets two systems' scores side by side.
func (a *app) diffMetrics(names []string, arts [2]*artifacts.Artifact) error {
	for i, art := range arts {
		if art.Manifest.Type != "scores" {
			return nil
		}
		m, err := readMetrics(art)
		if err != nil {
			return err
		}
		for _, set := range m.Sets {
			r := set.SpeechToImage
			fmt.Fprintf(a.stdout, "%s %s: P@1 %s  P@5 %s  P@10 %s\n", names[i], set.Set, share(r.P1), share(r.P5), share(r.P10))
		}
	}
	return nil
}
