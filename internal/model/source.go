package model

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/internal/nn"
)

// Where a frozen network's values come from.
const (
	InitPretrained = "pretrained"     // its own weights
	InitIdentity   = "vgg16+identity" // VGG19: VGG16's, and three layers that start as the identity
	InitRandom     = "random"         // He-normal, from a seed
)

// Where the stride of ResNet50's stages sits in the first block of each.
const (
	StrideConv1 = "conv1" // in the 1x1: He et al. 2016, Caffe, Keras
	StrideConv2 = "conv2" // in the 3x3: torchvision
)

// How bytes of a picture go into a frozen network.
const (
	InputCaffe       = "caffe"       // less the mean of each colour: Caffe, MatConvNet, Keras
	InputTorchvision = "torchvision" // in 0..1, less the mean, by the deviation
)

// LayerPool4 cuts VGG off after its fourth pool, before its last block: the input
// of a tower that trains that block.
const LayerPool4 = "pool4"

// FrozenOptions say what a frozen network is made of. The zero value is the
// pretrained network by the conventions that its file states.
type FrozenOptions struct {
	Init string // pretrained, vgg16+identity or random; empty: pretrained
	Seed uint64 // of random values
	// Stage is the last stage of ResNet50, 4 or 5; 0 is 4.
	Stage int
	// Layer is empty for the last convolution, or LayerPool4.
	Layer string
	// Stride and Input, where not empty, overrule the file's metadata ("stride",
	// "input"), which few files have.
	Stride, Input string
}

func (o FrozenOptions) stage() int {
	if o.Stage == 0 {
		return 4
	}
	return o.Stage
}

// check says what cannot be, before any file is opened.
func (o FrozenOptions) check(name string) error {
	if !slices.Contains(frozenNames, name) {
		return unknown("network", name, frozenNames)
	}
	var errs []error
	say := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	say(!slices.Contains([]string{"", InitPretrained, InitIdentity, InitRandom}, o.Init), "init %q is not known", o.Init)
	say(o.Init == InitIdentity && name != "vgg19", "init %s is for vgg19, not %s", o.Init, name)
	say(o.Stage != 0 && name != "resnet50", "%s has no stages", name)
	say(o.stage() != 4 && o.stage() != 5, "stage %d: want 4 or 5", o.Stage)
	say(o.Layer != "" && o.Layer != LayerPool4, "layer %q is not known", o.Layer)
	say(o.Layer == LayerPool4 && name == "resnet50", "%s has no %s", name, o.Layer)
	say(!slices.Contains([]string{"", StrideConv1, StrideConv2}, o.Stride), "stride %q: want %s or %s", o.Stride, StrideConv1, StrideConv2)
	say(!slices.Contains([]string{"", InputCaffe, InputTorchvision}, o.Input), "input %q: want %s or %s", o.Input, InputCaffe, InputTorchvision)
	return errors.Join(errs...)
}

// FrozenLayer names the layer at which a frozen network is cut off.
func FrozenLayer(name string, o FrozenOptions) string {
	switch {
	case o.Layer != "":
		return o.Layer
	case name == "vgg16":
		return "conv5_3"
	case name == "vgg19":
		return "conv5_4"
	}
	return fmt.Sprintf("stage %d", o.stage())
}

// MirroredLayer stands behind the name of a layer whose maps are of the photos'
// mirror images.
const MirroredLayer = ", mirrored"

// FrozenTitle is what a frozen network is called where its features go: its
// name, or, if it is not quite that network, what it is made of.
func FrozenTitle(name, init string) string {
	long := map[string]string{"vgg16": "VGG16", "vgg19": "VGG19", "resnet50": "ResNet50"}[name]
	switch init {
	case InitIdentity:
		return long + " (VGG16 + identity)"
	case InitRandom:
		return long + " (random)"
	}
	return name
}

// FrozenNote is what scores must say of a network with this title, or nothing.
func FrozenNote(title string) string {
	if title == "" || slices.Contains(frozenNames, title) {
		return ""
	}
	return title
}

// conventions are what weights alone do not tell.
type conventions struct {
	stride, input string
	epsilon       float64 // of batch norm
}

