package model

import (
	"errors"
	"fmt"

	"github.com/hearsight/hearsight/internal/nn"
)

// limits keep a model file from asking for absurd sizes.
const (
	maxLayers    = 64
	maxRecurrent = 16
	maxChannels  = 1 << 14
	maxKernel    = 256
	maxSide      = 1 << 14
	maxWeights   = 1 << 28 // in one tensor
	maxValues    = 1 << 28 // in one layer's output
)

// check says whether the layers can follow each other.
func (t Tower) check() error {
	if t.Dims != 1 && t.Dims != 2 {
		return fmt.Errorf("tower %s: %d dimensions, want 1 or 2", t.Name, t.Dims)
	}
	if t.In < 1 || t.In > maxChannels || len(t.Layers) == 0 || len(t.Layers) > maxLayers {
		return fmt.Errorf("tower %s: %d channels and %d layers are out of range", t.Name, t.In, len(t.Layers))
	}
	in, names, backward, pooled := t.In, map[string]bool{}, false, false
	for i, l := range t.Layers {
		dims := t.Dims
		if pooled {
			dims = 0
		}
		if err := l.check(dims, in); err != nil {
			return fmt.Errorf("tower %s, layer %d: %w", t.Name, i+1, err)
		}
		if l.Op != "pool" {
			if l.Name == "" || names[l.Name] {
				return fmt.Errorf("tower %s, layer %d: name %q is empty or taken", t.Name, i+1, l.Name)
			}
			names[l.Name] = true
		}
		if backward && (l.Op == "conv" || l.Op == "pool") {
			// The frames that count are known for the tower's output alone.
			return fmt.Errorf("tower %s, layer %d: a %s may not follow a layer that reads backwards", t.Name, i+1, l.Op)
		}
		in, backward, pooled = l.out(in), backward || l.Bidirectional, pooled || l.Op == "attend"
	}
	return nil
}

// check says whether the layer may stand after in channels over so many
// dimensions, 0 after an attention.
func (l Layer) check(dims, in int) error {
	if l.Bidirectional && !l.recurrent() {
		return fmt.Errorf("a %s has no direction", l.Op)
	}
	if l.Mask && (dims != 1 || !(l.Op == "norm" && l.ReLU || l.Op == "pool")) || l.ReLU && l.Op == "norm" && dims != 1 {
		return errors.New("mask is for a pool or a norm with relu, and relu of a norm for sound")
	}
	if dims == 0 && l.Op != "linear" && l.Op != "dropout" {
		return fmt.Errorf("a %s may not follow an attention", l.Op)
	}
	switch l.Op {
	case "norm", "attend":
		return nil
	case "dropout":
		if !(l.Rate >= 0 && l.Rate < 1) {
			return fmt.Errorf("dropout rate %v is out of range", l.Rate)
		}
		return nil
	case "linear", nn.LSTM, nn.GRU:
		return l.checkProducts(dims, in)
	case "conv", "pool":
	default:
		return fmt.Errorf("operation %q is not known", l.Op)
	}
	if l.Kernel < 1 || l.Kernel > maxKernel || l.Stride < 1 || l.Stride > maxKernel || l.Pad < 0 || l.Pad >= l.Kernel {
		return fmt.Errorf("kernel %d, stride %d, padding %d are out of range", l.Kernel, l.Stride, l.Pad)
	}
	if l.Op == "pool" {
		return nil
	}
	if l.Channels < 1 || l.Channels > maxChannels {
		return fmt.Errorf("%d channels are out of range", l.Channels)
	}
	if w := l.Kernel * in * l.Channels; w > maxWeights || dims == 2 && w*l.Kernel > maxWeights {
		return fmt.Errorf("a convolution %d wide from %d to %d channels is too large", l.Kernel, in, l.Channels)
	}
	return nil
}

// checkProducts is check for layers that are matrix products over time.
func (l Layer) checkProducts(dims, in int) error {
	if dims == 2 {
		return fmt.Errorf("a %s is for sound, or follows an attention", l.Op)
	}
	if l.Channels < 1 || l.Channels > maxChannels/2 {
		return fmt.Errorf("%d channels are out of range", l.Channels)
	}
	if w := max(1, nn.Gates(l.Op)) * l.Channels; w*in > maxWeights || l.recurrent() && w*l.Channels > maxWeights {
		return fmt.Errorf("a %s from %d to %d channels is too large", l.Op, in, l.Channels)
	}
	return nil
}
