package learn

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// benchmarkStep times steps of training on noise: clips of the given frames,
// pictures as the model takes them.
func benchmarkStep(b *testing.B, spec model.Spec, s Settings, frames func(i int) int) {
	const n = 64
	r := rand.New(rand.NewPCG(1, 2))
	var d Data
	var clips ClipSlice
	var images ImageSlice
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
			images = append(images, Image{Pixels: p})
		} else {
			h := make([]uint16, size)
			for k := range h {
				h[k] = uint16(r.UintN(0x4400)) // 0 to 4
			}
			images = append(images, Image{Half: h})
		}
		d.Train = append(d.Train, Pair{ID: string(rune('a' + i)), Photo: string(rune('a' + i)), Clip: i, Image: i})
	}
	d.Clips, d.Images = clips, images
	s.Steps = 1 << 40
	run, err := newRun(spec, d, s, Options{})
	if err != nil {
		b.Fatal(err)
	}
	for range 16 { // see every length once
		if err := run.step(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := run.step(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(run.ws.Bytes())/1e6, "MB-workspace")
}

func towers(b *testing.B, image string, o model.HeadOptions, audio string) (i, a model.Tower) {
	i, err := model.ImageTower(image, o)
	if err != nil {
		b.Fatal(err)
	}
	if a, err = model.AudioTower(audio, 40); err != nil {
		b.Fatal(err)
	}
	return i, a
}

// BenchmarkStepConv5 is a step of the paper: batch 4, 1,024 frames, VGG16's
// features.
func BenchmarkStepConv5(b *testing.B) {
	spec := model.Spec{Height: 14, Width: 14, Frames: 1024, Length: model.LengthFixed, Similarity: nn.MISA, Scale: 1, Init: model.InitPyTorch}
	spec.Image, spec.Audio = towers(b, "head", model.HeadOptions{In: 512}, "conv5")
	s := Paper()
	benchmarkStep(b, spec, s, func(i int) int { return 300 + 5*i })
}

// BenchmarkStepScenes is a step of the demo: batch 16, 64x64 pictures, clips of
// about 335 frames.
func BenchmarkStepScenes(b *testing.B) {
	spec := model.Spec{Height: 64, Width: 64, Frames: 448, Length: model.LengthTrue, Similarity: nn.MISA, Scale: .25, Init: model.InitHe,
		Pixels: &model.PixelNorm{Center: 127.5, Scale: 63.75}}
	spec.Image, spec.Audio = towers(b, "small", model.HeadOptions{}, "small")
	s := Paper()
	s.Batch, s.Bucket, s.Normalize = 16, 16, NormCorpus
	benchmarkStep(b, spec, s, func(i int) int { return 200 + 4*i })
}
