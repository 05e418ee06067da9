package train

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// recipe is every part of our own recipe at a size that trains in a blink.
func recipe(more map[string]any) map[string]any {
	p := map[string]any{
		"image": "mlp", "audio": "conv4", "frames": 64, "length": "true", "batching": "longest", "normalize": "coefficients", "normalize_features": "corpus",
		"similarity": "attention", "embed": 16, "image_dropout": .2, "audio_dropout": .2, "loss": "infonce", "temperature": .07,
		"sampler": "photos", "sort_batches": 2, "drop_frames": 3, "time_masks": 2, "mask_frames": 5, "places": 3, "speed": .1, "noise": .05,
		"optimizer": "adamw", "beta1": .9, "beta2": .98, "weight_decay": .1, "decay_of": "matrices", "average": .9, "keep": "best",
		"batch": 4, "steps": 12, "learning_rate": 3e-3, "schedule": "cosine", "warmup": .1, "log_steps": 1, "validate_steps": 4, "seed": 3,
	}
	maps.Copy(p, more)
	return p
}

// withFeatures are the ports of d's photos as feature maps.
func (d set) withFeatures(t *testing.T, s *artifacts.Store) ports {
	in := d.ports(t, s)
	delete(in, "images")
	in["features"] = []*artifacts.Artifact{stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps("vgg16", "conv5_3"), d.features()...))}
	return in
}

// TestRecipe: what is in the model, and that it goes on from where it was stopped.
func TestRecipe(t *testing.T) {
	s := stagetest.Store(t)
	o := stagetest.Options{Store: s, Inputs: newSet().withFeatures(t, s), Params: recipe(nil)}
	first := stagetest.MustRun(t, Kind, o)
	m := loadModel(t, first.Artifact)
	for _, n := range []model.KeyString{
		{Key: "similarity", Value: "attention x 1"}, {Key: "kept", Value: "mean of the weights, decay 0.9, the best on validation"},
		{Key: "regularisation", Value: "dropout 0.2 image, 0.2 audio, up to 3 frames off the front, speed up to 0.1, noise 0.05, 2 masks of up to 5 frames, 3 places"},
		{Key: "optimizer", Value: "AdamW 0.9/0.98, rate 0.003, cosine, weight decay 0.1 of matrices"},
		{Key: "sampler", Value: "a photo once an epoch, sorted by 2 minibatches"}, {Key: "feature maps", Value: "normalize corpus"},
	} {
		if !slices.Contains(m.Notes, n) {
			t.Errorf("notes %v lack %v", m.Notes, n)
		}
	}
	if m.MapNorm == nil || len(m.AudioNorm.Stds) != coeffs || m.Image.Out() != 16 || m.Audio.Out() != 16 {
		t.Errorf("the model is %+v", m.Spec)
	}
	for _, at := range []int64{1, 6, 11} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		o.Context = ctx
		stopping := with(func(k *stage.Task) {
			k.Dir = dir
			tell := k.Report
			k.Report = func(p stage.Progress) {
				if tell(p); p.Done == at {
					cancel()
				}
			}
		})
		if _, err := stagetest.Run(t, stopping, o); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at %d: %v", at, err)
		}
		o.Context = context.Background()
		if r := stagetest.MustRun(t, with(func(k *stage.Task) { k.Dir = dir }), o); r.Artifact.Digest != first.Artifact.Digest {
			t.Errorf("stopped at %d and resumed: another artifact", at)
		}
	}
}

