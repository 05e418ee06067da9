// Package vision makes network inputs of photos: decode, resize, crop, order
// channels, subtract means. Its functions are pure: bytes in, pixels out, the
// same on every machine and any number of cores.
//
// A photo goes through
//
//	Decode         JPEG, PNG, GIF, WebP, BMP, TIFF -> RGB, 8 bits a channel, whatever it was before
//	Orient         as EXIF's Orientation says, for who wants that
//	Resize         to exactly w x h, or Fit into it, or ResizeShorter and CenterCrop
//	SwapRB         to BGR, as networks trained with Caffe want it
//	SubtractMean   to float32 around zero (Caffe's way), or Normalize (torchvision's)
//
// Resizing is Pillow's, bit for bit in its arithmetic, since published weights
// were trained on pictures that went through it: separable, antialiased (the
// filter widens when shrinking), 22-bit fixed-point weights, across first, then
// down (the other way for some: see Resize), with rounding to 8 bits between. A
// plain four-neighbour bilinear differs from it by tens of levels. The sums are
// whole numbers, in vector lanes where the CPU has them (package kernel), and the
// same everywhere.
//
// Decoding is Go's own (package image, golang.org/x/image) behind checks: the header is read
// first, and a picture that would take more than MaxPixels or the memory that
// goes with it is refused before anything is allocated for it.
package vision

import "image"

// An RGB is a picture of W x H pixels of 8-bit red, green, blue: channel c of
// pixel x, y is Pix[(y*W+x)*3+c].
type RGB struct {
	W, H int
	Pix  []uint8
}

// NewRGB returns a black picture.
func NewRGB(w, h int) *RGB { return &RGB{W: w, H: h, Pix: make([]uint8, w*h*3)} }

// Image returns the picture, opaque, as package image has them.
func (m *RGB) Image() *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, m.W, m.H))
	for i := range m.W * m.H {
		copy(out.Pix[4*i:], m.Pix[3*i:][:3])
		out.Pix[4*i+3] = 0xff
	}
	return out
}

// SwapRB returns a copy of pix, interleaved pixels of three channels, with the
// first and last channel of each exchanged: RGB to BGR and back.
func SwapRB(pix []uint8) []uint8 {
	out := make([]uint8, len(pix))
	for i := 0; i+2 < len(pix); i += 3 {
		out[i], out[i+1], out[i+2] = pix[i+2], pix[i+1], pix[i]
	}
	return out
}

// Channel means and deviations that published weights expect.
var (
	// CaffeMeanBGR is ImageNet's mean colour in 0..255, in the order B, G, R
	// (VGG authors' release; Keras preprocess_input, mode "caffe").
	CaffeMeanBGR = [3]float32{103.939, 116.779, 123.68}
	// ImageNetMean and ImageNetStd are torchvision's, for RGB in 0..1.
	ImageNetMean = [3]float32{0.485, 0.456, 0.406}
	ImageNetStd  = [3]float32{0.229, 0.224, 0.225}
)

// SubtractMean returns pix, interleaved pixels of three channels, as float32
// less the channels' means, in the same order (HWC).
func SubtractMean(pix []uint8, mean [3]float32) []float32 {
	out := make([]float32, len(pix))
	for i, p := range pix {
		out[i] = float32(p) - mean[i%3]
	}
	return out
}

// Normalize returns m as torchvision's ToTensor and Normalize make it: planes
// R, G, B (CHW) of (p/255 - mean) / std.
func Normalize(m *RGB, mean, std [3]float32) []float32 {
	n := m.W * m.H
	out := make([]float32, 3*n)
	for i := range n {
		for c := range 3 {
			out[c*n+i] = (float32(m.Pix[3*i+c])/255 - mean[c]) / std[c]
		}
	}
	return out
}
