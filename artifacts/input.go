package artifacts

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
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hearsight/hearsight/internal/atomicfile"
	"golang.org/x/sync/errgroup"
)

// An Input is a file or folder outside the store as it was when it was hashed.
type Input struct {
	Path   string
	Digest Digest
	files  []inputFile // in order of their names
	folder bool
	store  string // the folder of the store, which no input may contain

	once     sync.Once
	artifact *Artifact // of a folder, once it was asked for
}

type inputFile struct {
	name   string // below the folder, with slashes; "" for a single file
	path   string
	digest Digest
	stamp  atomicfile.Stamp
	info   os.FileInfo // if it was asked for already, a moment ago
	racy   bool        // changed so shortly before it was read that its stamp may miss a change since
}

// maxReads is how often a file that changes while it is read is read again.
const maxReads = 3

// HashInput returns the digest of a file's bytes, or of a folder: of the
// sorted relative names of its files and their digests. Times, permissions and
// empty folders do not count. Links are followed; a folder that contains
// itself is refused, and so is whatever is neither file nor folder. Digests
// are remembered by the files' stamps.
func (s *Store) HashInput(ctx context.Context, path string) (Digest, error) {
	in, err := s.Input(ctx, path)
	if err != nil {
		return Digest{}, err
	}
	return in.Digest, nil
}

// Input is HashInput that also returns what is needed to tell later whether
// the input was changed.
func (s *Store) Input(ctx context.Context, path string) (*Input, error) {
	abs, err := s.absolute(path)
	if err != nil {
		return nil, fmt.Errorf("hash input %s: %w", path, err)
	}
	in := &Input{Path: path, store: s.dir}
	if in.files, in.folder, err = listInput(ctx, abs, s.dir); err != nil {
		return nil, fmt.Errorf("hash input %s: %w", path, err)
	}
	if !in.folder {
		if err := s.hashFile(ctx, &in.files[0]); err != nil {
			return nil, fmt.Errorf("hash input %s: %w", path, err)
		}
		in.Digest = in.files[0].digest
		return in, nil
	}
	if err := s.hashFiles(ctx, in.files); err != nil {
		return nil, fmt.Errorf("hash input %s: %w", path, err)
	}
	in.Digest = in.digest()
	return in, nil
}

