package scenes

import "math"

// A point lies in a shape's own plane: the shape has radius about 1, and y goes
// up.
type point struct{ x, y float64 }

// outlines are the shapes bounded by straight lines; circle and ring have
// equations of their own.
var outlines = map[string][]point{
	"square":   {{-.85, -.85}, {.85, -.85}, {.85, .85}, {-.85, .85}},
	"triangle": {{0, 1.05}, {-.98, -.75}, {.98, -.75}},
	"star":     star(),
	"cross": {
		{-.34, 1}, {.34, 1}, {.34, .34}, {1, .34}, {1, -.34}, {.34, -.34},
		{.34, -1}, {-.34, -1}, {-.34, -.34}, {-1, -.34}, {-1, .34}, {-.34, .34},
	},
	"diamond": {{0, 1.1}, {.68, 0}, {0, -1.1}, {-.68, 0}},
	"heart":   heart(),
}

// star has five points.
func star() []point {
	var out []point
	for i := range 10 {
		r := 1.1
		if i%2 == 1 {
			r = .45
		}
		sin, cos := math.Sincos(float64(i) * math.Pi / 5)
		out = append(out, point{r * sin, r * cos})
	}
	return out
}

// heart is the curve x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t.
func heart() []point {
	var out []point
	for i := range 40 {
		t := float64(i) * 2 * math.Pi / 40
		y := 13*math.Cos(t) - 5*math.Cos(2*t) - 2*math.Cos(3*t) - math.Cos(4*t)
		out = append(out, point{math.Pow(math.Sin(t), 3), (y + 2) / 15})
	}
	return out
}

// contains reports whether (u, v) lies in the shape.
func contains(shape string, u, v float64) bool {
	switch r2 := u*u + v*v; shape {
	case "circle":
		return r2 <= .95*.95
	case "ring":
		return r2 <= 1 && r2 >= .6*.6
	}
	in, outline := false, outlines[shape]
	for i, a := range outline {
		b := outline[(i+1)%len(outline)]
		if (a.y > v) != (b.y > v) && u < (b.x-a.x)*(v-a.y)/(b.y-a.y)+a.x {
			in = !in
		}
	}
	return in
}
