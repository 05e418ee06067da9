package artifacts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile"
	"golang.org/x/sync/singleflight"
)

// FS is the seam through which every change of the store goes.
type FS = atomicfile.FS

const formatName, formatText = "format", "hearsight store 1\n"

// layout lists all that may lie in a store's folder.
var (
	layoutDirs  = []string{"objects", "actions", "partial", "lineage", "runs", "locks", "tmp", plansDir}
	layoutFiles = []string{formatName, "pins", "statcache", "memo"}
)

var (
	// ErrNotFound says that the store does not hold what was asked for.
	ErrNotFound = errors.New("not in the store")
	// ErrReadOnly says that a store opened read-only was asked to change.
	ErrReadOnly = errors.New("the store is open read-only")
	// ErrNondeterministic says that the same work gave two results.
	ErrNondeterministic = errors.New("the same work gave another result before")
	// ErrWrongBytes says that bytes are not those that were asked for.
	ErrWrongBytes = errors.New("wrong bytes")
	// ErrBusy says that a lock is held by someone else.
	ErrBusy = errors.New("in use")
)

// A DamagedError says that something in the store is not what it was, or is
// gone. It has been dropped, unless the store is read-only. Where it is gone,
// errors.Is(err, ErrNotFound) holds.
type DamagedError struct {
	What   string // "object", "action", "artifact"
	Name   string // its digest or key
	Digest Digest // of the object concerned, if one is
	Path   string // where it lies, or lay
	Reason string
	Err    error // what it was found by, or nil
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s %s: %s (%s)", e.What, e.Name, e.Reason, e.Path)
}

// Unwrap returns the error that the damage was found by.
func (e *DamagedError) Unwrap() error { return e.Err }

// Options say how a store is opened. The zero value is a store that may be
// changed, on the real file system.
type Options struct {
	ReadOnly bool
	// NoCreate makes no store where there is none: the error then wraps
	// fs.ErrNotExist. ReadOnly makes none either.
	NoCreate bool
	// Absent, with ReadOnly, makes what is no store yet read like an empty one.
	Absent bool
	FS     FS               // nil is the real one
	Now    func() time.Time // nil is time.Now; tells fresh files from old ones, and nothing else
	// OnDamage is told of whatever was found damaged and dropped where the
	// caller does not get an error for it. It may be called from any goroutine.
	OnDamage func(error)
}

// A Store holds artifacts. All of its methods may be called from several
// goroutines at once, and any number of processes may use one folder.
type Store struct {
	dir    string
	o      Options
	fs     FS
	cache  *statcache
	memo   *memo
	verify singleflight.Group
	cwd    func() (string, error) // the working folder, asked for once

	mu      sync.Mutex
	session *session            // nil until the store is first written to
	synced  map[string]struct{} // folders whose own names are known to be durable
	temps   int
	closed  bool

	// collecting is set while GC has the store for itself: a session then
	// needs no share of the lock.
	collecting bool
}

// Open opens the store in dir, and makes it if there is none. A folder that
// holds other things is refused. The caller closes the store.
func Open(dir string, o Options) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	s := &Store{dir: abs, o: o, fs: o.FS, synced: map[string]struct{}{}, cwd: sync.OnceValues(os.Getwd)}
	if s.fs == nil {
		s.fs = atomicfile.OS{}
	}
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	s.cache, s.memo = newStatcache(s), newMemo(s)
	format, err := os.ReadFile(s.path(formatName))
	switch {
	case err == nil && string(format) != formatText:
		return nil, fmt.Errorf("open store %s: its format is %.40q, this program knows %q", dir, format, formatText)
	case err == nil:
		if !o.ReadOnly {
			s.sweepTemps()
		}
		return s, nil
	case errors.Is(err, fs.ErrNotExist) && o.ReadOnly && o.Absent:
		return s, nil
	case !errors.Is(err, fs.ErrNotExist) || o.ReadOnly || o.NoCreate:
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	if err := s.create(); err != nil {
		return nil, fmt.Errorf("create store: %w", s.explain(err))
	}
	return s, nil
}

// create makes the layout. Several processes may do so at once, and one may
// have died doing it.
func (s *Store) create() error {
	if err := s.mkdirAll(s.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); !slices.Contains(layoutDirs, name) && !slices.Contains(layoutFiles, name) &&
			!strings.HasPrefix(name, "."+formatName+".tmp-") && !strings.HasPrefix(name, ".pins.tmp-") {
			return fmt.Errorf("%s is not a store and holds other things (%s): choose an empty or new folder", s.dir, name)
		}
	}
	for _, d := range layoutDirs {
		if err := s.mkdir(s.path(d)); err != nil {
			return err
		}
	}
	atomicfile.Spread(s.path("tmp")) // each session's folder, where its objects are written
	if err := s.createPins(); err != nil {
		return err
	}
	if err := atomicfile.WriteFileFS(s.fs, s.path(formatName), []byte(formatText), 0o644); err != nil {
		return err
	}
	return s.fs.SyncDir(s.dir)
}

// Close ends the use of the store: it writes down what was verified and
// removes temporary files. Objects that were written too short a moment ago to
// be told from later changes are read once more, so that the next run need not.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	wrote := s.session != nil
	s.mu.Unlock()
	if wrote {
		s.memo.readBack()
		s.confirmFresh()
	}
	s.cache.flush()
	s.memo.flush()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.endSession()
}

// Dir returns the absolute path of the store's folder.
func (s *Store) Dir() string { return s.dir }

// path returns the path of an entry of the store.
func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// mkdir makes a folder, if it is not there, and makes its name durable: once a
// process and folder, because another process may have made it and not yet
// synced its parent.
func (s *Store) mkdir(dir string) error {
	s.mu.Lock()
	_, ok := s.synced[dir]
	s.mu.Unlock()
	if ok {
		return nil
	}
	if err := s.fs.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.fs.SyncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	s.mu.Lock()
	s.synced[dir] = struct{}{}
	s.mu.Unlock()
	return nil
}

// mkdirAll makes a folder and those above it that are missing.
func (s *Store) mkdirAll(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if up := filepath.Dir(dir); up != dir {
		if err := s.mkdirAll(up); err != nil {
			return err
		}
	}
	return s.mkdir(dir)
}

// FS returns what every change below the store's folder goes through, also
// those in folders that Partial and NewRun give out.
func (s *Store) FS() FS { return s.fs }

// damaged reports what was dropped where no error goes to the caller.
func (s *Store) damaged(err error) {
	if s.o.OnDamage != nil {
		s.o.OnDamage(err)
	}
}

// drop removes the file that info describes from path. If another process has
// put a good one there in the meantime, that one stays.
func (s *Store) drop(path string, info os.FileInfo) error {
	if s.o.ReadOnly {
		return nil
	}
	aside, err := s.temp()
	if err != nil {
		return err
	}
	if err := s.fs.Rename(path, aside); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("drop %s: %w", path, s.explain(err))
	}
	if now, err := os.Lstat(aside); err == nil && info != nil && !os.SameFile(now, info) {
		if err := s.fs.Link(aside, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("put %s back: %w", path, err)
		}
	}
	return s.fs.Remove(aside)
}
