package model

import "fmt"

// vggWidths are the channels of VGG's five blocks of 3x3 convolutions; a pool
// follows each but the last (Simonyan and Zisserman 2014).
var vggWidths = [5]int{64, 128, 256, 512, 512}

// vggBlocks are the convolutions in each block: configurations D and E.
var vggBlocks = map[string][5]int{
	"vgg16": {2, 2, 3, 3, 3},
	"vgg19": {2, 2, 4, 4, 4},
}

// vgg is the network up to its last convolution and its ReLU: 224x224 gives
// 14x14x512. Tensors have torchvision's names: the index in "features", where
// each convolution is followed by a ReLU and each block by a pool.
func (l *loader) vgg(blocks [5]int) *Frozen {
	var layers []*convLayer
	var pooled []bool
	index, in := 0, 3
	for b, count := range blocks {
		for c := range count {
			layers = append(layers, l.conv(fmt.Sprintf("features.%d", index), 3, 1, in, vggWidths[b], nil, nil))
			pooled = append(pooled, c == count-1 && b < len(blocks)-1)
			index, in = index+2, vggWidths[b]
		}
		index++
	}
	return &Frozen{Out: in, side: 16, run: func(s *scratch, x []float32, h, w int) ([]float32, int, int) {
		for i, layer := range layers {
			var y []float32
			if pooled[i] {
				y, h, w = layer.forwardPool(s, x, h, w)
			} else {
				y, h, w = layer.forward(s, x, h, w, true)
			}
			s.give(x)
			x = y
		}
		return x, h, w
	}}
}
