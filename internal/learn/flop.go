package learn

import (
	"math"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// PairFLOP is what training multiplies and adds for a pair, in steps of so many
// pairs and with clips of the model's full length, counted as a step's are: see
// stepFLOP. What made the image tower's input is not in it.
func PairFLOP(spec *model.Spec, batch float64) float64 {
	flop := towerFLOP(spec.Image, spec.Height, spec.Width) + towerFLOP(spec.Audio, spec.Frames, 1)
	return flop + (stepFLOP(spec, 1, spec.Frames)-flop)*batch
}

// stepFLOP is what a step of training multiplies and adds (2 FLOP each) in the
// products of its layers and of the similarities, for clips of so many frames,
// counted as written: a convolution by Winograd or in the DFT domain does fewer.
// It tells how busy the cores are, and is shown only.
func stepFLOP(spec *model.Spec, batch, frames int) float64 {
	places := spec.Image.Steps(spec.Height) * spec.Image.Steps(spec.Width)
	steps := spec.Audio.Steps(frames)
	flop := float64(batch) * (towerFLOP(spec.Image, spec.Height, spec.Width) + towerFLOP(spec.Audio, frames, 1))
	pairs, channels := float64(batch)*float64(batch), float64(spec.Image.Out())
	if spec.Similarity == nn.SISA || spec.Similarity == model.SimilarityAttention { // of one vector each: forward and both gradients
		return flop + 3*2*pairs*channels
	}
	// The gradients go through one place of each matchmap's row or column, which
	// is next to nothing beside the matchmaps.
	return flop + 2*pairs*float64(places)*float64(steps)*channels
}

// towerFLOP is the same of a tower for one input of h x w, or of h steps: the
// products of each layer, of its weights' gradient, and of its input's, which
// the tower's own input has no use for.
func towerFLOP(t model.Tower, h, w int) float64 {
	sum, pooled := 0.0, false
	for i, l := range t.Layers {
		before, after := t, t
		before.Layers, after.Layers = t.Layers[:i], t.Layers[:i+1]
		in, places := float64(before.Out()), float64(after.Steps(h))
		if t.Dims == 2 {
			places *= float64(after.Steps(w))
		}
		if pooled {
			places = 1
		}
		var per float64 // products for one place of the output
		switch {
		case l.Op == "conv":
			per = math.Pow(float64(l.Kernel), float64(t.Dims)) * in * float64(l.Channels)
		case l.Op == "linear":
			per = in * float64(l.Channels)
		case l.Op == "attend": // scores and mean
			per, pooled = 2*in, true
		case nn.Gates(l.Op) > 0:
			per = float64(nn.Gates(l.Op)*l.Channels) * (in + float64(l.Channels))
			if l.Bidirectional {
				per *= 2
			}
		}
		passes := 3.0
		if i == 0 {
			passes = 2
		}
		sum += 2 * passes * places * per
	}
	return sum
}
