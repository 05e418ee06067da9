package matchmap

import (
	"fmt"
	"math"

	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/similarity"
	"github.com/hearsight/hearsight/internal/table"
)

// Senses say how the input of a model lies in the photo and in time.
type Senses struct {
	X, Y   Axis // of pixels, or of the places of a feature map: shares of the picture's sides
	Frames Axis // seconds: the middle of a frame's window, and the hop
}

// FrameAxis is the axis of frames in seconds.
func FrameAxis(windowSamples, hopSamples, rateHz int) Axis {
	rate := float64(rateHz)
	return Axis{float64(windowSamples) / 2 / rate, float64(hopSamples) / rate}
}

// SensesOf are the senses of pictures and clips of this shape; feature maps were
// made of pictures of fromHeight by fromWidth pixels.
func SensesOf(s dataset.Shape, fromHeight, fromWidth int, clip table.MFCC) Senses {
	out := Senses{X: Tile(s.Width), Y: Tile(s.Height), Frames: FrameAxis(int(clip.WindowSamples), int(clip.HopSamples), int(clip.SampleRateHz))}
	if s.Tower != "" {
		out.X, out.Y = FrozenAxis(s.Tower, s.Layer, fromWidth, s.Width), FrozenAxis(s.Tower, s.Layer, fromHeight, s.Height)
	}
	return out
}

// A Map is the matchmap of a picture and a clip with its places and times.
type Map struct {
	Height, Width, Steps int
	X, Y                 Axis      // of the places: shares of the picture's sides
	Time                 Axis      // of the steps, in seconds
	M                    []float32 // [height][width][steps], the similarity's scale in it
	Similarity           string    // its kind
	Score                float64   // what the similarity makes of M
}

// Compute makes the map of a picture and a clip, frames x coefficients.
func Compute(m *model.Model[float32], img minibatch.Image, frames []float32, in Senses) (*Map, error) {
	raw, err := similarity.MatchmapOf(m, img, frames)
	if err != nil {
		return nil, err
	}
	out := &Map{
		Height: raw.Height, Width: raw.Width, Steps: raw.Steps, M: raw.M, Similarity: m.Similarity,
		X: in.X.through(m.Image), Y: in.Y.through(m.Image), Time: in.Frames.through(m.Audio),
	}
	for i, v := range out.M {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("matchmap: %v at place %d, step %d: the model's numbers overflow on this input", v, i/out.Steps, i%out.Steps)
		}
	}
	out.Score = out.score()
	return out, nil
}

// At is the match of a place, row by row, and a step.
func (m *Map) At(place, step int) float64 { return float64(m.M[place*m.Steps+step]) }

// Places is how many places there are.
func (m *Map) Places() int { return m.Height * m.Width }

// A Peak is where a map, or a part of it, is largest.
type Peak struct {
	Row    int     `json:"row"` // of the place; the first of equals
	Column int     `json:"column"`
	Step   int     `json:"step"`
	Value  float64 `json:"value"`
	Sec    float64 `json:"seconds"` // the step's middle
	X      float64 `json:"x"`       // of the map between the places, as it is drawn: share of the picture's width
	Y      float64 `json:"y"`
}

// Peak is the largest match between the steps from and to, to left out. Places
// are far apart, often further than an object is wide: where between them the
// match is largest is told by the cubic through them, up to a place away.
func (m *Map) Peak(from, to int) Peak {
	place, step := 0, from
	for p := range m.Places() {
		for s := from; s < to; s++ {
			if m.At(p, s) > m.At(place, step) {
				place, step = p, s
			}
		}
	}
	k := Peak{Row: place / m.Width, Column: place % m.Width, Step: step, Value: m.At(place, step), Sec: m.Time.At(float64(step))}
	const fine = 8 // looked at between two places, on either side; none beyond the outermost
	f, best := m.field(step), math.Inf(-1)
	for i := max(-fine, -fine*k.Row); i <= min(fine, fine*(m.Height-1-k.Row)); i++ {
		y := m.Y.At(float64(k.Row) + float64(i)/fine)
		for j := max(-fine, -fine*k.Column); j <= min(fine, fine*(m.Width-1-k.Column)); j++ {
			x := m.X.At(float64(k.Column) + float64(j)/fine)
			if v := f.at(x, y); v > best {
				best, k.X, k.Y = v, x, y
			}
		}
	}
	k.X, k.Y = min(max(k.X, 0), inside), min(max(k.Y, 0), inside)
	return k
}

// inside is the last share of a side that is still within the picture.
var inside = math.Nextafter(1, 0)

// Mean is the mean over the steps from and to of each place's matches, [places].
func (m *Map) Mean(from, to int) []float64 {
	out := make([]float64, m.Places())
	for p := range out {
		for s := from; s < to; s++ {
			out[p] += m.At(p, s) / float64(to-from)
		}
	}
	return out
}

// top is the largest match of a step.
func (m *Map) top(step int) float64 {
	best := m.At(0, step)
	for p := range m.Places() {
		best = max(best, m.At(p, step))
	}
	return best
}

// score is what the similarity's kind makes of the map.
func (m *Map) score() float64 {
	sum := 0.
	switch m.Similarity {
	case "misa":
		for s := range m.Steps {
			sum += m.top(s) / float64(m.Steps)
		}
	case "sima":
		for p := range m.Places() {
			best := m.At(p, 0)
			for s := range m.Steps {
				best = max(best, m.At(p, s))
			}
			sum += best / float64(m.Places())
		}
	default:
		for _, v := range m.M {
			sum += float64(v)
		}
		if m.Similarity == "sisa" {
			sum /= float64(len(m.M))
		}
	}
	return sum
}
