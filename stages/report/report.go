// Package report makes the page that a run ends in: one HTML file with the
// table of scores beside the paper's, and what stands behind each score; training
// curves over each other, what the models cost, what there was to learn from, the
// best and the worst queries with photos, sound and matchmaps, what was set aside
// and how it was all made. Its size is bounded: large photos are made smaller, and
// clips and matchmaps are left out once they are too many bytes.
//
// As an artifact the page holds no clock, and nothing that an outside program has
// to be asked for. `hearsight report` makes the same page from the same artifacts
// by Collect and adds what the journal knows (dates, durations, the versions of
// outside tools), and words over the matchmaps where their synthesiser, asked once
// more, tells when they are heard.
package report

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind writes the report.
var Kind = stage.New(stage.Kind{
	Name:    "report",
	Doc:     "write scores, curves, examples and rejects as one HTML page",
	Version: 4,
	Inputs: []stage.Input{
		{Name: "scores", Doc: "the systems to show", Types: []string{"scores"}, Many: true},
		{Name: "models", Doc: "their models, for the curves and matchmaps", Types: []string{"model"}, Many: true, Optional: true},
		{Name: "pairs", Doc: "captions and photos, for the examples", Types: []string{"pairs"}, Optional: true},
		{Name: "wav", Doc: "clips, for the examples' sound", Types: []string{"wav"}, Optional: true},
		{Name: "mfcc", Doc: "what the models hear, for the examples' matchmaps", Types: []string{"mfcc"}, Optional: true},
		{Name: "images", Doc: "what they see, or what their feature maps are made of, for the same", Types: []string{"images"}, Optional: true},
		{Name: "features", Doc: "feature maps that they start from, for the same: each model takes its own", Types: []string{"features"}, Many: true, Optional: true},
		{Name: "speech", Doc: "clips as synthesised, for who speaks", Types: []string{"speech"}, Optional: true},
		{Name: "rejects", Doc: "stages whose rejected items are shown", Many: true, Optional: true},
	},
	Output:  "report",
	Numeric: true, // the matchmaps
}, Params{Title: "Hearsight", Examples: 6}, run)

// Params are the parameters of Kind.
type Params struct {
	Title    string `json:"title" doc:"heading of the page"`
	Spec     string `json:"spec" doc:"spec file to show on the page" path:"file"`
	Examples int    `json:"examples" doc:"best and worst queries shown, each" min:"0" max:"100"`
}

// page is the name of the report's only part.
const page = "report.html"

func run(ctx context.Context, t *stage.Task, p Params) error {
	in := Sources{
		Scores: t.Inputs["scores"], Models: t.Inputs["models"], Pairs: t.Inputs["pairs"], WAV: t.Inputs["wav"],
		MFCC: t.Inputs["mfcc"], Images: t.Inputs["images"], Features: t.Inputs["features"],
		Speech: t.Inputs["speech"], Rejects: t.Inputs["rejects"], Examples: p.Examples,
	}
	content, err := Collect(ctx, in)
	if err != nil {
		return err
	}
	content.Title = p.Title
	if path := t.Paths["spec"]; path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read spec: %w", err)
		}
		content.Spec = string(text)
	}
	return t.Write(ctx, page, "", func(w io.Writer) (int64, error) { return 0, report.Write(w, content) })
}
