package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBudget(t *testing.T) {
	p := pace{Step: .1, Fixed: 5} // .12 s a step with its share of the scoring
	for _, c := range []struct {
		minutes float64
		want    int64
	}{
		{20, 9900},              // 1,195 s / .12 s = 9,958
		{.2834, 100}, {.283, 0}, // 100 steps take 17 s
		{.01, 0},
	} {
		if got := p.steps(c.minutes); got != c.want {
			t.Errorf("%v minutes are %d steps, want %d", c.minutes, got, c.want)
		}
		if used := p.minutes(c.want); c.want > 0 && used > c.minutes {
			t.Errorf("%d steps take %v minutes of %v", c.want, used, c.minutes)
		}
	}
	if got := fullSteps(6000); got != 1125000 {
		t.Errorf("the recipe has %d steps, want 150 epochs of 30,000 pairs, 4 a step", got)
	}
}

func TestTrainedPace(t *testing.T) {
	lines := []metricsLine{
		{Step: 10, PairsSeen: 40, PairsPerSecond: 10}, // .4 s a step: the first ones
		{Step: 20, PairsSeen: 80, PairsPerSecond: 40},
		{Step: 30, PairsSeen: 120, PairsPerSecond: 4}, // a neighbour
		{Step: 40, PairsSeen: 160, PairsPerSecond: 20},
		{Step: 40, PairsSeen: 160}, // the end of a run that found all done
	}
	p, err := trainedPace(lines, 20)
	if err != nil || math.Abs(p.Step-.2) > 1e-12 || p.Steps != 40 {
		t.Fatalf("%+v, %v", p, err)
	}
	if want := 20 - (4. + 1 + 10 + 2); math.Abs(p.Fixed-want) > 1e-9 {
		t.Errorf("fixed %v, want %v", p.Fixed, want)
	}
	if _, err := trainedPace(lines[:1], 20); err == nil {
		t.Error("a pace of the first steps alone")
	}
}

func TestPaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "paper.json")
	p, err := openPaces(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.of("a"); ok {
		t.Error("a pace of nothing")
	}
	if err := p.put("a", pace{Step: .5, Steps: 60}); err != nil {
		t.Fatal(err)
	}
	p.all["another machine"] = map[string]pace{"b": {Step: 1}}
	if err := p.put("c", pace{Step: .25}); err != nil {
		t.Fatal(err)
	}
	other, err := openPaces(path) // by a run beside this one
	if err != nil {
		t.Fatal(err)
	}
	if err := p.put("d", pace{Step: 2}); err != nil {
		t.Fatal(err)
	}
	if err := other.put("e", pace{Step: 3}); err != nil {
		t.Fatal(err)
	}
	if p, err = openPaces(path); err != nil {
		t.Fatal(err)
	}
	for load, want := range map[string]float64{"d": 2, "e": 3} {
		if v, ok := p.of(load); !ok || v.Step != want {
			t.Errorf("%s: %+v, want %v", load, v, want)
		}
	}
	if v, ok := p.of("a"); !ok || v.Step != .5 || v.Steps != 60 {
		t.Errorf("%+v", v)
	}
	if _, ok := p.of("b"); ok {
		t.Error("the pace of another machine")
	}
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openPaces(path); err == nil || !strings.Contains(err.Error(), "delete the file") {
		t.Errorf("a broken file: %v", err)
	}
}
