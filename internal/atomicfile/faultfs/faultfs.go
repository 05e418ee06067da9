// Package faultfs is a file system for tests that fails one chosen operation,
// or stops at it as a killed process would. A test runs its scenario once to
// count the operations, and then once for each operation and fault; after each
// it looks with the real file system at what a later process would find.
package faultfs

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// ErrStopped is what every operation gives after a stop.
var ErrStopped = errors.New("faultfs: stopped")

// A Fault is what happens at the chosen operation.
type Fault int

const (
	NoSpace    Fault = iota // ENOSPC, nothing done
	IOError                 // EIO, nothing done
	NoFiles                 // EMFILE, nothing done
	Short                   // half of a write is done; EIO for other operations
	StopBefore              // it and all later ones fail with ErrStopped
	StopAfter               // it is done, all later ones fail with ErrStopped
	Torn                    // half of a write is done, and all later operations fail with ErrStopped; StopBefore for others
	Full                    // it and all later ones that need space fail with ENOSPC
)

// Faults lists all faults.
var Faults = []Fault{NoSpace, IOError, NoFiles, Short, StopBefore, StopAfter, Torn, Full}

func (f Fault) String() string {
	return [...]string{"no space", "i/o error", "no files", "short write", "stop before", "stop after", "torn write", "full disk"}[f]
}

// An FS counts operations and fails the one numbered At, from 1; with At 0 it
// fails none. Closing is no operation: a dead process's files are closed too.
type FS struct {
	At     int
	Fault  Fault
	NoSync bool // skip the real fsyncs, for speed: they change nothing a test can see

	mu      sync.Mutex
	n       int
	stopped bool
	what    string
	log     []Op
}

// An Op is an operation that was done, or tried.
type Op struct {
	Kind string // open, mkdir, link, rename, remove, remove all, sync folder, write, sync, truncate
	Name string // the file or folder concerned; of link and rename the new name
	Old  string // of link and rename the old name
}

func (o Op) String() string { return o.Kind + " " + o.Name }

var _ atomicfile.FS = (*FS)(nil)

// Stops reports whether nothing more is done after the fault, as if the process had died.
func (f Fault) Stops() bool { return f == StopBefore || f == StopAfter || f == Torn }

// needsSpace lists the operations that fail on a disk that is and stays full.
var needsSpace = map[string]bool{"open": true, "mkdir": true, "link": true, "write": true}

// Count returns how many operations there were.
func (f *FS) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// Hit describes the operation that was failed, "" if none was.
func (f *FS) Hit() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.what
}

// Log returns the operations so far.
func (f *FS) Log() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// do counts an operation and does it, or not. half is what a short write does.
func (f *FS) do(op Op, whole, half func() error) error {
	f.mu.Lock()
	f.n++
	f.log = append(f.log, op)
	hit := f.n == f.At
	stopped := f.stopped
	if hit {
		f.what = op.String()
		f.stopped = f.Fault.Stops()
	}
	hit = hit || f.Fault == Full && f.n > f.At && f.At > 0 && needsSpace[op.Kind]
	f.mu.Unlock()
	switch {
	case hit && f.Fault == Torn && half != nil && !stopped:
		return errors.Join(half(), ErrStopped)
	case stopped, hit && (f.Fault == StopBefore || f.Fault == Torn):
		return ErrStopped
	case !hit, f.Fault == StopAfter:
		return whole()
	case f.Fault == NoSpace, f.Fault == Full:
		return syscall.ENOSPC
	case f.Fault == NoFiles:
		return syscall.EMFILE
	case f.Fault == Short && half != nil:
		return half()
	}
	return syscall.EIO
}

// OpenFile implements atomicfile.FS.
func (f *FS) OpenFile(name string, flag int, perm os.FileMode) (file atomicfile.File, err error) {
	err = f.do(Op{Kind: "open", Name: name}, func() (err error) {
		file, err = atomicfile.OS{}.OpenFile(name, flag, perm)
		return err
	}, nil)
	if err != nil {
		return nil, err
	}
	return &faulty{File: file, fs: f}, nil
}

// Mkdir implements atomicfile.FS.
func (f *FS) Mkdir(name string, perm os.FileMode) error {
	return f.do(Op{Kind: "mkdir", Name: name}, func() error { return os.Mkdir(name, perm) }, nil)
}

// Link implements atomicfile.FS.
func (f *FS) Link(oldname, newname string) error {
	return f.do(Op{Kind: "link", Name: newname, Old: oldname}, func() error { return os.Link(oldname, newname) }, nil)
}

// Rename implements atomicfile.FS.
func (f *FS) Rename(oldname, newname string) error {
	return f.do(Op{Kind: "rename", Name: newname, Old: oldname}, func() error { return os.Rename(oldname, newname) }, nil)
}

// Remove implements atomicfile.FS.
func (f *FS) Remove(name string) error {
	return f.do(Op{Kind: "remove", Name: name}, func() error { return os.Remove(name) }, nil)
}

// RemoveAll implements atomicfile.FS.
func (f *FS) RemoveAll(name string) error {
	return f.do(Op{Kind: "remove all", Name: name}, func() error { return os.RemoveAll(name) }, nil)
}

// SyncDir implements atomicfile.FS.
func (f *FS) SyncDir(name string) error {
	return f.do(Op{Kind: "sync folder", Name: name}, func() error {
		if f.NoSync {
			return nil
		}
		return atomicfile.OS{}.SyncDir(name)
	}, nil)
}

type faulty struct {
	atomicfile.File
	fs *FS
}

func (f *faulty) Write(p []byte) (n int, err error) {
	err = f.fs.do(Op{Kind: "write", Name: f.Name()}, func() error {
		n, err = f.File.Write(p)
		return err
	}, func() error {
		n, err = f.File.Write(p[:len(p)/2])
		return errors.Join(err, io.ErrShortWrite)
	})
	return n, err
}

func (f *faulty) Sync() error {
	return f.fs.do(Op{Kind: "sync", Name: f.Name()}, func() error {
		if f.fs.NoSync {
			return nil
		}
		return f.File.Sync()
	}, nil)
}

func (f *faulty) Truncate(size int64) error {
	return f.fs.do(Op{Kind: "truncate", Name: f.Name()}, func() error { return f.File.Truncate(size) }, nil)
}
