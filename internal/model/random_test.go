package model

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// noisePicture is some picture, BGR.
func noisePicture(h, w int) []uint8 {
	out := make([]uint8, h*w*3)
	for i := range out {
		out[i] = uint8((i*i>>5)*7 + i*11)
	}
	return out
}

// TestIdentity: VGG19 of VGG16 and identity gives VGG16's features to the bit;
// so does a VGG19 from a file in which the three layers really are the
// identity, but for the rounding of those layers.
func TestIdentity(t *testing.T) {
	dir, picture := sharedtest.Path(t, "data", "weights"), noisePicture(48, 32)
	features := func(f *Frozen, err error) []float32 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		x, h, w, err := f.Features(picture, 48, 32)
		if err != nil || h != 3 || w != 2 {
			t.Fatalf("%dx%d, %v", h, w, err)
		}
		return x
	}
	want := features(OpenFrozen("vgg16", dir, FrozenOptions{}))
	f, err := OpenFrozen("vgg19", dir, FrozenOptions{Init: InitIdentity})
	if got := features(f, err); !slices.Equal(got, want) {
		t.Error("VGG19 made of VGG16 gives other features")
	}
	if f.Name != "vgg19" || f.Layer != "conv5_4" || FrozenNote(FrozenTitle("vgg19", InitIdentity)) != "VGG19 (VGG16 + identity)" || FrozenNote(FrozenTitle("vgg19", InitPretrained)) != "" {
		t.Errorf("it is called %s, %s", f.Name, f.Layer)
	}
	if testing.Short() {
		t.Skip("writes 85 MB of weights")
	}
	file := deepened(t, filepath.Join(dir, WeightsFile("vgg16")))
	got := features(LoadFrozen("vgg19", file, FrozenOptions{Input: InputCaffe}))
	if d := relative(got, want); d > 1e-5 { // Winograd's rounding, three layers of it
		t.Errorf("a VGG19 whose three more layers are the identity is off by %.2g", d)
	}
}

// relative is the rms of the difference by that of want.
func relative(got, want []float32) float64 {
	var d, s float64
	for i, w := range want {
		d += float64(got[i]-w) * float64(got[i]-w)
		s += float64(w) * float64(w)
	}
	return math.Sqrt(d / s)
}

// deepened is VGG16's file with VGG19's names and an identity at the end of
// blocks 3, 4 and 5.
func deepened(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	from, err := ParseTensors(raw)
	if err != nil {
		t.Fatal(err)
	}
	var out []namedTensor
	move := func(old, now, width int) {
		for _, part := range []string{"weight", "bias"} {
			name := fmt.Sprintf("features.%d.%s", now, part)
			if old < 0 {
				shape, data := []int{width}, make([]float32, width)
				if part == "weight" {
					shape, data = []int{width, width, 3, 3}, make([]float32, width*width*9)
					for c := range width {
						data[(c*width+c)*9+4] = 1
					}
				}
				out = append(out, namedTensor{name, shape, data})
				continue
			}
			_, dims, _ := from.Info(fmt.Sprintf("features.%d.%s", old, part))
			var shape []int
			for _, d := range dims {
				shape = append(shape, int(d))
			}
			data, err := from.Float32(fmt.Sprintf("features.%d.%s", old, part), shape...)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, namedTensor{name, shape, data})
		}
	}
	old, now := 0, 0
	for b, count := range vggBlocks["vgg19"] {
		for c := range count {
			if c < vggBlocks["vgg16"][b] {
				move(old, now, 0)
				old += 2
			} else {
				move(-1, now, vggWidths[b])
			}
			now += 2
		}
		old, now = old+1, now+1
	}
	if last := out[len(out)-1].name; last != "features.34.bias" {
		t.Fatalf("the last tensor is %s", last)
	}
	var file bytes.Buffer
	if err := writeTensors(&file, out, nil); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestRandom: networks that nobody has trained have the shapes of the real ones,
