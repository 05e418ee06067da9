package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/atomicfile"
)

// A Folder is a Remote in a folder: of another disk, or one that is shared. It
// takes no locks, which not every shared file system has.
//
// A file under way lies under incoming/, named by what it will be called and
// what will be in it. Whoever writes it writes the same bytes at the same
// places, so that several who do so at once do not disturb each other, and one
// who comes later goes on where it ends.
type Folder struct{ dir string }

const incoming = "incoming"

// OpenFolder opens the remote in dir. To write, the folder is made if need be,
// and a folder that is a store in use is refused: it may only be read.
func OpenFolder(dir string, write bool) (*Folder, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open remote %s: %w", dir, err)
	}
	if write {
		if _, err := os.Stat(filepath.Join(abs, "locks")); err == nil {
			return nil, fmt.Errorf("%s is a store: name a folder of its own for the remote (a store may be read as one)", dir)
		}
		if err := os.Mkdir(abs, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("open remote: %w", err)
		}
	}
	info, err := os.Stat(abs)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a folder")
	}
	if err != nil {
		return nil, fmt.Errorf("open remote %s: %w", dir, err)
	}
	return &Folder{dir: abs}, nil
}

// String returns the folder's path.
func (f *Folder) String() string { return f.dir }

func (f *Folder) path(name string) (string, error) {
	p := filepath.FromSlash(name)
	if !filepath.IsLocal(p) {
		return "", fmt.Errorf("%.80q is no name of a file", name)
	}
	return filepath.Join(f.dir, p), nil
}

// Stat is Remote's.
func (f *Folder) Stat(_ context.Context, name string) (Info, error) {
	path, err := f.path(name)
	if err != nil {
		return Info{}, err
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		return Info{}, inWords(err)
	}
	return Info{Size: info.Size()}, nil
}

// Open is Remote's.
func (f *Folder) Open(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	if _, err := f.Stat(ctx, name); err != nil { // a pipe would be waited for
		return nil, err
	}
	path, err := f.path(name)
	if err != nil {
		return nil, err
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, inWords(err)
	}
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Put is Remote's.
func (f *Folder) Put(ctx context.Context, name string, src Source) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	for _, dir := range []string{filepath.Join(f.dir, incoming), filepath.Dir(path)} {
		if err := makeDurable(f.dir, dir); err != nil {
			return inWords(err)
		}
	}
	h := sha256.Sum256(append([]byte(name+"\n"), src.Digest[:]...))
	part := filepath.Join(f.dir, incoming, hex.EncodeToString(h[:16]))
	if err := writeRest(ctx, part, src); err != nil {
		return inWords(err)
	}
	err = os.Rename(part, path)
	if errors.Is(err, fs.ErrNotExist) { // another who put the same was first
		return check(ctx, path, src)
	}
	if err != nil {
		return inWords(err)
	}
	return atomicfile.OS{}.SyncDir(filepath.Dir(path))
}

// writeRest brings the file at path to hold the source: what is there and
// right already is not written again. Then it is read back.
func writeRest(ctx context.Context, path string, src Source) (err error) {
	w, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	const step = 1 << 20
	want, have := make([]byte, step), make([]byte, step)
	for at := int64(0); at < src.Size; at += step {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b := want[:min(step, src.Size-at)]
		if n, err := src.Body.ReadAt(b, at); n < len(b) {
			return fmt.Errorf("read what is to be put: %w", err)
		}
		n, err := w.ReadAt(have[:len(b)], at)
		if n == len(b) && string(have[:n]) == string(b) {
			continue
		}
		if err != nil && err != io.EOF {
			return err
		}
		if _, err := w.WriteAt(b, at); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Truncate(src.Size), w.Sync()); err != nil {
		return err
	}
	if err := check(ctx, path, src); err != nil {
		if errors.Is(err, artifacts.ErrWrongBytes) {
			err = errors.Join(err, os.Remove(path))
		}
		return err
	}
	return nil
}

// check reads the file at path and holds it to the source's digest.
func check(ctx context.Context, path string, src Source) error {
	r, err := os.Open(path)
	if err != nil {
		return inWords(err)
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return r.Read(p)
	})); err != nil {
		return err
	}
	if got := artifacts.Digest(h.Sum(nil)); got != src.Digest {
		return fmt.Errorf("%w: what arrived has the digest %s, not %s", artifacts.ErrWrongBytes, got, src.Digest)
	}
	return nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// makeDurable makes dir, and what is missing between top and it.
func makeDurable(top, dir string) error {
	if _, err := os.Stat(dir); err == nil || dir == top {
		return nil // the remote itself is never made anew: its disk may be gone
	}
	if err := makeDurable(top, filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return atomicfile.OS{}.SyncDir(filepath.Dir(dir))
}

// inWords tells apart what is not there and what may not be done.
func inWords(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", err, artifacts.ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", err, ErrRefused)
	}
	return err
}
