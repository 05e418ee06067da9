package plot

import (
	"fmt"
	"image"
	"image/png"
	"io"
)

// maxPixels of a picture: 64 MP, more than any viewer wants.
const maxPixels = 64 << 20

// HeatOptions says how a heat map is drawn; the zero value works.
type HeatOptions struct {
	Scale    int      // px a cell is wide and high; 0 means 1
	FlipY    bool     // row 0 at the bottom
	Min, Max *float64 // values of the lowest and highest colour; nil: fit to the finite values
}

// HeatMap writes values, rows x cols in row-major order, as a PNG of one square
// a cell: dark blue is low, yellow high, grey NaN. With no values it draws one
// grey cell.
func HeatMap(w io.Writer, rows, cols int, values []float64, o HeatOptions) error {
	if err := checkMatrix(rows, cols, len(values)); err != nil {
		return fmt.Errorf("draw heat map: %w", err)
	}
	s, err := newScale(values, o.Min, o.Max)
	if err != nil {
		return fmt.Errorf("draw heat map: %w", err)
	}
	side := max(o.Scale, 1)
	if o.Scale < 0 || side > maxPixels || len(values) > maxPixels/side/side {
		return fmt.Errorf("draw heat map: %dx%d cells of %d px are no picture of at most %d px", rows, cols, o.Scale, maxPixels)
	}
	if len(values) == 0 {
		img := image.NewPaletted(image.Rect(0, 0, side, side), colorMap())
		for i := range img.Pix {
			img.Pix[i] = nanShade
		}
		return writePNG(w, img)
	}
	img := image.NewPaletted(image.Rect(0, 0, cols*side, rows*side), colorMap())
	for r := range rows {
		y := r
		if o.FlipY {
			y = rows - 1 - r
		}
		line := img.Pix[y*side*img.Stride:][:cols*side]
		for c, v := range values[r*cols : (r+1)*cols] {
			shade := s.shade(v)
			for x := range side {
				line[c*side+x] = shade
			}
		}
		for below := 1; below < side; below++ {
			copy(img.Pix[(y*side+below)*img.Stride:], line)
		}
	}
	return writePNG(w, img)
}

// Upright turns a table of frames x coeffs into the picture a reader expects:
// coeffs x frames, time to the right, coefficient 0 at the bottom. It panics
// when values has another length.
func Upright(frames, coeffs int, values []float64) []float64 {
	if frames < 0 || coeffs < 0 || len(values) != frames*coeffs {
		panic(fmt.Sprintf("plot: Upright of %d values as %dx%d", len(values), frames, coeffs))
	}
	out := make([]float64, len(values))
	for f := range frames {
		for c := range coeffs {
			out[(coeffs-1-c)*frames+f] = values[f*coeffs+c]
		}
	}
	return out
}

// checkMatrix tells whether n values can be rows x cols.
func checkMatrix(rows, cols, n int) error {
	switch {
	case rows < 0 || cols < 0:
		return fmt.Errorf("%d rows and %d columns are no shape", rows, cols)
	case rows == 0 || cols == 0:
		if n == 0 {
			return nil
		}
	case n%cols == 0 && n/cols == rows: // cannot overflow, unlike rows*cols
		return nil
	}
	return fmt.Errorf("%d values are not %d rows of %d", n, rows, cols)
}

func writePNG(w io.Writer, img image.Image) error {
	if err := png.Encode(w, img); err != nil {
		return fmt.Errorf("write png: %w", err)
	}
	return nil
}
