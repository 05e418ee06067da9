package learn

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
	"strconv"
	"testing"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// resumeSteps are the steps of an undisturbed run, resumeKills how often one is
// killed.
const resumeSteps, resumeKills = 24, 10

// TestResumeParts kills runs at ten random steps each, one kill after another,
// also between checkpoints and on another number of cores. Each ends with the
// bytes of an undisturbed one. The runs together have every audio tower, every
// loss, optimizer, schedule, sampler, norm and perturbation, pictures that look
// different to each step, the mean of the weights, the best model and an early
// end. HEARSIGHT_SEED draws other steps.
func TestResumeParts(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	seed := uint64(1)
	if text := os.Getenv("HEARSIGHT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	names := append(model.AudioNames(), "both ways")
	used := map[string]bool{}
	for i := range max(len(names), len(nn.Losses()), len(nn.Optimizers())) {
		name := names[i%len(names)]
		s := resumeSettings(i)
		for _, v := range []any{name, s.Loss, s.Optimizer, s.Schedule, s.Sampler, "norm " + s.Normalize, "keep " + s.Keep} {
			used[fmt.Sprint(v)] = true
		}
		t.Run(fmt.Sprintf("%s %s %s %s", name, s.Loss, s.Optimizer, s.Schedule), func(t *testing.T) {
			spec := resumeSpec(t, name)
			if spec.Pixels == nil {
				s.NormMaps = []string{NormNone, NormCorpus}[i%2]
				if spec.Image.Pointwise() {
					s.Places = 6
				}
			}
			resumeKilled(t, spec, s, rand.New(rand.NewPCG(seed, uint64(i))))
		})
	}
	for _, name := range slices.Concat(names, nn.Losses(), nn.Optimizers(), Schedules(), []string{
		SamplePairs, SamplePhotos, "norm " + NormNone, "norm " + NormCorpus, "norm " + NormCoeffs, "keep " + KeepLast, "keep " + KeepBest,
	}) {
		if !used[name] {
			t.Errorf("no run has %s", name)
		}
	}
}

// resumeSettings are the i-th mix of parts.
func resumeSettings(i int) Settings {
	s := Paper()
	s.Batch, s.Steps, s.LearningRate, s.Seed, s.LogEvery, s.EvalEvery = 6, resumeSteps, 1e-3, uint64(i), 2, 3
	s.Loss, s.Optimizer, s.Schedule = nn.Losses()[i%len(nn.Losses())], nn.Optimizers()[i%len(nn.Optimizers())], Schedules()[i%len(Schedules())]
	s.Temperature, s.WeightDecay, s.DecayMatrices, s.ClipNorm = .07, .01, i%2 == 0, []float64{0, 5}[i%2]
	switch s.Schedule {
	case ScheduleCosine:
		s.Warmup, s.Floor = .2, .1
	case ScheduleStep:
		s.Decay, s.DecayEpochs = .5, 1
	case ScheduleCyclic:
		s.CycleEpochs = 1.5
	}
	if s.Optimizer == nn.SGD || s.Optimizer == nn.Nesterov {
		s.Momentum = .9
	}
	s.Normalize, s.Bucket = []string{NormNone, NormCorpus, NormCoeffs}[i%3], []int{0, 16}[i%2]
	if i%3 > 0 {
		s.Sampler, s.SortBatches = SamplePhotos, 2*(i%3-1)
	}
	if i%4 > 0 {
		s.DropFrames, s.TimeMasks, s.MaskFrames, s.Speed, s.Noise = 3, 2, 5, .2, .1
	}
	if i%3 < 2 {
		s.Average = .9
	}
	if i%2 == 0 {
		s.Keep = KeepBest
	}
	if i%4 == 0 {
		s.Patience = 4
	}
	return s
}

func resumeSpec(t *testing.T, name string) model.Spec {
	if name != "both ways" {
		return narrowSpec(t, name)
	}
	spec := narrowSpec(t, "lstm")
	for i, l := range spec.Audio.Layers {
		if nn.Gates(l.Op) > 0 {
			spec.Audio.Layers[i].Channels, spec.Audio.Layers[i].Bidirectional = l.Channels/2, true
		}
	}
	spec.Similarity = nn.SIMA
	return spec
}

// resumeKilled compares a run that is killed again and again with one that is
// not.
func resumeKilled(t *testing.T, spec model.Spec, s Settings, r *rand.Rand) {
	data := noiseData(spec, func(i int) int { return 20 + i })
	for i := range data.Train { // two captions a photo
		p := &data.Train[i]
		p.Photo, p.Image = fmt.Sprint(i/2), i/2
	}
	data.Train, data.Dev = data.Train[:48], data.Train[48:]
	options := func() Options {
		return Options{
			Start: func(m *model.Model[float32]) error { m.Params()[0].W[0] += .01; return nil },
			View: func(epoch int64, p minibatch.Pair, img minibatch.Image) (minibatch.Image, error) {
				changed := minibatch.Image{Half: slices.Clone(img.Half), Pixels: slices.Clone(img.Pixels)}
				for k := range changed.Pixels {
					changed.Pixels[k] += uint8(epoch) + uint8(p.Clip)
				}
				for k := range changed.Half {
					changed.Half[k] ^= uint16(epoch) + uint16(p.Clip)
				}
				return changed, nil
			},
		}
	}
	whole, err := Train(context.Background(), spec, data, s, options())
	if err != nil {
		t.Fatal(err)
	}
	stops := r.Perm(int(whole.Steps))[:min(resumeKills, int(whole.Steps))]
	slices.Sort(stops)
	o := options()
	o.Dir = t.TempDir()
	for _, stop := range stops {
		if stop == 0 { // Stop 0 is never
			continue
		}
		o.Stop, o.CheckpointSteps = int64(stop), int64(r.IntN(4))
		runtime.GOMAXPROCS(1 + r.IntN(3))
		if _, err := Train(context.Background(), spec, data, s, o); !errors.Is(err, ErrStopped) {
			t.Fatalf("to be stopped at %d: %v", o.Stop, err)
		}
		if saved, err := checkpoints(o.Dir); err != nil {
			t.Fatal(err)
		} else if len(saved) > 1 && r.IntN(2) == 0 { // as if it had been killed before it was written
			if err := os.Remove(filepath.Join(o.Dir, saved[0])); err != nil {
				t.Fatal(err)
			}
		}
	}
	o.Stop = 0
	resumed, err := Train(context.Background(), spec, data, s, o)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytesOf(t, resumed), bytesOf(t, whole)) {
		t.Errorf("killed after steps %v: other bytes than the %d steps undisturbed", stops, whole.Steps)
	}
}
