package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// build writes down a small network and returns its loss.
type build func(g *Graph[float64], p func(name string, shape ...int) *Node) *Node

// TestGradients compares every gradient with central differences in float64.
func TestGradients(t *testing.T) {
	frames := func(g *Graph[float64], n ...float64) *Node {
		node := g.Input("frames", len(n))
		copy(g.data[node], n)
		return node
	}
	weights := func(n int) []float64 { return noise(rand.New(rand.NewPCG(9, 9)), n) }
	cases := map[string]build{
		"conv2d": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			y := g.Conv2D(p("x", 2, 5, 6, 3), p("w", 3, 2, 3, 4), p("b", 4), Conv2D{StrideH: 2, StrideW: 1, PadH: 1, PadW: 1, ReLU: true})
			return weighted(g, y, weights(size(y.Shape())))
		},
		"conv1d": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			y := g.Conv1D(p("x", 2, 9, 3), p("w", 5, 3, 4), p("b", 4), Conv1D{Stride: 1, Pad: 2, ReLU: true})
			return weighted(g, y, weights(size(y.Shape())))
		},
		"linear relu": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			y := g.ReLU(g.Linear(p("x", 4, 3), p("w", 3, 5), p("b", 5)))
			return weighted(g, y, weights(20))
		},
		"l2norm": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			return weighted(g, g.L2Norm(p("x", 2, 3, 4)), weights(24))
		},
		"tanh": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			return weighted(g, g.Tanh(p("x", 5, 3)), weights(15))
		},
		"attention": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			y := g.VectorAttention(p("x", 2, 4, 3), p("wh", 3, 5), p("bh", 5), p("wo", 5, 3), p("bo", 3))
			return weighted(g, y, weights(6))
		},
		"attention pool": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			y := g.AttentionPool(p("x", 3, 4, 3), p("w", 3, 1), p("b", 1), frames(g, 4, 1, 3))
			return weighted(g, y, weights(9))
		},
		"attention of places": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			return weighted(g, g.AttentionPool(p("x", 2, 3, 2, 4), p("w", 4, 1), p("b", 1), nil), weights(8))
		},
		"products": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			return weighted(g, g.Products(p("a", 3, 4), p("b", 5, 4), .7), weights(15))
		},
		"scale": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			return weighted(g, g.ScaleBy(p("x", 3, 7), p("w", 1)), weights(21))
		},
		"dropout": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			return weighted(g, g.Dropout(p("x", 3, 7), "d", .4), weights(21))
		},
		"masked": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			n := frames(g, 9, 4, 1)
			y := g.BatchNormReLU(p("x", 3, 9, 5), p("gamma", 5), p("beta", 5), NewStats[float64]("s", 5), n)
			y = g.MaxPoolMasked(y, 3, 2, 1, g.Steps(n, func(n int) int { return (n + 1) / 2 }))
			return weighted(g, y, weights(3*5*5))
		},
		"maxpool": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			y := g.MaxPool2D(p("x", 2, 5, 7, 2), Pool{3, 2, 2, 2, 1, 1})
			z := g.MaxPool1D(p("z", 2, 9, 3), 3, 2, 1)
			sum := g.Linear(g.flat(weighted(g, y, weights(size(y.Shape())))), p("one", 1, 1), nil)
			return weighted(g, g.Linear(g.flat(weighted(g, z, weights(size(z.Shape())))), sum, nil), []float64{1})
		},
		"batchnorm train": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			y := g.BatchNorm(p("x", 3, 4, 5), p("gamma", 5), p("beta", 5), NewStats[float64]("s", 5))
			return weighted(g, y, weights(60))
		},
		"batchnorm eval": func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			g.training = false
			s := NewStats[float64]("s", 5)
			copy(s.Mean, weights(5))
			y := g.BatchNorm(p("x", 3, 4, 5), p("gamma", 5), p("beta", 5), s)
			return weighted(g, y, weights(60))
		},
	}
	for _, kind := range Similarities() {
		cases[kind+" hinge"] = func(g *Graph[float64], p func(string, ...int) *Node) *Node {
			s := g.Similarity(kind, p("images", 3, 2, 3, 4), p("audio", 3, 5, 4), frames(g, 5, 1, 3), .7)
			return g.Hinge(s, 1)
		}
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) { checkGradients(t, b, 1e-6) })
	}
}

