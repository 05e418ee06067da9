package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/matchmap"
	page "github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages"
	"github.com/hearsight/hearsight/stages/report"
	"github.com/hearsight/hearsight/stages/tts"
	"github.com/spf13/cobra"
)

func (a *app) reportCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "report",
		Short: "Write the page with scores, curves, examples and what was set aside",
		Long: "Writes one HTML file, readable offline, from all results of the spec that are there, with dates and durations from the journal.\n" +
			"A stage of kind report makes the same page as an artifact, without any clock.",
		Example: "  hearsight report\n  hearsight report -f demo.yaml -o demo.html",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.planned(c.Context(), pipeline.Selection{}, func(p *pipeline.Plan, s *artifacts.Store) error {
				return a.writeReport(c.Context(), p, s, out)
			})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "report.html", "where to write the page")
	return c
}

func (a *app) writeReport(ctx context.Context, p *pipeline.Plan, s *artifacts.Store, out string) error {
	src := sources(p)
	src.Words = wordsOf(p)
	content, err := report.Collect(ctx, src)
	if err != nil {
		return err
	}
	content.Title = "Hearsight: " + filepath.Base(a.file)
	text, err := os.ReadFile(a.file)
	if err != nil {
		return err
	}
	content.Spec = string(text)
	pipe, err := a.spec()
	if err != nil {
		return err
	}
	content.Versions = versions(pipe, p)
	last := lastRun(s)
	content.Run = runInfo(p, s, last)
	failed := failures(s, last)
	for _, x := range p.Actions {
		if reason := failed[x.Stage.Name]; reason != "" && x.Artifact == nil {
			content.Rejects = append(content.Rejects, page.Reject{Item: "the whole stage", Stage: x.Stage.Name, Reason: reason})
		}
	}
	w, err := atomicfile.Create(out, 0o644)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer w.Close()
	if err := page.Write(w, content); err != nil {
		return err
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	fmt.Fprintf(a.stdout, "wrote %s: %d scores, %d examples, %d items set aside\n", printable(out), len(content.Systems), len(content.Examples), len(content.Rejects))
	return nil
}

// sources sorts the results that are there by what they are.
func sources(p *pipeline.Plan) report.Sources {
	src := report.Sources{Examples: 6}
	for _, x := range p.Actions {
		if x.Artifact == nil {
			continue
		}
		switch x.Artifact.Manifest.Type {
		case "scores":
			src.Scores = append(src.Scores, x.Artifact)
		case "model":
			src.Models = append(src.Models, x.Artifact)
		case "pairs":
			src.Pairs = append(src.Pairs, x.Artifact)
		case "speech":
			src.Speech = append(src.Speech, x.Artifact)
		case "wav":
			src.WAV = append(src.WAV, x.Artifact)
		case "mfcc":
			src.MFCC = append(src.MFCC, x.Artifact)
		case "images":
			src.Images = append(src.Images, x.Artifact)
		case "features":
			src.Features = append(src.Features, x.Artifact)
		}
		src.Rejects = append(src.Rejects, x.Artifact)
	}
	return src
}

// wordsOf says when words are heard in clips that the plan's tts stages made.
func wordsOf(p *pipeline.Plan) func(context.Context, *artifacts.Artifact, table.Clip) ([]matchmap.Word, error) {
	return func(ctx context.Context, speech *artifacts.Artifact, clip table.Clip) ([]matchmap.Word, error) {
		for _, x := range p.Actions {
			if x.Artifact == nil || x.Artifact.Digest != speech.Digest || x.Stage.Kind != tts.Kind.Name {
				continue
			}
			words, err := wordTimes(ctx, x.Stage.Params, clip)
			if errors.Is(err, tts.ErrNoTimes) {
				return nil, nil
			}
			return words, err
		}
		return nil, nil
	}
}

// versions lists what the results depend on besides their inputs: this program,
// the spec's variables, the code of the kinds in use, the outside tools that
// stand in the keys.
func versions(spec *spec.Pipeline, p *pipeline.Plan) []page.Version {
	out := []page.Version{{Name: "hearsight", Value: version()}, {Name: "numeric", Value: kernel.Numeric()}}
	names := slices.Sorted(maps.Keys(spec.Vars))
	for _, name := range names {
		out = append(out, page.Version{Name: "variable " + name, Value: spec.Vars[name]})
	}
	used := map[string]bool{}
	var tools []page.Version
	for _, x := range p.Actions {
		used[x.Stage.Kind] = used[x.Stage.Kind] || x.Artifact != nil
		for line := range strings.Lines(x.Description) {
			rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "tool ")
			if !ok {
				continue
			}
			if v := toolVersion(rest); !slices.Contains(tools, v) {
				tools = append(tools, v)
			}
		}
	}
	for _, k := range stages.All {
		if used[k.Name] {
			out = append(out, page.Version{Name: "kind " + k.Name, Value: fmt.Sprint(k.Version)})
		}
	}
	return append(out, tools...)
}

// toolVersion reads what a description says of a tool: a name, quoted where it
// has blanks, and its version, quoted.
func toolVersion(text string) page.Version {
	name, err := strconv.QuotedPrefix(text)
	if err != nil {
		name, _, _ = strings.Cut(text, " ")
	}
	value := strings.TrimPrefix(strings.TrimPrefix(text, name), " ")
	if s, err := strconv.Unquote(name); err == nil {
		name = s
	}
	if s, err := strconv.Unquote(value); err == nil {
		value = s
	}
	return page.Version{Name: name, Value: value}
}

// runInfo says when each stage's result was made and how long it took, by the
// journals: the last run in which it ran counts.
func runInfo(p *pipeline.Plan, s *artifacts.Store, last *runStatus) *page.Run {
	if last == nil {
		return nil
	}
	run := &page.Run{ID: last.ID, Started: last.Started.Local(), Wall: time.Duration(last.Seconds * float64(time.Second))}
	finished := pipeline.LastTimes(s, len(s.Runs()))
	for _, x := range p.Actions {
		row := page.StageTime{Stage: x.Stage.Name, State: string(x.State)}
		if t, ok := finished[x.Stage.Name]; ok {
			row.Wall = t.Wall
			row.State += ", made " + t.Ended.Local().Format(time.DateTime)
		}
		if x.Artifact != nil {
			row.Items = x.Artifact.Manifest.Items
		}
		run.Stages = append(run.Stages, row)
	}
	return run
}
