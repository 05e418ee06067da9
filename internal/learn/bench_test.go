package learn

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// benchmarkStep times steps of training on noise.
func benchmarkStep(b *testing.B, spec model.Spec, s Settings, frames func(i int) int) {
	s.Steps, s.LogEvery = 1<<40, 1<<40
	run, err := newRun(spec, noisePairs(spec, max(64, s.Batch), frames), s, Options{})
	if err != nil {
		b.Fatal(err)
	}
	for range max(1, 64/s.Batch) { // see every length once
		if err := run.step(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	run.did = work{}
	before := cpuTime()
	for b.Loop() {
		if err := run.step(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
	b.ReportMetric(run.did.flop/1e9/b.Elapsed().Seconds(), "GFLOP/s")
	b.ReportMetric(float64(run.ws.Bytes())/1e6, "MB-workspace")
}

// noiseData is 64 pairs of noise in the shapes of spec.
func noiseData(spec model.Spec, frames func(i int) int) Data { return noisePairs(spec, 64, frames) }

func noisePairs(spec model.Spec, n int, frames func(i int) int) Data {
	r := rand.New(rand.NewPCG(1, 2))
	var d Data
	var clips minibatch.ClipSlice
	var images minibatch.ImageSlice
	for i := range n {
		x := make([]float32, frames(i)*spec.Audio.In)
		for k := range x {
			x[k] = float32(10 * r.NormFloat64())
		}
		clips = append(clips, x)
		size := spec.Height * spec.Width * spec.Image.In
		if spec.Pixels != nil {
			p := make([]uint8, size)
			for k := range p {
				p[k] = uint8(r.Uint32())
			}
			images = append(images, minibatch.Image{Pixels: p})
		} else {
			h := make([]uint16, size)
			for k := range h {
				h[k] = uint16(r.UintN(0x4400)) // 0 to 4
			}
			images = append(images, minibatch.Image{Half: h})
		}
		d.Train = append(d.Train, minibatch.Pair{ID: string(rune('a' + i)), Photo: string(rune('a' + i)), Clip: i, Image: i})
	}
	d.Clips, d.Images = clips, images
	return d
}

func towers(b testing.TB, image string, o model.HeadOptions, audio string) (i, a model.Tower) {
	i, err := model.ImageTower(image, o)
	if err != nil {
		b.Fatal(err)
	}
	if a, err = model.AudioTower(audio, model.AudioOptions{Coeffs: 40}); err != nil {
		b.Fatal(err)
	}
	return i, a
}

func conv5Spec(b testing.TB) model.Spec { return paperSpec(b, "conv5") }

func paperSpec(b testing.TB, audio string) model.Spec {
	spec := model.Spec{Height: 14, Width: 14, Frames: 1024, Length: model.LengthFixed, Similarity: nn.MISA, Scale: 1, Init: model.InitPyTorch}
	spec.Image, spec.Audio = towers(b, "head", model.HeadOptions{In: 512}, audio)
	return spec
}

// TestConv5SameBytes does two steps of the real model on one CPU and on more.
func TestConv5SameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	spec, s := conv5Spec(t), Paper()
	s.Steps = 2
	data := noiseData(spec, func(i int) int { return 300 + 5*i })
	var want [sha256.Size]byte
	for _, n := range []int{1, 4} {
		runtime.GOMAXPROCS(n)
		dir := t.TempDir()
		if _, err := Train(context.Background(), spec, data, s, Options{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, checkpointName(2)))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); n == 1 {
			want = sum
		} else if sum != want {
			t.Errorf("GOMAXPROCS=%d gives another checkpoint than 1", n)
		}
	}
}

// BenchmarkCheckpoint is saving all of conv5's state, 248 MB.
func BenchmarkCheckpoint(b *testing.B) {
	s := Paper()
	s.Steps = 1
	run, err := newRun(conv5Spec(b), noiseData(conv5Spec(b), func(int) int { return 100 }), s, Options{})
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for b.Loop() {
		if err := run.cp.save(dir); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStepConv5 is a step of the paper: batch 4, 1,024 frames, VGG16's
// features.
func BenchmarkStepConv5(b *testing.B) {
	benchmarkStep(b, conv5Spec(b), Paper(), func(i int) int { return 300 + 5*i })
}

func BenchmarkStepConv6(b *testing.B) { benchmarkPaper(b, "conv6") }
func BenchmarkStepLSTM(b *testing.B)  { benchmarkPaper(b, "lstm") }
func BenchmarkStepGRU(b *testing.B)   { benchmarkPaper(b, "gru") }

func benchmarkPaper(b *testing.B, audio string) {
	benchmarkStep(b, paperSpec(b, audio), Paper(), func(i int) int { return 300 + 5*i })
}

// BenchmarkStepScenes is a step of the demo: batch 32, 64x64 pictures, clips of
// about 335 frames.
func BenchmarkStepScenes(b *testing.B) {
	spec := model.Spec{Height: 64, Width: 64, Frames: 448, Length: model.LengthTrue, Similarity: nn.MISA, Scale: .25, Init: model.InitHe,
		Pixels: &model.PixelNorm{Center: 127.5, Scale: 63.75}}
	spec.Image, spec.Audio = towers(b, "small5", model.HeadOptions{}, "small")
	s := Paper()
	s.Batch, s.Bucket, s.Normalize = 32, 16, NormCorpus
	benchmarkStep(b, spec, s, func(i int) int { return 200 + 4*i })
}

// BenchmarkStepRecipe is a step of hearsight.yaml: batch 128, clips of 304 frames,
// ResNet50's features.
func BenchmarkStepRecipe(b *testing.B) {
	spec := model.Spec{Height: 7, Width: 7, Frames: 512, Length: model.LengthTrue, Similarity: model.SimilarityAttention, Scale: 1, Init: model.InitPyTorch}
	spec.Image, spec.Audio = towers(b, "mlp", model.HeadOptions{In: 1024}, "conv4")
	end := func(rate float64) []model.Layer {
		return []model.Layer{{Op: "dropout", Name: "dropout", Rate: rate}, {Op: "attend", Name: "attention"}, {Op: "linear", Name: "embed", Channels: 512}}
	}
	spec.Image, spec.Audio = spec.Image.With(end(.5)...), spec.Audio.With(end(.4)...)
	s := recipeSettings(1)
	s.Batch, s.SortBatches, s.DropFrames, s.MaskFrames, s.Places, s.Average, s.Keep = 128, 0, 0, 23, 36, 0, KeepLast
	s.EvalEvery = 0
	benchmarkStep(b, spec, s, func(i int) int { return 300 + i%5 })
}

// BenchmarkStepFinetune are steps that train VGG16's last block, from feature
// maps, or all of it, from photos of 224x224.
func BenchmarkStepFinetune(b *testing.B) {
	for name, lastBlock := range map[string]bool{"conv5": true, "all": false} {
		b.Run(name, func(b *testing.B) {
			spec := conv5Spec(b)
			spec.Image, _ = towers(b, "vgg16", model.HeadOptions{LastBlock: lastBlock}, "conv5")
			if spec.Scale = .01; !lastBlock {
				spec.Height, spec.Width, spec.Pixels = 224, 224, &model.PixelNorm{Center: 120, Scale: 60}
			}
			benchmarkStep(b, spec, Paper(), func(i int) int { return 300 + 5*i })
		})
	}
}
