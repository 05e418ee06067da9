package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Series is one curve. Points are joined in the order given; a point with a NaN
// or an infinity in X or Y is a gap. X and Y have equal lengths.
type Series struct {
	Name string
	X, Y []float64
}

// Chart is a line chart of any number of series over one pair of axes.
type Chart struct {
	Title, XLabel, YLabel string
	YMin, YMax            *float64 // nil: fit to the data; curves are cut off at a given end
	// MayBeLog makes the y axis logarithmic where that shows more: all y are
	// above 0, the largest is more than logFrom times the smallest, and no end
	// is given.
	MayBeLog bool
	Series   []Series
	// px; 0 means 720 and 320; otherwise 160..10000 and 100..10000. A chart
	// narrower than legendBelow has its legend under it, which makes it higher.
	Width, Height int
}

const (
	pt = 0.75 // SVG points in a CSS pixel: 72 an inch against 96

	textPx, titlePx = 12, 14
	marginPx        = 8

	legendBelow = 560 // px
	logFrom     = 50
)

var (
	inkColor  = color.RGBA{R: 0x33, G: 0x33, B: 0x33, A: 0xff}
	gridColor = color.RGBA{R: 0xe3, G: 0xe3, B: 0xe3, A: 0xff}
)

// SVG draws c on a white ground: axes, a grid, and beside or below them a legend
// when there is more than one series. Text stays text, in a font family every reader
// has or can replace. A series of more than 2,000 points is thinned, extremes
// kept. The error is the first series whose lengths disagree, a bad size or
// range, or w's.
func SVG(w io.Writer, c Chart) error {
	width, height, err := chartSize(c.Width, c.Height)
	if err != nil {
		return err
	}
	curves, err := newCurves(c.Series)
	if err != nil {
		return err
	}
	xs, ys := spans(curves)
	log := c.MayBeLog && c.YMin == nil && c.YMax == nil && ys.lo > 0 && ys.hi > logFrom*ys.lo
	if log {
		ys = span{math.Log10(ys.lo), math.Log10(ys.hi)}
		for _, curve := range curves {
			curve.log()
		}
	}
	if ys, err = ys.within(c.YMin, c.YMax); err != nil {
		return err
	}
	p := newPlot(c, width, height)
	if log {
		p.Y.Label.Text = clean(c.YLabel+", log scale", height/8)
		p.Y.Tick.Marker = logTicker(max(2, height/50))
	}
	xs = xs.widened()
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = xs.lo, xs.hi, ys.lo, ys.hi
	for _, curve := range curves {
		p.Add(curve)
	}

	var below *legend
	if len(curves) > 1 && width < legendBelow {
		below = newLegend(curves, vg.Length(width-2*marginPx)*pt)
		height += below.height()
	}
	canvas := vgsvg.New(vg.Length(width)*pt, vg.Length(height)*pt)
	page := draw.New(canvas)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	const m = marginPx * pt
	page = draw.Crop(page, m, -m, m, -m)
	switch {
	case below != nil:
		page = below.draw(page)
	case len(curves) > 1:
		page = drawLegend(page, curves)
	}
	p.Draw(page)
	return writeSVG(w, canvas, width, height)
}

// chartSize replaces zeros by the default size and rejects sizes that leave no
// room for the axes or could not be looked at.
func chartSize(width, height int) (int, int, error) {
	if width == 0 {
		width = 720
	}
	if height == 0 {
		height = 320
	}
	if width < 160 || width > 10000 || height < 100 || height > 10000 {
		return 0, 0, fmt.Errorf("draw chart: size %dx%d px is outside 160x100..10000x10000", width, height)
	}
	return width, height, nil
}

// newPlot returns the axes, grid and words of c without its curves.
func newPlot(c Chart, width, height int) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil // the page is white already, margins included
	p.Title.Text = clean(c.Title, width/8)
	p.Title.TextStyle.Font = sans(titlePx)
	p.Title.TextStyle.Color = inkColor
	p.Title.Padding = 6 * pt
	p.X.Tick.Marker = ticker(max(2, width/90))
	p.Y.Tick.Marker = ticker(max(2, height/50))
	p.X.Label.Text = clean(c.XLabel, width/8)
	p.Y.Label.Text = clean(c.YLabel, height/8)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = sans(textPx)
		axis.Label.TextStyle.Color = inkColor
		axis.Label.Padding = 4 * pt
		axis.Tick.Label.Font = sans(textPx)
		axis.Tick.Label.Color = inkColor
		axis.Tick.Length = 4 * pt
		axis.LineStyle = draw.LineStyle{Color: inkColor, Width: pt}
		axis.Tick.LineStyle = axis.LineStyle
		axis.Padding = 0
	}
	grid := plotter.NewGrid()
	grid.Vertical = draw.LineStyle{Color: gridColor, Width: pt}
	grid.Horizontal = grid.Vertical
	p.Add(grid, frame(p.X.LineStyle))
	return p
}

// frame draws the two axis lines again, over the grid line that lies on each
// when an axis starts at a tick: gonum draws all plotters after the axes.
type frame draw.LineStyle

// Plot implements plot.Plotter.
func (f frame) Plot(c draw.Canvas, _ *plot.Plot) {
	corner := c.Min
	c.StrokeLines(draw.LineStyle(f), []vg.Point{{X: corner.X, Y: c.Max.Y}, corner, {X: c.Max.X, Y: corner.Y}})
}

// writeSVG writes canvas with two of gonum's attributes replaced. Its size is
// given in px, since some readers take a pt for nothing where they know no
// resolution. Its one font becomes a list: Liberation Sans has the widths of
// Arial and Helvetica, so the layout holds with any of them.
func writeSVG(w io.Writer, canvas *vgsvg.Canvas, width, height int) error {
	var buf bytes.Buffer
	if _, err := canvas.WriteTo(&buf); err != nil {
		return fmt.Errorf("draw chart: %w", err)
	}
	wide, high := canvas.Size()
	svg := bytes.Replace(buf.Bytes(),
		fmt.Appendf(nil, `<svg width="%.5gpt" height="%.5gpt"`, wide, high),
		fmt.Appendf(nil, `<svg width="%d" height="%d"`, width, height), 1)
	// The quote makes this match attributes only: in text it is escaped.
	svg = bytes.ReplaceAll(svg,
		[]byte(`style="font-family:Liberation Sans;font-variant:normal;`),
		[]byte(`style="font-family:Liberation Sans,Arial,Helvetica,sans-serif;`))
	if _, err := w.Write(svg); err != nil {
		return fmt.Errorf("write chart: %w", err)
	}
	return nil
}

func sans(px float64) font.Font {
	return font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Length(px)*pt)
}

// clean makes s one line of at most limit runes that XML 1.0 can hold: control
// characters and the non-characters U+FFFE and U+FFFF are illegal there even
// when escaped.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < 0x20 || r == 0xfffe || r == 0xffff:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if limit = max(limit, 4); utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
