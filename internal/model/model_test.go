package model

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/nn"
)

func must[V any](t testing.TB) func(v V, err error) V {
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// paperSpec is the paper's model on VGG16 features.
func paperSpec(t testing.TB, audio string) Spec {
	t.Helper()
	return Spec{
		Image: must[Tower](t)(ImageTower("head", HeadOptions{In: 512})), Audio: must[Tower](t)(AudioTower(audio, AudioOptions{Coeffs: 40})),
		Height: 14, Width: 14, Frames: 1024, Length: LengthFixed, Similarity: nn.MISA, Scale: 1, Init: InitPyTorch,
	}
}

// smallSpec is the demo's model (small5), or one with a smaller image tower.
func smallSpec(t testing.TB, image string) Spec {
	t.Helper()
	return Spec{
		Image: must[Tower](t)(ImageTower(image, HeadOptions{})), Audio: must[Tower](t)(AudioTower("small", AudioOptions{Coeffs: 40})),
		Height: 64, Width: 64, Frames: 448, Length: LengthTrue, Similarity: nn.MISA, Scale: .25, Init: InitHe,
		Pixels: &PixelNorm{Center: 127.5, Scale: 63.75},
	}
}

func TestParameterCounts(t *testing.T) {
	for _, c := range []struct {
		name string
		spec Spec
		want int
		t    int // steps that the longest clip becomes
	}{
		{"conv5", paperSpec(t, "conv5"), 20_685_264, 64},
		{"conv6", paperSpec(t, "conv6"), 38_512_080, 64},
		{"lstm", paperSpec(t, "lstm"), 8_545_344, 510},
		{"gru", paperSpec(t, "gru"), 7_724_096, 510},
		{"small", smallSpec(t, "small"), 52_096, 28},
		{"small5", smallSpec(t, "small5"), 121_792, 28},
	} {
		if got := sizeOf(c.spec.Image) + sizeOf(c.spec.Audio); got != c.want {
			t.Errorf("%s with its image tower has %d parameters, want %d", c.name, got, c.want)
		}
		if got := c.spec.Audio.Steps(c.spec.Frames); got != c.t {
			t.Errorf("%s: %d frames become %d steps, want %d", c.name, c.spec.Frames, got, c.t)
		}
	}
	m := must[*Model[float32]](t)(New[float32](smallSpec(t, "small"), 1))
	if m.Size() != 52_096 {
		t.Errorf("the small model holds %d parameters, want 52096", m.Size())
	}
}

func TestNames(t *testing.T) {
	for _, name := range AudioNames() {
		tower, err := AudioTower(name, AudioOptions{Coeffs: 40})
		if err != nil || tower.Name != name || tower.check() != nil {
			t.Errorf("AudioTower(%q) = %v, %v, %v", name, tower, err, tower.check())
		}
	}
	if _, err := AudioTower("conv7", AudioOptions{Coeffs: 40}); err == nil || !strings.Contains(err.Error(), "conv5, conv6") {
		t.Errorf("AudioTower(conv7) = %v, want the names that there are", err)
	}
	for _, o := range []AudioOptions{{}, {Coeffs: 40, Layers: 99}, {Coeffs: 40, Hidden: -1}, {Coeffs: 40, Hidden: maxChannels}} {
		if _, err := AudioTower("gru", o); err == nil {
			t.Errorf("AudioTower(gru, %+v) was made", o)
		}
	}
}

// TestRecurrentTower: options, names of tensors as in PyTorch, initial values
// within PyTorch's bounds.
// TestConv5Graph: each layer is a node of the graph, and so is each gradient.
func TestConv5Graph(t *testing.T) {
	spec := paperSpec(t, "conv5")
	spec.Image.In, spec.Image.Layers[0].Channels = 8, 16 // a thin one has the same graph
	for i := range spec.Audio.Layers {
		if c := &spec.Audio.Layers[i].Channels; *c > 0 {
			*c = 16
		}
	}
	m := must[*Model[float32]](t)(New[float32](spec, 1))
	g := nn.NewGraph(nn.NewWorkspace[float32](), true)
	images, audio, frames := g.Input("images", 2, 14, 14, 8), g.Input("audio", 2, 1024, 40), g.Input("frames", 2)
	loss := g.Hinge(m.Similarities(g, images, audio, frames), 1)
	machine := must[*nn.Machine[float32]](t)(g.Compile(loss))
	forward, kinds := 0, map[string]bool{}
	for _, n := range g.Expr().AllNodes() {
		if n.Op() == nil {
			continue
		}
		name := n.Op().String()
		if !strings.HasPrefix(name, "d") && !strings.HasPrefix(name, "const") {
			forward++
		}
		kinds[strings.Join(strings.Fields(strings.TrimRight(name, "0123456789/->x "))[:1], "")+" "+name] = true
		if strings.HasPrefix(name, "d/dx batchnorm") {
			t.Errorf("%s: nobody needs the gradient by the frames", name)
		}
	}
	// norm, 5 convolutions, 4 pools, head, MISA, hinge.
	if forward != 13 {
		t.Errorf("%d operations forward, want 13", forward)
	}
	if len(kinds) < 12 {
		t.Errorf("%d distinct operations, want at least 12", len(kinds))
	}
	if n := len(machine.Grads()); n != 14 {
		t.Errorf("%d gradients, want 14", n)
	}
}

// tinySpec is small enough for finite differences, with every kind of layer.
func tinySpec() Spec {
	return Spec{
		Image: Tower{Name: "tiny", Dims: 2, In: 2, Layers: []Layer{
			{Op: "conv", Name: "a", Kernel: 3, Stride: 2, Pad: 1, Channels: 4, ReLU: true},
			{Op: "pool", Kernel: 2, Stride: 1}, {Op: "conv", Name: "b", Kernel: 1, Stride: 1, Channels: 5},
		}},
		Audio: Tower{Name: "tiny", Dims: 1, In: 3, Layers: []Layer{
			{Op: "norm", Name: "n"}, {Op: "conv", Name: "a", Kernel: 3, Stride: 1, Pad: 1, Channels: 4, ReLU: true},
			{Op: "pool", Kernel: 3, Stride: 2, Pad: 1}, {Op: "conv", Name: "b", Kernel: 3, Stride: 1, Pad: 1, Channels: 5},
		}},
		Height: 6, Width: 5, Frames: 12, Length: LengthTrue, Similarity: nn.MISA, Scale: .5, Init: InitPyTorch,
	}
}

// tinyRecurrent is tinySpec with an audio tower of recurrent layers, both ways
// and one way.
// TestModelGradients checks every gradient of a whole model in float64.
func TestModelGradients(t *testing.T) {
	for name, spec := range map[string]Spec{"conv": tinySpec(), "lstm": tinyRecurrent("lstm"), "gru": tinyRecurrent("gru"), "vgg16": tinyVGG(1), "vgg16 last block": tinyVGG(5)} {
		t.Run(name, func(t *testing.T) { modelGradients(t, spec) })
	}
}

func modelGradients(t *testing.T, spec Spec) {
	m := must[*Model[float64]](t)(New[float64](spec, 3))
	g := nn.NewGraph(nn.NewWorkspace[float64](), true)
	images, audio, frames := g.Input("images", 3, spec.Height, spec.Width, spec.Image.In), g.Input("audio", 3, spec.Frames, spec.Audio.In), g.Input("frames", 3)
	loss := g.Hinge(m.Similarities(g, images, audio, frames), 1)
	machine := must[*nn.Machine[float64]](t)(g.Compile(loss))
	r := rand.New(rand.NewPCG(4, 5))
	for _, n := range []*nn.Node{images, audio} {
		for i := range machine.Data(n) {
			machine.Data(n)[i] = r.NormFloat64()
		}
	}
	for i, n := range []int{12, 5, 2} {
		machine.Data(frames)[i] = float64(m.OutFrames(n, 12))
	}
	run := func() float64 {
		if err := machine.Run(); err != nil {
			t.Fatal(err)
		}
		return machine.Data(loss)[0]
	}
	run()
	var grads [][]float64
	for _, vg := range machine.Grads() {
		v, err := vg.Grad()
		if err != nil {
			t.Fatal(err)
		}
		grads = append(grads, append([]float64{}, v.Data().([]float64)...))
	}
	for i, p := range machine.Params() {
		for j := range p.W {
			const h = 1e-6
			old := p.W[j]
			p.W[j] = old + h
			up := run()
			p.W[j] = old - h
			down := run()
			p.W[j] = old
			if want := (up - down) / (2 * h); math.Abs(grads[i][j]-want) > 1e-6*max(.01, math.Abs(want)) {
				t.Errorf("gradient by %s[%d] = %v, finite difference %v", p.Name, j, grads[i][j], want)
			}
		}
	}
}

func TestInitialValues(t *testing.T) {
	a := must[*Model[float32]](t)(New[float32](smallSpec(t, "small"), 7))
	b := must[*Model[float32]](t)(New[float32](smallSpec(t, "small"), 7))
	c := must[*Model[float32]](t)(New[float32](smallSpec(t, "small"), 8))
	same, other := true, false
	for i, p := range a.Params() {
		for j, v := range p.W {
			same = same && v == b.Params()[i].W[j]
			other = other || v != c.Params()[i].W[j]
		}
	}
	if !same || !other {
		t.Errorf("one seed gives the same values: %v; two seeds differ: %v", same, other)
	}
	for _, p := range a.Params() {
		if p.Name == "image.conv4.weight" { // gain 1 of 64
			if d := deviation(p.W); math.Abs(d-1./8) > .005 {
				t.Errorf("deviation of %s is %v, want 0.125", p.Name, d)
			}
		}
		if strings.HasSuffix(p.Name, ".bias") && deviation(p.W) != 0 {
			t.Errorf("%s is not 0", p.Name)
		}
	}
	spec := smallSpec(t, "small")
	spec.Init = InitPyTorch
	for _, p := range must[*Model[float32]](t)(New[float32](spec, 7)).Params() {
		if p.Name == "audio.conv3.bias" {
			bound := 1 / math.Sqrt(9*16)
			for _, v := range p.W {
				if math.Abs(float64(v)) > bound {
					t.Errorf("%s holds %v, over its bound %v", p.Name, v, bound)
				}
			}
			if d := deviation(p.W); d < bound/3 || d > bound {
				t.Errorf("%s has deviation %v, want about %v", p.Name, d, bound/math.Sqrt(3))
			}
		}
	}
}

func deviation(x []float32) float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return math.Sqrt(s / float64(len(x)))
}

