package artifacts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hearsight/hearsight/internal/atomicfile/faultfs"
)

// scenario does once whatever changes a store. Doing it again after it was cut
// short must lead to the same store as doing it undisturbed.
func scenario(dir string, fs FS) (err error) {
	ctx := context.Background()
	s, err := Open(dir, Options{FS: fs})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	use, err := s.Use(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, use.Unlock()) }()
	if _, err := s.NewRun("1"); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for i := range 3 {
		if err := step(ctx, s, fmt.Sprint("work ", i)); err != nil {
			return err
		}
	}
	if err := use.Unlock(); err != nil {
		return err
	}
	// "work 2" is in no root: it goes, and is made anew by the next scenario.
	_, a, err := s.Action(KeyOf("work 0"))
	if err != nil {
		return err
	}
	_, err = s.GC(ctx, []Digest{a.Digest}, GCOptions{KeepRuns: 1})
	return err
}

func step(ctx context.Context, s *Store, name string) (err error) {
	k := KeyOf(name)
	l, err := s.Lock(ctx, k.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	_, a, err := s.Action(k)
	if err != nil || s.Complete(a) != nil {
		if _, err := s.Partial(k); err != nil {
			return err
		}
		if a, err = commit(s, name, name+" gave this", "and this", ""); err != nil {
			return err
		}
	}
	if err := s.DropPartial(k); err != nil {
		return err
	}
	if err := s.SetLineage(name, k); err != nil {
		return err
	}
	if name != "work 1" {
		return nil
	}
	return s.Pin(ctx, name, a.Digest)
}

// state names all that a later process finds: actions with their artifacts.
func state(t *testing.T, s *Store) string {
	t.Helper()
	out := ""
	err := s.hashNamed(context.Background(), "actions", ".json", func(h [32]byte, _ string, _ os.FileInfo) error {
		act, a, err := s.Action(h)
		if err != nil {
			return err
		}
		out += act.Description + " " + a.Digest.String() + "\n"
		if got, want := contents(t, a, "part-0"), act.Description+" gave this"; got != want {
			return fmt.Errorf("%s holds %q", act.Description, got)
		}
		return s.Complete(a)
	}, func(path string) error { return fmt.Errorf("foreign file %s", path) })
	if err != nil {
		t.Fatal(err)
	}
	pins, err := s.Pins()
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range sorted(pins) {
		out += "pin " + name + " " + d.String() + "\n"
	}
	return out
}

// TestEveryOperationFails fails each operation of the scenario once in each
// way. After it, no process may find anything damaged or half done, and the
// scenario done again ends as if nothing had been.
func TestEveryOperationFails(t *testing.T) {
	count := &faultfs.FS{NoSync: true}
	calm := t.TempDir()
	if err := scenario(calm, count); err != nil {
		t.Fatal(err)
	}
	want := state(t, open(t, calm, Options{}))
	t.Logf("%d operations", count.Count())
	stride := 1
	if testing.Short() {
		stride = 19
	}
	for _, fault := range faultfs.Faults {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			for at := 1; at <= count.Count(); at += stride {
				failOnce(t, &faultfs.FS{NoSync: true, At: at, Fault: fault}, want)
			}
		})
	}
}

func failOnce(t *testing.T, fs *faultfs.FS, want string) {
	t.Helper()
	dir := t.TempDir()
	err := scenario(dir, fs)
	if fs.Fault.Stops() && err == nil && fs.At < fs.Count() {
		t.Errorf("%s at %s: the scenario took no notice", fs.Fault, fs.Hit())
	}
	s := open(t, dir, Options{OnDamage: func(err error) { t.Errorf("%s at %s: %v", fs.Fault, fs.Hit(), err) }})
	for _, p := range problems(t, s, VerifyOptions{}) {
		if fs.Fault != faultfs.Torn || p.What != "statcache" && p.What != "memo" { // appended to, and no result depends on them
			t.Errorf("%s at %s: %s", fs.Fault, fs.Hit(), p)
		}
	}
	state(t, s)
	if err := scenario(dir, &faultfs.FS{NoSync: true}); err != nil {
		t.Fatalf("%s at %s, and then again: %v", fs.Fault, fs.Hit(), err)
	}
	if got := state(t, s); got != want {
		t.Errorf("%s at %s, and then again: %s, want %s", fs.Fault, fs.Hit(), got, want)
	}
	if left, _ := os.ReadDir(s.path("tmp")); len(left) > 0 {
		t.Errorf("%s at %s, and then again: temporary files are left: %v", fs.Fault, fs.Hit(), left)
	}
	if p := problems(t, s, VerifyOptions{}); len(p) > 0 {
		t.Errorf("%s at %s, and then again: %v", fs.Fault, fs.Hit(), p)
	}
}

