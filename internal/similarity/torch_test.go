package similarity

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/x448/float16"
)

// TestTorch: docs/load_model.py, in PyTorch, gives the scores that we give, to
// 1e-4 of their largest, for every tower and similarity that a file may name.
// scripts/torch.sh runs it with the Python of `make bench-peers`.
func TestTorch(t *testing.T) {
	python := os.Getenv("HEARSIGHT_TORCH")
	if python == "" {
		t.Skip("no PyTorch: scripts/torch.sh runs this with the Python of `make bench-peers`, or set HEARSIGHT_TORCH to one that has torch")
	}
	if testing.Short() {
		t.Skip("PyTorch takes seconds to start")
	}
	script, err := filepath.Abs(filepath.Join("..", "..", "docs", "load_model.py"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		image, audio, similarity, length string
		bidirectional                    bool
	}{
		{"head", "conv5", nn.MISA, model.LengthFixed, false},
		{"head", "conv6", nn.SISA, model.LengthTrue, false},
		{"head", "lstm", nn.SIMA, model.LengthTrue, false},
		{"head", "gru", nn.MISA, model.LengthFixed, false},
		{"head", "lstm", nn.MISA, model.LengthFixed, true},
		{"head", "gru", nn.SISA, model.LengthTrue, true},
		{"mlp", "conv4", model.SimilarityAttention, model.LengthTrue, false},
		{"mlp", "conv4", model.SimilarityAttention, model.LengthFixed, false},
		{"mlp", "conv4", nn.MISA, model.LengthTrue, false},
		{"small", "small", nn.MISA, model.LengthTrue, false},
		{"small5", "small", nn.SIMA, model.LengthFixed, false},
		{"vgg16", "conv5", nn.MISA, model.LengthFixed, false},
		{"vgg19", "conv5", nn.MISA, model.LengthTrue, false},
	} {
		name := fmt.Sprintf("%s %s %s %s", c.image, c.audio, c.similarity, c.length)
		if c.bidirectional {
			name += " both ways"
		}
		t.Run(name, func(t *testing.T) {
			image, err := model.ImageTower(c.image, model.HeadOptions{In: 24, Kernel: 3, LastBlock: c.image == "vgg16"})
			if err != nil {
				t.Fatal(err)
			}
			audio, err := model.AudioTower(c.audio, model.AudioOptions{Coeffs: 13, Hidden: 48, Bidirectional: c.bidirectional})
			if err != nil {
				t.Fatal(err)
			}
			spec := model.Spec{
				Image: image, Audio: audio, Height: 16, Width: 24, Frames: 160, Length: c.length, Similarity: c.similarity, Scale: .5, Init: model.InitHe,
				AudioNorm: &model.CoeffNorm{Mean: make([]float64, 13), Std: 1.5},
			}
			for i := range spec.AudioNorm.Mean {
				spec.AudioNorm.Mean[i] = float64(i) / 10
			}
			switch c.image {
			case "head":
				spec.Height, spec.Width = 5, 4
			case "mlp":
				spec.Height, spec.Width, spec.LearnScale = 5, 4, true
				spec.MapNorm = &model.CoeffNorm{Mean: make([]float64, 24), Std: 1.5}
				if c.similarity == model.SimilarityAttention { // as of several networks
					spec.MapNorm.Std = 0
					for i := range 24 {
						spec.MapNorm.Stds = append(spec.MapNorm.Stds, 1+float64(i)/20)
					}
				}
				spec.AudioNorm.Std, spec.AudioNorm.Stds = 0, make([]float64, 13)
				for i := range spec.AudioNorm.Stds {
					spec.AudioNorm.Stds[i] = 1 + float64(i)/10
				}
				if c.similarity == model.SimilarityAttention {
					ends := []model.Layer{{Op: "dropout", Name: "dropout", Rate: .5}, {Op: "attend", Name: "attention"}, {Op: "linear", Name: "embed", Channels: 32}}
					spec.Image, spec.Audio = image.With(ends...), audio.With(ends...)
				}
			case "vgg16": // from the maps before its last block
				spec.Height, spec.Width = 4, 6
			case "small":
				spec.Pixels = &model.PixelNorm{Center: 127.5, Scale: 63.75}
			default:
				spec.Pixels = &model.PixelNorm{Scale: 1, Mean: []float64{123, 117, 104}, Std: []float64{58, 57, 59}}
			}
			compareTorch(t, python, script, spec)
		})
	}
}

// TestTorchShort: the script stays short enough to be read.
func TestTorchShort(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "load_model.py"))
	if n := bytes.Count(text, []byte("\n")); err != nil || n > 60 {
		t.Errorf("docs/load_model.py has %d lines, %v; want at most 60", n, err)
	}
}

