package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/pipeline/local"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

var everything = pipeline.Selection{}

func TestColdThenNothing(t *testing.T) {
	b := newBench(t, 10)
	first := b.run(everything)
	b.mustRunAll(10)
	joined := b.read(first.Stage("all").Artifact, "joined.txt")
	if want := "0TXET,1TXET,2TXET,3TXET,4TXET,5TXET,6TXET,7TXET,8TXET,9TXET"; joined != want {
		t.Errorf("joined %q, want %q", joined, want)
	}
	second := b.run(everything)
	b.want()
	if digests(first) != digests(second) {
		t.Error("digests changed")
	}
	for _, s := range second.Stages {
		if s.State != pipeline.StageCached {
			t.Errorf("%s is %s", s.Stage, s.State)
		}
	}
	if got, err := os.ReadDir(filepath.Join(b.store.Dir(), "partial")); err != nil || len(got) != 0 {
		t.Errorf("partial/ holds %v, %v", got, err)
	}
}

func (b *bench) mustRunAll(n int) {
	b.t.Helper()
	want := []string{"read", "all"}
	for i := range n {
		want = append(want, fmt.Sprintf("upper i%03d", i), fmt.Sprintf("reverse i%03d", i))
	}
	b.want(want...)
}

func (b *bench) read(a *artifacts.Artifact, part string) string {
	b.t.Helper()
	p, ok := a.Part(part)
	if !ok {
		b.t.Fatalf("no part %s", part)
	}
	f, err := a.Open(p)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, p.Size)
	if _, err := f.ReadAt(data, 0); err != nil && p.Size > 0 {
		b.t.Fatal(err)
	}
	return string(data)
}

func TestEditOneOfHundred(t *testing.T) {
	b := newBench(t, 100)
	b.run(everything)
	for _, c := range []struct {
		name string
		edit func(rows map[string]string)
		want []string
	}{
		{"edit", func(r map[string]string) { r["i042"] = "other" }, []string{"read", "all", "upper i042", "reverse i042"}},
		{"insert", func(r map[string]string) { r["i0415"] = "new" }, []string{"read", "all", "upper i0415", "reverse i0415"}},
		{"delete", func(r map[string]string) { delete(r, "i007") }, []string{"read", "all"}},
		{"touch", func(r map[string]string) {}, nil},
		{"go bad", func(r map[string]string) { r["i042"] = "bad" }, []string{"read", "all", "upper i042"}},
		{"others beside the bad one", func(r map[string]string) { r["i043"] = "x" }, []string{"read", "all", "upper i043", "reverse i043"}},
		{"get well", func(r map[string]string) { r["i042"] = "text42" }, []string{"read", "all", "upper i042", "reverse i042"}},
	} {
		rows := b.rows()
		c.edit(rows)
		b.write(rows)
		res := b.run(everything)
		if t.Run(c.name, func(t *testing.T) {
			b.t = t
			b.want(c.want...)
			if got, want := digests(res), b.cold(); got != want {
				t.Errorf("digests\n%swant those of a cold run\n%s", got, want)
			}
		}); t.Failed() {
			return
		}
		b.t = t
	}
}

func (b *bench) rows() map[string]string {
	data, err := os.ReadFile(b.file)
	if err != nil {
		b.t.Fatal(err)
	}
	rows := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		id, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		rows[id] = text
	}
	return rows
}

func TestEarlyCutOff(t *testing.T) {
	b := newBench(t, 5)
	b.run(everything)
	// Texts that differ only in case: upper gives the same bytes.
	rows := b.rows()
	rows["i003"] = "Text3"
	b.write(rows)
	b.run(everything)
	b.want("read", "upper i003")
}

func TestBackToAnOldVersion(t *testing.T) {
	b := newBench(t, 5)
	v1 := b.run(everything)
	b.stage("up").Params = map[string]any{"suffix": "!"}
	b.run(everything)
	b.stage("up").Params = nil
	again := b.run(everything)
	b.want()
	if digests(v1) != digests(again) {
		t.Error("v1 -> v2 -> v1 gave other digests")
	}
}

