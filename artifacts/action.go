package artifacts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// Bounds on what is read into memory: far above what a run writes, far below
// what hurts.
const (
	maxManifest = 256 << 20
	maxAction   = 256 << 20
)

// KeyOf returns the key of an action with the given description.
func KeyOf(description string) ActionKey { return sha256.Sum256([]byte(description)) }

// PutManifest stores a manifest and returns its artifact. The parts may come
// in any order; their names must be different, local, slash-separated paths.
// That the parts themselves are there is Complete's business.
func (s *Store) PutManifest(m Manifest) (*Artifact, error) {
	m.Parts = slices.Clone(m.Parts)
	slices.SortFunc(m.Parts, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("store manifest: %w", err)
	}
	data, err := canonical(m)
	if err != nil {
		return nil, fmt.Errorf("store manifest: %w", err)
	}
	w, err := s.NewWriter()
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	d, _, err := w.Commit()
	if err != nil {
		return nil, err
	}
	return &Artifact{Digest: d, Manifest: m, store: s}, nil
}

// Artifact returns the artifact whose manifest has the digest d. A damaged or
// missing manifest is a *DamagedError, and dropped.
func (s *Store) Artifact(d Digest) (*Artifact, error) {
	a, _, err := s.artifact(d)
	return a, err
}

func (s *Store) artifact(d Digest) (*Artifact, reading, error) {
	data, r, err := s.readObject(d, maxManifest)
	if err != nil {
		return nil, r, err
	}
	a := &Artifact{Digest: d, store: s}
	if err := decode(data, &a.Manifest); err != nil {
		return nil, r, fmt.Errorf("object %s is not a manifest: %w", d, err)
	}
	if err := a.Manifest.check(); err != nil {
		return nil, r, fmt.Errorf("manifest %s: %w", d, err)
	}
	return a, r, nil
}

// check holds a manifest to its form: it comes from files that others may have
// written, and its names become paths when an artifact is copied out.
func (m Manifest) check() error {
	if m.Type == "" {
		return errors.New("it has no type")
	}
	for i, p := range m.Parts {
		switch {
		case p.Name == "" || p.Name != path.Clean(p.Name) || p.Name == "." || !filepath.IsLocal(filepath.FromSlash(p.Name)),
			strings.ContainsAny(p.Name, "\\\x00"):
			return fmt.Errorf("part name %.80q is not a local path", p.Name)
		case i > 0 && p.Name <= m.Parts[i-1].Name:
			return fmt.Errorf("part %.80q comes twice or out of order", p.Name)
		case p.Size < 0 || p.Rows < 0 || p.Digest.IsZero():
			return fmt.Errorf("part %.80q has no digest, or a negative size", p.Name)
		}
	}
	return nil
}

// Complete reports as an error the first part of a that the store does not
// hold whole.
func (s *Store) Complete(a *Artifact) error {
	for _, p := range a.Manifest.Parts {
		if s.Has(p.Digest, p.Size) {
			continue
		}
		return &DamagedError{What: "artifact", Name: a.Digest.String(), Digest: p.Digest, Path: s.objectPath(p.Digest),
			Reason: fmt.Sprintf("part %s is missing or damaged", p.Name), Err: ErrNotFound}
	}
	return nil
}

