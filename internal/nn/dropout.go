package nn

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/hearsight/hearsight/internal/kernel"
	"gorgonia.org/gorgonia"
)

// Draw sets what the dropouts of all graphs over this workspace draw in the next
// runs: they follow from the seed, the step, and the name of each dropout alone,
// so a training step can be done again.
func (w *Workspace[T]) Draw(seed uint64, step int64) { w.seed, w.step = seed, uint64(step) }

// Dropout sets each value of x to 0 with probability rate and divides the others
// by 1-rate (Srivastava et al. 2014), in training; otherwise it is x itself.
// Names tell the dropouts of one network apart. The rate counts in steps of 1/65,536.
func (g *Graph[T]) Dropout(x *Node, name string, rate float64) *Node {
	if g.err != nil || !g.training {
		return x
	}
	if !(rate >= 0 && rate < 1) {
		g.fail(fmt.Errorf("dropout %s: rate %v, want 0 to less than 1", name, rate))
		return nil
	}
	// Items of the first dimension draw from streams of their own.
	s := x.Shape()
	d := &dropout[T]{ws: g.ws, name: name, items: s[0], each: size(s) / s[0], below: uint64(math.Round(rate * dropSteps))}
	d.scale = T(dropSteps / (dropSteps - float64(d.below)))
	return g.apply(&op[T]{
		name: "dropout " + name, shape: s, fail: g.Err,
		do: func(out []T, in [][]T) error { d.drop(in[0], out); return nil },
		diff: func(o *op[T], in gorgonia.Nodes, _, grad *Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.gradient(o, &op[T]{name: "d dropout " + name, shape: in[0].Shape(), fail: g.Err,
				do: func(dx []T, in [][]T) error { d.drop(in[0], dx); return nil }}, grad)}
		},
	}, x)
}

// dropSteps is how finely rates are told apart: 16 bits are drawn a value.
const dropSteps = 1 << 16

type dropout[T Float] struct {
	ws          *Workspace[T]
	name        string
	items, each int
	below       uint64 // draws below this drop
	scale       T
}

// drop is the same for values and gradients: what is drawn is drawn again, which
// takes less time than keeping it takes memory.
func (d *dropout[T]) drop(x, y []T) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s", d.ws.seed, d.ws.step, d.name))
	one, two := binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])
	kernel.Parallel(d.items, func(k int) {
		r := rand.NewPCG(one, two+uint64(k))
		from, to := x[k*d.each:][:d.each], y[k*d.each:][:d.each]
		factor := [2]T{d.scale, 0} // looked up: a branch on chance is guessed wrongly half the time
		of := func(bits uint64) T { return factor[(bits&(dropSteps-1)-d.below)>>63] }
		for ; len(from) >= 4; from, to = from[4:], to[4:] {
			bits := r.Uint64()
			to[0] = from[0] * of(bits)
			to[1] = from[1] * of(bits>>16)
			to[2] = from[2] * of(bits>>32)
			to[3] = from[3] * of(bits>>48)
		}
		bits := r.Uint64()
		for i, v := range from {
			to[i] = v * of(bits>>(16*i))
		}
	})
}