// compareTorch scores 5 pictures and 6 clips here and there.
func compareTorch(t *testing.T, python, script string, spec model.Spec) {
	m, err := model.New[float32](spec, 3)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 9))
	for _, s := range m.Stats() { // batch norm that is not trivial
		for i := range s.Mean {
			s.Mean[i], s.Var[i] = float32(r.NormFloat64()/4), float32(.5+r.Float64())
		}
	}
	dir := t.TempDir()
	var config, weights bytes.Buffer
	if err := m.WriteConfig(&config); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteWeights(&weights); err != nil {
		t.Fatal(err)
	}
	save := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("model.json", config.Bytes())
	save("model.safetensors", weights.Bytes())
	array := func(name string, shape []int, data any) {
		var b bytes.Buffer
		if err := npy.Write(&b, shape, data); err != nil {
			t.Fatal(err)
		}
		save(name, b.Bytes())
	}
	const photos, clips = 5, 6
	var images minibatch.ImageSlice
	var all []float32
	for range photos {
		var x minibatch.Image
		for range spec.Height * spec.Width * spec.Image.In {
			if spec.Pixels != nil {
				x.Pixels = append(x.Pixels, uint8(r.IntN(256)))
				all = append(all, float32(x.Pixels[len(x.Pixels)-1]))
			} else {
				x.Half = append(x.Half, uint16(0x3400+r.IntN(0xa00))) // .25 to 2.5
				all = append(all, float16.Frombits(x.Half[len(x.Half)-1]).Float32())
			}
		}
		images = append(images, x)
	}
	array("photos.npy", []int{photos, spec.Height, spec.Width, spec.Image.In}, all)
	var speech minibatch.ClipSlice
	padded, frames := make([]float32, clips*spec.Frames*spec.Audio.In), []int32{}
	for j := range clips {
		n := []int{160, 3, 47, 96, 159, 200}[j] // the last is cut
		x := make([]float32, n*spec.Audio.In)
		for i := range x {
			x[i] = float32(r.NormFloat64() * 2)
		}
		speech = append(speech, x)
		frames = append(frames, int32(min(n, spec.Frames)))
		copy(padded[j*spec.Frames*spec.Audio.In:][:spec.Frames*spec.Audio.In], x)
	}
	array("clips.npy", []int{clips, spec.Frames, spec.Audio.In}, padded)
	array("frames.npy", []int{clips}, frames)

	cmd := exec.Command(python, script, dir, filepath.Join(dir, "photos.npy"), filepath.Join(dir, "clips.npy"), filepath.Join(dir, "frames.npy"), filepath.Join(dir, "scores.npy"))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "OMP_NUM_THREADS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	theirs, err := npy.ReadFile(filepath.Join(dir, "scores.npy"))
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := model.Load(config.Bytes(), weights.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := NewScorer(loaded)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := scorer.Similarities(context.Background(), upTo(photos), images, upTo(clips), speech)
	if err != nil {
		t.Fatal(err)
	}
	if len(theirs.F64) != len(ours.S) {
		t.Fatalf("scores of shape %v, want [%d %d]", theirs.Shape, photos, clips)
	}
	largest, worst := 0.0, 0.0
	for i, v := range ours.S {
		largest, worst = max(largest, math.Abs(v)), max(worst, math.Abs(v-theirs.F64[i]))
	}
	t.Logf("scores to %.4g, difference at most %.2g of that", largest, worst/largest)
	if !(worst <= 1e-4*largest) {
		t.Errorf("scores differ by %v, the largest is %v:\nours   %v\ntheirs %v", worst, largest, ours.S, theirs.F64)
	}
}
