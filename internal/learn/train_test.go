package learn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// tinySpec is a model with every kind of layer that trains in milliseconds.
func tinySpec() model.Spec {
	return model.Spec{
		Image: model.Tower{Name: "tiny", Dims: 2, In: 3, Layers: []model.Layer{
			{Op: "conv", Name: "a", Kernel: 3, Stride: 2, Pad: 1, Channels: 16, ReLU: true},
			{Op: "conv", Name: "b", Kernel: 1, Stride: 1, Channels: 12, Gain: 1},
		}},
		Audio: model.Tower{Name: "tiny", Dims: 1, In: 5, Layers: []model.Layer{
			{Op: "norm", Name: "n"}, {Op: "conv", Name: "a", Kernel: 3, Stride: 1, Pad: 1, Channels: 16, ReLU: true},
			{Op: "pool", Kernel: 3, Stride: 2, Pad: 1}, {Op: "conv", Name: "b", Kernel: 3, Stride: 1, Pad: 1, Channels: 12},
		}},
		Height: 8, Width: 8, Frames: 48, Length: model.LengthTrue, Similarity: nn.MISA, Scale: .5, Init: model.InitHe,
		Pixels: &model.PixelNorm{Center: 127.5, Scale: 63.75},
	}
}

// tinyData is n photos with two captions each that can be learnt: a photo's
// colour is in the mean of its clip's coefficients.
func tinyData(n int) Data {
	r := rand.New(rand.NewPCG(1, 1))
	var d Data
	var clips minibatch.ClipSlice
	var images minibatch.ImageSlice
	for i := range n {
		pixels := make([]uint8, 8*8*3)
		color := [3]float64{r.Float64(), r.Float64(), r.Float64()}
		for k := range pixels {
			pixels[k] = uint8(255 * min(1, max(0, color[k%3]+.05*r.NormFloat64())))
		}
		images = append(images, minibatch.Image{Pixels: pixels})
		for c := range 2 {
			frames := make([]float32, 5*(10+r.IntN(50)))
			for k := range frames {
				frames[k] = float32(3*color[k%5%3] + .3*r.NormFloat64())
			}
			clips = append(clips, frames)
			p := minibatch.Pair{ID: fmt.Sprintf("p%d#%d", i, c), Photo: fmt.Sprint("p", i), Clip: len(clips) - 1, Image: i}
			if i < n/2 {
				d.Train = append(d.Train, p)
			} else if c == 0 {
				d.Dev = append(d.Dev, p)
			}
		}
	}
	d.Clips, d.Images = clips, images
	return d
}

func tinySettings(steps int64) Settings {
	s := Paper()
	s.Batch, s.Steps, s.LearningRate, s.Bucket, s.Normalize = 6, steps, 3e-3, 16, NormCorpus
	s.Schedule, s.Warmup, s.Floor, s.Seed, s.LogEvery, s.EvalEvery = ScheduleCosine, .1, .01, 11, 4, 8
	return s
}

// bytesOf are the stored model and the curve, all that a run leaves.
func bytesOf(t *testing.T, r *Result) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := errors.Join(r.Model.WriteConfig(&b), r.Model.WriteWeights(&b)); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Curve {
		for _, v := range p.columns() {
			fmt.Fprintf(&b, "%x ", math.Float64bits(v))
		}
	}
	return b.Bytes()
}

func mustTrain(t *testing.T, s Settings, o Options) *Result {
	t.Helper()
	r, err := Train(context.Background(), tinySpec(), tinyData(40), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestLearns: a model learns what there is to learn, and scores it.
func TestLearns(t *testing.T) {
	r := mustTrain(t, tinySettings(300), Options{})
	last := r.Curve[len(r.Curve)-1]
	if first := r.Curve[0].Loss; first < 1.5 || last.Loss > 1.2 {
		t.Errorf("loss went from %v to %v, want from over 1.5 to below 1.2", first, last.Loss)
	}
	if last.P1 < .3 || last.P5 < .8 { // chance is .05 and .25
		t.Errorf("P@1 %v and P@5 %v of 20 unseen photos, want at least .3 and .8", last.P1, last.P5)
	}
	if last.Step != 300 || r.PairsSeen != 1800 || last.Epoch != 50 || r.Model.AudioNorm == nil {
		t.Errorf("the run says step %d, %d pairs, epoch %v", last.Step, r.PairsSeen, last.Epoch)
	}
	if n := len(r.Curve); n != 75 || !math.IsNaN(r.Curve[0].P1) || math.IsNaN(r.Curve[1].P1) {
		t.Errorf("the curve has %d points, P@1 %v and %v", n, r.Curve[0].P1, r.Curve[1].P1)
	}
}

// TestSameBytes: the number of CPUs changes nothing, checkpoints included.
func TestSameBytes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var want, wantFile []byte
	for _, n := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(n)
		dir := t.TempDir()
		got := bytesOf(t, mustTrain(t, tinySettings(20), Options{Dir: dir}))
		file, err := os.ReadFile(filepath.Join(dir, checkpointName(20)))
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			want, wantFile = got, file
		} else if !bytes.Equal(got, want) || !bytes.Equal(file, wantFile) {
			t.Errorf("GOMAXPROCS=%d gives other bytes than 1", n)
		}
	}
}

