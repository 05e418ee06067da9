package scenes

import "context"

// A Layout says what is where in one of the pictures that a stage draws.
type Layout struct {
	Photo   string // its id
	Split   string
	Objects []Placed // in the scene's order
}

// A Placed is an object of a picture.
type Placed struct {
	Name string // as captions call it: "a small red circle"
	Mask []bool // of each pixel, row by row: at least half of it shows the object
}

// Area is the share of the picture that shows the object.
func (p Placed) Area() float64 {
	n := 0
	for _, in := range p.Mask {
		if in {
			n++
		}
	}
	return float64(n) / float64(len(p.Mask))
}

// Layouts returns what is where in the pictures of p that the splits hold, in the
// order of planning. Where one object lies over another, the pixel is the upper
// one's.
func Layouts(ctx context.Context, p Params, splits ...string) ([]Layout, error) {
	examples, err := plan(ctx, p)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, s := range splits {
		wanted[s] = true
	}
	var out []Layout
	for _, e := range examples {
		if wanted[e.split] {
			out = append(out, e.layout(p.Side))
		}
	}
	return out, nil
}

// layout follows the numbers that draw draws by.
func (e *example) layout(side int) Layout {
	out := Layout{Photo: e.id, Split: e.split}
	for _, o := range e.scene.objects {
		out.Objects = append(out.Objects, Placed{Name: name(o), Mask: make([]bool, side*side)})
	}
	_, painted := strokes(e.scene, e.noise.rand("draw"))
	for _, s := range painted {
		s.cover(side, func(i int, share float64) {
			if share < .5 {
				return
			}
			for k := range out.Objects {
				out.Objects[k].Mask[i] = k == s.object
			}
		})
	}
	return out
}
