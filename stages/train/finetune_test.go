package train

import (
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/similarity"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
	"github.com/x448/float16"
)

func TestCheckFinetune(t *testing.T) {
	for name, c := range map[string]struct {
		params map[string]any
		want   string // parameters at fault
	}{
		"conv5":            {map[string]any{"image": "vgg16", "finetune": "conv5", "weights": "w"}, ""},
		"all":              {map[string]any{"image": "vgg19", "finetune": "all", "weights": "w", "image_init": "vgg16+identity", "input": "caffe"}, ""},
		"random":           {map[string]any{"image": "vgg16", "finetune": "all", "image_init": "random"}, ""},
		"not said":         {map[string]any{"image": "vgg16"}, "finetune"},
		"head":             {map[string]any{"finetune": "conv5", "weights": "w"}, "finetune"},
		"small":            {tiny(map[string]any{"finetune": "all", "weights": "w"}), "finetune"},
		"no weights":       {map[string]any{"image": "vgg16", "finetune": "all"}, "weights"},
		"weights of none":  {map[string]any{"weights": "w"}, "weights"},
		"init of none":     {map[string]any{"image_init": "random"}, "image_init"},
		"input of none":    {map[string]any{"input": "caffe"}, "input"},
		"random weights":   {map[string]any{"image": "vgg16", "finetune": "all", "image_init": "random", "weights": "w"}, "weights"},
		"identity of 16":   {map[string]any{"image": "vgg16", "finetune": "all", "image_init": "vgg16+identity", "weights": "w"}, "image_init"},
		"pixels of a map":  {map[string]any{"image": "vgg16", "finetune": "conv5", "input": "caffe", "weights": "w"}, "input"},
		"a small tower":    {map[string]any{"image": "vgg16", "finetune": "all", "weights": "w", "audio": "small"}, "audio"},
		"a head of 2 wide": {map[string]any{"image": "vgg16", "finetune": "all", "weights": "w", "head_kernel": 2}, "head_kernel"},
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

// pool4 are d's photos as maps of VGG16's fourth pool.
func (d set) pool4(t *testing.T, weights string) (out []table.FeatureMap) {
	t.Helper()
	f, err := model.OpenFrozen("vgg16", weights, model.FrozenOptions{Layer: model.LayerPool4})
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range d.images {
		x, h, w, err := f.Features(vision.SwapRB(img.Pixels), int(img.Height), int(img.Width))
		if err != nil {
			t.Fatal(err)
		}
		m := table.FeatureMap{ID: img.ID, Height: int32(h), Width: int32(w), Channels: 512}
		for _, v := range x {
			m.Half = append(m.Half, float16.Fromfloat32(v).Bits())
		}
		m.SHA256 = table.SumHalves(m.Half)
		out = append(out, m)
	}
	return out
}

// TestFinetune trains VGG16's last block, from feature maps before it, and all of
// it, from photos. The loss falls, what is trained has moved, what starts where
// is named, and the model scores photos that it is given.
func TestFinetune(t *testing.T) {
	if testing.Short() {
		t.Skip("whole VGG16s take seconds")
	}
	weights := sharedtest.Path(t, "data", "weights", model.WeightsFile("vgg16"))
	s, d := stagetest.Store(t), newSet()
	all := d.ports(t, s)
	block := ports{"pairs": all["pairs"], "mfcc": all["mfcc"], "features": {stagetest.Artifact(t, s, "features",
		stagetest.Part("features-00.arrow", table.FeatureMaps("vgg16", model.LayerPool4), d.pool4(t, weights)...))}}
	for name, c := range map[string]struct {
		in             ports
		more           map[string]any
		layers         int
		towers, note   string
		pixels, random bool
	}{
		"conv5":  {in: block, more: map[string]any{"finetune": "conv5", "weights": weights}, layers: 4, towers: "vgg16 from conv5_1 on and conv5"},
		"all":    {in: all, more: map[string]any{"finetune": "all", "weights": weights}, layers: 18, towers: "vgg16, all layers trained and conv5", pixels: true},
		"random": {in: all, more: map[string]any{"finetune": "all", "image_init": "random"}, layers: 18, towers: "vgg16, all layers trained and conv5", note: "VGG16 (random)", pixels: true, random: true},
	} {
		t.Run(name, func(t *testing.T) {
			params := map[string]any{
				"image": "vgg16", "frames": 32, "length": "true", "batching": "longest", "normalize": "corpus", "similarity_scale": .01,
				"batch": 4, "steps": 10, "log_steps": 1, "seed": 3, "init": "he", "beta1": .9, "beta2": .999,
			}
			for k, v := range c.more {
				params[k] = v
			}
			a := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: c.in, Params: params}).Artifact
			m := loadModel(t, a)
			if len(m.Image.Layers) != c.layers || (m.Pixels != nil) != c.pixels {
				t.Errorf("%d layers, pixels %v", len(m.Image.Layers), m.Pixels)
			}
			notes := map[string]string{}
			for _, n := range m.Notes {
				notes[n.Key] = n.Value
			}
			if notes["towers"] != c.towers || notes["note"] != c.note {
				t.Errorf("notes %v", m.Notes)
			}
			if !c.random {
				moved(t, m, weights)
			}
			fell(t, stagetest.Rows(t, a, table.Curve))
			scores(t, m, c.in)
		})
	}
}

