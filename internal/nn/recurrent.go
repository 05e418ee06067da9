package nn

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Kinds of recurrent layer.
const (
	LSTM = "lstm"
	GRU  = "gru"
)

// Gates is the number of gates of a recurrent layer: its weights have as many
// times hidden columns. 0 for a kind that is not known.
func Gates(kind string) int {
	switch kind {
	case LSTM:
		return 4
	case GRU:
		return 3
	}
	return 0
}

// Recurrent is one recurrent layer in one direction. Its gates stand side by
// side in PyTorch's order, i f g o and r z n, and like PyTorch's it has two
// biases, one with each product.
type Recurrent struct {
	Kind    string
	Reverse bool // from the last frame to the first

	WX, WH *Node // weights of the input [in][gates*hidden] and of the state [hidden][gates*hidden]
	BX, BH *Node // biases [gates*hidden]

	// All of these may be nil. H0 and, for an LSTM, C0 are the state before the
	// first frame, [n][hidden]; nil is zeros. Lengths, [n], are the clips' own
	// frames: output after them is 0, and a layer in reverse starts at the last
	// of them.
	H0, C0, Lengths *Node
}

// Recurrent runs the layer over x [n][t][in] and returns the states after each
// frame, [n][t][hidden].
//
// The input's share of all gates is one large product over all frames; then the
// frames go one by one, each with a small product of the state and the packed
// weights. Backward the same, and then the weights' gradient is again one large
// product over all frames. A team goes through the frames: each member has some
// of the hidden units, with the weights and gates that make them, and waits for
// the others once a frame. How many there are changes no bit, for a panel of
// units is summed in its own order.
func (g *Graph[T]) Recurrent(x *Node, r Recurrent) *Node {
	xs, ws := g.shape(r.Kind+": input", x, 3), g.shape(r.Kind+": weights of the state", r.WH, 2)
	s := &sweep[T]{graph: g, n: xs[0], t: xs[1], in: xs[2], hidden: ws[0], reverse: r.Reverse}
	if Gates(r.Kind) == 0 {
		g.fail(fmt.Errorf("recurrent layer %q is not known", r.Kind))
		return nil
	}
	s.kind, s.width = r.Kind, Gates(r.Kind)*s.hidden
	s.name = fmt.Sprintf("%s %d->%d", r.Kind, s.in, s.hidden)
	if r.Reverse {
		s.name += " reverse"
	}
	in := s.inputs(r, x)
	if g.err != nil {
		return nil
	}
	o := &op[T]{
		name: s.name, shape: []int{s.n, s.t, s.hidden}, fail: g.Err, do: s.forward,
		diff: func(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
			return s.gradients(o, in, out, grad)
		},
	}
	y := g.apply(o, in...)
	s.key = o.key
	return y
}

// A sweep is a recurrent layer at work. Its buffers, which the forward pass
// fills and the backward pass reads, are the workspace's.
type sweep[T Float] struct {
	graph         *Graph[T]
	kind          string
	name, key     string
	n, t          int
	in, hidden    int
	width         int // gates*hidden
	reverse       bool
	h0, c0, clips int // places of the optional inputs; 0: none
}

// inputs checks the nodes and puts them in order: x, weights, biases, then
// those of the optional ones that are there.
func (s *sweep[T]) inputs(r Recurrent, x *Node) []*Node {
	g := s.graph
	g.require(s.name+": weights of the input", r.WX, s.in, s.width)
	g.require(s.name+": weights of the state", r.WH, s.hidden, s.width)
	g.require(s.name+": bias of the input", r.BX, s.width)
	g.require(s.name+": bias of the state", r.BH, s.width)
	in := []*Node{x, r.WX, r.WH, r.BX, r.BH}
	optional := func(what string, n *Node, place *int, shape ...int) {
		if n == nil {
			return
		}
		g.require(s.name+": "+what, n, shape...)
		*place = len(in)
		in = append(in, n)
	}
	optional("first state", r.H0, &s.h0, s.n, s.hidden)
	optional("lengths", r.Lengths, &s.clips, s.n)
	if s.kind == LSTM {
		optional("first cell", r.C0, &s.c0, s.n, s.hidden)
	}
	return in
}

