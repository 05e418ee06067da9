package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/pipeline/local"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/exec"
	"github.com/hearsight/hearsight/stages/stage"
)

// eachBench runs a command over the files of a folder and, behind it, one over
// its results and one over all of them together.
type eachBench struct {
	t          *testing.T
	dir, store string
	p          *spec.Pipeline
	done       []string // items of the last run, "STAGE ITEM", sorted
	rejected   []string
}

func newEachBench(t *testing.T, command ...any) *eachBench {
	t.Helper()
	b := &eachBench{t: t, dir: t.TempDir(), store: filepath.Join(t.TempDir(), "store")}
	one := func(name, kind string, in []string, params map[string]any) spec.Stage {
		s := spec.Stage{Name: name, Base: name, Kind: kind, Params: params}
		if in != nil {
			s.Inputs = map[string][]string{"in": in}
		}
		return s
	}
	b.p = &spec.Pipeline{Path: "p.yaml", Stages: []spec.Stage{
		one("copies", "exec_each", nil, map[string]any{"command": command, "folder": b.dir, "suffix": ".copy"}),
		one("sums", "exec_each", []string{"copies"}, map[string]any{"command": []any{"cksum", "{item}"}, "stdout": true, "suffix": ".sum"}),
		one("all", "exec", []string{"sums"}, map[string]any{"command": []any{"sh", "-c", "cd in/0 && cat $(find . -type f | sort)"}, "stdout": "all", "outputs": []any{"all"}}),
	}}
	return b
}