// Action returns what the work with key k gave. If it was not done, or its
// record or its manifest is damaged or gone, the error is ErrNotFound; damage
// is told to Options.OnDamage and dropped. Whether the parts are there is
// Complete's business.
func (s *Store) Action(k ActionKey) (*Action, *Artifact, error) {
	readNS := s.o.Now().UnixNano()
	act, info, err := s.readAction(k)
	if err == nil {
		a, manifest, err := s.artifact(act.Manifest)
		if err == nil {
			s.memo.put(k, a.Digest, reading{atomicfile.StampOf(info), readNS}, manifest, a.Manifest)
			return act, a, nil
		}
		return nil, nil, s.forget(k, info, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("action %s: %w", k, ErrNotFound)
	}
	if errors.Is(err, fs.ErrPermission) || info == nil {
		return nil, nil, fmt.Errorf("open action %s: %w", k, err)
	}
	return nil, nil, s.forget(k, info, err)
}

// Result is Action without the record. It opens nothing where both files are
// as they were when they were last read.
func (s *Store) Result(k ActionKey) (*Artifact, error) {
	if a := s.memo.get(k); a != nil {
		return a, nil
	}
	_, a, err := s.Action(k)
	return a, err
}

// forget drops an action that leads nowhere.
func (s *Store) forget(k ActionKey, info os.FileInfo, cause error) error {
	if errors.Is(cause, fs.ErrPermission) {
		return fmt.Errorf("action %s: %w", k, cause)
	}
	e := &DamagedError{What: "action", Name: k.String(), Path: s.actionPath(k), Reason: cause.Error(), Err: cause}
	s.dropBad(e, info)
	s.damaged(e)
	return fmt.Errorf("action %s: %w", k, ErrNotFound)
}

// readAction reads an action file and holds it to its name. With an error,
// info tells which file it was, if one could be opened.
func (s *Store) readAction(k ActionKey) (*Action, os.FileInfo, error) {
	f, err := os.Open(s.actionPath(k))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Size() > maxAction {
		return nil, info, fmt.Errorf("%d bytes are too many for an action", info.Size())
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := b.ReadFrom(f); err != nil {
		return nil, info, err
	}
	act, err := ParseAction(k, b.Bytes())
	return act, info, err
}

func (s *Store) actionPath(k ActionKey) string {
	h := hex.EncodeToString(k[:])
	return s.path("actions", h[:2], h[2:]+".json")
}

// Commit records that the work with this description, whose hash is k, gave
// the artifact m, all of whose parts must be in the store. When it returns,
// the record is durable. If another has recorded the same work before, that
// one's artifact is returned, and if it differs also an error that wraps
// ErrNondeterministic.
func (s *Store) Commit(k ActionKey, description string, m Manifest) (*Artifact, error) {
	a, tmp, err := s.prepare(k, description, m)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.fs.Remove(tmp) }() // what is left goes with the session's folder
	for range 10 {
		err = s.link(tmp, s.actionPath(k))
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		_, winner, werr := s.Action(k) // drops what is damaged
		if werr == nil {
			return s.second(k, a, winner)
		}
		if !errors.Is(werr, ErrNotFound) {
			return nil, werr
		}
	}
	if err == nil {
		err = s.fs.SyncDir(filepath.Dir(s.actionPath(k)))
	}
	if err != nil {
		return nil, fmt.Errorf("commit action %s: %w", k, s.explain(err))
	}
	s.memo.committed(k)
	return a, nil
}

// second ends a Commit that came second.
func (s *Store) second(k ActionKey, a, winner *Artifact) (*Artifact, error) {
	// The winner may not have got so far as to sync its folder.
	if err := s.fs.SyncDir(filepath.Dir(s.actionPath(k))); err != nil {
		return nil, fmt.Errorf("commit action %s: %w", k, s.explain(err))
	}
	if winner.Digest != a.Digest {
		return winner, fmt.Errorf("action %s gave %s now and %s before: %w", k, a.Digest, winner.Digest, ErrNondeterministic)
	}
	return winner, nil
}

// Replace is Commit for work that was done again on demand: the new record
// takes the place of an old one, in one step.
func (s *Store) Replace(k ActionKey, description string, m Manifest) (*Artifact, error) {
	a, tmp, err := s.prepare(k, description, m)
	if err != nil {
		return nil, err
	}
	if err := s.fs.Rename(tmp, s.actionPath(k)); err != nil {
		_ = s.fs.Remove(tmp)
		return nil, fmt.Errorf("replace action %s: %w", k, s.explain(err))
	}
	if err := s.fs.SyncDir(filepath.Dir(s.actionPath(k))); err != nil {
		return nil, fmt.Errorf("replace action %s: %w", k, s.explain(err))
	}
	s.memo.committed(k)
	return a, nil
}

// prepare does all of a commit but its last step: the artifact is stored and
// whole, and the action file lies durable under a temporary name.
func (s *Store) prepare(k ActionKey, description string, m Manifest) (*Artifact, string, error) {
	if got := KeyOf(description); got != k {
		return nil, "", fmt.Errorf("commit action %s: its description has the key %s", k, got)
	}
	for _, p := range m.Parts {
		// Parts written a moment ago need not be read back for this.
		if !s.known(p.Digest, p.Size) && !s.Has(p.Digest, p.Size) {
			return nil, "", &DamagedError{What: "artifact", Name: "to be committed", Digest: p.Digest, Path: s.objectPath(p.Digest),
				Reason: fmt.Sprintf("part %s is missing or damaged", p.Name), Err: ErrNotFound}
		}
	}
	a, err := s.PutManifest(m)
	if err != nil {
		return nil, "", err
	}
	data, err := canonical(Action{Description: description, Manifest: a.Digest})
	if err != nil {
		return nil, "", fmt.Errorf("commit action %s: %w", k, err)
	}
	if err := s.mkdir(filepath.Dir(s.actionPath(k))); err != nil {
		return nil, "", fmt.Errorf("commit action %s: %w", k, s.explain(err))
	}
	tmp, err := s.writeTemp(data)
	if err != nil {
		return nil, "", fmt.Errorf("commit action %s: %w", k, s.explain(err))
	}
	return a, tmp, nil
}

// writeTemp writes a durable temporary file.
func (s *Store) writeTemp(data []byte) (_ string, err error) {
	tmp, err := s.temp()
	if err != nil {
		return "", err
	}
	f, err := s.fs.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = s.fs.Remove(tmp)
		return "", err
	}
	return tmp, nil
}

// link gives the file old the name new unless that is taken. Where the file
// system has no links it renames, and of two that come at once the last wins.
func (s *Store) link(old, new string) error {
	err := s.fs.Link(old, new)
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOTSUP) && !errors.Is(err, syscall.ENOSYS) &&
		!errors.Is(err, syscall.EMLINK) {
		return err
	}
	if _, err := os.Lstat(new); err == nil {
		return &fs.PathError{Op: "link", Path: new, Err: fs.ErrExist}
	}
	return s.fs.Rename(old, new)
}

// canonical returns the one spelling of v: indented JSON, so that a person can
// read it, with a line break at the end.
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// decode reads what canonical wrote and nothing else: a change of any byte is
// an error.
func decode[T any](data []byte, v *T) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	again, err := canonical(*v)
	if err != nil {
		return err
	}
	if !bytes.Equal(data, again) {
		return errors.New("it is not in the form it was written in")
	}
	return nil
}
