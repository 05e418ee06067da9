package artifacts

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// writeBuffer gathers the small writes of encoders; larger ones pass through.
const writeBuffer = 64 << 10

// writeBuffers are those of writers that are done: clearing new ones costs more
// than writing a small object.
var writeBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, writeBuffer) }}

const readBuffer = 256 << 10 // bytes hashed at a time

// bufferFor is readBuffer, or less for a file that is smaller: clearing it would
// cost more than reading that.
func bufferFor(size int64) int64 { return min(max(size+1, bytes.MinRead), readBuffer) }

// A Writer writes one object. It is not safe for use by several goroutines.
type Writer struct {
	s    *Store
	f    atomicfile.File
	buf  *bufio.Writer
	hash hash.Hash
	size int64
	err  error // the first failure: what lacks bytes is never committed
	done bool
}

// NewWriter starts an object. The caller calls Commit or Abort.
func (s *Store) NewWriter() (*Writer, error) {
	tmp, err := s.temp()
	if err != nil {
		return nil, fmt.Errorf("write object: %w", err)
	}
	f, err := s.fs.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return nil, fmt.Errorf("write object: %w", s.explain(err))
	}
	w := &Writer{s: s, f: f, hash: sha256.New()}
	w.buf, _ = writeBuffers.Get().(*bufio.Writer)
	w.buf.Reset(hashed{w})
	return w, nil
}

// hashed passes bytes on to the file and hashes those that got there.
type hashed struct{ w *Writer }

func (h hashed) Write(p []byte) (int, error) {
	n, err := h.w.f.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return n, err
	}
	h.w.hash.Write(p)
	h.w.size += int64(len(p))
	return len(p), nil
}

// Write appends p to the object.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err == nil && w.buf == nil {
		w.err = fmt.Errorf("write object: %w", fs.ErrClosed)
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.buf.Write(p)
	if err != nil {
		w.err = fmt.Errorf("write object: %w", w.s.explain(err))
	}
	return n, w.err
}

// Commit gives the object its name and makes it durable. It returns the
// object's digest and its size in bytes. After an error there is no object.
func (w *Writer) Commit() (Digest, int64, error) {
	if w.err == nil && w.done {
		w.err = fmt.Errorf("commit object: %w", fs.ErrClosed)
	}
	if w.err == nil {
		w.err = w.commit()
	}
	if w.err != nil {
		w.Abort()
		return Digest{}, 0, w.err
	}
	w.release()
	return Digest(w.hash.Sum(nil)), w.size, nil
}

// release gives the buffer up. There is no writing after it.
func (w *Writer) release() {
	if w.buf != nil {
		w.buf.Reset(nil)
		writeBuffers.Put(w.buf)
		w.buf = nil
	}
}

// CommitAs is Commit for bytes that come from elsewhere and should have the
// digest d. If they have another there is no object, and the error wraps
// ErrWrongBytes.
func (w *Writer) CommitAs(d Digest) error {
	if w.err == nil {
		if err := w.buf.Flush(); err != nil {
			w.err = fmt.Errorf("write object: %w", w.s.explain(err))
		} else if got := Digest(w.hash.Sum(nil)); got != d {
			w.err = fmt.Errorf("%w: their digest is %s, not %s", ErrWrongBytes, got, d)
		}
	}
	_, _, err := w.Commit()
	return err
}

func (w *Writer) commit() error {
	if err := w.buf.Flush(); err != nil {
		return fmt.Errorf("write object: %w", w.s.explain(err))
	}
	d := Digest(w.hash.Sum(nil))
	dir := filepath.Dir(w.s.objectPath(d))
	if err := w.s.mkdir(dir); err != nil {
		return fmt.Errorf("commit object %s: %w", d, w.s.explain(err))
	}
	if w.s.known(d, w.size) {
		w.Abort() // there already, and verified
		return w.s.fs.SyncDir(dir)
	}
	if err := w.publish(d, dir); err != nil {
		return fmt.Errorf("commit object %s: %w", d, w.s.explain(err))
	}
	return nil
}

// publish renames the file over whatever bears the name: that has the same
// bytes, or is damaged.
func (w *Writer) publish(d Digest, dir string) error {
	if err := w.f.Sync(); err != nil {
		return err
	}
	path := w.s.objectPath(d)
	if err := w.s.fs.Rename(w.f.Name(), path); err != nil {
		return err
	}
	w.done = true
	info, err := w.f.Stat()
	if err := errors.Join(err, w.f.Close(), w.s.fs.SyncDir(dir)); err != nil {
		return err
	}
	w.s.cache.put(record{key: d, digest: d, stamp: atomicfile.StampOf(info), readNS: w.s.o.Now().UnixNano()})
	return nil
}

// Abort removes the object's bytes unless it was committed. It may be called
// twice. What it cannot remove goes when the store is next opened.
func (w *Writer) Abort() {
	w.release()
	if !w.done {
		w.done = true
		_ = w.f.Close()
		_ = w.s.fs.Remove(w.f.Name())
	}
}

