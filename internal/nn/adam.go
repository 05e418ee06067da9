package nn

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Adam is the optimizer of Kingma and Ba 2015, in place and in one pass over
// each parameter. It is a gorgonia.Solver. The moments are what a checkpoint
// must keep, with Steps.
type Adam[T Float] struct {
	LearningRate float64 // of the next step: set it for a schedule
	Beta1, Beta2 float64
	Epsilon      float64
	Steps        int // done so far

	M, V [][]T // first and second moments, one slice a parameter
}

var _ gorgonia.Solver = (*Adam[float32])(nil)

// NewAdam returns an optimizer for params at step 0, with the paper's
// constants: rate 1e-4, beta .5 and .9, epsilon 1e-8.
func NewAdam[T Float](params []*Param[T]) *Adam[T] {
	a := &Adam[T]{LearningRate: 1e-4, Beta1: .5, Beta2: .9, Epsilon: 1e-8}
	for _, p := range params {
		a.M, a.V = append(a.M, make([]T, len(p.W))), append(a.V, make([]T, len(p.W)))
	}
	return a
}

// Step changes each parameter by its gradient. The parameters must be those
// of NewAdam, in their order.
func (a *Adam[T]) Step(model []gorgonia.ValueGrad) error {
	if len(model) != len(a.M) {
		return fmt.Errorf("adam: %d parameters, want %d", len(model), len(a.M))
	}
	for i, p := range model {
		g, err := p.Grad()
		if err != nil {
			return fmt.Errorf("adam: %w", err)
		}
		w, wok := p.Value().Data().([]T)
		d, dok := g.Data().([]T)
		if !wok || !dok || len(w) != len(a.M[i]) || len(d) != len(w) {
			return fmt.Errorf("adam: parameter %d and its gradient do not fit: %v and %v", i, p.Value().Shape(), g.Shape())
		}
		kernel.AdamStep(w, d, a.M[i], a.V[i], a.LearningRate, a.Beta1, a.Beta2, a.Epsilon, a.Steps+1)
	}
	a.Steps++
	return nil
}
