package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/matchmap"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/spec"
	modelstage "github.com/hearsight/hearsight/stages/model"
	"github.com/spf13/cobra"
)

// matchmapFlags are the flags of `matchmap`.
type matchmapFlags struct {
	id, photo, caption, audio string
	like, weights, voice      string
	out                       string
	force                     bool
}

func (a *app) matchmapCommand() *cobra.Command {
	var f matchmapFlags
	c := &cobra.Command{
		Use:   "matchmap MODEL",
		Short: "Draw how well each place of a photo matches each moment of a caption's sound",
		Long: "Draws the matchmap of a pair: matchmap.png, the photo under the matches step by step with the words above; matchmap-animated.png, the same in time with the sound (an animated PNG);\n" +
			"matchmap.wav, the sound; and matchmap.json, all numbers. MODEL is a stage of the spec, or a folder that `hearsight export` wrote (told by a slash).\n\n" +
			"The pair is one of the run's own data (--id), or what of it is given: --photo a file, --caption words, spoken as the run's tts stage does, --audio a recording.\n" +
			"These go through the same stages as the model's data did, in a store of their own that is gone afterwards. A model in a folder, or of a stage of kind model,\n" +
			"does not say which: --like names a stage, of kind train or eval, whose inputs are made as this model's were.",
		Example: "  hearsight matchmap model -f demo.yaml --id 'validation-00000#0'\n" +
			"  hearsight matchmap model -f demo.yaml --id 'validation-00000#0' --caption 'a red circle'    the same photo, other words\n" +
			"  hearsight matchmap model@VGG16_5 --photo dog.jpg --caption 'a dog runs along the beach' --out dog/\n" +
			"  hearsight matchmap model@VGG16_5 --photo dog.jpg --audio dog.mp3 --weights vgg16_conv_fp16.safetensors\n" +
			"  hearsight matchmap theirs/ --like model@VGG16_5 --photo dog.jpg --caption 'a dog' --json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.matchmap(c.Context(), args[0], f)
		},
	}
	c.Flags().StringVar(&f.id, "id", "", "the caption with this `ID` of the run's own data, and its photo")
	c.Flags().StringVar(&f.photo, "photo", "", "a photo `FILE`: JPEG, PNG, GIF, WebP, BMP, TIFF")
	c.Flags().StringVar(&f.caption, "caption", "", "`WORDS` to speak")
	c.Flags().StringVar(&f.audio, "audio", "", "a recording `FILE` in place of spoken words")
	c.Flags().StringVar(&f.voice, "voice", "", "`VOICE` that speaks --caption (default: drawn as the tts stage says)")
	c.Flags().StringVar(&f.like, "like", "", "`STAGE` whose inputs are made as the model's were")
	c.Flags().StringVar(&f.weights, "weights", "", "`PATH` of the weights of the network that makes feature maps, if it is not the spec's")
	c.Flags().StringVar(&f.out, "out", "matchmap", "`FOLDER` to write to")
	c.Flags().BoolVar(&f.force, "force", false, "write over what an earlier call wrote")
	return c
}

// check finds flags that do not go together.
func (f *matchmapFlags) check() error {
	switch {
	case f.caption != "" && f.audio != "":
		return usagef("--caption is spoken and --audio is heard: give one of them")
	case f.voice != "" && f.caption == "":
		return usagef("--voice speaks --caption, which is not given")
	case f.weights != "" && f.photo == "":
		return usagef("--weights makes the feature maps of --photo, which is not given: those of the run's own photos are there already")
	case f.id == "" && f.photo == "" && f.caption == "" && f.audio == "":
		return usagef("of what pair? --id names one of the run's own; or give --photo FILE with --caption WORDS or --audio FILE")
	case f.id == "" && f.photo == "":
		return usagef("no photo: give --photo FILE, or --id ID for one of the run's own")
	case f.id == "" && f.caption == "" && f.audio == "":
		return usagef("no sound: give --caption WORDS or --audio FILE, or --id ID for one of the run's own")
	}
	if f.force {
		return nil
	}
	for _, name := range matchmapFiles {
		if _, err := os.Lstat(filepath.Join(f.out, name)); err == nil {
			return usagef("%s is there already: --out names another folder, --force writes over it", filepath.Join(f.out, name))
		}
	}
	return nil
}

// matchmapFiles is what the command writes.
var matchmapFiles = []string{"matchmap.png", "matchmap-animated.png", "matchmap.wav", "matchmap.json"}

func (a *app) matchmap(ctx context.Context, name string, f matchmapFlags) error {
	like, err := a.likeOf(name, f.like)
	if err != nil {
		return err
	}
	targets := []string{like}
	if !isFolder(name) && name != like {
		targets = append(targets, name)
	}
	return a.planned(ctx, pipeline.Selection{Targets: targets}, func(p *pipeline.Plan, _ *artifacts.Store) error {
		c, err := newChain(p, like)
		if err != nil {
			return err
		}
		if f.weights != "" && !slices.ContainsFunc(c.images, func(s *spec.Stage) bool { return s.Kind == "features" }) {
			return usagef("--weights: no stage makes feature maps of photos for %s", name)
		}
		var m *model.Model[float32]
		if isFolder(name) {
			m, err = modelstage.Open(name)
		} else {
			m, err = modelOf(p, name)
		}
		if err != nil {
			return err
		}
		pair, err := a.pairOf(ctx, c, f)
		if err != nil {
			return err
		}
		fig, err := pair.figure(m)
		if err != nil {
			return err
		}
		fig.About = strings.TrimSpace(name + "   " + pair.name)
		return a.writeMatchmap(fig, pair, name, f.out)
	})
}

