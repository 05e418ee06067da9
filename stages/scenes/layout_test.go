package scenes

import (
	"context"
	"math"
	"testing"
)

// TestLayouts: in the picture itself a mask's pixels have its object's colour, and
// the others next to none of it.
func TestLayouts(t *testing.T) {
	p := Params{Seed: 5, Train: 3, Validation: 40, Hard: 10, Side: 64}
	layouts, err := Layouts(context.Background(), p, "validation", "hard")
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]example{}
	for _, e := range planned(t, p) {
		byID[e.id] = e
	}
	if len(layouts) != 50 {
		t.Fatalf("%d layouts, want 50", len(layouts))
	}
	for _, l := range layouts {
		e := byID[l.Photo]
		im := draw(e.scene, e.noise.rand("draw"), p.Side)
		if len(l.Objects) != len(e.scene.objects) {
			t.Fatalf("%s: %d objects of %d", l.Photo, len(l.Objects), len(e.scene.objects))
		}
		for k, o := range l.Objects {
			if o.Name != name(e.scene.objects[k]) {
				t.Errorf("%s: object %d is %q, want %q", l.Photo, k, o.Name, name(e.scene.objects[k]))
			}
			want, right, wrong, n := palette[e.scene.objects[k].colour], 0., 0., 0.
			for i, in := range o.Mask {
				d := 0.
				for c := range want {
					d = max(d, math.Abs(float64(im.Pix[4*i+c])-want[c]))
				}
				if in {
					n++
				}
				switch {
				case in && d < 75:
					right++
				case !in && d < 50 && !anyMask(l, i) && !like(im.Pix[4*i:], e.scene.background):
					wrong++
				}
			}
			if a := n / float64(len(o.Mask)); a != o.Area() || a < .01 || a > .3 {
				t.Errorf("%s: %q covers %.3f, Area says %.3f", l.Photo, o.Name, a, o.Area())
			}
			// Its edge is mixed with what lies around.
			if right < .7*n || wrong > .3*n {
				t.Errorf("%s: %q: %v of %v pixels have its colour, and %v elsewhere", l.Photo, o.Name, right, n, wrong)
			}
		}
	}
}

// anyMask reports whether a pixel shows an object.
func anyMask(l Layout, i int) bool {
	for _, o := range l.Objects {
		if o.Mask[i] {
			return true
		}
	}
	return false
}

// like reports whether a pixel has the ground's colour.
func like(px []uint8, ground string) bool {
	for c, v := range palette[ground] {
		if math.Abs(float64(px[c])-v) > 60 {
			return false
		}
	}
	return true
}
