package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/internal/npy"
)

// attentionSpec is the model of testdata/attention.py.
func attentionSpec() Spec {
	norm := func(i int) Layer { return Layer{Op: "norm", Name: fmt.Sprint("norm", i), ReLU: true, Mask: true} }
	pool := Layer{Op: "pool", Kernel: 3, Stride: 2, Pad: 1, Mask: true}
	first := same("conv1", 5, 4, false)
	first.Stride = 2
	ends := []Layer{{Op: "attend", Name: "attention"}, {Op: "linear", Name: "embed", Channels: 3}}
	return Spec{
		Image: Tower{Name: "tiny", Dims: 2, In: 4, Layers: append([]Layer{{Op: "conv", Name: "linear", Kernel: 1, Stride: 1, Channels: 5, ReLU: true}}, ends...)},
		Audio: Tower{Name: "tiny", Dims: 1, In: 3, Layers: append([]Layer{
			first, norm(1), pool, same("conv2", 9, 5, false), norm(2), pool, same("conv3", 9, 6, false), norm(3),
		}, ends...)},
		Height: 2, Width: 3, Frames: 32, Length: LengthTrue, Similarity: SimilarityAttention, Scale: 1, Init: InitPyTorch,
	}
}

// filled is attentionSpec's model with the golden file's values and a graph of
// its similarities on the golden file's batch.
func filled[T nn.Float](t *testing.T, golden map[string]*npy.Array, m *Model[T], training bool) (g *nn.Graph[T], s *nn.Node, fill func(*nn.Machine[T])) {
	t.Helper()
	g = nn.NewGraph(nn.NewWorkspace[T](), training)
	b := len(golden["lengths"].F64)
	x, y, n := g.Input("images", b, 2, 3, 4), g.Input("audio", b, 32, 3), g.Input("frames", b)
	return g, m.Similarities(g, x, y, n), func(machine *nn.Machine[T]) {
		for node, name := range map[*nn.Node]string{x: "images", y: "audio", n: "lengths"} {
			for i, v := range golden[name].F64 {
				if node == n {
					v = float64(m.OutFrames(int(v), 32))
				}
				machine.Data(node)[i] = T(v)
			}
		}
	}
}

func nearly[T nn.Float](t *testing.T, what string, got []T, want *npy.Array, tol float64) {
	t.Helper()
	if want == nil || len(got) != len(want.F64) {
		t.Fatalf("%s: %d values, want %v", what, len(got), want)
	}
	scale := 1e-3
	for _, v := range want.F64 {
		scale = max(scale, math.Abs(v))
	}
	for i, v := range got {
		if d := math.Abs(float64(v)-want.F64[i]) / scale; !(d <= tol) {
			t.Errorf("%s[%d] = %v, want %v (off by %.2g)", what, i, v, want.F64[i], d)
			return
		}
	}
}

