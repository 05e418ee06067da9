package matchmap

import (
	"image"
	"image/color"
	"io"
	"math"
)

// Of the animation.
const (
	frameSec  = 1. / 12
	maxFrames = 600
	filmWidth = 420
	footer    = 58
	leadSec   = .02 // the photo alone: shorter is made longer by browsers
)

// Animate writes the photo under the matches as an animated PNG of the clip's
// length, in time with its sound: between two steps from one to the other, and
// the mean of the steps that fall into a frame. Below runs the time, with the
// words. It plays again and again. Each frame is written when it is drawn, and
// none kept.
func (f *Figure) Animate(w io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	total := f.seconds()
	n := min(max(1, int(math.Ceil(total/frameSec-1e-9))), maxFrames)
	photo, s := f.sized(filmWidth), f.scale()
	base, err := newSheet(photo.W, photo.H+footer)
	if err != nil {
		return err
	}
	base.put(photo.Image(), image.Point{})
	bar := image.Rect(14, photo.H+36, photo.W-14, photo.H+40)
	base.box(bar, rule)
	base.write(seconds(total)+" s", bar.Max.X, bar.Max.Y+13, small, quiet, 1)
	a, err := newAnimation(w, base.RGBA, min(leadSec, total/float64(2*n)), n)
	if err != nil {
		return err
	}
	layer := &sheet{image.NewRGBA(base.Rect), base.faces}
	for k := range n {
		from, to := total*float64(k)/float64(n), total*float64(k+1)/float64(n)
		clear(layer.Pix)
		of := f.Map.between(from, to)
		for i, v := range of.grid(photo.W, photo.H) {
			c := heat[s.level(v)]
			layer.SetRGBA(i%photo.W, i/photo.W, premultiplied(c))
		}
		x := bar.Min.X + int(float64(bar.Dx())*(from+to)/2/total)
		layer.box(image.Rect(bar.Min.X, bar.Min.Y, x, bar.Max.Y), ink)
		layer.box(image.Rect(x-2, bar.Min.Y-4, x+2, bar.Max.Y+4), ink)
		layer.write(seconds((from+to)/2), bar.Min.X, bar.Max.Y+13, small, ink, 0)
		if word := f.heard(from, to); word != "" {
			word = layer.fit(word, large, bar.Dx())
			half := layer.width(word, large) / 2
			layer.write(word, min(max(x, bar.Min.X+half), bar.Max.X-half), bar.Min.Y-11, large, ink, .5)
		}
		if err := a.add(layer.RGBA, to); err != nil {
			return err
		}
	}
	return a.close()
}

// premultiplied is a colour as image.RGBA holds it.
func premultiplied(c color.NRGBA) color.RGBA {
	r, g, b, a := c.RGBA()
	return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), uint8(a >> 8)}
}

// between is the mean of the steps whose middles are between two times, or, where
// there is none, what lies at their middle between the steps beside it.
func (m *Map) between(from, to float64) *field {
	first := max(0, int(math.Ceil(m.Time.In(from))))
	last := min(m.Steps, int(math.Ceil(m.Time.In(to))))
	out := m.field(0)
	if last > first {
		out.v = m.Mean(first, last)
		return out
	}
	at := min(max(m.Time.In((from+to)/2), 0), float64(m.Steps-1))
	a := int(at)
	b, part := min(a+1, m.Steps-1), at-float64(a)
	for p := range out.v {
		out.v[p] = (1-part)*m.At(p, a) + part*m.At(p, b)
	}
	return out
}

// heard is the word that most of the time between two times has, if any.
func (f *Figure) heard(from, to float64) string {
	best, word := 0., ""
	for _, w := range f.Words {
		if shared := min(to, w.End) - max(from, w.Start); shared > best {
			best, word = shared, w.Text
		}
	}
	return word
}
