package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/pipeline"
	"github.com/rogpeppe/go-internal/testscript"
)

// journals returns the events of all runs in the store, the oldest first.
func journals(ts *testscript.TestScript) [][]pipeline.Event {
	paths, err := filepath.Glob(ts.MkAbs(filepath.Join(".hearsight", "runs", "*", pipeline.JournalName)))
	ts.Check(err)
	var runs [][]pipeline.Event
	for _, path := range paths { // sorted: the names begin with the time
		events, err := pipeline.ReadJournal(path)
		ts.Check(err)
		runs = append(runs, events)
	}
	if len(runs) == 0 {
		ts.Fatalf("there is no journal")
	}
	return runs
}

// items STAGE N: by its journal, the last run did N items of STAGE.
func items(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: items STAGE N")
	}
	runs := journals(ts)
	n := 0
	for _, ev := range runs[len(runs)-1] {
		if ev.Type == pipeline.ItemFinished && ev.Stage == args[0] {
			n++
		}
	}
	if fmt.Sprint(n) != args[1] {
		ts.Fatalf("the last run did %d items of %s, want %s", n, args[0], args[1])
	}
}

// once STAGE N: by the journals of all runs each of the N items of STAGE was
// done, and none twice. Those that a killed run had in hand may be missing: it
// may have kept their rows and not lived to say so.
func once(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: once STAGE N")
	}
	done, inHand := map[string]bool{}, 0
	for _, events := range journals(ts) {
		for _, ev := range events {
			if ev.Type != pipeline.ItemFinished || ev.Stage != args[0] {
				continue
			}
			if done[ev.Item] {
				ts.Fatalf("%s: %s was done twice", args[0], ev.Item)
			}
			done[ev.Item] = true
		}
		if len(events) > 0 && events[len(events)-1].Type != pipeline.RunEnded {
			inHand += 4 // with --jobs 2: two shards at a time, two items of each
		}
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	if len(done) > want || len(done) < want-inHand {
		ts.Fatalf("%d items of %s were done, want %d", len(done), args[0], want)
	}
}

// json FILE: FILE is one JSON value, or a JSON object a line.
func jsonLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json FILE")
	}
	text := ts.ReadFile(args[0])
	if json.Valid([]byte(text)) {
		return
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			ts.Fatalf("line %d of %s is no JSON object: %v: %q", i+1, args[0], err, line)
		}
	}
}

// tones N FOLDER: N short WAV files, tone-000.wav, …, each another sound, and a
// table of them, FOLDER/table.csv.
func tones(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tones N FOLDER")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o755))
	list := "id,audio\n"
	for i := range n {
		name := fmt.Sprintf("tone-%03d", i)
		list += fmt.Sprintf("%s,%s.wav\n", name, name)
		ts.Check(os.WriteFile(filepath.Join(dir, name+".wav"), tone(200+10*float64(i)), 0o644))
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "table.csv"), []byte(list), 0o644))
}

// tone is a quarter of a second of a sine, mono PCM16 at 8 kHz.
func tone(hz float64) []byte {
	const rate, n = 8000, 2000
	var b bytes.Buffer
	put := func(v ...any) {
		for _, x := range v {
			_ = binary.Write(&b, binary.LittleEndian, x) // a Buffer takes all
		}
	}
	put([]byte("RIFF"), uint32(36+2*n), []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(rate), uint32(2*rate), uint16(2), uint16(16), []byte("data"), uint32(2*n))
	for i := range n {
		put(int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/rate)))
	}
	return b.Bytes()
}

// flip STAGE: spoils one byte of the first part of STAGE's last result, whose
// digest is then $FLIPPED.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip STAGE")
	}
	var digest string
	for _, events := range journals(ts) {
		for _, ev := range events {
			if ev.Stage == args[0] && ev.Type == pipeline.StageFinished {
				digest = ev.Digest
			}
		}
	}
	b, err := os.ReadFile(objectPath(ts, digest))
	ts.Check(err)
	var manifest struct {
		Parts []struct {
			Digest string `json:"digest"`
		} `json:"parts"`
	}
	ts.Check(json.Unmarshal(b, &manifest))
	part := manifest.Parts[0].Digest
	ts.Setenv("FLIPPED", part)
	path := objectPath(ts, part)
	data, err := os.ReadFile(path)
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.Chmod(path, 0o644))
	ts.Check(os.WriteFile(path, data, 0o644))
	ts.Check(os.Chmod(path, 0o444))
}

func objectPath(ts *testscript.TestScript, digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	if len(hex) != 64 {
		ts.Fatalf("no digest: %q", digest)
	}
	return ts.MkAbs(filepath.Join(".hearsight", "objects", hex[:2], hex[2:]))
}
