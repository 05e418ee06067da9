package learn

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
	"github.com/x448/float16"
)

// recipeSpec is a tiny model of attention, masks and dropout on feature maps.
func recipeSpec() model.Spec {
	ends := []model.Layer{{Op: "dropout", Name: "dropout", Rate: .2}, {Op: "attend", Name: "attention"}, {Op: "linear", Name: "embed", Channels: 12}}
	image, err := model.ImageTower("mlp", model.HeadOptions{In: 3, Dim: 16})
	if err != nil {
		panic(err)
	}
	audio := model.Tower{Name: "tiny", Dims: 1, In: 5, Layers: []model.Layer{
		{Op: "conv", Name: "a", Kernel: 5, Stride: 2, Pad: 2, Channels: 16}, {Op: "norm", Name: "n", ReLU: true, Mask: true},
		{Op: "pool", Kernel: 3, Stride: 2, Pad: 1, Mask: true},
	}}
	return model.Spec{
		Image: image.With(ends...), Audio: audio.With(ends...), Height: 3, Width: 3, Frames: 48,
		Length: model.LengthTrue, Similarity: model.SimilarityAttention, Scale: 1, LearnScale: true, Init: model.InitPyTorch,
	}
}

// recipeData is tinyData with feature maps in place of pixels: the picture's
// colour at each place.
func recipeData(n int) Data {
	d := tinyData(n)
	var maps minibatch.ImageSlice
	for _, img := range d.Images.(minibatch.ImageSlice) {
		half := make([]uint16, 3*3*3)
		for k := range half {
			half[k] = float16.Fromfloat32(float32(img.Pixels[k]) / 100).Bits()
		}
		maps = append(maps, minibatch.Image{Half: half})
	}
	d.Images = maps
	return d
}

// recipeSettings have every part that a recipe may name.
func recipeSettings(steps int64) Settings {
	s := tinySettings(steps)
	s.Loss, s.Temperature, s.Optimizer, s.Beta1, s.Beta2, s.WeightDecay, s.DecayMatrices = nn.LossInfoNCE, .07, nn.AdamW, .9, .98, .1, true
	s.Normalize, s.NormMaps, s.Sampler, s.SortBatches = NormCoeffs, NormCorpus, SamplePhotos, 2
	s.DropFrames, s.TimeMasks, s.MaskFrames, s.Places, s.Average, s.Keep = 3, 2, 5, 6, .9, KeepBest
	s.LearningRate, s.EvalEvery = 1e-2, 4
	return s
}

