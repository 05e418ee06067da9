package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/minibatch"
	tables "github.com/hearsight/hearsight/internal/table"
)

func TestApart(t *testing.T) {
	theirs := []float64{4, 2, 1, 5}
	for _, c := range []struct {
		ours         []float64
		n            int
		share        float64
		step, beyond int
	}{
		{theirs, 4, 0, 1, 0},
		{[]float64{4, 2.001, 1, 9}, 3, .0005, 2, 0},
		{[]float64{4, 2.01, .5, 9}, 3, .5, 3, 2},
		{[]float64{4, 2.01, .5, 9}, 4, .8, 4, 2},
	} {
		share, step, err := apart(c.ours, theirs, c.n)
		if err != nil || math.Abs(share-c.share) > 1e-12 || step != c.step {
			t.Errorf("apart(%v, %v, %d) = %v, %d, %v, want %v, %d", c.ours, theirs, c.n, share, step, err, c.share, c.step)
		}
		if got := parts(c.ours, theirs, c.n); got != c.beyond {
			t.Errorf("parts(%v, %v, %d) = %d, want %d", c.ours, theirs, c.n, got, c.beyond)
		}
	}
	for _, bad := range [][]float64{{4, 2}, {4, math.NaN(), 1, 5}, {math.Inf(1), 2, 1, 5}} {
		if share, _, err := apart(bad, theirs, 4); err == nil {
			t.Errorf("apart(%v, %v, 4) = %v, want an error", bad, theirs, share)
		}
	}
}

func TestSooner(t *testing.T) {
	for _, c := range []struct {
		a, b int
		want bool
	}{{0, 0, false}, {0, 4, false}, {9, 4, false}, {4, 4, false}, {3, 4, true}, {9, 0, true}} {
		if got := sooner(c.a, c.b); got != c.want {
			t.Errorf("sooner(%d, %d) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestStageSpan(t *testing.T) {
	events := `{"event":"stage_cached","stage":"mfcc"}
{"event":"stage_finished","stage":"mfcc","seconds":7}
{"event":"stage_finished","stage":"model@end","seconds":2.5}
{"event":"run_ended","state":"done","seconds":9,"cpu_seconds":4}
`
	if s, err := stageSpan([]byte(events), "model@end"); err != nil || s != (span{2.5, 4}) {
		t.Errorf("stageSpan = %+v, %v, want 2.5 s and 4 CPU s", s, err)
	}
	for name, text := range map[string]string{"no such stage": strings.ReplaceAll(events, "@end", "@start"), "no end": strings.Replace(events, "run_ended", "message", 1), "no JSON": "what?\n"} {
		if s, err := stageSpan([]byte(text), "model@end"); err == nil {
			t.Errorf("%s: stageSpan = %+v, want an error", name, s)
		}
	}
}

// TestWriteOrder: the order is the sampler's over those captions that have a
// clip and a photo, as the train stage joins them.
func TestWriteOrder(t *testing.T) {
	dir := t.TempDir()
	save := func(name string, write func(f *os.File) error) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err == nil {
			err = write(f)
		}
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
	}
	ids := []string{"a", "b", "c", "d", "e", "f"}
	save("pairs/captions"+tables.Captions.Ext(), func(f *os.File) error {
		_, err := tables.Captions.Write(f, func(yield func(tables.Caption, error) bool) {
			for _, id := range ids {
				if !yield(tables.Caption{ID: id + "#0", PhotoID: id, Split: "train"}, nil) {
					return
				}
			}
		})
		return err
	})
	save("mfcc/mfcc-00"+tables.MFCCs.Ext(), func(f *os.File) error {
		_, err := tables.MFCCs.Write(f, func(yield func(tables.MFCC, error) bool) {
			for _, id := range ids[:5] { // f has no clip
				if !yield(tables.MFCC{ID: id + "#0", NFrames: 1, NCoeffs: 2, Features: []float32{1, 2}}, nil) {
					return
				}
			}
		})
		return err
	})
	maps := tables.FeatureMaps("vgg16", "conv5_3")
	save("features/features-00"+maps.Ext(), func(f *os.File) error {
		_, err := maps.Write(f, func(yield func(tables.FeatureMap, error) bool) {
			for _, id := range ids {
				if !yield(tables.FeatureMap{ID: id, Height: 1, Width: 1, Channels: 2, Half: []uint16{1, 2}}, nil) {
					return
				}
			}
		})
		return err
	})
	var got bytes.Buffer
	if err := writeOrder(&got, dir, trainOptions{steps: 5, batch: 2, seed: 3}); err != nil {
		t.Fatal(err)
	}
	var pairs []minibatch.Pair
	for _, id := range ids[:5] {
		pairs = append(pairs, minibatch.Pair{ID: id + "#0", Photo: id})
	}
	s, err := minibatch.NewSampler(pairs, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for step := range 5 {
		b := slices.Clone(s.Batch(int64(step)))
		want.WriteString(`["` + pairs[b[0]].ID + `","` + pairs[b[1]].ID + "\"]\n")
	}
	if got.String() != want.String() {
		t.Errorf("order:\n%swant:\n%s", got.String(), want.String())
	}
	if err := writeOrder(&got, t.TempDir(), trainOptions{steps: 1, batch: 2}); err == nil {
		t.Error("an empty folder has an order")
	}
}
