package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

const stormSpec = `version: 1
vars: {text: none}
stages:
  one: {kind: exec, with: {command: [sh, -c, "echo ${text} > out/a"], outputs: [a]}}
  two: {kind: exec, in: one, with: {command: [sh, -c, "cat in/0/a in/0/a > out/b"], outputs: [b]}}
  three: {kind: exec, in: two, with: {command: [sh, -c, "cat in/0/b in/0/b > out/c"], outputs: [c]}}
`

// TestStormOfGC runs the collector in a loop beside runs in loops, of other
// variables than the collector's, so that all they make is garbage to it as
// soon as no run holds it. Every run must end well, with the digests of an
// undisturbed one, and the collector must have had something to do.
func TestStormOfGC(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pipeline.yaml"), []byte(stormSpec), 0o644); err != nil {
		t.Fatal(err)
	}
	do := func(args ...string) ([]byte, []byte, error) { return hearsight(dir, args...) }
	texts, rounds := []string{"a", "b", "c"}, 8
	want := map[string]string{}
	for _, text := range texts {
		out, errs, err := do("run", "--json", "--store", "calm", "--set", "text="+text)
		if err != nil {
			t.Fatalf("%v\n%s", err, errs)
		}
		want[text] = resultsOf(out)
	}
	var over atomic.Bool
	var wg, collector sync.WaitGroup
	collected := 0
	collector.Go(func() {
		for !over.Load() {
			out, _, err := do("gc", "--force", "--json", "--keep-runs", "0")
			var r collectedJSON
			if err == nil && json.Unmarshal(out, &r) == nil && r.Objects > 0 {
				collected++
			}
		}
	})
	for i := range 2 {
		wg.Go(func() {
			for round := range rounds {
				text := texts[(i+round)%len(texts)]
				out, errs, err := do("run", "--json", "--set", "text="+text)
				if err != nil {
					t.Errorf("a run beside gc: %v\n%s%s", err, out, errs)
				} else if got := resultsOf(out); got != want[text] {
					t.Errorf("a run beside gc gave\n%swant\n%s", got, want[text])
				}
			}
		})
	}
	wg.Wait()
	over.Store(true)
	collector.Wait()
	if out, _, err := do("verify"); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, errs, err := do("gc", "--force", "--json", "--keep-runs", "0")
	if err != nil {
		t.Errorf("gc after all runs: %v\n%s", err, errs)
	}
	t.Logf("%d runs, the collector removed something %d times beside them; at the end: %.300s", 2*rounds, collected, out)
}

// hearsight runs the program, which testscript puts on PATH, in a folder.
func hearsight(dir string, args ...string) (stdout, stderr []byte, err error) {
	c := exec.Command("hearsight", args...)
	var out, errs bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = dir, &out, &errs
	err = c.Run()
	return out.Bytes(), errs.Bytes(), err
}

// resultsOf reads from a run's JSON lines what its stages gave.
func resultsOf(out []byte) string {
	got := map[string]string{}
	for line := range bytes.Lines(out) {
		var ev struct{ Event, Stage, Digest string }
		if json.Unmarshal(line, &ev) == nil && (ev.Event == "stage_finished" || ev.Event == "stage_cached") {
			got[ev.Stage] = ev.Digest
		}
	}
	var s string
	for _, stage := range sortedKeys(got) {
		s += fmt.Sprintln(stage, got[stage])
	}
	return s
}
