package model

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/nn"
)

func TestRecurrentTower(t *testing.T) {
	spec := tinySpec()
	spec.Audio = must[Tower](t)(AudioTower("lstm", AudioOptions{Coeffs: 3, Layers: 1, Hidden: 16, Bidirectional: true}))
	spec.Image = must[Tower](t)(ImageTower("head", HeadOptions{In: 2}))
	m := must[*Model[float32]](t)(New[float32](spec, 1))
	want := map[string][2]int{ // values, fan
		"conv.weight": {6 * 3 * 64, 18}, "conv.bias": {64, 18},
		"lstm1.weight_ih": {64 * 64, 16}, "lstm1.weight_hh": {16 * 64, 16}, "lstm1.bias_ih": {64, 16}, "lstm1.bias_hh": {64, 16},
		"lstm1.weight_ih_reverse": {64 * 64, 16}, "lstm1.weight_hh_reverse": {16 * 64, 16}, "lstm1.bias_ih_reverse": {64, 16}, "lstm1.bias_hh_reverse": {64, 16},
		"linear.weight": {32 * 1024, 32}, "linear.bias": {1024, 32},
	}
	for _, p := range m.Params() {
		name, audio := strings.CutPrefix(p.Name, "audio.")
		if !audio {
			continue
		}
		w, ok := want[name]
		delete(want, name)
		if !ok || len(p.W) != w[0] {
			t.Errorf("%s holds %d values, want %d", p.Name, len(p.W), w[0])
			continue
		}
		bound, most := 1/math.Sqrt(float64(w[1])), 0.0
		for _, v := range p.W {
			most = max(most, math.Abs(float64(v)))
		}
		if most > bound || most < .9*bound {
			t.Errorf("the largest of %s is %v, want just under %v", p.Name, most, bound)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing parameters %v", want)
	}
	for _, c := range [][3]int{{12, 12, 4}, {7, 12, 3}, {1, 12, 1}} {
		if got := spec.OutFrames(c[0], c[1]); got != min(4, max(1, c[0]/3)) {
			t.Errorf("a clip of %d frames in %d counts %d steps", c[0], c[1], got)
		}
	}
	paper := paperSpec(t, "gru")
	paper.Length = LengthTrue
	for _, c := range [][2]int{{1024, 510}, {300, 150}, {1, 1}} {
		if got := paper.OutFrames(c[0], 1024); got != c[1] {
			t.Errorf("gru: a clip of %d frames in 1024 counts %d steps, want %d", c[0], got, c[1])
		}
	}
}

func tinyRecurrent(kind string) Spec {
	s := tinySpec()
	s.Audio.Layers = []Layer{
		{Op: "conv", Name: "a", Kernel: 3, Stride: 2, Pad: 1, Channels: 4},
		{Op: kind, Name: "b", Channels: 3, Bidirectional: true}, {Op: kind, Name: "c", Channels: 4}, {Op: "linear", Name: "d", Channels: 5},
	}
	return s
}

func TestBackwardsPadding(t *testing.T) {
	spec := tinyRecurrent("gru")
	m := must[*Model[float64]](t)(New[float64](spec, 3))
	embed := func(frames int) []float64 {
		g := nn.NewGraph(nn.NewWorkspace[float64](), false)
		x, n := g.Input("x", 1, frames, 3), g.Input("n", 1)
		y := m.EmbedAudio(g, x, n)
		machine := must[*nn.Machine[float64]](t)(g.Compile(nil))
		r := rand.New(rand.NewPCG(8, 9))
		for i := range 8 * 3 {
			machine.Data(x)[i] = r.NormFloat64()
		}
		machine.Data(n)[0] = float64(m.OutFrames(8, frames))
		if err := machine.Run(); err != nil {
			t.Fatal(err)
		}
		return machine.Data(y)[:4*5]
	}
	short, long := embed(8), embed(20)
	for i, v := range short {
		if math.Abs(v-long[i]) > 1e-12 {
			t.Fatalf("value %d is %v in 8 frames and %v in 20", i, v, long[i])
		}
	}
}

func TestLayersCheck(t *testing.T) {
	for want, change := range map[string]func(s *Spec){
		"is for sound":             func(s *Spec) { s.Image.Layers[2] = Layer{Op: "linear", Name: "l", Channels: 5} },
		"has no direction":         func(s *Spec) { s.Audio.Layers[0].Bidirectional = true },
		"follow a layer that read": func(s *Spec) { s.Audio.Layers[3] = Layer{Op: "conv", Name: "e", Kernel: 1, Stride: 1, Channels: 5} },
		"out of range":             func(s *Spec) { s.Audio.Layers[2].Channels = maxChannels },
		"is too large":             func(s *Spec) { s.Audio.Layers[1].Channels, s.Audio.Layers[2].Channels = maxChannels/2, maxChannels/2 },
		"end in 5 and 4 channels":  func(s *Spec) { s.Audio.Layers = s.Audio.Layers[:3] },
		"is empty or taken":        func(s *Spec) { s.Audio.Layers[2].Name = "b" },
	} {
		s := tinyRecurrent("lstm")
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestStoreRecurrent(t *testing.T) {
	m := must[*Model[float32]](t)(New[float32](tinyRecurrent("gru"), 5))
	config, weights := stored(t, m)
	back, err := Load(config, weights)
	if err != nil {
		t.Fatal(err)
	}
	config2, weights2 := stored(t, back)
	if !bytes.Equal(config, config2) || !bytes.Equal(weights, weights2) || back.Size() != m.Size() {
		t.Error("a model that was stored and loaded is stored as other bytes")
	}
}