func (s *sweep[T]) buffer(name string, n int) []T { return s.graph.ws.buffer(s.key+" "+name, n) }

// products is the input's share as the kernels see it: a convolution 1 wide.
func (s *sweep[T]) products() kernel.Conv2D { return kernel.Conv1D(1, s.in, s.width, 1, 0) }

// A record is what the forward pass leaves for the backward.
type record[T Float] struct {
	gates  []T // [n][t][width]
	before []T // [n][t][hidden]: state before each frame
	inner  []T // [n][t][hidden]
	tanh   []T // [n][t][hidden], LSTM
	first  []T // [n][hidden]: cell before the first frame, LSTM
	count  []T // frames of each clip; nil: all
}

func (s *sweep[T]) record() *record[T] {
	rows := s.n * s.t
	r := &record[T]{
		gates: s.buffer("gates", rows*s.width), before: s.buffer("before", rows*s.hidden), inner: s.buffer("inner", rows*s.hidden),
	}
	if s.kind == LSTM {
		r.tanh, r.first = s.buffer("tanh", rows*s.hidden), s.buffer("first", s.n*s.hidden)
	}
	if s.clips > 0 {
		r.count = s.buffer("lengths", s.n)
	}
	return r
}

// at is the frame that step i of the sweep is about, forward.
func (s *sweep[T]) at(i int) int {
	if s.reverse {
		return s.t - 1 - i
	}
	return i
}

// frame gathers the rows of a clip at step i that both directions need.
func (s *sweep[T]) frame(r *record[T], clip, i int) frame[T] {
	t := s.at(i)
	row := func(x []T, at, n int) []T { return x[(clip*s.t+at)*n:][:n] }
	f := frame[T]{
		hidden: s.hidden, gates: row(r.gates, t, s.width), before: row(r.before, t, s.hidden), inner: row(r.inner, t, s.hidden),
		finished: r.count != nil && t >= int(r.count[clip]),
	}
	if s.kind == LSTM {
		f.tanh, f.prev = row(r.tanh, t, s.hidden), r.first[clip*s.hidden:][:s.hidden]
		if i > 0 {
			f.prev = row(r.inner, s.at(i-1), s.hidden)
		}
	}
	return f
}

func (s *sweep[T]) forward(out []T, in [][]T) error {
	r := s.record()
	s.start(r, in)
	bias := s.buffer("bias", s.width)
	copy(bias, in[3])
	if s.kind == LSTM { // a GRU's second bias is under the reset gate
		for j, b := range in[4] {
			bias[j] += b
		}
	}
	kernel.Conv2DForward(s.products(), 1, 1, s.n*s.t, in[0], in[1], bias, false, r.gates)
	w := &forsweep[T]{r: r, out: out, bias: in[4], side: s.buffer("side", s.n*s.width), state: s.compact("state", s.hidden)}
	for k := range w.weights[:s.width/s.hidden] {
		w.weights[k] = s.graph.ws.packed(fmt.Sprintf("%s forward %d", s.key, k), s.hidden, s.hidden, in[2][k*s.hidden:], s.width, false)
	}
	for clip := range s.n {
		copy(w.state.row(0, clip), r.before[(clip*s.t+s.at(0))*s.hidden:][:s.hidden])
	}
	panels, columns := w.weights[0].Panels()
	size := teamSize(panels, s.n*s.hidden*s.width)
	teamwork(size, func(t *team, member int) {
		lo, hi := member*panels/size, (member+1)*panels/size
		for i := 0; i < s.t && (i == 0 || t.wait()); i++ {
			s.multiply(w, i, lo, hi)
			for clip := range s.n {
				s.advance(w, clip, i, lo*columns, min(s.hidden, hi*columns))
			}
		}
	})
	return nil
}

// A forsweep is what a sweep forward reads and writes.
type forsweep[T Float] struct {
	r         *record[T]
	weights   [4]*kernel.Packed[T] // of each gate
	bias      []T                  // of the state, GRU
	side, out []T
	state     compact[T] // before the step
}

