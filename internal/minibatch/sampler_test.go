package minibatch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSampler: no minibatch holds a photo twice, a pass holds no pair twice,
// and any step asked for out of order gives the same pairs.
func TestSampler(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pairs []Pair
		for i, n := range rapid.SliceOfN(rapid.IntRange(1, 6), 1, 40).Draw(t, "captions") {
			for range n {
				pairs = append(pairs, Pair{Photo: fmt.Sprint(i)})
			}
		}
		batch, seed := rapid.IntRange(2, 12).Draw(t, "batch"), rapid.Uint64().Draw(t, "seed")
		s, err := NewSampler(pairs, batch, seed)
		if err != nil {
			t.Skip(err)
		}
		n := s.StepsPerEpoch()
		var all [][]int
		for step := range 3 * n {
			all = append(all, slices.Clone(s.Batch(step)))
		}
		for step, b := range all {
			photos := map[string]bool{}
			for _, p := range b {
				photos[pairs[p].Photo] = true
			}
			if len(photos) != batch {
				t.Fatalf("step %d holds %d photos in %d pairs", step, len(photos), batch)
			}
		}
		for epoch := range 3 {
			seen := map[int]bool{}
			for _, b := range all[epoch*int(n):][:n] {
				for _, p := range b {
					seen[p] = true
				}
			}
			if len(seen) != int(n)*batch {
				t.Fatalf("epoch %d holds %d different pairs, want %d", epoch, len(seen), int(n)*batch)
			}
		}
		again, err := NewSampler(pairs, batch, seed)
		if err != nil {
			t.Fatal(err)
		}
		step := rapid.Int64Range(0, 3*n-1).Draw(t, "step")
		if got := again.Batch(step); !slices.Equal(got, all[step]) {
			t.Fatalf("step %d alone is %v, in order it is %v", step, got, all[step])
		}
	})
}

// TestSamplerDeal: few photos with many captions, where every minibatch must
// hold one of each.
func TestSamplerDeal(t *testing.T) {
	var pairs []Pair
	for i := range 3 {
		for range 50 {
			pairs = append(pairs, Pair{Photo: fmt.Sprint(i)})
		}
	}
	s, err := NewSampler(pairs, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	for step := range s.StepsPerEpoch() {
		b := s.Batch(step)
		if pairs[b[0]].Photo == pairs[b[1]].Photo || pairs[b[1]].Photo == pairs[b[2]].Photo || pairs[b[0]].Photo == pairs[b[2]].Photo {
			t.Fatalf("step %d holds a photo twice: %v", step, b)
		}
	}
	// Swapping has always been enough so far; what stands behind it must work too.
	s.order = rand.New(rand.NewPCG(1, 2)).Perm(len(pairs))
	s.deal()
	for at, p := range s.order {
		if s.meets(at, p) {
			t.Fatalf("dealt pairs meet their photo at %d", at)
		}
	}
	if sorted := slices.Sorted(slices.Values(s.order)); sorted[0] != 0 || sorted[149] != 149 || len(slices.Compact(sorted)) != 150 {
		t.Error("dealing lost pairs")
	}
	s.epoch = -1
	if slices.Equal(slices.Clone(s.Batch(0)), s.Batch(s.StepsPerEpoch())) {
		t.Error("two epochs begin alike")
	}
	if _, err := NewSampler(pairs, 4, 1); err == nil {
		t.Error("a batch of 4 of 3 photos was taken")
	}
	if _, err := NewSampler(append(pairs[:60:60], pairs[100:101]...), 3, 1); err == nil {
		t.Error("a photo with more captions than minibatches was taken")
	}
}

// TestPhotoSampler: an epoch shows each photo once, as many as it has captions
// show each caption once, and sorted minibatches are of nearly one length.
func TestPhotoSampler(t *testing.T) {
	var pairs []Pair
	captions := func(photo int) int { return 1 + photo%5 }
	for photo := range 50 {
		for c := range captions(photo) {
			pairs = append(pairs, Pair{ID: fmt.Sprint(photo, "#", c), Photo: fmt.Sprint(photo), Clip: len(pairs), Image: photo})
		}
	}
	frames := func(clip int) (int, error) { return clip * 37 % 101, nil }
	spread := map[int]int{}
	for _, sorted := range []int{0, 5} {
		s, err := NewPhotoSampler(pairs, 5, 3, sorted, frames)
		if err != nil {
			t.Fatal(err)
		}
		if s.StepsPerEpoch() != 10 {
			t.Fatalf("%d steps an epoch, want 10", s.StepsPerEpoch())
		}
		shown := make([]int, len(pairs))
		for epoch := range int64(60) {
			photos := map[string]bool{}
			for k := range int64(10) {
				batch := s.Batch(epoch*10 + k)
				low, high := 1000, 0
				for _, i := range batch {
					photos[pairs[i].Photo] = true
					shown[i]++
					n, _ := frames(i)
					low, high = min(low, n), max(high, n)
				}
				spread[sorted] += high - low
			}
			if len(photos) != 50 {
				t.Fatalf("epoch %d shows %d photos", epoch, len(photos))
			}
		}
		for i, n := range shown {
			if want := 60 / captions(pairs[i].Image); n != want {
				t.Errorf("pair %d was shown %d times in 60 epochs, want %d", i, n, want)
			}
		}
		again, _ := NewPhotoSampler(pairs, 5, 3, sorted, frames)
		if first := slices.Clone(s.Batch(333)); !slices.Equal(again.Batch(333), first) {
			t.Error("a step asked for alone has other pairs")
		}
	}
	if spread[5] > spread[0]/2 {
		t.Errorf("sorted minibatches spread over %d frames, others over %d", spread[5], spread[0])
	}
	if _, err := NewPhotoSampler(pairs, 51, 1, 0, nil); err == nil || !strings.Contains(err.Error(), "there are 50") {
		t.Errorf("51 of 50 photos: %v", err)
	}
	bad := func(int) (int, error) { return 0, errors.New("lost") }
	if _, err := NewPhotoSampler(pairs, 5, 1, 2, bad); err == nil || !strings.Contains(err.Error(), "clip of 0#0: lost") {
		t.Errorf("a clip that cannot be read: %v", err)
	}
}
