package learn

import (
	"context"
	"math"
	"runtime"
	"testing"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// narrow is a tower with all channels but those of the input divided by so many.
func narrow(t model.Tower, by int) model.Tower {
	t.Layers = append([]model.Layer{}, t.Layers...)
	for i := range t.Layers {
		t.Layers[i].Channels /= by
	}
	return t
}

// narrowSpec is a system of the paper at a sixteenth of its width, or the small
// one.
func narrowSpec(t *testing.T, audio string) model.Spec {
	spec := model.Spec{Height: 3, Width: 3, Frames: 96, Length: model.LengthTrue, Similarity: nn.MISA, Scale: 1, Init: model.InitPyTorch}
	if audio == "small" {
		spec.Height, spec.Width, spec.Pixels = 16, 16, &model.PixelNorm{Center: 127.5, Scale: 63.75}
		spec.Image, spec.Audio = towers(t, "small", model.HeadOptions{}, "small")
		return spec
	}
	image := "head"
	if audio == "conv4" {
		image = "mlp"
	}
	spec.Image, spec.Audio = towers(t, image, model.HeadOptions{In: 8}, audio)
	spec.Image, spec.Audio = narrow(spec.Image, 16), narrow(spec.Audio, 16)
	if audio == "conv4" { // as in our own recipe
		ends := []model.Layer{{Op: "dropout", Name: "dropout", Rate: .4}, {Op: "attend", Name: "attention"}, {Op: "linear", Name: "embed", Channels: 24}}
		spec.Image, spec.Audio, spec.Similarity = spec.Image.With(ends...), spec.Audio.With(ends...), model.SimilarityAttention
	}
	return spec
}

// TestMemory: a step of training takes less than a megabyte of new memory, and
// nothing stays of it.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("under -race, sync.Pool forgets at random")
	}
	const steps = 1000
	for _, audio := range model.AudioNames() {
		t.Run(audio, func(t *testing.T) {
			spec, s := narrowSpec(t, audio), Paper()
			s.Steps, s.Bucket = 1<<40, 32
			if audio == "conv4" {
				s.Places, s.TimeMasks, s.MaskFrames, s.Average, s.Keep = 6, 2, 23, .99, KeepBest
			}
			run, err := newRun(spec, noiseData(spec, func(i int) int { return 20 + i }), s, Options{})
			if err != nil {
				t.Fatal(err)
			}
			do := func(n int) (m runtime.MemStats) {
				for range n {
					if err := run.step(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m
			}
			before := do(50) // every length was seen
			held := run.ws.Bytes()
			// What stays of a step stays in every batch; pools may take a buffer more
			// in one of them, as goroutines change CPUs.
			const batches = 4
			last, least := before, int64(math.MaxInt64)
			for range batches {
				after := do(steps / batches)
				least = min(least, int64(after.HeapAlloc)-int64(last.HeapAlloc))
				last = after
			}
			if a := (last.TotalAlloc - before.TotalAlloc) / steps; a > 1<<20 {
				t.Errorf("a step allocates %d bytes", a)
			}
			if least > 1<<20/batches || run.ws.Bytes() != held {
				t.Errorf("%d more steps leave at least %d bytes in use; the workspace holds %d, before %d",
					steps/batches, least, run.ws.Bytes(), held)
			}
		})
	}
}
