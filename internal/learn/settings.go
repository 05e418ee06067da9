package learn

import (
	"errors"
	"fmt"
	"math"
)

// Names that Settings take.
const (
	ScheduleConstant = "constant"
	ScheduleCosine   = "cosine" // linear warm-up, then half a cosine down to the floor
	LossHinge        = "hinge"  // the mean margin loss of the paper
	NormNone         = "none"
	NormCorpus       = "corpus" // minus the mean of each coefficient, divided by one deviation
)

// Settings say how to train. The zero value is not usable: start from
// [Paper].
type Settings struct {
	Batch  int     // pairs a step
	Steps  int64   // to do; 0 is by Epochs, and 0 of both leaves the initial values
	Epochs float64 // passes over the pairs

	LearningRate, Beta1, Beta2, Epsilon float64
	Schedule                            string
	Warmup, Floor                       float64 // shares of the steps and of the rate, for cosine

	Loss      string
	Margin    float64
	Normalize string // of the audio input
	// Bucket cuts a minibatch to its longest clip, rounded up to a multiple of
	// this many frames; 0 always takes all the frames of the model.
	Bucket int
	Seed   uint64

	LogEvery  int64 // steps a point of the curve
	EvalEvery int64 // steps between scores on the development pairs; 0 is only at the end
}

// Paper returns the settings of the paper.
func Paper() Settings {
	return Settings{
		Batch: 4, Epochs: 150, LearningRate: 1e-4, Beta1: .5, Beta2: .9, Epsilon: 1e-8,
		Schedule: ScheduleConstant, Loss: LossHinge, Margin: 1, Normalize: NormNone, LogEvery: 10,
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
	say(s.Schedule != ScheduleConstant && s.Schedule != ScheduleCosine, "schedule %q: want %s or %s", s.Schedule, ScheduleConstant, ScheduleCosine)
	say(!(s.Warmup >= 0 && s.Warmup <= 1 && s.Floor >= 0 && s.Floor <= 1), "warm-up %v and floor %v: want 0 to 1", s.Warmup, s.Floor)
	say(s.Loss != LossHinge, "loss %q: want %s", s.Loss, LossHinge)
	say(!(s.Margin > 0) || math.IsInf(s.Margin, 0), "margin %v: want a positive number", s.Margin)
	say(s.Normalize != NormNone && s.Normalize != NormCorpus, "normalize %q: want %s or %s", s.Normalize, NormNone, NormCorpus)
	say(s.Bucket < 0 || s.LogEvery < 1 || s.EvalEvery < 0, "bucket %d, log every %d, evaluate every %d are out of range", s.Bucket, s.LogEvery, s.EvalEvery)
	return errors.Join(errs...)
}

// rate is the learning rate of a step, the first being 0, of total.
func (s *Settings) rate(step, total int64) float64 {
	if s.Schedule == ScheduleConstant {
		return s.LearningRate
	}
	warm := max(1, int64(s.Warmup*float64(total)))
	if step < warm {
		return s.LearningRate * float64(step+1) / float64(warm)
	}
	gone := float64(step-warm) / float64(max(1, total-warm))
	return s.LearningRate * (s.Floor + (1-s.Floor)*(.5+.5*math.Cos(math.Pi*gone)))
}
