package minibatch

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/x448/float16"
)

// TestPerturb: draws are within bounds, reach them, and come again.
func TestPerturb(t *testing.T) {
	s := Perturb{DropFrames: 7, TimeMasks: 2, MaskFrames: 23, Places: 36}
	frames := []int{1, 5, 100, 400}
	var widest, dropped int
	places := map[int]int{}
	for step := range int64(500) {
		p := s.Draw(4, step, frames, 512, 49)
		if again := s.Draw(4, step, frames, 512, 49); fmt.Sprint(again) != fmt.Sprint(p) {
			t.Fatal("a step draws something else when asked again")
		}
		for k, n := range frames {
			n -= p.drop[k]
			dropped = max(dropped, p.drop[k])
			if p.drop[k] < 0 || p.drop[k] > 7 || n < 1 {
				t.Fatalf("%d of %d frames dropped", p.drop[k], frames[k])
			}
			for _, m := range p.masks[2*k : 2*k+2] {
				widest = max(widest, m[1]-m[0])
				if m[0] < 0 || m[1] > n || m[0] > m[1] || m[1]-m[0] > 23 {
					t.Fatalf("a mask of frames %v of %d", m, n)
				}
			}
		}
		if len(p.Places()) != 36 || !slices.IsSorted(p.places) {
			t.Fatalf("places %v", p.places)
		}
		for _, at := range slices.Compact(p.places) {
			places[at]++
		}
	}
	if widest != 23 || dropped != 7 || len(places) != 49 {
		t.Errorf("the widest mask has %d frames, the most dropped are %d, %d places were seen", widest, dropped, len(places))
	}
	for at, n := range places {
		if n < 300 || n > 430 { // 367 expected, deviation 10
			t.Errorf("place %d was kept in %d of 500 steps", at, n)
		}
	}
	p := Perturbations{drop: []int{0, 2}, each: 2, masks: [][2]int{{0, 0}, {0, 0}, {1, 2}, {3, 5}}}
	if x := p.Dropped(1, []float32{1, 2, 3, 4, 5, 6}, 2); !slices.Equal(x, []float32{5, 6}) {
		t.Errorf("without two frames: %v", x)
	}
	x := []float32{1, 1, 1, 1, 1}
	if p.Mask(1, x, 1); !slices.Equal(x, []float32{1, 0, 1, 0, 0}) {
		t.Errorf("masked: %v", x)
	}
}

// TestFaster: clips keep their ends and their order at any speed, last as long as
// it says, and no longer than a model takes; masks lie within what is left.
func TestFaster(t *testing.T) {
	s := Perturb{Speed: .25, TimeMasks: 1, MaskFrames: 9}
	var shortest, longest int
	for step := range int64(300) {
		p := s.Draw(4, step, []int{1, 100, 60}, 110, 0)
		for k, n := range []int{1, 100, 60} {
			x := make([]float32, 2*n)
			for i := range x {
				x[i] = float32(i)
			}
			y := p.AtSpeed(k, x, 2)
			m := len(y) / 2
			if want := hastened(n, p.speed[k]); m != want || m < 1 || float64(m) < float64(n)/1.25-1 || float64(m) > float64(n)/.75+1 {
				t.Fatalf("%d frames at speed %v are %d", n, p.speed[k], m)
			}
			if mask := p.masks[k]; mask[1] > min(m, 110) {
				t.Fatalf("mask %v of %d frames", mask, m)
			}
			for i := 2; i < len(y); i++ {
				if y[i] < y[i-2] || i%2 == 1 && math.Abs(float64(y[i]-y[i-1]-1)) > 1e-4 {
					t.Fatalf("at speed %v: %v", p.speed[k], y)
				}
			}
			if n > 1 && (y[0] > 1 || y[len(y)-1] < x[len(x)-1]-1) {
				t.Fatalf("at speed %v the ends are %v and %v", p.speed[k], y[0], y[len(y)-1])
			}
			if k == 1 {
				shortest, longest = min(max(1, shortest), m), max(longest, m)
				if step == 0 {
					shortest = m
				}
			}
		}
	}
	if shortest > 84 || longest < 128 { // 80 and 133 are the bounds
		t.Errorf("100 frames became %d to %d", shortest, longest)
	}
	even := Perturbations{speed: []float64{2. / 3}}
	if y := even.AtSpeed(0, []float32{0, 3, 6, 9}, 1); !slices.Equal(y, []float32{0, 1.5, 3.5, 5.5, 7.5, 9}) {
		t.Errorf("four frames as six: %v", y)
	}
}

// TestNoise: it is the settings' deviation about nothing, another in each step and
// clip, and the same when asked again.
func TestNoise(t *testing.T) {
	s := Perturb{Noise: .5}
	draw := func(step int64, k int) []float32 {
		x := make([]float32, 4000)
		p := s.Draw(4, step, []int{100, 100, 100}, 110, 0)
		p.AddNoise(k, x)
		return x
	}
	a := draw(3, 1)
	var sum, squares float64
	for _, v := range a {
		sum, squares = sum+float64(v), squares+float64(v)*float64(v)
	}
	if mean, dev := sum/4000, math.Sqrt(squares/4000); math.Abs(mean) > .04 || math.Abs(dev-.5) > .03 {
		t.Errorf("noise has mean %v, deviation %v", mean, dev)
	}
	if !slices.Equal(a, draw(3, 1)) || slices.Equal(a, draw(4, 1)) || slices.Equal(a, draw(3, 2)) {
		t.Error("noise does not follow from step and clip")
	}
}

// TestImpostors: never the partner, every other as often, the same for a step.
func TestImpostors(t *testing.T) {
	const b, steps = 5, 4000
	var counts [2 * b][b]int
	for step := range int64(steps) {
		x, again := make([]float32, 2*b), make([]float32, 2*b)
		Impostors(x, 7, step)
		Impostors(again, 7, step)
		if !slices.Equal(x, again) {
			t.Fatal("a step has other impostors when asked again")
		}
		for k, v := range x {
			counts[k][int(v)]++
		}
	}
	for k, row := range counts {
		for v, n := range row {
			if want := steps / (b - 1); v == k%b && n != 0 || v != k%b && math.Abs(float64(n-want)) > 120 {
				t.Errorf("pair %d has the impostor %d %d times of %d", k%b, v, n, steps)
			}
		}
	}
}

// TestPutPlaces: of a feature map some places, normalised.
func TestPutPlaces(t *testing.T) {
	var img Image
	for v := range 6 {
		img.Half = append(img.Half, float16.Fromfloat32(float32(v+1)).Bits())
	}
	spec := &model.Spec{Image: model.Tower{In: 2}, Height: 1, Width: 3, MapNorm: &model.CoeffNorm{Mean: []float64{1, 2}, Std: 2}}
	dst := make([]float32, 4)
	if err := PutImage(spec, dst, img, []int{0, 2}); err != nil || !slices.Equal(dst, []float32{0, 0, 2, 2}) {
		t.Errorf("places 0 and 2 are %v, %v", dst, err)
	}
	spec.MapNorm.Std, spec.MapNorm.Stds = 0, []float64{2, 4}
	if err := PutImage(spec, dst, img, []int{0, 2}); err != nil || !slices.Equal(dst, []float32{0, 0, 2, 1}) {
		t.Errorf("places 0 and 2 by deviations of their own are %v, %v", dst, err)
	}
	if x := img.AppendMap([]float32{9}); !slices.Equal(x, []float32{9, 1, 2, 3, 4, 5, 6}) {
		t.Errorf("the map's values are %v", x)
	}
}
