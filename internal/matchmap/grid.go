package matchmap

import (
	"strings"

	"github.com/hearsight/hearsight/internal/model"
)

// An Axis says where the cells of a grid lie: cell i is around First + i*Step.
type Axis struct {
	First float64 `json:"first"`
	Step  float64 `json:"step"`
}

// At returns the middle of cell i, which need be no whole number.
func (a Axis) At(i float64) float64 { return a.First + a.Step*i }

// In is the inverse of At.
func (a Axis) In(x float64) float64 { return (x - a.First) / a.Step }

// Tile is the axis of n cells that fill 0 to 1.
func Tile(n int) Axis { return Axis{.5 / float64(n), 1 / float64(n)} }

// through is the axis of what a tower makes of cells on axis a: an output is
// around the middle of the inputs that a layer's kernel lies over, which is not
// the middle of its share of the input where a kernel of 3 steps by 2 and has a
// border of 1. Recurrent layers and attentions move nothing.
func (a Axis) through(t model.Tower) Axis {
	for _, l := range t.Layers {
		if l.Op == "attend" {
			break
		}
		if l.Op == "conv" || l.Op == "pool" {
			a = Axis{a.At(float64(l.Kernel-1)/2 - float64(l.Pad)), a.Step * float64(l.Stride)}
		}
	}
	return a
}

// Pixels of a frozen network's input from one place of its map to the next.
const (
	mapStride  = 16
	lateStride = 32 // after ResNet50's stage 5
)

// FrozenAxis is the axis, in shares of the side of a picture of so many pixels,
// of the n places across it of a frozen network's feature map; tower and layer are
// as the map's file names them. Places may be means of pool by pool places, as
// the stage features makes them. Of the maps of several networks behind each other
// it is the mean of theirs.
func FrozenAxis(tower, layer string, side, n int) Axis {
	towers, layers := strings.Split(tower, " + "), strings.Split(layer, " + ")
	var mean Axis
	for i, t := range towers {
		a := frozenAxis(t, layers[min(i, len(layers)-1)], side, n)
		mean.First += a.First / float64(len(towers))
		mean.Step += a.Step / float64(len(towers))
	}
	return mean
}

// frozenAxis is FrozenAxis of one network.
func frozenAxis(tower, layer string, side, n int) Axis {
	pixel := Tile(side)
	stride, first, whole := mapStride, float64(mapStride-1)/2, side/mapStride // VGG: pools of 2 by 2, no borders
	if strings.HasPrefix(strings.ToLower(tower), "resnet") {
		// Kernels of 7 and 3 with borders of 3 and 1, steps of 2: output j is around
		// pixel j*stride.
		if layer == "stage 5" {
			stride = lateStride
		}
		first, whole = 0, (side+stride-1)/stride
	}
	pool := max(1, whole/max(1, n))
	return Axis{pixel.At(first + float64(stride*(pool-1))/2), pixel.Step * float64(stride*pool)}
}
