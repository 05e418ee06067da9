package similarity

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
	"github.com/x448/float16"
)

// pixelSpec is a small model of pictures.
func pixelSpec() model.Spec {
	return model.Spec{
		Image: model.Tower{Name: "tiny", Dims: 2, In: 3, Layers: []model.Layer{
			{Op: "conv", Name: "a", Kernel: 3, Stride: 2, Pad: 1, Channels: 16, ReLU: true},
			{Op: "conv", Name: "b", Kernel: 1, Stride: 1, Channels: 12, Gain: 1},
		}},
		Audio: model.Tower{Name: "tiny", Dims: 1, In: 5, Layers: []model.Layer{
			{Op: "norm", Name: "n"}, {Op: "conv", Name: "a", Kernel: 3, Stride: 1, Pad: 1, Channels: 16, ReLU: true},
			{Op: "pool", Kernel: 3, Stride: 2, Pad: 1}, {Op: "conv", Name: "b", Kernel: 3, Stride: 1, Pad: 1, Channels: 12},
		}},
		Height: 8, Width: 8, Frames: 48, Length: model.LengthTrue, Similarity: nn.MISA, Scale: .5, Init: model.InitHe,
		Pixels: &model.PixelNorm{Center: 127.5, Scale: 63.75},
	}
}

// mapSpec is a small model of attention, masks and dropout on feature maps.
func mapSpec() model.Spec {
	ends := []model.Layer{{Op: "dropout", Name: "dropout", Rate: .2}, {Op: "attend", Name: "attention"}, {Op: "linear", Name: "embed", Channels: 12}}
	image, err := model.ImageTower("mlp", model.HeadOptions{In: 3, Dim: 16})
	if err != nil {
		panic(err)
	}
	audio := model.Tower{Name: "tiny", Dims: 1, In: 5, Layers: []model.Layer{
		{Op: "conv", Name: "a", Kernel: 5, Stride: 2, Pad: 2, Channels: 16}, {Op: "norm", Name: "n", ReLU: true, Mask: true},
		{Op: "pool", Kernel: 3, Stride: 2, Pad: 1, Mask: true},
	}}
	return model.Spec{
		Image: image.With(ends...), Audio: audio.With(ends...), Height: 3, Width: 3, Frames: 48,
		Length: model.LengthTrue, Similarity: model.SimilarityAttention, Scale: 1, LearnScale: true, Init: model.InitPyTorch,
	}
}

// noise is n pictures, as spec takes them, and n clips of 10 to 59 frames.
func noise(spec model.Spec, n int) (images minibatch.ImageSlice, clips minibatch.ClipSlice) {
	r := rand.New(rand.NewPCG(1, 1))
	for range n {
		var img minibatch.Image
		for range spec.Height * spec.Width * spec.Image.In {
			if spec.Pixels != nil {
				img.Pixels = append(img.Pixels, uint8(r.Uint32()))
			} else {
				img.Half = append(img.Half, float16.Fromfloat32(4*r.Float32()).Bits())
			}
		}
		clip := make([]float32, spec.Audio.In*(10+r.IntN(50)))
		for k := range clip {
			clip[k] = float32(r.NormFloat64())
		}
		images, clips = append(images, img), append(clips, clip)
	}
	return images, clips
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// TestSimilarities compares the blocks with one pair at a time, in float64.
func TestSimilarities(t *testing.T) {
	spec := pixelSpec()
	photos, sound := noise(spec, 90) // more than a block of pictures and of clips
	m, err := model.New[float32](spec, 3)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewScorer(m)
	if err != nil {
		t.Fatal(err)
	}
	images, clips := upTo(90), upTo(90)
	got, err := s.Similarities(context.Background(), images, photos, clips, sound)
	if err != nil {
		t.Fatal(err)
	}
	g := nn.NewGraph(nn.NewWorkspace[float32](), false)
	in := []*nn.Node{g.Input("i", 1, 8, 8, 3), g.Input("a", 1, 48, 5), g.Input("f", 1)}
	out := m.Similarities(g, in[0], in[1], in[2])
	one, err := g.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range [][2]int{{0, 0}, {3, 70}, {63, 16}, {64, 15}, {89, 89}, {70, 3}} {
		img, _ := photos.Image(p[0])
		x, _ := sound.Frames(p[1])
		if err := minibatch.PutImage(&spec, one.Data(in[0]), img, nil); err != nil {
			t.Fatal(err)
		}
		n, err := minibatch.PutClip(&spec, one.Data(in[1]), x)
		if err != nil {
			t.Fatal(err)
		}
		one.Data(in[2])[0] = float32(spec.OutFrames(n, 48))
		if err := one.Run(); err != nil {
			t.Fatal(err)
		}
		want := float64(one.Data(out)[0])
		if d := math.Abs(got.S[p[0]*90+p[1]] - want); d > 1e-5*math.Abs(want) {
			t.Errorf("similarity of picture %d and clip %d = %v, alone %v", p[0], p[1], got.S[p[0]*90+p[1]], want)
		}
	}
}

func TestCandidates(t *testing.T) {
	images, clips, of := Candidates([]minibatch.Pair{{Photo: "b", Image: 7, Clip: 1}, {Photo: "a", Image: 3, Clip: 2}, {Photo: "b", Image: 7, Clip: 5}})
	if !slices.Equal(images, []int{7, 3}) || !slices.Equal(clips, []int{1, 2, 5}) || !slices.Equal(of, []int{0, 1, 0}) {
		t.Errorf("candidates are %v, %v, %v", images, clips, of)
	}
}