func TestSelections(t *testing.T) {
	b := newBench(t, 3)
	ups := []string{"upper i000", "upper i001", "upper i002"}
	backs := []string{"reverse i000", "reverse i001", "reverse i002"}

	// --only: nothing else, and missing inputs are an error.
	_, err := b.try(pipeline.Selection{Only: []string{"up"}})
	var blocked *pipeline.BlockedError
	if !errors.As(err, &blocked) || !strings.Contains(err.Error(), "rows") {
		t.Errorf("--only up in an empty store: %v", err)
	}
	b.want()

	b.run(pipeline.Selection{Targets: []string{"up"}})
	b.want(append([]string{"read"}, ups...)...)
	b.run(pipeline.Selection{Only: []string{"back"}})
	b.want(backs...)
	b.run(everything)
	b.want("all")

	// --force: S anew, later ones only if its bytes change.
	res := b.run(pipeline.Selection{Force: []string{"up"}})
	b.want(ups...)
	if s := res.Stage("back"); s.State != pipeline.StageCached {
		t.Errorf("back after a forced up with equal bytes: %s", s.State)
	}
	b.run(pipeline.Selection{Force: []string{"rows"}})
	b.want("read")

	// --from: S and everything after it anew.
	b.run(pipeline.Selection{From: []string{"back"}})
	b.want(append([]string{"all"}, backs...)...)

	b.run(pipeline.Selection{Only: []string{"back"}, Force: []string{"back"}})
	b.want(backs...)

	// --from without a target is not about stages beside its own.
	b.p.Stages = append(b.p.Stages, spec.Stage{Name: "beside", Base: "beside", Kind: "join", Inputs: map[string][]string{"in": {"rows"}}})
	b.run(pipeline.Selection{From: []string{"back"}})
	b.want(append([]string{"all"}, backs...)...)
	b.run(pipeline.Selection{From: []string{"back"}, Targets: []string{"back", "beside"}})
	b.want(append([]string{"beside"}, backs...)...)

	// Names that are not there, and contradictions.
	var unknown *pipeline.UnknownStageError
	for _, sel := range []pipeline.Selection{{Targets: []string{"x"}}, {Only: []string{"x"}}, {From: []string{"x"}}, {Force: []string{"x"}}} {
		if _, err := b.try(sel); !errors.As(err, &unknown) {
			t.Errorf("%+v: %v", sel, err)
		}
	}
	if _, err := b.try(pipeline.Selection{Targets: []string{"up"}, Force: []string{"back"}}); err == nil {
		t.Error("--force of a stage that is not selected passed")
	}
}

// TestForcedReplaces has a stage that gives other bytes each time it is forced.
func TestForcedReplaces(t *testing.T) {
	b := newBench(t, 2)
	suffix := "a"
	ks := kinds(&b.ran, nil)
	ks[0] = stage.New(stage.Kind{Name: "read", Version: 1, Output: "rows"}, readParams{}, func(ctx context.Context, t *stage.Task, p readParams) error {
		p0, err := t.Out.Create("rows.jsonl", "test.rows/1")
		if err != nil {
			return err
		}
		fmt.Fprintf(p0, "{\"ID\":\"x\",\"Text\":%q}\n", suffix)
		p0.SetRows(1)
		return p0.Close()
	})
	run := func(sel pipeline.Selection) string {
		e, err := pipeline.New(b.p, ks, b.store, b.o)
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Plan(context.Background(), sel)
		if err != nil {
			t.Fatal(err)
		}
		res, err := e.Run(context.Background(), p, local.New(local.Options{CPUs: 1}))
		if err != nil {
			t.Fatal(err)
		}
		return b.read(res.Stage("all").Artifact, "joined.txt")
	}
	if got := run(everything); got != "A" {
		t.Fatalf("got %q", got)
	}
	suffix = "b"
	if got := run(pipeline.Selection{Force: []string{"rows"}}); got != "B" {
		t.Errorf("after force: %q, want B", got)
	}
	if got := run(everything); got != "B" {
		t.Errorf("the forced result did not stay: %q", got)
	}
}

