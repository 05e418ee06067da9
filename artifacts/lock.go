package artifacts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// The first wait for a lock, and the longest: a lock whose owner is killed is
// had within lockWaitMax.
const (
	lockWait    = time.Millisecond
	lockWaitMax = 50 * time.Millisecond
)

// A Lock is held from Lock to Unlock, or to the end of its process.
type Lock struct {
	s     *Store
	f     atomicfile.File
	path  string
	mode  atomicfile.LockMode
	work  bool       // it is one of Lock and TryLock
	spare *spareLock // nil: f has no other name than path
	once  sync.Once
	err   error
}

// workPrefix tells the locks of Lock and TryLock from the store's own.
const workPrefix = "x-"

var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)

// Lock waits until it alone holds the lock called name, or ctx is done. Any
// name will do. It excludes other processes and other callers in this one.
func (s *Store) Lock(ctx context.Context, name string) (*Lock, error) {
	if s.o.ReadOnly {
		return nil, fmt.Errorf("lock %.80q: %w", name, ErrReadOnly)
	}
	return s.lock(ctx, workPrefix+name, atomicfile.Exclusive)
}

// TryLock is Lock without waiting: if another holds the lock the error wraps
// ErrBusy.
func (s *Store) TryLock(name string) (*Lock, error) {
	if s.o.ReadOnly {
		return nil, fmt.Errorf("lock %.80q: %w", name, ErrReadOnly)
	}
	return s.tryLock(workPrefix+name, atomicfile.Exclusive)
}

// Use keeps the collector out until the lock is given up: what was found in
// the store stays there. Every run holds it from its plan to its end. A store
// that has been written to holds it anyway until it is closed.
func (s *Store) Use(ctx context.Context) (*Lock, error) {
	if s.o.ReadOnly {
		return nil, fmt.Errorf("use store: %w", ErrReadOnly)
	}
	return s.lock(ctx, "store", atomicfile.Shared)
}

// Unlock gives the lock up. It may be called twice.
func (l *Lock) Unlock() error {
	l.once.Do(func() {
		if l.mode == atomicfile.Exclusive {
			if l.s.keepSpare(l) {
				return
			}
			// The holder alone may remove the file; who waits for it notices. It
			// may have lost the name already, to a removal that took effect and
			// still failed, and then the name is another's.
			if current(l.f, l.path) {
				if err := l.s.fs.Remove(l.path); !errors.Is(err, fs.ErrNotExist) {
					l.err = err
				}
			}
		}
		l.err = errors.Join(l.err, atomicfile.Funlock(l.f), l.f.Close())
		if l.err != nil {
			l.err = fmt.Errorf("unlock %s: %w", l.path, l.err)
		}
	})
	return l.err
}

func (s *Store) lock(ctx context.Context, name string, mode atomicfile.LockMode) (*Lock, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for wait := lockWait; ; wait = min(2*wait, lockWaitMax) {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("wait for lock %.80q: %w", name, err)
		}
		l, err := s.tryLock(name, mode)
		if !errors.Is(err, ErrBusy) {
			return l, err
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

func (s *Store) tryLock(name string, mode atomicfile.LockMode) (*Lock, error) {
	path := s.lockPath(name)
	work := strings.HasPrefix(name, workPrefix)
	if work {
		if l := s.reuseSpare(path); l != nil {
			return l, nil
		}
	}
	f, err := s.fs.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %.80q: %w", name, s.explain(err))
	}
	ok, err := atomicfile.Flock(f, mode)
	if err == nil && ok && current(f, path) {
		return &Lock{s: s, f: f, path: path, mode: mode, work: work}, nil
	}
	if cerr := f.Close(); err != nil || cerr != nil {
		return nil, fmt.Errorf("lock %.80q: %w", name, errors.Join(err, cerr))
	}
	return nil, fmt.Errorf("lock %.80q: %w", name, ErrBusy)
}

// current reports whether f still bears the name path: its last holder may
// have removed it between our open and our lock, and then it guards nothing.
func current(f interface{ Stat() (os.FileInfo, error) }, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(mine, named)
}

// lockPath returns a readable file name for a lock where its name is one, and
// its hash where it is not.
func (s *Store) lockPath(name string) string {
	if !plainName.MatchString(name) {
		h := sha256.Sum256([]byte(name))
		name = "h-" + hex.EncodeToString(h[:16])
	}
	return s.path("locks", name)
}