func (b *eachBench) write(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// run runs on the given store and returns the artifacts' digests.
func (b *eachBench) run(store string, cpus int) map[string]*artifacts.Artifact {
	b.t.Helper()
	s, err := artifacts.Open(store, artifacts.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	defer s.Close()
	b.done, b.rejected = nil, nil
	e, err := pipeline.New(b.p, []stage.Kind{exec.Kind, exec.Each}, s, pipeline.Options{Events: func(ev pipeline.Event) {
		if ev.Type == pipeline.ItemFinished {
			b.done = append(b.done, ev.Stage+" "+ev.Item)
			if ev.Rejected > 0 {
				b.rejected = append(b.rejected, ev.Item+": "+ev.Reason)
			}
		}
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	plan, err := e.Plan(context.Background(), pipeline.Selection{})
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := e.Run(context.Background(), plan, local.New(local.Options{CPUs: cpus}))
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Sort(b.done)
	out := map[string]*artifacts.Artifact{}
	for _, r := range res.Stages {
		out[r.Stage] = r.Artifact
	}
	return out
}

// same checks that a cold run gives the same bytes.
func (b *eachBench) same(got map[string]*artifacts.Artifact) {
	b.t.Helper()
	done, rejected := b.done, b.rejected
	for name, a := range b.run(filepath.Join(b.t.TempDir(), "cold"), 1) {
		if a.Digest != got[name].Digest {
			b.t.Errorf("%s: a cold run gives other bytes", name)
		}
	}
	b.done, b.rejected = done, rejected
}

// TestEachOfMany edits, touches, adds and removes one of 300 files.
func TestEachOfMany(t *testing.T) {
	b := newEachBench(t, "cp", "{item}", "{out}")
	n := 300
	if testing.Short() {
		n = 60
	}
	for i := range n {
		b.write(fmt.Sprintf("%d/f%03d.txt", i%3, i), fmt.Sprintf("file %d\n", i))
	}
	first := b.run(b.store, 2)
	if len(b.done) != 2*n {
		t.Fatalf("the first run did %d items, want %d", len(b.done), 2*n)
	}
	step := func(what string, want ...string) map[string]*artifacts.Artifact {
		t.Helper()
		got := b.run(b.store, 2)
		if diff := cmp.Diff(want, b.done); diff != "" {
			t.Errorf("%s: items done (-want +got):\n%s", what, diff)
		}
		return got
	}
	step("nothing changed")

	b.write("1/f040.txt", "edited\n")
	b.same(step("one edited", "copies 1/f040.txt", "sums 1/f040.txt.copy"))

	for i := range n {
		when := time.Unix(1e9+int64(i), 0)
		if err := os.Chtimes(filepath.Join(b.dir, fmt.Sprintf("%d/f%03d.txt", i%3, i)), when, when); err != nil {
			t.Fatal(err)
		}
	}
	step("all touched")

	b.write("0/f000a.txt", "new\n")
	step("one added", "copies 0/f000a.txt", "sums 0/f000a.txt.copy")

	if err := os.Remove(filepath.Join(b.dir, "0/f000a.txt")); err != nil {
		t.Fatal(err)
	}
	b.write("1/f040.txt", "file 40\n")
	if last := step("back to the first", nil...); last["all"].Digest != first["all"].Digest {
		t.Error("the first folder again gives other bytes")
	}
}

// TestEachRejects: an item whose command fails is set aside and not tried again.
func TestEachRejects(t *testing.T) {
	b := newEachBench(t, "sh", "-c", `grep -q good "$1" || { echo no good >&2; exit 3; }; cp "$1" "$2"`, "sh", "{item}", "{out}")
	for i := range 100 {
		b.write(fmt.Sprintf("f%03d", i), "good\n")
	}
	b.write("f050", "bad\n")
	got := b.run(b.store, 2)
	if len(b.rejected) != 1 || !strings.HasPrefix(b.rejected[0], "f050: sh ended with exit status 3: no good") {
		t.Errorf("set aside: %q", b.rejected)
	}
	if m := got["copies"].Manifest; m.Items != 99 || m.Rejected != 1 {
		t.Errorf("%d items and %d rejected", m.Items, m.Rejected)
	}
	b.same(got)
	b.write("f051", "good too\n")
	b.run(b.store, 2)
	if want := []string{"copies f051", "sums f051.copy"}; !slices.Equal(b.done, want) {
		t.Errorf("after another was edited %q were done, want %q", b.done, want)
	}
}

// TestEachFolderChanged: a file that changes under the run gives no result of
// bytes that the key does not name.
func TestEachFolderChanged(t *testing.T) {
	b := newEachBench(t, "sh", "-c", `cp "$1" "$2"; echo changed >>"$3/b"`, "sh", "{item}", "{out}", "{files}")
	b.p.Stages[0].Params["files"] = b.dir // a command that writes to its own input
	b.write("a", "a\n")
	b.write("b", "b\n")
	s, err := artifacts.Open(b.store, artifacts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := pipeline.New(b.p, []stage.Kind{exec.Kind, exec.Each}, s, pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := e.Plan(context.Background(), pipeline.Selection{Targets: []string{"copies"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(context.Background(), plan, local.New(local.Options{CPUs: 1})); err == nil || !strings.Contains(err.Error(), "changed while the stage was running") {
		t.Errorf("Run = %v, want an error about the change", err)
	}
}

// TestEachUnpacked looks at what a command behind exec_each sees.
func TestEachUnpacked(t *testing.T) {
	b := newEachBench(t, "cp", "{item}", "{out}")
	b.write("sub/näme with ünïcode.txt", "x\n")
	b.write(strings.Repeat("long", 30)+"/f", "y\n")
	b.p.Stages[2].Params["command"] = []any{"sh", "-c", "cd in/0 && find . -type f | sort"}
	a := b.run(b.store, 1)["all"]
	p, _ := a.Part("all")
	f, err := a.Open(p)
	if err == nil {
		defer f.Close()
	}
	var got bytes.Buffer
	if err == nil {
		_, err = got.ReadFrom(f)
	}
	want := "./" + strings.Repeat("long", 30) + "/f.copy.sum\n./sub/näme with ünïcode.txt.copy.sum\n"
	if err != nil || got.String() != want {
		t.Errorf("the command sees %q, %v; want %q", got.String(), err, want)
	}
}