func TestMatrixNamesAndMany(t *testing.T) {
	b := newBench(t, 2)
	b.p.Stages[1].Name, b.p.Stages[1].Base = "up@a", "up"
	second := b.p.Stages[1]
	second.Name, second.Params = "up@b", map[string]any{"suffix": "?"}
	b.p.Stages = slices.Insert(b.p.Stages, 2, second)
	b.stage("back").Inputs = map[string][]string{"in": {"up@b"}}
	b.stage("all").Inputs = map[string][]string{"in": {"up@b", "up@a"}}
	b.run(pipeline.Selection{Targets: []string{"up"}})
	b.want("read", "upper i000 x2", "upper i001 x2")
	res := b.run(pipeline.Selection{Targets: []string{"all"}})
	if got, want := b.read(res.Stage("all").Artifact, "joined.txt"), "TEXT0?,TEXT1?,TEXT0,TEXT1"; got != want {
		t.Errorf("joined %q, want %q: inputs in the order of the spec", got, want)
	}
}

func TestReasons(t *testing.T) {
	b := newBench(t, 10)
	reason := func(name string) string {
		t.Helper()
		a := b.plan(everything).Action(name)
		return string(a.State) + ": " + a.Reason
	}
	check := func(name, want string) {
		t.Helper()
		if got := reason(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	check("rows", "run: not run yet")
	check("up", "run: waits for rows")
	b.run(everything)
	check("up", "cached: ")
	b.stage("up").Params = map[string]any{"suffix": "!", "tool": "2.0"}
	check("up", `run: suffix: "" -> "!", tool: "" -> "2.0", tool tool: none -> "2.0" (10 items)`)
	check("back", "run: waits for up")
	b.stage("up").Params = map[string]any{"tool": "missing"}
	check("up", "blocked: the tool is not installed: apt-get install tool")
	check("all", "blocked: needs back, which is blocked")
	b.stage("up").Params = nil
	b.o.Numeric = "other"
	check("up", "run: numeric: go-test -> other (10 items)")
	b.o.Numeric = "go-test"
	b.stage("all").Params = nil
	check("all", `run: sep: "," -> ""`)
	b.stage("all").Params = map[string]any{"sep": ","}
	rows := b.rows()
	rows["i003"], rows["new"] = "z", "y"
	delete(rows, "i000")
	b.write(rows)
	check("rows", "run: external file changed")
	b.run(pipeline.Selection{Targets: []string{"rows"}})
	check("up", "run: input in changed (10 items: 1 added, 1 changed, 1 removed)")
	os.Remove(b.file)
	if got := reason("rows"); !strings.HasPrefix(got, "blocked: file: hash input") {
		t.Errorf("rows without its file: %q", got)
	}
	if _, err := b.try(everything); err == nil {
		t.Error("ran without its input")
	}
}

func TestKeysHoldNoPaths(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(everything)
	if d := p.Action("rows").Description; strings.Contains(d, "/") && strings.Contains(d, filepath.Dir(b.file)) {
		t.Errorf("the description holds a path:\n%s", d)
	}
	b.run(everything)
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(b.file, moved); err != nil {
		t.Fatal(err)
	}
	b.stage("rows").Params = map[string]any{"file": moved}
	b.stage("up").Name, b.stage("back").Inputs = "renamed", map[string][]string{"in": {"renamed"}}
	b.run(everything)
	b.want()
}

func TestRejects(t *testing.T) {
	b := newBench(t, 20)
	rows := b.rows()
	rows["i004"], rows["i005"], rows["i006"] = "bad", "bad", "bad"
	b.write(rows)
	_, err := b.try(everything)
	var limit *pipeline.RejectLimitError
	if !errors.As(err, &limit) || limit.Limit != 1 || limit.Total != 20 || len(limit.Rejects) != 3 || limit.Rejects[0].Item != "i004" {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), `i005: text is "bad"`) {
		t.Errorf("the error does not name the item: %v", err)
	}
	// Raising the limit costs nothing of what was done.
	b.stage("up").MaxRejects = spec.MaxRejects{Given: true, IsCnt: true, Count: 3}
	res := b.run(everything)
	for _, what := range b.ran.take() {
		if strings.HasPrefix(what, "upper") {
			t.Errorf("%s was done again", what)
		}
	}
	up := res.Stage("up").Artifact
	if m := up.Manifest; m.Items != 17 || m.Rejected != 3 {
		t.Errorf("%d items, %d rejected", m.Items, m.Rejected)
	}
	if got := b.read(up, "rejects.jsonl"); strings.Count(got, "\n") != 3 || !strings.Contains(got, `{"item":"i006","stage":"upper","reason":"text is \"bad\""}`) {
		t.Errorf("rejects: %s", got)
	}
	// And lowering it brings the failure back.
	b.stage("up").MaxRejects = spec.MaxRejects{Given: true, IsCnt: true, Count: 2}
	if _, err := b.try(everything); !errors.As(err, &limit) {
		t.Errorf("limit of 2: %v", err)
	}
	b.want()
}

func TestRejectsOfWholeStages(t *testing.T) {
	b := newBench(t, 3)
	rows := b.rows()
	rows["i000"] = "drop"
	b.write(rows)
	res := b.run(everything)
	if m := res.Stage("rows").Artifact.Manifest; m.Rejected != 1 || m.Items != 2 {
		t.Errorf("%+v", m)
	}
	rows["i001"] = "drop"
	b.write(rows)
	var limit *pipeline.RejectLimitError
	if _, err := b.try(everything); !errors.As(err, &limit) || limit.Total != 3 {
		t.Errorf("got %v", err)
	}
}

func TestFailures(t *testing.T) {
	b := newBench(t, 3)
	b.stage("all").Params = map[string]any{"fail": "error"}
	other := spec.Stage{Name: "other", Base: "other", Kind: "join", Inputs: map[string][]string{"in": {"rows"}}}
	after := spec.Stage{Name: "after", Base: "after", Kind: "join", Inputs: map[string][]string{"in": {"all"}}}
	b.p.Stages = append(b.p.Stages, after, other)
	res, err := b.try(everything)
	var failed *pipeline.StageError
	if !errors.As(err, &failed) || failed.Stage != "all" || res == nil {
		t.Fatalf("got %v", err)
	}
	if s := res.Stage("after"); s.State != pipeline.StageBlocked || !strings.Contains(s.Reason, "all") {
		t.Errorf("after: %+v", s)
	}
	b.o.KeepGoing = true
	res, err = b.try(everything)
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if s := res.Stage("other"); s.Artifact == nil {
		t.Errorf("--keep-going left %s %s", s.Stage, s.State)
	}
	for how, want := range map[string]string{"panic": "stage all panicked: told to panic", "unclosed": "was not closed"} {
		b.stage("all").Params = map[string]any{"fail": how}
		if _, err := b.try(everything); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", how, err)
		}
	}
}

