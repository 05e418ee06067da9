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
		Use:   "report [DIGEST...]",
		Short: "Write the page with scores, curves, examples and what was set aside",
		Long: "Writes one HTML file, readable offline, from all results of the spec that are there, with dates and durations from the journal.\n" +
			"A stage of kind report makes the same page as an artifact, without any clock.\n\n" +
			"With digests, as `hearsight digest` prints them, the page shows the scores and models that they name in the place of the spec's: those of other settings, or other specs, on the same store.",
		Example: "  hearsight report\n  hearsight report -f demo.yaml -o demo.html\n" +
			"  hearsight digest scores model --set steps=500     for the digests of another setting\n" +
			"  hearsight report DIGEST DIGEST",
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			var digests []artifacts.Digest
			for _, arg := range args {
				d, err := artifacts.ParseDigest(arg)
				if err != nil {
					return usagef("%w: `hearsight digest` prints those of scores and models", err)
				}
				if !slices.Contains(digests, d) {
					digests = append(digests, d)
				}
			}
			return a.planned(c.Context(), pipeline.Selection{}, func(p *pipeline.Plan, s *artifacts.Store) error {
				given, err := learntOf(s, digests)
				if err != nil {
					return err
				}
				return a.writeReport(c.Context(), p, s, given, out)
			})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "report.html", "where to write the page")
	return c
}

// learntOf are the scores and models of these digests.
func learntOf(s *artifacts.Store, digests []artifacts.Digest) (out []*artifacts.Artifact, err error) {
	for _, d := range digests {
		art, err := s.Artifact(d)
		switch {
		case errors.Is(err, artifacts.ErrNotFound):
			return nil, fmt.Errorf("%s is not in the store %s: --store names another", d, s.Dir())
		case err != nil:
			return nil, err
		case !learnt(art):
			return nil, usagef("%s is of type %s: the page takes scores and models by their digests, and all else from the spec", d, art.Manifest.Type)
		}
		out = append(out, art)
	}
	return out, nil
}

// writeReport writes the page of the plan's results; where scores and models are
// given, of those in the place of the plan's.
func (a *app) writeReport(ctx context.Context, p *pipeline.Plan, s *artifacts.Store, given []*artifacts.Artifact, out string) error {
	src := sources(p, given)
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
	if content.Run, err = runInfo(p, s, last, given); err != nil {
		return err
	}
	if len(given) > 0 { // what is shown need not have the values that variables have now
		content.Versions = slices.DeleteFunc(content.Versions, func(v page.Version) bool { return strings.HasPrefix(v.Name, "variable ") })
	}
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

// sources sorts the results that are there by what they are, those given in the
// place of the plan's scores and models.
func sources(p *pipeline.Plan, given []*artifacts.Artifact) report.Sources {
	src := report.Sources{Examples: 6}
	arts := slices.Clone(given)
	for _, x := range p.Actions {
		if x.Artifact != nil && (len(given) == 0 || !learnt(x.Artifact)) {
			arts = append(arts, x.Artifact)
		}
	}
	for _, art := range arts {
		switch art.Manifest.Type {
		case "scores":
			src.Scores = append(src.Scores, art)
		case "model":
			src.Models = append(src.Models, art)
		case "pairs":
			src.Pairs = append(src.Pairs, art)
		case "speech":
			src.Speech = append(src.Speech, art)
		case "wav":
			src.WAV = append(src.WAV, art)
		case "mfcc":
			src.MFCC = append(src.MFCC, art)
		case "images":
			src.Images = append(src.Images, art)
		case "features":
			src.Features = append(src.Features, art)
		}
		src.Rejects = append(src.Rejects, art)
	}
	return src
}

// learnt reports whether an artifact is of those that are shown by their digests.
func learnt(art *artifacts.Artifact) bool {
	return art.Manifest.Type == "scores" || art.Manifest.Type == "model"
}

// wordsOf says when words are heard in clips that the plan's tts stages made.
func wordsOf(p *pipeline.Plan) func(context.Context, *artifacts.Artifact, table.Clip) ([]matchmap.Word, error) {
	return func(ctx context.Context, speech *artifacts.Artifact, clip table.Clip) ([]matchmap.Word, error) {
		for _, x := range p.Actions {
			if x.Artifact == nil || x.Artifact.Digest != speech.Digest || x.Stage.Kind != tts.Kind.Name {
				continue
			}
			words, err := wordTimes(ctx, x.Stage.Params, clip)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil { // a page is not given up for the words above a map
				return nil, nil
			}
			return words, nil
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
// journals: the last run in which it ran counts, and for what is given by its
// digest the run that it came from.
func runInfo(p *pipeline.Plan, s *artifacts.Store, last *runStatus, given []*artifacts.Artifact) (*page.Run, error) {
	if last == nil {
		return nil, nil
	}
	run := &page.Run{ID: last.ID, Started: last.Started.Local(), Wall: time.Duration(last.Seconds * float64(time.Second))}
	finished := pipeline.LastTimes(s, len(s.Runs()))
	for _, x := range p.Actions {
		if len(given) > 0 && (x.Artifact == nil || learnt(x.Artifact)) {
			continue
		}
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
	if len(given) == 0 {
		return run, nil
	}
	journals, err := pipeline.ReadJournals(s.Dir())
	if err != nil {
		return nil, err
	}
	for _, art := range given {
		if ev := finishedAs(journals, art.Digest); ev != nil {
			run.Stages = append(run.Stages, page.StageTime{
				Stage: ev.Stage, State: "given, made " + ev.Time.Local().Format(time.DateTime), Items: art.Manifest.Items,
				Wall: time.Duration(ev.Seconds * float64(time.Second)),
			})
		}
	}
	return run, nil
}

// finishedAs is the first end of a stage with the artifact of this digest; nil:
// the journals do not have it.
func finishedAs(journals []pipeline.RunJournal, digest artifacts.Digest) *pipeline.Event {
	for _, j := range journals {
		for _, ev := range j.Events {
			if ev.Type == pipeline.StageFinished && ev.Digest == digest.String() {
				return &ev
			}
		}
	}
	return nil
}