// TestResume stops a run at every step; the resumed one ends with the same
// bytes.
func TestResume(t *testing.T) {
	const steps = 18
	want := bytesOf(t, mustTrain(t, tinySettings(steps), Options{}))
	for stop := int64(1); stop < steps; stop++ {
		dir := t.TempDir()
		_, err := Train(context.Background(), tinySpec(), tinyData(40), tinySettings(steps), Options{Dir: dir, Stop: stop})
		if !errors.Is(err, ErrStopped) {
			t.Fatalf("stop at %d: %v", stop, err)
		}
		from := int64(-1)
		r := mustTrain(t, tinySettings(steps), Options{Dir: dir, Progress: func(p Progress) {
			if from < 0 {
				from = p.Step
			}
		}})
		if from != stop {
			t.Errorf("stopped at %d, went on from %d", stop, from)
		}
		if !bytes.Equal(bytesOf(t, r), want) {
			t.Errorf("stopped at step %d and resumed: other bytes than undisturbed", stop)
		}
	}
}

// TestResumeOlder: a run killed between checkpoints goes on from the last one;
// a damaged last one is passed over, one of another run too.
func TestResumeOlder(t *testing.T) {
	const steps = 12
	want := bytesOf(t, mustTrain(t, tinySettings(steps), Options{}))
	stopped := func(t *testing.T) string {
		dir := t.TempDir()
		_, err := Train(context.Background(), tinySpec(), tinyData(40), tinySettings(steps), Options{Dir: dir, CheckpointSteps: 3, Stop: 9})
		if !errors.Is(err, ErrStopped) {
			t.Fatal(err)
		}
		names, err := checkpoints(dir)
		if err != nil || !slices.Equal(names, []string{checkpointName(9), checkpointName(6)}) {
			t.Fatalf("checkpoints are %v, %v, want those of steps 9 and 6", names, err)
		}
		return dir
	}
	resume := func(t *testing.T, dir, key string, from int64, warnings int) {
		first, warned := int64(-1), 0
		r := mustTrain(t, tinySettings(steps), Options{Dir: dir, Key: key, Progress: func(p Progress) {
			if p.Warning {
				warned++
			} else if first < 0 {
				first = p.Step
			}
		}})
		if first != from || warned != warnings {
			t.Errorf("went on from %d with %d warnings, want %d and %d", first, warned, from, warnings)
		}
		if !bytes.Equal(bytesOf(t, r), want) {
			t.Error("other bytes than undisturbed")
		}
	}
	newest := func(dir string) string { return filepath.Join(dir, checkpointName(9)) }
	t.Run("missing", func(t *testing.T) {
		dir := stopped(t)
		if err := os.Remove(newest(dir)); err != nil {
			t.Fatal(err)
		}
		resume(t, dir, "", 6, 0)
	})
	t.Run("damaged", func(t *testing.T) {
		dir := stopped(t)
		b, err := os.ReadFile(newest(dir))
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 4
		if err := os.WriteFile(newest(dir), b, 0o644); err != nil {
			t.Fatal(err)
		}
		resume(t, dir, "", 6, 1)
	})
	t.Run("cut off", func(t *testing.T) {
		dir := stopped(t)
		if err := os.Truncate(newest(dir), 1000); err != nil {
			t.Fatal(err)
		}
		resume(t, dir, "", 6, 1)
	})
	t.Run("other data", func(t *testing.T) { resume(t, stopped(t), "other", 4, 2) })
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	_, err := Train(ctx, tinySpec(), tinyData(40), tinySettings(100), Options{Dir: dir, Progress: func(p Progress) {
		if p.Step == 8 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled run returns %v", err)
	}
	if names, err := checkpoints(dir); err != nil || len(names) != 1 || names[0] != checkpointName(8) {
		t.Errorf("it left the checkpoints %v, %v", names, err)
	}
}

// TestCheckpointByTime: with a clock, a checkpoint is written when one is due.
func TestCheckpointByTime(t *testing.T) {
	now := time.Unix(0, 0)
	dir := t.TempDir()
	speeds := 0
	mustTrain(t, tinySettings(20), Options{Dir: dir, CheckpointEvery: time.Hour, Clock: func() time.Time {
		now = now.Add(time.Minute)
		return now
	}, Progress: func(p Progress) {
		if p.Message == "" && p.PairsPerSecond > 0 && (p.Left > 0 || p.Step == 20) {
			speeds++
		}
	}})
	names, err := checkpoints(dir)
	if err != nil || len(names) != 1 || names[0] != checkpointName(20) {
		t.Errorf("checkpoints %v, %v, want the one at the end", names, err)
	}
	if speeds != 5 {
		t.Errorf("the speed was told %d times, want 5", speeds)
	}
}

func TestUntrained(t *testing.T) {
	s := tinySettings(0)
	s.Epochs = 0
	r := mustTrain(t, s, Options{})
	initial, err := model.New[float32](r.Model.Spec, s.Seed)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range initial.Params() {
		if !slices.Equal(p.W, r.Model.Params()[i].W) {
			t.Errorf("%s is not at its initial values", p.Name)
		}
	}
	if len(r.Curve) != 1 || math.IsNaN(r.Curve[0].P10) {
		t.Errorf("the curve of an untrained model is %+v", r.Curve)
	}
}

func TestRunaway(t *testing.T) {
	s := tinySettings(100)
	s.LearningRate, s.Schedule = 1e30, ScheduleConstant
	_, err := Train(context.Background(), tinySpec(), tinyData(40), s, Options{})
	if err == nil || !strings.Contains(err.Error(), "learning rate") {
		t.Errorf("a run whose weights run away returns %v", err)
	}
}

func TestCollapse(t *testing.T) {
	var l loss
	var told []string
	for i := range int64(1000) {
		v := 2.0003
		if i == 200 {
			v = 1.9
		}
		msg, err := l.add(v, 2, i+1)
		if err != nil {
			t.Fatal(err)
		}
		if msg != "" {
			told = append(told, fmt.Sprintf("%d %s", i, msg))
		}
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], "500 ") || !strings.Contains(told[0], "2.000") || !strings.Contains(told[0], "warm-up") {
		t.Errorf("a collapsed run says %q", told)
	}
	if _, err := l.add(math.NaN(), 2, 5); err == nil {
		t.Error("a loss that is no number passed")
	}
}

// TestWild: a loss that stays far above that of a model that knows nothing is
// told of once, one that comes back is not.
func TestWild(t *testing.T) {
	var l loss
	for i := range int64(400) {
		v := 25.
		if i == 99 {
			v = 1
		}
		msg, err := l.add(v, 2, i+1)
		if err != nil {
			t.Fatal(err)
		}
		if (msg != "") != (i == 199) || msg != "" && (!strings.Contains(msg, "over 20 ") || !strings.Contains(msg, "lower learning rate")) {
			t.Errorf("step %d says %q", i, msg)
		}
	}
}

func TestRate(t *testing.T) {
	s := Settings{LearningRate: 2, Schedule: ScheduleCosine, Warmup: .1, Floor: .01}
	for _, c := range []struct {
		step int64
		want float64
	}{{0, .2}, {4, 1}, {9, 2}, {10, 2}, {55, 2 * (.01 + .99*.5)}, {100, .02}} {
		if got := s.rate(c.step, 100, 10); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("rate of step %d of 100 = %v, want %v", c.step, got, c.want)
		}
	}
}

