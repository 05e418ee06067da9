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

// vggTower is the same network for training, from block first (1 or, from what
// the fourth pool gives, 5) on: layers conv1_1, conv1_2, …, conv5_3.
func vggTower(name string, blocks, widths [5]int, first int) Tower {
	t := Tower{Name: name, Dims: 2, In: 3}
	if first > 1 {
		t.In = widths[first-2]
	}
	for b := first - 1; b < len(blocks); b++ {
		for c := range blocks[b] {
			t.Layers = append(t.Layers, same(vggLayer(b, c), 3, widths[b], true))
		}
		if b < len(blocks)-1 {
			t.Layers = append(t.Layers, Layer{Op: "pool", Kernel: 2, Stride: 2})
		}
	}
	return t
}

// vggLayer names convolution c of block b.
func vggLayer(b, c int) string { return fmt.Sprintf("conv%d_%d", b+1, c+1) }

// vggTensor is torchvision's name of convolution c of block b.
func vggTensor(blocks [5]int, b, c int) string {
	index := 2 * c
	for _, count := range blocks[:b] {
		index += 2*count + 1
	}
	return fmt.Sprintf("features.%d", index)
}

// vgg is the network up to its last convolution and its ReLU: 224x224 gives
// 14x14x512. Tensors have torchvision's names: the index in "features", where
// each convolution is followed by a ReLU and each block by a pool.
// It ends earlier with fewer blocks, after the pool of the last.
func (l *loader) vgg(blocks []int) *Frozen {
	var layers []*convLayer
	var pooled []bool
	index, in := 0, 3
	for b, count := range blocks {
		for c := range count {
			layers = append(layers, l.conv(fmt.Sprintf("features.%d", index), 3, 1, in, vggWidths[b], nil, nil))
			pooled = append(pooled, c == count-1 && b < len(vggWidths)-1)
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
