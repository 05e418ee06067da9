package matchmap

import "math"

// cubic is Catmull and Rom's cubic, which goes through the values of the cells:
// what a cell weighs at a distance in cells.
func cubic(d float64) float64 {
	switch d = math.Abs(d); {
	case d < 1:
		return 1 - 2.5*d*d + 1.5*d*d*d
	case d < 2:
		return 2 - 4*d + 2.5*d*d - .5*d*d*d
	}
	return 0
}

// A tap is a cell with its weight.
type tap struct {
	cell   int
	weight float64
}

// taps are the cells, of n, that a value at place at (in cells) is made of. Cells
// beyond the border are those at it.
func taps(at float64, n int) []tap {
	var out []tap
	first := int(math.Floor(at)) - 1
	for k := first; k < first+4; k++ {
		if w := cubic(at - float64(k)); w != 0 {
			out = append(out, tap{min(max(k, 0), n-1), w})
		}
	}
	return out
}

// A field is one picture of matches, [height][width] places, that can be looked
// at anywhere between them.
type field struct {
	height, width int
	x, y          Axis
	v             []float64
}

// at is the value at a point, in shares of the picture's sides.
func (f *field) at(x, y float64) float64 {
	sum := 0.
	across := taps(f.x.In(x), f.width)
	for _, r := range taps(f.y.In(y), f.height) {
		for _, c := range across {
			sum += r.weight * c.weight * f.v[r.cell*f.width+c.cell]
		}
	}
	return sum
}

// grid is the field at the middles of width x height pixels.
func (f *field) grid(width, height int) []float64 {
	across := make([][]tap, width)
	for x := range across {
		across[x] = taps(f.x.In((float64(x)+.5)/float64(width)), f.width)
	}
	lines := make([]float64, f.height*width) // of the places' rows
	for r := range f.height {
		for x, ts := range across {
			for _, t := range ts {
				lines[r*width+x] += t.weight * f.v[r*f.width+t.cell]
			}
		}
	}
	out := make([]float64, width*height)
	for y := range height {
		to := out[y*width:][:width]
		for _, t := range taps(f.y.In((float64(y)+.5)/float64(height)), f.height) {
			for x, v := range lines[t.cell*width:][:width] {
				to[x] += t.weight * v
			}
		}
	}
	return out
}

// field is the matches of one step.
func (m *Map) field(step int) *field {
	f := &field{m.Height, m.Width, m.X, m.Y, make([]float64, m.Places())}
	for p := range f.v {
		f.v[p] = m.At(p, step)
	}
	return f
}
