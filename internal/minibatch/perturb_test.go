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
		p := s.Draw(4, step, frames, 49)
		if again := s.Draw(4, step, frames, 49); fmt.Sprint(again) != fmt.Sprint(p) {
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
	if x := img.AppendMap([]float32{9}); !slices.Equal(x, []float32{9, 1, 2, 3, 4, 5, 6}) {
		t.Errorf("the map's values are %v", x)
	}
}
