package model

import (
	"encoding/json"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// numericPaths runs f on each numeric path of this CPU.
func numericPaths(t *testing.T, f func(t *testing.T)) {
	for _, name := range []string{"avx512", "avx2", "go-amd64", "go-arm64"} {
		if err := kernel.Force(name); err != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if testing.Short() && strings.HasPrefix(name, "go-") {
				t.Skip("a whole VGG16 in plain Go takes seconds")
			}
			f(t)
		})
	}
	if err := kernel.Force(""); err != nil {
		t.Fatal(err)
	}
}

func openFrozen(t testing.TB, name string) *Frozen {
	t.Helper()
	f, err := OpenFrozen(name, sharedtest.Path(t, "data", "weights"), FrozenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// bgrOf reads a PNG as 224x224 BGR bytes.
func bgrOf(t testing.TB, path string) []uint8 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	if b != image.Rect(0, 0, 224, 224) {
		t.Fatalf("%s is %v", path, b)
	}
	var out []uint8
	for y := range 224 {
		for x := range 224 {
			r, g, b, _ := img.At(x, y).RGBA()
			out = append(out, uint8(b>>8), uint8(g>>8), uint8(r>>8))
		}
	}
	return out
}

func TestFrozenGolden(t *testing.T) {
	dir := sharedtest.Path(t, "golden", "features")
	info := map[string]struct{ Mean, Std float64 }{}
	raw, err := os.ReadFile(filepath.Join(dir, "info.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &info); err != nil {
		t.Fatal(err)
	}
	photos, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(photos) != 2 {
		t.Fatalf("%d photos, %v", len(photos), err)
	}
	numericPaths(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			file  string
			every int
		}{"vgg16": {"vgg16_conv5_3", 8}, "resnet50": {"resnet50_stage4", 16}} {
			f := openFrozen(t, name)
			for _, photo := range photos {
				stem := strings.TrimSuffix(photo, ".png")
				got, h, w, err := f.Features(bgrOf(t, photo), 224, 224)
				if err != nil {
					t.Fatal(err)
				}
				if h != 14 || w != 14 || len(got) != 14*14*f.Out {
					t.Fatalf("%s: %d values, %dx%dx%d", name, len(got), h, w, f.Out)
				}
				want, err := npy.ReadFile(stem + "." + c.file + ".npy")
				if err != nil {
					t.Fatal(err)
				}
				compareFeatures(t, name, got, c.every, f.Out, want.F64)
				mean := 0.0
				for _, v := range got {
					mean += float64(v) / float64(len(got))
				}
				if m := info[filepath.Base(stem)+"."+c.file].Mean; math.Abs(mean-m) > 1e-5*m {
					t.Errorf("%s: mean of all channels %v, want %v", name, mean, m)
				}
			}
		}
	})
}

// compareFeatures holds every every-th channel of got to the tolerance of
// golden/features: relative rms 1e-4, cosine .999999.
func compareFeatures(t *testing.T, name string, got []float32, every, channels int, want []float64) {
	t.Helper()
	var diff, gg, ww, gw float64
	for i, w := range want {
		kept := channels / every
		g := float64(got[i/kept*channels+i%kept*every])
		diff += (g - w) * (g - w)
		gg, ww, gw = gg+g*g, ww+w*w, gw+g*w
	}
	rms, cosine := math.Sqrt(diff/ww), gw/math.Sqrt(gg*ww)
	t.Logf("%s: relative rms %.2g, 1-cosine %.2g", name, rms, 1-cosine)
	if rms > 1e-4 || cosine < .999999 {
		t.Errorf("%s: relative rms %.3g and cosine %.9f", name, rms, cosine)
	}
}

func TestFrozenConcurrent(t *testing.T) {
	f := openFrozen(t, "resnet50")
	pictures := make([][]uint8, 2)
	want := make([][]float32, 2)
	for i := range pictures {
		pictures[i] = make([]uint8, 64*96*3)
		for j := range pictures[i] {
			pictures[i][j] = uint8(j * (31 + i) >> 3)
		}
		var err error
		if want[i], _, _, err = f.Features(pictures[i], 64, 96); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			got, h, w, err := f.Features(pictures[k%2], 64, 96)
			if err != nil || h != 4 || w != 6 || !slices.Equal(got, want[k%2]) {
				t.Errorf("features of picture %d differ when computed at once (%dx%d, %v)", k%2, h, w, err)
			}
		})
	}
	wg.Wait()
}

