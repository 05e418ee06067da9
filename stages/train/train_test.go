package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

type ports = map[string][]*artifacts.Artifact

// set is a data set that can be learnt: a photo's colour is in its clip's
// coefficients. Twelve pairs are for training, four for validation.
type set struct {
	captions []table.Caption
	clips    []table.MFCC
	images   []table.Image
}

const coeffs = 5

func newSet() set {
	r := rand.New(rand.NewPCG(4, 7))
	var d set
	for i := range 16 {
		split := "train"
		if i >= 12 {
			split = "validation"
		}
		photo := fmt.Sprintf("p%02d", i)
		d.captions = append(d.captions, table.Caption{ID: photo + "#0", PhotoID: photo, Split: split})
		color := [3]float64{r.Float64(), r.Float64(), r.Float64()}
		pixels := make([]uint8, 16*16*3)
		for k := range pixels {
			pixels[k] = uint8(255 * min(1, max(0, color[k%3]+.05*r.NormFloat64())))
		}
		d.images = append(d.images, table.Image{ID: photo, SHA256: table.SumBytes(pixels), Height: 16, Width: 16, Order: "rgb", Pixels: pixels})
		n := 20 + r.IntN(40)
		frames := make([]float32, n*coeffs)
		for k := range frames {
			frames[k] = float32(3*color[k%coeffs%3] + .3*r.NormFloat64())
		}
		d.clips = append(d.clips, table.MFCC{ID: photo + "#0", SHA256: table.SumFloats(frames), NFrames: int32(n), NCoeffs: coeffs, Features: frames})
	}
	return d
}

// features are d's photos as maps of 2x2x8.
func (d set) features() (out []table.FeatureMap) {
	for _, img := range d.images {
		half := make([]uint16, 2*2*8)
		for k := range half {
			half[k] = 0x3800 + uint16(img.Pixels[k]) // .5 and a little more
		}
		out = append(out, table.FeatureMap{ID: img.ID, SHA256: table.SumHalves(half), Height: 2, Width: 2, Channels: 8, Half: half})
	}
	return out
}

func (d set) ports(t *testing.T, s *artifacts.Store) ports {
	t.Helper()
	return ports{
		"pairs":  {stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, d.captions...))},
		"mfcc":   {stagetest.Artifact(t, s, "mfcc", stagetest.Part("mfcc-00.parquet", table.MFCCs, d.clips...))},
		"images": {stagetest.Artifact(t, s, "images", stagetest.Part("images-00.arrow", table.Images, d.images...))},
	}
}

// tiny trains in a blink.
func tiny(more map[string]any) map[string]any {
	p := map[string]any{
		"image": "small", "audio": "small", "init": "he", "frames": 64, "length": "true", "batching": "longest", "normalize": "corpus",
		"similarity_scale": .25, "batch": 4, "steps": 20, "learning_rate": 3e-3, "schedule": "cosine", "warmup": .1, "floor": .01,
		"log_steps": 1, "validate_steps": 5, "seed": 3,
	}
	for k, v := range more {
		p[k] = v
	}
	return p
}

// with is Kind with its task changed before it runs.
func with(change func(*stage.Task)) stage.Kind {
	k := stage.Kind{Name: Kind.Name, Doc: Kind.Doc, Version: Kind.Version, Inputs: Kind.Inputs, Output: Kind.Output}
	return stage.New(k, defaults(), func(ctx context.Context, t *stage.Task, p Params) error {
		change(t)
		return run(ctx, t, p)
	})
}

