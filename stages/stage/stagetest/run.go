package stagetest

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/stages/stage"
)

// Options are how a kind is run. Store must be given.
type Options struct {
	Store   *artifacts.Store
	Inputs  map[string][]*artifacts.Artifact
	Params  map[string]any
	CPUs    int // 0: 2
	Context context.Context
	Numeric string
}

// A Result is what a run left.
type Result struct {
	Artifact *artifacts.Artifact
	Rejects  []Reject         // ordered by item
	Reports  []stage.Progress // as they came
	Tools    []stage.Tool
	Items    []stage.Item // of a per-item kind
}

// A Reject is an item that was set aside.
type Reject struct{ Item, Reason string }

// Reason returns why item was set aside, or "".
func (r Result) Reason(item string) string {
	for _, x := range r.Rejects {
		if x.Item == item {
			return x.Reason
		}
	}
	return ""
}

// Warnings returns the warnings that the run reported.
func (r Result) Warnings() (out []string) {
	for _, p := range r.Reports {
		if p.Warning {
			out = append(out, p.Message)
		}
	}
	return out
}

// shards is how many shards a per-item kind is cut into.
const shards = 16

// Run checks the parameters, prepares and runs the kind, and commits what it
// made.
func Run(t testing.TB, k stage.Kind, o Options) (Result, error) {
	t.Helper()
	ctx := background(o)
	if p := k.Spec().Check(o.Params); len(p) > 0 {
		return Result{}, fmt.Errorf("parameter %s: %s", p[0].Param, p[0].Message)
	}
	canonical, err := k.Canonical(o.Params)
	if err != nil {
		return Result{}, err
	}
	tools, err := k.Prepare(ctx, canonical)
	if err != nil {
		return Result{}, fmt.Errorf("prepare: %w", err)
	}
	r := &runner{kind: k, canonical: canonical, out: &output{store: o.Store}, result: Result{Tools: tools}}
	task := r.task(t, o)
	if k.Items() != nil {
		err = r.items(ctx, t, task)
	} else {
		err = k.Run(ctx, task, canonical)
	}
	r.result.Rejects = append(r.result.Rejects, r.out.rejects...)
	slices.SortStableFunc(r.result.Rejects, func(a, b Reject) int { return strings.Compare(a.Item, b.Item) })
	if err != nil {
		return r.result, err
	}
	r.out.rejects = nil
	r.result.Artifact, err = r.out.commit(k.Output)
	return r.result, err
}

// MustRun is Run for kinds that must not fail.
func MustRun(t testing.TB, k stage.Kind, o Options) Result {
	t.Helper()
	r, err := Run(t, k, o)
	if err != nil {
		t.Fatalf("run %s: %v", k.Name, err)
	}
	return r
}

type runner struct {
	kind      stage.Kind
	canonical []byte
	out       *output
	mu        sync.Mutex
	result    Result
}

func (r *runner) task(t testing.TB, o Options) *stage.Task {
	task := &stage.Task{
		Stage: r.kind.Name, Inputs: o.Inputs, Paths: map[string]string{}, Dir: t.TempDir(), RunDir: t.TempDir(),
		CPUs: max(o.CPUs, 1), Numeric: o.Numeric, Out: r.out,
		Report: func(p stage.Progress) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.result.Reports = append(r.result.Reports, p)
		},
	}
	if o.CPUs == 0 {
		task.CPUs = 2
	}
	for _, p := range r.kind.Params() {
		if v, ok := o.Params[p.Name].(string); ok && p.Path != "" && v != "" {
			task.Paths[p.Name] = v
		}
	}
	return task
}

// items runs a per-item kind.
func (r *runner) items(ctx context.Context, t testing.TB, task *stage.Task) (err error) {
	ops := r.kind.Items()
	table, err := ops.Table(r.canonical)
	if err != nil {
		return err
	}
	list := *task
	list.Dir = ""
	if r.result.Items, err = ops.List(ctx, &list, r.canonical); err != nil {
		return err
	}
	do, done, err := ops.Open(ctx, task, r.canonical)
	if err != nil {
		return err
	}
	defer func() {
		if e := done(); err == nil {
			err = e
		}
	}()
	for i, items := range shard(r.result.Items) {
		rows, err := r.rows(ctx, items, do, task.CPUs)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			continue
		}
		short, _, _ := strings.Cut(strings.TrimPrefix(table.Schema(), "hearsight."), "/")
		name := fmt.Sprintf("%s-%02d%s", short, i, table.Ext())
		err = task.Write(ctx, name, table.Schema(), func(w io.Writer) (int64, error) { return table.Write(w, each(rows)) })
		if err != nil {
			return err
		}
	}
	return nil
}

func shard(items []stage.Item) (out [shards][]stage.Item) {
	for _, it := range items {
		h := fnv.New32a()
		h.Write([]byte(it.ID))
		n := h.Sum32() % shards
		out[n] = append(out[n], it)
	}
	for _, s := range out {
		slices.SortFunc(s, func(a, b stage.Item) int { return strings.Compare(a.ID, b.ID) })
	}
	return out
}

// rows makes the rows of items, several at once, in the order of items. Each
// goes through the log's encoding and back, as after an interruption.
func (r *runner) rows(ctx context.Context, items []stage.Item, do stage.Do[any], workers int) ([]any, error) {
	rows, errs := make([]any, len(items)), make([]error, len(items))
	var wg sync.WaitGroup
	slots := make(chan struct{}, workers)
	for i, it := range items {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			if rows[i], errs[i] = do(ctx, it); errs[i] == nil {
				rows[i], errs[i] = r.throughLog(rows[i])
			}
		}()
	}
	wg.Wait()
	var out []any
	for i, err := range errs {
		if reason, ok := stage.Rejected(err); ok {
			r.result.Rejects = append(r.result.Rejects, Reject{items[i].ID, reason})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("item %q: %w", items[i].ID, err)
		}
		out = append(out, rows[i])
	}
	return out, nil
}

func (r *runner) throughLog(row any) (any, error) {
	ops := r.kind.Items()
	b, err := ops.Encode(row)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	back, err := ops.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	table, err := ops.Table(r.canonical)
	if err != nil {
		return nil, err
	}
	one, err := written(table, row)
	if err != nil {
		return nil, err
	}
	two, err := written(table, back)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(one, two) {
		return nil, fmt.Errorf("the log's encoding changes the row %+v", row)
	}
	return back, nil
}

func written(table stage.Table[any], row any) ([]byte, error) {
	var b bytes.Buffer
	_, err := table.Write(&b, each([]any{row}))
	return b.Bytes(), err
}
