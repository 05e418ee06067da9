package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/nn"
)

// Dim is the number of channels that the paper's towers end in.
const Dim = 1024

// mlpDim is the number of channels that "mlp" ends in, as "conv4" does.
const mlpDim = 512

// A Layer is one step of a tower.
type Layer struct {
	Op            string  `json:"op"`                      // "conv", "pool", "norm", "linear", "lstm", "gru", "dropout" or "attend"
	Name          string  `json:"name,omitempty"`          // of the parameters
	Kernel        int     `json:"kernel,omitempty"`        // conv, pool: its width (and height, for images)
	Stride        int     `json:"stride,omitempty"`        // conv, pool
	Pad           int     `json:"pad,omitempty"`           // conv, pool: on both sides
	Channels      int     `json:"channels,omitempty"`      // conv, linear: of the output; lstm, gru: hidden units
	ReLU          bool    `json:"relu,omitempty"`          // conv; norm over time
	Mask          bool    `json:"mask,omitempty"`          // norm with relu, pool over time: zeros after a clip's own frames
	Rate          float64 `json:"rate,omitempty"`          // dropout: share of values set to 0 in training
	Gain          float64 `json:"gain,omitempty"`          // conv, linear: He-normal's numerator; 0 is 2
	Bidirectional bool    `json:"bidirectional,omitempty"` // lstm, gru: a second one in reverse beside it
}

// recurrent reports whether the layer is an LSTM or a GRU.
func (l Layer) recurrent() bool { return nn.Gates(l.Op) > 0 }

// keeps reports whether the layer leaves the number of channels as it is.
func (l Layer) keeps() bool {
	return l.Op == "norm" || l.Op == "pool" || l.Op == "dropout" || l.Op == "attend"
}

// out is the number of channels after the layer, given those before it.
func (l Layer) out(in int) int {
	switch {
	case l.Bidirectional:
		return 2 * l.Channels
	case l.keeps():
		return in
	}
	return l.Channels
}

// A Tower is a trained network: layers over time (1 dimension) or over a
// picture (2).
type Tower struct {
	Name   string  `json:"name"`
	Dims   int     `json:"dims"`
	In     int     `json:"in"` // channels of the input
	Layers []Layer `json:"layers"`
}

// Towers by name.
var (
	frozenNames = []string{"vgg16", "vgg19", "resnet50"}
	imageNames  = []string{"head", "mlp", "small", "small5", "vgg16", "vgg19"}
	audioNames  = []string{"conv5", "conv6", "conv4", "lstm", "gru", "small"}
)

// AudioNames lists the audio towers.
func AudioNames() []string { return slices.Clone(audioNames) }

// unknown is the error for a name that is not among have.
func unknown(what, name string, have []string) error {
	return fmt.Errorf("%s %q is not known (have %s)", what, name, strings.Join(have, ", "))
}

// HeadOptions are the settings of the image tower "head".
type HeadOptions struct {
	In     int // channels of the feature map
	Kernel int // 3 (Harwath et al. 2018) or 1; 0 is 3 for up to 512 channels, else 1
	Dim    int // channels of the output; 0 is 1,024, of mlp 512
	// LastBlock is for vgg16 and vgg19: only the last block, from the feature map
	// before it ([LayerPool4]).
	LastBlock bool
}

// ImageTower returns an image tower by name: "head", one linear convolution on
// a frozen network's feature map; "mlp", a linear layer and a ReLU at each of its
// places; "small", four layers from the pixels of small
// pictures, 1/8 of their size and 64 channels, or "small5", five that see 49
// pixels in place of 17, enough for a shape as a whole; or "vgg16" and "vgg19",
// the network itself, or its last block, with a head on it, to be trained along.
func ImageTower(name string, o HeadOptions) (Tower, error) {
	switch name {
	case "head":
		return headTower(o)
	case "vgg16", "vgg19":
		first := 1
		if o.LastBlock {
			first = 5
		}
		o.In = vggWidths[4]
		head, err := headTower(o)
		t := vggTower(name, vggBlocks[name], vggWidths, first)
		t.Layers = append(t.Layers, head.Layers...)
		return t, err
	case "mlp":
		if o.Dim == 0 {
			o.Dim = mlpDim
		}
		o.Kernel = 1
		t, err := headTower(o)
		if err != nil {
			return t, err
		}
		t.Name, t.Layers[0].Name, t.Layers[0].ReLU, t.Layers[0].Gain = name, "linear", true, 0
		return t, nil
	case "small", "small5":
		return smallTower(name), nil
	}
	return Tower{}, unknown("image tower", name, imageNames)
}

