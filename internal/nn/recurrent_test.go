package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/npy"
)

func TestRecurrentGolden(t *testing.T) {
	for _, kind := range []string{LSTM, GRU} {
		for _, name := range []string{"1", "3", "2bi_packed"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				both(t, func(t *testing.T, tol float64) { recurrentGolden[float64](t, kind, name, tol) },
					func(t *testing.T, tol float64) { recurrentGolden[float32](t, kind, name, 10*tol) })
			})
		}
	}
}

// A stack is layers of a golden case, with what comes out of each.
type stack[T Float] struct {
	g        *Graph[T]
	a        map[string]*npy.Array
	lengths  *Node
	outs     []*Node // of each layer and direction
	suffixes []string
}

// layer adds one layer, in both directions if the case has two.
func (s *stack[T]) layer(kind string, l int, x *Node, directions int) *Node {
	var outs []*Node
	for d := range directions {
		suffix := fmt.Sprintf("_l%d%s", l, strings.Repeat("_reverse", d))
		param := func(name string) *Node {
			return s.g.Param(paramOf[T](name+suffix, ours("", s.a["p_"+name+suffix])))
		}
		r := Recurrent{
			Kind: kind, Reverse: d == 1, Lengths: s.lengths,
			WX: param("weight_ih"), WH: param("weight_hh"), BX: param("bias_ih"), BH: param("bias_hh"),
		}
		state := func(name string) *Node {
			if s.a[name] == nil {
				return nil
			}
			return s.g.Param(paramOf[T](fmt.Sprintf("%s %d", name, l*directions+d), plane(s.a[name], l*directions+d)))
		}
		r.H0, r.C0 = state("h0"), state("c0")
		s.suffixes = append(s.suffixes, suffix)
		outs = append(outs, s.g.Recurrent(x, r))
	}
	s.outs = append(s.outs, outs...)
	if directions == 2 {
		return s.g.Concat(outs[0], outs[1])
	}
	return outs[0]
}

// plane is a[i].
func plane(a *npy.Array, i int) *npy.Array {
	n := len(a.F64) / a.Shape[0]
	return &npy.Array{Shape: a.Shape[1:], F64: a.F64[i*n:][:n]}
}

// recurrentGolden: the loss of the case is the last layer's output times gy
// plus each layer's last state times ghn. All outputs go side by side into one.
func recurrentGolden[T Float](t *testing.T, kind, name string, tol float64) {
	a := golden(t, kind+"_"+name)
	s := &stack[T]{g: NewGraph(NewWorkspace[T](), true), a: a}
	layers, directions := int(name[0]-'0'), 1
	if strings.Contains(name, "bi") {
		directions = 2
	}
	n, frames, hidden := a["x"].Shape[0], a["x"].Shape[1], a["hn"].Shape[2]
	lengths := slices.Repeat([]float64{float64(frames)}, n)
	if a["lens"] != nil {
		lengths = a["lens"].F64
		s.lengths = s.g.Input("lengths", n)
	}
	x := s.g.Param(paramOf[T]("x", a["x"]))
	y := x
	for l := range layers {
		y = s.layer(kind, l, y, directions)
	}
	all, count := s.outs[0], len(s.outs)
	for _, o := range s.outs[1:] {
		all = s.g.Concat(all, o)
	}
	weights := make([]T, n*frames*count*hidden)
	for k := range count {
		last := k - (count - directions) // this output's place in y
		for b := range n {
			for f := range frames {
				dst := weights[((b*frames+f)*count+k)*hidden:][:hidden]
				for j := range dst {
					if last >= 0 {
						dst[j] = T(a["gy"].F64[((b*frames+f)*directions+last)*hidden+j])
					}
					if end := int(lengths[b]) - 1; k%directions == 0 && f == end || k%directions == 1 && f == 0 {
						dst[j] += T(a["ghn"].F64[(k*n+b)*hidden+j])
					}
				}
			}
		}
	}
	m := compiled(t, s.g, weighted(s.g, all, weights))
	if s.lengths != nil {
		copy(m.Data(s.lengths), cast[T](lengths))
	}
	for range 2 { // the second run finds what the first has left
		mustRun(t, m)
		near(t, "y", m.Data(y), a["y"].F64, tol)
		for i, p := range m.Params() {
			switch {
			case p.Name == "x":
				near(t, "gx", gradOf(t, m, i), a["gx"].F64, tol)
			case p.Name[1] == '0':
				var l int
				fmt.Sscanf(p.Name[3:], "%d", &l)
				near(t, p.Name, gradOf(t, m, i), plane(a["g"+p.Name[:2]], l).F64, tol)
			default:
				near(t, p.Name, gradOf(t, m, i), ours("", a["g_"+p.Name]).F64, tol)
			}
		}
	}
}

