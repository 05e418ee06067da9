package model

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hearsight/hearsight/internal/kernel"
)

// A Frozen is a pretrained network cut off at a convolutional layer, for
// inference. It does not change: several goroutines may use it at once.
type Frozen struct {
	Name  string // vgg16, vgg19, resnet50
	Layer string // whose output it gives: [FrozenLayer]
	Out   int    // channels of the output

	run    func(s *scratch, x []float32, h, w int) ([]float32, int, int)
	side   int             // the input's sides are at least this
	pixels [3][256]float32 // what the network sees of a red, green and blue byte
}

// maxFrozenSide bounds the pictures that a frozen network takes.
const maxFrozenSide = 1024

// WeightsFile is the name of a frozen network's weights in a folder of weights.
func WeightsFile(name string) string {
	switch name {
	case "vgg16", "vgg19":
		return name + "_conv_fp16.safetensors"
	case "resnet50":
		return "resnet50_to_layer3_fp16.safetensors"
	}
	return ""
}

// OpenFrozen loads a frozen network by name from its weights: a safetensors
// file, or a folder that holds [WeightsFile]. With random values no file is
// looked at.
func OpenFrozen(name, path string, o FrozenOptions) (*Frozen, error) {
	if err := o.check(name); err != nil {
		return nil, err
	}
	path, data, err := readWeights(name, path, o)
	if err != nil {
		return nil, err
	}
	f, err := LoadFrozen(name, data, o)
	if err != nil && path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return f, err
}

// readWeights reads a network's file, or the one in a folder, and says which;
// nothing for random values.
func readWeights(name, path string, o FrozenOptions) (string, []byte, error) {
	if o.Init == InitRandom {
		return "", nil, nil
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		file := WeightsFile(name)
		if o.Init == InitIdentity {
			file = WeightsFile("vgg16")
		}
		path = filepath.Join(path, file)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return "", nil, fmt.Errorf("weights of %s: %w", name, err)
	}
	return path, data, nil
}

// LoadFrozen makes a frozen network from the bytes of its safetensors file. The
// error lists all tensors that are missing or of another shape.
func LoadFrozen(name string, data []byte, o FrozenOptions) (*Frozen, error) {
	l, err := newLoader(name, data, o)
	if err != nil {
		return nil, err
	}
	var f *Frozen
	if name == "resnet50" {
		f = l.resnet50(o.stage())
	} else {
		blocks := vggBlocks[name]
		if o.Init == InitIdentity {
			blocks = vggBlocks["vgg16"]
		}
		upTo := len(blocks)
		if o.Layer == LayerPool4 {
			upTo = 4
		}
		f = l.vgg(blocks[:upTo])
	}
	if len(l.wrong) > 0 {
		return nil, fmt.Errorf("weights of %s do not fit: %s", name, strings.Join(l.wrong, "; "))
	}
	f.Name, f.Layer, f.pixels = name, FrozenLayer(name, o), l.how.pixels()
	return f, nil
}

// Features runs one picture, pixels [h][w][3] in BGR order, through the network
// and returns the feature map [outH][outW][Out].
func (f *Frozen) Features(pixels []uint8, h, w int) (features []float32, outH, outW int, err error) {
	if h < f.side || w < f.side || h > maxFrozenSide || w > maxFrozenSide || len(pixels) != h*w*3 {
		return nil, 0, 0, fmt.Errorf("%s: %d values of a picture of %dx%d: want sides of %d to %d, 3 values each", f.Name, len(pixels), h, w, f.side, maxFrozenSide)
	}
	defer func() {
		if r := recover(); r != nil {
			features, err = nil, fmt.Errorf("%s: %v", f.Name, r)
		}
	}()
	s := scratches.Get().(*scratch)
	x := s.take(len(pixels))
	for i := 0; i < len(pixels); i += 3 {
		for c := range 3 {
			x[i+c] = f.pixels[c][pixels[i+2-c]]
		}
	}
	x, outH, outW = f.run(s, x, h, w)
	features = slices.Clone(x)
	s.give(x)
	scratches.Put(s)
	return features, outH, outW, nil
}

// A convLayer is one convolution with its weights packed.
type convLayer struct {
	kernel.FrozenConv[float32]
	bias []float32
}

