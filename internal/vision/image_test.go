package vision

import (
	"image/color"
	"testing"
)

// TestImage: each pixel, in its place, opaque.
func TestImage(t *testing.T) {
	m := noisyRGB(5, 3)
	out := m.Image()
	for y := range m.H {
		for x := range m.W {
			p := m.Pix[(y*m.W+x)*3:]
			if got, want := out.RGBAAt(x, y), (color.RGBA{p[0], p[1], p[2], 255}); got != want {
				t.Fatalf("pixel %d, %d is %v, want %v", x, y, got, want)
			}
		}
	}
}