// TestFrozenWrongWeights: one error names all that is wrong.
func TestFrozenWrongWeights(t *testing.T) {
	var file strings.Builder
	if err := writeTensors(&file, []namedTensor{
		{"features.0.weight", []int{64, 3, 3, 3}, make([]float32, 64*27)},
		{"features.0.bias", []int{63}, make([]float32, 63)},
	}, nil); err != nil {
		t.Fatal(err)
	}
	caffe := FrozenOptions{Input: InputCaffe, Stride: ""}
	for _, name := range []string{"vgg16", "vgg19", "resnet50"} {
		o := caffe
		if name == "resnet50" {
			o.Stride, o.Stage = StrideConv2, 5
		}
		_, err := LoadFrozen(name, []byte(file.String()), o)
		if err == nil {
			t.Fatalf("%s was made of two tensors", name)
		}
		missing := map[string][]string{
			"vgg16":    {"features.0.bias has shape [63], want [64]", "features.2.weight is missing", "features.28.bias is missing"},
			"vgg19":    {"features.0.bias has shape [63], want [64]", "features.16.weight is missing", "features.34.bias is missing"},
			"resnet50": {"conv1.weight is missing", "bn1.running_var is missing", "layer4.2.conv3.weight is missing", "layer2.0.downsample.0.weight is missing"},
		}[name]
		for _, m := range missing {
			if !strings.Contains(err.Error(), m) {
				t.Errorf("%s: the error does not say %q: %.300s", name, m, err)
			}
		}
	}
	if _, err := OpenFrozen("vgg17", t.TempDir(), FrozenOptions{}); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("vgg17: %v, want not known", err)
	}
	if _, err := OpenFrozen("vgg16", filepath.Join(t.TempDir(), "none"), FrozenOptions{}); err == nil {
		t.Error("weights that do not exist were opened")
	}
}

// TestFrozenOptions: what does not go together, and conventions that nobody
// stated.
func TestFrozenOptions(t *testing.T) {
	var file strings.Builder
	if err := writeTensors(&file, []namedTensor{{"a", []int{1}, []float32{1}}}, map[string]string{"bn_eps": "much"}); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		name string
		o    FrozenOptions
	}{
		"is for vgg19":          {"vgg16", FrozenOptions{Init: InitIdentity}},
		"vgg19 has no stages":   {"vgg19", FrozenOptions{Stage: 5}},
		"want 4 or 5":           {"resnet50", FrozenOptions{Stage: 3}},
		`init "best"`:           {"vgg16", FrozenOptions{Init: "best"}},
		`stride "conv3"`:        {"resnet50", FrozenOptions{Stride: "conv3"}},
		`input "bgr"`:           {"vgg16", FrozenOptions{Input: "bgr"}},
		"does not say where":    {"resnet50", FrozenOptions{Input: InputCaffe}},
		"does not say how pix":  {"vgg19", FrozenOptions{}},
		`bn_eps "much"`:         {"vgg16", FrozenOptions{Input: InputCaffe}},
		"give stride: conv1 (t": {"resnet50", FrozenOptions{}},
	} {
		if _, err := LoadFrozen(c.name, []byte(file.String()), c.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	for remark, want := range map[string]string{"conv1": "conv1", "conv2": "conv2", "": "", "in the 3x3 (conv2)": "conv2", "conv1, not conv2": ""} {
		if got := stride(remark); got != want {
			t.Errorf("stride(%q) = %q, want %q", remark, got, want)
		}
	}
	caffe, torch := conventions{input: InputCaffe}.pixels(), conventions{input: InputTorchvision}.pixels()
	if caffe[2][200] != 200-103.939 || math.Abs(float64(torch[0][255])-(1-.485)/.229) > 1e-6 {
		t.Errorf("a blue of 200 becomes %v, a red of 255 %v", caffe[2][200], torch[0][255])
	}
}

// TestFrozenSmall runs a hand-made block through the folding and the stride.
func TestFoldedBatchNorm(t *testing.T) {
	var file strings.Builder
	vec := func(v ...float32) []float32 { return v }
	if err := writeTensors(&file, []namedTensor{
		{"c.weight", []int{2, 1, 1, 1}, vec(2, -1)}, {"c.bias", []int{2}, vec(1, 3)},
		{"n.weight", []int{2}, vec(.5, 4)}, {"n.bias", []int{2}, vec(-1, 2)},
		{"n.running_mean", []int{2}, vec(3, 1)}, {"n.running_var", []int{2}, vec(4, .25)},
	}, nil); err != nil {
		t.Fatal(err)
	}
	tensors, err := ParseTensors([]byte(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	l := &loader{tensors: tensors, how: conventions{epsilon: 1.001e-5}}
	layer := l.folded("c", "n", 1, 2, 1, 2)
	if len(l.wrong) > 0 {
		t.Fatal(l.wrong)
	}
	x := []float32{1, 9, -2, 9, 9, 9, 5, 9, 7} // 3x3: stride 2 takes 1, -2, 5, 7
	y, h, w := layer.forward(new(scratch), x, 3, 3, false)
	if h != 2 || w != 2 {
		t.Fatalf("output is %dx%d", h, w)
	}
	for i, v := range []float64{1, -2, 5, 7} {
		for o, c := range [2][6]float64{{2, 1, .5, -1, 3, 4}, {-1, 3, 4, 2, 1, .25}} {
			want := c[2]*(c[0]*v+c[1]-c[4])/math.Sqrt(c[5]+1.001e-5) + c[3]
			if got := float64(y[i*2+o]); math.Abs(got-want) > 1e-5*math.Abs(want) {
				t.Errorf("pixel %d channel %d = %v, want %v", i, o, got, want)
			}
		}
	}
}

func BenchmarkVGG16(b *testing.B)    { benchmarkFrozen(b, "vgg16") }
func BenchmarkResNet50(b *testing.B) { benchmarkFrozen(b, "resnet50") }

func benchmarkFrozen(b *testing.B, name string) {
	f := openFrozen(b, name)
	picture := make([]uint8, 224*224*3)
	for i := range picture {
		picture[i] = uint8(i * 7)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := f.Features(picture, 224, 224); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
}
