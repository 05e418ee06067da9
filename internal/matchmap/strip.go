package matchmap

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"strconv"

	"github.com/hearsight/hearsight/internal/vision"
)

// Sizes of the strip in px.
const (
	margin     = 24
	stripWidth = 1152 // at most, of the panels together
	maxPanels  = 16
	largestPic = 160 // a panel's width at most
	gap        = 2   // between panels
	bigPhoto   = 300 // the photos above
	bigHigh    = 300
	barWidth   = 14
	wordLine   = 17
	wordLines  = 2
	traceHigh  = 64
	left       = 64 // for the labels of the trace
)

// A layout is where the parts of a strip lie.
type layout struct {
	f             *Figure
	sheet         *sheet
	scale         scale
	peak          Peak
	per, n        int // steps a panel, panels
	panel         image.Point
	photo         *vision.RGB // large
	width, height int
	strip         image.Rectangle // of the panels
}

func (f *Figure) layout() *layout {
	m := f.Map
	l := &layout{f: f, scale: f.scale(), peak: m.Peak(0, m.Steps)}
	l.per = (m.Steps + maxPanels - 1) / maxPanels
	l.n = (m.Steps + l.per - 1) / l.per
	across := bigPhoto
	if f.Photo.H > f.Photo.W {
		across = max(8, bigHigh*f.Photo.W/f.Photo.H)
	}
	l.photo = f.sized(across)
	small := f.sized(max(8, min(largestPic, stripWidth/l.n)-gap))
	l.panel = image.Pt(small.W+gap, small.H)
	top := margin + 64 + max(l.photo.H, 120) + 26
	if f.Words != nil {
		top += wordLines * wordLine
	}
	width := max(l.n*l.panel.X, 2*bigPhoto+380)
	l.strip = image.Rect(left, top, left+l.n*l.panel.X, top+l.panel.Y)
	l.width, l.height = left+width+margin, l.strip.Max.Y+36+traceHigh+46
	return l
}

// x is where a time lies along the strip.
func (l *layout) x(sec float64) int {
	begin := l.f.Map.Time.At(-.5)
	at := (sec - begin) / (l.f.Map.Time.Step * float64(l.per)) * float64(l.panel.X)
	return l.strip.Min.X + int(math.Round(min(max(at, -1), float64(l.strip.Dx()+1))))
}

func (l *layout) heading() {
	s, f, m := l.sheet, l.f, l.f.Map
	y := margin + large
	caption := f.Caption
	if caption == "" {
		caption = "(words not known)"
	}
	s.write(s.fit(caption, large, l.width-left-margin), left, y, large, ink, 0)
	line := fmt.Sprintf("%s %s   %d x %d places, %d steps of %s s", m.Similarity, number(m.Score), m.Height, m.Width, m.Steps, number(m.Time.Step))
	if f.About != "" {
		line = f.About + "   " + line
	}
	s.write(s.fit(line, normal, l.width-left-margin), left, y+21, normal, quiet, 0)
}

// photos draws the photo, the photo at the peak, and the scale beside it.
func (l *layout) photos() {
	s, m := l.sheet, l.f.Map
	x, y := left, margin+64
	s.write("the photo", x, y-6, small, quiet, 0)
	s.put(l.photo.Image(), image.Pt(x, y))
	x += l.photo.W + 20
	s.write(fmt.Sprintf("at the peak, %s s", seconds(l.peak.Sec)), x, y-6, small, quiet, 0)
	s.put(l.f.heated(l.photo, m.field(l.peak.Step), l.scale), image.Pt(x, y))
	ring(s, image.Pt(x+int(l.peak.X*float64(l.photo.W)), y+int(l.peak.Y*float64(l.photo.H))), 8)
	x += l.photo.W + 20
	l.bar(image.Rect(x, y, x+barWidth, y+max(l.photo.H, 120)))
	said := l.said()
	for i, line := range said {
		s.write(s.fit(line, normal, l.width-margin-x-110), x+110, y+normal+i*20, normal, ink, 0)
	}
}

