package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/pipeline/local"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages"
	"github.com/hearsight/hearsight/stages/stage"
)

// likeOf is the stage whose inputs are made as the model's: itself, where it
// learns from them, or the one that --like names, or the only one there is.
func (a *app) likeOf(name, like string) (string, error) {
	p, err := a.spec()
	if err != nil {
		if isFolder(name) {
			return "", fmt.Errorf("%w (a model's files do not say how sound and photos become its input: a spec's stages do)", err)
		}
		return "", err
	}
	var all []string
	for i := range p.Stages {
		s := &p.Stages[i]
		hears := len(s.Inputs["mfcc"]) == 1 && len(s.Inputs["images"]) <= 1 && (len(s.Inputs["features"]) > 0) != (len(s.Inputs["images"]) > 0)
		switch {
		case hears && like == "" && s.Name == name:
			return name, nil
		case hears && like != "" && s.Name == like:
			return like, nil
		case hears && like == "" && slices.Contains(s.Inputs["model"], name):
			return s.Name, nil
		case hears && s.Kind == "train":
			all = append(all, s.Name)
		}
	}
	switch {
	case like != "":
		return "", usagef("--like %s: no stage of %s by that name has the inputs mfcc and features or images", like, a.file)
	case !isFolder(name) && !a.isStage(name):
		return "", usagef("%s is no stage of %s; a folder is told by a slash: %s/", name, a.file, name)
	case len(all) == 1:
		return all[0], nil
	case len(all) == 0:
		return "", usagef("no stage of %s takes sound and photos: a model's files do not say how they become its input; name a spec that does with -f", a.file)
	}
	return "", usagef("%s does not say how sound and photos become its input: --like names a stage that has the same, one of %s", name, strings.Join(all, ", "))
}

// A chain is the stages that make the input of a model, by what they make.
type chain struct {
	plan                        *pipeline.Plan
	kinds                       map[string]stage.Kind
	mfcc                        *spec.Stage   // what the model is given
	images                      []*spec.Stage // and this: photos, or the maps of one network each
	pairs, speech, wav, resized *spec.Stage   // what that is made of; nil: none
}

func newChain(p *pipeline.Plan, like string) (*chain, error) {
	c := &chain{plan: p, kinds: map[string]stage.Kind{}}
	for _, k := range stages.All {
		c.kinds[k.Name] = k
	}
	top := p.Action(like)
	if top == nil {
		return nil, usagef("no stage %q", like)
	}
	in := top.Stage.Inputs
	c.mfcc = p.Action(in["mfcc"][0]).Stage
	for _, name := range slices.Concat(in["features"], in["images"]) {
		c.images = append(c.images, p.Action(name).Stage)
	}
	first := func(from *spec.Stage, what string) *spec.Stage {
		for _, s := range c.before(from) {
			if c.kinds[s.Kind].Output == what {
				return s
			}
		}
		return nil
	}
	c.wav, c.speech, c.resized = first(c.mfcc, "wav"), first(c.mfcc, "speech"), first(c.images[0], "images")
	c.pairs = first(c.images[0], "pairs")
	if c.wav == nil || c.resized == nil || c.pairs == nil {
		return nil, usagef("the inputs of %s do not come from a data set's photos and clips", like)
	}
	return c, nil
}

// before are a stage and all that it is made of, nearest first.
func (c *chain) before(s *spec.Stage) []*spec.Stage {
	out := []*spec.Stage{s}
	for i := 0; i < len(out); i++ {
		for _, port := range slices.Sorted(maps.Keys(out[i].Inputs)) {
			for _, name := range out[i].Inputs[port] {
				if d := c.plan.Action(name); d != nil && !slices.Contains(out, d.Stage) {
					out = append(out, d.Stage)
				}
			}
		}
	}
	return out
}

// Names in the pipeline of one pair.
const (
	pairStage = "the pair given"
	pairPhoto = "photo"
	pairID    = "photo#0"
)

// A given is a pair that is not the run's own.
type given struct {
	photo          []byte
	caption, audio string // audio is a file
	sound, image   bool   // which of the two is to be made
}

