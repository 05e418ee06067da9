package learn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/nn"
)

// Names that Settings take, beside those of package nn: [nn.Losses],
// [nn.Optimizers].
const (
	ScheduleConstant = "constant"
	ScheduleCosine   = "cosine" // linear warm-up, then half a cosine down to the floor
	ScheduleStep     = "step"   // times Decay at every DecayEpochs-th epoch, counted from 1
	ScheduleCyclic   = "cyclic" // up from the floor and down again in CycleEpochs, by a cosine (Merkx et al. 2019)

	NormNone   = "none"
	NormCorpus = "corpus"       // minus the mean of each coefficient or channel, divided by one deviation (of each network)
	NormCoeffs = "coefficients" // divided by the deviation of each

	SamplePairs  = "pairs"  // an epoch shows each pair once
	SamplePhotos = "photos" // an epoch shows each photo once, with one of its captions in turn

	KeepLast = "last" // the model as it is at the end
	KeepBest = "best" // as it was when it scored best on the development pairs
)

// Schedules lists the schedules of the learning rate.
func Schedules() []string {
	return []string{ScheduleConstant, ScheduleCosine, ScheduleStep, ScheduleCyclic}
}

// Settings say how to train. The zero value is not usable: start from
// [Paper].
type Settings struct {
	Batch  int     // pairs a step
	Steps  int64   // to do; 0 is by Epochs, and 0 of both leaves the initial values
	Epochs float64 // passes over the pairs

	LearningRate          float64
	Optimizer             string
	Beta1, Beta2, Epsilon float64 // of adam, adamw, amsgrad
	Momentum, WeightDecay float64
	DecayMatrices         bool    // weight decay leaves biases and norms alone
	ClipNorm              float64 // longest gradient; 0: as long as it is

	Schedule    string
	Warmup      float64 // share of the steps, for cosine
	Floor       float64 // share of the rate, for cosine and cyclic
	Decay       float64 // for step
	DecayEpochs int
	CycleEpochs float64

	Loss        string
	Margin      float64
	Temperature float64 // of infonce
	Normalize   string  // of the audio input
	NormMaps    string  // of feature maps: none or corpus
	// Bucket cuts a minibatch to its longest clip, rounded up to a multiple of
	// this many frames; 0 always takes all the frames of the model.
	Bucket int
	Seed   uint64

	Sampler     string
	SortBatches int // photos: minibatches sorted by length together; 0: none

	Speed float64 // a clip is up to this much faster or slower than it was spoken: 0 to less than 1
	Noise float64 // deviation of Gaussian noise on the audio tower's input

	DropFrames            int // at most, off a clip's front
	TimeMasks, MaskFrames int // a clip, each of at most so many frames
	Places                int // of a feature map that a step sees; 0: all

	// Average is the decay of the mean of the weights that is scored and kept
	// (Kingma and Ba 2015, section 7.2);
	// 0 keeps the weights themselves.
	Average  float64
	Keep     string
	Patience int // scores in a row that are not the best so far, after which training ends; 0: never

	LogEvery  int64 // steps a point of the curve
	EvalEvery int64 // steps between scores on the development pairs; 0 is only at the end
}

// Paper returns the settings of the paper.
func Paper() Settings {
	return Settings{
		Batch: 4, Epochs: 150, LearningRate: 1e-4, Optimizer: nn.Adam, Beta1: .5, Beta2: .9, Epsilon: 1e-8,
		Schedule: ScheduleConstant, Loss: nn.LossHinge, Margin: 1, Temperature: 1, Normalize: NormNone, NormMaps: NormNone, LogEvery: 10,
		Sampler: SamplePairs, Keep: KeepLast,
	}
}

