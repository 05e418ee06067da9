package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/internal/atomicfile/faultfs"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, want := range []string{"one", "a second, longer", ""} {
		if err := atomicfile.WriteFile(path, []byte(want), 0o640); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got := names(t, filepath.Dir(path)); got != "f" {
		t.Errorf("the folder holds %s", got)
	}
	if err := atomicfile.WriteFile(filepath.Join(path, "x"), nil, 0o644); err == nil {
		t.Error("a file below a file: no error")
	}
}

func TestWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	w, err := atomicfile.Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("new"))
	if _, err := os.Stat(path); err == nil {
		t.Error("visible before Commit")
	}
	// Another writer of the same file does not take this one for a leftover.
	if err := atomicfile.WriteFile(path, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got := read(t, path); got != "new" {
		t.Errorf("got %q", got)
	}
	if err := w.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Commit twice = %v", err)
	}

	w, err = atomicfile.Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("dropped"))
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Commit(); err == nil {
		t.Error("Commit after Close: no error")
	}
	if got := read(t, path) + names(t, filepath.Dir(path)); got != "newf" {
		t.Errorf("after Close: %q", got)
	}
}

func TestEveryOperationFails(t *testing.T) {
	count := &faultfs.FS{NoSync: true}
	if err := atomicfile.WriteFileFS(count, filepath.Join(t.TempDir(), "f"), []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	if count.Count() != 5 { // open, write, sync, rename, sync folder
		t.Errorf("%d operations", count.Count())
	}
	for _, fault := range faultfs.Faults {
		for at := 1; at <= count.Count(); at++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			bad := &faultfs.FS{At: at, Fault: fault, NoSync: true}
			err := atomicfile.WriteFileFS(bad, path, []byte("new"), 0o644)
			last := at == count.Count()
			if (err == nil) != (last && fault == faultfs.StopAfter) {
				t.Errorf("%s at %s: error %v", fault, bad.Hit(), err)
			}
			got := read(t, path)
			if got != "old" && got != "new" || last && got != "new" {
				t.Errorf("%s at %s: the file holds %q", fault, bad.Hit(), got)
			}
			if err := atomicfile.WriteFile(path, []byte("again"), 0o644); err != nil {
				t.Fatal(err)
			}
			if got := read(t, path) + " " + names(t, dir); got != "again f" {
				t.Errorf("%s at %s, and then again: %q", fault, bad.Hit(), got)
			}
		}
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	w, err := atomicfile.Create(filepath.Join(dir, "alive"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	alive := names(t, dir)
	for _, name := range []string{".dead.tmp-0123456789abcdef", ".mine.tmp-x", "dead.tmp-0123456789abcdef"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	atomicfile.Sweep(atomicfile.OS{}, dir)
	if got, want := names(t, dir), alive+" .mine.tmp-x dead.tmp-0123456789abcdef"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
}

// watched tells whether a file is held by somebody when it is removed.
type watched struct {
	atomicfile.OS
	t       *testing.T
	removed int
}

func (w *watched) Remove(name string) error {
	w.removed++
	f, err := os.Open(name)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if ok, err := atomicfile.Flock(f, atomicfile.Exclusive); ok || err != nil {
		w.t.Errorf("%s could be locked by its writer just before it is removed: %v", name, err)
	}
	return w.OS.Remove(name)
}

// TestSweepHoldsWhatItRemoves: a writer that has made its file and not yet
// locked it must not lose it once it has.
func TestSweepHoldsWhatItRemoves(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".f.tmp-0123456789abcdef"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w := &watched{t: t}
	atomicfile.Sweep(w, dir)
	if w.removed != 1 {
		t.Errorf("%d files removed, want 1", w.removed)
	}
}

func TestFlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	var f [3]*os.File
	for i := range f {
		var err error
		if f[i], err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644); err != nil {
			t.Fatal(err)
		}
		defer f[i].Close()
	}
	lock := func(i int, m atomicfile.LockMode, want bool) {
		t.Helper()
		if got, err := atomicfile.Flock(f[i], m); err != nil || got != want {
			t.Errorf("Flock(%d, %d) = %v, %v; want %v", i, m, got, err, want)
		}
	}
	lock(0, atomicfile.Shared, true)
	lock(1, atomicfile.Shared, true)
	lock(2, atomicfile.Exclusive, false)
	for i := range 2 {
		if err := atomicfile.Funlock(f[i]); err != nil {
			t.Fatal(err)
		}
	}
	lock(2, atomicfile.Exclusive, true)
	lock(0, atomicfile.Shared, false)
}

func TestStamp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	stamp := func() atomicfile.Stamp {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return atomicfile.StampOf(info)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1000, 7)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	a := stamp()
	if a.Size != 3 || a.ModifiedNS != 1000e9+7 || a != stamp() {
		t.Errorf("stamp %+v", a)
	}
	if a.ChangedNS < time.Now().Add(-time.Minute).UnixNano() {
		t.Errorf("the change time is %d: set back with the modification time", a.ChangedNS)
	}
	if now := a.ChangedNS + 5; !a.Racy(now, 10) || a.Racy(now, 5) {
		t.Error("Racy does not go by the later of the two times")
	}
	if err := os.Rename(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	if b := stamp(); b.Inode == a.Inode {
		t.Error("another file has the same inode")
	}
}