func TestOutFrames(t *testing.T) {
	s := smallSpec(t, "small")
	for _, c := range [][3]int{{448, 448, 28}, {447, 448, 27}, {16, 448, 1}, {3, 448, 1}, {0, 448, 1}, {500, 448, 28}, {100, 112, 6}} {
		if got := s.OutFrames(c[0], c[1]); got != c[2] {
			t.Errorf("a clip of %d frames in %d counts %d steps, want %d", c[0], c[1], got, c[2])
		}
	}
	s.Length = LengthFixed
	if got := s.OutFrames(3, 448); got != 28 {
		t.Errorf("with a fixed length %d steps count, want all 28", got)
	}
}

func TestPutFrames(t *testing.T) {
	s := smallSpec(t, "small")
	s.Audio.In = 2
	s.AudioNorm = &CoeffNorm{Mean: []float64{1, 10}, Std: 2}
	dst := []float32{9, 9, 9, 9, 9, 9}
	if n := PutFrames(&s, dst, []float32{3, 8, 1, 12}); n != 2 || !equal(dst, 1, -1, 0, 1, 0, 0) {
		t.Errorf("a short clip: %d frames, %v", n, dst)
	}
	if n := PutFrames(&s, dst, []float32{3, 8, 1, 12, 5, 10, 7, 7}); n != 3 || !equal(dst, 1, -1, 0, 1, 2, 0) {
		t.Errorf("a long clip: %d frames, %v", n, dst)
	}
	PutPixels(&s, dst[:2], []uint8{0, 255})
	if !equal(dst[:2], -2, 2) {
		t.Errorf("pixels 0 and 255 become %v, want -2 and 2", dst[:2])
	}
}

