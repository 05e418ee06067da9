package nn

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// chain is a small network of the given length over ws, with its parameters.
func chain(ws *Workspace[float32], t int, w, b *Param[float32]) (g *Graph[float32], x, loss *Node) {
	g = NewGraph(ws, true)
	x = g.Input("x", 3, t, 8)
	images, frames := g.Input("images", 3, 4, 16), g.Input("frames", 3)
	y := g.MaxPool1D(g.Conv1D(x, g.Param(w), g.Param(b), Conv1D{Stride: 1, Pad: 2, ReLU: true}), 3, 2, 1)
	for i := range g.data[images] {
		g.data[images][i] = float32(i%7) - 3
	}
	for i := range g.data[frames] {
		g.data[frames][i] = float32(1 + i)
	}
	return g, x, g.Hinge(g.Similarity(MISA, images, y, frames, 1), 1)
}

func chainParams() (w, b *Param[float32]) {
	w, b = NewParam[float32]("w", 5, 8, 16), NewParam[float32]("b", 16)
	r := rand.New(rand.NewPCG(2, 3))
	for i := range w.W {
		w.W[i] = float32(r.NormFloat64())
	}
	return w, b
}

// TestNoDeadGradients: inputs are not differentiated by.
func TestNoDeadGradients(t *testing.T) {
	w, b := chainParams()
	g, _, loss := chain(NewWorkspace[float32](), 20, w, b)
	compiled(t, g, loss)
	names := map[string]int{}
	for _, n := range g.Expr().AllNodes() {
		if n.Op() != nil {
			names[n.Op().String()]++
		}
	}
	if names["d/dx conv1d 5/1 8->16 relu"] != 0 || names["d/dimages misa"] != 0 {
		t.Errorf("gradients by the inputs are in the graph: %v", names)
	}
	if names["d/dw conv1d 5/1 8->16 relu"] != 1 || names["d/daudio misa"] != 1 {
		t.Errorf("gradients that are needed are not there once: %v", names)
	}
}

// TestConstantMemory: runs add no memory, and a graph of another length only
// what it is longer by.
func TestConstantMemory(t *testing.T) {
	w, b := chainParams()
	ws := NewWorkspace[float32]()
	var machines []*Machine[float32]
	for _, n := range []int{40, 20, 30, 40} {
		g, x, loss := chain(ws, n, w, b)
		m := compiled(t, g, loss)
		for i := range m.Data(x) {
			m.Data(x)[i] = float32(i % 5)
		}
		mustRun(t, m)
		machines = append(machines, m)
	}
	bytes := ws.Bytes()
	g, _, loss := chain(NewWorkspace[float32](), 40, w, b)
	alone := compiled(t, g, loss)
	mustRun(t, alone)
	if own := g.ws.Bytes(); bytes != own {
		t.Errorf("four graphs up to the length of 40 hold %d bytes, one of 40 %d", bytes, own)
	}
	allocated := testing.AllocsPerRun(20, func() {
		for _, m := range machines {
			mustRun(t, m)
		}
	})
	if ws.Bytes() != bytes || allocated > 4*300 {
		t.Errorf("%d bytes after more runs, %d before; %v allocations a run", ws.Bytes(), bytes, allocated/4)
	}
}

// TestSharedWorkspace: graphs that take turns over one workspace give what they
// give alone.
func TestSharedWorkspace(t *testing.T) {
	run := func(m *Machine[float32], x *Node, seed uint64) []float32 {
		r := rand.New(rand.NewPCG(seed, 1))
		for i := range m.Data(x) {
			m.Data(x)[i] = float32(r.NormFloat64())
		}
		for i, n := range []float32{1, 2, 3} {
			m.Data(nodeNamed(m.graph, "frames"))[i] = n
		}
		for i := range m.Data(nodeNamed(m.graph, "images")) {
			m.Data(nodeNamed(m.graph, "images"))[i] = float32(i%7) - 3
		}
		mustRun(t, m)
		return slices.Clone(gradOf(t, m, 0))
	}
	w, b := chainParams()
	ws := NewWorkspace[float32]()
	ga, xa, la := chain(ws, 20, w, b)
	gb, xb, lb := chain(ws, 60, w, b)
	ma, mb := compiled(t, ga, la), compiled(t, gb, lb)
	first := run(ma, xa, 1)
	run(mb, xb, 2) // grows the buffers under ma's feet
	if again := run(ma, xa, 1); !slices.Equal(first, again) {
		t.Error("a graph gives another gradient after a longer one ran")
	}
}