// conventions are as the options say, else as the file's metadata does. The
// input is worth an error: a network fed wrongly gives features that look like
// features. The stride is so for a ResNet50 that may be anybody's.
func (o FrozenOptions) conventions(name string, t *Tensors) (conventions, error) {
	c := conventions{stride: o.Stride, input: o.Input}
	meta := map[string]string{}
	if t == nil { // no file: the original's
		meta = map[string]string{"stride": StrideConv1, "input": InputCaffe}
	} else if t.Metadata() != nil {
		meta = t.Metadata()
	}
	if c.stride == "" {
		c.stride = stride(meta["stride"])
	}
	if c.input == "" {
		c.input = input(meta["input"])
	}
	if name == "resnet50" && c.stride == "" {
		return c, errors.New("the file does not say where the strides are: give stride: conv1 (the original, Keras) or conv2 (torchvision)")
	}
	if c.input == "" {
		return c, errors.New("the file does not say how pixels go in: give input: caffe (less the mean; also Keras) or torchvision (0..1, mean and deviation)")
	}
	c.epsilon = 1.001e-5 // Keras's ResNet50
	if c.input == InputTorchvision {
		c.epsilon = 1e-5
	}
	if text := meta["bn_eps"]; text != "" {
		e, err := strconv.ParseFloat(text, 64)
		if err != nil || !(e >= 0 && e < 1) {
			return c, fmt.Errorf("bn_eps %q is no small number", text)
		}
		c.epsilon = e
	}
	return c, nil
}

// stride reads a file's remark: one of the two words, or a sentence that names
// one of them.
func stride(remark string) string {
	one, two := strings.Contains(remark, StrideConv1), strings.Contains(remark, StrideConv2)
	switch {
	case one && !two:
		return StrideConv1
	case two && !one:
		return StrideConv2
	}
	return ""
}

// input reads a file's remark: one of the two words, or the sentence of our own
// weights.
func input(remark string) string {
	switch {
	case remark == InputTorchvision:
		return InputTorchvision
	case remark == InputCaffe || strings.Contains(remark, "0..255") && strings.Contains(remark, "no std division"):
		return InputCaffe
	}
	return ""
}

// Means and deviations of ImageNet's red, green and blue.
var (
	caffeMean = [3]float32{123.68, 116.779, 103.939} // as Caffe's models have it, in 0..255
	torchMean = [3]float64{.485, .456, .406}         // in 0..1
	torchStd  = [3]float64{.229, .224, .225}
)

// norm is the same as pixels, for a tower that is trained.
func (c conventions) norm() *PixelNorm {
	p := &PixelNorm{Scale: 1}
	for k := range 3 {
		if c.input == InputTorchvision {
			p.Mean, p.Std = append(p.Mean, 255*torchMean[k]), append(p.Std, 255*torchStd[k])
		} else {
			p.Mean, p.Std = append(p.Mean, float64(caffeMean[k])), append(p.Std, 1)
		}
	}
	return p
}

// pixels is what the network sees of a byte: for red, green and blue.
func (c conventions) pixels() (out [3][256]float32) {
	for k := range out {
		for v := range out[k] {
			if c.input == InputTorchvision {
				out[k][v] = float32((float64(v)/255 - torchMean[k]) / torchStd[k])
			} else {
				out[k][v] = float32(v) - caffeMean[k]
			}
		}
	}
	return out
}

// randomTensor draws the tensor of a network that nobody has trained:
// convolutions He-normal, biases 0, batch norm as it starts. The last batch norm
// of a residual block starts at a half, or the values, which no statistics bring
// back, would double their variance with each block and outgrow float16.
func randomTensor(seed uint64, name string, shape []int) []float32 {
	p := nn.NewParam[float32](name, shape...)
	switch {
	case len(shape) == 4:
		deviation := math.Sqrt(2 / float64(shape[1]*shape[2]*shape[3]))
		fill(p, seed, func(r *rand.Rand) float64 { return r.NormFloat64() * deviation })
	case strings.HasSuffix(name, ".bn3.weight"):
		setAll(p.W, .5)
	case strings.HasSuffix(name, ".weight") || strings.HasSuffix(name, ".running_var"):
		setAll(p.W, 1)
	}
	return p.W
}

func setAll(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
