package artifacts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// A session is a store's right to write: its folder under tmp/ and its share
// of the lock that keeps the collector out.
type session struct {
	dir  string
	hold *os.File // dir, opened and locked: its owner is alive
	use  *Lock
	// Guarded by the store's mutex:
	spares   []*spareLock
	idle     map[string]struct{} // paths in dir that nobody writes to: of spare locks and dropped folders
	kept     int64               // bytes of dropped folders
	noSpares bool                // links cannot be made here
}

// writing returns the folder for this store's temporary files and makes it
// when it is first needed.
func (s *Store) writing() (*session, error) {
	if s.o.ReadOnly {
		return nil, ErrReadOnly
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		if s.closed {
			return nil, fmt.Errorf("store %s: %w", s.dir, fs.ErrClosed)
		}
		se, err := s.newSession()
		if err != nil {
			return nil, s.explain(err)
		}
		s.session = se
	}
	return s.session, nil
}

func (s *Store) newSession() (_ *session, err error) {
	se := &session{idle: map[string]struct{}{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, se.end(s.fs))
		}
	}()
	if !s.collecting {
		if se.use, err = s.lock(context.Background(), "store", atomicfile.Shared); err != nil {
			return nil, err
		}
	}
	making, err := s.lock(context.Background(), "tmp", atomicfile.Exclusive)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, making.Unlock()) }()
	var b [8]byte
	rand.Read(b[:]) // never fails
	dir := s.path("tmp", hex.EncodeToString(b[:]))
	if err := s.fs.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	se.dir = dir
	if se.hold, err = os.Open(dir); err != nil {
		return nil, err
	}
	if ok, err := atomicfile.Flock(se.hold, atomicfile.Exclusive); err != nil || !ok {
		return nil, fmt.Errorf("lock %s: %w", dir, errors.Join(err, ErrBusy))
	}
	return se, nil
}

// sweepTemps removes what killed processes left under tmp/ and beside the
// store's own files. What cannot be removed now is tried again next time.
func (s *Store) sweepTemps() {
	atomicfile.Sweep(s.fs, s.dir)
	entries, err := os.ReadDir(s.path("tmp"))
	if err != nil || len(entries) == 0 {
		return
	}
	// No one may take a new folder for a leftover before it is locked.
	making, err := s.tryLock("tmp", atomicfile.Exclusive)
	if err != nil {
		return
	}
	var left []*os.File // folders without an owner, ours from here on
	for _, e := range entries {
		d, err := os.Open(s.path("tmp", e.Name()))
		if err != nil {
			continue
		}
		if ok, err := atomicfile.Flock(d, atomicfile.Exclusive); ok && err == nil {
			left = append(left, d)
		} else {
			_ = d.Close()
		}
	}
	_ = making.Unlock() // there may be much in them, and nobody has to wait for that
	for _, d := range left {
		_ = s.fs.RemoveAll(d.Name())
		_ = d.Close()
	}
}

// temp returns a name for a new temporary file or folder.
func (s *Store) temp() (string, error) {
	se, err := s.writing()
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.temps++
	return filepath.Join(se.dir, fmt.Sprint(s.temps)), nil
}

// writers reports whether something is being written in the session's folder.
func (s *Store) writers(se *session) (bool, error) {
	entries, err := os.ReadDir(se.dir)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		if _, ok := se.idle[filepath.Join(se.dir, e.Name())]; !ok {
			return true, nil
		}
	}
	return false, err
}

// endSession ends the session, if there is one.
func (s *Store) endSession() error {
	s.mu.Lock()
	se := s.session
	s.session = nil
	s.mu.Unlock()
	if se == nil {
		return nil
	}
	err := se.end(s.fs)
	for _, x := range se.spares { // who held one gives it up himself
		_ = x.f.Close()
	}
	return s.explain(err)
}