func (s *Settings) check() error {
	var errs []error
	say := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	say(s.Batch < 2, "batch %d: want at least 2 pairs", s.Batch)
	say(s.Steps < 0 || !(s.Epochs >= 0) || s.Epochs > 1e6, "%d steps, %v epochs: want 0 or more", s.Steps, s.Epochs)
	say(!(s.LearningRate > 0) || math.IsInf(s.LearningRate, 0), "learning rate %v: want a positive number", s.LearningRate)
	say(!(s.Beta1 >= 0 && s.Beta1 < 1 && s.Beta2 >= 0 && s.Beta2 < 1), "betas %v and %v: want 0 to less than 1", s.Beta1, s.Beta2)
	say(!(s.Epsilon > 0), "epsilon %v: want a positive number", s.Epsilon)
	sayName := func(what, name string, have []string) {
		say(!slices.Contains(have, name), "%s %q is not known (have %s)", what, name, strings.Join(have, ", "))
	}
	sayName("optimizer", s.Optimizer, nn.Optimizers())
	sayName("schedule", s.Schedule, Schedules())
	sayName("loss", s.Loss, nn.Losses())
	say(!(s.Momentum >= 0 && s.Momentum < 1) || !(s.WeightDecay >= 0) || !(s.WeightDecay*s.LearningRate < 1), "momentum %v and weight decay %v are out of range", s.Momentum, s.WeightDecay)
	say(!(s.ClipNorm >= 0), "clip norm %v: want a positive number, or 0 for none", s.ClipNorm)
	say(s.Schedule == ScheduleStep && (!(s.Decay > 0 && s.Decay <= 1) || s.DecayEpochs < 1), "schedule step: decay %v every %d epochs: want over 0 to 1, and at least 1", s.Decay, s.DecayEpochs)
	say(s.Schedule == ScheduleCyclic && (!(s.CycleEpochs > 0) || s.CycleEpochs > 1e6), "schedule cyclic: cycles of %v epochs: want a positive number", s.CycleEpochs)
	say(!(s.Warmup >= 0 && s.Warmup <= 1 && s.Floor >= 0 && s.Floor <= 1), "warm-up %v and floor %v: want 0 to 1", s.Warmup, s.Floor)
	say(!(s.Margin > 0) || math.IsInf(s.Margin, 0), "margin %v: want a positive number", s.Margin)
	say(s.Loss == nn.LossInfoNCE && (!(s.Temperature > 0) || math.IsInf(s.Temperature, 0)), "temperature %v: want a positive number", s.Temperature)
	sayName("normalize", s.Normalize, []string{NormNone, NormCorpus, NormCoeffs})
	sayName("norm of feature maps", s.NormMaps, []string{NormNone, NormCorpus})
	sayName("sampler", s.Sampler, []string{SamplePairs, SamplePhotos})
	sayName("keep", s.Keep, []string{KeepLast, KeepBest})
	say(s.SortBatches < 0 || s.SortBatches > 0 && s.Sampler != SamplePhotos, "sorting %d minibatches: want 0 or more, of sampler %s", s.SortBatches, SamplePhotos)
	say(s.DropFrames < 0 || s.TimeMasks < 0 || s.MaskFrames < 0 || s.Places < 0, "%d frames dropped, %d masks of %d frames, %d places: want 0 or more", s.DropFrames, s.TimeMasks, s.MaskFrames, s.Places)
	say(!(s.Speed >= 0 && s.Speed < 1), "speed %v: want 0 to less than 1", s.Speed)
	say(!(s.Noise >= 0) || math.IsInf(s.Noise, 0), "noise %v: want 0 or more", s.Noise)
	say(!(s.Average >= 0 && s.Average < 1), "average %v: want 0 to less than 1", s.Average)
	say(s.Patience < 0 || s.Patience > 0 && s.EvalEvery == 0, "patience %d: want 0 or more, and scores on the way", s.Patience)
	say(s.Bucket < 0 || s.LogEvery < 1 || s.EvalEvery < 0, "bucket %d, log every %d, evaluate every %d are out of range", s.Bucket, s.LogEvery, s.EvalEvery)
	return errors.Join(errs...)
}

func (s *Settings) loss() nn.Loss {
	return nn.Loss{Kind: s.Loss, Margin: s.Margin, Temperature: s.Temperature}
}

func (s *Settings) perturb() minibatch.Perturb {
	return minibatch.Perturb{Speed: s.Speed, Noise: s.Noise, DropFrames: s.DropFrames, TimeMasks: s.TimeMasks, MaskFrames: s.MaskFrames, Places: s.Places}
}

// sampler is the order of data's pairs.
func (s *Settings) sampler(data Data, coeffs int) (*minibatch.Sampler, error) {
	if s.Sampler != SamplePhotos {
		return minibatch.NewSampler(data.Train, s.Batch, s.Seed)
	}
	return minibatch.NewPhotoSampler(data.Train, s.Batch, s.Seed, s.SortBatches, func(clip int) (int, error) {
		x, err := data.Clips.Frames(clip)
		return len(x) / coeffs, err
	})
}

func (s *Settings) optimizer() nn.OptimizerOptions {
	return nn.OptimizerOptions{Kind: s.Optimizer, Beta1: s.Beta1, Beta2: s.Beta2, Epsilon: s.Epsilon, Momentum: s.Momentum, WeightDecay: s.WeightDecay, DecayMatrices: s.DecayMatrices}
}

// rate is the learning rate of a step, the first being 0, of total, with so many
// in an epoch.
func (s *Settings) rate(step, total, perEpoch int64) float64 {
	switch s.Schedule {
	case ScheduleStep:
		epoch := 1 + step/perEpoch
		return s.LearningRate * math.Pow(s.Decay, float64(epoch/int64(s.DecayEpochs)))
	case ScheduleCyclic:
		at := float64(step) / max(1, math.Round(s.CycleEpochs*float64(perEpoch)))
		low := s.LearningRate * s.Floor
		return low + (s.LearningRate-low)*.5*(math.Cos(math.Pi*(1+2*at))+1)
	case ScheduleConstant:
		return s.LearningRate
	}
	warm := max(1, int64(s.Warmup*float64(total)))
	if step < warm {
		return s.LearningRate * float64(step+1) / float64(warm)
	}
	gone := float64(step-warm) / float64(max(1, total-warm))
	return s.LearningRate * (s.Floor + (1-s.Floor)*(.5+.5*math.Cos(math.Pi*gone)))
}
