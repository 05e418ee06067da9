package nn

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// tiny is a test-only tower pair of golden/train, from its initial weights: the
// audio tower is of convolutions (cnn) or of two recurrent layers (lstm, gru).
type tiny[T Float] struct {
	audio  string
	names  []string
	params map[string]*Param[T]
	stats  *Stats[T]
}

func newTiny[T Float](t *testing.T, audio string) *tiny[T] {
	c := &tiny[T]{audio: audio, params: map[string]*Param[T]{}, stats: NewStats[T]("bn", 1)}
	c.names = []string{"img.c1.weight", "img.c1.bias", "img.c2.weight", "img.c2.bias", "img.c3.weight", "img.c3.bias"}
	if audio == "cnn" {
		c.names = append(c.names, "aud.bn.weight", "aud.bn.bias", "aud.c1.weight", "aud.c1.bias", "aud.c2.weight", "aud.c2.bias",
			"aud.c3.weight", "aud.c3.bias", "aud.c4.weight", "aud.c4.bias")
	} else {
		c.names = append(c.names, "aud.conv.weight", "aud.conv.bias")
		for _, layer := range []string{"l0", "l1"} {
			for _, part := range []string{"weight_ih", "weight_hh", "bias_ih", "bias_hh"} {
				c.names = append(c.names, "aud.r."+part+"_"+layer)
			}
		}
	}
	init := zipped(t, audio+".init.npz")
	for _, name := range c.names {
		c.params[name] = paramOf[T](name, ours(name, init[name]))
	}
	return c
}

// steps is how many steps of the audio tower's output count.
func (c *tiny[T]) steps(frames float64) T {
	if c.audio == "cnn" {
		return T(min(16, max(1, int(frames)/4)))
	}
	return T(min(30, max(1, int(frames)/2)))
}

// ours turns one of PyTorch's tensors into our layout. c1 of the audio tower
// is a 40x1 convolution over one channel, so a 1-wide one over 40.
func ours(name string, a *npy.Array) *npy.Array {
	switch {
	case len(a.Shape) == 3:
		return permuted(a, 2, 1, 0)
	case len(a.Shape) == 2:
		return permuted(a, 1, 0)
	case len(a.Shape) != 4:
		return a
	case name == "aud.c1.weight":
		return permuted(&npy.Array{Shape: []int{a.Shape[0], 40, 1}, F64: a.F64}, 2, 1, 0)
	case name[:3] == "aud":
		return permuted(&npy.Array{Shape: []int{a.Shape[0], a.Shape[1], a.Shape[3]}, F64: a.F64}, 2, 1, 0)
	}
	return permuted(a, 2, 3, 1, 0)
}

func (c *tiny[T]) similarity(g *Graph[T], images, audio, frames *Node) *Node {
	n := map[string]*Node{}
	for _, name := range c.names {
		n[name] = g.Param(c.params[name])
	}
	conv2 := func(x *Node, l string, relu bool) *Node {
		return g.Conv2D(x, n["img."+l+".weight"], n["img."+l+".bias"], Conv2D{StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, ReLU: relu})
	}
	half := Pool{2, 2, 2, 2, 0, 0}
	i := conv2(g.MaxPool2D(conv2(g.MaxPool2D(conv2(images, "c1", true), half), "c2", true), half), "c3", false)
	if c.audio == "cnn" {
		return g.Similarity(MISA, i, c.convolutions(g, n, audio), frames, 1)
	}
	a := g.Conv1D(audio, n["aud.conv.weight"], n["aud.conv.bias"], Conv1D{Stride: 2})
	for _, l := range []string{"l0", "l1"} {
		a = g.Recurrent(a, Recurrent{Kind: c.audio, WX: n["aud.r.weight_ih_"+l], WH: n["aud.r.weight_hh_"+l], BX: n["aud.r.bias_ih_"+l], BH: n["aud.r.bias_hh_"+l]})
	}
	return g.Similarity(MISA, i, a, frames, 1)
}

func (c *tiny[T]) convolutions(g *Graph[T], n map[string]*Node, audio *Node) *Node {
	conv1 := func(x *Node, l string, pad int) *Node {
		return g.Conv1D(x, n["aud."+l+".weight"], n["aud."+l+".bias"], Conv1D{Stride: 1, Pad: pad, ReLU: true})
	}
	// Batch norm over one channel of [b][t][40][1], then 40 channels again.
	b, t := audio.Shape()[0], audio.Shape()[1]
	x := g.reshape(g.BatchNorm(g.reshape(audio, b, t, 40, 1), n["aud.bn.weight"], n["aud.bn.bias"], c.stats), b, t, 40)
	a := g.MaxPool1D(conv1(conv1(x, "c1", 0), "c2", 5), 3, 2, 1)
	return conv1(g.MaxPool1D(conv1(a, "c3", 8), 3, 2, 1), "c4", 8)
}

