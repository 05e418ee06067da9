package model

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/hearsight/hearsight/internal/nn"
)

// tower is a Tower with its parameters.
type tower[T nn.Float] struct {
	Tower
	prefix string
	params [][]*nn.Param[T] // of each layer, in the order of [Layer.tensors]
	stats  []*nn.Stats[T]   // of a norm, else nil
}

// A tensorShape is one parameter of a layer.
type tensorShape struct {
	name  string
	shape []int
}

// tensors are the parameters of a layer with in channels before it, over dims
// dimensions: weight and bias, or for each direction of a recurrent layer the
// two weights and two biases, with PyTorch's names.
func (l Layer) tensors(dims, in int) []tensorShape {
	switch l.Op {
	case "norm":
		return []tensorShape{{"weight", []int{in}}, {"bias", []int{in}}}
	case "conv":
		shape := []int{l.Kernel, in, l.Channels}
		if dims == 2 {
			shape = []int{l.Kernel, l.Kernel, in, l.Channels}
		}
		return []tensorShape{{"weight", shape}, {"bias", []int{l.Channels}}}
	case "attend":
		return []tensorShape{{"weight", []int{in, 1}}, {"bias", []int{1}}}
	case "linear":
		return []tensorShape{{"weight", []int{in, l.Channels}}, {"bias", []int{l.Channels}}}
	case nn.LSTM, nn.GRU:
		w := nn.Gates(l.Op) * l.Channels
		one := func(suffix string) []tensorShape {
			return []tensorShape{
				{"weight_ih" + suffix, []int{in, w}}, {"weight_hh" + suffix, []int{l.Channels, w}},
				{"bias_ih" + suffix, []int{w}}, {"bias_hh" + suffix, []int{w}},
			}
		}
		if l.Bidirectional {
			return append(one(""), one("_reverse")...)
		}
		return one("")
	}
	return nil
}

// sizeOf counts a checked tower's parameters without making them.
func sizeOf(t Tower) int {
	n, in := 0, t.In
	for _, l := range t.Layers {
		for _, p := range l.tensors(t.Dims, in) {
			size := 1
			for _, d := range p.shape {
				size *= d
			}
			n += size
		}
		in = l.out(in)
	}
	return n
}

func newTower[T nn.Float](prefix string, t Tower) tower[T] {
	n := len(t.Layers)
	out := tower[T]{Tower: t, prefix: prefix, params: make([][]*nn.Param[T], n), stats: make([]*nn.Stats[T], n)}
	in := t.In
	for i, l := range t.Layers {
		name := prefix + "." + l.Name
		for _, p := range l.tensors(t.Dims, in) {
			out.params[i] = append(out.params[i], nn.NewParam[T](name+"."+p.name, p.shape...))
		}
		if l.Op == "norm" {
			out.stats[i] = nn.NewStats[T](name, in)
		}
		in = l.out(in)
	}
	return out
}

// initialise gives the parameters their initial values. Recurrent layers get
// PyTorch's, uniform with the bound 1/sqrt(hidden), either way: He-normal is
// about ReLUs.
func (t tower[T]) initialise(init string, seed uint64) {
	for i, l := range t.Layers {
		params := t.params[i]
		switch {
		case l.Op == "norm":
			for j := range params[0].W {
				params[0].W[j] = 1
			}
		case l.recurrent():
			fillUniform(params, seed, float64(l.Channels))
		case len(params) > 0:
			fan := float64(len(params[0].W) / len(params[1].W))
			if init == InitHe {
				gain := l.Gain
				if gain == 0 {
					gain = 2
				}
				fill(params[0], seed, func(r *rand.Rand) float64 { return r.NormFloat64() * math.Sqrt(gain/fan) })
				continue
			}
			fillUniform(params, seed, fan)
		}
	}
}

// fillUniform draws between -1/sqrt(fan) and 1/sqrt(fan).
func fillUniform[T nn.Float](params []*nn.Param[T], seed uint64, fan float64) {
	for _, p := range params {
		fill(p, seed, func(r *rand.Rand) float64 { return (2*r.Float64() - 1) / math.Sqrt(fan) })
	}
}

func fill[T nn.Float](p *nn.Param[T], seed uint64, next func(*rand.Rand) float64) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", seed, p.Name))
	r := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])))
	for i := range p.W {
		p.W[i] = T(next(r))
	}
}

