package plot

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
)

// Indices into wavePalette.
const (
	wavePaper = iota
	waveAxis
	wavePeak
	waveRMS
	waveClip
)

var wavePalette = color.Palette{
	wavePaper: color.RGBA{R: 0xff, G: 0xff, B: 0xff, A: 0xff},
	waveAxis:  color.RGBA{R: 0xc8, G: 0xc8, B: 0xc8, A: 0xff},
	wavePeak:  color.RGBA{R: 0x7f, G: 0xb8, B: 0xd8, A: 0xff},
	waveRMS:   color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff},
	waveClip:  color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
}

// Waveform writes samples, where ±1 is full scale, as a PNG: each column shows
// the lowest to highest sample of its share of the time in light blue and their
// RMS in dark blue. The scale is fixed at ±1, so that quiet clips look quiet; a
// column that reaches full scale is vermilion, as it may be clipped. NaN
// samples are left out. Zero width and height mean 720 x 120 px.
func Waveform(w io.Writer, samples []float32, width, height int) error {
	if width == 0 {
		width = waveWidth
	}
	if height == 0 {
		height = waveHeight
	}
	if width < 0 || height < 0 || width > maxPixels/height {
		return fmt.Errorf("draw waveform: %dx%d px is no picture of at most %d px", width, height, maxPixels)
	}
	return writePNG(w, waveImage(samples, width, height))
}

// Size of a waveform in px, if none is given.
const waveWidth, waveHeight = 720, 120

func waveImage(samples []float32, width, height int) *image.Paletted {
	img := image.NewPaletted(image.Rect(0, 0, width, height), wavePalette)
	for x := range width {
		img.Pix[img.PixOffset(x, rowOf(0, height))] = waveAxis
	}
	var before column
	for x := range width {
		from := int(int64(x) * int64(len(samples)) / int64(width))
		to := int(int64(x+1) * int64(len(samples)) / int64(width))
		if from == to && from < len(samples) {
			to = from + 1 // fewer samples than columns: each is held
		}
		now := measure(samples[from:to])
		drawColumn(img, x, now, before)
		before = now
	}
	return img
}

// column is what one column of a waveform shows; n counts its samples.
type column struct {
	lo, hi, rms float64
	n           int
}

func measure(samples []float32) column {
	c := column{lo: math.Inf(1), hi: math.Inf(-1)}
	sum := 0.0
	for _, s := range samples {
		v := float64(s)
		if math.IsNaN(v) {
			continue
		}
		c.lo, c.hi = min(c.lo, v), max(c.hi, v)
		c.n++
		sum += float64(v * v) // the conversion forbids a fused multiply-add
	}
	if c.n > 0 {
		c.rms = math.Sqrt(sum / float64(c.n))
	}
	return c
}

// drawColumn draws now at x, stretched to touch the column before it so that a
// steep slope is a line and not a row of dots.
func drawColumn(img *image.Paletted, x int, now, before column) {
	if now.n == 0 {
		return
	}
	height := img.Rect.Dy()
	peak := uint8(wavePeak)
	if now.lo <= -1 || now.hi >= 1 {
		peak = waveClip
	}
	lo, hi := now.lo, now.hi
	if before.n > 0 {
		lo, hi = min(lo, before.hi), max(hi, before.lo)
	}
	for y := rowOf(hi, height); y <= rowOf(lo, height); y++ {
		img.Pix[img.PixOffset(x, y)] = peak
	}
	top, bottom := max(-now.rms, now.lo), min(now.rms, now.hi)
	if now.n == 1 { // a lone sample has no spread: it is its own line
		top, bottom = lo, hi
	}
	for y := rowOf(bottom, height); y <= rowOf(top, height) && peak != waveClip; y++ {
		img.Pix[img.PixOffset(x, y)] = waveRMS
	}
}

// rowOf returns the pixel row of amplitude v: +1 is row 0, -1 the last.
func rowOf(v float64, height int) int {
	v = min(max(v, -1), 1)
	return int(float64((1-v)*float64(height-1)/2) + 0.5)
}
