package artifacts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// A ref is a name and the digest it stands for, on disk one line:
//
//	sha256:… "name" crc32c-of-what-is-before
type ref struct {
	name   string
	digest Digest
}

func (r ref) line() string {
	body := r.digest.String() + " " + strconv.Quote(r.name)
	return fmt.Sprintf("%s %08x\n", body, crc32.Checksum([]byte(body), castagnoli))
}

func parseRef(line string) (ref, error) {
	d, rest, _ := strings.Cut(line, " ")
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return ref{}, errors.New("damaged: it is not a digest, a name and a checksum")
	}
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return ref{}, errors.New("damaged: the name cannot be read")
	}
	digest, err := ParseDigest(d)
	if err != nil {
		return ref{}, fmt.Errorf("damaged: %w", err)
	}
	r := ref{name: name, digest: digest}
	if r.line() != line+"\n" {
		return ref{}, errors.New("damaged: the checksum does not fit")
	}
	return r, nil
}

// EncodeLineage returns the contents of the file that says that name stands for k.
func EncodeLineage(name string, k ActionKey) []byte { return []byte(ref{name, Digest(k)}.line()) }

// ParseLineage returns what name stands for by the contents of its file, and
// whether they are whole and name's.
func ParseLineage(name string, data []byte) (ActionKey, bool) {
	line, whole := strings.CutSuffix(string(data), "\n")
	r, err := parseRef(line)
	return ActionKey(r.digest), err == nil && whole && r.name == name
}

// Lineage returns the key of the action last done under name. It tells where
// unchanged items may be taken over from, and no result depends on it. Without
// a record the error is ErrNotFound, with a damaged one a *DamagedError.
func (s *Store) Lineage(name string) (ActionKey, error) {
	path := s.lineagePath(name)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ActionKey{}, fmt.Errorf("lineage %.80q: %w", name, ErrNotFound)
	}
	if err != nil {
		return ActionKey{}, fmt.Errorf("lineage %.80q: %w", name, err)
	}
	r, err := s.parseLineage(path, data)
	if err != nil {
		return ActionKey{}, &DamagedError{What: "lineage", Name: fmt.Sprintf("%.80q", name), Path: path, Reason: err.Error(), Err: err}
	}
	return ActionKey(r.digest), nil
}

// parseLineage reads a file of lineage/.
func (s *Store) parseLineage(path string, data []byte) (ref, error) {
	line, whole := strings.CutSuffix(string(data), "\n")
	r, err := parseRef(line)
	switch {
	case err != nil:
	case !whole:
		err = errors.New("damaged: it is cut off")
	case s.lineagePath(r.name) != path:
		err = errors.New("damaged: its name is another's")
	}
	return r, err
}

// SetLineage makes name stand for k, in place of what it stood for.
func (s *Store) SetLineage(name string, k ActionKey) error {
	if old, err := s.Lineage(name); err == nil && old == k {
		return nil
	}
	path := s.lineagePath(name)
	if err := s.mkdir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("set lineage %.80q: %w", name, s.explain(err))
	}
	tmp, err := s.writeTemp(EncodeLineage(name, k))
	if err == nil {
		err = s.fs.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("set lineage %.80q: %w", name, s.explain(err))
	}
	return nil
}

// DropLineage forgets what name stands for.
func (s *Store) DropLineage(name string) error {
	if _, err := s.Lineage(name); errors.Is(err, ErrNotFound) {
		return nil
	}
	if err := s.fs.Remove(s.lineagePath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop lineage %.80q: %w", name, s.explain(err))
	}
	return nil
}

func (s *Store) lineagePath(name string) string {
	h := sha256.Sum256([]byte(name))
	x := hex.EncodeToString(h[:])
	return s.path("lineage", x[:2], x[2:])
}

// Pins returns what is pinned: name -> artifact. A damaged pin is an error,
// beside those that are whole.
func (s *Store) Pins() (map[string]Digest, error) {
	pins, bad, err := s.readPins()
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("read pins: %w", bad[0])
	}
	return pins, err
}

