package retrieval

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
)

// TestGolden scores every matrix of golden/eval as a matrix from elsewhere and
// compares with every entry of expected.json to 1e-12. A file without an entry
// and an entry without a file are errors. The rule "index", first come first
// served, is one we do not report: where nothing ties it is all of them.
func TestGolden(t *testing.T) {
	dir := sharedtest.Path(t, "golden", "eval")
	raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".npy")
		if !ok && f.Name() == "expected.json" {
			continue
		}
		n := 0
		for entry := range want {
			if entry == name || strings.HasPrefix(entry, name+" ") {
				n++
				goldenEntry(t, filepath.Join(dir, f.Name()), entry, want[entry])
				delete(want, entry)
			}
		}
		if n == 0 {
			t.Errorf("%s: nothing is expected of it", f.Name())
		}
	}
	for entry := range want {
		t.Errorf("entry %q has no file", entry)
	}
}

func goldenEntry(t *testing.T, path, entry string, want map[string]json.RawMessage) {
	g, err := ReadMatrix(context.Background(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSet("golden", g, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Evaluate(context.Background(), Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(entry, "set metrics image->speech") {
		goldenSets(t, entry, r.Metrics.ImageToSpeech.All, want)
		return
	}
	if len(want) != 2 {
		t.Errorf("%s: %d directions, want 2", entry, len(want))
	}
	for key, text := range want {
		var rules map[string]map[string]float64
		if err := json.Unmarshal(text, &rules); err != nil || len(rules) < 3 {
			t.Fatalf("%s, %s: %v, %v", entry, key, rules, err)
		}
		got, direction := r.Metrics.SpeechToImage, table.SpeechToImage
		if strings.HasPrefix(key, "rows") || strings.HasPrefix(key, "image->speech") {
			got, direction = r.Metrics.ImageToSpeech, table.ImageToSpeech
		}
		worst := worstRanks(r, direction)
		for rule, w := range rules {
			var g map[string]float64
			switch rule {
			case "pessimistic":
				g = figures(worst)
			case "optimistic":
				g = figures(bestRanks(r, direction))
			case "expected":
				g = map[string]float64{"R@1": got.P1.Value, "R@5": got.P5.Value, "R@10": got.P10.Value}
			case "index":
				if got.Tied > 0 {
					continue
				}
				g = map[string]float64{"R@1": got.P1.Value, "R@5": got.P5.Value, "R@10": got.P10.Value, "medianRank": got.MedianRank, "meanRank": got.MeanRank, "MRR": got.MRR}
			default:
				t.Errorf("%s, %s: rule %q is not known", entry, key, rule)
			}
			for k, v := range w {
				if x, ok := g[k]; !ok || math.Abs(x-v) > 1e-12 {
					t.Errorf("%s, %s, %s: %s = %v, want %v", entry, direction, rule, k, x, v)
				}
			}
		}
	}
}

func goldenSets(t *testing.T, entry string, got *table.AllRight, want map[string]json.RawMessage) {
	if got == nil {
		t.Fatalf("%s: no measures of sets", entry)
	}
	figures := map[string]map[string]float64{
		"K=1":  {"precision": got.Precision1, "recall": got.Recall1},
		"K=5":  {"precision": got.Precision5, "recall": got.Recall5},
		"K=10": {"precision": got.Precision10, "recall": got.Recall10},
	}
	for key, text := range want {
		w := map[string]float64{}
		g := figures[key]
		if key == "mAP" {
			g = map[string]float64{"": got.MAP}
			var v float64
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			w[""] = v
		} else if err := json.Unmarshal(text, &w); err != nil {
			t.Fatal(err)
		}
		for k, v := range w {
			if x, ok := g[k]; !ok || math.Abs(x-v) > 1e-12 {
				t.Errorf("%s, %s %s = %v, want %v", entry, key, k, x, v)
			}
		}
	}
}

// worstRanks are the ranks with equals before the right answer, as the rows of
// captions have them.
func worstRanks(r *Result, direction string) []float64 {
	var out []float64
	byPhoto := map[string]float64{}
	for _, q := range r.Queries {
		out = append(out, q.WorstRank)
		if v, ok := byPhoto[q.Photo]; !ok || q.PhotoWorstRank < v {
			byPhoto[q.Photo] = q.PhotoWorstRank
		}
	}
	if direction == table.SpeechToImage {
		return out
	}
	out = nil
	for _, v := range byPhoto {
		out = append(out, v)
	}
	return out
}

// bestRanks are those with the right answer before its equals.
func bestRanks(r *Result, direction string) []float64 {
	var out []float64
	for _, k := range r.Ranks {
		if k.Direction == direction {
			out = append(out, k.Rank-float64(k.Ties)/2) // of one right answer
		}
	}
	return out
}

// figures are those of the golden file.
func figures(ranks []float64) map[string]float64 {
	m, n := map[string]float64{}, float64(len(ranks))
	ranks = slices.Sorted(slices.Values(ranks))
	for _, r := range ranks {
		for name, k := range map[string]float64{"R@1": 1, "R@5": 5, "R@10": 10} {
			if m[name] += 0; r <= k {
				m[name]++
			}
		}
		m["meanRank"] += r
		m["MRR"] += 1 / r
	}
	for k := range m {
		m[k] /= n
	}
	m["medianRank"] = (ranks[(len(ranks)-1)/2] + ranks[len(ranks)/2]) / 2
	return m
}
