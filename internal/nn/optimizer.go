package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Optimizers. Weight decay is added to the gradient, except in adamw.
const (
	Adam     = "adam"     // Kingma and Ba 2015
	AdamW    = "adamw"    // with decay apart from the gradient (Loshchilov and Hutter 2019)
	AMSGrad  = "amsgrad"  // Adam with the largest second moment so far (Reddi et al. 2018)
	SGD      = "sgd"      // with momentum where it is not 0
	Nesterov = "nesterov" // SGD with Nesterov's momentum
)

// Optimizers lists the names that [OptimizerOptions] take.
func Optimizers() []string { return []string{Adam, AdamW, AMSGrad, SGD, Nesterov} }

// OptimizerOptions say how an optimizer steps. Those that its kind has no use
// for are not read.
type OptimizerOptions struct {
	Kind                  string
	Beta1, Beta2, Epsilon float64 // of adam, adamw, amsgrad
	Momentum              float64 // of sgd, nesterov
	WeightDecay           float64
	DecayMatrices         bool // weight decay leaves biases and the weights of norms alone
}

// An Optimizer changes parameters by their gradients, in place and in one pass
// over each. It is a gorgonia.Solver. A checkpoint must keep its moments and
// Steps.
type Optimizer[T Float] struct {
	LearningRate float64 // of the next step: set it for a schedule
	Steps        int     // done so far
	Moments      []Moment[T]

	o    OptimizerOptions
	free []bool // of weight decay
	work [][]T  // of a model's parameters and their gradients
}

// A Moment is what an optimizer remembers of each parameter.
type Moment[T Float] struct {
	Name string // m: first, or momentum; v: second; top: largest second
	Of   [][]T  // one slice a parameter
}

var _ gorgonia.Solver = (*Optimizer[float32])(nil)

// NewOptimizer returns an optimizer for params at step 0.
func NewOptimizer[T Float](params []*Param[T], o OptimizerOptions) (*Optimizer[T], error) {
	if !slices.Contains(Optimizers(), o.Kind) {
		return nil, fmt.Errorf("optimizer %q is not known", o.Kind)
	}
	names := []string{"m", "v"}
	switch {
	case o.Kind == AMSGrad:
		names = append(names, "top")
	case o.Kind == SGD && o.Momentum == 0:
		names = nil
	case o.Kind == SGD || o.Kind == Nesterov:
		names = []string{"m"}
	}
	s := &Optimizer[T]{o: o}
	for _, p := range params {
		s.free = append(s.free, o.DecayMatrices && len(p.Shape) < 2)
	}
	for _, name := range names {
		m := Moment[T]{Name: name}
		for _, p := range params {
			m.Of = append(m.Of, make([]T, len(p.W)))
		}
		s.Moments = append(s.Moments, m)
	}
	return s, nil
}

// Step changes each parameter by its gradient, which weight decay may change
// too. The parameters must be those of NewOptimizer, in their order.
func (s *Optimizer[T]) Step(model []gorgonia.ValueGrad) error {
	for _, m := range s.Moments {
		if len(model) != len(m.Of) {
			return fmt.Errorf("%s: %d parameters, want %d", s.o.Kind, len(model), len(m.Of))
		}
	}
	for i, p := range model {
		w, g, err := values[T](p)
		if err != nil {
			return fmt.Errorf("%s: parameter %d: %w", s.o.Kind, i, err)
		}
		s.work = s.work[:0]
		for _, m := range s.Moments {
			if len(m.Of[i]) != len(w) {
				return fmt.Errorf("%s: parameter %d has %d values, want %d", s.o.Kind, i, len(w), len(m.Of[i]))
			}
			s.work = append(s.work, m.Of[i])
		}
		s.step(w, g, s.work, i < len(s.free) && s.free[i])
	}
	s.Steps++
	return nil
}