// smallTower ends linear, with the gain that goes with it: in a 1x1 convolution,
// or in two 3x3.
func smallTower(name string) Tower {
	t := Tower{Name: name, Dims: 2, In: 3, Layers: []Layer{
		{Op: "conv", Name: "conv1", Kernel: 5, Stride: 2, Pad: 2, Channels: 16, ReLU: true},
		{Op: "conv", Name: "conv2", Kernel: 3, Stride: 2, Pad: 1, Channels: 32, ReLU: true},
		{Op: "conv", Name: "conv3", Kernel: 3, Stride: 2, Pad: 1, Channels: 64, ReLU: true},
	}}
	if name == "small" {
		t.Layers = append(t.Layers, Layer{Op: "conv", Name: "conv4", Kernel: 1, Stride: 1, Channels: 64, Gain: 1})
		return t
	}
	last := same("conv5", 3, 64, false)
	last.Gain = 1
	t.Layers = append(t.Layers, same("conv4", 3, 64, true), last)
	return t
}

func headTower(o HeadOptions) (Tower, error) {
	if o.Dim == 0 {
		o.Dim = Dim
	}
	if o.Kernel == 0 {
		o.Kernel = 3
		if o.In > 512 {
			o.Kernel = 1
		}
	}
	if o.Kernel != 1 && o.Kernel != 3 {
		return Tower{}, fmt.Errorf("head kernel %d: want 1 or 3", o.Kernel)
	}
	if o.In < 1 || o.Dim < 1 {
		return Tower{}, fmt.Errorf("head from %d to %d channels: want at least 1", o.In, o.Dim)
	}
	return Tower{Name: "head", Dims: 2, In: o.In, Layers: []Layer{
		{Op: "conv", Name: "head", Kernel: o.Kernel, Stride: 1, Pad: o.Kernel / 2, Channels: o.Dim, Gain: 1},
	}}, nil
}

// AudioOptions are the settings of an audio tower.
type AudioOptions struct {
	Coeffs int // numbers a frame

	// Of the towers "lstm" and "gru".
	Layers        int // recurrent layers; 0 is 2
	Hidden        int // units of each; 0 is 512
	Bidirectional bool
}

// AudioTower returns an audio tower by name: of the paper "conv5" and "conv6"
// (T/16 steps) and "lstm" and "gru" (T/2 - 2 steps); "conv4", four convolutions
// each with batch norm (T/8 steps); or "small", which goes with the image tower
// of that name.
func AudioTower(name string, o AudioOptions) (Tower, error) {
	if o.Coeffs < 1 {
		return Tower{}, fmt.Errorf("audio tower for %d coefficients: want at least 1", o.Coeffs)
	}
	t := Tower{Name: name, Dims: 1, In: o.Coeffs}
	switch name {
	case "conv5", "conv6":
		t.Layers = []Layer{{Op: "norm", Name: "norm"}}
		t.convPool([]int{1, 11, 17, 17, 17}, []int{128, 256, 512, 512, Dim})
		if name == "conv6" {
			t.Layers = append(t.Layers, same("conv6", 17, Dim, true)) // and no fifth pool
		}
		return t, nil
	case "conv4":
		t.convNorm([]int{5, 9, 9, 9}, []int{128, 256, 384, 512}, 2)
		return t, nil
	case "lstm", "gru":
		return t, t.recurrent(o)
	case "small":
		t.convPool([]int{1, 11, 9, 5, 5}, []int{16, 16, 32, 32, 64})
		t.Layers[len(t.Layers)-2].ReLU = false
		return t, nil
	}
	return Tower{}, unknown("audio tower", name, audioNames)
}

// convPool adds convolutions with ReLU, each but the first followed by a pool
// that halves the time.
func (t *Tower) convPool(kernels, channels []int) {
	for i, k := range kernels {
		t.Layers = append(t.Layers, same(fmt.Sprintf("conv%d", i+1), k, channels[i], true))
		if i > 0 {
			t.Layers = append(t.Layers, Layer{Op: "pool", Kernel: 3, Stride: 2, Pad: 1})
		}
	}
}

