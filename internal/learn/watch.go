package learn

import (
	"fmt"
	"math"
	"time"
)

// A CurvePoint is one point of the learning curve. It holds no clock.
type CurvePoint struct {
	Step         int64 // steps done
	Epoch        float64
	PairsSeen    int64
	Loss         float64 // mean of the steps since the point before
	LearningRate float64 // of the last step
	P1, P5, P10  float64 // speech -> image on the development pairs; NaN where not measured
}

func (p CurvePoint) columns() [curveColumns]float64 {
	return [curveColumns]float64{float64(p.Step), p.Epoch, float64(p.PairsSeen), p.Loss, p.LearningRate, p.P1, p.P5, p.P10}
}

func pointOf(c [curveColumns]float64) CurvePoint {
	return CurvePoint{Step: int64(c[0]), Epoch: c[1], PairsSeen: int64(c[2]), Loss: c[3], LearningRate: c[4], P1: c[5], P5: c[6], P10: c[7]}
}

// Progress is what Options.Progress is told, at every point of the curve and
// when there is something to say.
type Progress struct {
	CurvePoint
	Steps          int64         // in all
	PairsPerSecond float64       // since the last call; 0 where no clock is given
	GFLOPPerSecond float64       // of the products of layers and similarities, as written; likewise
	Left           time.Duration // for the steps left, at that speed
	Message        string        // something a person should read, once
	Warning        bool          // the message is a warning
}

// loss is what a run remembers of its losses: it is part of a checkpoint.
type loss struct {
	Sum   float64 `json:"sum"` // of the steps since the last point of the curve
	Count int64   `json:"count"`
	Stuck int64   `json:"stuck"` // steps in a row at the loss of a collapsed model
	Told  bool    `json:"told"`
	Wild  int64   `json:"wild"` // steps in a row far above the loss of a collapsed model
}

// A run is taken for one whose weights run away after this many steps in a row
// at over so many times the loss of a model that knows nothing.
const (
	wildSteps = 100
	wildTimes = 10
)

// wild counts a step in, and returns a warning the moment they are enough.
func (l *loss) wild(v, collapsed float64) (warning string) {
	if !(v > wildTimes*collapsed) {
		l.Wild = 0
		return ""
	}
	if l.Wild++; l.Wild != wildSteps {
		return ""
	}
	return fmt.Sprintf("the loss has been over %.4g for %d steps, that of a model that knows nothing is %.4g: the weights are running away. "+
		"Try a lower learning rate, a warm-up (schedule: cosine), clip_norm, or an input that is normalised", wildTimes*collapsed, l.Wild, collapsed)
}

// A model is taken for collapsed after this many steps in a row within this
// share of the loss of one whose embeddings are all alike. Healthy runs start there too, but leave it within
// the first hundred steps.
const (
	collapseSteps = 300
	collapseShare = 5e-4
)

// add takes in the loss of a step, collapsed being that of a collapsed model, or
// NaN. It returns a warning the moment the model
// looks collapsed, and an error if the loss is no number.
func (l *loss) add(v, collapsed float64, step int64) (warning string, err error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "", fmt.Errorf("train: the loss is %v at step %d: the weights have run away. Lower the learning rate, or add a warm-up (schedule: cosine)", v, step)
	}
	l.Sum += v
	l.Count++
	if warning = l.wild(v, collapsed); warning != "" {
		return warning, nil
	}
	if !(math.Abs(v-collapsed) <= collapseShare*collapsed) {
		l.Stuck = 0
		return "", nil
	}
	if l.Stuck++; l.Stuck < collapseSteps || l.Told {
		return "", nil
	}
	l.Told = true
	return fmt.Sprintf("the loss has been at %.3f for %d steps: that of a model whose embeddings are all alike. "+
		"Try a lower learning rate, a warm-up (schedule: cosine), a larger batch, or a pretrained image tower", collapsed, l.Stuck), nil
}

// take returns the mean since the last call.
func (l *loss) take() float64 {
	mean := l.Sum / float64(max(1, l.Count))
	l.Sum, l.Count = 0, 0
	return mean
}
