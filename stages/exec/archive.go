package exec

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
)

// A File is the result of one item.
type File struct {
	ID   string
	Data []byte
}

// filesSchema is the schema of the parts that results of items are kept in: tar
// archives, which any system can open. A name is that of the item and the
// suffix; there are no folders, links, times or owners.
const filesSchema = "hearsight.files/1"

// Files is the format of such a part, for results with a suffix. It is a
// stage.Table of File.
type Files string

// Schema names the format and its version.
func (Files) Schema() string { return filesSchema }

// Ext is how the names of its files end.
func (Files) Ext() string { return ".tar" }

// ID returns the id of the item that f is of.
func (Files) ID(f File) string { return f.ID }

// Write writes the files in the order they come in.
func (s Files) Write(w io.Writer, files iter.Seq2[File, error]) (n int64, err error) {
	t := tar.NewWriter(w)
	for f, err := range files {
		if err != nil {
			return n, err
		}
		if err := t.WriteHeader(&tar.Header{Name: f.ID + string(s), Mode: 0o644, Size: int64(len(f.Data))}); err != nil {
			return n, err
		}
		if _, err := t.Write(f.Data); err != nil {
			return n, err
		}
		n++
	}
	return n, t.Close()
}

// Rows yields the files in order.
func (s Files) Rows(r io.ReaderAt, size int64) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for h, body := range archived(r, size) {
			if body.err != nil {
				yield(File{}, body.err)
				return
			}
			id, ok := strings.CutSuffix(h.Name, string(s))
			data := make([]byte, h.Size)
			_, err := io.ReadFull(body.r, data)
			if !ok {
				err = fmt.Errorf("file %q does not end in %s", h.Name, string(s))
			}
			if !yield(File{ID: id, Data: data}, err) || err != nil {
				return
			}
		}
	}
}

// A body is the contents of an archived file, or why there are no more.
type body struct {
	r   io.Reader
	off int64 // where they begin
	err error
}

// archived yields the files of an archive as Write makes them. Whatever else an
// archive may hold is an error.
func archived(r io.ReaderAt, size int64) iter.Seq2[*tar.Header, body] {
	return func(yield func(*tar.Header, body) bool) {
		in := &counted{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 256<<10)}
		t := tar.NewReader(in)
		for {
			h, err := t.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && (h.Typeflag != tar.TypeReg || h.Size < 0 || h.Size > size-in.n) {
				err = fmt.Errorf("%q is not a file of its own, or is cut off", h.Name)
			}
			if !yield(h, body{t, in.n, err}) || err != nil {
				return
			}
		}
	}
}

// counted counts what is read, so that a reader of archives, which reads no
// further than it must, tells where a file begins.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// An entry is a file in an archive.
type entry struct {
	name      string
	digest    artifacts.Digest
	off, size int64
}

func listArchive(r io.ReaderAt, size int64) (entries []entry, err error) {
	for h, body := range archived(r, size) {
		if body.err != nil {
			return nil, body.err
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, body.r); err != nil {
			return nil, err
		}
		entries = append(entries, entry{h.Name, artifacts.Digest(sum.Sum(nil)), body.off, h.Size})
	}
	return entries, nil
}
