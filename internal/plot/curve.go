package plot

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	// maxPoints a series are drawn. A chart is some 700 px wide, so more
	// cannot be seen, and a report with ten curves stays well under 1 MB.
	maxPoints = 2000
	// sparsePoints and fewer get a mark each: there the reader wants to see
	// what was measured and what is only the line between.
	sparsePoints = 40
	// farOut values are gaps. Beyond, differences and the clipping of lines
	// would overflow; no loss that large means anything.
	farOut = 1e100
)

// palette is Okabe and Ito's for colour-blind readers (Color Universal Design,
// 2008) without its yellow, which vanishes on white; dashes tell the rounds
// through it apart.
var (
	palette = []color.RGBA{
		{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}, // blue
		{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}, // vermilion
		{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}, // bluish green
		{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff}, // reddish purple
		{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}, // orange
		{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff}, // sky blue
		{R: 0x1a, G: 0x1a, B: 0x1a, A: 0xff}, // black, nearly: gonum leaves out black fills, which no page could set then
	}
	dashes = [][]vg.Length{nil, {5 * pt, 3 * pt}, {2 * pt, 2 * pt}, {8 * pt, 3 * pt, 2 * pt, 3 * pt}}
)

type point struct{ x, y float64 }

// curve is a series ready to be drawn: runs of joined points with gaps between.
// It implements plot.Plotter and plot.Thumbnailer.
type curve struct {
	name   string
	runs   [][]point
	marked bool // every point gets a mark, not only the lonely ones
	style  draw.LineStyle
}

// newCurves returns one curve a series, in order.
func newCurves(series []Series) ([]*curve, error) {
	curves := make([]*curve, len(series))
	for i, s := range series {
		if len(s.X) != len(s.Y) {
			return nil, fmt.Errorf("draw series %q: %d x values but %d y values", s.Name, len(s.X), len(s.Y))
		}
		runs := runsOf(s.X, s.Y)
		points := 0
		for _, run := range runs {
			points += len(run)
		}
		marked := points <= sparsePoints
		lineWidth := vg.Length(1.25 * pt) // thin, for a dense curve is a band
		if marked {
			lineWidth = 1.75 * pt
		}
		curves[i] = &curve{
			name:   s.Name,
			runs:   runs,
			marked: marked,
			style: draw.LineStyle{
				Color:  palette[i%len(palette)],
				Width:  lineWidth,
				Dashes: dashes[i/len(palette)%len(dashes)],
			},
		}
	}
	return curves, nil
}

// runsOf cuts a series at its gaps and thins it to about maxPoints.
func runsOf(x, y []float64) [][]point {
	var runs [][]point
	open := false
	next := 0 // first point not looked at yet
	for _, i := range thinned(x, y) {
		for ; next < i; next++ {
			open = open && drawable(x[next], y[next])
		}
		next = i + 1
		if !open {
			runs = append(runs, nil)
			open = true
		}
		last := len(runs) - 1
		runs[last] = append(runs[last], point{x[i], y[i]})
	}
	return runs
}

// thinned returns the indices to draw, ascending. Long series are cut into
// maxPoints/4 stretches of which the first, lowest, highest and last point
// stay: a one-step spike of the loss is what the reader looks for, so it must
// not fall between the samples.
func thinned(x, y []float64) []int {
	kept := make([]int, 0, min(len(x), maxPoints))
	if len(x) <= maxPoints {
		for i := range x {
			if drawable(x[i], y[i]) {
				kept = append(kept, i)
			}
		}
		return kept
	}
	const stretches = maxPoints / 4
	for s := range stretches {
		first, lowest, highest, last := -1, -1, -1, -1
		for i := s * len(x) / stretches; i < (s+1)*len(x)/stretches; i++ {
			if !drawable(x[i], y[i]) {
				continue
			}
			if first < 0 {
				first, lowest, highest = i, i, i
			}
			if y[i] < y[lowest] {
				lowest = i
			}
			if y[i] > y[highest] {
				highest = i
			}
			last = i
		}
		if first < 0 {
			continue
		}
		for _, i := range []int{first, min(lowest, highest), max(lowest, highest), last} {
			if n := len(kept); n == 0 || kept[n-1] < i {
				kept = append(kept, i)
			}
		}
	}
	return kept
}

// drawable reports whether a point can be placed; NaN compares false.
func drawable(x, y float64) bool {
	return math.Abs(x) <= farOut && math.Abs(y) <= farOut
}

// log takes the decimal logarithm of every y, all of which are above 0.
func (u *curve) log() {
	for _, run := range u.runs {
		for i := range run {
			run[i].y = math.Log10(run[i].y)
		}
	}
}

// Plot draws the curve, cut off at the edges of c.
func (u *curve) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	// A point far outside a range the caller chose is pulled in to a thousand
	// ranges away: still off the page at nearly the same slope, but small
	// enough for the clipping arithmetic.
	far := 1000 * (p.Y.Max - p.Y.Min)
	glyph := draw.GlyphStyle{Color: u.style.Color, Radius: 2.5 * pt, Shape: draw.CircleGlyph{}}
	for _, run := range u.runs {
		line := make([]vg.Point, len(run))
		for i, q := range run {
			line[i] = vg.Point{X: toX(q.x), Y: toY(min(max(q.y, p.Y.Min-far), p.Y.Max+far))}
		}
		if len(line) > 1 {
			c.StrokeLines(u.style, c.ClipLinesXY(line)...)
		}
		if !u.marked && len(line) > 1 {
			continue
		}
		for _, at := range line {
			if c.Contains(at) {
				c.DrawGlyph(glyph, at)
			}
		}
	}
}

// Thumbnail draws the legend's piece of line.
func (u *curve) Thumbnail(c *draw.Canvas) {
	y := c.Center().Y
	c.StrokeLine2(u.style, c.Min.X, y, c.Max.X, y)
}