// forward runs the layer on x [h][w][in] and returns its output in scratch.
func (l *convLayer) forward(s *scratch, x []float32, h, w int, relu bool) (y []float32, oh, ow int) {
	oh, ow = l.OutSize(h, w)
	y = s.take(oh * ow * len(l.bias))
	l.Forward(1, h, w, x, l.bias, relu, y)
	return y, oh, ow
}

// forwardAdd makes y the ReLU of y + layer(x), the end of a residual block, in
// one go. The layer is 1x1, which is always packed for the direct way.
func (l *convLayer) forwardAdd(x []float32, h, w int, y []float32) {
	l.FrozenConv.(*kernel.PackedConv2D[float32]).ForwardAdd(1, h, w, x, l.bias, true, y)
}

// forwardPool is forward with ReLU, and a max-pool of 2x2 after it.
func (l *convLayer) forwardPool(s *scratch, x []float32, h, w int) (y []float32, oh, ow int) {
	oh, ow = l.OutSize(h, w)
	oh, ow = oh/2, ow/2
	y = s.take(oh * ow * len(l.bias))
	l.ForwardPool(1, h, w, x, l.bias, true, y)
	return y, oh, ow
}

// A loader takes layers out of a file and remembers what was wrong; without a
// file it draws them.
type loader struct {
	tensors *Tensors // nil: random values
	seed    uint64
	how     conventions
	wrong   []string
}

func newLoader(name string, data []byte, o FrozenOptions) (*loader, error) {
	if err := o.check(name); err != nil {
		return nil, err
	}
	l := &loader{seed: o.Seed}
	var err error
	if o.Init != InitRandom {
		if l.tensors, err = ParseTensors(data); err != nil {
			return nil, err
		}
	}
	if l.how, err = o.conventions(name, l.tensors); err != nil {
		return nil, fmt.Errorf("weights of %s: %w", name, err)
	}
	return l, nil
}

// has reports whether there is such a tensor.
func (l *loader) has(name string) bool {
	if l.tensors == nil {
		return true
	}
	_, _, ok := l.tensors.Info(name)
	return ok
}

func (l *loader) get(name string, shape ...int) []float32 {
	if l.tensors == nil {
		return randomTensor(l.seed, name, shape)
	}
	v, err := l.tensors.Float32(name, shape...)
	if err != nil {
		l.wrong = append(l.wrong, err.Error())
		return nil
	}
	return v
}

// conv takes a convolution: weight [out][in][k][k] and bias. scale and shift,
// where not nil, are folded in: the layer's output is then conv*scale + shift,
// and there need be no bias.
func (l *loader) conv(name string, k, stride, in, out int, scale, shift []float64) *convLayer {
	weight, bias := l.get(name+".weight", out, in, k, k), make([]float32, out)
	if scale == nil || l.has(name+".bias") {
		bias = l.get(name+".bias", out)
	}
	if len(l.wrong) > 0 {
		return nil
	}
	ours := make([]float32, len(weight)) // [k][k][in][out]
	for o := range out {
		f := 1.0
		if scale != nil {
			f = scale[o]
			bias[o] = float32(float64(bias[o])*f + shift[o])
		}
		for i := range in {
			for p := range k * k {
				ours[(p*in+i)*out+o] = float32(float64(weight[(o*in+i)*k*k+p]) * f)
			}
		}
	}
	shape := kernel.Conv2D{KH: k, KW: k, In: in, Out: out, StrideH: stride, StrideW: stride, PadH: k / 2, PadW: k / 2}
	return &convLayer{FrozenConv: kernel.PackFrozen(shape, ours), bias: bias}
}

// A scratch hands out the buffers of one forward pass and takes them back.
type scratch struct{ free [][]float32 }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// take returns a buffer of n values of unknown content: the smallest that is
// large enough.
func (s *scratch) take(n int) []float32 {
	best := -1
	for i, b := range s.free {
		if cap(b) >= n && (best < 0 || cap(b) < cap(s.free[best])) {
			best = i
		}
	}
	if best < 0 {
		return kernel.Make[float32](n)
	}
	b := s.free[best]
	last := len(s.free) - 1
	s.free[best] = s.free[last]
	s.free = s.free[:last]
	return b[:n]
}

func (s *scratch) give(b []float32) { s.free = append(s.free, b) }