// values are a parameter and its gradient.
func values[T Float](p gorgonia.ValueGrad) (w, g []T, err error) {
	grad, err := p.Grad()
	if err != nil {
		return nil, nil, err
	}
	w, wok := p.Value().Data().([]T)
	g, gok := grad.Data().([]T)
	if !wok || !gok || len(w) != len(g) {
		return nil, nil, fmt.Errorf("values and gradient do not fit: %v and %v", p.Value().Shape(), grad.Shape())
	}
	return w, g, nil
}

func (s *Optimizer[T]) step(w, g []T, moments [][]T, free bool) {
	lr, o := s.LearningRate, s.o
	if o.WeightDecay != 0 && !free {
		if o.Kind == AdamW {
			kernel.Scale(T(1-lr*o.WeightDecay), w)
		} else {
			kernel.Axpy(T(o.WeightDecay), w, g)
		}
	}
	switch o.Kind {
	case AMSGrad:
		s.amsgrad(w, g, moments[0], moments[1], moments[2])
	case Adam, AdamW:
		kernel.AdamStep(w, g, moments[0], moments[1], lr, o.Beta1, o.Beta2, o.Epsilon, s.Steps+1)
	default:
		if len(moments) > 0 { // m = momentum*m + g
			m := moments[0]
			kernel.Scale(T(o.Momentum), m)
			kernel.Axpy(1, g, m)
			if o.Kind == Nesterov {
				kernel.Axpy(T(-lr), g, w)
				lr *= o.Momentum
			}
			g = m
		}
		kernel.Axpy(T(-lr), g, w)
	}
}

// solverChunk is how many values one goroutine takes at a time.
const solverChunk = 1 << 16

func eachChunk(n int, f func(k, lo, hi int)) {
	kernel.Parallel((n+solverChunk-1)/solverChunk, func(k int) { f(k, k*solverChunk, min(n, (k+1)*solverChunk)) })
}

// amsgrad is kernel.AdamStep with, in place of v, the largest it has been.
func (s *Optimizer[T]) amsgrad(w, g, m, v, top []T) {
	o, t := s.o, float64(s.Steps+1)
	rate := T(s.LearningRate / (1 - math.Pow(o.Beta1, t)))
	root := T(1 / math.Sqrt(1-math.Pow(o.Beta2, t)))
	b1, a1, b2, a2, eps := T(o.Beta1), T(1-o.Beta1), T(o.Beta2), T(1-o.Beta2), T(o.Epsilon)
	eachChunk(len(w), func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			m[i] = b1*m[i] + a1*g[i]
			v[i] = b2*v[i] + a2*g[i]*g[i]
			top[i] = max(top[i], v[i])
			w[i] -= rate * m[i] / (T(math.Sqrt(float64(top[i])))*root + eps)
		}
	})
}

// ClipNorm scales all gradients down by the same factor, max/(norm + 1e-6),
// where their norm, that of all values together, is over max (PyTorch's
// clip_grad_norm_; Pascanu et al. 2013). It returns the norm. A norm that is no
// number is an error.
func ClipNorm[T Float](model []gorgonia.ValueGrad, most float64) (norm float64, err error) {
	var squares float64
	for i, p := range model {
		_, g, err := values[T](p)
		if err != nil {
			return 0, fmt.Errorf("clip gradients: parameter %d: %w", i, err)
		}
		parts := make([]float64, (len(g)+solverChunk-1)/solverChunk)
		eachChunk(len(g), func(k, lo, hi int) {
			for _, v := range g[lo:hi] {
				parts[k] += float64(v) * float64(v)
			}
		})
		for _, v := range parts {
			squares += v
		}
	}
	if norm = math.Sqrt(squares); math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, errors.New("clip gradients: their norm is no number: the weights have run away")
	}
	if f := most / (norm + 1e-6); f < 1 {
		for _, p := range model {
			if _, g, err := values[T](p); err == nil {
				kernel.Scale(T(f), g)
			}
		}
	}
	return norm, nil
}