// modelOf loads the model that a stage made.
func modelOf(p *pipeline.Plan, stage string) (*model.Model[float32], error) {
	art, err := result(p, stage)
	if err != nil {
		return nil, err
	}
	if art.Manifest.Type != "model" {
		return nil, usagef("%s is of type %s, not a model", stage, art.Manifest.Type)
	}
	m, err := dataset.LoadModel(art)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stage, err)
	}
	return m, nil
}

// A matchmapJSON is the numbers of a matchmap: matchmap.json, and, but for the
// matches themselves, what --json prints.
type matchmapJSON struct {
	Model      string          `json:"model"`
	Caption    string          `json:"caption"`
	Photo      string          `json:"photo"` // id or file
	Similarity string          `json:"similarity"`
	Score      float64         `json:"score"`
	Seconds    float64         `json:"seconds"`
	Height     int             `json:"height"` // places
	Width      int             `json:"width"`
	Steps      int             `json:"steps"`
	X          matchmap.Axis   `json:"x"` // of the places' middles: shares of the photo's width
	Y          matchmap.Axis   `json:"y"`
	Time       matchmap.Axis   `json:"time"` // of the steps' middles, in seconds
	Peak       matchmap.Peak   `json:"peak"`
	Words      []matchmap.Word `json:"words"`
	NoWords    string          `json:"no_words,omitempty"` // why there are none
	ByStep     []matchmap.Peak `json:"by_step"`
	Matches    []float32       `json:"matches,omitempty"` // [height][width][steps]
}

func (a *app) writeMatchmap(fig *matchmap.Figure, pair *drawnPair, name, out string) error {
	m := fig.Map
	j := matchmapJSON{
		Model: name, Caption: fig.Caption, Photo: pair.photoName, Similarity: m.Similarity, Score: m.Score, Seconds: fig.Seconds,
		Height: m.Height, Width: m.Width, Steps: m.Steps, X: m.X, Y: m.Y, Time: m.Time, Peak: m.Peak(0, m.Steps),
		Words: fig.Words, NoWords: pair.noWords, Matches: m.M,
	}
	for s := range m.Steps {
		j.ByStep = append(j.ByStep, m.Peak(s, s+1))
	}
	writers := map[string]func(io.Writer) error{
		"matchmap.png":          fig.Strip,
		"matchmap-animated.png": fig.Animate,
		"matchmap.wav":          func(w io.Writer) error { _, err := w.Write(pair.wav); return err },
		"matchmap.json":         func(w io.Writer) error { return json.NewEncoder(w).Encode(j) },
	}
	for _, file := range matchmapFiles {
		if err := writeWith(filepath.Join(out, file), writers[file]); err != nil {
			return fmt.Errorf("write matchmap: %w", err)
		}
	}
	if a.json {
		j.Matches = nil
		return a.printJSON(j)
	}
	k := j.Peak
	fmt.Fprintf(a.stdout, "%s %.4g of %s and %q: %d x %d places, %d steps of %.3g s\n", m.Similarity, m.Score, printable(pair.photoName), printable(fig.Caption), m.Height, m.Width, m.Steps, m.Time.Step)
	fmt.Fprintf(a.stdout, "largest match %.4g at %.2f s, %.0f %% from the left and %.0f %% from the top%s\n", k.Value, k.Sec, 100*k.X, 100*k.Y, wordAt(fig.Words, k.Sec))
	if pair.noWords != "" {
		fmt.Fprintf(a.stdout, "without words: %s\n", printable(pair.noWords))
	}
	fmt.Fprintf(a.stdout, "wrote %s in %s\n", strings.Join(matchmapFiles, ", "), printable(out))
	return nil
}

// wordAt says which word is heard at a time.
func wordAt(words []matchmap.Word, sec float64) string {
	for _, w := range words {
		if w.Start <= sec && sec < w.End {
			return fmt.Sprintf(", while %q is heard", w.Text)
		}
	}
	return ""
}

// figure computes the pair's matchmap and puts the figure together.
func (h *drawnPair) figure(m *model.Model[float32]) (*matchmap.Figure, error) {
	h.image.shape.Coeffs = int(h.mfcc.NCoeffs)
	if err := h.image.shape.Fits(&m.Spec); err != nil {
		return nil, usagef("%w: --like or -f names stages that made its input", err)
	}
	mm, err := matchmap.Compute(m, h.image.values, h.mfcc.Features, matchmap.SensesOf(h.image.shape, h.image.fromHeight, h.image.fromWidth, h.mfcc))
	if err != nil {
		return nil, err
	}
	fig := &matchmap.Figure{Map: mm, Photo: h.shown, Caption: h.caption, Words: h.words}
	samples, rateHz, err := audio.ReadPCM16(h.wav)
	if err != nil {
		return nil, err
	}
	if rateHz < 1 {
		return nil, errors.New("matchmap: a clip without a sample rate")
	}
	fig.Samples, fig.Seconds = audio.FromPCM16(samples), float64(len(samples))/float64(rateHz)
	return fig, nil
}
