package mel

import (
	"errors"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// cut yields x in pieces of these lengths, over and over.
func cut(x []int16, lengths ...int) iter.Seq2[[]int16, error] {
	return func(yield func([]int16, error) bool) {
		rest := x
		for i := 0; len(rest) > 0; i++ {
			n := min(lengths[i%len(lengths)], len(rest))
			if !yield(rest[:n], nil) {
				return
			}
			rest = rest[n:]
		}
	}
}

func chirp(n int) []int16 {
	x := make([]int16, n)
	for i := range x {
		x[i] = int16(9000 * math.Sin(float64(i)*float64(i)*1e-5))
	}
	return x
}

// TestStream: however a signal is cut, the features are those of the whole.
func TestStream(t *testing.T) {
	for _, dialect := range []string{PSF, Librosa, Kaldi, DAVEnet} {
		c := Preset(dialect, 22050)
		for _, hop := range []int{c.HopSamples, 3000} { // and one longer than the window
			c.HopSamples = hop
			e := mustNew(t, c)
			for _, n := range []int{600, 4095, 4096, 4097, 30011} {
				x := chirp(n)
				want, frames, err := e.ExtractPCM16(nil, x)
				if err != nil {
					t.Fatal(err)
				}
				for _, lengths := range [][]int{{1}, {n}, {5, 700, 0, 4096, 1}} {
					var got []float32
					f, err := e.Stream(cut(x, lengths...), func(rows []float32) error {
						got = append(got, rows...)
						return nil
					})
					if err != nil || f != frames || !slices.Equal(got, want) {
						t.Fatalf("%s, hop %d: %d samples in pieces of %v: %d frames, %d values, %v; want %d and %d", dialect, hop, n, lengths, f, len(got), err, frames, len(want))
					}
				}
			}
		}
	}
}

// TestStreamLong: a signal that is too long to be kept is read twice, to the same
// end.
func TestStreamLong(t *testing.T) {
	c := Preset(Librosa, 22050)
	c.HopSamples = 64
	x := chirp(64 * keepValues / c.Filters * 9 / 8)
	e := mustNew(t, c)
	want, frames, err := e.ExtractPCM16(nil, x)
	if err != nil || e.p.keeping || frames*c.Filters <= keepValues {
		t.Fatalf("%d frames, keeping %v, %v", frames, e.p.keeping, err)
	}
	readings, at := 0, 0
	_, err = e.Stream(func(yield func([]int16, error) bool) {
		readings++
		cut(x, 10000)(yield)
	}, func(rows []float32) error {
		if !slices.Equal(rows, want[at:at+len(rows)]) {
			t.Fatalf("values from %d on differ", at)
		}
		at += len(rows)
		return nil
	})
	if err != nil || at != len(want) || readings != 2 {
		t.Errorf("%d values in %d readings, %v; want %d in 2", at, readings, err, len(want))
	}
	all := mustNew(t, c)
	all.p.room = len(want) * 10
	kept, _, err := all.ExtractPCM16(nil, x)
	if err != nil || !all.p.keeping || !slices.Equal(kept, want) {
		t.Errorf("with all filter outputs kept: keeping %v, %v, or other values", all.p.keeping, err)
	}
}

func TestStreamErrors(t *testing.T) {
	e := mustNew(t, Preset(DAVEnet, 22050))
	none := func([]float32) error { return nil }
	torn := errors.New("torn")
	calls := 0
	for name, c := range map[string]struct {
		chunks iter.Seq2[[]int16, error]
		emit   func([]float32) error
		want   string
	}{
		"none":    {cut(nil, 1), none, ErrNoSamples.Error()},
		"reading": {func(yield func([]int16, error) bool) { yield(nil, torn) }, none, "torn"},
		"writing": {cut(chirp(3000), 100), func([]float32) error { return torn }, "torn"},
		"changed": {func(yield func([]int16, error) bool) { calls++; yield(chirp(3000+calls), nil) }, none, "when it was first read"},
	} {
		if _, err := e.Stream(c.chunks, c.emit); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := mustNew(t, Preset(Kaldi, 22050)).Stream(cut(chirp(100), 10), none); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("kaldi: 100 samples: %v", err)
	}
	// and works on
	if _, err := e.Stream(cut(chirp(3000), 10), none); err != nil {
		t.Error(err)
	}
}

// TestStreamMemory: an hour takes no more memory than its first minutes.
func TestStreamMemory(t *testing.T) {
	hour := 3600 * 22050
	if testing.Short() {
		hour /= 6
	}
	piece := chirp(22050)
	sound := func(yield func([]int16, error) bool) {
		for range hour / len(piece) {
			if !yield(piece, nil) {
				return
			}
		}
	}
	for _, dialect := range []string{PSF, Librosa, Kaldi, DAVEnet} {
		c := Preset(dialect, 22050)
		if dialect != PSF {
			c.HopSamples = 2205 // the passes matter here, not the frames
		}
		e := mustNew(t, c)
		if _, err := e.Stream(cut(piece, 5000), func([]float32) error { return nil }); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		frames, err := e.Stream(sound, func([]float32) error { return nil })
		runtime.ReadMemStats(&after)
		if err != nil || frames < hour/c.HopSamples-5 {
			t.Fatalf("%s: %d frames, %v", dialect, frames, err)
		}
		// What librosa and davenet keep of the first minutes is 8 MB, and grew to
		// that by doubling.
		most := uint64(64 << 10)
		if dialect == Librosa || dialect == DAVEnet {
			most = 48 << 20
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > most {
			t.Errorf("%s: %d bytes allocated for %d s of sound, want at most %d", dialect, got, hour/22050, most)
		}
	}
}
