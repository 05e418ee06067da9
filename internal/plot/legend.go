package plot

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// drawLegend puts the series' names in a column at the right edge of page and
// returns what is left of page. Beside the curves rather than over them: with
// several runs in one chart no corner is sure to be free.
func drawLegend(page draw.Canvas, curves []*curve) draw.Canvas {
	legend := plot.NewLegend()
	legend.Top, legend.Left = true, true
	legend.TextStyle.Font = sans(textPx)
	legend.TextStyle.Color = inkColor
	legend.ThumbnailWidth = 22 * pt
	legend.Padding = 4 * pt
	widest := page.Rectangle.Size().X * 2 / 5
	// An em has at most 1 font size; names average about half of it.
	runes := int(float64(widest-legend.ThumbnailWidth) / (textPx * pt * 0.6))
	room := int(float64(page.Rectangle.Size().Y)/((textPx+8)*pt)) - 1
	for i, curve := range curves {
		if i == room-1 && len(curves) > room {
			legend.Add(fmt.Sprintf("and %d more", len(curves)-i))
			break
		}
		legend.Add(clean(curve.name, runes), curve)
	}
	// A seventh of air: where none of the three fonts is there, its stand-in
	// may be wider (DejaVu Sans is, by that much).
	width := min(legend.Rectangle(page).Size().X*8/7, widest)
	legend.Draw(draw.Crop(page, page.Rectangle.Size().X-width, 0, 0, 0))
	return draw.Crop(page, 0, -width-16*pt, 0, 0)
}

// A legend is the series' names in columns below a chart that has no room for
// them at its side.
type legend struct {
	curves  []*curve
	names   []string // of the curves shown, and with more how many more there are
	more    bool
	columns int
	column  vg.Length // its width
	style   text.Style
}

// Sizes of the legend below, in px.
const (
	legendLinePx  = 18
	legendThumbPx = 22
	legendRows    = 10
)

func newLegend(curves []*curve, width vg.Length) *legend {
	l := &legend{curves: curves, style: plot.NewLegend().TextStyle}
	l.style.Font = sans(textPx)
	l.style.Color = inkColor
	l.style.YAlign = draw.YCenter
	const beside = (legendThumbPx + 20) * pt // the line's piece, and air
	runes := int(float64(width-beside) / (textPx * pt * 0.6))
	for _, c := range curves {
		l.names = append(l.names, clean(c.name, runes))
	}
	for _, name := range l.names {
		// A seventh of air, as at the side.
		l.column = max(l.column, l.style.Width(name)*8/7+beside)
	}
	l.columns = min(max(1, int(width/l.column)), len(curves))
	if most := l.columns * legendRows; len(l.names) > most {
		l.more = true
		l.names = append(l.names[:most-1], fmt.Sprintf("and %d more", len(curves)-most+1))
	}
	return l
}

// height is in px.
func (l *legend) height() int {
	return (len(l.names)+l.columns-1)/l.columns*legendLinePx + marginPx
}

// draw draws the legend at the lower edge of page and returns what is left of it.
func (l *legend) draw(page draw.Canvas) draw.Canvas {
	area, rest := page, draw.Crop(page, 0, 0, vg.Length(l.height())*pt, 0)
	area.Max.Y = rest.Min.Y - marginPx*pt
	for i, name := range l.names {
		x := area.Min.X + vg.Length(i%l.columns)*l.column
		y := area.Max.Y - (vg.Length(i/l.columns)+.5)*legendLinePx*pt
		if !l.more || i < len(l.names)-1 {
			thumb := draw.Canvas{Canvas: page.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + legendThumbPx*pt, Y: y}}}
			l.curves[i].Thumbnail(&thumb)
		}
		area.FillText(l.style, vg.Point{X: x + (legendThumbPx+4)*pt, Y: y}, name)
	}
	return rest
}