// recurrentOf is a layer on x of parameters called name.
func recurrentOf[T Float](g *Graph[T], p func(string, ...int) *Node, kind, name string, x *Node, in, hidden int) Recurrent {
	w := Gates(kind) * hidden
	return Recurrent{Kind: kind, WX: p(name+" wx", in, w), WH: p(name+" wh", hidden, w), BX: p(name+" bx", w), BH: p(name+" bh", w)}
}

// TestRecurrentGradients compares with finite differences, without any file:
// two layers, of them one in reverse and both directions with lengths and first
// states.
func TestRecurrentGradients(t *testing.T) {
	for _, kind := range []string{LSTM, GRU} {
		t.Run(kind, func(t *testing.T) {
			checkGradients(t, func(g *Graph[float64], p func(string, ...int) *Node) *Node {
				x := p("x", 3, 5, 2)
				lengths := g.Input("lengths", 3)
				copy(g.data[lengths], []float64{5, 1, 3})
				a := recurrentOf(g, p, kind, "a", x, 2, 3)
				a.H0, a.Lengths = p("h0", 3, 3), lengths
				b := recurrentOf(g, p, kind, "b", x, 2, 4)
				b.Reverse, b.H0, b.Lengths = true, p("h0 reverse", 3, 4), lengths
				if kind == LSTM {
					a.C0, b.C0 = p("c0", 3, 3), p("c0 reverse", 3, 4)
				}
				y := g.Concat(g.Recurrent(x, a), g.Recurrent(x, b))
				y = g.Recurrent(y, recurrentOf(g, p, kind, "c", y, 7, 2))
				y = g.Linear(y, p("linear", 2, 3), p("bias", 3))
				return weighted(g, y, noise(rand.New(rand.NewPCG(9, 9)), 3*5*3))
			}, 1e-6)
		})
	}
}

// TestRecurrentLengths: frames after a clip's own change nothing, and come out
// as zeros.
func TestRecurrentLengths(t *testing.T) {
	for _, kind := range []string{LSTM, GRU} {
		for _, reverse := range []bool{false, true} {
			run := func(frames int) []float64 {
				r := rand.New(rand.NewPCG(3, 4))
				g := NewGraph(NewWorkspace[float64](), false)
				p := func(name string, shape ...int) *Node {
					p := NewParam[float64](name, shape...)
					copy(p.W, noise(r, len(p.W)))
					return g.Param(p)
				}
				x, lengths := g.Input("x", 1, frames, 2), g.Input("lengths", 1)
				layer := recurrentOf(g, p, kind, "a", x, 2, 3)
				layer.Reverse, layer.Lengths = reverse, lengths
				y := g.Recurrent(x, layer)
				m := compiled(t, g, nil)
				copy(m.Data(x), noise(rand.New(rand.NewPCG(5, 6)), 2*frames))
				m.Data(lengths)[0] = 4
				mustRun(t, m)
				return slices.Clone(m.Data(y))
			}
			short, long := run(4), run(9)
			if !slices.Equal(short, long[:len(short)]) {
				t.Errorf("%s, reverse %v: a clip of 4 frames gives %v alone and %v in 9", kind, reverse, short, long[:len(short)])
			}
			if slices.ContainsFunc(long[len(short):], func(x float64) bool { return x != 0 }) {
				t.Errorf("%s, reverse %v: output after the clip is not 0", kind, reverse)
			}
		}
	}
}

// TestRecurrentSameBits: enough units to be computed at once, on one CPU and on
// four.
func TestRecurrentSameBits(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, kind := range []string{LSTM, GRU} {
		var want [][]float32
		for _, cpus := range []int{1, 4} {
			runtime.GOMAXPROCS(cpus)
			m := bigSweep(t, kind, 9, 300)
			mustRun(t, m)
			for i := range m.Grads() {
				got := slices.Clone(gradOf(t, m, i))
				if cpus == 1 {
					want = append(want, got)
				} else if !slices.Equal(got, want[i]) {
					t.Errorf("%s: gradient of %s differs on %d CPUs", kind, m.Params()[i].Name, cpus)
				}
			}
		}
	}
}

// bigSweep is a layer of hidden units over 4 clips, in float32.
func bigSweep(t testing.TB, kind string, frames, hidden int) *Machine[float32] {
	r := rand.New(rand.NewPCG(1, 2))
	g := NewGraph(NewWorkspace[float32](), true)
	p := func(name string, shape ...int) *Node {
		p := NewParam[float32](name, shape...)
		for i := range p.W {
			p.W[i] = float32((2*r.Float64() - 1) / math.Sqrt(float64(hidden)))
		}
		return g.Param(p)
	}
	x := g.Input("x", 4, frames, hidden)
	y := g.Recurrent(x, recurrentOf(g, p, kind, "a", x, hidden, hidden))
	m, err := g.Compile(weighted(g, y, cast[float32](noise(r, 4*frames*hidden))))
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Data(x) {
		m.Data(x)[i] = float32(r.NormFloat64())
	}
	return m
}

