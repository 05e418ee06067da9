package learn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

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
	var maps ImageSlice
	for _, img := range d.Images.(ImageSlice) {
		half := make([]uint16, 3*3*3)
		for k := range half {
			half[k] = float16.Fromfloat32(float32(img.Pixels[k]) / 100).Bits()
		}
		maps = append(maps, Image{Half: half})
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

// TestPhotoSampler: an epoch shows each photo once, as many as it has captions
// show each caption once, and sorted minibatches are of nearly one length.
func TestPhotoSampler(t *testing.T) {
	var pairs []Pair
	captions := func(photo int) int { return 1 + photo%5 }
	for photo := range 50 {
		for c := range captions(photo) {
			pairs = append(pairs, Pair{ID: fmt.Sprint(photo, "#", c), Photo: fmt.Sprint(photo), Clip: len(pairs), Image: photo})
		}
	}
	frames := func(clip int) (int, error) { return clip * 37 % 101, nil }
	spread := map[int]int{}
	for _, sorted := range []int{0, 5} {
		s, err := NewPhotoSampler(pairs, 5, 3, sorted, frames)
		if err != nil {
			t.Fatal(err)
		}
		if s.StepsPerEpoch() != 10 {
			t.Fatalf("%d steps an epoch, want 10", s.StepsPerEpoch())
		}
		shown := make([]int, len(pairs))
		for epoch := range int64(60) {
			photos := map[string]bool{}
			for k := range int64(10) {
				batch := s.Batch(epoch*10 + k)
				low, high := 1000, 0
				for _, i := range batch {
					photos[pairs[i].Photo] = true
					shown[i]++
					n, _ := frames(i)
					low, high = min(low, n), max(high, n)
				}
				spread[sorted] += high - low
			}
			if len(photos) != 50 {
				t.Fatalf("epoch %d shows %d photos", epoch, len(photos))
			}
		}
		for i, n := range shown {
			if want := 60 / captions(pairs[i].Image); n != want {
				t.Errorf("pair %d was shown %d times in 60 epochs, want %d", i, n, want)
			}
		}
		again, _ := NewPhotoSampler(pairs, 5, 3, sorted, frames)
		if first := slices.Clone(s.Batch(333)); !slices.Equal(again.Batch(333), first) {
			t.Error("a step asked for alone has other pairs")
		}
	}
	if spread[5] > spread[0]/2 {
		t.Errorf("sorted minibatches spread over %d frames, others over %d", spread[5], spread[0])
	}
	if _, err := NewPhotoSampler(pairs, 51, 1, 0, nil); err == nil || !strings.Contains(err.Error(), "there are 50") {
		t.Errorf("51 of 50 photos: %v", err)
	}
	bad := func(int) (int, error) { return 0, errors.New("lost") }
	if _, err := NewPhotoSampler(pairs, 5, 1, 2, bad); err == nil || !strings.Contains(err.Error(), "clip of 0#0: lost") {
		t.Errorf("a clip that cannot be read: %v", err)
	}
}

// TestPerturb: draws are within bounds, reach them, and come again.
func TestPerturb(t *testing.T) {
	s := &Settings{Seed: 4, DropFrames: 7, TimeMasks: 2, MaskFrames: 23, Places: 36}
	frames := []int{1, 5, 100, 400}
	var widest, dropped int
	places := map[int]int{}
	for step := range int64(500) {
		p := s.perturb(step, frames, 512, 49)
		if again := s.perturb(step, frames, 512, 49); fmt.Sprint(again) != fmt.Sprint(p) {
			t.Fatal("a step draws something else when asked again")
		}
		for k, n := range frames {
			n -= p.drop[k]
			dropped = max(dropped, p.drop[k])
			if p.drop[k] < 0 || p.drop[k] > 7 || n < 1 {
				t.Fatalf("%d of %d frames dropped", p.drop[k], frames[k])
			}
			for _, m := range p.masks[2*k : 2*k+2] {
				widest = max(widest, m[1]-m[0])
				if m[0] < 0 || m[1] > n || m[0] > m[1] || m[1]-m[0] > 23 {
					t.Fatalf("a mask of frames %v of %d", m, n)
				}
			}
		}
		if len(p.places) != 36 || !slices.IsSorted(p.places) {
			t.Fatalf("places %v", p.places)
		}
		for _, at := range slices.Compact(p.places) {
			places[at]++
		}
	}
	if widest != 23 || dropped != 7 || len(places) != 49 {
		t.Errorf("the widest mask has %d frames, the most dropped are %d, %d places were seen", widest, dropped, len(places))
	}
	for at, n := range places {
		if n < 300 || n > 430 { // 367 expected, deviation 10
			t.Errorf("place %d was kept in %d of 500 steps", at, n)
		}
	}
	p := perturbations{drop: []int{0, 2}, masks: [][2]int{{0, 0}, {0, 0}, {1, 2}, {3, 5}}}
	if x := p.dropped(1, []float32{1, 2, 3, 4, 5, 6}, 2); !slices.Equal(x, []float32{5, 6}) {
		t.Errorf("without two frames: %v", x)
	}
	x := []float32{1, 1, 1, 1, 1}
	if p.mask(1, 2, x, 1); !slices.Equal(x, []float32{1, 0, 1, 0, 0}) {
		t.Errorf("masked: %v", x)
	}
}

// TestFaster: clips keep their ends and their order at any speed, last as long as
// it says, and no longer than a model takes; masks lie within what is left.
func TestFaster(t *testing.T) {
	s := &Settings{Seed: 4, Speed: .25, TimeMasks: 1, MaskFrames: 9}
	var shortest, longest int
	for step := range int64(300) {
		p := s.perturb(step, []int{1, 100, 60}, 110, 0)
		for k, n := range []int{1, 100, 60} {
			x := make([]float32, 2*n)
			for i := range x {
				x[i] = float32(i)
			}
			y := p.atSpeed(k, x, 2)
			m := len(y) / 2
			if want := hastened(n, p.speed[k]); m != want || m < 1 || float64(m) < float64(n)/1.25-1 || float64(m) > float64(n)/.75+1 {
				t.Fatalf("%d frames at speed %v are %d", n, p.speed[k], m)
			}
			if mask := p.masks[k]; mask[1] > min(m, 110) {
				t.Fatalf("mask %v of %d frames", mask, m)
			}
			for i := 2; i < len(y); i++ {
				if y[i] < y[i-2] || i%2 == 1 && math.Abs(float64(y[i]-y[i-1]-1)) > 1e-4 {
					t.Fatalf("at speed %v: %v", p.speed[k], y)
				}
			}
			if n > 1 && (y[0] > 1 || y[len(y)-1] < x[len(x)-1]-1) {
				t.Fatalf("at speed %v the ends are %v and %v", p.speed[k], y[0], y[len(y)-1])
			}
			if k == 1 {
				shortest, longest = min(max(1, shortest), m), max(longest, m)
				if step == 0 {
					shortest = m
				}
			}
		}
	}
	if shortest > 84 || longest < 128 { // 80 and 133 are the bounds
		t.Errorf("100 frames became %d to %d", shortest, longest)
	}
	even := perturbations{speed: []float64{2. / 3}}
	if y := even.atSpeed(0, []float32{0, 3, 6, 9}, 1); !slices.Equal(y, []float32{0, 1.5, 3.5, 5.5, 7.5, 9}) {
		t.Errorf("four frames as six: %v", y)
	}
}

// TestNoise: it is the settings' deviation about nothing, another in each step and
// clip, and the same when asked again.
func TestNoise(t *testing.T) {
	s := &Settings{Seed: 4, Noise: .5}
	draw := func(step int64, k int) []float32 {
		x := make([]float32, 4000)
		s.noise(step, k, x)
		return x
	}
	a := draw(3, 1)
	var sum, squares float64
	for _, v := range a {
		sum, squares = sum+float64(v), squares+float64(v)*float64(v)
	}
	if mean, dev := sum/4000, math.Sqrt(squares/4000); math.Abs(mean) > .04 || math.Abs(dev-.5) > .03 {
		t.Errorf("noise has mean %v, deviation %v", mean, dev)
	}
	if !slices.Equal(a, draw(3, 1)) || slices.Equal(a, draw(4, 1)) || slices.Equal(a, draw(3, 2)) {
		t.Error("noise does not follow from step and clip")
	}
}

// TestNorms: the deviation of each coefficient, and the mean of each channel of
// the maps of each photo, once.
func TestNorms(t *testing.T) {
	n, err := corpusNorm([]Pair{{Clip: 0}, {Clip: 1}, {Clip: 0}}, ClipSlice{{1, 10, 3, 30}, {5, 20}}, 2, true)
	if err != nil || n.Std != 0 || math.Abs(n.Stds[0]-math.Sqrt(8./3)) > 1e-12 || math.Abs(n.Stds[1]-math.Sqrt(200./3)) > 1e-12 {
		t.Errorf("norm is %+v, %v", n, err)
	}
	if _, err := corpusNorm([]Pair{{Clip: 0}}, ClipSlice{{1, 7, 2, 7}}, 2, true); err == nil || !strings.Contains(err.Error(), "coefficient 1 is the same") {
		t.Errorf("a coefficient that is always the same: %v", err)
	}
	half := func(x ...float32) (out []uint16) {
		for _, v := range x {
			out = append(out, float16.Fromfloat32(v).Bits())
		}
		return out
	}
	images := ImageSlice{{Half: half(1, 2, 3, 4)}, {Half: half(5, 6)}, {Pixels: []uint8{1, 2}}}
	m, err := mapNorm([]Pair{{Image: 0}, {Image: 1}, {Image: 0}}, images, 2, nil)
	if err != nil || !slices.Equal(m.Mean, []float64{3, 4}) || math.Abs(m.Std-math.Sqrt(91./6-3.5*3.5)) > 1e-12 {
		t.Errorf("norm of maps is %+v, %v", m, err)
	}
	if _, err := mapNorm([]Pair{{Photo: "x", Image: 2}}, images, 2, nil); err == nil || !strings.Contains(err.Error(), "image x: is no feature map") {
		t.Errorf("the norm of pixels: %v", err)
	}
	m, err = mapNorm([]Pair{{Image: 0}, {Image: 1}}, images, 2, []int{1, 1})
	if err != nil || !slices.Equal(m.Mean, []float64{3, 4}) || m.Std != 0 || math.Abs(m.Stds[0]-math.Sqrt(35./3-9)) > 1e-12 || math.Abs(m.Stds[1]-math.Sqrt(56./3-16)) > 1e-12 {
		t.Errorf("norm of maps of two networks is %+v, %v", m, err)
	}
	for _, sources := range [][]int{{1}, {3}, {2, 1}, {0, 2}} {
		if _, err := mapNorm([]Pair{{Image: 0}}, images, 2, sources); err == nil || !strings.Contains(err.Error(), "no parts of 2 channels") {
			t.Errorf("%v of two channels: %v", sources, err)
		}
	}
	spec := &model.Spec{Image: model.Tower{In: 2}, Height: 1, Width: 3, MapNorm: &model.CoeffNorm{Mean: []float64{1, 2}, Std: 2}}
	dst := make([]float32, 4)
	if err := putImage(spec, dst, Image{Half: half(1, 2, 3, 4, 5, 6)}, []int{0, 2}); err != nil || !slices.Equal(dst, []float32{0, 0, 2, 2}) {
		t.Errorf("places 0 and 2 are %v, %v", dst, err)
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
