package pipeline

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/stages/stage"
)

func TestLive(t *testing.T) {
	dir := t.TempDir()
	l := live{path: filepath.Join(dir, liveName)}
	now := time.Unix(1000, 0)
	tick := func(after time.Duration, ev Event) {
		now = now.Add(after)
		ev.Time = now
		l.event(ev)
	}
	at := func(name string, n int64) Event {
		return Event{Type: Progress, Stage: name, Counts: Counts{Finished: n}, Metrics: []stage.Metric{{Name: "loss", Value: math.NaN()}}}
	}
	tick(0, at("a", 1))
	tick(time.Millisecond, at("b", 1)) // too soon to be written
	if got := ReadLive(dir); len(got) != 1 || got[0].Stage != "a" || got[0].Finished != 1 {
		t.Fatalf("ReadLive = %+v, want a at 1", got)
	}
	tick(liveEvery, at("a", 2))
	if got := ReadLive(dir); len(got) != 2 || got[0].Finished != 2 || got[1].Stage != "b" {
		t.Fatalf("ReadLive = %+v, want a at 2 and b at 1", got)
	}
	tick(0, Event{Type: StageFinished, Stage: "a"})
	tick(liveEvery, at("b", 7))
	if got := ReadLive(dir); len(got) != 1 || got[0].Finished != 7 {
		t.Fatalf("ReadLive = %+v, want b at 7", got)
	}
	tick(0, Event{Type: RunEnded})
	if got := ReadLive(dir); got != nil {
		t.Fatalf("after the end ReadLive = %+v", got)
	}
}

func TestRunIsAlive(t *testing.T) {
	dir := t.TempDir()
	if RunIsAlive(dir) {
		t.Error("a run without a journal is alive")
	}
	j, err := openJournal(filepath.Join(dir, JournalName), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !RunIsAlive(dir) {
		t.Error("a run with an open journal is not alive")
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if RunIsAlive(dir) {
		t.Error("a run whose journal is closed is alive")
	}
}

// TestEventsDocumented holds docs/events.md to the code: every type and every
// field has its row.
func TestEventsDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	types, fields, _ := strings.Cut(string(doc), "| field | what |")
	src, err := os.ReadFile("journal.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`EventType = "(\w+)"`).FindAllStringSubmatch(string(src), -1) {
		if !strings.Contains(types, "`"+m[1]+"`") {
			t.Errorf("docs/events.md has no row for %s", m[1])
		}
	}
	var each func(reflect.Type)
	each = func(typ reflect.Type) {
		for f := range typ.Fields() {
			if f.Anonymous {
				each(f.Type)
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.Contains(fields, "`"+name+"`") {
				t.Errorf("docs/events.md has no row for the field %s", name)
			}
		}
	}
	each(reflect.TypeFor[Event]())
}