func nodeNamed[T Float](g *Graph[T], name string) *Node {
	for n := range g.data {
		if n.Name() == name {
			return n
		}
	}
	return nil
}

// TestErrors: misuse is an error that says where, never a panic.
func TestErrors(t *testing.T) {
	f := func(g *Graph[float32], name string, shape ...int) *Node {
		return g.Param(NewParam[float32](name, shape...))
	}
	for name, c := range map[string]struct {
		want  string
		build func(g *Graph[float32]) *Node
	}{
		"channels": {"input has 3 channels", func(g *Graph[float32]) *Node {
			return g.Conv1D(f(g, "x", 1, 9, 3), f(g, "w", 3, 4, 5), nil, Conv1D{Stride: 1})
		}},
		"bias": {"bias: shape (6), want [5]", func(g *Graph[float32]) *Node {
			return g.Conv1D(f(g, "x", 1, 9, 4), f(g, "w", 3, 4, 5), f(g, "b", 6), Conv1D{Stride: 1})
		}},
		"too short": {"leaves no output", func(g *Graph[float32]) *Node {
			return g.Conv1D(f(g, "x", 1, 2, 4), f(g, "w", 3, 4, 5), nil, Conv1D{Stride: 1})
		}},
		"stride":     {"stride", func(g *Graph[float32]) *Node { return g.MaxPool1D(f(g, "x", 1, 9, 3), 3, 0, 1) }},
		"dimensions": {"want 4 dimensions", func(g *Graph[float32]) *Node { return g.MaxPool2D(f(g, "x", 1, 9, 3), Pool{1, 1, 1, 1, 0, 0}) }},
		"empty":      {"is empty", func(g *Graph[float32]) *Node { return g.Input("x", 3, 0) }},
		"similarity": {`"max" is not known`, func(g *Graph[float32]) *Node {
			return g.Similarity("max", f(g, "i", 2, 3, 4), f(g, "a", 2, 5, 4), f(g, "f", 2), 1)
		}},
		"do not fit": {"do not fit", func(g *Graph[float32]) *Node {
			return g.Similarity(MISA, f(g, "i", 2, 3, 4), f(g, "a", 2, 5, 3), f(g, "f", 2), 1)
		}},
		"one pair":  {"square", func(g *Graph[float32]) *Node { return g.Hinge(f(g, "s", 1, 1), 1) }},
		"same name": {"already", func(g *Graph[float32]) *Node { f(g, "w", 2, 2); return f(g, "w", 2, 2) }},
		"batch norm": {"no variance", func(g *Graph[float32]) *Node {
			return g.BatchNorm(f(g, "x", 1, 3), f(g, "g", 3), f(g, "b", 3), NewStats[float32]("s", 3))
		}},
		"not a loss":  {"scalar", func(g *Graph[float32]) *Node { return g.ReLU(f(g, "x", 2, 2)) }},
		"after error": {"is empty", func(g *Graph[float32]) *Node { return g.Hinge(g.ReLU(g.Input("x", 0)), 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewGraph(NewWorkspace[float32](), true)
			loss := c.build(g)
			_, err := g.Compile(loss)
			if loss == nil && g.Err() == nil {
				t.Fatal("no node and no error")
			}
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}

// TestPanicInRun: a panic inside an operation, which Gorgonia runs in a
// goroutine of its own, comes back from Run.
func TestPanicInRun(t *testing.T) {
	g := NewGraph(NewWorkspace[float32](), true)
	x := g.Param(NewParam[float32]("x", 2, 2))
	y := g.apply(&op[float32]{name: "boom", shape: []int{2, 2}, fail: g.Err, do: func([]float32, [][]float32) error { panic("kernel: no") }}, x)
	m := compiled(t, g, nil)
	if err := m.Run(); err == nil || !strings.Contains(err.Error(), "boom: kernel: no") {
		t.Errorf("Run returns %v", err)
	}
	_ = y
}

// TestFrames: a clip without frames, or with more than there are, is refused.
func TestFrames(t *testing.T) {
	for _, n := range []float32{0, -1, 21, 1e9} {
		w, b := chainParams()
		g, x, loss := chain(NewWorkspace[float32](), 40, w, b)
		m := compiled(t, g, loss)
		clear(m.Data(x))
		m.Data(nodeNamed(g, "frames"))[1] = n
		if err := m.Run(); err == nil || !strings.Contains(err.Error(), "frames") {
			t.Errorf("%v frames: %v", n, err)
		}
	}
}