// TestMirrored: with maps of mirror images flip gives another model, the same one
// after an interruption; one without the other is refused. Maps of two networks
// make a model of both.
func TestMirrored(t *testing.T) {
	s := stagetest.Store(t)
	set := newSet()
	in := set.withFeatures(t, s)
	mirror := set.features()
	for _, m := range mirror {
		c := int(m.Channels)
		for place := 0; place < 4; place += 2 {
			left, right := m.Half[place*c:][:c], m.Half[(place+1)*c:][:c]
			for k := range left {
				left[k], right[k] = right[k], left[k]
			}
		}
	}
	mirrored := stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps("vgg16", "conv5_3, mirrored"), mirror...))
	// small places of a head 3 wide see left and right
	params := map[string]any{"image": "head", "head_kernel": 3, "audio": "conv5", "frames": 64, "batch": 4, "steps": 8, "learning_rate": 1e-3, "log_steps": 1, "seed": 3}
	o := stagetest.Options{Store: s, Inputs: in, Params: params}
	plain := stagetest.MustRun(t, Kind, o)
	params["flip"] = .5
	if _, err := stagetest.Run(t, Kind, o); err == nil || !strings.Contains(err.Error(), "give port mirrored") {
		t.Errorf("flip without mirror images: %v", err)
	}
	in["mirrored"] = []*artifacts.Artifact{mirrored}
	first := stagetest.MustRun(t, Kind, o)
	weights := func(r stagetest.Result) string { // model.json names flip
		return string(stagetest.Bytes(t, r.Artifact, "model.safetensors"))
	}
	if weights(first) == weights(plain) {
		t.Error("mirror images make no difference")
	}
	maps := func(of []table.FeatureMap) []*artifacts.Artifact {
		return []*artifacts.Artifact{stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps("vgg16", "conv5_3, mirrored"), of...))}
	}
	in["mirrored"] = maps(mirror[:12]) // of the training photos
	if weights(stagetest.MustRun(t, Kind, o)) != weights(first) {
		t.Error("mirror images of photos that are not learnt from make a difference")
	}
	in["mirrored"] = maps(mirror[1:])
	if _, err := stagetest.Run(t, Kind, o); err == nil || !strings.Contains(err.Error(), "mirrored: there is no mirror image of p00") {
		t.Errorf("a training photo without a mirror image: %v", err)
	}
	in["mirrored"] = []*artifacts.Artifact{mirrored}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	o.Context = ctx
	stopping := with(func(k *stage.Task) {
		k.Dir = dir
		k.Report = func(p stage.Progress) {
			if p.Done == 5 {
				cancel()
			}
		}
	})
	if _, err := stagetest.Run(t, stopping, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	o.Context = context.Background()
	if r := stagetest.MustRun(t, with(func(k *stage.Task) { k.Dir = dir }), o); r.Artifact.Digest != first.Artifact.Digest {
		t.Error("stopped and resumed: another artifact")
	}
	params["flip"] = 0
	if _, err := stagetest.Run(t, Kind, o); err == nil || !strings.Contains(err.Error(), "flip says how often") {
		t.Errorf("mirror images without flip: %v", err)
	}
	in["features"], in["mirrored"] = append(in["features"], in["features"][0]), nil
	o.Params = recipe(nil)
	if m := loadModel(t, stagetest.MustRun(t, Kind, o).Artifact); m.Image.In != 16 || len(m.MapNorm.Stds) != 16 {
		t.Errorf("of two networks: %d channels, norm %+v", m.Image.In, m.MapNorm)
	}
}

