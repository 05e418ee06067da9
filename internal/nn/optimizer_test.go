package nn

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
)

// paperAdam is the paper's optimizer, rate 1e-4.
func paperAdam[T Float](t *testing.T, params []*Param[T]) *Optimizer[T] {
	t.Helper()
	s, err := NewOptimizer(params, OptimizerOptions{Kind: Adam, Beta1: .5, Beta2: .9, Epsilon: 1e-8})
	if err != nil {
		t.Fatal(err)
	}
	s.LearningRate = 1e-4
	return s
}

func TestOptimizersGolden(t *testing.T) {
	adam := func(kind string, b1, b2, decay float64) OptimizerOptions {
		return OptimizerOptions{Kind: kind, Beta1: b1, Beta2: b2, Epsilon: 1e-8, WeightDecay: decay}
	}
	for name, c := range map[string]struct {
		rate float64
		o    OptimizerOptions
	}{
		"adam_paper_lr1e4_b05_09":      {1e-4, adam(Adam, .5, .9, 0)},
		"adam_default_lr1e3":           {1e-3, adam(Adam, .9, .999, 0)},
		"adam_wd5e7_b095_0999_davenet": {1e-3, adam(Adam, .95, .999, 5e-7)},
		"adam_amsgrad":                 {1e-3, adam(AMSGrad, .9, .999, 0)},
		"adamw_wd01":                   {1e-3, adam(AdamW, .9, .999, .1)},
		"sgd_lr01":                     {.1, OptimizerOptions{Kind: SGD}},
		"sgd_m09_wd5e7_davenet":        {1e-3, OptimizerOptions{Kind: SGD, Momentum: .9, WeightDecay: 5e-7}},
		"sgd_nesterov":                 {.01, OptimizerOptions{Kind: Nesterov, Momentum: .9}},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, tol float64) { optimizerGolden[float64](t, name, c.rate, c.o, tol) },
				func(t *testing.T, tol float64) { optimizerGolden[float32](t, name, c.rate, c.o, tol) })
		})
	}
}

func optimizerGolden[T Float](t *testing.T, name string, rate float64, o OptimizerOptions, tol float64) {
	a := golden(t, "optim")
	n, steps := len(a["p0"].F64), a["grads"].Shape[0]
	p, weights := paramOf[T]("p", a["p0"]), make([]T, n)
	g := NewGraph(NewWorkspace[T](), true)
	m := compiled(t, g, weighted(g, g.Param(p), weights))
	s, err := NewOptimizer([]*Param[T]{p}, o)
	if err != nil {
		t.Fatal(err)
	}
	s.LearningRate = rate
	for k := range steps {
		copy(weights, cast[T](a["grads"].F64[k*n:][:n]))
		mustRun(t, m)
		if err := s.Step(m.Grads()); err != nil {
			t.Fatal(err)
		}
		near(t, name, p.W, a[name].F64[k*n:][:n], tol)
	}
}

func TestClipNormGolden(t *testing.T) { both(t, clipGolden[float64], clipGolden[float32]) }

func clipGolden[T Float](t *testing.T, tol float64) {
	a := golden(t, "clip_grad_norm")
	m := gradientsOf(t, cast[T](a["g1"].F64), cast[T](a["g2"].F64))
	norm, err := ClipNorm[T](m.Grads(), 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "norm", []T{T(norm)}, a["norm"].F64, tol)
	near(t, "c1", gradOf(t, m, 0), a["c1"].F64, tol)
	near(t, "c2", gradOf(t, m, 1), a["c2"].F64, tol)
}

// gradientsOf is a machine after a run whose two parameters have these gradients.
func gradientsOf[T Float](t *testing.T, a, b []T) *Machine[T] {
	t.Helper()
	g := NewGraph(NewWorkspace[T](), true)
	x, y := g.Param(NewParam[T]("a", 1, 1, len(a))), g.Param(NewParam[T]("b", 1, 1, len(b)))
	m := compiled(t, g, weighted(g, g.Concat(x, y), append(append([]T{}, a...), b...)))
	mustRun(t, m)
	return m
}

// TestClipNorm: gradients within the norm stay; a norm that is no number is told.
func TestClipNorm(t *testing.T) {
	m := gradientsOf(t, []float32{3}, []float32{4})
	if norm, err := ClipNorm[float32](m.Grads(), 5.1); err != nil || norm != 5 || gradOf(t, m, 1)[0] != 4 {
		t.Errorf("norm %v, %v, gradient %v: want 5 and 4", norm, err, gradOf(t, m, 1)[0])
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		m := gradientsOf(t, []float32{1}, []float32{bad})
		if _, err := ClipNorm[float32](m.Grads(), 1); err == nil || !strings.Contains(err.Error(), "run away") {
			t.Errorf("a gradient of %v: %v", bad, err)
		}
	}
}

// TestOptimizerErrors: what does not fit is an error, and changes nothing.
func TestOptimizerErrors(t *testing.T) {
	if _, err := NewOptimizer[float32](nil, OptimizerOptions{Kind: "adagrad"}); err == nil || !strings.Contains(err.Error(), `"adagrad" is not known`) {
		t.Errorf("an unknown optimizer: %v", err)
	}
	m := gradientsOf(t, []float64{1, 2}, []float64{3})
	for want, s := range map[string]*Optimizer[float64]{
		"2 parameters, want 1":             paperAdam(t, m.Params()[:1]),
		"parameter 0 has 2 values, want 1": paperAdam(t, []*Param[float64]{m.Params()[1], m.Params()[1]}),
	} {
		if err := s.Step(m.Grads()); err == nil || !strings.Contains(err.Error(), want) || s.Steps != 0 {
			t.Errorf("%v after %d steps, want %q", err, s.Steps, want)
		}
	}
	s, err := NewOptimizer(m.Params(), OptimizerOptions{Kind: SGD})
	if err != nil || len(s.Moments) != 0 {
		t.Fatalf("SGD without momentum keeps %d moments, %v", len(s.Moments), err)
	}
	s.LearningRate = .5
	if err := s.Step([]gorgonia.ValueGrad(m.Grads())); err != nil || m.Params()[0].W[1] != -1 {
		t.Errorf("a step of .5*2 from 0 gives %v, %v", m.Params()[0].W[1], err)
	}
}
