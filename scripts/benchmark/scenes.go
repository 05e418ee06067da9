package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// sceneSteps are the steps of a repetition of trainScenes.
const sceneSteps = 16

// trainScenes does steps of the demo's training, whose layers are small, on
// noise: batch 32, pictures of 64x64, clips of about 335 frames. The figure is
// the products as written, so that its share of the FMA peak says how busy the
// cores are.
func trainScenes(s *sample, reps int) error {
	const coeffs, batch, warm = 40, 32, 2
	image, err := model.ImageTower("small5", model.HeadOptions{})
	if err != nil {
		return err
	}
	audio, err := model.AudioTower("small", model.AudioOptions{Coeffs: coeffs})
	if err != nil {
		return err
	}
	spec := model.Spec{
		Image: image, Audio: audio, Height: 64, Width: 64, Frames: 448, Length: model.LengthTrue, Similarity: nn.MISA, Scale: .25, Init: model.InitHe,
		Pixels: &model.PixelNorm{Center: 127.5, Scale: 63.75},
	}
	settings := learn.Paper()
	settings.Batch, settings.Bucket, settings.Normalize = batch, 16, learn.NormCorpus
	settings.Steps, settings.LogEvery = int64(reps+warm)*sceneSteps, sceneSteps
	var l lap
	var most, mostCPU float64
	points := 0
	watch := func(p learn.Progress) {
		if p.Message != "" {
			return
		}
		_, cpu := l.seconds()
		if points++; points > warm { // the first steps build the graphs
			did := p.GFLOPPerSecond * sceneSteps * batch / p.PairsPerSecond
			s.Values, s.CPU = append(s.Values, p.GFLOPPerSecond), append(s.CPU, cpu)
			if most > 0 && cpu > 0 {
				s.Peak, s.PerCPU = append(s.Peak, most), append(s.PerCPU, did/cpu/mostCPU)
			}
		}
		most, mostCPU = peak(runtime.GOMAXPROCS(0)) // between what the clock of training sees
		l = start()
	}
	r, err := learn.Train(context.Background(), spec, noiseScenes(2*batch, coeffs), settings, learn.Options{Clock: time.Now, Progress: watch})
	if err != nil {
		return err
	}
	if len(s.Values) != reps {
		return fmt.Errorf("saw %d repetitions, want %d", len(s.Values), reps)
	}
	s.Parameters, s.Frames = r.Model.Size(), audio.Steps(spec.Frames)
	return nil
}

// noiseScenes is n pairs of noise in the shapes of drawn scenes.
func noiseScenes(n, coeffs int) learn.Data {
	var d learn.Data
	var clips minibatch.ClipSlice
	var images minibatch.ImageSlice
	r := rand.New(rand.NewPCG(5, 6))
	for i := range n {
		clip := make([]float32, (200+r.IntN(270))*coeffs)
		for k := range clip {
			clip[k] = float32(10 * r.NormFloat64())
		}
		pixels := make([]uint8, 64*64*3)
		for k := range pixels {
			pixels[k] = uint8(r.Uint32())
		}
		clips, images = append(clips, clip), append(images, minibatch.Image{Pixels: pixels})
		name := fmt.Sprint(i)
		d.Train = append(d.Train, minibatch.Pair{ID: name, Photo: name, Clip: i, Image: i})
	}
	d.Clips, d.Images = clips, images
	return d
}