// TestFrom: a run may start from a model, whose values and norms it takes.
func TestFrom(t *testing.T) {
	s := stagetest.Store(t)
	in := newSet().withFeatures(t, s)
	old := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: recipe(nil)}).Artifact
	other := newSet()
	for i := range other.clips { // other sound: other norms, if they were taken of it
		other.clips[i].Features = slices.Clone(other.clips[i].Features)
		for k := range other.clips[i].Features {
			other.clips[i].Features[k] += float32(k % 3)
		}
		other.clips[i].SHA256 = table.SumFloats(other.clips[i].Features)
	}
	in = other.withFeatures(t, s)
	in["from"] = []*artifacts.Artifact{old}
	told := ""
	kind := with(func(k *stage.Task) {
		tell := k.Report
		k.Report = func(p stage.Progress) { told += p.Message + "\n"; tell(p) }
	})
	same := stagetest.MustRun(t, kind, stagetest.Options{Store: s, Inputs: in, Params: recipe(map[string]any{"untrained": true, "average": 0, "keep": "last"})})
	a, b := loadModel(t, old), loadModel(t, same.Artifact)
	for i, p := range a.Params() {
		if !slices.Equal(p.W, b.Params()[i].W) {
			t.Errorf("%s is not the old model's", p.Name)
		}
	}
	if !slices.Equal(a.Stats()[0].Var, b.Stats()[0].Var) || !slices.Equal(a.AudioNorm.Mean, b.AudioNorm.Mean) || !slices.Equal(a.MapNorm.Mean, b.MapNorm.Mean) {
		t.Error("statistics or norms are not the old model's")
	}
	if !strings.Contains(told, "starts from a model: all its 30 tensors") {
		t.Errorf("it says %q", told)
	}
	// Another size of the last layer: that one starts anew.
	told = ""
	part := stagetest.MustRun(t, kind, stagetest.Options{Store: s, Inputs: in, Params: recipe(map[string]any{"embed": 8})})
	if want := "26 of 30 tensors; anew: audio.embed.bias, audio.embed.weight, image.embed.bias, image.embed.weight"; !strings.Contains(told, want) {
		t.Errorf("it says %q, want %q", told, want)
	}
	if fresh := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: other.withFeatures(t, s), Params: recipe(map[string]any{"embed": 8})}); fresh.Artifact.Digest == part.Artifact.Digest {
		t.Error("what it starts from changes nothing")
	}
	_, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: recipe(map[string]any{"image": "head", "audio": "lstm", "head_kernel": 1, "hidden": 8, "similarity": "misa", "embed": 0})})
	if err == nil || !strings.Contains(err.Error(), "from: none of the 14 tensors fits") {
		t.Errorf("from a model of other towers: %v", err)
	}
	// A model that saw its input as it is must not get another.
	bare := map[string]any{"untrained": true, "average": 0, "keep": "last", "normalize": "none"}
	delete(in, "from")
	plain := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: recipe(bare)}).Artifact
	in["from"] = []*artifacts.Artifact{plain}
	if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: recipe(nil)}); err == nil || !strings.Contains(err.Error(), "takes its frames as they are") {
		t.Errorf("from a model without a norm: %v", err)
	}
}

// TestSettings: every parameter of learning comes through to learn.Settings.
func TestSettings(t *testing.T) {
	base, err := json.Marshal(defaults().settings())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Params){
		"DecayMatrices": func(p *Params) { p.DecayOf = decayMatrices }, "NormMaps": func(p *Params) { p.NormMaps = learn.NormCorpus },
		"Speed": func(p *Params) { p.Speed = .3 }, "Noise": func(p *Params) { p.Noise = .3 }, "Sampler": func(p *Params) { p.Sampler = learn.SamplePhotos }, "SortBatches": func(p *Params) { p.SortBatches = 3 },
		"DropFrames": func(p *Params) { p.DropFrames = 3 }, "TimeMasks": func(p *Params) { p.TimeMasks = 3 }, "MaskFrames": func(p *Params) { p.MaskFrames = 3 },
		"Places": func(p *Params) { p.Places = 3 }, "Average": func(p *Params) { p.Average = .5 }, "Keep": func(p *Params) { p.Keep = learn.KeepBest }, "Patience": func(p *Params) { p.Patience = 3 },
	} {
		p := defaults()
		change(&p)
		text, err := json.Marshal(p.settings())
		if err != nil {
			t.Fatal(err)
		}
		var was, is map[string]any
		if err := errors.Join(json.Unmarshal(base, &was), json.Unmarshal(text, &is)); err != nil {
			t.Fatal(err)
		}
		for key := range is {
			if (was[key] != is[key]) != (key == name) {
				t.Errorf("%s: %s goes from %v to %v", name, key, was[key], is[key])
			}
		}
	}
}
