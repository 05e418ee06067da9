package pipeline_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/pipeline"
)

func TestWhy(t *testing.T) {
	b := newBench(t, 6)
	b.run(everything)
	rows := b.rows()
	rows["i001"], rows["i002"], rows["new"] = "other", "bad", "x"
	delete(rows, "i003")
	b.write(rows)
	b.run(pipeline.Selection{Targets: []string{"rows"}})
	ask := func(what string) *pipeline.Why {
		t.Helper()
		w, err := b.engine().Why(context.Background(), b.plan(everything), what)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for what, want := range map[string]string{
		"up":      "run: input in changed (6 items: 1 added, 2 changed, 1 removed)",
		"up/i000": "cached: unchanged: taken over from the last result",
		"up/i001": "run: text: text1 -> other",
		"up/i003": "cached: the item is no longer in the inputs",
		"up/new":  "run: not done yet",
		"back/x":  "run: the items of back are not known: it waits for up",
	} {
		if w := ask(what); string(w.State)+": "+w.Reason != want {
			t.Errorf("why %s: %s: %s, want %s", what, w.State, w.Reason, want)
		}
	}
	if w := ask("up"); len(w.Changes) != 1 || w.Changes[0].What != "input in" || !strings.HasPrefix(w.Old, "hearsight action v1\nkind upper 1\n") || w.New == "" {
		t.Errorf("%+v", w)
	}
	b.stage("up").Params = map[string]any{"suffix": "!"}
	if w := ask("up/i000"); w.Reason != `the stage changed: suffix: "" -> "!", input in changed` {
		t.Errorf("%+v", w)
	}
	b.stage("up").Params = nil
	b.run(everything)
	if w := ask("up/i002"); w.Reason != `unchanged: rejected as before: text is "bad"` {
		t.Errorf("%+v", w)
	}
	e, p := b.engine(), b.plan(everything)
	for _, bad := range []string{"nosuch", "nosuch/x", "up/nosuch", "rows/x"} {
		if w, err := e.Why(context.Background(), p, bad); err == nil {
			t.Errorf("why %s: %+v", bad, w)
		}
	}
}

func TestJournalOfARun(t *testing.T) {
	b := newBench(t, 5)
	res := b.run(everything)
	events, err := pipeline.ReadJournal(res.Dir + "/" + pipeline.JournalName)
	if err != nil {
		t.Fatal(err)
	}
	n := make(map[pipeline.EventType]int)
	for _, ev := range events {
		n[ev.Type]++
		if ev.Type == pipeline.StageFinished && ev.Stage == "up" && (ev.Done != 5 || ev.Digest != res.Stage("up").Artifact.Digest.String()) {
			t.Errorf("%+v", ev)
		}
	}
	if n[pipeline.RunStarted] != 1 || n[pipeline.StageStarted] != 4 || n[pipeline.StageFinished] != 4 || n[pipeline.ItemFinished] != 10 || n[pipeline.RunEnded] != 1 || n[pipeline.Progress] != 0 {
		t.Errorf("%v", n)
	}
	if len(b.events(pipeline.Progress)) == 0 {
		t.Error("nobody was told of progress")
	}
	times := pipeline.LastTimes(b.store, 10)
	if times["up"].Items != 5 || times["up"].Wall <= 0 || len(times) != 4 {
		t.Errorf("%+v", times)
	}
}