func equal(got []float32, want ...float32) bool {
	for i, w := range want {
		if got[i] != w {
			return false
		}
	}
	return len(got) == len(want)
}

// TestBackwardsPadding: what a clip in both directions is scored at does not
// depend on how much padding stands behind it, with length: true.
// TestLayersCheck: a model.json cannot ask for layers that do not go together.
func stored(t testing.TB, m *Model[float32]) (config, weights []byte) {
	t.Helper()
	var c, w bytes.Buffer
	if err := errors.Join(m.WriteConfig(&c), m.WriteWeights(&w)); err != nil {
		t.Fatal(err)
	}
	return c.Bytes(), w.Bytes()
}

func TestStore(t *testing.T) {
	spec := tinySpec()
	spec.AudioNorm = &CoeffNorm{Mean: []float64{.1, .2, 1. / 3}, Std: 17.9}
	m := must[*Model[float32]](t)(New[float32](spec, 5))
	m.Stats()[0].Mean[1] = 4
	config, weights := stored(t, m)
	back, err := Load(config, weights)
	if err != nil {
		t.Fatal(err)
	}
	config2, weights2 := stored(t, back)
	if !bytes.Equal(config, config2) || !bytes.Equal(weights, weights2) {
		t.Error("a model that was stored and loaded is stored as other bytes")
	}
	if back.Stats()[0].Mean[1] != 4 {
		t.Error("the running statistics were lost")
	}
	other := tinySpec()
	other.Audio.Layers[1].Channels = 6
	wide := must[*Model[float32]](t)(New[float32](other, 5))
	wideConfig, _ := stored(t, wide)
	_, err = Load(wideConfig, weights)
	for _, name := range []string{"audio.a.weight", "audio.a.bias", "audio.b.weight"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("tensors of another model: the error does not name %s: %v", name, err)
		}
	}
	for _, bad := range []string{`{}`, `{"format":"hearsight.model/1"}`, `nonsense`, strings.Replace(string(config), `"kernel": 3`, `"kernel": 30000000`, 1),
		strings.Replace(string(config), `"misa"`, `"mis"`, 1), strings.Replace(string(config), `"height": 6`, `"height": 60000000`, 1),
		strings.Replace(string(config), `"channels": 4`, `"channels": 16000`, -1)} {
		if _, err := Load([]byte(bad), weights); err == nil {
			t.Errorf("a broken model.json was taken: %.100s", bad)
		}
	}
}