// hashFiles fills in the digests of files, several at a time.
func (s *Store) hashFiles(ctx context.Context, files []inputFile) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(len(files), runtime.GOMAXPROCS(0)) {
		g.Go(func() error {
			for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
				if err := ctx.Err(); err != nil {
					return context.Cause(ctx)
				}
				if err := s.hashFile(ctx, &files[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// Artifact returns a folder as an artifact of the same digest whose parts are
// its files, with their digests and sizes, or nil for a single file. The store
// does not hold them: Open fails. It is the same each time, and not to be changed.
func (in *Input) Artifact() *Artifact {
	if !in.folder {
		return nil
	}
	in.once.Do(func() {
		parts := make([]Part, len(in.files))
		for i, f := range in.files {
			parts[i] = Part{Name: f.name, Digest: f.digest, Size: f.stamp.Size}
		}
		in.artifact = &Artifact{Digest: in.Digest, Manifest: Manifest{Type: "folder", Parts: parts}}
	})
	return in.artifact
}

// absolute is filepath.Abs, which asks for the working folder each time.
func (s *Store) absolute(path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	dir, err := s.cwd()
	return filepath.Join(dir, path), err
}

// digest is the hash of the folder's list.
func (in *Input) digest() Digest {
	h := sha256.New()
	io.WriteString(h, "hearsight folder 1\n")
	var line []byte
	for _, f := range in.files {
		line = hex.AppendEncode(append(line[:0], digestPrefix...), f.digest[:])
		line = append(strconv.AppendQuote(append(line, ' '), f.name), '\n')
		h.Write(line)
	}
	return Digest(h.Sum(nil))
}

// hashFile fills in the digest of f, from the statcache if it knows it.
func (s *Store) hashFile(ctx context.Context, f *inputFile) error {
	key := sha256.Sum256([]byte("input\x00" + f.path))
	info := f.info
	if f.info = nil; info == nil {
		var err error
		if info, err = os.Stat(f.path); err != nil {
			return err
		}
	}
	if r, ok := s.cache.get(key); ok && r.stamp == atomicfile.StampOf(info) {
		f.digest, f.stamp = r.digest, r.stamp
		return nil
	}
	readNS, err := s.readInput(ctx, f)
	if err != nil {
		return err
	}
	// A racy one is not remembered, so whatever is was not.
	if f.racy = f.stamp.Racy(readNS, int64(inputWindow)); !f.racy {
		s.cache.put(record{key: key, digest: f.digest, stamp: f.stamp, readNS: readNS})
	}
	return nil
}

// readInput hashes f until it stands still.
func (s *Store) readInput(ctx context.Context, f *inputFile) (readNS int64, err error) {
	for range maxReads {
		readNS = s.o.Now().UnixNano()
		before, after, err := f.read(ctx)
		if err != nil {
			return 0, err
		}
		if f.stamp = before; before == after {
			return readNS, nil
		}
	}
	return 0, fmt.Errorf("%s is being written while it is read", f.path)
}

func (f *inputFile) read(ctx context.Context) (before, after atomicfile.Stamp, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return before, after, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return before, after, err
	}
	before = atomicfile.StampOf(info)
	h := sha256.New()
	if _, err := io.CopyBuffer(h, &ctxReader{ctx, file}, make([]byte, bufferFor(info.Size()))); err != nil {
		return before, after, err
	}
	if info, err = file.Stat(); err != nil {
		return before, after, err
	}
	f.digest = Digest(h.Sum(nil))
	return before, atomicfile.StampOf(info), nil
}

// ctxReader ends a long read when its context does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Changed returns the names of the files that are not what they were when the
// input was hashed: changed, gone, or new. It reads only files whose stamps
// say too little.
func (in *Input) Changed(ctx context.Context) ([]string, error) {
	abs, err := filepath.Abs(in.Path)
	if err != nil {
		return nil, fmt.Errorf("look at input %s: %w", in.Path, err)
	}
	files, folder, err := listInput(ctx, abs, in.store)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return []string{in.Path}, nil // gone, or no longer to be read
	}
	if folder != in.folder {
		return []string{in.Path}, nil
	}
	old := make(map[string]*inputFile, len(in.files))
	for i := range in.files {
		old[in.files[i].name] = &in.files[i]
	}
	var out []string
	for _, f := range files {
		was, ok := old[f.name]
		if !ok || !was.same(ctx, f) {
			out = append(out, f.path)
		}
		delete(old, f.name)
	}
	for _, f := range old {
		out = append(out, f.path)
	}
	slices.Sort(out)
	return out, ctx.Err()
}

func (f *inputFile) same(ctx context.Context, now inputFile) bool {
	info, err := os.Stat(now.path)
	if err != nil {
		return false
	}
	if st := atomicfile.StampOf(info); st == f.stamp && !f.racy {
		return true
	} else if st.Size != f.stamp.Size {
		return false
	}
	// Touched, or too fresh to tell: the bytes decide.
	_, _, err = now.read(ctx)
	return err == nil && now.digest == f.digest
}

// listInput names the files of an input, in order.
func listInput(ctx context.Context, path, store string) ([]inputFile, bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if info.Mode().IsRegular() {
		return []inputFile{{path: path, info: info}}, false, nil
	}
	if !info.IsDir() {
		return nil, false, fmt.Errorf("%s is neither a file nor a folder", path)
	}
	w := walk{ctx: ctx}
	if w.store, err = os.Stat(store); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, true, err
	}
	if err := w.folder(path, "", info); err != nil {
		return nil, true, err
	}
	slices.SortFunc(w.files, func(a, b inputFile) int { return strings.Compare(a.name, b.name) })
	return w.files, true, nil
}

// A walk lists the files below a folder. It follows links, and keeps the
// folders it is in to notice one that leads back.
type walk struct {
	ctx   context.Context
	store os.FileInfo // nil: there is none yet
	above []os.FileInfo
	files []inputFile
}

// maxDepth bounds the recursion of a walk, far above any real folder.
const maxDepth = 1000

func (w *walk) folder(path, name string, info os.FileInfo) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.store != nil && os.SameFile(info, w.store) {
		return fmt.Errorf("%s is the store itself, which every run changes: name an input that does not contain it", path)
	}
	for _, up := range w.above {
		if os.SameFile(up, info) {
			return fmt.Errorf("%s leads back to a folder that it lies in", path)
		}
	}
	if len(w.above) >= maxDepth {
		return fmt.Errorf("%s: folders lie more than %d deep", path, maxDepth)
	}
	w.above = append(w.above, info)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.entry(filepath.Join(path, e.Name()), strings.TrimPrefix(name+"/"+e.Name(), "/"), e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(path, name string, e os.DirEntry) error {
	if e.Type().IsRegular() {
		w.files = append(w.files, inputFile{name: name, path: path})
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil && e.Type()&os.ModeSymlink != 0:
		return fmt.Errorf("link %s leads nowhere: %w", path, err)
	case err != nil:
		return err
	case info.IsDir():
		return w.folder(path, name, info)
	case info.Mode().IsRegular():
		w.files = append(w.files, inputFile{name: name, path: path})
		return nil
	}
	return fmt.Errorf("%s is neither a file nor a folder", path)
}
