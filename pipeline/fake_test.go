package pipeline_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/pipeline/local"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// The fake kinds make a small pipeline of the same shape as the real ones:
//
//	read (a file of "id text" lines) -> upper (item by item) -> reverse (item by item) -> join
//
// ran counts what was really done: "upper a", "join".
type counter struct {
	mu   sync.Mutex
	n    map[string]int
	file *os.File // several processes count together in a file
}

func (c *counter) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != nil {
		fmt.Fprintln(c.file, what)
	}
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[what]++
}

// take returns what was counted since the last take, sorted, as "what xN".
func (c *counter) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for what, n := range c.n {
		if n > 1 {
			what += " x" + strconv.Itoa(n)
		}
		out = append(out, what)
	}
	slices.Sort(out)
	c.n = nil
	return out
}

type row struct{ ID, Text string }

// lines is a table of rows as JSON lines.
type lines struct{ name string }

func (l lines) Schema() string  { return "test." + l.name + "/1" }
func (l lines) Ext() string     { return ".jsonl" }
func (l lines) ID(r row) string { return r.ID }

func (l lines) Write(w io.Writer, rows iter.Seq2[row, error]) (n int64, err error) {
	enc := json.NewEncoder(w)
	for r, err := range rows {
		if err != nil {
			return n, err
		}
		if err := enc.Encode(r); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (l lines) Rows(r io.ReaderAt, size int64) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		d := json.NewDecoder(io.NewSectionReader(r, 0, size))
		for {
			var x row
			err := d.Decode(&x)
			if err == io.EOF || !yield(x, err) || err != nil {
				return
			}
		}
	}
}