// through runs the chain's stages on the pair and hands over what they made: the
// run's own results stay as they are.
func (a *app) through(ctx context.Context, c *chain, f matchmapFlags, g given, use func(source) error) (err error) {
	dir, err := os.MkdirTemp("", "hearsight-matchmap-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := g.lay(dir); err != nil {
		return err
	}
	p := &spec.Pipeline{Path: a.file}
	p.Stages = append(p.Stages, spec.Stage{
		Name: pairStage, Base: pairStage, Kind: "corpus", Inputs: map[string][]string{}, MaxRejects: none,
		Params: map[string]any{"table": filepath.Join(dir, "pair.csv"), "root": filepath.Join(dir, "files"), "split": "test"},
	})
	var targets []string
	var wanted []*spec.Stage
	if g.sound {
		wanted = append(wanted, c.mfcc)
	}
	if g.image {
		wanted = append(wanted, c.images...)
	}
	for _, s := range wanted {
		targets = append(targets, s.Name)
		if err := c.copyTo(p, s, g, f); err != nil {
			return err
		}
	}
	s, err := artifacts.Open(filepath.Join(dir, "store"), artifacts.Options{OnDamage: a.sayDamage})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	e, err := pipeline.New(p, stages.All, s, pipeline.Options{
		Numeric: kernel.Numeric(), Dir: filepath.Dir(a.file), Version: version(), Events: a.warn,
	})
	if err != nil {
		return err
	}
	plan, err := e.Plan(ctx, pipeline.Selection{Targets: targets})
	if err != nil {
		return err
	}
	if err := a.blocked(plan); err != nil {
		return err
	}
	if _, err := e.Run(ctx, plan, local.New(local.Options{CPUs: runtime.GOMAXPROCS(0)})); err != nil {
		return rejectReason(err)
	}
	if plan, err = e.Plan(ctx, pipeline.Selection{Targets: targets}); err != nil {
		return err
	}
	return use(func(s *spec.Stage) (*artifacts.Artifact, error) {
		if plan.Action(s.Name) == nil {
			return result(plan, pairStage)
		}
		return result(plan, s.Name)
	})
}

// none is that nothing may be set aside.
var none = spec.MaxRejects{Given: true, IsCnt: true}

// warn passes on what stages warn of.
func (a *app) warn(ev pipeline.Event) {
	if ev.Type == pipeline.Message && ev.Warning {
		fmt.Fprintf(a.stderr, "warning: %s: %s\n", printable(ev.Stage), printable(ev.Reason))
	}
}

// lay writes the pair as a corpus.
func (g given) lay(dir string) error {
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(files, pairPhoto), g.photo, 0o600); err != nil {
		return err
	}
	head, row := []string{"id", "photo_id", "image"}, []string{pairID, pairPhoto, pairPhoto}
	if g.caption != "" {
		head, row = append(head, "caption"), append(row, g.caption)
	}
	if g.audio != "" {
		data, err := os.ReadFile(g.audio)
		if err != nil {
			return err
		}
		name := "sound" + strings.ToLower(filepath.Ext(g.audio))
		if err := os.WriteFile(filepath.Join(files, name), data, 0o600); err != nil {
			return err
		}
		head, row = append(head, "audio"), append(row, name)
	}
	w, err := os.Create(filepath.Join(dir, "pair.csv"))
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	err = out.WriteAll([][]string{head, row})
	return errors.Join(err, w.Close())
}

// copyTo adds a stage and all before it to p, in the order that they are made,
// with the pair in place of data sets and, where there is a recording, of speech.
func (c *chain) copyTo(p *spec.Pipeline, s *spec.Stage, g given, f matchmapFlags) error {
	if slices.ContainsFunc(p.Stages, func(x spec.Stage) bool { return x.Name == s.Name }) {
		return nil
	}
	if s.Kind == "cmvn" {
		return usagef("stage %s normalises by all clips of its corpus, of which a new one is none: use --id, or a model with normalize: corpus", s.Name)
	}
	out := *s
	out.Shards, out.MaxRejects, out.Params, out.Inputs = 1, none, maps.Clone(s.Params), map[string][]string{}
	if c.kinds[s.Kind].Items() == nil {
		out.Shards = 0
	}
	for port, names := range s.Inputs {
		for _, name := range names {
			d := c.plan.Action(name).Stage
			if kind := c.kinds[d.Kind].Output; kind == "pairs" || kind == "speech" && g.audio != "" {
				name = pairStage
			} else if err := c.copyTo(p, d, g, f); err != nil {
				return err
			}
			out.Inputs[port] = append(out.Inputs[port], name)
		}
	}
	if out.Params == nil {
		out.Params = map[string]any{}
	}
	if s.Kind == "tts" {
		out.Params = withVoice(out.Params, f.voice)
	}
	if s.Kind == "features" && f.weights != "" {
		path, err := filepath.Abs(f.weights)
		if err != nil {
			return err
		}
		out.Params["weights"] = path
	}
	p.Stages = append(p.Stages, out)
	return nil
}

// withVoice is parameters of tts with one voice in place of theirs, if there is one.
func withVoice(params map[string]any, voice string) map[string]any {
	if voice == "" {
		return params
	}
	out := maps.Clone(params)
	if out == nil {
		out = map[string]any{}
	}
	out["voice"], out["voices"] = voice, []any{}
	return out
}

// rejectReason is why a stage set the pair aside.
func rejectReason(err error) error {
	var limit *pipeline.RejectLimitError
	if errors.As(err, &limit) && len(limit.Rejects) > 0 {
		return fmt.Errorf("%s: %s", limit.Stage, limit.Rejects[0].Reason)
	}
	return err
}
