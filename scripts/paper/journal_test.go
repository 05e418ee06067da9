package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hearsight/hearsight/pipeline"
)

// TestTrained: attempts that were interrupted or killed count, up to the last
// sign of them; another key's, another stage's and later ones do not. Day and
// machine are those of the run that first had the result.
func TestTrained(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("east", 3600)).Add(time.Duration(seconds * float64(time.Second)))
	}
	dir := t.TempDir()
	stage := filepath.Join(dir, "stage-model@A")
	if err := os.MkdirAll(stage, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stage, "metrics.jsonl"), []byte(`{"time":"2025-12-31T23:00:07Z","step":10}`+"\n"+`{"time":"2026`), 0o644); err != nil {
		t.Fatal(err)
	}
	ev := func(typ pipeline.EventType, stage, key, digest string, t float64) pipeline.Event {
		return pipeline.Event{Type: typ, Stage: stage, Key: key, Digest: digest, Time: at(t)}
	}
	on := func(machine string) pipeline.Event {
		return pipeline.Event{Type: pipeline.RunStarted, Machine: machine}
	}
	start, stop, end := pipeline.StageStarted, pipeline.StageStopped, pipeline.StageFinished
	all := []pipeline.RunJournal{
		{Events: []pipeline.Event{on("a"), ev(start, "model@A", "old", "", 0), ev(end, "model@A", "old", "d0", 100)}},
		{Dir: dir, Events: []pipeline.Event{on("b"), ev(start, "model@A", "k", "", 0), ev(start, "model@B", "k", "", 0), ev(end, "model@B", "k", "d", 50)}}, // killed
		{Events: []pipeline.Event{on("c"), ev(start, "model@A", "k", "", 100), ev(stop, "model@A", "", "", 103)}},
		{Events: []pipeline.Event{on("d"), ev(start, "model@A", "k", "", 90000), ev(end, "model@A", "k", "d1", 90005)}},
		{Events: []pipeline.Event{on("e"), ev(pipeline.StageCached, "model@A", "k", "d1", 180000)}},
		{Events: []pipeline.Event{on("f"), ev(start, "model@A", "k", "", 270000), ev(end, "model@A", "k", "d1", 270100)}}, // by force
		{Events: []pipeline.Event{ev(start, "model@C", "k", "", 0), ev(end, "model@C", "k", "d2", 4000)}},                 // of an older version
	}
	for _, c := range []struct {
		stage, digest string
		want          training
	}{
		{"model@A", "d1", training{7 + 3 + 5, "2026-01-02", "d"}},
		{"model@A", "d0", training{100, "2025-12-31", "a"}},
		{"model@B", "d", training{50, "2025-12-31", "b"}},
		{"model@C", "d2", training{4000, "2026-01-01", ""}},
		{"model@A", "other", training{}},
	} {
		if got := trained(all, c.stage, c.digest); got != c.want {
			t.Errorf("%s %s: %+v, want %+v", c.stage, c.digest, got, c.want)
		}
	}
}
