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

// TestGCKeepsOutOfPlanning has a run and a plan meet the collector at the
// earliest moment that another program can see: when planning asks a synthesiser
// for its version. What a plan has found must not go before it is run.
func TestGCKeepsOutOfPlanning(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"pipeline.yaml": `version: 1
stages:
  scenes: {kind: scenes, with: {train: 4, validation: 2, hard: 0}}
  tts: {kind: tts, in: scenes, with: {engine: espeak-ng}}
`,
		"bin/espeak-ng": "#!/bin/sh\nhearsight gc --force --keep-runs 0 >>gc.log 2>&1\necho $? >>gc.rc\nexit 1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, errs, err := hearsight(dir, "run", "scenes"); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, command := range []string{"run", "plan"} {
		_ = os.Remove(filepath.Join(dir, "gc.rc"))
		_, _, _ = hearsight(dir, command) // fails for want of a synthesiser
		rc, err := os.ReadFile(filepath.Join(dir, "gc.rc"))
		if err != nil {
			t.Fatalf("%s asked for no version: %v", command, err)
		}
		log, _ := os.ReadFile(filepath.Join(dir, "gc.log"))
		for line := range bytes.Lines(rc) {
			if string(line) == "0\n" || !bytes.Contains(log, []byte("in use")) {
				t.Errorf("gc while %s plans: exit %swith\n%s", command, line, log)
			}
		}
	}
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
