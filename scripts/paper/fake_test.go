package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hearsight/hearsight/pipeline"
)

// fakeProgram answers as hearsight does for the row VGG16_5, by a script: a run
// leaves the journal of a training in its store and notes that store's folder
// in the file stores.
func fakeProgram(t *testing.T, photos int) (p *program, stores string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	at := "2026-01-01T10:00:"
	var journal strings.Builder
	for _, ev := range []string{
		`{"time":"` + at + `00Z","type":"run_started","machine":"M, 3 CPUs"}`,
		`{"time":"` + at + `00Z","type":"stage_started","stage":"model@VGG16_5","key":"k"}`,
		`{"time":"` + at + `30Z","type":"stage_finished","stage":"model@VGG16_5","key":"k","digest":"sha256:m"}`,
	} {
		fmt.Fprintf(&journal, "{\"crc\":\"%08x\",\"event\":%s}\n", crc32.Checksum([]byte(ev), crc32.MakeTable(crc32.Castagnoli)), ev)
	}
	write("runs/r/"+pipeline.JournalName, journal.String())
	var steps strings.Builder
	for _, n := range []int{20, 40, 60} {
		fmt.Fprintf(&steps, `{"time":"%s20Z","step":%d,"pairs_seen":%d,"pairs_per_second":16}`+"\n", at, n, 4*n)
	}
	write("runs/r/stage-model@VGG16_5/metrics.jsonl", steps.String())
	share := `{"value":0.2,"low":0.1,"high":0.3}`
	ways := `{"p1":` + share + `,"p5":` + share + `,"p10":` + share + `}`
	write("metrics.json", `{"VGG16_5":{"sets":[{"pairs":100,"speech_to_image":`+ways+`,"image_to_speech":`+ways+`}]}}`)
	write("model.json", `{"digest":"sha256:m","parts":[{"name":"model.safetensors","digest":"sha256:w"}]}`)
	write("curve.json", `{"step":60,"pairs_seen":240,"loss":1.5}`+"\n")
	write("hearsight", `#!/bin/sh
cd "$(dirname "$0")"
while [ $# -gt 0 ]; do
	case $1 in
	run) verb=run ;;
	metrics) answer=metrics.json ;;
	--sample) answer=model.json ;;
	--export) answer=curve.json ;;
	--store) store=$2 ;;
	esac
	shift
done
[ "${verb:-}" != run ] || { mkdir -p "$store" && cp -r runs "$store" && echo "$store" >>stores; }
[ -z "${answer:-}" ] || cat "$answer"
`)
	return &program{binary: filepath.Join(dir, "hearsight"), store: filepath.Join(dir, "store"), photos: photos, captions: captions, out: io.Discard, err: io.Discard}, filepath.Join(dir, "stores")
}

// TestMeasured: two runs that measure at once have a store each, which is gone
// afterwards, and both find the pace.
func TestMeasured(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p, stores := fakeProgram(t, whole)
	rows, err := chosen("VGG16_5", true)
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(t.TempDir(), "paper.json")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			paces, err := measured(context.Background(), p, options{cache: cache, measure: true}, rows)
			if v := paces[rows[0].load]; err != nil || v.Step != .25 || v.Fixed != 15 || v.Steps != 60 {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
	wg.Wait()
	text, err := os.ReadFile(stores)
	if err != nil {
		t.Fatal(err)
	}
	used := strings.Fields(string(text))
	if len(used) != 2 || used[0] == used[1] {
		t.Errorf("measured in %q", used)
	}
	for _, dir := range used {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}

// TestLine: a row's line tells of its training, and nothing of the day and the
// machine that it is collected on.
func TestLine(t *testing.T) {
	p, _ := fakeProgram(t, whole)
	rows, err := chosen("VGG16_5", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.run(context.Background(), rows[0], 60, rows[0].scores); err != nil {
		t.Fatal(err)
	}
	l, err := p.line(context.Background(), rows[0], 60)
	if err != nil || l.Date != "2026-01-01" || l.Machine != "M, 3 CPUs" || l.Seconds != 30 || l.PairsSeen != 240 || l.Model != "sha256:m" || l.Weights != "sha256:w" {
		t.Errorf("%+v, %v", l, err)
	}
	if err := os.RemoveAll(filepath.Join(p.store, "runs")); err != nil {
		t.Fatal(err)
	}
	l, err = p.line(context.Background(), rows[0], 60)
	text, _ := json.Marshal(l)
	if err != nil || strings.Contains(string(text), `"date"`) || strings.Contains(string(text), `"machine"`) || l.Seconds != 0 {
		t.Errorf("without the run's journal: %s, %v", text, err)
	}
	if got := sharedSettings([]line{l}); got[len(got)-1] != "machine: "+l.Numeric {
		t.Errorf("%q", got)
	}
}
