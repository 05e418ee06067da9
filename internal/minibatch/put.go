package minibatch

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/x448/float16"
)

// PutImage writes a picture into dst, the image tower's input, or of a feature
// map only some places, nil for all.
func PutImage(spec *model.Spec, dst []float32, img Image, places []int) error {
	c := spec.Image.In
	switch {
	case places != nil && len(img.Half) == spec.Height*spec.Width*c && len(dst) == len(places)*c:
		half := halves()
		for k, place := range places {
			to := dst[k*c:][:c]
			for j, h := range img.Half[place*c:][:c] {
				to[j] = half[h]
			}
		}
		model.NormalizeMap(spec, dst)
	case len(img.Half) == len(dst):
		half := halves()
		for i, h := range img.Half {
			dst[i] = half[h]
		}
		model.NormalizeMap(spec, dst)
	case len(img.Pixels) == len(dst):
		model.PutPixels(spec, dst, img.Pixels)
	default:
		return fmt.Errorf("%d values, want %dx%dx%d", max(len(img.Half), len(img.Pixels)), spec.Height, spec.Width, spec.Image.In)
	}
	return nil
}

// PutClip writes clip i into dst and returns its frames there.
func PutClip(spec *model.Spec, dst []float32, frames []float32) (int, error) {
	if len(frames)%spec.Audio.In != 0 {
		return 0, fmt.Errorf("%d values are no whole number of frames of %d", len(frames), spec.Audio.In)
	}
	if len(frames) == 0 {
		return 0, errors.New("no frames")
	}
	return model.PutFrames(spec, dst, frames), nil
}

// AppendMap appends the values of a feature map to x; of pixels there are none.
func (img Image) AppendMap(x []float32) []float32 {
	half := halves()
	for _, h := range img.Half {
		x = append(x, half[h])
	}
	return x
}

// halves maps the bits of a float16 to its value: 256 KiB, faster than
// computing each of the 100,000 values of a feature map.
var halves = sync.OnceValue(func() *[1 << 16]float32 {
	t := new([1 << 16]float32)
	for i := range t {
		t[i] = float16.Frombits(uint16(i)).Float32()
	}
	return t
})