// said is the peak in words.
func (l *layout) said() []string {
	k, m := l.peak, l.f.Map
	out := []string{
		"largest match " + number(k.Value),
		fmt.Sprintf("at %s s: step %d of %d", seconds(k.Sec), k.Step+1, m.Steps),
		fmt.Sprintf("row %d, column %d", k.Row+1, k.Column+1),
		fmt.Sprintf("%.0f %% from the left, %.0f %% from the top", 100*k.X, 100*k.Y),
	}
	for _, w := range l.f.Words {
		if w.Start <= k.Sec && k.Sec < w.End {
			out = append(out, "while “"+w.Text+"” is heard")
		}
	}
	return out
}

// bar is the scale of colours, over a grey as a photo might be.
func (l *layout) bar(r image.Rectangle) {
	s := l.sheet
	grey := &vision.RGB{W: r.Dx(), H: r.Dy(), Pix: make([]uint8, 3*r.Dx()*r.Dy())}
	for i := range grey.Pix {
		grey.Pix[i] = 0xb0
	}
	values := make([]float64, r.Dx()*r.Dy())
	for i := range values {
		part := 1 - float64(i/r.Dx())/float64(max(1, r.Dy()-1))
		values[i] = l.scale.lo + part*(l.scale.hi-l.scale.lo)
	}
	s.put(under(grey, values, l.scale), r.Min)
	s.frame(r, quiet)
	for i := range 5 {
		part := float64(i) / 4
		y := r.Max.Y - 1 - int(part*float64(r.Dy()-1))
		s.line(image.Pt(r.Max.X, y), image.Pt(r.Max.X+3, y), quiet)
		s.write(number(l.scale.lo+part*(l.scale.hi-l.scale.lo)), r.Max.X+6, y+4, small, ink, 0)
	}
	s.write("match", r.Min.X, r.Min.Y-6, small, quiet, 0)
}

// words writes each word above where it is heard, in lines of which none overlap.
func (l *layout) words() {
	s := l.sheet
	var ends [wordLines]int
	bottom := l.strip.Min.Y - 8
	for _, w := range l.f.Words {
		x, end := l.x(w.Start), l.x(w.End)
		if x >= l.strip.Max.X {
			continue // behind what the model heard
		}
		text := s.fit(w.Text, normal, 200)
		line := 0
		for i, e := range ends {
			if e <= x {
				line = i
				break
			}
			if e < ends[line] {
				line = i
			}
		}
		y := bottom - 5 - line*wordLine
		c := ink
		if w.Start <= l.peak.Sec && l.peak.Sec < w.End {
			c = red
		}
		s.write(text, x+2, y, normal, c, 0)
		ends[line] = x + s.width(text, normal) + 8
		s.box(image.Rect(x, bottom, max(x+1, min(end, l.strip.Max.X)-1), bottom+2), c)
		s.line(image.Pt(x, bottom), image.Pt(x, y-8), rule)
	}
}

// panels draws the photo step by step.
func (l *layout) panels() {
	m := l.f.Map
	photo := l.f.sized(l.panel.X - gap)
	for k := range l.n {
		from, to := k*l.per, min((k+1)*l.per, m.Steps)
		pic := l.f.heated(photo, m.larger(from, to), l.scale)
		if from <= l.peak.Step && l.peak.Step < to {
			ring(pic, image.Pt(int(l.peak.X*float64(photo.W)), int(l.peak.Y*float64(photo.H))), 4)
		}
		l.sheet.put(pic, image.Pt(l.strip.Min.X+k*l.panel.X, l.strip.Min.Y))
	}
}

// axis is time, below the panels.
func (l *layout) axis() {
	s, y := l.sheet, l.strip.Max.Y+6
	s.line(image.Pt(l.strip.Min.X, y), image.Pt(l.strip.Max.X, y), ink)
	begin := max(0, l.f.Map.Time.At(-.5))
	end := begin + l.f.Map.Time.Step*float64(l.per*l.n)
	step := tick(end-begin, float64(l.strip.Dx())/70)
	for k := math.Ceil(begin / step); k*step <= end; k++ {
		x := l.x(k * step)
		s.line(image.Pt(x, y), image.Pt(x, y+4), ink)
		s.write(strconv.FormatFloat(k*step, 'f', max(0, -int(math.Floor(math.Log10(step)))), 64), x, y+17, small, ink, .5)
	}
	s.write("s", l.strip.Max.X+14, y+17, small, ink, 0)
	if l.per > 1 {
		s.write(fmt.Sprintf("each picture: %d steps, every place at its largest", l.per), l.width-margin, l.height-8, small, quiet, 1)
	}
}

