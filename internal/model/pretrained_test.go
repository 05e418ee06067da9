package model

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// tinyVGG is a VGG16 of two or three channels a layer, from a block on, with a
// head on it and an audio tower that fits.
func tinyVGG(first int) Spec {
	s := tinySpec()
	s.Image = vggTower("vgg16", vggBlocks["vgg16"], [5]int{2, 2, 2, 3, 3}, first)
	s.Image.Layers = append(s.Image.Layers, Layer{Op: "conv", Name: "head", Kernel: 3, Stride: 1, Pad: 1, Channels: 5, Gain: 1})
	s.Height, s.Width, s.Init = 16, 32, InitHe
	if first == 5 {
		s.Height, s.Width = 2, 3
	}
	return s
}

// TestVGGTower: what the tower that is trained is made of.
func TestVGGTower(t *testing.T) {
	for name, want := range map[string]struct{ all, last, layers int }{
		"vgg16": {14714688, 3 * 2359808, 18}, // 13 convolutions, 4 pools, the head
		"vgg19": {20024384, 4 * 2359808, 21},
	} {
		const head = 9*512*Dim + Dim
		tower := must[Tower](t)(ImageTower(name, HeadOptions{}))
		if n := sizeOf(tower); n != want.all+head || len(tower.Layers) != want.layers || tower.In != 3 || tower.Steps(224) != 14 || tower.Out() != Dim {
			t.Errorf("%s: %d parameters, %d layers, %d channels to %dx%d", name, n, len(tower.Layers), tower.In, tower.Steps(224), tower.Out())
		}
		block := must[Tower](t)(ImageTower(name, HeadOptions{LastBlock: true, Kernel: 1}))
		if n := sizeOf(block); n != want.last+512*Dim+Dim || block.In != 512 || block.Steps(14) != 14 || block.Layers[0].Name != "conv5_1" {
			t.Errorf("%s: last block of %d parameters from %d channels", name, n, block.In)
		}
	}
}

// headless is a model whose image tower is a VGG without its head.
func headless(t *testing.T, name string, lastBlock bool, h, w int, pixels *PixelNorm) *Model[float32] {
	t.Helper()
	image := must[Tower](t)(ImageTower(name, HeadOptions{LastBlock: lastBlock}))
	image.Layers = image.Layers[:len(image.Layers)-1]
	return must[*Model[float32]](t)(New[float32](Spec{
		Image: image, Audio: Tower{Name: "one", Dims: 1, In: 1, Layers: []Layer{{Op: "conv", Name: "one", Kernel: 1, Stride: 1, Channels: 512}}},
		Height: h, Width: w, Frames: 1, Length: LengthFixed, Similarity: nn.MISA, Scale: 1, Init: InitPyTorch, Pixels: pixels,
	}, 1))
}