// convNorm adds convolutions with batch norm and ReLU, the first of stride 2, the
// first few followed by a pool that halves the time. What stands after a clip's
// own frames is zero all along, so that a clip means the same however long its
// minibatch is.
func (t *Tower) convNorm(kernels, channels []int, pools int) {
	for i, k := range kernels {
		c := same(fmt.Sprintf("conv%d", i+1), k, channels[i], false)
		if i == 0 {
			c.Stride = 2
		}
		t.Layers = append(t.Layers, c, Layer{Op: "norm", Name: fmt.Sprintf("norm%d", i+1), ReLU: true, Mask: true})
		if i < pools {
			t.Layers = append(t.Layers, Layer{Op: "pool", Kernel: 3, Stride: 2, Pad: 1, Mask: true})
		}
	}
}

// recurrent adds the paper's recurrent towers: a convolution as in Merkx et al.
// 2019, the recurrent layers, one linear layer.
func (t *Tower) recurrent(o AudioOptions) error {
	if o.Layers == 0 {
		o.Layers = 2
	}
	if o.Hidden == 0 {
		o.Hidden = 512
	}
	if o.Layers < 1 || o.Layers > maxRecurrent || o.Hidden < 1 || o.Hidden > maxChannels/2 {
		return fmt.Errorf("audio tower %s: %d layers of %d units are out of range", t.Name, o.Layers, o.Hidden)
	}
	t.Layers = []Layer{{Op: "conv", Name: "conv", Kernel: 6, Stride: 2, Channels: 64, Gain: 1}}
	for i := range o.Layers {
		t.Layers = append(t.Layers, Layer{Op: t.Name, Name: fmt.Sprintf("%s%d", t.Name, i+1), Channels: o.Hidden, Bidirectional: o.Bidirectional})
	}
	t.Layers = append(t.Layers, Layer{Op: "linear", Name: "linear", Channels: Dim, Gain: 1})
	return nil
}

func same(name string, kernel, channels int, relu bool) Layer {
	return Layer{Op: "conv", Name: name, Kernel: kernel, Stride: 1, Pad: kernel / 2, Channels: channels, ReLU: relu}
}

// Out is the number of channels that the tower ends in.
func (t Tower) Out() int {
	out := t.In
	for _, l := range t.Layers {
		out = l.out(out)
	}
	return out
}

// Steps is the length of the output for n frames (or a side of n pixels), 0 if
// the input is too short. Where the tower attends it is that of what it attends
// over.
func (t Tower) Steps(n int) int {
	for _, l := range t.Layers {
		if l.Op != "conv" && l.Op != "pool" {
			continue
		}
		if n+2*l.Pad < l.Kernel {
			return 0
		}
		n = (n+2*l.Pad-l.Kernel)/l.Stride + 1
	}
	return n
}

// stepsOf is Steps of a clip of n frames, at least 1.
func (t Tower) stepsOf(n int) int { return max(1, t.Steps(n)) }

// Attends reports whether the tower pools its steps or places to one vector, by
// attention.
func (t Tower) Attends() bool { return t.attend() < len(t.Layers) }

// attend is the place of the attention among the layers, their number if there
// is none.
func (t Tower) attend() int {
	if i := slices.IndexFunc(t.Layers, func(l Layer) bool { return l.Op == "attend" }); i >= 0 {
		return i
	}
	return len(t.Layers)
}

// masks reports whether the tower sets what stands after a clip's own frames to
// zero, layer by layer.
func (t Tower) masks() bool {
	return slices.ContainsFunc(t.Layers, func(l Layer) bool { return l.Mask })
}

// Pointwise reports whether each place of the output comes of the same place of
// the input alone, so that any of them may be left out.
func (t Tower) Pointwise() bool {
	return !slices.ContainsFunc(t.Layers, func(l Layer) bool {
		return l.Op != "dropout" && l.Op != "attend" && l.Op != "linear" && !(l.Op == "conv" && l.Kernel == 1 && l.Stride == 1)
	})
}

// With is the tower with more layers after its own.
func (t Tower) With(more ...Layer) Tower {
	t.Layers = slices.Concat(t.Layers, more)
	return t
}

// largest is the number of values in the largest input or output of a layer, or
// in what it keeps for the way back.
func (t Tower) largest(h, w int) int {
	most, c := h*w*t.In, t.In
	for i, l := range t.Layers {
		c = l.out(c)
		upTo := Tower{Layers: t.Layers[:i+1]}
		if t.Dims == 2 {
			most = max(most, upTo.Steps(h)*upTo.Steps(w)*c)
		} else {
			most = max(most, upTo.Steps(w)*max(c, nn.Gates(l.Op)*l.Channels))
		}
	}
	return most
}