// moved checks that every layer of VGG16 is near where it started, and not there.
func moved(t *testing.T, m *model.Model[float32], weights string) {
	t.Helper()
	start, err := model.OpenPretrained("vgg16", weights, model.FrozenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := model.New[float32](m.Spec, 1)
	if err == nil {
		err = model.Fill(start, fresh)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range fresh.Params() {
		if !strings.HasPrefix(p.Name, "image.conv") {
			continue
		}
		most := float32(0)
		for k, v := range m.Params()[i].W {
			most = max(most, v-p.W[k], p.W[k]-v)
		}
		if most == 0 || most > .01 {
			t.Errorf("%s moved by up to %v", p.Name, most)
		}
	}
}

func fell(t *testing.T, curve []table.CurvePoint) {
	t.Helper()
	slices.SortFunc(curve, func(a, b table.CurvePoint) int { return int(a.Step - b.Step) })
	first, last := curve[0].Loss+curve[1].Loss, curve[len(curve)-1].Loss+curve[len(curve)-2].Loss
	if !(last < .9*first) {
		t.Errorf("the loss went from %v to %v: %+v", first/2, last/2, curve)
	}
}

// scores scores all pairs as the stage eval does.
func scores(t *testing.T, m *model.Model[float32], in ports) {
	t.Helper()
	d, err := dataset.Open(dataset.Of[artifacts.Part](in))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	images, clips, _ := similarity.Candidates(d.Split("train"))
	s, err := similarity.NewScorer(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Similarities(t.Context(), images, d, clips, d)
	if err != nil || len(got.S) != 144 || slices.Min(got.S) == slices.Max(got.S) {
		t.Errorf("%d scores, %v", len(got.S), err)
	}
}

// TestFinetuneInputs: feature maps of another layer or network than the block
// that is trained.
func TestFinetuneInputs(t *testing.T) {
	s, d := stagetest.Store(t), newSet()
	in := d.ports(t, s)
	images := in["images"]
	maps := func(tower, layer string) []*artifacts.Artifact {
		return []*artifacts.Artifact{stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps(tower, layer), d.features()...))}
	}
	block := map[string]any{"image": "vgg16", "finetune": "conv5", "image_init": "random", "steps": 1}
	for name, c := range map[string]struct {
		features, images []*artifacts.Artifact
		params           map[string]any
		want             string
	}{
		"last layer":    {maps("VGG16 (random)", "conv5_3"), nil, block, `of layer "conv5_3": finetune: conv5 takes those of layer pool4`},
		"another":       {maps("vgg19", "pool4"), nil, block, "of vgg19, the block to be trained is of VGG16 (random)"},
		"photos":        {nil, images, block, "finetune: conv5 takes features of layer pool4, all takes images"},
		"head on pool4": {maps("vgg16", "pool4"), nil, map[string]any{"steps": 1}, `of layer "pool4"`},
		"maps for all":  {maps("vgg16", "pool4"), nil, map[string]any{"image": "vgg16", "finetune": "all", "image_init": "random", "steps": 1}, "all takes images"},
	} {
		in := ports{"pairs": in["pairs"], "mfcc": in["mfcc"]}
		if c.features != nil {
			in["features"] = c.features
		} else {
			in["images"] = c.images
		}
		if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: c.params}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
