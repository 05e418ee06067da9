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

// EncodeLineage returns the contents of the file that says that name stands for d.
func EncodeLineage(name string, d Digest) []byte { return []byte(ref{name, d}.line()) }

// ParseLineage returns what name stands for by the contents of its file, and
// whether they are whole and name's.
func ParseLineage(name string, data []byte) (Digest, bool) {
	r, err := parseRef(strings.TrimSuffix(string(data), "\n"))
	return r.digest, err == nil && r.name == name
}

// Lineage returns the digest last set under name. It tells where unchanged
// items may be taken over from and nothing depends on it: where the record is
// missing or damaged there is none.
func (s *Store) Lineage(name string) (Digest, bool) {
	data, err := os.ReadFile(s.lineagePath(name))
	if err != nil {
		return Digest{}, false
	}
	return ParseLineage(name, data)
}

// SetLineage makes name stand for d, in place of what it stood for.
func (s *Store) SetLineage(name string, d Digest) error {
	if old, ok := s.Lineage(name); ok && old == d {
		return nil
	}
	path := s.lineagePath(name)
	if err := s.mkdir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("set lineage %.80q: %w", name, s.explain(err))
	}
	tmp, err := s.writeTemp(EncodeLineage(name, d))
	if err == nil {
		err = s.fs.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("set lineage %.80q: %w", name, s.explain(err))
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

// readPins returns the pins, and an error for each damaged line.
func (s *Store) readPins() (map[string]Digest, []error, error) {
	path := s.path("pins")
	pins := map[string]Digest{}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return pins, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read pins: %w", err)
	}
	var bad []error
	for i, line := range strings.SplitAfter(string(data), "\n") {
		if line == "" {
			continue
		}
		r, err := parseRef(strings.TrimSuffix(line, "\n"))
		if err == nil && !strings.HasSuffix(line, "\n") {
			err = errors.New("damaged: the file is cut off")
		}
		if err != nil {
			bad = append(bad, &DamagedError{What: "pin", Name: fmt.Sprintf("in line %d", i+1), Path: path, Reason: err.Error(), Err: err})
			continue
		}
		pins[r.name] = r.digest
	}
	return pins, bad, nil
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
	if err := atomicfile.WriteFileFS(s.fs, s.path("pins"), []byte(strings.Join(lines, "")), 0o644); err != nil {
		return fmt.Errorf("write pins: %w", s.explain(err))
	}
	return nil
}

// Partial returns the folder in which unfinished work with the key k keeps
// what it wants to find again, and makes it if need be. Its contents are the
// worker's: the store does not look at them. Who works there holds a lock.
func (s *Store) Partial(k ActionKey) (string, error) {
	if s.o.ReadOnly {
		return "", fmt.Errorf("partial work: %w", ErrReadOnly)
	}
	dir := s.partialPath(k)
	// Not mkdir with its memory of what is there: DropPartial removes it.
	err := s.fs.Mkdir(dir, 0o755)
	if err == nil {
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
	if err == nil {
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
