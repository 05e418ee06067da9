package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/x448/float16"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/internal/similarity"
)

// featureBatch is how many pictures are put through a frozen network at a time,
// each on a CPU, as the features stage does.
const featureBatch = 4

// features puts pictures through a frozen network with random weights.
func features(net string) func(s *sample, reps int) error {
	return func(s *sample, reps int) error {
		o := model.FrozenOptions{Init: model.InitRandom, Seed: 1}
		if net == "resnet50" {
			o.Stride, o.Stage = model.StrideConv2, 4 // torchvision's
		}
		f, err := model.OpenFrozen(net, "", o)
		if err != nil {
			return err
		}
		const side = 224
		pictures := make([]uint8, featureBatch*side*side*3)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range pictures {
			pictures[i] = uint8(r.Uint32())
		}
		var errs [featureBatch]error
		return s.repeat(reps, func(sec float64) float64 { return featureBatch / sec }, func() error {
			kernel.Parallel(featureBatch, func(i int) {
				var h, w int
				if _, h, w, errs[i] = f.Features(pictures[i*side*side*3:][:side*side*3], side, side); i == 0 {
					s.Out = []int{featureBatch, h, w, f.Out}
				}
			})
			for _, err := range errs {
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// frames is the length of the clips that training sees: the model's whole input,
// none of it padding.
const frames = 1024

// train does steps of training as the train stage does, on noise: feature maps
// and clips in the shapes of the paper.
func train(tower string, batch int) func(s *sample, reps int) error {
	return func(s *sample, reps int) error {
		const coeffs = 40
		image, err := model.ImageTower("head", model.HeadOptions{In: 512})
		if err != nil {
			return err
		}
		audio, err := model.AudioTower(tower, model.AudioOptions{Coeffs: coeffs})
		if err != nil {
			return err
		}
		spec := model.Spec{
			Image: image, Audio: audio, Height: 14, Width: 14, Frames: frames,
			Length: model.LengthFixed, Similarity: nn.MISA, Scale: 1, Init: model.InitPyTorch,
		}
		const warm = 2 // the first step builds the graph
		settings := learn.Paper()
		settings.Batch, settings.Steps, settings.LogEvery = batch, int64(reps+warm), 1
		steps, l := 0, start()
		watch := func(p learn.Progress) {
			if p.Message != "" {
				return
			}
			wall, cpu := l.seconds()
			if steps++; steps > warm && steps <= reps+warm {
				s.Values, s.CPU = append(s.Values, wall), append(s.CPU, cpu)
			}
			l = start()
		}
		r, err := learn.Train(context.Background(), spec, noisePairs(batch+4, coeffs), settings, learn.Options{Progress: watch})
		if err != nil {
			return err
		}
		if len(s.Values) != reps {
			return fmt.Errorf("saw %d steps, want %d", len(s.Values), reps)
		}
		s.Parameters, s.Frames = r.Model.Size(), audio.Steps(frames)
		return nil
	}
}

// noisePairs is n pairs of noise: feature maps 14x14x512 after a ReLU, and clips.
func noisePairs(n, coeffs int) learn.Data {
	var d learn.Data
	var clips minibatch.ClipSlice
	var images minibatch.ImageSlice
	r := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		clip := make([]float32, frames*coeffs)
		for k := range clip {
			clip[k] = float32(10 * r.NormFloat64())
		}
		half := make([]uint16, 14*14*512)
		for k := range half {
			half[k] = float16.Fromfloat32(float32(max(0, r.NormFloat64()))).Bits()
		}
		clips, images = append(clips, clip), append(images, minibatch.Image{Half: half})
		name := fmt.Sprint(i)
		d.Train = append(d.Train, minibatch.Pair{ID: name, Photo: name, Clip: i, Image: i})
	}
	d.Clips, d.Images = clips, images
	return d
}

// Pictures and clips of the similarity matrix, and frames of a clip.
const (
	misaItems  = 300
	misaFrames = 64
)

// misa scores all pictures with all clips as the eval stage does, of towers that
// hand their input on: what is left is the similarity.
func misa(trueLengths bool) func(s *sample, reps int) error {
	return func(s *sample, reps int) error {
		const side = 14
		spec := model.Spec{
			Image:  model.Tower{Name: "none", Dims: 2, In: model.Dim},
			Audio:  model.Tower{Name: "none", Dims: 1, In: model.Dim},
			Height: side, Width: side, Frames: misaFrames,
			Length: model.LengthTrue, Similarity: nn.MISA, Scale: 1, Init: model.InitPyTorch,
		}
		// A pool of one place changes nothing; a tower needs a layer.
		spec.Image.Layers = []model.Layer{{Op: "pool", Kernel: 1, Stride: 1}}
		spec.Audio.Layers = spec.Image.Layers
		m, err := model.New[float32](spec, 1)
		if err != nil {
			return err
		}
		scorer, err := similarity.NewScorer(m)
		if err != nil {
			return err
		}
		r, all := rand.New(rand.NewPCG(5, 6)), make([]int, misaItems)
		var clips minibatch.ClipSlice
		var images minibatch.ImageSlice
		for i := range misaItems {
			all[i] = i
			n := misaFrames
			if trueLengths {
				// 2.3 to 6.8 s, 4.6 s on average: spoken captions of Flickr8k, a
				// frame of the audio tower's output being 160 ms.
				n = 14 + i*29%(2*(29-14)+1)
			}
			clip, half := make([]float32, n*model.Dim), make([]uint16, side*side*model.Dim)
			for k := range clip {
				clip[k] = float32(r.NormFloat64())
			}
			for k := range half {
				half[k] = float16.Fromfloat32(float32(r.NormFloat64())).Bits()
			}
			clips, images = append(clips, clip), append(images, minibatch.Image{Half: half})
		}
		// No warming up: the peer has none.
		for range reps {
			l := start()
			if _, err := scorer.Similarities(context.Background(), all, images, all, clips); err != nil {
				return err
			}
			wall, cpu := l.seconds()
			s.Values, s.CPU = append(s.Values, wall), append(s.CPU, cpu)
		}
		s.Frames = misaFrames
		return nil
	}
}