// TestOrderOfOperations holds the scenario to what a power cut asks for: no
// name is given to bytes that may not be on the disk, and no action is linked
// while the name of an object may not be.
func TestOrderOfOperations(t *testing.T) {
	fs := &faultfs.FS{NoSync: true}
	dir := t.TempDir()
	if err := scenario(dir, fs); err != nil {
		t.Fatal(err)
	}
	unsynced := map[string]bool{} // files with bytes, and folders with names, that may be lost
	links := 0
	for _, op := range fs.Log() {
		parent := filepath.Dir(op.Name)
		switch op.Kind {
		case "write":
			unsynced[op.Name] = true
		case "sync", "sync folder":
			delete(unsynced, op.Name)
		case "mkdir":
			unsynced[parent] = true
		case "rename", "link":
			if unsynced[op.Old] {
				t.Errorf("%s: the file was not synced", op)
			}
			if strings.Contains(op.Name, "/actions/") {
				links++
				for name := range unsynced {
					if strings.Contains(name, "/objects") || strings.HasSuffix(name, "/actions") {
						t.Errorf("%s: %s was not synced", op, name)
					}
				}
			}
			if !strings.Contains(op.Name, "/tmp/") {
				unsynced[parent] = true
			}
		}
	}
	if links != 3 {
		t.Errorf("%d actions were linked, want 3", links)
	}
	for name := range unsynced {
		if strings.HasPrefix(name, filepath.Join(dir, "actions")) || name == dir {
			t.Errorf("at the end %s is not synced", name)
		}
	}
}

// TestDropSparesAnother: between finding damage and dropping it another
// process may have healed it.
func TestDropSparesAnother(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	p, err := put(s, "good")
	if err != nil {
		t.Fatal(err)
	}
	path := s.objectPath(p.Digest)
	other := filepath.Join(t.TempDir(), "bad")
	write(t, other, "bad")
	bad, err := os.Stat(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.drop(path, bad); err != nil {
		t.Fatal(err)
	}
	good, err := os.Stat(path)
	if err != nil {
		t.Fatal("the good file was dropped for the bad one")
	}
	if err := s.drop(path, good); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("what was to be dropped is there")
	}
}

func TestExplain(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for err, want := range map[error]string{
		syscall.ENOSPC: "is full", syscall.EDQUOT: "is full", syscall.EROFS: "read-only", syscall.EACCES: "cannot be written to",
	} {
		got := s.explain(&os.PathError{Op: "open", Path: "x", Err: err})
		if !strings.Contains(got.Error(), want) || !errors.Is(got, err) {
			t.Errorf("%v is explained as %q", err, got)
		}
	}
}

// TestCachesAreAppendedToWhole fails each operation of a second use of a store,
// which appends to the caches that the first one wrote: a disk that is full
// leaves no half record.
func TestCachesAreAppendedToWhole(t *testing.T) {
	second := func(fs *faultfs.FS) (dir string, appended bool) {
		dir = t.TempDir()
		s := open(t, dir, Options{})
		mustCommit(t, s, "first", "1")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{FS: fs})
		if err != nil {
			return dir, false
		}
		_, _ = commit(s, "second", "2") // fails, or not
		_ = s.Close()
		for _, op := range fs.Log() {
			appended = appended || op.Kind == "write" && op.Name == s.path("statcache")
		}
		return dir, appended
	}
	count := &faultfs.FS{NoSync: true}
	if _, appended := second(count); !appended {
		t.Fatal("nothing was appended")
	}
	for at := 1; at <= count.Count(); at++ {
		fs := &faultfs.FS{NoSync: true, At: at, Fault: faultfs.Short}
		dir, _ := second(fs)
		for _, p := range problems(t, open(t, dir, Options{ReadOnly: true}), VerifyOptions{}) {
			t.Errorf("short write at %s: %s", fs.Hit(), p)
		}
	}
}
