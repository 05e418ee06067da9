package learn

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/x448/float16"
)

// A Pair is one picture and one clip that says what is on it.
type Pair struct {
	ID    string // of the caption
	Photo string // pairs of one photo never meet in a minibatch
	Clip  int    // index into Clips
	Image int    // index into Images
}

// Clips gives the MFCC frames of clip i: n*coefficients values, frame by frame.
// It is called from several goroutines; the result is only read, and not kept.
type Clips interface {
	Frames(i int) ([]float32, error)
}

// Images gives picture i. It is called from several goroutines; the result is
// only read, and not kept.
type Images interface {
	Image(i int) (Image, error)
}

// An Image is what the image tower starts from: a feature map, as float16
// bits, or pixels; [h][w][channels] either way.
type Image struct {
	Half   []uint16
	Pixels []uint8
}

// ClipSlice is Clips in memory.
type ClipSlice [][]float32

// Frames returns clip i.
func (c ClipSlice) Frames(i int) ([]float32, error) { return c[i], nil }

// ImageSlice is Images in memory.
type ImageSlice []Image

// Image returns picture i.
func (s ImageSlice) Image(i int) (Image, error) { return s[i], nil }

// Data is what training sees.
type Data struct {
	Train, Dev []Pair
	Clips      Clips
	Images     Images
	// Sources are the channels of each network, where feature maps are of several
	// and a norm has a deviation for each; nil: of one.
	Sources []int
}

// putImage writes a picture into dst, the image tower's input, or of a feature
// map only some places, nil for all.
func putImage(spec *model.Spec, dst []float32, img Image, places []int) error {
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

// putClip writes clip i into dst and returns its frames there.
func putClip(spec *model.Spec, dst []float32, frames []float32) (int, error) {
	if len(frames)%spec.Audio.In != 0 {
		return 0, fmt.Errorf("%d values are no whole number of frames of %d", len(frames), spec.Audio.In)
	}
	if len(frames) == 0 {
		return 0, errors.New("no frames")
	}
	return model.PutFrames(spec, dst, frames), nil
}

// each runs f(0) … f(n-1) in parallel and returns the error of the lowest i.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	kernel.Parallel(n, func(i int) { errs[i] = f(i) })
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
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