func TestPanicInAnItem(t *testing.T) {
	b := newBench(t, 3)
	b.hook = func(_ context.Context, what string) error {
		if what == "upper i001" {
			panic("boo")
		}
		return nil
	}
	if _, err := b.try(everything); err == nil || !strings.Contains(err.Error(), "item i001: the code of stage up panicked: boo") {
		t.Errorf("got %v", err)
	}
}

func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		fails int
		ok    bool
	}{
		{"said to be temporary", &stage.Temporary{Err: errors.New("busy")}, 2, true},
		{"too many open files", fmt.Errorf("open: %w", syscall.EMFILE), 3, true},
		{"for ever", &stage.Temporary{Err: errors.New("busy")}, 100, false},
		{"disk full", fmt.Errorf("write: %w", syscall.ENOSPC), 1, false},
		{"plain", errors.New("wrong"), 1, false},
	} {
		for _, at := range []string{"upper i001", "read"} {
			b := newBench(t, 3)
			clock := &fakeClock{}
			b.o.Clock = clock
			n := 0
			b.hook = func(_ context.Context, what string) error {
				if what == at {
					if n++; n <= c.fails {
						return c.err
					}
				}
				return nil
			}
			_, err := b.try(everything)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, c.err) {
				t.Errorf("%s at %s: %v", c.name, at, err)
			}
			if n > 4 {
				t.Errorf("%s at %s: tried %d times", c.name, at, n)
			}
			if c.ok && (len(b.events(pipeline.Retried)) != c.fails || clock.slept == 0) {
				t.Errorf("%s at %s: %d retries told of, slept %v", c.name, at, len(b.events(pipeline.Retried)), clock.slept)
			}
		}
	}
}

