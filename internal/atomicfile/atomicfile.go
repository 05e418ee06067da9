package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A Writer writes a file that becomes visible on Commit. It is not safe for
// use by several goroutines.
type Writer struct {
	fs   FS
	f    File
	path string
	err  error // the first failure: a file that lacks bytes is never committed
	done bool
}

// WriteFile makes path hold data, with permissions perm before umask.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	return WriteFileFS(OS{}, path, data, perm)
}

// WriteFileFS is WriteFile on a given file system.
func WriteFileFS(fsys FS, path string, data []byte, perm os.FileMode) (err error) {
	w, err := CreateFS(fsys, path, perm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Commit()
}

// Create starts a file that will be called path, with permissions perm before
// umask. The caller defers Close and calls Commit when all is written.
func Create(path string, perm os.FileMode) (*Writer, error) { return CreateFS(OS{}, path, perm) }

// CreateFS is Create on a given file system.
func CreateFS(fsys FS, path string, perm os.FileMode) (*Writer, error) {
	removeStale(fsys, path)
	for range 100 {
		w, err := create(fsys, path, perm)
		if err != nil || w != nil {
			return w, err
		}
	}
	return nil, fmt.Errorf("create %s: its temporary file is removed again and again", path)
}

// create returns nil if another writer took the new file for a leftover in the
// moment between its creation and its lock.
func create(fsys FS, path string, perm os.FileMode) (*Writer, error) {
	var b [8]byte
	rand.Read(b[:]) // never fails
	tmp := tempPrefix(path) + hex.EncodeToString(b[:])
	f, err := fsys.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	w := &Writer{fs: fsys, f: f, path: path}
	ok, err := Flock(f, Exclusive)
	if errors.Is(err, errors.ErrUnsupported) {
		return w, nil // where there are no locks, the leftovers of killed writers stay
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", tmp, err), w.Close())
	}
	if _, err := os.Lstat(tmp); !ok || err != nil {
		return nil, f.Close()
	}
	return w, nil
}

// Write appends p to the file.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.f.Write(p)
	if err != nil {
		w.err = fmt.Errorf("write %s: %w", w.path, err)
	}
	return n, w.err
}

// Commit makes the file visible and durable. After an error the old file, if
// there was one, is still there, except that when only the last step failed,
// the fsync of the directory, the new one is there and may not be durable.
func (w *Writer) Commit() error {
	if w.err == nil && w.done {
		w.err = fmt.Errorf("commit %s: %w", w.path, fs.ErrClosed)
	}
	if w.err != nil {
		return w.err
	}
	// From here on the file either gets its name or is removed by Close.
	if err := w.f.Sync(); err != nil {
		w.err = fmt.Errorf("sync %s: %w", w.path, err)
		return w.err
	}
	if err := w.fs.Rename(w.f.Name(), w.path); err != nil {
		w.err = fmt.Errorf("rename to %s: %w", w.path, err)
		return w.err
	}
	w.done = true
	err := w.f.Close()
	if err := errors.Join(err, w.fs.SyncDir(filepath.Dir(w.path))); err != nil {
		w.err = fmt.Errorf("commit %s: %w", w.path, err)
	}
	return w.err
}

// Close removes the file unless it was committed. It may be called twice.
func (w *Writer) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	if err := errors.Join(w.f.Close(), w.fs.Remove(w.f.Name())); err != nil {
		return fmt.Errorf("discard %s: %w", w.path, err)
	}
	return nil
}

// tempPrefix is what the names of path's temporary files start with.
func tempPrefix(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp-")
}

// removeStale removes temporary files of path whose owner is gone. It is a
// courtesy: whatever fails here fails again, and is reported, where it matters.
func removeStale(fsys FS, path string) {
	sweep(fsys, filepath.Dir(path), filepath.Base(tempPrefix(path)))
}

// Sweep removes the temporary files in a folder whose writers are gone.
func Sweep(fsys FS, dir string) { sweep(fsys, dir, ".") }

func sweep(fsys FS, dir, prefix string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), prefix) || !tempName.MatchString(e.Name()) {
			continue
		}
		removeOwnerless(fsys, filepath.Join(dir, e.Name()))
	}
}

var tempName = regexp.MustCompile(`^\..+\.tmp-[0-9a-f]{16}$`)

// removeOwnerless removes a file that nobody holds. It holds the file itself
// meanwhile: else a writer could lock it between our look and our removal.
func removeOwnerless(fsys FS, name string) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	if ok, err := Flock(f, Exclusive); ok && err == nil {
		_ = fsys.Remove(name)
	}
}
