package minibatch

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