func TestInputChangesDuringTheRun(t *testing.T) {
	b := newBench(t, 3)
	b.hook = func(_ context.Context, what string) error {
		if what == "read" {
			b.write(map[string]string{"x": "y"})
		}
		return nil
	}
	_, err := b.try(everything)
	if err == nil || !strings.Contains(err.Error(), "changed while the stage was running") {
		t.Fatalf("got %v", err)
	}
	b.hook = nil
	res := b.run(everything)
	if got := b.read(res.Stage("all").Artifact, "joined.txt"); got != "Y" {
		t.Errorf("then %q", got)
	}
	b.want("read", "all", "upper x", "reverse x")
}

func TestCancelAndResume(t *testing.T) {
	b := newBench(t, 30)
	b.cpus = 1
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("stop")
	n := 0
	b.hook = func(_ context.Context, what string) error {
		if strings.HasPrefix(what, "upper") {
			if n++; n == 12 {
				cancel(cause)
			}
		}
		return nil
	}
	e := b.engine()
	p, err := e.Plan(ctx, everything)
	if err != nil {
		t.Fatal(err)
	}
	res, err := e.Run(ctx, p, local.New(local.Options{CPUs: 1}))
	if !errors.Is(err, cause) || !res.Interrupted || res.Stage("up").State != pipeline.StageStopped {
		t.Fatalf("got %v, %+v", err, res)
	}
	b.hook = nil
	res = b.run(everything)
	ups := 0
	for _, what := range b.ran.take() {
		if strings.HasPrefix(what, "upper") {
			ups++
		}
	}
	if ups != 19 { // 11 were finished and the one in flight was not
		t.Errorf("%d items done after 11 of 30", ups)
	}
	if got, want := digests(res), b.cold(); got != want {
		t.Errorf("digests\n%swant\n%s", got, want)
	}
}

// TestItemsThatFailBecauseOfCancelAreNotRejected has an item that takes being
// cancelled for a fault of its own.
func TestItemsThatFailBecauseOfCancelAreNotRejected(t *testing.T) {
	b := newBench(t, 6)
	ctx, cancel := context.WithCancel(context.Background())
	b.hook = func(_ context.Context, what string) error {
		if what == "upper i002" {
			cancel()
			return stage.Reject("the tool was killed")
		}
		return nil
	}
	e := b.engine()
	p, err := e.Plan(ctx, everything)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(ctx, p, local.New(local.Options{CPUs: 1})); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.hook = nil
	if m := b.run(everything).Stage("up").Artifact.Manifest; m.Rejected != 0 {
		t.Errorf("%d rejected", m.Rejected)
	}
}

