package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/stages/stage"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func keyNo(i int) artifacts.Digest { return artifacts.Digest{byte(i), 1, 2} }

// TestItemLogTornAnywhere cuts the log at every byte: what was whole before the
// cut is found again, and what is added then too.
func TestItemLogTornAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "items.log")
	l, err := openItemLog(atomicfile.OS{}, path, t0)
	if err != nil {
		t.Fatal(err)
	}
	var ends []int64
	for i := range 4 {
		row, reason := []byte(strings.Repeat("r", 3*i)), ""
		if i == 2 {
			row, reason = nil, "bad"
		}
		if i == 0 {
			row = []byte{} // an empty row is a row
		}
		if err := l.add(keyNo(i), row, reason, t0); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, l.end)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := openItemLog(atomicfile.OS{}, path, t0)
		if err != nil {
			t.Fatal(err)
		}
		for i, end := range ends {
			e, ok := l.get(keyNo(i))
			if ok != (int64(cut) >= end) {
				t.Errorf("cut at %d: item %d found %t", cut, i, ok)
			}
			if ok && i == 2 && (e.isRow || e.reject != "bad") {
				t.Errorf("cut at %d: rejected item is %+v", cut, e)
			}
			if ok && i != 2 {
				if b, err := l.row(keyNo(i), e); err != nil || len(b) != 3*i {
					t.Errorf("cut at %d: row %d is %q, %v", cut, i, b, err)
				}
			}
		}
		addAndReopen(t, path, l)
	}
}

func addAndReopen(t *testing.T, path string, l *itemLog) {
	t.Helper()
	if err := l.add(keyNo(9), []byte("new"), "", t0); err != nil {
		t.Fatal(err)
	}
	l.close()
	l, err := openItemLog(atomicfile.OS{}, path, t0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if _, ok := l.get(keyNo(9)); !ok {
		t.Errorf("what was added to a log of %d bytes is lost", l.end)
	}
}

// FuzzItemLog opens logs of any bytes: no panic, and a row that is found can be
// read.
func FuzzItemLog(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	l, err := openItemLog(atomicfile.OS{}, path, t0)
	if err != nil {
		f.Fatal(err)
	}
	l.add(keyNo(1), []byte("row"), "", t0)
	l.add(keyNo(2), nil, "reason", t0)
	l.close()
	seed, _ := os.ReadFile(path)
	f.Add(seed)
	f.Add(seed[:len(seed)-2])
	f.Add([]byte("\xff\xff\xff\x7f0000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := openItemLog(atomicfile.OS{}, path, t0)
		if err != nil {
			t.Fatal(err)
		}
		defer l.close()
		for key, e := range l.found {
			if e.isRow {
				if _, err := l.row(key, e); err != nil {
					t.Errorf("row %v: %v", key, err)
				}
			}
		}
	})
}

func TestJournalTornAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), JournalName)
	want := []Event{
		{Time: t0, Type: RunStarted, Run: "r", Targets: []string{"a", "b<&>\n"}},
		{Time: t0, Type: ItemFinished, Stage: "a", Item: "\"x\" y", Seconds: .25, Counts: Counts{Rejected: 1}},
		{Time: t0, Type: RunEnded, State: "done"},
	}
	j, err := openJournal(path, t0)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range want {
		if err := j.write(ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		events, end, err := readJournal(bytes.NewReader(whole[:cut]))
		n := bytes.Count(whole[:cut], []byte("\n"))
		if err != nil || end > int64(cut) || len(events) != n {
			t.Fatalf("cut at %d: %d events to %d, %v", cut, len(events), end, err)
		}
		if d := cmp.Diff(want[:n], append([]Event{}, events...)); d != "" {
			t.Fatalf("cut at %d: %s", cut, d)
		}
	}
	for i := range whole { // any flipped bit ends the journal there or changes nothing
		flipped := bytes.Clone(whole)
		flipped[i] ^= 4
		events, _, _ := readJournal(bytes.NewReader(flipped))
		for k, ev := range events {
			if d := cmp.Diff(want[k], ev); d != "" {
				t.Fatalf("bit flipped at %d: %s", i, d)
			}
		}
	}
	if err := os.WriteFile(path, whole[:len(whole)-5], 0o644); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(path, t0); err != nil {
		t.Fatal(err)
	}
	j.write(Event{Time: t0, Type: Message})
	j.close()
	if events, err := ReadJournal(path); err != nil || len(events) != 3 || events[2].Type != Message {
		t.Errorf("after a torn tail: %d events, %v", len(events), err)
	}
}