// values that float16 holds, and are the same for one seed; each numeric path
// agrees with plain Go.
func TestRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("draws a hundred million numbers")
	}
	for _, c := range []struct {
		name      string
		o         FrozenOptions
		h, w, out int
	}{
		{"vgg16", FrozenOptions{}, 4, 2, 512},
		{"vgg19", FrozenOptions{}, 4, 2, 512},
		{"resnet50", FrozenOptions{Stride: StrideConv1}, 4, 2, 1024},
		{"resnet50", FrozenOptions{Stage: 5, Stride: StrideConv2}, 2, 1, 2048},
	} {
		c.o.Init = InitRandom
		f, err := OpenFrozen(c.name, "", c.o)
		if err != nil {
			t.Fatal(err)
		}
		picture := noisePicture(64, 32)
		x, h, w, err := f.Features(picture, 64, 32)
		if err != nil || h != c.h || w != c.w || f.Out != c.out || len(x) != h*w*f.Out {
			t.Errorf("%s: %dx%dx%d, %v", c.name, h, w, f.Out, err)
		}
		most, zeros := float32(0), 0
		for _, v := range x {
			most = max(most, v)
			if v == 0 {
				zeros++
			}
		}
		if !(most > 1 && most < 20_000) || zeros > len(x)*9/10 {
			t.Errorf("%s %+v: the largest feature is %v, %d of %d are 0", c.name, c.o, most, zeros, len(x))
		}
		if err := kernel.Force("go-" + plainName()); err != nil {
			t.Fatal(err)
		}
		plain, err := OpenFrozen(c.name, "", c.o)
		if err != nil {
			t.Fatal(err)
		}
		y, _, _, err := plain.Features(picture, 64, 32)
		if err := kernel.Force(""); err != nil {
			t.Fatal(err)
		}
		if d := relative(x, y); err != nil || d > 1e-5 {
			t.Errorf("%s: plain Go is off by %.2g, %v", c.name, d, err)
		}
	}
}

// plainName is the architecture that the plain path is called after.
func plainName() string {
	if kernel.Force("go-arm64") == nil {
		return "arm64"
	}
	return "amd64"
}

// torchResNet is random tensors of ResNet50 to stage 4 as torchvision names them:
// no convolution has a bias.
func torchResNet() (tensors []namedTensor) {
	add := func(name string, shape ...int) {
		tensors = append(tensors, namedTensor{name, shape, randomTensor(3, name, shape)})
	}
	conv := func(name, norm string, k, in, out int) {
		add(name+".weight", out, in, k, k)
		for _, part := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
			add(norm+part, out)
		}
	}
	conv("conv1", "bn1", 7, 3, 64)
	in := 64
	for i, stage := range resnetStages[:3] {
		for b := range stage.blocks {
			name := fmt.Sprintf("layer%d.%d", i+1, b)
			conv(name+".conv1", name+".bn1", 1, in, stage.width)
			conv(name+".conv2", name+".bn2", 3, stage.width, stage.width)
			conv(name+".conv3", name+".bn3", 1, stage.width, 4*stage.width)
			if b == 0 {
				conv(name+".downsample.0", name+".downsample.1", 1, in, 4*stage.width)
			}
			in = 4 * stage.width
		}
	}
	return tensors
}

// TestStride: the two conventions are different networks of one shape.
func TestStride(t *testing.T) {
	tensors := torchResNet()
	load := func(meta map[string]string, o FrozenOptions) []float32 {
		t.Helper()
		var file bytes.Buffer
		if err := writeTensors(&file, tensors, meta); err != nil {
			t.Fatal(err)
		}
		f, err := LoadFrozen("resnet50", file.Bytes(), o)
		if err != nil {
			t.Fatal(err)
		}
		x, h, w, err := f.Features(noisePicture(64, 64), 64, 64)
		if err != nil || h != 4 || w != 4 {
			t.Fatalf("%dx%d, %v", h, w, err)
		}
		return x
	}
	meta := map[string]string{"stride": "conv2", "input": "torchvision"}
	two := load(meta, FrozenOptions{})
	if one := load(meta, FrozenOptions{Stride: StrideConv1}); relative(one, two) < .1 {
		t.Error("the stride in the 1x1 and in the 3x3 are the same network")
	}
	if again := load(nil, FrozenOptions{Stride: StrideConv2, Input: InputTorchvision}); !slices.Equal(again, two) {
		t.Error("metadata and options make different networks")
	}
	if caffe := load(meta, FrozenOptions{Input: InputCaffe}); relative(caffe, two) < .1 {
		t.Error("the input's convention changes nothing")
	}
	tensors = tensors[1:]
	var file strings.Builder
	if err := writeTensors(&file, tensors, meta); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFrozen("resnet50", []byte(file.String()), FrozenOptions{Stage: 5}); err == nil ||
		!strings.Contains(err.Error(), "conv1.weight is missing") || !strings.Contains(err.Error(), "layer4.0.downsample.0.weight is missing") || strings.Contains(err.Error(), "conv1.bias") {
		t.Errorf("a file without layer4: %.200v", err)
	}
}
