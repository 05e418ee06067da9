package model

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/kernel"
)

// vggLayers are VGG16's 13 convolutions: the index that torchvision gives them
// in "features", their channels, and whether a pool follows (Simonyan and
// Zisserman 2014, configuration D). The last pool is left out.
var vggLayers = []struct {
	index, in, out int
	pool           bool
}{
	{0, 3, 64, false}, {2, 64, 64, true},
	{5, 64, 128, false}, {7, 128, 128, true},
	{10, 128, 256, false}, {12, 256, 256, false}, {14, 256, 256, true},
	{17, 256, 512, false}, {19, 512, 512, false}, {21, 512, 512, true},
	{24, 512, 512, false}, {26, 512, 512, false}, {28, 512, 512, false},
}

// vgg16 is VGG16 up to conv5_3 and its ReLU: 224x224 gives 14x14x512.
func (l *loader) vgg16() *Frozen {
	var layers []*convLayer
	for _, v := range vggLayers {
		layers = append(layers, l.conv(fmt.Sprintf("features.%d", v.index), 3, 1, v.in, v.out, nil, nil))
	}
	pool := kernel.Pool2D{KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	return &Frozen{Name: "vgg16", Layer: "conv5_3", Out: 512, side: 16, run: func(s *scratch, x []float32, h, w int) ([]float32, int, int) {
		for i, layer := range layers {
			var y []float32
			y, h, w = layer.forward(s, x, h, w, true)
			s.give(x)
			x = y
			if vggLayers[i].pool {
				oh, ow := pool.OutSize(h, w)
				y = s.take(oh * ow * vggLayers[i].out)
				kernel.MaxPoolForward(pool, 1, h, w, vggLayers[i].out, x, y, nil)
				s.give(x)
				x, h, w = y, oh, ow
			}
		}
		return x, h, w
	}}
}