func TestRecurrentWrong(t *testing.T) {
	for want, change := range map[string]func(g *Graph[float32], r *Recurrent){
		"not known":                func(_ *Graph[float32], r *Recurrent) { r.Kind = "rnn" },
		"weights of the input":     func(g *Graph[float32], r *Recurrent) { r.WX = g.Input("wrong", 2, 11) },
		"weights of the state":     func(g *Graph[float32], r *Recurrent) { r.WH = g.Input("wrong", 3, 11) },
		"bias of the state: shape": func(_ *Graph[float32], r *Recurrent) { r.BH = nil },
		"first state: shape":       func(g *Graph[float32], r *Recurrent) { r.H0 = g.Input("wrong", 2, 3) },
		"lengths: shape (2), want": func(g *Graph[float32], r *Recurrent) { r.Lengths = g.Input("wrong", 2) },
		"first cell: shape":        func(g *Graph[float32], r *Recurrent) { r.C0 = g.Input("wrong", 4, 4) },
	} {
		g := NewGraph(NewWorkspace[float32](), true)
		x := g.Input("x", 4, 5, 2)
		r := recurrentOf(g, g.Input, LSTM, "a", x, 2, 3)
		change(g, &r)
		g.Recurrent(x, r)
		if err := g.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func BenchmarkLSTM(b *testing.B) { benchmarkSweep(b, LSTM) }
func BenchmarkGRU(b *testing.B)  { benchmarkSweep(b, GRU) }

// benchmarkSweep is one layer of the paper's tower, forward and backward.
func benchmarkSweep(b *testing.B, kind string) {
	m := bigSweep(b, kind, 510, 512)
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRecurrentMemory: a thousand runs, by a team, work in memory that the
// workspace has, and leave no goroutine and nothing on the heap behind.
func TestRecurrentMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("under -race, sync.Pool forgets at random")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	const runs, frames = 1000, 5
	for _, kind := range []string{LSTM, GRU} {
		m := bigSweep(t, kind, frames, 256)
		mustRun(t, m)
		held, routines := m.graph.ws.Bytes(), runtime.NumGoroutine()
		// What stays of a run stays in every batch; pools may take a buffer more in
		// one of them, as goroutines change CPUs.
		const batches = 4
		state := func() (m runtime.MemStats) {
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m
		}
		first := state()
		last, least := first, int64(math.MaxInt64)
		for range batches {
			for range runs / batches {
				mustRun(t, m)
			}
			after := state()
			least = min(least, int64(after.HeapAlloc)-int64(last.HeapAlloc))
			last = after
		}
		if a := (last.TotalAlloc - first.TotalAlloc) / runs; a > 64<<10 {
			t.Errorf("%s: a run allocates %d bytes", kind, a)
		}
		if least > 256<<10/batches || m.graph.ws.Bytes() != held || runtime.NumGoroutine() > routines+1 {
			t.Errorf("%s: %d runs leave at least %d bytes on the heap, %d in the workspace (%d before), %d goroutines (%d before)",
				kind, runs/batches, least, m.graph.ws.Bytes(), held, runtime.NumGoroutine(), routines)
		}
	}
}

// TestRecurrentAllocations: a run over more frames allocates no more.
func TestRecurrentAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("under -race, sync.Pool forgets at random")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	for _, kind := range []string{LSTM, GRU} {
		var counts []float64
		for _, frames := range []int{2, 40} {
			m := bigSweep(t, kind, frames, 256)
			counts = append(counts, testing.AllocsPerRun(20, func() { mustRun(t, m) }))
		}
		if counts[1] > counts[0]+40 {
			t.Errorf("%s: %v allocations in a run of 2 frames, %v in one of 40", kind, counts[0], counts[1])
		}
	}
}

// TestTeam: nobody is a step ahead of another's wait, with more members than
// CPUs too, which then sleep.
func TestTeam(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(procs)
		for _, size := range []int{1, 2, 3, 8} {
			const steps = 100
			done := make([][steps]int, size) // each its own row; the race detector sees what wait orders
			teamwork(size, func(team *team, member int) {
				for i := range steps {
					done[member][i] = i + 1
					if !team.wait() {
						t.Errorf("%d CPUs, %d members: step %d: broken", procs, size, i)
						return
					}
					for m := range done {
						if done[m][i] != i+1 {
							t.Errorf("%d CPUs, %d members: member %d is past step %d, member %d is not", procs, size, member, i, m)
						}
					}
				}
			})
		}
	}
}

// TestTeamPanic: it ends the waiting of the others, awake or asleep, and comes
// back.
func TestTeamPanic(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(procs)
		for bad := range 4 {
			func() {
				defer func() {
					if r := recover(); r != "bad" {
						t.Errorf("%d CPUs: recovered %v", procs, r)
					}
				}()
				teamwork(4, func(team *team, member int) {
					for i := 0; i == 0 || team.wait(); i++ {
						if member == bad && i == 50 {
							panic("bad")
						}
					}
				})
			}()
		}
	}
}