func TestBadSettings(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"batch": func(s *Settings) { s.Batch = 1 }, "learning rate": func(s *Settings) { s.LearningRate = math.NaN() },
		"schedule": func(s *Settings) { s.Schedule = "cosin" }, "loss": func(s *Settings) { s.Loss = "" },
		"batch 100": func(s *Settings) { s.Batch = 100 },
	} {
		s := tinySettings(5)
		change(&s)
		if _, err := Train(context.Background(), tinySpec(), tinyData(40), s, Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
}

// TestCorpusNorm: each clip counts once, whatever the number of its pairs.
func TestCorpusNorm(t *testing.T) {
	clips := minibatch.ClipSlice{{1, 10, 3, 30}, {5, 20}, {100, 100}}
	n, err := corpusNorm([]minibatch.Pair{{Clip: 0}, {Clip: 1}, {Clip: 0}}, clips, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	// All values: 1 10 3 30 5 20, mean 11.5.
	want := math.Sqrt((110.25 + 2.25 + 72.25 + 342.25 + 42.25 + 72.25) / 6)
	if n.Mean[0] != 3 || n.Mean[1] != 20 || math.Abs(n.Std-want) > 1e-12 {
		t.Errorf("norm is %+v, want means 3 and 20, deviation %v", n, want)
	}
	if _, err := corpusNorm([]minibatch.Pair{{Clip: 0}}, minibatch.ClipSlice{{1, 1}}, 2, false); err == nil {
		t.Error("a corpus of one value has a norm")
	}
}

func FuzzCheckpoint(f *testing.F) {
	make1 := func() *checkpoint {
		return &checkpoint{header: checkpointHeader{Key: "k"}, tensors: []tensor{{"a", make([]float32, 3)}, {"b", make([]float32, 1)}}}
	}
	c := make1()
	c.header.Step, c.curve = 5, []CurvePoint{{Step: 5, P1: math.NaN()}}
	var b bytes.Buffer
	if err := c.write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:40])
	f.Add([]byte(checkpointMagic + "\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := make1()
		err := c.read(bytes.NewReader(data), int64(len(data)))
		if err != nil && c.header.Step != 0 {
			t.Error("a broken checkpoint changed the run's step")
		}
	})
}