func loadModel(t *testing.T, a *artifacts.Artifact) *model.Model[float32] {
	t.Helper()
	m, err := model.Load(stagetest.Bytes(t, a, "model.json"), stagetest.Bytes(t, a, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTrain: what is in the artifact, and that the model learns.
func TestTrain(t *testing.T) {
	s := stagetest.Store(t)
	in := newSet().ports(t, s)
	first := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: tiny(nil)})
	var names []string
	for _, p := range first.Artifact.Manifest.Parts {
		names = append(names, p.Name+" "+p.Schema)
	}
	want := []string{"curve.parquet " + table.Curve.Schema(), "model.json " + model.Format, "model.safetensors " + model.WeightsFormat}
	if !slices.Equal(names, want) {
		t.Errorf("parts %q, want %q", names, want)
	}
	curve := stagetest.Rows(t, first.Artifact, table.Curve)
	slices.SortFunc(curve, func(a, b table.CurvePoint) int { return int(a.Step - b.Step) })
	if n := len(curve); n != 20 || curve[n-1].Step != 20 || curve[n-1].PairsSeen != 80 || curve[n-1].Loss >= curve[0].Loss || curve[n-1].P10 != 1 {
		t.Errorf("curve of %d points from %+v to %+v", len(curve), curve[0], curve[len(curve)-1])
	}
	for _, p := range curve {
		if measured := p.P1 == p.P1; measured != (p.Step%5 == 0) {
			t.Errorf("P@1 at step %d is %v", p.Step, p.P1)
		}
	}
	m := loadModel(t, first.Artifact)
	for _, n := range []model.KeyString{{Key: "towers", Value: "small and small"}, {Key: "training", Value: "20 steps, batch 4, seed 3"}} {
		if !slices.Contains(m.Notes, n) {
			t.Errorf("notes %v lack %v", m.Notes, n)
		}
	}
}

// TestSame: what nobody should see in the artifact: the cores, the clock, the
// checkpoints, the order in which the photos' colours are kept.
func TestSame(t *testing.T) {
	s := stagetest.Store(t)
	d := newSet()
	in := d.ports(t, s)
	first := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: tiny(nil)})
	bgr := d
	bgr.images = slices.Clone(d.images)
	for i, img := range bgr.images {
		bgr.images[i].Order, bgr.images[i].Pixels = "bgr", vision.SwapRB(img.Pixels)
	}
	clock := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, c := range map[string]struct {
		procs  int
		in     ports
		more   map[string]any
		change func(*stage.Task)
	}{
		"one core":    {procs: 1, in: in},
		"four cores":  {procs: 4, in: in},
		"blue first":  {procs: 2, in: bgr.ports(t, s)},
		"watched":     {procs: 2, in: in, change: func(k *stage.Task) { k.Now = func() time.Time { clock = clock.Add(time.Minute); return clock } }},
		"checkpoints": {procs: 2, in: in, more: map[string]any{"checkpoint_steps": 3, "checkpoint_every": "0s"}},
		"no folders":  {procs: 2, in: in, change: func(k *stage.Task) { k.Dir, k.RunDir = "", "" }},
	} {
		if c.change == nil {
			c.change = func(*stage.Task) {}
		}
		before := runtime.GOMAXPROCS(c.procs)
		r := stagetest.MustRun(t, with(c.change), stagetest.Options{Store: s, Inputs: c.in, Params: tiny(c.more)})
		runtime.GOMAXPROCS(before)
		if r.Artifact.Digest != first.Artifact.Digest {
			t.Errorf("%s: another artifact", name)
		}
	}
	other := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: tiny(map[string]any{"seed": 4})})
	if other.Artifact.Digest == first.Artifact.Digest {
		t.Error("another seed gave the same artifact")
	}
}

// TestResume stops a run in its middle and goes on from what it left.
func TestResume(t *testing.T) {
	s := stagetest.Store(t)
	o := stagetest.Options{Store: s, Inputs: newSet().ports(t, s), Params: tiny(nil)}
	want := stagetest.MustRun(t, Kind, o).Artifact.Digest
	for _, at := range []int64{1, 7, 19} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		o.Context = ctx
		kept := func(stop int64) stage.Kind {
			return with(func(k *stage.Task) {
				k.Dir = dir
				tell := k.Report
				k.Report = func(p stage.Progress) {
					tell(p)
					if p.Done == stop {
						cancel()
					}
				}
			})
		}
		if r, err := stagetest.Run(t, kept(at), o); !errors.Is(err, context.Canceled) || r.Artifact != nil {
			t.Fatalf("stopped at step %d: %v", at, err)
		}
		o.Context = nil
		r := stagetest.MustRun(t, kept(-1), o)
		if r.Artifact.Digest != want {
			t.Errorf("stopped at step %d and gone on: another artifact", at)
		}
		if says := fmt.Sprintf("going on from step %d", at); r.Reports[0].Message != says {
			t.Errorf("stopped at step %d: it says %q, want %q", at, r.Reports[0].Message, says)
		}
	}
}

// TestOthersCheckpoint: a checkpoint of other settings, or of other photos, is
// passed over, saying so.
func TestOthersCheckpoint(t *testing.T) {
	s := stagetest.Store(t)
	d := newSet()
	in := d.ports(t, s)
	want := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: tiny(nil)}).Artifact.Digest
	swapped := d
	swapped.images = slices.Clone(d.images)
	swapped.images[0].Pixels, swapped.images[1].Pixels = d.images[1].Pixels, d.images[0].Pixels
	for name, o := range map[string]stagetest.Options{
		"settings": {Store: s, Inputs: in, Params: tiny(map[string]any{"seed": 4})},
		"photos":   {Store: s, Inputs: swapped.ports(t, s), Params: tiny(nil)},
	} {
		dir := t.TempDir()
		inDir := with(func(k *stage.Task) { k.Dir = dir })
		if stagetest.MustRun(t, inDir, o).Artifact.Digest == want {
			t.Fatalf("other %s gave the same model", name)
		}
		r := stagetest.MustRun(t, inDir, stagetest.Options{Store: s, Inputs: in, Params: tiny(nil)})
		if w := r.Warnings(); r.Artifact.Digest != want || len(w) == 0 || !strings.Contains(w[0], "of another run") {
			t.Errorf("beside the checkpoint of other %s: warnings %q, the same artifact: %v", name, w, r.Artifact.Digest == want)
		}
	}
}