// reshape is for this tower alone: the real ones need none.
func (g *Graph[T]) reshape(x *Node, shape ...int) *Node {
	same := func(out []T, in [][]T) error { copy(out, in[0]); return nil }
	return g.apply(&op[T]{name: "reshape", shape: shape, fail: g.Err, do: same,
		diff: func(o *op[T], in nodes, _, grad *Node) nodes {
			return nodes{g.gradient(o, &op[T]{name: "d reshape", shape: in[0].Shape(), fail: g.Err, do: same}, grad)}
		}}, x)
}

func TestTrainGolden(t *testing.T) {
	for _, audio := range []string{"cnn", "lstm", "gru"} {
		t.Run(audio+" float64", func(t *testing.T) { trainGolden[float64](t, audio, "torch.float64", 1e-10, 1e-10, 1e-8) })
		t.Run(audio+" float32", func(t *testing.T) { trainGolden[float32](t, audio, "torch.float32", 1e-5, 1e-4, 1e-3) })
	}
}

func zipped(t *testing.T, name string) map[string]*npy.Array {
	t.Helper()
	a, err := npy.ReadZip(filepath.Join(sharedtest.Path(t, "golden", "train"), name))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func trainGolden[T Float](t *testing.T, tower, curve string, tol, gradTol, lossTol float64) {
	data, step1 := zipped(t, "data.npz"), zipped(t, tower+".step1.npz")
	net := newTiny[T](t, tower)
	images, audio := permuted(data["images"], 0, 2, 3, 1), permuted(data["audio"], 0, 2, 1)
	const batch = 8
	g := NewGraph(NewWorkspace[T](), true)
	ni, na, nf := g.Input("images", batch, 32, 32, 3), g.Input("audio", batch, 64, 40), g.Input("frames", batch)
	s := net.similarity(g, ni, na, nf)
	loss := g.Hinge(s, 1)
	m := compiled(t, g, loss)
	adam := paperAdam(t, m.Params())
	adam.LearningRate = 1e-3
	var losses []float64
	for step := range 20 {
		for k := range batch {
			id := int(data["batches"].F64[step*batch+k])
			copy(m.Data(ni)[k*32*32*3:], cast[T](images.F64[id*32*32*3:][:32*32*3]))
			copy(m.Data(na)[k*64*40:], cast[T](audio.F64[id*64*40:][:64*40]))
			m.Data(nf)[k] = net.steps(data["nframes"].F64[id])
		}
		mustRun(t, m)
		losses = append(losses, float64(m.Data(loss)[0]))
		if step == 0 {
			near(t, "S of step 1", m.Data(s), step1["S"].F64, tol)
			for i, name := range net.names {
				want := ours(name, step1["g_"+name]).F64
				scale := largest(want)
				if name == "img.c3.bias" {
					// It moves all similarities of a clip alike, so the
					// gradient is 0 but for rounding: that of a weight is the scale.
					scale = largest(step1["g_img.c3.weight"].F64)
				}
				nearTo(t, "gradient of "+name, gradOf(t, m, i), want, gradTol, scale)
			}
		}
		if err := adam.Step(m.Grads()); err != nil {
			t.Fatal(err)
		}
	}
	compareCurve(t, losses, tower, curve, lossTol)
	final := zipped(t, tower+".final.npz")
	if tower == "cnn" {
		near(t, "running mean", net.stats.Mean, final["aud.bn.running_mean"].F64, 1e-4)
	}
	if curve == "torch.float64" {
		for _, name := range net.names {
			near(t, "final "+name, net.params[name].W, ours(name, final[name]).F64, 1e-6)
		}
	}
	evalGolden(t, net, images, audio, data["nframes"], curve == "torch.float64")
}

// evalGolden scores all 16 pairs with the trained weights, in evaluation mode.
func evalGolden[T Float](t *testing.T, net *tiny[T], images, audio, frames *npy.Array, exact bool) {
	g := NewGraph(NewWorkspace[T](), false)
	ni, na, nf := g.Input("images", images.Shape...), g.Input("audio", audio.Shape...), g.Input("frames", 16)
	s := net.similarity(g, ni, na, nf)
	m := compiled(t, g, nil)
	copy(m.Data(ni), cast[T](images.F64))
	copy(m.Data(na), cast[T](audio.F64))
	for i, f := range frames.F64 {
		m.Data(nf)[i] = net.steps(f)
	}
	mustRun(t, m)
	want, err := npy.ReadFile(sharedtest.Path(t, "golden", "train", net.audio+".S_eval16.npy"))
	if err != nil {
		t.Fatal(err)
	}
	tol := 1e-2 // float32 weights drift apart in Adam
	if exact {
		tol = 1e-8
	}
	near(t, "evaluation similarities", m.Data(s), want.F64, tol)
}

func compareCurve(t *testing.T, got []float64, tower, name string, tol float64) {
	t.Helper()
	raw, err := os.ReadFile(sharedtest.Path(t, "golden", "train", "curves.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Curves map[string]map[string]json.RawMessage `json:"curves"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var want []float64
	if err := json.Unmarshal(file.Curves[tower][name], &want); err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if d := math.Abs(got[i]-w) / w; d > tol {
			t.Errorf("loss of step %d = %v, want %v (relative %.2g)", i+1, got[i], w, d)
		}
	}
}