func FuzzLoad(f *testing.F) {
	m, err := New[float32](tinySpec(), 5)
	if err != nil {
		f.Fatal(err)
	}
	config, weights := stored(f, m)
	f.Add(config, weights)
	f.Add(config, weights[:len(weights)/2])
	if m, err = New[float32](tinyRecurrent("lstm"), 5); err != nil {
		f.Fatal(err)
	}
	rnnConfig, rnnWeights := stored(f, m)
	f.Add(rnnConfig, rnnWeights)
	f.Add([]byte(`{"format":"hearsight.model/1","image":{"dims":2}}`), []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		m, err := Load(config, weights)
		if err != nil {
			return
		}
		if m.Size()*2 > len(weights) { // float16 at the least
			t.Errorf("%d parameters from %d bytes", m.Size(), len(weights))
		}
		for _, p := range m.Params() {
			if i := slices.IndexFunc(p.W, func(v float32) bool { return !finite(float64(v)) }); i >= 0 {
				t.Errorf("%s holds %v", p.Name, p.W[i])
			}
		}
	})
}

func FuzzParseTensors(f *testing.F) {
	var file bytes.Buffer
	if err := writeTensors(&file, []namedTensor{{"a", []int{2, 3}, make([]float32, 6)}, {"b", []int{1}, []float32{1}}}, map[string]string{"k": "v"}); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte("\x3f\x00\x00\x00\x00\x00\x00\x00" + `{"a":{"dtype":"F16","shape":[0,9],"data_offsets":[0,0]}}       `))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, err := ParseTensors(data)
		if err != nil {
			return
		}
		for _, name := range tensors.Names() {
			_, shape, ok := tensors.Info(name)
			if !ok {
				t.Fatalf("%q is listed and not there", name)
			}
			var dims []int
			for _, d := range shape {
				dims = append(dims, int(d))
			}
			if v, err := tensors.Float32(name, dims...); err == nil && 2*len(v) > len(data) {
				t.Errorf("%q gives %d values from a file of %d bytes", name, len(v), len(data))
			}
		}
	})
}
