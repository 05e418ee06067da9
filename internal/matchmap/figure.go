package matchmap

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"slices"

	"github.com/hearsight/hearsight/internal/vision"
)

// A Word is a word of the clip and when it is heard.
type Word struct {
	Text  string  `json:"text"`
	Start float64 `json:"start"` // seconds
	End   float64 `json:"end"`
}

// A Figure is what is drawn of a pair.
type Figure struct {
	Map     *Map
	Photo   *vision.RGB // what the model saw, or the photo that was stretched to it
	Caption string      // empty: not known
	About   string      // a line on the model; may be empty
	Words   []Word      // nil: times not known
	Samples []float32   // of the clip, full scale being 1; nil: no waveform
	Seconds float64     // the clip lasts; 0: as long as the map's steps
}

// check says what cannot be drawn.
func (f *Figure) check() error {
	m := f.Map
	switch {
	case m == nil || m.Height < 1 || m.Width < 1 || m.Steps < 1 || len(m.M) != m.Places()*m.Steps:
		return errors.New("draw matchmap: no places or no steps")
	case f.Photo == nil || f.Photo.W < 1 || f.Photo.H < 1 || len(f.Photo.Pix) != 3*f.Photo.W*f.Photo.H:
		return errors.New("draw matchmap: no photo")
	case !(m.Time.Step > 0) || !(m.X.Step > 0) || !(m.Y.Step > 0):
		return fmt.Errorf("draw matchmap: axes %v, %v, %v do not go forward", m.X, m.Y, m.Time)
	case !(f.Seconds >= 0) || math.IsInf(f.Seconds, 0):
		return fmt.Errorf("draw matchmap: a clip of %v s", f.Seconds)
	}
	return nil
}

// seconds is how long what is drawn lasts.
func (f *Figure) seconds() float64 {
	if f.Seconds > 0 {
		return f.Seconds
	}
	return f.Map.Time.At(float64(f.Map.Steps) - .5)
}

// clearShare of all matches leave the photo as it is: what stands out is to be seen.
const clearShare = .75

// scale goes from what clearShare of all matches are below to the largest.
func (f *Figure) scale() scale {
	all := slices.Clone(f.Map.M)
	slices.Sort(all)
	return scale{float64(all[int(clearShare*float64(len(all)))]), float64(all[len(all)-1])}
}

// sized is the photo in so many pixels across, its shape kept.
func (f *Figure) sized(width int) *vision.RGB {
	height := min(max(1, (2*width*f.Photo.H+f.Photo.W)/(2*f.Photo.W)), 2*width)
	return vision.Resize(f.Photo, width, height, vision.Bicubic)
}

// heated is the photo under a field.
func (f *Figure) heated(photo *vision.RGB, of *field, s scale) *image.RGBA {
	return under(photo, of.grid(photo.W, photo.H), s)
}

// larger is each place's largest match between two steps, to left out.
func (m *Map) larger(from, to int) *field {
	out := m.field(from)
	for p := range out.v {
		for s := from + 1; s < to; s++ {
			out.v[p] = max(out.v[p], m.At(p, s))
		}
	}
	return out
}

// StripPNG returns [Figure.Strip] as bytes: what a page embeds.
func (f *Figure) StripPNG() ([]byte, error) {
	var b bytes.Buffer
	err := f.Strip(&b)
	return b.Bytes(), err
}

// Strip writes the figure as a PNG: the photo, the photo under the matches of
// the step of the peak, which is marked, and below, along the time axis, the
// words, the photo under the matches step by step, the largest match of each step
// and the waveform. Steps beyond what fits are drawn several to a picture, each
// place at its largest.
func (f *Figure) Strip(w io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	l := f.layout()
	s, err := newSheet(l.width, l.height)
	if err != nil {
		return err
	}
	l.sheet = s
	l.heading()
	l.photos()
	l.words()
	l.panels()
	l.axis()
	l.trace()
	return encode(w, s.RGBA)
}