func (s *Store) objectPath(d Digest) string {
	h := hex.EncodeToString(d[:])
	return s.path("objects", h[:2], h[2:])
}

// OpenObject opens an object whose bytes have the digest d: they are hashed
// first, unless the file's stamp says that they were since they last changed.
// What is damaged or missing is a *DamagedError, and dropped.
func (s *Store) OpenObject(d Digest) (*os.File, error) {
	if err := s.check(d); err != nil {
		return nil, err
	}
	f, err := os.Open(s.objectPath(d))
	if err != nil {
		return nil, s.unreadable(d, nil, err)
	}
	return f, nil
}

// Has reports whether the store holds an object of this digest and size in
// bytes. It is one stat when the object was verified before; else the object
// is hashed, and dropped if it is damaged.
func (s *Store) Has(d Digest, size int64) bool {
	info, err := os.Stat(s.objectPath(d))
	return err == nil && info.Size() == size && s.checkFile(d, info) == nil
}

// known reports whether the object was verified and has not been touched since
// as far as its stamp can tell.
func (s *Store) known(d Digest, size int64) bool {
	info, err := os.Stat(s.objectPath(d))
	if err != nil || info.Size() != size {
		return false
	}
	r, ok := s.cache.get(d)
	return ok && r.digest == d && r.stamp == atomicfile.StampOf(info)
}

// check makes sure of the bytes of d. Calls at the same time share the work.
func (s *Store) check(d Digest) error {
	info, err := os.Stat(s.objectPath(d))
	if err != nil {
		return s.unreadable(d, nil, err)
	}
	return s.checkFile(d, info)
}

// checkFile is check of the object's file as it was found.
func (s *Store) checkFile(d Digest, info os.FileInfo) error {
	if s.cache.trusts(d, d, atomicfile.StampOf(info), objectWindow) {
		return nil
	}
	_, err, _ := s.verify.Do(string(d[:]), func() (any, error) { return nil, s.rehash(d) })
	return err
}

// rehash reads the object and remembers that it is good, or drops it.
func (s *Store) rehash(d Digest) error {
	info, err := s.hashObject(context.Background(), d)
	if info == nil || err == nil {
		return err
	}
	var e *DamagedError
	if errors.As(err, &e) {
		s.dropBad(e, info)
	}
	return err
}

// hashObject reads the object and, if it is good, remembers that. A
// *DamagedError comes with the info of the file, unless that is missing.
func (s *Store) hashObject(ctx context.Context, d Digest) (os.FileInfo, error) {
	f, err := os.Open(s.objectPath(d))
	if err != nil {
		return nil, s.unreadable(d, nil, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, s.unreadable(d, nil, err)
	}
	readNS := s.o.Now().UnixNano()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, &ctxReader{ctx, f}, make([]byte, bufferFor(info.Size()))); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return info, s.unreadable(d, info, err)
	}
	if got := Digest(h.Sum(nil)); got != d {
		return info, s.wrongBytes(d, got)
	}
	s.cache.put(record{key: d, digest: d, stamp: atomicfile.StampOf(info), readNS: readNS})
	return info, nil
}

// readObject returns the bytes of a small object, verified, and how they were read.
func (s *Store) readObject(d Digest, limit int64) ([]byte, reading, error) {
	r := reading{readNS: s.o.Now().UnixNano()}
	f, err := os.Open(s.objectPath(d))
	if err != nil {
		return nil, r, s.unreadable(d, nil, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, r, s.unreadable(d, nil, err)
	}
	r.stamp = atomicfile.StampOf(info)
	if info.Size() > limit {
		return nil, r, fmt.Errorf("object %s: %d bytes are too many for a manifest", d, info.Size())
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, r, s.unreadable(d, info, err)
	}
	if got := Digest(sha256.Sum256(b.Bytes())); got != d {
		e := s.wrongBytes(d, got)
		s.dropBad(e, info)
		return nil, r, e
	}
	return b.Bytes(), r, nil
}

func (s *Store) wrongBytes(d, got Digest) *DamagedError {
	return &DamagedError{What: "object", Name: d.String(), Digest: d, Path: s.objectPath(d),
		Reason: fmt.Sprintf("damaged: its bytes have the digest %s", got)}
}

// unreadable tells apart what is gone, what may not be read, which is no
// damage, and what the disk cannot give back: only then is info known.
func (s *Store) unreadable(d Digest, info os.FileInfo, err error) error {
	e := &DamagedError{What: "object", Name: d.String(), Digest: d, Path: s.objectPath(d)}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Reason, e.Err = "missing", ErrNotFound
	case errors.Is(err, fs.ErrPermission), info == nil:
		return fmt.Errorf("open object %s: %w", d, err)
	default:
		e.Reason, e.Err = "cannot be read: "+err.Error(), err
	}
	return e
}

// dropBad drops what e found, and adds to e if that fails.
func (s *Store) dropBad(e *DamagedError, info os.FileInfo) {
	if err := s.drop(e.Path, info); err != nil {
		e.Reason += "; " + err.Error()
	}
}