// pinsHead begins the file of pins. Every store has it from the start, so that
// no pin is lost without a word:
//
//	hearsight pins 1 <number of lines that follow> <crc32c of them>
const pinsHead = "hearsight pins 1 "

func pinsFile(lines []string) []byte {
	body := strings.Join(lines, "")
	return fmt.Appendf(nil, "%s%d %08x\n%s", pinsHead, len(lines), crc32.Checksum([]byte(body), castagnoli), body)
}

// readPins returns the pins, and an error for each damaged line, or for those
// that are missing.
func (s *Store) readPins() (map[string]Digest, []error, error) {
	path := s.path("pins")
	pins := map[string]Digest{}
	var bad []error
	damaged := func(name string, err error) {
		bad = append(bad, &DamagedError{What: "pin", Name: name, Path: path, Reason: err.Error(), Err: err})
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(s.path(formatName)); err == nil {
			damaged("file", errors.New("missing: what was pinned is not known"))
		}
		return pins, bad, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read pins: %w", err)
	}
	head, body, _ := strings.Cut(string(data), "\n")
	lines := strings.SplitAfter(body, "\n")
	lines = lines[:len(lines)-1] // what follows the last line break is nothing, or cut off
	for i, line := range lines {
		r, err := parseRef(strings.TrimSuffix(line, "\n"))
		if err != nil {
			damaged(fmt.Sprintf("in line %d", i+2), err)
			continue
		}
		pins[r.name] = r.digest
	}
	if whole := pinsFile(lines); len(bad) == 0 && string(whole) != string(data) {
		damaged("file", fmt.Errorf("damaged: it begins with %.60q and %d whole lines follow", head, len(lines)))
	}
	return pins, bad, nil
}

