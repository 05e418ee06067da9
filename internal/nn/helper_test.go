package nn

import (
	"math"
	"testing"

	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"gorgonia.org/gorgonia"
)

// golden reads one case of the reference operations.
func golden(t *testing.T, name string) map[string]*npy.Array {
	t.Helper()
	arrays, err := npy.ReadZip(sharedtest.Path(t, "golden", "ops", name+".npz"))
	if err != nil {
		t.Fatal(err)
	}
	return arrays
}

// permuted returns a with its axes in another order: PyTorch keeps channels
// first, we keep them last.
func permuted(a *npy.Array, axes ...int) *npy.Array {
	if a == nil {
		return nil
	}
	stride := make([]int, len(a.Shape))
	for s, d := 1, len(a.Shape)-1; d >= 0; d-- {
		stride[d] = s
		s *= a.Shape[d]
	}
	out := &npy.Array{F64: make([]float64, len(a.F64))}
	for _, x := range axes {
		out.Shape = append(out.Shape, a.Shape[x])
	}
	index := make([]int, len(axes))
	for i := range out.F64 {
		at := 0
		for d, x := range axes {
			at += index[d] * stride[x]
		}
		out.F64[i] = a.F64[at]
		for d := len(axes) - 1; d >= 0; d-- {
			if index[d]++; index[d] < out.Shape[d] {
				break
			}
			index[d] = 0
		}
	}
	return out
}

func cast[T Float](x []float64) []T {
	out := make([]T, len(x))
	for i, v := range x {
		out[i] = T(v)
	}
	return out
}

func paramOf[T Float](name string, a *npy.Array) *Param[T] {
	return &Param[T]{Name: name, Shape: a.Shape, W: cast[T](a.F64)}
}

// weighted is Σ y·weights, the loss whose gradient by y is weights.
func weighted[T Float](g *Graph[T], y *Node, weights []T) *Node {
	if g.err != nil {
		return nil
	}
	return g.apply(&op[T]{
		name: "weighted sum", fail: g.Err,
		do: func(out []T, in [][]T) error {
			var s float64
			for i, v := range in[0] {
				s += float64(v) * float64(weights[i])
			}
			out[0] = T(s)
			return nil
		},
		diff: func(o *op[T], in gorgonia.Nodes, _, grad *Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.gradient(o, &op[T]{name: "d weighted sum", shape: in[0].Shape(), fail: g.Err,
				do: func(d []T, in [][]T) error {
					for i, w := range weights {
						d[i] = w * in[0][0]
					}
					return nil
				}}, grad)}
		},
	}, y)
}

// near fails unless got is want within tol of want's largest value.
func near[T Float](t *testing.T, what string, got []T, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	nearTo(t, what, got, want, tol, largest(want))
}

func largest(x []float64) float64 {
	m := 0.0
	for _, v := range x {
		m = max(m, math.Abs(v))
	}
	return m
}

// nearTo is near with the scale given.
func nearTo[T Float](t *testing.T, what string, got []T, want []float64, tol, scale float64) {
	t.Helper()
	for i, v := range got {
		if d := math.Abs(float64(v) - want[i]); !(d <= tol*scale) {
			t.Fatalf("%s[%d] = %v, want %v (off by %.3g of the largest value)", what, i, v, want[i], d/scale)
		}
	}
}

func compiled[T Float](t *testing.T, g *Graph[T], loss *Node) *Machine[T] {
	t.Helper()
	m, err := g.Compile(loss)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustRun[T Float](t *testing.T, m *Machine[T]) {
	t.Helper()
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
}

func gradOf[T Float](t *testing.T, m *Machine[T], i int) []T {
	t.Helper()
	g, err := m.Grads()[i].Grad()
	if err != nil {
		t.Fatal(err)
	}
	return g.Data().([]T)
}

type nodes = gorgonia.Nodes
