package learn

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// TestPairFLOP: a pair's share of a step.
func TestPairFLOP(t *testing.T) {
	for _, similarity := range []string{nn.MISA, nn.SISA} {
		spec := &model.Spec{
			Image: model.Tower{Dims: 2, In: 3, Layers: []model.Layer{{Op: "conv", Name: "a", Kernel: 3, Stride: 1, Pad: 1, Channels: 4}}}, Height: 8, Width: 6,
			Audio: model.Tower{Dims: 1, In: 5, Layers: []model.Layer{{Op: "conv", Name: "a", Kernel: 3, Stride: 1, Pad: 1, Channels: 4}}}, Frames: 20, Similarity: similarity,
		}
		if got, want := PairFLOP(spec, 32), stepFLOP(spec, 32, 20)/32; math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %v for a pair, want %v", similarity, got, want)
		}
	}
}

// TestStepFLOP counts the products of every sort of layer by hand.
func TestStepFLOP(t *testing.T) {
	image := model.Tower{Dims: 2, In: 3, Layers: []model.Layer{
		{Op: "conv", Name: "a", Kernel: 3, Stride: 2, Pad: 1, Channels: 4}, // 8x6 -> 4x3, 27 -> 4
		{Op: "conv", Name: "b", Kernel: 1, Stride: 1, Channels: 8},         // 4x3, 4 -> 8
	}}
	imageFLOP := 2*2*12.*27*4 + 3*2*12*4*8
	conv := model.Tower{Dims: 1, In: 5, Layers: []model.Layer{
		{Op: "norm", Name: "n"},
		{Op: "conv", Name: "a", Kernel: 3, Stride: 1, Pad: 1, Channels: 8}, // 20 steps, 15 -> 8; the norm wants its input's gradient
		{Op: "pool", Kernel: 3, Stride: 2, Pad: 1},                         // 10 steps
	}}
	lstm := model.Tower{Dims: 1, In: 5, Layers: []model.Layer{
		{Op: "conv", Name: "a", Kernel: 6, Stride: 2, Channels: 7},                   // 8 steps, 30 -> 7
		{Op: nn.LSTM, Name: "b", Channels: 6, Bidirectional: true},                   // four gates of 6 from 7+6, both ways
		{Op: nn.GRU, Name: "c", Channels: 9}, {Op: "linear", Name: "d", Channels: 8}, // three of 9 from 12+9; 9 -> 8
	}}
	lstmFLOP := 2*2*8.*30*7 + 3*2*8*2*4*6*(7+6) + 3*2*8*3*9*(12+9) + 3*2*8*9*8
	for _, c := range []struct {
		name, similarity string
		audio            model.Tower
		want             float64
	}{
		{"conv", nn.MISA, conv, 4*(imageFLOP+3*2*20*15*8) + 2*4*4*12*10*8},
		{"conv", nn.SIMA, conv, 4*(imageFLOP+3*2*20*15*8) + 2*4*4*12*10*8},
		{"conv", nn.SISA, conv, 4*(imageFLOP+3*2*20*15*8) + 3*2*4*4*8},
		{"recurrent", nn.MISA, lstm, 4*(imageFLOP+lstmFLOP) + 2*4*4*12*8*8},
	} {
		spec := &model.Spec{Image: image, Audio: c.audio, Height: 8, Width: 6, Similarity: c.similarity}
		if got := stepFLOP(spec, 4, 20); got != c.want {
			t.Errorf("%s, %s: %v FLOP, want %v", c.name, c.similarity, got, c.want)
		}
	}
}

// TestSpeed: whoever watches is told how fast training is, without the time for
// scoring, and at the end over all of it.
func TestSpeed(t *testing.T) {
	now := time.Unix(0, 0)
	var last Progress
	s := tinySettings(20)
	s.LogEvery, s.EvalEvery, s.Bucket = 5, 5, 0
	spec := tinySpec()
	mustTrain(t, s, Options{Clock: func() time.Time {
		now = now.Add(time.Second)
		return now
	}, Progress: func(p Progress) {
		if p.Message == "" { // the clock is asked before and after each five steps
			pairs, flop := float64(5*s.Batch), 5*stepFLOP(&spec, s.Batch, spec.Frames)
			if math.Abs(p.PairsPerSecond-pairs) > 1e-9*pairs || math.Abs(p.GFLOPPerSecond*1e9-flop) > 1e-9*flop {
				t.Errorf("step %d: %v pairs/s and %v GFLOP/s, want %v and %v", p.Step, p.PairsPerSecond, p.GFLOPPerSecond, pairs, flop/1e9)
			}
		}
		last = p
	}})
	if !strings.HasPrefix(last.Message, "20 steps at ") || !strings.HasSuffix(last.Message, " GFLOP/s, in 4s") || last.Warning {
		t.Errorf("at the end it says %q", last.Message)
	}
}
