package similarity

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// A Matchmap says how well each place of a picture matches each step of a clip.
type Matchmap struct {
	Height, Width int       // places of the picture
	Steps         int       // of the clip, those that count
	FrameStep     float64   // frames from one step to the next
	M             []float32 // [places][steps], the similarity's scale in it
}

// MatchmapOf computes the matchmap of a picture and a clip. The similarity is,
// but for rounding, what its kind makes of it: mean over steps of the largest
// place and so on; with attention the sum of all.
func MatchmapOf(m *model.Model[float32], img minibatch.Image, frames []float32) (*Matchmap, error) {
	g := nn.NewGraph(nn.NewWorkspace[float32](), false)
	x, y, n := g.Input("image", 1, m.Height, m.Width, m.Image.In), g.Input("clip", 1, m.Frames, m.Audio.In), g.Input("frames", 1)
	i, a := m.MatchImages(g, x), m.MatchAudio(g, y, n)
	machine, err := g.Compile(nil)
	if err != nil {
		return nil, fmt.Errorf("matchmap: %w", err)
	}
	if err := minibatch.PutImage(&m.Spec, machine.Data(x), img, nil); err != nil {
		return nil, fmt.Errorf("matchmap: picture: %w", err)
	}
	own, err := minibatch.PutClip(&m.Spec, machine.Data(y), frames)
	if err != nil {
		return nil, fmt.Errorf("matchmap: clip: %w", err)
	}
	machine.Data(n)[0] = float32(m.OutFrames(own, m.Frames))
	if err := machine.Run(); err != nil {
		return nil, fmt.Errorf("matchmap: %w", err)
	}
	out := &Matchmap{
		Height: m.Image.Steps(m.Height), Width: m.Image.Steps(m.Width), Steps: m.OwnSteps(own, m.Frames),
		FrameStep: float64(m.Frames) / float64(m.Audio.Steps(m.Frames)),
	}
	places, c := out.Height*out.Width, i.Shape()[2]
	out.M = make([]float32, places*out.Steps)
	kernel.GemmTB(places, out.Steps, c, machine.Data(i), c, machine.Data(a), c, out.M, out.Steps, false)
	kernel.Scale(float32(m.FullScale()), out.M)
	return out, nil
}
