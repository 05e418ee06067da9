package scenes

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
)

type rgb [3]float64

var palette = map[string]rgb{
	"red": {215, 35, 35}, "green": {40, 150, 60}, "blue": {45, 80, 220}, "yellow": {240, 220, 50},
	"orange": {245, 135, 25}, "purple": {130, 45, 165}, "pink": {250, 150, 195}, "turquoise": {60, 205, 200},
	"white": {245, 245, 245}, "black": {15, 15, 15}, "gray": {128, 128, 128}, "brown": {105, 65, 35},
}

// Radii and noise, as shares of the picture's side or of the radius.
const (
	smallRadius  = .10
	largeRadius  = .19
	threeRadius  = .145 // of each of three objects
	insideRadius = .095 // of an object inside another
	holderRadius = .29  // of that other
	shiftNoise   = .04  // of each object; inside, both move together
	insideShift  = .05
	turnNoise    = 12 * math.Pi / 180
	pixelNoise   = 4.0 // standard deviation, in levels
	colourNoise  = 8.0
	supersample  = 3 // samples a pixel, across and down
)

// A spot is where an object goes: its centre and radius as shares of the side.
type spot struct{ x, y, r float64 }

// spots returns where the objects of s go, before the noise.
func spots(s scene, r *rand.Rand) []spot {
	radius := func(i int) float64 {
		if s.objects[i].size == "small" {
			return smallRadius
		}
		return largeRadius
	}
	switch s.relation {
	case alone:
		z := radius(0)
		return []spot{{uniform(r, 1.2*z, 1-1.2*z), uniform(r, 1.2*z, 1-1.2*z), z}}
	case left:
		return []spot{{.26, .5, radius(0)}, {.74, .5, radius(1)}}
	case above:
		return []spot{{.5, .26, radius(0)}, {.5, .74, radius(1)}}
	case inside:
		return []spot{{.5, .5, insideRadius}, {.5, .5, holderRadius}}
	}
	two, third := .7, .25
	if s.relation == leftBelow {
		two, third = .3, .75
	}
	return []spot{{.26, two, threeRadius}, {.74, two, threeRadius}, {.5, third, threeRadius}}
}

func uniform(r *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }

// hue is a colour with noise.
func hue(r *rand.Rand, name string) rgb {
	c, gain := palette[name], uniform(r, .88, 1.08)
	for i := range c {
		c[i] = clamp(c[i]*gain + colourNoise*r.NormFloat64())
	}
	return c
}

func clamp(v float64) float64 { return min(max(v, 0), 255) }

// A stroke is one object as it is painted.
type stroke struct {
	object int // of the scene
	shape  string
	at     spot
	turn   float64
	colour rgb
}

// strokes returns the ground's colour and the objects of s as they are painted,
// the first first.
func strokes(s scene, r *rand.Rand) (ground rgb, out []stroke) {
	ground = hue(r, s.background)
	at := spots(s, r)
	order := []int{0, 1, 2}[:len(s.objects)]
	var dx, dy float64
	if s.relation == inside {
		order = []int{1, 0} // the holder first, so that it does not cover the other
		dx, dy = uniform(r, -insideShift, insideShift), uniform(r, -insideShift, insideShift)
	}
	for _, i := range order {
		p := at[i]
		switch s.relation {
		case alone:
		case inside:
			p.x, p.y = p.x+dx, p.y+dy
		default:
			p.x, p.y = p.x+uniform(r, -shiftNoise, shiftNoise), p.y+uniform(r, -shiftNoise, shiftNoise)
		}
		p.r *= uniform(r, .92, 1.08)
		out = append(out, stroke{i, s.objects[i].shape, p, uniform(r, -turnNoise, turnNoise), hue(r, s.objects[i].colour)})
	}
	return ground, out
}

// draw paints s, side x side pixels.
func draw(s scene, r *rand.Rand, side int) *image.RGBA {
	ground, objects := strokes(s, r)
	canvas := make([]rgb, side*side)
	for i := range canvas {
		canvas[i] = ground
	}
	for _, o := range objects {
		o.cover(side, func(i int, share float64) {
			px := &canvas[i]
			for c := range px {
				px[c] = px[c]*(1-share) + o.colour[c]*share
			}
		})
	}
	return noisy(canvas, side, r)
}

// cover calls use with each pixel of a picture that the shape covers, and with
// the share of the pixel's samples that lie in it.
func (o stroke) cover(side int, use func(i int, share float64)) {
	n := float64(side)
	x0, y0, radius := o.at.x*n, o.at.y*n, o.at.r*n
	sin, cos := math.Sincos(o.turn)
	reach := 1.5 * radius // no shape goes further out than 1.3 of its radius
	lo := func(c float64) int { return max(0, int(c-reach)) }
	hi := func(c float64) int { return min(side, int(c+reach)+1) }
	for y := lo(y0); y < hi(y0); y++ {
		for x := lo(x0); x < hi(x0); x++ {
			hits := 0
			for k := range supersample * supersample {
				u := (float64(x) + (float64(k%supersample)+.5)/supersample - x0) / radius
				v := -(float64(y) + (float64(k/supersample)+.5)/supersample - y0) / radius
				if contains(o.shape, u*cos+v*sin, v*cos-u*sin) {
					hits++
				}
			}
			if hits > 0 {
				use(y*side+x, float64(hits)/(supersample*supersample))
			}
		}
	}
}

func noisy(canvas []rgb, side int, r *rand.Rand) *image.RGBA {
	im := image.NewRGBA(image.Rect(0, 0, side, side))
	for i, px := range canvas {
		for c, v := range px {
			im.Pix[4*i+c] = uint8(clamp(v + pixelNoise*r.NormFloat64()))
		}
		im.Pix[4*i+3] = 255
	}
	return im
}

func encode(im *image.RGBA) ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, im)
	return b.Bytes(), err
}