// embed runs the image tower.
func embed(t *testing.T, m *Model[float32], put func(dst []float32)) []float32 {
	t.Helper()
	g := nn.NewGraph(nn.NewWorkspace[float32](), false)
	x := g.Input("x", 1, m.Height, m.Width, m.Image.In)
	y := m.EmbedImages(g, x)
	machine := must[*nn.Machine[float32]](t)(g.Compile(nil))
	put(machine.Data(x))
	if err := machine.Run(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(machine.Data(y))
}

// TestPretrained: the tower to be trained starts as the frozen network, whole or
// from its last block on, by either convention of pixels.
func TestPretrained(t *testing.T) {
	const h, w = 48, 32
	bgr := noisePicture(h, w)
	rgb := slices.Clone(bgr)
	for i := 0; i < len(rgb); i += 3 {
		rgb[i], rgb[i+2] = rgb[i+2], rgb[i]
	}
	for title, c := range map[string]struct {
		name string
		o    FrozenOptions
	}{
		"vgg16":             {"vgg16", FrozenOptions{}},
		"vgg16 torchvision": {"vgg16", FrozenOptions{Input: InputTorchvision}},
		"vgg19 identity":    {"vgg19", FrozenOptions{Init: InitIdentity}},
		"vgg16 random":      {"vgg16", FrozenOptions{Init: InitRandom, Seed: 3}},
	} {
		t.Run(title, func(t *testing.T) {
			if testing.Short() && title != "vgg16 torchvision" {
				t.Skip("whole VGGs take seconds")
			}
			dir := ""
			if c.o.Init != InitRandom {
				dir = sharedtest.Path(t, "data", "weights")
			}
			features := func(o FrozenOptions) []float32 {
				x, _, _, err := must[*Frozen](t)(OpenFrozen(c.name, dir, o)).Features(bgr, h, w)
				if err != nil {
					t.Fatal(err)
				}
				return x
			}
			want := features(c.o)
			p := must[*Pretrained](t)(OpenPretrained(c.name, dir, c.o))
			m := headless(t, c.name, false, h, w, p.Pixels())
			if err := Fill(p, m); err != nil {
				t.Fatal(err)
			}
			if d := relative(embed(t, m, func(x []float32) { PutPixels(&m.Spec, x, rgb) }), want); d > 2e-5 {
				t.Errorf("the whole network is off by %.2g", d)
			}
			cut := c.o
			cut.Layer = LayerPool4
			half := headless(t, c.name, true, h/16, w/16, nil)
			if err := Fill(p, half); err != nil {
				t.Fatal(err)
			}
			if d := relative(embed(t, half, func(x []float32) { copy(x, features(cut)) }), want); d > 2e-5 {
				t.Errorf("the last block is off by %.2g", d)
			}
		})
	}
}

// TestPretrainedErrors: networks that cannot be, weights that do not fit, all
// named at once, towers that have no such layer.
func TestPretrainedErrors(t *testing.T) {
	if _, err := OpenPretrained("resnet50", "", FrozenOptions{Init: InitRandom}); err == nil || !strings.Contains(err.Error(), "cannot be trained along") {
		t.Errorf("resnet50: %v", err)
	}
	if _, err := OpenPretrained("vgg16", filepath.Join(t.TempDir(), "none"), FrozenOptions{}); err == nil || !strings.Contains(err.Error(), "weights of vgg16") {
		t.Errorf("no file: %v", err)
	}
	var b bytes.Buffer
	if err := writeTensors(&b, []namedTensor{{"features.24.weight", []int{1}, []float32{1}}}, map[string]string{"input": InputCaffe}); err != nil {
		t.Fatal(err)
	}
	l, err := newLoader("vgg16", b.Bytes(), FrozenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = Fill(&Pretrained{name: "vgg16", l: l}, headless(t, "vgg16", true, 2, 2, nil))
	for _, want := range []string{"features.24.weight has shape", "features.24.bias is missing", "features.28.bias is missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	p := must[*Pretrained](t)(OpenPretrained("vgg16", "", FrozenOptions{Init: InitRandom}))
	m := must[*Model[float32]](t)(New[float32](tinySpec(), 1))
	if err := Fill(p, m); err == nil || !strings.Contains(err.Error(), "has no layer of vgg16") {
		t.Errorf("another tower: %v", err)
	}
	q := must[*Pretrained](t)(OpenPretrained("vgg16", "", FrozenOptions{Init: InitRandom, Seed: 1}))
	if p.Key() == q.Key() {
		t.Error("two seeds have one key")
	}
}

// TestPixelNorm: by channel, red first; and norms that cannot be.
func TestPixelNorm(t *testing.T) {
	s := Spec{Pixels: &PixelNorm{Scale: 1, Mean: []float64{1, 2, 3}, Std: []float64{1, 2, 4}}}
	dst := make([]float32, 6)
	if PutPixels(&s, dst, []uint8{1, 2, 3, 2, 4, 7}); !equal(dst, 0, 0, 0, 1, 1, 1) {
		t.Errorf("pixels become %v", dst)
	}
	for name, p := range map[string]PixelNorm{
		"a channel":  {Scale: 1, Mean: []float64{1, 2}, Std: []float64{1, 1}},
		"a mean":     {Scale: 1, Std: []float64{1, 1, 1}},
		"no number":  {Scale: 1, Mean: []float64{1, 2, math.NaN()}, Std: []float64{1, 1, 1}},
		"a zero":     {Scale: 1, Mean: []float64{1, 2, 3}, Std: []float64{1, 0, 1}},
		"no scale":   {Mean: []float64{1, 2, 3}, Std: []float64{1, 1, 1}},
		"no std":     {Scale: 1, Mean: []float64{1, 2, 3}},
		"infinities": {Scale: 1, Mean: []float64{1, 2, 3}, Std: []float64{1, math.Inf(1), 1}},
	} {
		if err := p.check(3); err == nil {
			t.Errorf("%s is wrong, and passes", name)
		}
	}
}
