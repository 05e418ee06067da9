package retrieval

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestLessHubs: captions are ranked as by the quotient that defines querybank
// normalisation, and photos as by that of the bank's photos.
func TestLessHubs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(images, clips int) Matrix {
		m := Matrix{Images: images, Clips: clips}
		for range images * clips {
			m.S = append(m.S, r.Float64()*2-1)
		}
		return m
	}
	const beta = 7
	m, photos, captions := random(6, 5), random(6, 9), random(4, 5)
	was := Matrix{m.Images, m.Clips, slices.Clone(m.S)}
	if err := m.LessHubs(photos, captions, beta); err != nil {
		t.Fatal(err)
	}
	quotient := func(s float64, bank []float64) float64 {
		sum := 0.0
		for _, b := range bank {
			sum += math.Exp(beta * b)
		}
		return math.Exp(beta*s) / sum
	}
	order := func(n int, score func(i int) float64) []int {
		at := make([]int, n)
		for i := range at {
			at[i] = i
		}
		slices.SortFunc(at, func(a, b int) int {
			if score(a) > score(b) {
				return -1
			}
			return 1
		})
		return at
	}
	for j := range m.Clips {
		want := order(m.Images, func(i int) float64 { return quotient(was.S[i*5+j], photos.S[i*9:][:9]) })
		if got := order(m.Images, func(i int) float64 { return m.S[i*5+j] }); !slices.Equal(got, want) {
			t.Errorf("caption %d: %v, want %v", j, got, want)
		}
	}
	for i := range m.Images {
		of := func(j int) float64 {
			bank := []float64{captions.S[j], captions.S[5+j], captions.S[10+j], captions.S[15+j]}
			return quotient(was.S[i*5+j], bank)
		}
		if got, want := order(m.Clips, func(j int) float64 { return m.S[i*5+j] }), order(m.Clips, of); !slices.Equal(got, want) {
			t.Errorf("photo %d: %v, want %v", i, got, want)
		}
	}
	// A bank that knows no difference changes nothing but all alike.
	same := Matrix{6, 2, slices.Repeat([]float64{.3}, 12)}
	even := Matrix{2, 5, slices.Repeat([]float64{.1}, 10)}
	got := Matrix{was.Images, was.Clips, slices.Clone(was.S)}
	if err := got.LessHubs(same, even, 1e4); err != nil { // exp(1e4) is too large
		t.Fatal(err)
	}
	for i, v := range got.S {
		if d := math.Abs(v - (was.S[i] - .4)); d > 1e-12 {
			t.Errorf("value %d is %v, want %v", i, v, was.S[i]-.4)
		}
	}
	for _, bad := range [][2]Matrix{{random(5, 9), captions}, {photos, random(4, 6)}, {{Images: 6}, captions}, {photos, {Clips: 5}}} {
		if err := m.LessHubs(bad[0], bad[1], beta); err == nil {
			t.Errorf("a bank of %dx%d and %dx%d is taken", bad[0].Images, bad[0].Clips, bad[1].Images, bad[1].Clips)
		}
	}
}