// end gives up what the session holds, also when it was only half made.
func (se *session) end(fsys FS) error {
	var err error
	if se.dir != "" {
		err = fsys.RemoveAll(se.dir)
	}
	if se.hold != nil {
		err = errors.Join(err, se.hold.Close())
	}
	if se.use != nil {
		err = errors.Join(err, se.use.Unlock())
	}
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// A spareLock is the file of a lock that was given up, under a name among the
// session's temporary files. It stays open and locked, so a new name for it is
// a lock of that name which is held from the start. A run of thousands of stages
// makes a few such files; making and deleting one a stage costs more than all
// else of a lock, most of all where ext4 has no journal and looks through what
// was deleted in the last minutes for each file that it makes.
type spareLock struct {
	f    atomicfile.File
	path string
}

// maxSpareLocks is above what a run holds at once.
const maxSpareLocks = 64

// keepSpare takes the name off the lock and keeps its file, and reports whether
// it did. Who has the file open finds it locked, and when it looks again finds
// another, or none, under the name.
func (s *Store) keepSpare(l *Lock) bool {
	if !l.work {
		return false
	}
	s.mu.Lock()
	se := s.session
	if se == nil || se.noSpares || len(se.spares) >= maxSpareLocks {
		s.mu.Unlock()
		return false
	}
	s.temps++
	aside := filepath.Join(se.dir, fmt.Sprint(s.temps)) // if the session ends now, there is no such place
	s.mu.Unlock()
	if l.spare == nil {
		if s.fs.Rename(l.path, aside) != nil {
			return false
		}
		l.spare = &spareLock{l.f, aside}
	} else if s.fs.Remove(l.path) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == se {
		se.spares = append(se.spares, l.spare)
		se.idle[l.spare.path] = struct{}{}
		return true
	}
	_ = l.f.Close() // the session has ended, and the spare name with it: nothing is lost
	return true
}

// reuseSpare gives a spare lock the name path and returns it, or nil if there
// is none or the name is taken.
func (s *Store) reuseSpare(path string) *Lock {
	s.mu.Lock()
	se := s.session
	if se == nil || len(se.spares) == 0 {
		s.mu.Unlock()
		return nil
	}
	x := se.spares[len(se.spares)-1]
	se.spares = se.spares[:len(se.spares)-1]
	s.mu.Unlock()
	// A link is made of nothing or not at all: whoever has the name keeps it.
	err := s.fs.Link(x.path, path)
	if err == nil {
		return &Lock{s: s, f: x.f, path: path, work: true, spare: x}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, fs.ErrExist) && s.session == se {
		se.spares = append(se.spares, x)
		return nil
	}
	// The file system knows no links, or the session has ended.
	se.noSpares = true
	_ = s.fs.Remove(x.path)
	delete(se.idle, x.path)
	_ = x.f.Close()
	return nil
}

// What a session keeps of dropped folders until it ends, each and in all:
// deleting what has next to nothing in it, thousands of times between the files
// that are made, slows down the making of those (see spareLock).
const (
	maxKeptFolder = 64 << 10
	maxKept       = 64 << 20
)

// mayStay reports whether a folder among the session's temporary files may be
// left for the session's end to remove.
func (s *Store) mayStay(dir string) bool {
	size := diskSize(dir, maxKeptFolder)
	s.mu.Lock()
	defer s.mu.Unlock()
	if size > maxKeptFolder || s.session == nil || s.session.kept+size > maxKept {
		return false
	}
	s.session.kept += size
	s.session.idle[dir] = struct{}{}
	return true
}

// diskSize is about what a folder and all in it take on the disk, or more than
// limit, when it stops counting. What cannot be looked at counts as more.
func diskSize(dir string, limit int64) int64 {
	const block = 4 << 10
	entries, err := os.ReadDir(dir)
	if err != nil {
		return limit + 1
	}
	size := int64(block)
	for _, e := range entries {
		switch {
		case size > limit:
			return size
		case e.IsDir():
			info, err := e.Info()
			if err != nil || info.Mode().Perm()&0o300 != 0o300 {
				return limit + 1 // to be removed while it is known whose it is
			}
			size += diskSize(filepath.Join(dir, e.Name()), limit-size)
		case e.Type().IsRegular():
			info, err := e.Info()
			if err != nil {
				return limit + 1
			}
			size += block + info.Size()
		default:
			size += block
		}
	}
	return size
}
