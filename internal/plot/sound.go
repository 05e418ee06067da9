package plot

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io"
)

// Sizes of Sound's picture in px.
const (
	soundGap  = 8
	soundBand = 6 // a band's height
)

// Sound writes a waveform, as Waveform draws it, and below it the spectrogram of
// the same samples, as one PNG: bands x frames in row-major order, the highest
// band first, drawn as HeatMap does. Time runs alike in both, over 720 px.
func Sound(w io.Writer, samples []float32, bands, frames int, values []float64) error {
	if err := checkMatrix(bands, frames, len(values)); err != nil {
		return fmt.Errorf("draw sound: %w", err)
	}
	high := max(bands, 1) * soundBand
	if bands > maxPixels/waveWidth/soundBand/2 {
		return fmt.Errorf("draw sound: %d bands are more than a picture holds", bands)
	}
	img := image.NewRGBA(image.Rect(0, 0, waveWidth, waveHeight+soundGap+high))
	draw.Draw(img, img.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	wave := waveImage(samples, waveWidth, waveHeight)
	draw.Draw(img, wave.Rect, wave, image.Point{}, draw.Src)
	heat := image.NewPaletted(image.Rect(0, 0, waveWidth, high), colorMap())
	for i := range heat.Pix {
		heat.Pix[i] = nanShade
	}
	if len(values) > 0 {
		s, _ := newScale(values, nil, nil) // errors come from given ends only
		cells := resample(bands, frames, values, bands, waveWidth)
		for i := range heat.Pix {
			heat.Pix[i] = s.shade(cells[i/waveWidth/soundBand*waveWidth+i%waveWidth])
		}
	}
	draw.Draw(img, heat.Rect.Add(image.Pt(0, waveHeight+soundGap)), heat, image.Point{}, draw.Src)
	return writePNG(w, img)
}
