package artifacts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestGC(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	root := mustCommit(t, s, "root", "shared", "root's own")
	pinned := mustCommit(t, s, "pinned", "pinned's own")
	covered := mustCommit(t, s, "covered", "shared") // all of its parts are another's too
	stale := mustCommit(t, s, "stale", "shared", "stale's own")
	if err := s.Pin(ctx, "paper", pinned.Digest); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"root", "stale"} {
		if err := s.SetLineage(name, KeyOf(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []string{"stale", "root", "unfinished"} {
		if _, err := s.Partial(KeyOf(k)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"1", "2", "3"} {
		if _, err := s.NewRun(id); err != nil {
			t.Fatal(err)
		}
	}

	roots := []Digest{root.Digest, {9}}
	dry, err := s.GC(ctx, roots, GCOptions{DryRun: true, KeepRuns: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Action(KeyOf("stale")); err != nil {
		t.Fatalf("a dry run removed an action: %v", err)
	}
	r, err := s.GC(ctx, roots, GCOptions{KeepRuns: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Actions) != 1 || r.Actions[0].Description != "stale" || r.Actions[0].Bytes != int64(len("stale's own")) {
		t.Errorf("actions: %+v", r.Actions)
	}
	if r.Objects != 2 || r.KeptObjects != 6 || r.Lineages != 1 || len(r.Runs) != 1 || r.Runs[0] != "1" {
		t.Errorf("report: %+v", r)
	}
	if len(dry.Actions) != 1 || dry.Objects != r.Objects || dry.Bytes != r.Bytes || len(dry.Runs) != 1 {
		t.Errorf("the dry run said %+v, the real one %+v", dry, r)
	}
	checkKept(t, s, map[string]*Artifact{"root": root, "pinned": pinned, "covered": covered})
	if again := mustCommit(t, s, "stale", "shared", "stale's own"); again.Digest != stale.Digest {
		t.Error("what was collected cannot be made again")
	}
}

func checkKept(t *testing.T, s *Store, kept map[string]*Artifact) {
	t.Helper()
	for name, a := range kept {
		_, got, err := s.Action(KeyOf(name))
		if err != nil || got.Digest != a.Digest || s.Complete(got) != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
	if _, err := os.Stat(s.partialPath(KeyOf("unfinished"))); err != nil {
		t.Errorf("unfinished work is gone: %v", err)
	}
	if _, err := os.Stat(s.partialPath(KeyOf("root"))); err == nil {
		t.Error("partial work of what is finished is there")
	}
	if _, err := s.Lineage("root"); err != nil {
		t.Error("the lineage of what stays is gone")
	}
	if _, err := s.Lineage("stale"); err == nil {
		t.Error("the stale lineage is there")
	}
	if p := problems(t, s, VerifyOptions{}); len(p) > 0 {
		t.Errorf("Verify: %v", p)
	}
}

func TestGCNeverBesideARun(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, gc := open(t, dir, Options{}), open(t, dir, Options{})
	use, err := s.Use(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gc.GC(ctx, nil, GCOptions{}); !errors.Is(err, ErrBusy) {
		t.Errorf("GC beside a run = %v, want ErrBusy", err)
	}
	if _, err := gc.GC(ctx, nil, GCOptions{DryRun: true}); err != nil {
		t.Errorf("a dry run beside a run: %v", err)
	}
	if err := use.Unlock(); err != nil {
		t.Fatal(err)
	}
	w, err := s.NewWriter() // holds the store too
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Store{gc, s} {
		if _, err := x.GC(ctx, nil, GCOptions{}); !errors.Is(err, ErrBusy) {
			t.Errorf("GC beside a writer = %v, want ErrBusy", err)
		}
	}
	w.Abort()
	if _, err := s.GC(ctx, nil, GCOptions{}); err != nil {
		t.Errorf("GC of a store of one's own: %v", err)
	}
}

// TestGCMeetsDamage: dropping what is damaged needs a place to put it, which
// must not wait for the lock that GC itself holds.
func TestGCMeetsDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	a := mustCommit(t, s, "a", "one")
	overwrite(t, s.objectPath(a.Digest), flip(3))
	r, err := s.GC(context.Background(), []Digest{a.Digest}, GCOptions{})
	if err != nil || len(r.Actions) != 1 {
		t.Errorf("GC = %+v, %v", r, err)
	}
	if e, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(e) > 0 {
		t.Errorf("left: %v", e)
	}
}