// multiply adds the state's share of the gates of step i, for panels lo to hi of
// units: one product a gate and panel, every other step in the opposite order,
// so that the weights used last, which the cache still has, come first.
func (s *sweep[T]) multiply(w *forsweep[T], i, lo, hi int) {
	a, lda := w.state.rows(i)
	at, panels := s.at(i), hi-lo
	all := panels * s.width / s.hidden
	for q := range all {
		if i%2 == 1 {
			q = all - 1 - q
		}
		k, j := q/panels, lo+q%panels
		if s.kind == LSTM {
			w.weights[k].GemmPanel(j, s.n, a, lda, w.r.gates[at*s.width+k*s.hidden:], s.t*s.width, kernel.Epilogue[T]{Acc: true})
		} else {
			w.weights[k].GemmPanel(j, s.n, a, lda, w.side[k*s.hidden:], s.width, kernel.Epilogue[T]{Bias: w.bias[k*s.hidden:][:s.hidden]})
		}
	}
}

// advance takes units lo to hi of a clip over step i, from the sums to the state
// after it, which is that before the next.
func (s *sweep[T]) advance(w *forsweep[T], clip, i, lo, hi int) {
	f := s.frame(w.r, clip, i)
	f.side, f.after = w.side[clip*s.width:][:s.width], w.out[(clip*s.t+s.at(i))*s.hidden:][:s.hidden]
	state := f.after
	if f.finished {
		state = f.before
		clear(f.after[lo:hi])
		if s.kind == LSTM {
			copy(f.inner[lo:hi], f.prev[lo:hi])
		}
	} else if s.kind == LSTM {
		lstmForward(&f, lo, hi)
	} else {
		gruForward(&f, lo, hi)
	}
	if i+1 < s.t {
		copy(w.r.before[(clip*s.t+s.at(i+1))*s.hidden:][lo:hi], state[lo:hi])
		copy(w.state.row(i+1, clip)[lo:hi], state[lo:hi])
	}
}

// start fills in the state before the first frame, and the lengths.
func (s *sweep[T]) start(r *record[T], in [][]T) {
	state := func(dst []T, from, clip int) {
		clear(dst)
		if from > 0 {
			copy(dst, in[from][clip*s.hidden:])
		}
	}
	for clip := range s.n {
		state(r.before[(clip*s.t+s.at(0))*s.hidden:][:s.hidden], s.h0, clip)
		if s.kind == LSTM {
			state(r.first[clip*s.hidden:][:s.hidden], s.c0, clip)
		}
	}
	if r.count != nil {
		copy(r.count, in[s.clips])
	}
}

// backward computes the gradient by the input's share of the gates,
// [n][t][width], from the weights of the state and the gradient by the output.
// It leaves the gradients by the state's share in the buffer "d side" and by
// the first state in "carry" and "carry in".
func (s *sweep[T]) backward(dGates []T, in [][]T) error {
	r, weights := s.record(), s.graph.ws.packed(s.key+" backward", s.width, s.hidden, in[1], s.width, true)
	w := &backsweep[T]{
		r: r, grad: in[2], dGates: dGates, dSide: s.dSide(dGates), sides: s.compact("sides", s.width),
		carry: s.buffer("carry", s.n*s.hidden), carryIn: s.buffer("carry in", s.n*s.hidden),
	}
	clear(w.carry)
	clear(w.carryIn)
	panels, columns := weights.Panels()
	size := teamSize(panels, s.n*s.hidden*s.width)
	teamwork(size, func(t *team, member int) {
		lo, hi := member*panels/size, (member+1)*panels/size
		for i := s.t - 1; i >= 0; i-- {
			for clip := range s.n {
				s.retreat(w, clip, i, lo*columns, min(s.hidden, hi*columns))
			}
			if !t.wait() {
				return
			}
			a, lda := w.sides.rows(i)
			for j := lo; j < hi; j++ {
				q := j
				if i%2 == 1 { // what the cache still has comes first
					q = lo + hi - 1 - j
				}
				weights.GemmPanel(q, s.n, a, lda, w.carry, s.hidden, kernel.Epilogue[T]{Acc: true})
			}
		}
	})
	return nil
}

