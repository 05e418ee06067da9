package train

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// TestAugmentation: each kind of change gives another model, by the seed; cores
// and an interruption in the middle of an epoch change nothing.
func TestAugmentation(t *testing.T) {
	s := stagetest.Store(t)
	in := newSet().ports(t, s)
	seen := map[artifacts.Digest]string{stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: tiny(nil)}).Artifact.Digest: "none"}
	for name, more := range map[string]map[string]any{
		"flip": {"flip": .5}, "crop": {"crop": .5}, "brightness": {"brightness": .4}, "contrast": {"contrast": .4}, "saturation": {"saturation": .4},
	} {
		got := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: tiny(more)}).Artifact.Digest
		if as := seen[got]; as != "" {
			t.Errorf("%s gives the model of %s", name, as)
		}
		seen[got] = name
	}
	o := stagetest.Options{Store: s, Inputs: in, Params: tiny(map[string]any{"flip": .5, "crop": .5, "brightness": .4, "contrast": .4, "saturation": .4})}
	first := stagetest.MustRun(t, Kind, o)
	if m := loadModel(t, first.Artifact); !slices.Contains(m.Notes, model.KeyString{Key: "augmentation", Value: "flip 0.5, crop 0.5, brightness 0.4, contrast 0.4, saturation 0.4"}) {
		t.Errorf("notes %v do not say it", m.Notes)
	}
	for _, procs := range []int{1, 4} {
		before := runtime.GOMAXPROCS(procs)
		again := stagetest.MustRun(t, Kind, o)
		runtime.GOMAXPROCS(before)
		if again.Artifact.Digest != first.Artifact.Digest {
			t.Errorf("%d cores: another artifact", procs)
		}
	}
	for _, at := range []int64{1, 7, 19} { // an epoch has three steps
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		kept := func(stop int64) stage.Kind {
			return with(func(k *stage.Task) {
				k.Dir = dir
				k.Report = func(p stage.Progress) {
					if p.Done == stop {
						cancel()
					}
				}
			})
		}
		o.Context = ctx
		if _, err := stagetest.Run(t, kept(at), o); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at step %d: %v", at, err)
		}
		o.Context = nil
		if r := stagetest.MustRun(t, kept(-1), o); r.Artifact.Digest != first.Artifact.Digest {
			t.Errorf("stopped at step %d and gone on: another artifact", at)
		}
		less := o
		less.Params = tiny(map[string]any{"flip": .5})
		if r := stagetest.MustRun(t, with(func(k *stage.Task) { k.Dir = dir }), less); !slices.ContainsFunc(r.Warnings(), func(w string) bool { return strings.Contains(w, "of another run") }) {
			t.Error("a checkpoint of another augmentation is taken")
		}
	}
}

func TestCheckAugmentation(t *testing.T) {
	for name, c := range map[string]struct {
		params map[string]any
		want   string
	}{
		"small":       {tiny(map[string]any{"flip": 1, "crop": .01}), ""},
		"all":         {map[string]any{"image": "vgg16", "finetune": "all", "weights": "w", "saturation": .1}, ""},
		"head":        {map[string]any{"flip": .5, "crop": .9}, "crop"},
		"conv5":       {map[string]any{"image": "vgg16", "finetune": "conv5", "weights": "w", "contrast": .5}, "contrast"},
		"none at all": {map[string]any{"flip": 0, "crop": 1}, ""},
	} {
		got := ""
		for _, p := range Kind.Spec().Check(c.params) {
			got += p.Param
		}
		if got != c.want {
			t.Errorf("%s: problems with %q, want %q", name, got, c.want)
		}
	}
}