// TestAttentionGolden: three steps of a model of attention, masks, batch norm,
// InfoNCE and AdamW are PyTorch's.
func TestAttentionGolden(t *testing.T) {
	golden, err := npy.ReadZip(filepath.Join("testdata", "attention.npz"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("float64", func(t *testing.T) { attentionGolden[float64](t, golden, 1e-10) })
	t.Run("float32", func(t *testing.T) { attentionGolden[float32](t, golden, 2e-4) })
}

func attentionGolden[T nn.Float](t *testing.T, golden map[string]*npy.Array, tol float64) {
	m := must[*Model[T]](t)(New[T](attentionSpec(), 1))
	for _, p := range m.Params() {
		a := golden[p.Name]
		if a == nil || !slices.Equal(a.Shape, p.Shape) {
			t.Fatalf("%s %v is not in the golden file", p.Name, p.Shape)
		}
		for i, v := range a.F64 {
			p.W[i] = T(v)
		}
	}
	g, s, fill := filled(t, golden, m, true)
	loss := g.Loss(nn.Loss{Kind: nn.LossInfoNCE, Temperature: .07}, s, nil)
	machine := must[*nn.Machine[T]](t)(g.Compile(loss))
	opt := must[*nn.Optimizer[T]](t)(nn.NewOptimizer(m.Params(), nn.OptimizerOptions{Kind: nn.AdamW, Beta1: .9, Beta2: .98, Epsilon: 1e-8, WeightDecay: .1, DecayMatrices: true}))
	opt.LearningRate = 1e-2
	for step, want := range golden["losses"].F64 {
		fill(machine)
		if err := machine.Run(); err != nil {
			t.Fatal(err)
		}
		if got := float64(machine.Data(loss)[0]); math.Abs(got-want) > tol*want {
			t.Errorf("loss of step %d = %v, want %v", step+1, got, want)
		}
		if step == 0 {
			nearly(t, "similarities", machine.Data(s), golden["S"], tol)
			for i, vg := range machine.Grads() {
				v := must[any](t)(func() (any, error) { g, err := vg.Grad(); return g.Data(), err }())
				name := machine.Params()[i].Name
				if strings.HasPrefix(name, "audio.conv") && strings.HasSuffix(name, ".bias") || strings.HasSuffix(name, "attention.bias") {
					continue // the true gradient before a batch norm's mean and in a softmax is 0
				}
				nearly(t, "gradient of "+name, v.([]T), golden["g "+name], 10*tol)
			}
		}
		if err := opt.Step(machine.Grads()); err != nil {
			t.Fatal(err)
		}
	}
	if tol > 1e-6 { // Adam makes whole steps of what is rounding
		return
	}
	for _, p := range m.Params() {
		if !(strings.HasPrefix(p.Name, "audio.conv") && strings.HasSuffix(p.Name, ".bias") || strings.HasSuffix(p.Name, "attention.bias")) {
			nearly(t, p.Name, p.W, golden["w3 "+p.Name], 1e-6)
		}
	}
	for _, st := range m.Stats() {
		nearly(t, st.Name+" variance", st.Var, golden["w3 "+st.Name+".running_var"], 1e-6)
	}
}

// TestAttentionGradients: those of the same model by finite differences, with
// dropout, whose draws stay the same while the step does.
func TestAttentionGradients(t *testing.T) {
	spec := attentionSpec()
	drop := Layer{Op: "dropout", Name: "drop", Rate: .4}
	spec.Image.Layers = slices.Insert(spec.Image.Layers, 1, drop)
	spec.Audio.Layers = slices.Insert(spec.Audio.Layers, 8, drop)
	spec.Height, spec.Width, spec.Frames = 2, 2, 12
	modelGradients(t, spec)
	spec.Length, spec.LearnScale = LengthFixed, true
	modelGradients(t, spec)
}

// TestMaskedPadding: a clip gives the same vector, and the same similarity of any
// kind, however much padding stands behind it.
func TestMaskedPadding(t *testing.T) {
	for _, kind := range Similarities() {
		spec := attentionSpec()
		if spec.Similarity = kind; kind != SimilarityAttention {
			spec.Image.Layers, spec.Audio.Layers = spec.Image.Layers[:1], spec.Audio.Layers[:8]
			spec.Image.Layers[0].Channels = 6
		}
		m := must[*Model[float64]](t)(New[float64](spec, 3))
		r := rand.New(rand.NewPCG(4, 5))
		for _, s := range m.Stats() {
			for i := range s.Mean {
				s.Mean[i] = r.NormFloat64()
			}
		}
		clip, picture := noise(r, 19*3), noise(r, 24)
		var want float64
		for _, frames := range []int{19, 20, 24, 32} {
			g := nn.NewGraph(nn.NewWorkspace[float64](), false)
			x, y, n := g.Input("images", 1, 2, 3, 4), g.Input("audio", 1, frames, 3), g.Input("frames", 1)
			s := m.Similarities(g, x, y, n)
			machine := must[*nn.Machine[float64]](t)(g.Compile(nil))
			copy(machine.Data(x), picture)
			copy(machine.Data(y), clip)
			machine.Data(n)[0] = float64(spec.OutFrames(19, frames))
			if err := machine.Run(); err != nil {
				t.Fatal(err)
			}
			if got := machine.Data(s)[0]; frames == 19 {
				want = got
			} else if math.Abs(got-want) > 1e-12 || want == 0 {
				t.Errorf("%s: a clip of 19 frames in %d scores %v, alone %v", kind, frames, got, want)
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

// TestAttentionCheck: what does not go with an attention.
func TestAttentionCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Spec)
		want   string
	}{
		"fine":              {func(*Spec) {}, ""},
		"misa":              {func(s *Spec) { s.Similarity = nn.MISA }, "both towers must attend"},
		"one tower":         {func(s *Spec) { s.Image.Layers = s.Image.Layers[:1]; s.Image.Layers[0].Channels = 3 }, "both towers must attend"},
		"conv after it":     {func(s *Spec) { s.Audio.Layers = append(s.Audio.Layers, same("last", 3, 3, false)) }, "a conv may not follow an attention"},
		"twice":             {func(s *Spec) { s.Audio.Layers = append(s.Audio.Layers, Layer{Op: "attend", Name: "x"}) }, "a attend may not follow"},
		"linear of a photo": {func(s *Spec) { s.Image.Layers[0].Op = "linear" }, "is for sound, or follows"},
		"mask of a conv":    {func(s *Spec) { s.Audio.Layers[0].Mask = true }, "mask is for"},
		"mask of a photo":   {func(s *Spec) { s.Image.Layers[0] = Layer{Op: "pool", Kernel: 1, Stride: 1, Mask: true}; s.Image.In = 3 }, "mask is for"},
		"rate":              {func(s *Spec) { s.Audio.Layers[8] = Layer{Op: "dropout", Name: "d", Rate: 1} }, "dropout rate 1"},
		"norm of maps":      {func(s *Spec) { s.MapNorm = &CoeffNorm{Mean: []float64{1, 2, 3}, Std: 1} }, "norm of feature maps"},
		"deviations":        {func(s *Spec) { s.AudioNorm = &CoeffNorm{Mean: []float64{1, 2, 3}, Stds: []float64{1, 0, 1}} }, "audio norm"},
	} {
		s := attentionSpec()
		c.change(&s)
		if err := s.Check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
