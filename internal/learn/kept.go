package learn

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/model"
)

// kept is which model a run leaves: the trained one or the mean of its weights
// over time, as it is at the end or was at its best.
type kept struct {
	trained  *model.Model[float32]
	average  *model.Model[float32] // nil: none
	decay    float64
	best     *model.Model[float32] // nil: the last is kept
	patience int
}

// best is what a run remembers of its scores: it is part of a checkpoint.
type best struct {
	Sum   float64 `json:"sum"`   // of P@1, P@5 and P@10, at the best
	Step  int64   `json:"step"`  // when; 0: not scored yet
	Since int     `json:"since"` // scores since then
	Ended bool    `json:"ended"` // there were too many of them
}

func newKept(m *model.Model[float32], s *Settings) (*kept, error) {
	k := &kept{trained: m, decay: s.Average, patience: s.Patience}
	var err error
	if s.Average > 0 {
		if k.average, err = twin(m); err != nil {
			return nil, err
		}
	}
	if s.Keep == KeepBest {
		k.best, err = twin(m)
	}
	return k, err
}

// twin is a model with the same values.
func twin(m *model.Model[float32]) (*model.Model[float32], error) {
	t, err := model.New[float32](m.Spec, 0)
	if err != nil {
		return nil, err
	}
	copyModel(t, m)
	return t, nil
}

func copyModel(to, from *model.Model[float32]) {
	source := tensorsOf(from, "")
	for i, t := range tensorsOf(to, "") {
		copy(t.data, source[i].data)
	}
}

// tensorsOf are a model's values, running statistics included.
func tensorsOf(m *model.Model[float32], prefix string) (out []tensor) {
	for _, p := range m.Params() {
		out = append(out, tensor{prefix + p.Name, p.W})
	}
	for _, s := range m.Stats() {
		out = append(out, tensor{prefix + s.Name + " mean", s.Mean}, tensor{prefix + s.Name + " var", s.Var})
	}
	return out
}

// tensors are those of a checkpoint beside the trained model's.
func (k *kept) tensors() (out []tensor) {
	if k.average != nil {
		out = tensorsOf(k.average, "average ")
	}
	if k.best != nil {
		out = append(out, tensorsOf(k.best, "best ")...)
	}
	return out
}

// now is the model that is scored.
func (k *kept) now() *model.Model[float32] {
	if k.average != nil {
		return k.average
	}
	return k.trained
}

// follow moves the mean after a step, the first being 0. Its memory grows from
// ten steps to what the decay says, so that it soon forgets the initial values.
func (k *kept) follow(step int64) {
	if k.average == nil {
		return
	}
	decay := min(k.decay, float64(step+1)/float64(step+10))
	from := tensorsOf(k.trained, "")
	for i, t := range tensorsOf(k.average, "") {
		kernel.Scale(float32(decay), t.data)
		kernel.Axpy(float32(1-decay), from[i].data, t.data)
	}
}

// scored takes in a score of the model as it is now, and says so if training is
// to end there.
func (k *kept) scored(b *best, p CurvePoint) (message string) {
	sum := p.P1 + p.P5 + p.P10
	if sum != sum {
		return ""
	}
	if b.Step == 0 || sum > b.Sum {
		*b = best{Sum: sum, Step: p.Step}
		if k.best != nil {
			copyModel(k.best, k.now())
		}
		return ""
	}
	b.Since++
	if k.patience == 0 || b.Since < k.patience {
		return ""
	}
	b.Ended = true
	message = fmt.Sprintf("ends early: none of the last %d scores was better than that of step %d", b.Since, b.Step)
	if k.best == nil {
		message += "; the model is left as it is now, keep: best leaves that one"
	}
	return message
}

// result is the model that the run leaves.
func (k *kept) result(b best) *model.Model[float32] {
	if k.best != nil && b.Step > 0 {
		return k.best
	}
	return k.now()
}