// apply adds the tower to a graph. frames, nil for all, say of each clip how many
// steps of the tower's output count, or, to a tower that masks, how many frames
// it has.
func (t tower[T]) apply(g *nn.Graph[T], x, frames *nn.Node) *nn.Node {
	own, frames := frames, t.counted(g, frames)
	for i := range t.Layers {
		x = t.layer(g, i, x, own, frames)
	}
	return x
}

// counted turns the frames that a tower is told into steps of its output.
func (t tower[T]) counted(g *nn.Graph[T], frames *nn.Node) *nn.Node {
	if frames == nil || !t.masks() {
		return frames
	}
	return g.Steps(frames, t.stepsOf)
}

// shares adds the tower with, in place of the vector that attention makes of its
// steps or places and that is then of length 1, what each of them gives to it:
// [n][steps][c], rows that add up to that vector.
func (t tower[T]) shares(g *nn.Graph[T], x, frames *nn.Node) *nn.Node {
	own, frames := frames, t.counted(g, frames)
	at := t.attend()
	for i := range at {
		x = t.layer(g, i, x, own, frames)
	}
	x = g.Rows(x)
	scores := g.Linear(x, g.Param(t.params[at][0]), g.Param(t.params[at][1]))
	// What follows is affine and the weights add up to 1, so it may come before.
	for i := at + 1; i < len(t.Layers); i++ {
		x = t.layer(g, i, x, own, frames)
	}
	return g.AttentionShares(x, scores, frames)
}

// layer adds layer i. own are the frames of each clip that the tower was told,
// frames the steps of its output that count.
func (t tower[T]) layer(g *nn.Graph[T], i int, x, own, frames *nn.Node) *nn.Node {
	l := t.Layers[i]
	var p []*nn.Node
	for _, param := range t.params[i] {
		p = append(p, g.Param(param))
	}
	switch {
	case l.Op == "norm" && l.ReLU:
		return g.BatchNormReLU(x, p[0], p[1], t.stats[i], t.maskOf(g, i, own))
	case l.Op == "norm":
		return g.BatchNorm(x, p[0], p[1], t.stats[i])
	case l.Op == "dropout":
		return g.Dropout(x, t.prefix+"."+l.Name, l.Rate)
	case l.Op == "attend":
		return g.AttentionPool(x, p[0], p[1], frames)
	case l.Op == "linear":
		return g.Linear(x, p[0], p[1])
	case l.recurrent():
		return applyRecurrent(g, l, x, frames, p)
	case l.Op == "pool" && t.Dims == 1:
		return g.MaxPoolMasked(x, l.Kernel, l.Stride, l.Pad, t.maskOf(g, i, own))
	case l.Op == "pool":
		return g.MaxPool2D(x, nn.Pool{KH: l.Kernel, KW: l.Kernel, StrideH: l.Stride, StrideW: l.Stride, PadH: l.Pad, PadW: l.Pad})
	case t.Dims == 1:
		return g.Conv1D(x, p[0], p[1], nn.Conv1D{Stride: l.Stride, Pad: l.Pad, ReLU: l.ReLU})
	}
	return g.Conv2D(x, p[0], p[1], nn.Conv2D{StrideH: l.Stride, StrideW: l.Stride, PadH: l.Pad, PadW: l.Pad, ReLU: l.ReLU})
}

// maskOf is how many steps of each clip layer i keeps, nil for all: those that
// begin within its own frames.
func (t tower[T]) maskOf(g *nn.Graph[T], i int, own *nn.Node) *nn.Node {
	if !t.Layers[i].Mask || own == nil {
		return nil
	}
	upTo := Tower{Layers: t.Layers[:i+1]}
	return g.Steps(own, upTo.stepsOf)
}

// applyRecurrent adds an LSTM or a GRU. Forwards, what comes after a clip's own
// frames changes nothing before it, so only both directions need to know them.
func applyRecurrent[T nn.Float](g *nn.Graph[T], l Layer, x, frames *nn.Node, p []*nn.Node) *nn.Node {
	there := nn.Recurrent{Kind: l.Op, WX: p[0], WH: p[1], BX: p[2], BH: p[3]}
	if !l.Bidirectional {
		return g.Recurrent(x, there)
	}
	back := nn.Recurrent{Kind: l.Op, Reverse: true, WX: p[4], WH: p[5], BX: p[6], BH: p[7]}
	there.Lengths, back.Lengths = frames, frames
	return g.Concat(g.Recurrent(x, there), g.Recurrent(x, back))
}
