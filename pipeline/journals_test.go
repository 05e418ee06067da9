package pipeline_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hearsight/hearsight/pipeline"
)

// TestReadJournals: those of all runs, the oldest first, whatever else lies there.
func TestReadJournals(t *testing.T) {
	b := newBench(t, 2)
	first, second := b.run(everything), b.run(everything)
	runs := filepath.Dir(first.Dir)
	if err := os.Mkdir(filepath.Join(runs, "0-just-begun"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(runs, "no-run"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := pipeline.ReadJournals(b.store.Dir())
	if err != nil || len(all) != 2 || all[0].Dir != first.Dir || all[1].Dir != second.Dir {
		t.Fatalf("%+v, %v: want %s and %s", all, err, first.Dir, second.Dir)
	}
	for i, j := range all {
		has := func(want pipeline.EventType) bool {
			return slices.ContainsFunc(j.Events, func(ev pipeline.Event) bool { return ev.Type == want })
		}
		if !has(pipeline.RunEnded) || has(pipeline.StageFinished) != (i == 0) {
			t.Errorf("run %d: %+v", i, j.Events)
		}
	}
	if all, err := pipeline.ReadJournals(t.TempDir()); err != nil || all != nil {
		t.Errorf("no store: %+v, %v", all, err)
	}
}
