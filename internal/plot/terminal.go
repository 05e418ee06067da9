package plot

import (
	"bytes"
	"fmt"
	"io"
	"math"
)

// ramp goes from low to high in plain ASCII; NaN is '?'.
const ramp = " .:-=+*#%@"

// Terminal writes values, rows x cols in row-major order, as a heat map of at
// most width x height characters, row 0 at the top, one line of text a row of
// characters. With color each character is an upper half block in 24-bit
// colours, so that it shows two values one above the other; without, it is one
// ASCII character, denser the higher the value, and no escape
// sequence is written. Cells are averages where there are more values than
// room, repeated where there are fewer. A zero width or height means one
// character (a half of one in height) for each value, up to 80 x 24. With no
// values it writes "(no values)".
func Terminal(w io.Writer, rows, cols int, values []float64, width, height int, color bool) error {
	if err := checkMatrix(rows, cols, len(values)); err != nil {
		return fmt.Errorf("draw heat map: %w", err)
	}
	if width < 0 || height < 0 || width > 10000 || height > 10000 {
		return fmt.Errorf("draw heat map: %dx%d characters is no size", width, height)
	}
	var buf bytes.Buffer
	if len(values) == 0 {
		buf.WriteString("(no values)\n")
	} else {
		if width == 0 {
			width = min(cols, 80)
		}
		if height == 0 {
			height = min((rows+1)/2, 24)
		}
		if color {
			blocks(&buf, resample(rows, cols, values, 2*height, width), width)
		} else {
			letters(&buf, resample(rows, cols, values, height, width), width)
		}
	}
	if _, err := w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write heat map: %w", err)
	}
	return nil
}

// blocks writes two rows of cells a line. Colours are named only where they
// change, and put back at each line's end so that a cut output does no harm.
func blocks(buf *bytes.Buffer, cells []float64, width int) {
	s, _ := newScale(cells, nil, nil) // errors come from given ends only
	palette := colorMap()
	rgb := func(i int) string {
		r, g, b, _ := palette[i].RGBA()
		return fmt.Sprintf("%d;%d;%d", r>>8, g>>8, b>>8)
	}
	for ; len(cells) > 0; cells = cells[2*width:] {
		upper, lower := -1, -1
		for c := range width {
			u, l := int(s.shade(cells[c])), int(s.shade(cells[width+c]))
			if u != upper {
				fmt.Fprintf(buf, "\x1b[38;2;%sm", rgb(u))
			}
			if l != lower {
				fmt.Fprintf(buf, "\x1b[48;2;%sm", rgb(l))
			}
			upper, lower = u, l
			buf.WriteString("▀")
		}
		buf.WriteString("\x1b[0m\n")
	}
}

// letters writes one row of cells a line.
func letters(buf *bytes.Buffer, cells []float64, width int) {
	s, _ := newScale(cells, nil, nil) // errors come from given ends only
	for i, v := range cells {
		if t := s.level(v); math.IsNaN(t) {
			buf.WriteByte('?')
		} else {
			buf.WriteByte(ramp[min(int(t*float64(len(ramp))), len(ramp)-1)])
		}
		if (i+1)%width == 0 {
			buf.WriteByte('\n')
		}
	}
}

// resample returns values as toRows x toCols cells, each the mean of the values
// it covers, NaN left out; a cell of NaN only is NaN.
func resample(rows, cols int, values []float64, toRows, toCols int) []float64 {
	out := make([]float64, 0, toRows*toCols)
	for r := range toRows {
		r0, r1 := share(r, toRows, rows)
		for c := range toCols {
			c0, c1 := share(c, toCols, cols)
			sum, n := 0.0, 0
			for y := r0; y < r1; y++ {
				for _, v := range values[y*cols+c0 : y*cols+c1] {
					if !math.IsNaN(v) {
						sum += v
						n++
					}
				}
			}
			out = append(out, sum/float64(n)) // 0/0 is NaN
		}
	}
	return out
}

// share returns the i-th of n parts of 0..total, at least one long.
func share(i, n, total int) (from, to int) {
	from = i * total / n
	return from, max(from+1, (i+1)*total/n)
}