func FuzzReadJournal(f *testing.F) {
	f.Add([]byte(`{"crc":"00000000","event":{}}` + "\n"))
	f.Add([]byte("{\"crc\":\"7d2ee8f0\",\"event\":{\"time\":\"2026-01-02T03:04:05Z\",\"type\":\"message\"}}\nx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, end, err := readJournal(bytes.NewReader(data))
		if err != nil || end > int64(len(data)) || len(events) > bytes.Count(data, []byte("\n")) {
			t.Errorf("%d events to %d of %d, %v", len(events), end, len(data), err)
		}
	})
}

func TestDiffInWords(t *testing.T) {
	older := actionHeader + "kind tts 3\nnumeric go-amd64\nexternal data sha256:aa\nparam rate 150\nparam voice \"en\"\ntool espeak-ng \"1.51\"\ninput models sha256:01\ninput models sha256:02\n"
	newer := actionHeader + "kind tts 4\nnumeric avx2\nexternal data sha256:bb\nparam pitch 3\nparam voice \"en us\"\ntool espeak-ng \"1.52\"\ninput models sha256:01\ninput models sha256:03\ninput models sha256:04\n"
	var got []string
	for _, c := range Diff(older, newer) {
		got = append(got, c.String())
	}
	want := []string{
		"code of tts: version 3 -> 4", "numeric: go-amd64 -> avx2", "external data changed", "pitch: none -> 3",
		`voice: "en" -> "en us"`, `tool espeak-ng: "1.51" -> "1.52"`, "input models 2 changed", "input models 3 is new", "rate: 150 -> none",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestShardsAreForEver holds the placing of items to values worked out once:
// another hash would redo every item of every store.
func TestShardsAreForEver(t *testing.T) {
	for id, want := range map[string]int{"a": 10, "1000268201_693b08cb0e.jpg#0": 7, "日本": 11} {
		if got := shardOf(id, 16); got != want {
			t.Errorf("shardOf(%q, 16) = %d, want %d", id, got, want)
		}
	}
	n := make([]int, 16)
	for i := range 16000 {
		n[shardOf(fmt.Sprintf("photo%05d", i), 16)]++
	}
	for i, c := range n {
		if c < 850 || c > 1150 {
			t.Errorf("shard %d has %d of 16000 items", i, c)
		}
	}
}

func TestItemKeyTellsListsApart(t *testing.T) {
	seen := make(map[artifacts.Digest]string)
	for _, it := range []stage.Item{
		{ID: "a"}, {ID: "b"}, {ID: "a", Key: []string{""}}, {ID: "a", Key: []string{"x", "y"}}, {ID: "a", Key: []string{"xy"}},
		{ID: "a", Key: []string{"x\ny"}}, {ID: "ax", Key: []string{"y"}}, {ID: "a", Key: []string{"y", "x"}},
	} {
		b, _ := json.Marshal(it)
		if other, ok := seen[itemKey("base", it)]; ok {
			t.Errorf("%s and %s have one key", b, other)
		}
		seen[itemKey("base", it)] = string(b)
	}
	if itemKey("base", stage.Item{ID: "a"}) == itemKey("bas", stage.Item{ID: "a"}) {
		t.Error("the base is not in the key")
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{"plain": "plain", "": `""`, "a\nkind x 1": `"a\nkind x 1"`, "a b": `"a b"`} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestOutputNames(t *testing.T) {
	s, err := artifacts.Open(filepath.Join(t.TempDir(), "store"), artifacts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o := &output{store: s, kind: "k"}
	defer o.abort()
	for _, bad := range []string{"", ".", "..", "/a", "a/../b", "a//b", "../x", "a\\b", "a\x00", "rejects.parquet"} {
		if _, err := o.Create(bad, ""); err == nil {
			t.Errorf("Create(%q) passed", bad)
		}
	}
	p, err := o.Create("a/b", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Create("a/b", ""); err == nil {
		t.Error("the same part twice passed")
	}
	io.WriteString(p, "x")
	if _, _, err := o.finish(); err == nil {
		t.Error("an open part passed")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err == nil {
		t.Error("closing twice passed")
	}
}