// allRows reads every row of an artifact, in order of ids.
func allRows(a *artifacts.Artifact) ([]row, error) {
	var out []row
	for _, p := range a.Manifest.Parts {
		if !strings.HasPrefix(p.Schema, "test.") {
			continue
		}
		f, err := a.Open(p)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		for r, err := range (lines{}).Rows(f, p.Size) {
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b row) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

type readParams struct {
	File string `json:"file" doc:"lines of id and text" path:"file"`
}

type itemParams struct {
	Suffix string `json:"suffix" doc:"put after each text"`
	Tool   string `json:"tool" doc:"what Prepare says"`
}

func (p itemParams) Prepare(context.Context) ([]stage.Tool, error) {
	switch p.Tool {
	case "":
		return nil, nil
	case "missing":
		return nil, errors.New("the tool is not installed: apt-get install tool")
	}
	return []stage.Tool{{Name: "tool", Version: p.Tool}}, nil
}

type joinParams struct {
	Sep  string `json:"sep" doc:"between texts"`
	Fail string `json:"fail" doc:"how to fail"`
}

// kinds are the fake kinds, which count in c. hook is called at the start of
// each job with what was counted; an error from it is the job's.
func kinds(c *counter, hook func(ctx context.Context, what string) error) []stage.Kind {
	at := func(ctx context.Context, what string) error {
		if hook != nil {
			if err := hook(ctx, what); err != nil {
				return err
			}
		}
		c.add(what)
		return ctx.Err()
	}
	read := stage.New(stage.Kind{Name: "read", Version: 1, Output: "rows"}, readParams{}, func(ctx context.Context, t *stage.Task, p readParams) error {
		if err := at(ctx, "read"); err != nil {
			return err
		}
		b, err := os.ReadFile(t.Paths["file"])
		if err != nil {
			return err
		}
		return t.Write(ctx, "rows.jsonl", "test.rows/1", func(w io.Writer) (int64, error) {
			return lines{}.Write(w, func(yield func(row, error) bool) {
				for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
					id, text, _ := strings.Cut(s.Text(), " ")
					if text == "drop" {
						t.Out.Reject(id, "told to drop it")
					} else if !yield(row{id, text}, nil) {
						return
					}
				}
			})
		})
	})
	upper := itemKind("upper", at, strings.ToUpper)
	reverse := itemKind("reverse", at, func(s string) string {
		b := []byte(s)
		slices.Reverse(b)
		return string(b)
	})
	return []stage.Kind{read, upper, reverse, joinKind(at)}
}

// joinKind puts the texts of all its inputs together, or fails as it is told.
func joinKind(at func(context.Context, string) error) stage.Kind {
	in := []stage.Input{{Name: "in", Many: true}}
	return stage.New(stage.Kind{Name: "join", Version: 1, Inputs: in, Output: "files", CPUs: stage.AllCPUs}, joinParams{}, func(ctx context.Context, t *stage.Task, p joinParams) error {
		if err := at(ctx, t.Stage); err != nil {
			return err
		}
		switch p.Fail {
		case "error":
			return errors.New("told to fail")
		case "panic":
			panic("told to panic")
		case "unclosed":
			_, err := t.Out.Create("x", "")
			return err
		}
		var texts []string
		for _, a := range t.Inputs["in"] {
			rows, err := allRows(a)
			if err != nil {
				return err
			}
			for _, r := range rows {
				texts = append(texts, r.Text)
			}
		}
		return t.Write(ctx, "joined.txt", "", func(w io.Writer) (int64, error) {
			_, err := io.WriteString(w, strings.Join(texts, p.Sep))
			return 0, err
		})
	})
}

// itemKind changes the text of each row by f. A text of "bad" is rejected, and
// so is its mirror image.
func itemKind(name string, at func(context.Context, string) error, f func(string) string) stage.Kind {
	k := stage.Kind{Name: name, Version: 1, Inputs: []stage.Input{{Name: "in"}}, Output: "rows", Numeric: true}
	return stage.NewItems(k, itemParams{}, stage.Items[itemParams, row]{
		List: func(ctx context.Context, t *stage.Task, p itemParams) ([]stage.Item, error) {
			rows, err := allRows(t.Input("in"))
			var out []stage.Item
			for _, r := range rows {
				out = append(out, stage.Item{ID: r.ID, Key: []string{"text " + r.Text}, Ref: r})
			}
			return out, err
		},
		Open: func(ctx context.Context, t *stage.Task, p itemParams) (stage.Do[row], func() error, error) {
			return func(ctx context.Context, it stage.Item) (row, error) {
				r := it.Ref.(row)
				if err := at(ctx, name+" "+r.ID); err != nil {
					return row{}, err
				}
				if strings.EqualFold(r.Text, "bad") {
					return row{}, stage.Reject("text is %q", r.Text)
				}
				return row{r.ID, f(r.Text) + p.Suffix}, nil
			}, func() error { return nil }, nil
		},
		Table: func(itemParams) stage.Table[row] { return lines{name} },
	})
}

// bench is a pipeline with its store, for one test.
type bench struct {
	t     *testing.T
	store *artifacts.Store
	p     *spec.Pipeline
	file  string
	ran   counter
	hook  func(ctx context.Context, what string) error
	o     pipeline.Options
	cpus  int
	mu    sync.Mutex
	seen  []pipeline.Event
}

// fakeClock counts what is slept and goes on at once.
type fakeClock struct{ slept time.Duration }

func (c *fakeClock) Now() time.Time { return time.Now() }
func (c *fakeClock) Sleep(_ context.Context, d time.Duration) error {
	c.slept += d
	return nil
}

func newBench(t *testing.T, n int) *bench {
	dir := t.TempDir()
	return openBench(t, filepath.Join(dir, "store"), filepath.Join(dir, "rows.txt"), n)
}

// openBench opens the bench whose store and file are given; with n > 0 the
// file is written with n items.
func openBench(t *testing.T, storeDir, file string, n int) *bench {
	t.Helper()
	s, err := artifacts.Open(storeDir, artifacts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := &bench{t: t, store: s, file: file, cpus: 2}
	b.o = pipeline.Options{Numeric: "go-test", Clock: &fakeClock{}, Events: func(ev pipeline.Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.seen = append(b.seen, ev)
	}}
	if n > 0 {
		b.write(numbered(n))
	}
	b.p = testPipeline(file)
	return b
}

func testPipeline(file string) *spec.Pipeline {
	return &spec.Pipeline{Path: "test.yaml", Stages: []spec.Stage{
		{Name: "rows", Base: "rows", Kind: "read", Params: map[string]any{"file": file}},
		{Name: "up", Base: "up", Kind: "upper", Inputs: map[string][]string{"in": {"rows"}}, Shards: 4},
		{Name: "back", Base: "back", Kind: "reverse", Inputs: map[string][]string{"in": {"up"}}, Shards: 4},
		{Name: "all", Base: "all", Kind: "join", Inputs: map[string][]string{"in": {"back"}}, Params: map[string]any{"sep": ","}},
	}}
}

func numbered(n int) map[string]string {
	rows := make(map[string]string)
	for i := range n {
		rows[fmt.Sprintf("i%03d", i)] = fmt.Sprintf("text%d", i)
	}
	return rows
}

func (b *bench) write(rows map[string]string) {
	b.t.Helper()
	var ids []string
	for id := range rows {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var s strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&s, "%s %s\n", id, rows[id])
	}
	if err := os.WriteFile(b.file, []byte(s.String()), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) stage(name string) *spec.Stage {
	for i := range b.p.Stages {
		if b.p.Stages[i].Name == name {
			return &b.p.Stages[i]
		}
	}
	b.t.Fatalf("no stage %s", name)
	return nil
}

func (b *bench) engine() *pipeline.Engine {
	b.t.Helper()
	e, err := pipeline.New(b.p, kinds(&b.ran, b.hook), b.store, b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

func (b *bench) plan(sel pipeline.Selection) *pipeline.Plan {
	b.t.Helper()
	p, err := b.engine().Plan(context.Background(), sel)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) try(sel pipeline.Selection) (*pipeline.Result, error) {
	b.t.Helper()
	b.ran.take()
	b.seen = nil
	e := b.engine()
	p, err := e.Plan(context.Background(), sel)
	if err != nil {
		return nil, err
	}
	return e.Run(context.Background(), p, local.New(local.Options{CPUs: b.cpus}))
}

func (b *bench) run(sel pipeline.Selection) *pipeline.Result {
	b.t.Helper()
	res, err := b.try(sel)
	if err != nil {
		b.t.Fatalf("run %+v: %v", sel, err)
	}
	return res
}

// want checks what the last run really did.
func (b *bench) want(what ...string) {
	b.t.Helper()
	got := b.ran.take()
	slices.Sort(what)
	if !slices.Equal(got, what) {
		b.t.Errorf("ran %v, want %v", got, what)
	}
}

// events returns the last run's events of a type.
func (b *bench) events(typ pipeline.EventType) (out []pipeline.Event) {
	for _, ev := range b.seen {
		if ev.Type == typ {
			out = append(out, ev)
		}
	}
	return out
}

// digests returns what `hearsight digest` would print.
func digests(r *pipeline.Result) string {
	var s strings.Builder
	for _, st := range r.Stages {
		d := "-"
		if st.Artifact != nil {
			d = st.Artifact.Digest.String()
		}
		fmt.Fprintf(&s, "%s %s\n", st.Stage, d)
	}
	return s.String()
}

// cold returns the digests of the same spec and file in a store of its own.
func (b *bench) cold() string {
	b.t.Helper()
	c := openBench(b.t, filepath.Join(b.t.TempDir(), "cold"), b.file, 0)
	c.p = b.p
	return digests(c.run(pipeline.Selection{}))
}
