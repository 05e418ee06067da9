package matchmap

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Colours of what is written and drawn beside pictures.
var (
	paper = color.RGBA{0xff, 0xff, 0xff, 0xff}
	ink   = color.RGBA{0x22, 0x22, 0x22, 0xff}
	quiet = color.RGBA{0x77, 0x77, 0x77, 0xff}
	rule  = color.RGBA{0xcc, 0xcc, 0xcc, 0xff}
	blue  = color.RGBA{0x00, 0x72, 0xb2, 0xff}
	light = color.RGBA{0xb9, 0xd6, 0xe8, 0xff}
	red   = color.RGBA{0xd5, 0x5e, 0x00, 0xff}
)

// goFont is the font of all writing: it knows Latin, Greek and Cyrillic.
var goFont = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })

// A sheet is a picture under way. Its faces serve one goroutine.
type sheet struct {
	*image.RGBA
	faces map[int]font.Face // by size in px
}

func newSheet(width, height int) (*sheet, error) {
	s := &sheet{image.NewRGBA(image.Rect(0, 0, width, height)), map[int]font.Face{}}
	s.box(s.Rect, paper)
	for _, px := range []int{small, normal, large} {
		f, err := goFont()
		if err != nil {
			return nil, fmt.Errorf("draw matchmap: %w", err)
		}
		if s.faces[px], err = opentype.NewFace(f, &opentype.FaceOptions{Size: float64(px), DPI: 72, Hinting: font.HintingFull}); err != nil {
			return nil, fmt.Errorf("draw matchmap: %w", err)
		}
	}
	return s, nil
}

// Sizes of writing in px.
const (
	small  = 11
	normal = 13
	large  = 17
)

func (s *sheet) box(r image.Rectangle, c color.Color) {
	draw.Draw(s.RGBA, r, image.NewUniform(c), image.Point{}, draw.Src)
}

// frame draws a line of 1 px inside r.
func (s *sheet) frame(r image.Rectangle, c color.Color) {
	for _, side := range []image.Rectangle{
		{r.Min, image.Pt(r.Max.X, r.Min.Y+1)}, {image.Pt(r.Min.X, r.Max.Y-1), r.Max},
		{r.Min, image.Pt(r.Min.X+1, r.Max.Y)}, {image.Pt(r.Max.X-1, r.Min.Y), r.Max},
	} {
		s.box(side, c)
	}
}

// put lays a picture with its upper left corner at p.
func (s *sheet) put(m image.Image, p image.Point) {
	draw.Draw(s.RGBA, m.Bounds().Sub(m.Bounds().Min).Add(p), m, m.Bounds().Min, draw.Over)
}

// width is how many px text takes.
func (s *sheet) width(text string, size int) int {
	return font.MeasureString(s.faces[size], text).Ceil()
}

// write puts text on a base line; align 0 begins at x, .5 is centred on it, 1
// ends there.
func (s *sheet) write(text string, x, y, size int, c color.Color, align float64) {
	d := font.Drawer{Dst: s.RGBA, Src: image.NewUniform(c), Face: s.faces[size]}
	x -= int(align * float64(s.width(text, size)))
	d.Dot = fixed.P(x, y)
	d.DrawString(text)
}

// fit is text of one line, cut so that it takes at most width px.
func (s *sheet) fit(text string, size, width int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	runes := []rune(text)
	if len(runes) > 1000 {
		runes = runes[:1000] // no picture is that wide
	}
	for n := len(runes); n > 0; n-- {
		cut := string(runes[:n])
		if n < len([]rune(text)) {
			cut += "…"
		}
		if s.width(cut, size) <= width {
			return cut
		}
	}
	return ""
}

// line draws from a to b.
func (s *sheet) line(a, b image.Point, c color.Color) {
	dx, dy := b.X-a.X, b.Y-a.Y
	n := max(dx, -dx, dy, -dy, 1)
	for i := range n + 1 {
		s.Set(a.X+(2*i*dx+n)/(2*n), a.Y+(2*i*dy+n)/(2*n), c)
	}
}

// ring marks a point: a white ring between two dark ones, seen on any ground.
func ring(m draw.Image, p image.Point, radius float64) {
	reach := int(radius) + 3
	for y := -reach; y <= reach; y++ {
		for x := -reach; x <= reach; x++ {
			at := p.Add(image.Pt(x, y))
			if !at.In(m.Bounds()) {
				continue
			}
			d := radius - math.Hypot(float64(x), float64(y))
			switch d = max(d, -d); {
			case d <= .9:
				m.Set(at.X, at.Y, paper)
			case d <= 1.9:
				m.Set(at.X, at.Y, ink)
			}
		}
	}
}
