package plot

import (
	"bytes"
	"fmt"
	"image/color"
)

// Themed returns an SVG for the inside of an HTML page that comes in light and
// dark: each colour becomes a CSS variable that the page may set, with the
// colour as drawn where it does not. They are --plot-ground, --plot-ink (axes
// and words), --plot-grid, and --plot-1 to --plot-7 for the curves.
func Themed(svg []byte) []byte {
	svg = themed(svg, color.RGBA{R: 0xff, G: 0xff, B: 0xff}, "ground")
	svg = themed(svg, inkColor, "ink")
	svg = themed(svg, gridColor, "grid")
	for i, c := range palette {
		svg = themed(svg, c, fmt.Sprint(i+1))
	}
	return svg
}

func themed(svg []byte, c color.RGBA, name string) []byte {
	for _, property := range []string{"fill", "stroke"} {
		is := fmt.Appendf(nil, "%s:#%02X%02X%02X", property, c.R, c.G, c.B)
		svg = bytes.ReplaceAll(svg, is, fmt.Appendf(nil, "%s:var(--plot-%s,%s)", property, name, is[len(property)+1:]))
	}
	return svg
}