// trace is the largest match of each step, which mean over steps is MISA's
// similarity, over the waveform.
func (l *layout) trace() {
	s, m := l.sheet, l.f.Map
	r := image.Rect(l.strip.Min.X, l.strip.Max.Y+36, l.strip.Max.X, l.strip.Max.Y+36+traceHigh)
	l.waveform(r)
	lo, hi := m.top(0), m.top(0)
	for t := range m.Steps {
		lo, hi = min(lo, m.top(t)), max(hi, m.top(t))
	}
	if hi <= lo {
		lo, hi = lo-1, hi+1
	}
	y := func(v float64) int {
		return r.Max.Y - 3 - int(math.Round((v-lo)/(hi-lo)*float64(r.Dy()-6)))
	}
	var before image.Point
	for t := range m.Steps {
		at := image.Pt(l.x(m.Time.At(float64(t))), y(m.top(t)))
		if t > 0 {
			s.line(before, at, blue)
			s.line(before.Add(image.Pt(0, 1)), at.Add(image.Pt(0, 1)), blue)
		}
		if m.Steps <= 64 {
			s.box(image.Rect(at.X-1, at.Y-1, at.X+3, at.Y+3), blue)
		}
		before = at
	}
	ring(s, image.Pt(l.x(l.peak.Sec), y(m.top(l.peak.Step))), 5)
	s.line(image.Pt(r.Min.X, r.Min.Y), image.Pt(r.Min.X, r.Max.Y), rule)
	s.write(number(hi), r.Min.X-6, y(hi)+4, small, ink, 1)
	s.write(number(lo), r.Min.X-6, y(lo)+4, small, ink, 1)
	note := "line: the largest match of each step"
	if l.f.Samples != nil {
		note += "; behind it the sound"
	}
	s.write(note, r.Min.X, r.Max.Y+18, small, quiet, 0)
}

// waveform draws the clip's lowest to highest sample of each column of r.
func (l *layout) waveform(r image.Rectangle) {
	x, total := l.f.Samples, l.f.seconds()
	if len(x) == 0 {
		return
	}
	loud := float32(0)
	for _, v := range x {
		loud = max(loud, v, -v)
	}
	if !(loud > 0) {
		return
	}
	begin, perPx := l.f.Map.Time.At(-.5), l.f.Map.Time.Step*float64(l.per)/float64(l.panel.X)
	mid, half := (r.Min.Y+r.Max.Y)/2, float32(r.Dy()/2-1)
	at := func(px int) int {
		return int(min(max((begin+perPx*float64(px))/total, 0), 1) * float64(len(x)))
	}
	for px := range r.Dx() {
		from, to := at(px), at(px+1)
		lo, hi := float32(0), float32(0)
		for _, v := range x[from:to] {
			lo, hi = min(lo, v), max(hi, v)
		}
		if to > from {
			s := l.sheet
			s.line(image.Pt(r.Min.X+px, mid-int(hi/loud*half)), image.Pt(r.Min.X+px, mid-int(lo/loud*half)), light)
		}
	}
}

// tick is a step of 1, 2 or 5 times a power of ten that makes about n of a length.
func tick(length, n float64) float64 {
	least := length / max(1, n)
	ten := math.Pow(10, math.Floor(math.Log10(least)))
	for _, k := range []float64{1, 2, 5} {
		if k*ten >= least {
			return k * ten
		}
	}
	return 10 * ten
}

// number is a match in three digits.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

func seconds(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

func encode(w io.Writer, m image.Image) error {
	if err := png.Encode(w, m); err != nil {
		return fmt.Errorf("write png: %w", err)
	}
	return nil
}