// TestUntrained: the initial values of the seed, and one point of the curve.
func TestUntrained(t *testing.T) {
	s := stagetest.Store(t)
	r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: newSet().ports(t, s), Params: tiny(map[string]any{"untrained": true})})
	m := loadModel(t, r.Artifact)
	initial, err := model.New[float32](m.Spec, 3)
	if err != nil {
		t.Fatal(err)
	}
	var got, want bytes.Buffer
	if err := errors.Join(m.WriteWeights(&got), initial.WriteWeights(&want)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("the values are not the initial ones")
	}
	curve := stagetest.Rows(t, r.Artifact, table.Curve)
	if len(curve) != 1 || curve[0].Step != 0 || curve[0].P10 != 1 {
		t.Errorf("curve %+v", curve)
	}
	if !slices.ContainsFunc(m.Notes, func(n model.KeyString) bool { return strings.HasPrefix(n.Value, "untrained, ") }) {
		t.Errorf("notes %v do not say that it is untrained", m.Notes)
	}
}

// TestMissing: a caption without its clip or its photo is as if it were not
// there.
func TestMissing(t *testing.T) {
	s := stagetest.Store(t)
	d := newSet()
	less := d
	less.clips, less.images = slices.Delete(slices.Clone(d.clips), 2, 3), slices.Delete(slices.Clone(d.images), 9, 10)
	without := d
	without.captions = slices.DeleteFunc(slices.Clone(d.captions), func(c table.Caption) bool { return c.PhotoID == "p02" || c.PhotoID == "p09" })
	a := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: less.ports(t, s), Params: tiny(nil)})
	b := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: without.ports(t, s), Params: tiny(nil)})
	if a.Artifact.Digest != b.Artifact.Digest {
		t.Error("missing clips and photos do not count as missing captions")
	}
}

// TestHead trains the paper's towers, on feature maps, for two steps.
func TestHead(t *testing.T) {
	if testing.Short() {
		t.Skip("conv5 has 20 million parameters")
	}
	s := stagetest.Store(t)
	d := newSet()
	in := d.ports(t, s)
	in["features"] = []*artifacts.Artifact{stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps("vgg16", "conv5_3"), d.features()...))}
	delete(in, "images")
	r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: map[string]any{"frames": 32, "steps": 2}})
	m := loadModel(t, r.Artifact)
	if m.Image.Name != "head" || m.Image.In != 8 || m.Image.Layers[0].Kernel != 3 || m.Audio.Name != "conv5" || m.Audio.In != coeffs || m.Height != 2 || m.Pixels != nil {
		t.Errorf("model %+v", m.Spec)
	}
}

// TestCollapse: of photos and clips that are all alike a model can learn
// nothing, and whoever watches is told, once.
func TestCollapse(t *testing.T) {
	s := stagetest.Store(t)
	d := newSet()
	for i := range d.clips {
		d.clips[i].NFrames, d.clips[i].Features = 16, d.clips[0].Features[:16*coeffs]
		d.images[i].Pixels = d.images[0].Pixels
	}
	dir := t.TempDir()
	kind := with(func(k *stage.Task) { k.RunDir, k.Now = dir, func() time.Time { return time.Unix(1e9, 0) } })
	r := stagetest.MustRun(t, kind, stagetest.Options{Store: s, Inputs: d.ports(t, s), Params: tiny(map[string]any{"steps": 310, "batch": 2, "frames": 16, "log_steps": 100, "validate_steps": 0})})
	if w := r.Warnings(); len(w) != 1 || !strings.Contains(w[0], "2.000") || !strings.Contains(w[0], "Try") {
		t.Errorf("warnings %q", w)
	}
	text, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil || bytes.Count(text, []byte("\n")) != 4 {
		t.Errorf("a warning is no point of the curve, but there are %q, %v", text, err)
	}
}

// TestNotes: a model says what its features are of, and if that is not quite
// what its name says.
func TestNotes(t *testing.T) {
	s := stagetest.Store(t)
	d := newSet()
	in := d.ports(t, s)
	delete(in, "images")
	for tower, want := range map[string]string{"vgg19": "", model.FrozenTitle("vgg19", model.InitIdentity): "VGG19 (VGG16 + identity)"} {
		in["features"] = []*artifacts.Artifact{stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps(tower, "conv5_4"), d.features()...))}
		params := map[string]any{"frames": 32, "audio": "gru", "hidden": 6, "bidirectional": true, "length": "true", "steps": 2}
		m := loadModel(t, stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: params}).Artifact)
		got := map[string]string{}
		for _, n := range m.Notes {
			got[n.Key] = n.Value
		}
		if got["note"] != want || got["features"] != tower+", conv5_4: 2x2x8" || got["towers"] != "head and gru 2 x 6 both ways" {
			t.Errorf("notes %v", m.Notes)
		}
		if l := m.Audio.Layers[2]; l.Op != "gru" || l.Channels != 6 || !l.Bidirectional {
			t.Errorf("layer %+v", l)
		}
	}
}