// flat makes a scalar a 1x1 matrix, for nets of two branches.
func (g *Graph[T]) flat(x *Node) *Node {
	return g.apply(&op[T]{
		name: fmt.Sprintf("flat %d", g.ops), shape: []int{1, 1}, fail: g.Err,
		do: func(out []T, in [][]T) error { out[0] = in[0][0]; return nil },
		diff: func(o *op[T], _ nodes, _, grad *Node) nodes {
			return nodes{g.gradient(o, &op[T]{name: "d flat", fail: g.Err,
				do: func(out []T, in [][]T) error { out[0] = in[0][0]; return nil }}, grad)}
		},
	}, x)
}

func checkGradients(t *testing.T, b build, tol float64) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	g := NewGraph(NewWorkspace[float64](), true)
	loss := b(g, func(name string, shape ...int) *Node {
		p := NewParam[float64](name, shape...)
		copy(p.W, noise(r, len(p.W)))
		return g.Param(p)
	})
	m := compiled(t, g, loss)
	mustRun(t, m)
	grads := make([][]float64, len(m.Params()))
	for i := range grads {
		grads[i] = append([]float64{}, gradOf(t, m, i)...)
	}
	at := func() float64 {
		mustRun(t, m)
		return m.Data(loss)[0]
	}
	for i, p := range m.Params() {
		scale := 0.0
		for _, v := range grads[i] {
			scale = max(scale, math.Abs(v))
		}
		for j := range p.W {
			const h = 1e-5
			old := p.W[j]
			p.W[j] = old + h
			up := at()
			p.W[j] = old - h
			down := at()
			p.W[j] = old
			if want := (up - down) / (2 * h); math.Abs(grads[i][j]-want) > tol*max(scale, 1e-3) {
				t.Fatalf("gradient of %s[%d] = %v, finite difference %v", p.Name, j, grads[i][j], want)
			}
		}
	}
}

func noise(r *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = r.NormFloat64()
	}
	return out
}

// TestDropout: the share that is dropped is the rate, the mean stays, and what
// is drawn follows from seed, step and name alone.
func TestDropout(t *testing.T) {
	const n = 50_001
	run := func(seed uint64, step int64, name string, rate float64, training bool) []float32 {
		ws := NewWorkspace[float32]()
		g := NewGraph(ws, training)
		x := g.Input("x", 3, n/3)
		y := g.Dropout(x, name, rate)
		m := compiled(t, g, nil)
		for i := range m.Data(x) {
			m.Data(x)[i] = 2
		}
		ws.Draw(seed, step)
		mustRun(t, m)
		return m.Data(y)
	}
	for _, rate := range []float64{0, .1, .5, .9} {
		dropped, sum := 0., 0.
		for _, v := range run(1, 2, "a", rate, true) {
			if v == 0 {
				dropped++
			}
			sum += float64(v)
		}
		if math.Abs(dropped/n-rate) > .01 || math.Abs(sum/n-2) > .1 {
			t.Errorf("rate %v: %v dropped, mean %v", rate, dropped/n, sum/n)
		}
	}
	want := run(1, 2, "a", .5, true)
	for name, got := range map[string][]float32{"seed": run(2, 2, "a", .5, true), "step": run(1, 3, "a", .5, true), "name": run(1, 2, "b", .5, true)} {
		if same := agreeing(got, want); same < 45*n/100 || same > 55*n/100 {
			t.Errorf("another %s: %d of %d values are the same", name, same, n)
		}
	}
	if agreeing(want[:n/3], want[n/3:]) > 55*n/300 {
		t.Error("two items are dropped alike")
	}
	if agreeing(run(1, 2, "a", .5, true), want) != n {
		t.Error("a step drops something else when done again")
	}
	for _, v := range run(1, 2, "a", .5, false) {
		if v != 2 {
			t.Fatal("values are dropped outside training")
		}
	}
	g := NewGraph(NewWorkspace[float32](), true)
	if g.Dropout(g.Input("x", 2), "a", 1); g.Err() == nil {
		t.Error("a rate of 1 was taken")
	}
}

func agreeing(a, b []float32) (n int) {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			n++
		}
	}
	return n
}
