package learn

import (
	"context"
	"math"
	"testing"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/internal/similarity"
)

// TestBackwards: with length: true a tower that reads clips backwards too gives
// a clip the same score in a short minibatch as in the scorer's full length.
func TestBackwards(t *testing.T) {
	const frames, short, side, in = 20, 32, 2, 3
	image, err := model.ImageTower("head", model.HeadOptions{In: in})
	if err != nil {
		t.Fatal(err)
	}
	audio, err := model.AudioTower("gru", model.AudioOptions{Coeffs: 40, Hidden: 8, Bidirectional: true})
	if err != nil {
		t.Fatal(err)
	}
	spec := model.Spec{Image: image, Audio: audio, Height: side, Width: side, Frames: 48, Length: model.LengthTrue, Similarity: nn.MISA, Scale: 1, Init: model.InitPyTorch}
	data := noiseData(spec, func(i int) int { return frames + i%2*20 })
	m, err := model.New[float32](spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := similarity.NewScorer(m)
	if err != nil {
		t.Fatal(err)
	}
	clips := []int{1, 3, 0, 5, 2, 4} // long ones before and after the short
	got, err := s.Similarities(context.Background(), []int{0}, data.Images, clips, data.Clips)
	if err != nil {
		t.Fatal(err)
	}
	g := nn.NewGraph(nn.NewWorkspace[float32](), false)
	x, y, n := g.Input("image", 1, side, side, in), g.Input("clip", 1, short, 40), g.Input("frames", 1)
	z := m.Similarities(g, x, y, n)
	alone, err := g.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := data.Images.Image(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := minibatch.PutImage(&spec, alone.Data(x), picture, nil); err != nil {
		t.Fatal(err)
	}
	for k, clip := range clips {
		sound, err := data.Clips.Frames(clip)
		if err != nil {
			t.Fatal(err)
		}
		if len(sound) != frames*40 {
			continue
		}
		alone.Data(n)[0] = float32(spec.OutFrames(model.PutFrames(&spec, alone.Data(y), sound), short))
		if err := alone.Run(); err != nil {
			t.Fatal(err)
		}
		want := float64(alone.Data(z)[0])
		if d := math.Abs(got.S[k] - want); d > 1e-5*math.Abs(want) {
			t.Errorf("clip %d scores %v among longer ones and %v alone", clip, got.S[k], want)
		}
	}
}