// createPins makes the file of a new store, unless another has already.
func (s *Store) createPins() (err error) {
	l, err := s.Lock(context.Background(), "pins")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	if _, err := os.Lstat(s.path("pins")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.writePins(nil)
}

// Pin keeps an artifact, which the store must hold, from being collected. A
// name that is taken is given to the new one.
func (s *Store) Pin(ctx context.Context, name string, d Digest) error {
	if name == "" {
		return errors.New("pin: it needs a name")
	}
	if _, err := s.Artifact(d); err != nil {
		return fmt.Errorf("pin %.80q: %w", name, err)
	}
	return s.editPins(ctx, func(pins map[string]Digest) error {
		pins[name] = d
		return nil
	})
}

// Unpin removes a pin. If there is none the error wraps ErrNotFound.
func (s *Store) Unpin(ctx context.Context, name string) error {
	return s.editPins(ctx, func(pins map[string]Digest) error {
		if _, ok := pins[name]; !ok {
			return fmt.Errorf("pin %.80q: %w", name, ErrNotFound)
		}
		delete(pins, name)
		return nil
	})
}

// editPins changes the pins. While one of them is damaged it refuses: writing
// the file anew would lose it for good and without a word.
func (s *Store) editPins(ctx context.Context, edit func(map[string]Digest) error) (err error) {
	l, err := s.Lock(ctx, "pins")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	pins, err := s.Pins()
	if err != nil {
		return err
	}
	if err := edit(pins); err != nil {
		return err
	}
	return s.writePins(pins)
}

func (s *Store) writePins(pins map[string]Digest) error {
	lines := make([]string, 0, len(pins))
	for name, d := range pins {
		lines = append(lines, ref{name, d}.line())
	}
	slices.Sort(lines)
	if err := atomicfile.WriteFileFS(s.fs, s.path("pins"), pinsFile(lines), 0o644); err != nil {
		return fmt.Errorf("write pins: %w", s.explain(err))
	}
	return nil
}

// Partial returns the folder in which unfinished work with the key k keeps
// what it wants to find again, and makes it if need be. Its contents are the
// worker's: the store does not look at them. Who works there holds a lock.
func (s *Store) Partial(k ActionKey) (string, error) { return s.partial(k, true) }

// Scratch is Partial for work that finds nothing again: the folder may be gone
// after a power failure.
func (s *Store) Scratch(k ActionKey) (string, error) { return s.partial(k, false) }

func (s *Store) partial(k ActionKey, durable bool) (string, error) {
	if s.o.ReadOnly {
		return "", fmt.Errorf("partial work: %w", ErrReadOnly)
	}
	dir := s.partialPath(k)
	// Not mkdir with its memory of what is there: DropPartial removes it.
	err := s.fs.Mkdir(dir, 0o755)
	if err == nil && durable {
		err = s.fs.SyncDir(s.path("partial"))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("partial work: %w", s.explain(err))
	}
	return dir, nil
}

// DropPartial removes the folder, in one step as seen from outside.
func (s *Store) DropPartial(k ActionKey) error {
	tmp, err := s.temp()
	if err != nil {
		return fmt.Errorf("drop partial work: %w", err)
	}
	err = s.fs.Rename(s.partialPath(k), tmp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !s.mayStay(tmp) {
		err = s.fs.RemoveAll(tmp)
	}
	if err != nil {
		return fmt.Errorf("drop partial work: %w", s.explain(err))
	}
	return nil
}

func (s *Store) partialPath(k ActionKey) string { return s.path("partial", hex.EncodeToString(k[:])) }

// NewRun makes the folder for the journal and logs of a run. Its id is one
// path element; ids are taken to sort by time.
func (s *Store) NewRun(id string) (string, error) {
	if s.o.ReadOnly {
		return "", fmt.Errorf("new run: %w", ErrReadOnly)
	}
	if !filepath.IsLocal(id) || filepath.Base(id) != id || strings.HasPrefix(id, ".") {
		return "", fmt.Errorf("new run: %.80q is no id", id)
	}
	dir := s.path("runs", id)
	if err := s.fs.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("new run: %w", s.explain(err))
	}
	if err := s.fs.SyncDir(s.path("runs")); err != nil {
		return "", fmt.Errorf("new run: %w", s.explain(err))
	}
	return dir, nil
}

// RunDir returns the folder of a run.
func (s *Store) RunDir(id string) string { return s.path("runs", filepath.Base(id)) }

// Runs returns the ids of the runs, in order.
func (s *Store) Runs() []string {
	entries, err := os.ReadDir(s.path("runs"))
	if err != nil {
		return nil // no folder, no runs
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

// WorkDir makes a folder for work that need not outlive this store's use. What
// is left of it goes when the store is closed, or, if we are killed, when it is
// next opened.
func (s *Store) WorkDir() (string, error) {
	dir, err := s.temp()
	if err == nil {
		err = s.fs.Mkdir(dir, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("make a work folder: %w", s.explain(err))
	}
	return dir, nil
}

// plansDir holds specs as they were parsed, under names that say of what.
const (
	plansDir = "plans"
	maxPlans = 8 // of one store: those written last are kept
)

// Plan returns what SetPlan kept under name, or nil. The caller tells whether
// it is whole.
func (s *Store) Plan(name Digest) []byte {
	data, err := os.ReadFile(s.planPath(name))
	if err != nil {
		return nil
	}
	return data
}

// SetPlan keeps data under name, as one of a few such files. It is a cache:
// what cannot be written is not kept.
func (s *Store) SetPlan(name Digest, data []byte) {
	if s.o.ReadOnly || s.mkdir(s.path(plansDir)) != nil {
		return
	}
	entries, err := os.ReadDir(s.path(plansDir))
	if err != nil || atomicfile.WriteFileFS(s.fs, s.planPath(name), data, 0o644) != nil || len(entries) < maxPlans {
		return
	}
	age := func(e os.DirEntry) int64 {
		info, err := e.Info()
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(age(a), age(b)) })
	for _, e := range entries[:len(entries)-maxPlans+1] {
		_ = s.fs.Remove(s.path(plansDir, e.Name()))
	}
}

func (s *Store) planPath(name Digest) string { return s.path(plansDir, hex.EncodeToString(name[:])) }
