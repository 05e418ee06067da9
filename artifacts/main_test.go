package artifacts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile/faultfs"
	"go.uber.org/goleak"
)

// TestMain is also the main function of the child processes that the tests of
// several processes start: see proc_test.go.
func TestMain(m *testing.M) {
	if child := os.Getenv("ARTIFACTS_TEST_CHILD"); child != "" {
		if err := runChild(child); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// open opens a store without real fsyncs, which tests have no use for.
func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	if o.FS == nil {
		o.FS = &faultfs.FS{NoSync: true}
	}
	s, err := Open(dir, o)
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

func put(s *Store, text string) (Part, error) {
	w, err := s.NewWriter()
	if err != nil {
		return Part{}, err
	}
	defer w.Abort()
	if _, err := io.WriteString(w, text); err != nil {
		return Part{}, err
	}
	d, n, err := w.Commit()
	return Part{Digest: d, Size: n}, err
}

// commit records an action with parts that hold the given texts.
func commit(s *Store, description string, texts ...string) (*Artifact, error) {
	m := Manifest{Type: "files"}
	for i, text := range texts {
		p, err := put(s, text)
		if err != nil {
			return nil, err
		}
		p.Name = fmt.Sprintf("part-%d", i)
		m.Parts = append(m.Parts, p)
	}
	return s.Commit(KeyOf(description), description, m)
}

func mustCommit(t testing.TB, s *Store, description string, texts ...string) *Artifact {
	t.Helper()
	a, err := commit(s, description, texts...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func contents(t testing.TB, a *Artifact, name string) string {
	t.Helper()
	p, ok := a.Part(name)
	if !ok {
		t.Fatalf("no part %s", name)
	}
	f, err := a.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func problems(t testing.TB, s *Store, o VerifyOptions) []Problem {
	t.Helper()
	var out []Problem
	if err := s.Verify(context.Background(), o, func(p Problem) { out = append(out, p) }); err != nil {
		t.Fatal(err)
	}
	return out
}

// overwrite changes a file of the store as a bad disk would.
func overwrite(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(bytes.Clone(b)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func flip(bit int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[bit/8] ^= 1 << (bit % 8)
		return b
	}
}

func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "store")
	s, err := Open(dir, Options{}) // the real file system, fsyncs and all
	if err != nil {
		t.Fatal(err)
	}
	a := mustCommit(t, s, "make tea", "water", "leaves")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NewWriter(); err == nil {
		t.Error("NewWriter after Close: no error")
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("left under tmp after Close: %v", left)
	}

	s = open(t, dir, Options{ReadOnly: true})
	act, b, err := s.Action(KeyOf("make tea"))
	if err != nil {
		t.Fatal(err)
	}
	if act.Description != "make tea" || b.Digest != a.Digest {
		t.Errorf("Action = %q, %s; want make tea, %s", act.Description, b.Digest, a.Digest)
	}
	if err := s.Complete(b); err != nil {
		t.Error(err)
	}
	if got := contents(t, b, "part-1"); got != "leaves" {
		t.Errorf("part-1 = %q", got)
	}
	if p := problems(t, s, VerifyOptions{}); len(p) > 0 {
		t.Errorf("Verify: %v", p)
	}
	info, err := os.Stat(s.objectPath(b.Manifest.Parts[0].Digest))
	if err != nil || info.Mode().Perm()&0o222 != 0 {
		t.Errorf("object's mode is %v, %v; want read-only", info.Mode(), err)
	}
}

func TestActionNotFound(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	if _, _, err := s.Action(KeyOf("x")); !errors.Is(err, ErrNotFound) {
		t.Errorf("Action = %v, want ErrNotFound", err)
	}
	if _, err := s.OpenObject(Digest{1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("OpenObject = %v, want ErrNotFound", err)
	}
	if s.Has(Digest{1}, 0) {
		t.Error("Has = true")
	}
}

func TestOpenRefuses(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(home, Options{}); err == nil || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("Open of a folder with other files: %v", err)
	}
	if e, _ := os.ReadDir(home); len(e) != 1 {
		t.Errorf("it left %v", e)
	}
	if _, err := Open(filepath.Join(home, "none"), Options{ReadOnly: true}); err == nil {
		t.Error("Open read-only of nothing: no error")
	}
	later := t.TempDir()
	if err := os.WriteFile(filepath.Join(later, "format"), []byte("hearsight store 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(later, Options{}); err == nil || !strings.Contains(err.Error(), "store 2") {
		t.Errorf("Open of a later format: %v", err)
	}
}

func TestReadOnlyStore(t *testing.T) {
	dir := t.TempDir()
	a := mustCommit(t, open(t, dir, Options{}), "a", "one")
	s := open(t, dir, Options{ReadOnly: true})
	for name, err := range map[string]error{
		"NewWriter":   func() error { _, err := s.NewWriter(); return err }(),
		"Commit":      func() error { _, err := s.Commit(KeyOf("b"), "b", Manifest{Type: "files"}); return err }(),
		"SetLineage":  s.SetLineage("x", KeyOf("a")),
		"Pin":         s.Pin(context.Background(), "x", a.Digest),
		"Partial":     func() error { _, err := s.Partial(KeyOf("b")); return err }(),
		"DropPartial": s.DropPartial(KeyOf("b")),
		"NewRun":      func() error { _, err := s.NewRun("1"); return err }(),
		"TryLock":     func() error { _, err := s.TryLock("1"); return err }(),
		"GC":          func() error { _, err := s.GC(context.Background(), nil, GCOptions{}); return err }(),
		"Repair":      s.Verify(context.Background(), VerifyOptions{Repair: true}, func(Problem) {}),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s = %v, want ErrReadOnly", name, err)
		}
	}
}

func TestManifestForm(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	p, err := put(s, "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "../x", "/etc/passwd", "a/../../b", "a//b", "a/", `a\b`, "a\x00b"} {
		p.Name = name
		if _, err := s.PutManifest(Manifest{Type: "files", Parts: []Part{p}}); err == nil {
			t.Errorf("a part named %q is taken", name)
		}
	}
	p.Name = "a"
	if _, err := s.PutManifest(Manifest{Type: "files", Parts: []Part{p, p}}); err == nil {
		t.Error("two parts of one name are taken")
	}
	q := p
	q.Name = "b/c"
	one, err := s.PutManifest(Manifest{Type: "files", Parts: []Part{q, p}})
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.PutManifest(Manifest{Type: "files", Parts: []Part{p, q}})
	if err != nil || one.Digest != two.Digest {
		t.Errorf("the order of parts counts: %s, %s, %v", one.Digest, two.Digest, err)
	}
}

func TestCommitFirstWins(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	a := mustCommit(t, s, "a", "one")
	if b := mustCommit(t, s, "a", "one"); b.Digest != a.Digest {
		t.Errorf("the same again: %s, want %s", b.Digest, a.Digest)
	}
	b, err := commit(s, "a", "two")
	if !errors.Is(err, ErrNondeterministic) || b == nil || b.Digest != a.Digest {
		t.Errorf("another result: %v, %v; want the first's and ErrNondeterministic", b, err)
	}
	if _, err := s.Commit(KeyOf("b"), "a", Manifest{Type: "files"}); err == nil {
		t.Error("a key that is not the description's is taken")
	}
	if _, err := s.Commit(KeyOf("b"), "b", Manifest{Type: "files", Parts: []Part{{Name: "x", Digest: Digest{1}, Size: 1}}}); !errors.Is(err, ErrNotFound) {
		t.Errorf("Commit without its parts = %v", err)
	}
	p, err := put(s, "two")
	if err != nil {
		t.Fatal(err)
	}
	p.Name = "part-0"
	c, err := s.Replace(KeyOf("a"), "a", Manifest{Type: "files", Parts: []Part{p}})
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := s.Action(KeyOf("a")); err != nil || got.Digest != c.Digest {
		t.Errorf("after Replace: %v, %v", got, err)
	}
}

func TestFullDiskSaysSo(t *testing.T) {
	fs := &faultfs.FS{NoSync: true}
	s := open(t, t.TempDir(), Options{FS: fs})
	w, err := s.NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	fs.At, fs.Fault = fs.Count()+1, faultfs.NoSpace
	w.Write([]byte("x"))
	if _, _, err := w.Commit(); err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("Commit on a full disk = %v", err)
	}
	if left, _ := os.ReadDir(s.session.dir); len(left) > 0 {
		t.Errorf("the failed object's bytes are left: %v", left)
	}
}

func TestRefs(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Options{})
	a := mustCommit(t, s, "a", "one")
	if _, err := s.Lineage("stage/shard 3"); !errors.Is(err, ErrNotFound) {
		t.Error("a lineage before it was set")
	}
	for _, want := range []ActionKey{KeyOf("a"), KeyOf("b"), KeyOf("b")} {
		if err := s.SetLineage("stage/shard 3", want); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Lineage("stage/shard 3"); err != nil || got != want {
			t.Errorf("Lineage = %s, %v; want %s", got, err, want)
		}
	}
	for range 2 {
		if err := s.DropLineage("stage/shard 3"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Lineage("stage/shard 3"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Lineage after DropLineage: %v", err)
		}
	}
	name := "the good\n\"one\""
	if err := s.Pin(ctx, name, a.Digest); err != nil {
		t.Fatal(err)
	}
	if err := s.Pin(ctx, "none", Digest{1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("Pin of nothing = %v", err)
	}
	pins, err := s.Pins()
	if err != nil || len(pins) != 1 || pins[name] != a.Digest {
		t.Errorf("Pins = %v, %v", pins, err)
	}
	if err := s.Unpin(ctx, name); err != nil {
		t.Error(err)
	}
	if err := s.Unpin(ctx, name); !errors.Is(err, ErrNotFound) {
		t.Errorf("Unpin twice = %v", err)
	}
}

func TestPartialAndRuns(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for range 2 { // a dropped folder can be made again
		dir, err := s.Partial(KeyOf("a"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "checkpoint"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := s.DropPartial(KeyOf("a")); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("partial work is there after DropPartial")
		}
	}
	for _, id := range []string{"", ".", "..", "a/b", "/a", ".x"} {
		if _, err := s.NewRun(id); err == nil {
			t.Errorf("NewRun(%q): no error", id)
		}
	}
	for _, id := range []string{"2", "1"} {
		if _, err := s.NewRun(id); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(s.Runs()); got != "[1 2]" {
		t.Errorf("Runs = %s", got)
	}
}

// tick waits until the clock that stamps files has moved on for sure.
func tick(t testing.TB, dir string) {
	t.Helper()
	probe := filepath.Join(dir, "probe")
	stamp := func() time.Time {
		if err := os.WriteFile(probe, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(probe)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	for start := stamp(); stamp().Sub(start) < objectWindow; {
	}
}
