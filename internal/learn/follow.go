package learn

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/hearsight/hearsight/internal/retrieval"
	"github.com/hearsight/hearsight/internal/similarity"
)

// point describes where the run is, without loss and scores.
func (r *run) point() CurvePoint {
	step := r.cp.header.Step
	p := CurvePoint{Step: step, PairsSeen: step * int64(r.settings.Batch), P1: math.NaN(), P5: math.NaN(), P10: math.NaN(), Loss: math.NaN()}
	if r.sampler != nil {
		p.Epoch = float64(step) / float64(r.sampler.StepsPerEpoch())
		p.LearningRate = r.settings.rate(max(0, step-1), r.total, r.sampler.StepsPerEpoch())
	}
	return p
}

// log adds a point to the curve where one is due, and shows it.
func (r *run) log(ctx context.Context) error {
	step := r.cp.header.Step
	evaluate := r.settings.EvalEvery > 0 && step%r.settings.EvalEvery == 0 || step == r.total
	if !evaluate && step%r.settings.LogEvery != 0 {
		return nil
	}
	p := r.point()
	p.Loss = r.cp.header.Loss.take()
	show := Progress{Steps: r.total}
	r.speed(&show)
	if evaluate {
		if err := r.score(ctx, &p); err != nil {
			return err
		}
	}
	r.cp.curve = append(r.cp.curve, p)
	show.CurvePoint = p
	r.o.Progress(show)
	if ends := r.kept.scored(&r.cp.header.Best, p); ends != "" {
		r.o.Progress(Progress{CurvePoint: r.point(), Steps: r.total, Message: ends})
	}
	r.shown = r.now() // scoring is not the speed of training
	return nil
}

// score measures P@k on the development pairs.
func (r *run) score(ctx context.Context, p *CurvePoint) error {
	if len(r.data.Dev) == 0 {
		return nil
	}
	if r.scorer == nil {
		var err error
		if r.scorer, err = similarity.NewScorer(r.kept.now()); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	images, clips, imageOf := similarity.Candidates(r.data.Dev)
	m, err := r.scorer.Similarities(ctx, images, r.data.Images, clips, r.data.Clips)
	if err != nil {
		return fmt.Errorf("train: development pairs: %w", err)
	}
	ranks, err := m.Ranks(retrieval.SpeechToImage, imageOf)
	if err != nil {
		return fmt.Errorf("train: development pairs: %w", err)
	}
	s := retrieval.Summarize(ranks)
	p.P1, p.P5, p.P10 = s.P1, s.P5, s.P10
	return nil
}

// finish scores a model that was not trained, and says how fast one was.
func (r *run) finish(ctx context.Context) error {
	if r.total > 0 {
		if r.all.spent > 0 {
			pairs, gflop := r.all.rates(r.settings.Batch)
			show := Progress{CurvePoint: r.point(), Steps: r.total, PairsPerSecond: pairs, GFLOPPerSecond: gflop}
			show.Message = fmt.Sprintf("%d steps at %.4g pairs/s, %.4g GFLOP/s, in %v", r.all.steps, pairs, gflop, r.all.spent.Round(time.Second/10))
			r.o.Progress(show)
		}
		return r.save()
	}
	p := r.point()
	if err := r.score(ctx, &p); err != nil {
		return err
	}
	r.cp.curve = []CurvePoint{p}
	r.o.Progress(Progress{CurvePoint: p, Message: "initial values, not trained"})
	return nil
}

func (r *run) now() time.Time {
	if r.o.Clock == nil {
		return time.Time{}
	}
	return r.o.Clock()
}

func (r *run) startClock() {
	r.saved, r.shown = r.now(), r.now()
}

// work is how much was done in how long.
type work struct {
	steps int64
	flop  float64
	spent time.Duration
}

// speed fills in how fast training is and the time left.
func (r *run) speed(p *Progress) {
	did := r.did
	did.spent = r.now().Sub(r.shown)
	r.did = work{}
	if r.o.Clock == nil || did.spent <= 0 || did.steps <= 0 {
		return
	}
	r.all = work{r.all.steps + did.steps, r.all.flop + did.flop, r.all.spent + did.spent}
	p.PairsPerSecond, p.GFLOPPerSecond = did.rates(r.settings.Batch)
	p.Left = time.Duration(float64(did.spent) / float64(did.steps) * float64(r.total-r.cp.header.Step))
}

func (w work) rates(batch int) (pairs, gflop float64) {
	return float64(w.steps*int64(batch)) / w.spent.Seconds(), w.flop / 1e9 / w.spent.Seconds()
}

func (r *run) checkpointDue() bool {
	if r.o.Dir == "" || r.cp.header.Step == r.total {
		return false
	}
	if n := r.o.CheckpointSteps; n > 0 && r.cp.header.Step%n == 0 {
		return true
	}
	if r.o.CheckpointEvery <= 0 || r.o.Clock == nil || r.now().Sub(r.saved) < r.o.CheckpointEvery {
		return false
	}
	r.saved = r.now()
	return true
}