func TestHostileIDs(t *testing.T) {
	b := newBench(t, 0)
	b.write(map[string]string{"../../etc/x": "a", "-rf": "b", "\"quoted\\": "c", "<b>&": "d", "日本": "e", strings.Repeat("long", 200): "f", "a/../b": "g"})
	res := b.run(everything)
	if m := res.Stage("back").Artifact.Manifest; m.Items != 7 {
		t.Errorf("%d items", m.Items)
	}
	b.run(everything)
	b.want()
	if err := os.WriteFile(b.file, []byte("a x\na y\n\xff\xfe z\n u\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// JSON lines would repair the bad bytes on their way, so it is two here.
	if _, err := b.try(everything); err == nil || !strings.Contains(err.Error(), "2 ids cannot be used: an empty id, a stands twice") {
		t.Errorf("got %v", err)
	}
}

// TestDamageHeals spoils each object in turn and expects the next run to give
// the same digests.
func TestDamageHeals(t *testing.T) {
	b := newBench(t, 8)
	want := digests(b.run(everything))
	var objects []string
	filepath.WalkDir(filepath.Join(b.store.Dir(), "objects"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			objects = append(objects, path)
		}
		return err
	})
	if len(objects) < 15 {
		t.Fatalf("%d objects", len(objects))
	}
	for i, path := range objects {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // made otherwise since
		}
		os.Chmod(path, 0o644)
		switch i % 3 {
		case 0:
			data[len(data)/2] ^= 1
			err = os.WriteFile(path, data, 0o644)
		case 1:
			err = os.Truncate(path, int64(len(data)/2))
		case 2:
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		// The stage that reads the damaged one must run, or it is not read.
		if got := digests(b.run(pipeline.Selection{Force: []string{"all"}})); got != want {
			t.Fatalf("after damage %d to %s:\n%swant\n%s", i, path, got, want)
		}
	}
}

// TestDamageDuringTheRun spoils an input after the plan found it whole.
func TestDamageDuringTheRun(t *testing.T) {
	b := newBench(t, 8)
	want := digests(b.run(everything))
	for _, name := range []string{"rows", "up", "back"} {
		e := b.engine()
		sel := pipeline.Selection{Force: []string{"all", "back", "up"}}
		p, err := e.Plan(context.Background(), sel)
		if err != nil {
			t.Fatal(err)
		}
		if name == "back" {
			// Its forced run makes it again; spoil it as its reader starts.
			b.spoilOnce("all", p.Action("rows").Artifact)
		} else {
			b.spoil(p.Action("rows").Artifact)
		}
		res, err := e.Run(context.Background(), p, local.New(local.Options{CPUs: 2}))
		if err != nil {
			t.Fatalf("%s damaged: %v", name, err)
		}
		if got := digests(res); got != want {
			t.Errorf("%s damaged:\n%swant\n%s", name, got, want)
		}
		if len(b.events(pipeline.Rebuilt)) == 0 && name != "back" {
			t.Errorf("%s damaged: nobody was told", name)
		}
		b.seen = nil
	}
}

func (b *bench) spoil(a *artifacts.Artifact) {
	b.t.Helper()
	d := strings.TrimPrefix(a.Manifest.Parts[0].Digest.String(), "sha256:")
	path := filepath.Join(b.store.Dir(), "objects", d[:2], d[2:])
	os.Chmod(path, 0o644)
	if err := os.WriteFile(path, []byte("spoilt"), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) spoilOnce(at string, a *artifacts.Artifact) {
	done := false
	b.hook = func(_ context.Context, what string) error {
		if what == at && !done {
			done = true
			b.spoil(a)
		}
		return nil
	}
}

func TestSameBytesOnAnyNumberOfCores(t *testing.T) {
	b := newBench(t, 50)
	want := digests(b.run(everything))
	for _, n := range []int{1, 4} {
		old := runtime.GOMAXPROCS(n)
		c := openBench(t, filepath.Join(t.TempDir(), "store"), b.file, 0)
		c.cpus = n
		got := digests(c.run(everything))
		runtime.GOMAXPROCS(old)
		if got != want {
			t.Errorf("GOMAXPROCS %d:\n%swant\n%s", n, got, want)
		}
	}
}

func TestDeepChainAndWideFan(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 1000
	}
	b := newBench(t, 1)
	b.p.Stages = b.p.Stages[:1]
	for i := range n {
		prev := "rows"
		if i > 0 {
			prev = fmt.Sprintf("s%d", i-1)
		}
		name := fmt.Sprintf("s%d", i)
		b.p.Stages = append(b.p.Stages, spec.Stage{Name: name, Base: name, Kind: "join", Inputs: map[string][]string{"in": {prev}}})
	}
	slices.Reverse(b.p.Stages) // readers before what they read
	p := b.plan(everything)
	if len(p.Actions) != n+1 || p.Actions[0].Stage.Name != "rows" || p.Actions[n].Stage.Name != fmt.Sprintf("s%d", n-1) {
		t.Errorf("%d actions, first %s", len(p.Actions), p.Actions[0].Stage.Name)
	}
	b.stage("s0").Inputs["in"][0] = fmt.Sprintf("s%d", n-1)
	if _, err := pipeline.New(b.p, kinds(&b.ran, nil), b.store, b.o); err == nil || !strings.Contains(err.Error(), "cycle") {
		t.Errorf("cycle: %v", err)
	}
}