// A backsweep is what a sweep backward reads and writes.
type backsweep[T Float] struct {
	r              *record[T]
	grad           []T // by the output
	dGates, dSide  []T
	sides          compact[T] // dSide at the step
	carry, carryIn []T
}

// retreat takes units lo to hi of a clip back over step i.
func (s *sweep[T]) retreat(w *backsweep[T], clip, i, lo, hi int) {
	f := s.frame(w.r, clip, i)
	at := clip*s.t + s.at(i)
	f.dGates, f.dSide = w.dGates[at*s.width:][:s.width], w.dSide[at*s.width:][:s.width]
	f.grad = w.grad[at*s.hidden:][:s.hidden]
	f.carry, f.carryIn = w.carry[clip*s.hidden:][:s.hidden], w.carryIn[clip*s.hidden:][:s.hidden]
	switch {
	case f.finished:
		for k := 0; k < s.width; k += s.hidden {
			clear(f.dGates[k+lo : k+hi])
			clear(f.dSide[k+lo : k+hi])
		}
	case s.kind == LSTM:
		lstmBackward(&f, lo, hi)
	default:
		gruBackward(&f, lo, hi)
	}
	side := w.sides.row(i, clip)
	for k := 0; k < s.width; k += s.hidden {
		copy(side[k+lo:k+hi], f.dSide[k+lo:k+hi])
	}
}

// dSide is where the gradient by the state's share of the gates is: an LSTM
// adds the two shares, so it is that by the input's.
func (s *sweep[T]) dSide(dGates []T) []T {
	if s.kind == LSTM {
		return dGates
	}
	return s.buffer("d side", len(dGates))
}

// gradients adds the sweep backward, and behind it those gradients that
// somebody needs.
func (s *sweep[T]) gradients(o *op[T], in gorgonia.Nodes, out, grad *Node) gorgonia.Nodes {
	g, rows := s.graph, s.n*s.t
	// out is an input only so that this comes after the forward pass.
	sums := g.gradient(o, &op[T]{name: "d " + s.name, shape: []int{s.n, s.t, s.width}, fail: g.Err, do: s.backward}, out, in[2], grad)
	grads := make(gorgonia.Nodes, len(in))
	add := func(i int, what string, do func(d []T, in [][]T), inputs ...*Node) {
		if !o.wrt[i] {
			return
		}
		grads[i] = g.gradient(o, &op[T]{name: "d/d" + what + " " + s.name, shape: in[i].Shape(), fail: g.Err, do: func(d []T, in [][]T) error {
			do(d, in)
			return nil
		}}, append(inputs, sums)...)
	}
	add(0, "x", func(d []T, in [][]T) {
		kernel.Conv2DBackwardInput(s.products(), 1, 1, rows, in[1], in[0], d)
	}, in[1])
	add(1, "wx", func(d []T, in [][]T) {
		kernel.Conv2DBackwardWeights(s.products(), 1, 1, rows, in[0], in[1], d, nil)
	}, in[0])
	add(2, "wh", func(d []T, in [][]T) {
		kernel.GemmTA(s.hidden, s.width, rows, s.record().before, s.hidden, s.dSide(in[0]), s.width, d, s.width, false)
	})
	add(3, "bx", func(d []T, in [][]T) { biasGradient(g.ws, rows, s.width, in[0], d) })
	add(4, "bh", func(d []T, in [][]T) { biasGradient(g.ws, rows, s.width, s.dSide(in[0]), d) })
	if s.h0 > 0 {
		add(s.h0, "h0", func(d []T, _ [][]T) { copy(d, s.buffer("carry", len(d))) })
	}
	if s.c0 > 0 {
		add(s.c0, "c0", func(d []T, _ [][]T) { copy(d, s.buffer("carry in", len(d))) })
	}
	return grads
}