func trainRecipe(t *testing.T, s Settings, o Options) *Result {
	t.Helper()
	r, err := Train(context.Background(), recipeSpec(), recipeData(40), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRecipeLearns: all parts together learn what there is to learn.
func TestRecipeLearns(t *testing.T) {
	r := trainRecipe(t, recipeSettings(300), Options{})
	first, last := r.Curve[0], r.Curve[len(r.Curve)-1]
	if last.Loss > first.Loss-.5 || last.P5 < .6 { // chance is .25
		t.Errorf("loss from %v to %v, P@1/5 %v/%v of 20 unseen photos", first.Loss, last.Loss, last.P1, last.P5)
	}
	if last.Epoch != 100 || r.Model.AudioNorm.Stds == nil || r.Model.MapNorm == nil { // 20 photos are 3 minibatches of 6
		t.Errorf("epoch %v, norms %+v, %+v", last.Epoch, r.Model.AudioNorm, r.Model.MapNorm)
	}
}

// TestRecipeResume is TestResume and TestSameBytes of every part together: what
// is drawn, averaged and kept goes into checkpoints or comes again.
func TestRecipeResume(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	const steps = 14
	for name, change := range map[string]func(*Settings){
		"all":          func(*Settings) {},
		"last":         func(s *Settings) { s.Keep = KeepLast },
		"ending early": func(s *Settings) { s.EvalEvery, s.Patience, s.LearningRate = 1, 3, 1e-9 },
	} {
		t.Run(name, func(t *testing.T) {
			s := recipeSettings(steps)
			change(&s)
			runtime.GOMAXPROCS(1)
			whole := trainRecipe(t, s, Options{})
			want := bytesOf(t, whole)
			runtime.GOMAXPROCS(3)
			if (whole.Steps < steps) != (name == "ending early") {
				t.Fatalf("the run took %d steps", whole.Steps)
			}
			for stop := int64(1); stop < whole.Steps; stop++ {
				dir := t.TempDir()
				if _, err := Train(context.Background(), recipeSpec(), recipeData(40), s, Options{Dir: dir, Stop: stop}); !errors.Is(err, ErrStopped) {
					t.Fatalf("stop at %d: %v", stop, err)
				}
				if r := trainRecipe(t, s, Options{Dir: dir}); !bytes.Equal(bytesOf(t, r), want) {
					t.Errorf("stopped at step %d and resumed: other bytes than undisturbed", stop)
				}
			}
			dir := t.TempDir() // a run that is done, asked for again
			trainRecipe(t, s, Options{Dir: dir})
			if r := trainRecipe(t, s, Options{Dir: dir}); !bytes.Equal(bytesOf(t, r), want) {
				t.Error("a finished run gives other bytes when asked again")
			}
		})
	}
}

// TestParts: each part changes what a run leaves.
func TestParts(t *testing.T) {
	base := recipeSettings(8)
	base.Keep = KeepLast
	want := bytesOf(t, trainRecipe(t, base, Options{}))
	for name, change := range map[string]func(*Settings){
		"decay of matrices": func(s *Settings) { s.DecayMatrices = false },
		"norm":              func(s *Settings) { s.Normalize = NormCorpus },
		"norm of maps":      func(s *Settings) { s.NormMaps = NormNone },
		"sampler":           func(s *Settings) { s.Sampler, s.SortBatches = SamplePairs, 0 },
		"sorting":           func(s *Settings) { s.SortBatches = 0 },
		"drop":              func(s *Settings) { s.DropFrames = 0 },
		"speed":             func(s *Settings) { s.Speed = .1 },
		"noise":             func(s *Settings) { s.Noise = .1 },
		"masks":             func(s *Settings) { s.TimeMasks = 0 },
		"places":            func(s *Settings) { s.Places = 0 },
		"average":           func(s *Settings) { s.Average = 0 },
		"best":              func(s *Settings) { s.Keep = KeepBest; s.EvalEvery = 1; s.LearningRate = .3 },
	} {
		s := base
		change(&s)
		if bytes.Equal(bytesOf(t, trainRecipe(t, s, Options{})), want) {
			t.Errorf("%s: the same bytes without it", name)
		}
	}
}

// TestKeepBest: the model that is left is the one that scored best, with the
// scores that the curve says it had.
func TestKeepBest(t *testing.T) {
	s := recipeSettings(40)
	s.LearningRate, s.Schedule, s.Warmup, s.EvalEvery, s.Average = .05, ScheduleConstant, 0, 1, 0 // it goes astray
	r := trainRecipe(t, s, Options{})
	top, at := -1., int64(0)
	for _, p := range r.Curve {
		if sum := p.P1 + p.P5 + p.P10; sum > top {
			top, at = sum, p.Step
		}
	}
	s.Steps = at
	s.Keep = KeepLast
	short := trainRecipe(t, s, Options{})
	if at == 40 || at < 1 {
		t.Fatalf("step %d is the best, the run does not go astray", at)
	}
	if got, want := bytesOf(t, &Result{Model: r.Model}), bytesOf(t, &Result{Model: short.Model}); !bytes.Equal(got, want) {
		t.Errorf("the model kept is not that of step %d", at)
	}
}

// TestAverage: the mean of the weights is that of the formula.
func TestAverage(t *testing.T) {
	m, err := model.New[float32](recipeSpec(), 1)
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKept(m, &Settings{Average: .5})
	if err != nil {
		t.Fatal(err)
	}
	w, mean := m.Params()[0].W, float64(m.Params()[0].W[3])
	for step := range int64(30) {
		w[3] = float32(step * step)
		k.follow(step)
		decay := min(.5, float64(step+1)/float64(step+10))
		mean = decay*mean + (1-decay)*float64(w[3])
	}
	if got := float64(k.now().Params()[0].W[3]); math.Abs(got-mean) > 1e-4*mean {
		t.Errorf("the mean is %v, want %v", got, mean)
	}
	if s := m.Stats()[0]; &k.now().Stats()[0].Mean[0] == &s.Mean[0] {
		t.Error("the mean shares its statistics")
	}
}

// TestNorms: the deviation of each coefficient, and the mean of each channel of
// the maps of each photo, once.
func TestNorms(t *testing.T) {
	n, err := corpusNorm([]minibatch.Pair{{Clip: 0}, {Clip: 1}, {Clip: 0}}, minibatch.ClipSlice{{1, 10, 3, 30}, {5, 20}}, 2, true)
	if err != nil || n.Std != 0 || math.Abs(n.Stds[0]-math.Sqrt(8./3)) > 1e-12 || math.Abs(n.Stds[1]-math.Sqrt(200./3)) > 1e-12 {
		t.Errorf("norm is %+v, %v", n, err)
	}
	if _, err := corpusNorm([]minibatch.Pair{{Clip: 0}}, minibatch.ClipSlice{{1, 7, 2, 7}}, 2, true); err == nil || !strings.Contains(err.Error(), "coefficient 1 is the same") {
		t.Errorf("a coefficient that is always the same: %v", err)
	}
	half := func(x ...float32) (out []uint16) {
		for _, v := range x {
			out = append(out, float16.Fromfloat32(v).Bits())
		}
		return out
	}
	images := minibatch.ImageSlice{{Half: half(1, 2, 3, 4)}, {Half: half(5, 6)}, {Pixels: []uint8{1, 2}}}
	m, err := mapNorm([]minibatch.Pair{{Image: 0}, {Image: 1}, {Image: 0}}, images, 2, nil)
	if err != nil || !slices.Equal(m.Mean, []float64{3, 4}) || math.Abs(m.Std-math.Sqrt(91./6-3.5*3.5)) > 1e-12 {
		t.Errorf("norm of maps is %+v, %v", m, err)
	}
	if _, err := mapNorm([]minibatch.Pair{{Photo: "x", Image: 2}}, images, 2, nil); err == nil || !strings.Contains(err.Error(), "image x: is no feature map") {
		t.Errorf("the norm of pixels: %v", err)
	}
	m, err = mapNorm([]minibatch.Pair{{Image: 0}, {Image: 1}}, images, 2, []int{1, 1})
	if err != nil || !slices.Equal(m.Mean, []float64{3, 4}) || m.Std != 0 || math.Abs(m.Stds[0]-math.Sqrt(35./3-9)) > 1e-12 || math.Abs(m.Stds[1]-math.Sqrt(56./3-16)) > 1e-12 {
		t.Errorf("norm of maps of two networks is %+v, %v", m, err)
	}
	for _, sources := range [][]int{{1}, {3}, {2, 1}, {0, 2}} {
		if _, err := mapNorm([]minibatch.Pair{{Image: 0}}, images, 2, sources); err == nil || !strings.Contains(err.Error(), "no parts of 2 channels") {
			t.Errorf("%v of two channels: %v", sources, err)
		}
	}
}

// TestRecipeBad: settings that do nothing or cannot be.
func TestRecipeBad(t *testing.T) {
	for want, change := range map[string]func(*Settings){
		"sorting 2":     func(s *Settings) { s.Sampler = SamplePairs },
		`keep "first"`:  func(s *Settings) { s.Keep = "first" },
		"average 1":     func(s *Settings) { s.Average = 1 },
		"patience 2":    func(s *Settings) { s.EvalEvery, s.Patience = 0, 2 },
		"speed 1":       func(s *Settings) { s.Speed = 1 },
		"noise -1":      func(s *Settings) { s.Noise = -1 },
		`sampler ""`:    func(s *Settings) { s.Sampler = "" },
		"-1 places":     func(s *Settings) { s.Places = -1 },
		`normalize "x"`: func(s *Settings) { s.Normalize = "x" },
	} {
		s := recipeSettings(2)
		change(&s)
		if _, err := Train(context.Background(), recipeSpec(), recipeData(40), s, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	s := tinySettings(2)
	s.Places = 3
	if _, err := Train(context.Background(), tinySpec(), tinyData(40), s, Options{}); err == nil || !strings.Contains(err.Error(), "more than a place") {
		t.Errorf("places of a picture: %v", err)
	}
}

// TestRecipeFiles: a checkpoint names what is kept beside the weights.
func TestRecipeFiles(t *testing.T) {
	dir := t.TempDir()
	trainRecipe(t, recipeSettings(4), Options{Dir: dir})
	text, err := os.ReadFile(filepath.Join(dir, checkpointName(4)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"average image.linear.weight"`, `"average audio.n var"`, `"best audio.attention.bias"`, `"best":{"sum":`} {
		if !bytes.Contains(text, []byte(name)) {
			t.Errorf("the checkpoint lacks %s", name)
		}
	}
}
