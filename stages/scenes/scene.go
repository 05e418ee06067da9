package scenes

import (
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
)

// The words of the world. Their order is part of the data set.
var (
	colours     = []string{"red", "green", "blue", "yellow", "orange", "purple", "pink", "turquoise"}
	backgrounds = []string{"white", "black", "gray", "brown"}
	shapes      = []string{"circle", "square", "triangle", "star", "cross", "ring", "diamond", "heart"}
	holders     = []string{"circle", "square", "ring", "diamond"} // shapes that another can be seen inside of
	sizes       = []string{"small", "large"}
)

// Relations of the first object to the second. With three objects the first is
// left of the second and the third above or below them.
const (
	alone     = ""
	left      = "left"
	above     = "above"
	inside    = "inside"
	leftAbove = "left,above"
	leftBelow = "left,below"
)

// An object is one shape of a scene. Of three objects none has a size.
type object struct{ size, colour, shape string }

// A scene is what a picture shows. Equal scenes have equal keys, and the other
// way round.
type scene struct {
	background string
	objects    []object
	relation   string
}

func (s scene) key() string {
	parts := []string{s.background, s.relation}
	for _, o := range s.objects {
		parts = append(parts, o.size+" "+o.colour+" "+o.shape)
	}
	return strings.Join(parts, "|")
}

// heldOut reports whether training may not see s: one scene in eight.
func (s scene) heldOut() bool { return crc32.ChecksumIEEE([]byte(s.key()))%8 == 0 }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// newScene draws a scene: one, two or three objects of different colours with
// probabilities .20, .65 and .15.
func newScene(r *rand.Rand) scene {
	n := 1
	switch u := r.Float64(); {
	case u >= .85:
		n = 3
	case u >= .20:
		n = 2
	}
	s := scene{background: pick(r, backgrounds), relation: alone}
	for _, c := range r.Perm(len(colours))[:n] {
		s.objects = append(s.objects, object{pick(r, sizes), colours[c], pick(r, shapes)})
	}
	switch n {
	case 2:
		relate(r, &s)
	case 3:
		s.relation = pick(r, []string{leftAbove, leftBelow})
		for i := range s.objects {
			s.objects[i].size = ""
		}
	}
	return s
}

// relate sets how two objects stand: left .4, above .4, inside .2.
func relate(r *rand.Rand, s *scene) {
	switch u := r.Float64(); {
	case u < .4:
		s.relation = left
	case u < .8:
		s.relation = above
	default:
		s.relation = inside
		s.objects[0].size, s.objects[1].size, s.objects[1].shape = "small", "large", pick(r, holders)
	}
}

// twins returns the scenes that differ from s only in which object stands where
// or in which is large. Nobody who ignores relations and sizes can tell them
// from s.
func (s scene) twins() []scene {
	change := func(f func(t *scene)) scene {
		t := scene{s.background, slices.Clone(s.objects), s.relation}
		f(&t)
		return t
	}
	places := func(t *scene) { t.objects[0], t.objects[1] = t.objects[1], t.objects[0] }
	switch {
	case len(s.objects) == 1:
		return []scene{change(func(t *scene) { t.objects[0].size = other(sizes, t.objects[0].size) })}
	case len(s.objects) == 3:
		return []scene{
			change(places),
			change(func(t *scene) { t.relation = other([]string{leftAbove, leftBelow}, t.relation) }),
		}
	case s.relation == inside:
		return nil // the twin would need another holder, so another shape
	case s.objects[0].size == s.objects[1].size:
		return []scene{change(places)}
	}
	return []scene{change(places), change(func(t *scene) {
		t.objects[0].size, t.objects[1].size = t.objects[1].size, t.objects[0].size
	})}
}

func other(two []string, one string) string {
	if two[0] == one {
		return two[1]
	}
	return two[0]
}

// caption says all of s in one of four frames, a relation from either side.
func caption(s scene, r *rand.Rand) string {
	on := pick(r, []string{"a " + s.background + " background", s.background})
	what := phrase(s, r)
	return pick(r, []string{
		what + " on " + on,
		"there is " + what + " on " + on,
		"on " + on + " " + what,
		"we see " + what + " on " + on,
	})
}

func phrase(s scene, r *rand.Rand) string {
	var names []string
	for _, o := range s.objects {
		names = append(names, name(o))
	}
	a, fromFirst := names[0], r.IntN(2) == 0
	if len(names) == 1 {
		return a
	}
	b := names[1]
	between := func(first, second []string) string {
		if fromFirst {
			return a + " " + pick(r, first) + " " + b
		}
		return b + " " + pick(r, second) + " " + a
	}
	switch s.relation {
	case left:
		return between([]string{"left of", "to the left of"}, []string{"right of", "to the right of"})
	case above:
		return between([]string{"above", "over"}, []string{"below", "under"})
	case inside:
		return between([]string{"inside"}, []string{"around", "with"})
	}
	_, where, _ := strings.Cut(s.relation, ",")
	return between([]string{"left of"}, []string{"right of"}) + " with " + names[2] + " " + where
}

func name(o object) string {
	words := "a"
	if o.size == "" && o.colour == "orange" {
		words = "an"
	}
	if o.size != "" {
		words += " " + o.size
	}
	return words + " " + o.colour + " " + o.shape
}
