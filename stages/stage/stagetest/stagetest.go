// Package stagetest runs one kind of stage by itself, for the kind's tests.
//
// Artifact puts rows into a store as a stage before would have left them, Run
// runs a kind on artifacts and commits what it makes, and Rows reads it back:
//
//	s := stagetest.Store(t)
//	in := stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, captions...))
//	got, err := stagetest.Run(t, tts.Kind, stagetest.Options{Store: s, Inputs: stagetest.In("captions", in)})
//	clips := stagetest.Rows(t, got.Artifact, table.Clips)
//
// Per-item kinds run as the real runner runs them, in shards by a hash of the
// ids and several items at once, but from the start and in memory.
package stagetest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/stages/stage"
)

// Store returns an empty store that goes away with the test.
func Store(t testing.TB) *artifacts.Store {
	t.Helper()
	s, err := artifacts.Open(t.TempDir(), artifacts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A Content is a part of an artifact to be made.
type Content struct {
	name, schema string
	write        func(w io.Writer) (int64, error)
}

// Part returns a part called name that holds rows, which must be in the order
// of their ids.
func Part[R any](name string, f stage.Table[R], rows ...R) Content {
	return Content{name, f.Schema(), func(w io.Writer) (int64, error) { return f.Write(w, each(rows)) }}
}

// File returns a part of bare bytes.
func File(name string, data []byte) Content {
	return Content{name, "", func(w io.Writer) (int64, error) {
		_, err := w.Write(data)
		return 0, err
	}}
}

func each[R any](rows []R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Artifact puts an artifact of the given type into the store.
func Artifact(t testing.TB, s *artifacts.Store, typ string, parts ...Content) *artifacts.Artifact {
	t.Helper()
	out := &output{store: s}
	for _, c := range parts {
		p, err := out.Create(c.name, c.schema)
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.write(p)
		if err != nil {
			t.Fatal(err)
		}
		p.SetRows(n)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	a, err := out.commit(typ)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// In returns inputs with artifacts at one port.
func In(port string, a ...*artifacts.Artifact) map[string][]*artifacts.Artifact {
	return map[string][]*artifacts.Artifact{port: a}
}

// Rows returns the rows of format f of all parts of a, ordered by id.
func Rows[R any](t testing.TB, a *artifacts.Artifact, f stage.Table[R]) []R {
	t.Helper()
	var out []R
	for _, p := range a.Parts(f.Schema()) {
		out = append(out, partRows(t, a, p, f)...)
	}
	slices.SortFunc(out, func(x, y R) int { return strings.Compare(f.ID(x), f.ID(y)) })
	return out
}

func partRows[R any](t testing.TB, a *artifacts.Artifact, p artifacts.Part, f stage.Table[R]) (out []R) {
	t.Helper()
	file := open(t, a, p)
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	for row, err := range f.Rows(file, p.Size) {
		if err != nil {
			t.Fatalf("read %s: %v", p.Name, err)
		}
		out = append(out, row)
	}
	return out
}

// Bytes returns a part's bytes.
func Bytes(t testing.TB, a *artifacts.Artifact, name string) []byte {
	t.Helper()
	p, ok := a.Part(name)
	if !ok {
		t.Fatalf("artifact has no part %s", name)
	}
	file := open(t, a, p)
	data, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

func open(t testing.TB, a *artifacts.Artifact, p artifacts.Part) *os.File {
	t.Helper()
	file, err := a.Open(p)
	if err != nil {
		t.Fatalf("open %s: %v", p.Name, err)
	}
	return file
}

// output implements stage.Output on a store.
type output struct {
	store   *artifacts.Store
	parts   []artifacts.Part
	rejects []Reject
	open    int
}

// Create implements stage.Output.
func (o *output) Create(name, schema string) (stage.Part, error) {
	for _, p := range o.parts {
		if p.Name == name {
			return nil, fmt.Errorf("create %s: there is one already", name)
		}
	}
	w, err := o.store.NewWriter()
	if err != nil {
		return nil, err
	}
	o.open++
	return &part{Writer: w, out: o, part: artifacts.Part{Name: name, Schema: schema}}, nil
}

// Reject implements stage.Output.
func (o *output) Reject(item, reason string) { o.rejects = append(o.rejects, Reject{item, reason}) }

func (o *output) commit(typ string) (*artifacts.Artifact, error) {
	if o.open != 0 {
		return nil, fmt.Errorf("%d parts were never closed", o.open)
	}
	slices.SortFunc(o.parts, func(a, b artifacts.Part) int { return strings.Compare(a.Name, b.Name) })
	m := artifacts.Manifest{Type: typ, Parts: o.parts, Rejected: int64(len(o.rejects))}
	for _, p := range o.parts {
		m.Items += p.Rows
	}
	return o.store.PutManifest(m)
}

// part implements stage.Part.
type part struct {
	*artifacts.Writer
	out  *output
	part artifacts.Part
}

func (p *part) SetRows(n int64) { p.part.Rows = n }

func (p *part) Close() error {
	d, size, err := p.Commit()
	if err != nil {
		return err
	}
	p.part.Digest, p.part.Size = d, size
	p.out.parts = append(p.out.parts, p.part)
	p.out.open--
	return nil
}

var _ stage.Output = (*output)(nil)

// background is the context of runs that are not cancelled.
func background(o Options) context.Context {
	if o.Context != nil {
		return o.Context
	}
	return context.Background()
}
