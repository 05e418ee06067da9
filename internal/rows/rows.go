// Package rows reads the rows of an artifact that are spread over its parts.
//
// A per-item stage needs its input twice: first the ids and digests of all rows,
// to see what has to be done, then single rows in any order, from several
// goroutines. List and Set are these two. Neither reads more than it hands out:
// an artifact may be larger than memory.
package rows

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hearsight/hearsight/internal/table"
)

// Parts is what this package asks of an artifact whose parts are described by
// a P: the parts of one schema in a fixed order, and their files.
type Parts[P any] interface {
	Parts(schema string) []P
	Open(part P) (*os.File, error)
}

// A Ref says where a row lies. It holds as long as its artifact.
type Ref struct{ part, row int }

// An Entry is a row as List sees it.
type Entry struct {
	table.Key
	Ref Ref
}

// List returns the ids and digests of all rows of format f, part by part in the
// order of their names, without reading the rows' contents.
func List[R, P any](f table.Format[R], a Parts[P]) ([]Entry, error) {
	var out []Entry
	for i, p := range a.Parts(f.Schema()) {
		file, r, err := open(f, a, p)
		if err != nil {
			return nil, err
		}
		keys, err := r.Keys()
		if err = errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
		for row, k := range keys {
			out = append(out, Entry{Key: k, Ref: Ref{i, row}})
		}
	}
	return out, nil
}

// All returns all rows of format f, in List's order: for small tables.
func All[R, P any](f table.Format[R], a Parts[P]) (out []R, err error) {
	for _, p := range a.Parts(f.Schema()) {
		file, r, err := open(f, a, p)
		if err != nil {
			return nil, err
		}
		for i := 0; i < r.Len() && err == nil; i++ {
			var row R
			if row, err = r.Row(i); err == nil {
				out = append(out, row)
			}
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func open[R, P any](f table.Format[R], a Parts[P], p P) (*os.File, *table.Reader[R], error) {
	file, err := a.Open(p)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	r, err := table.Open(f, file, info.Size())
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, r, nil
}

// A Set is the rows of an artifact, open for reading. It is safe for concurrent
// use.
type Set[R any] struct {
	files   []*os.File
	readers []*table.Reader[R]
}

// Open opens the parts of format f. The caller closes the Set.
func Open[R, P any](f table.Format[R], a Parts[P]) (*Set[R], error) {
	s := &Set[R]{}
	for _, p := range a.Parts(f.Schema()) {
		file, r, err := open(f, a, p)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.files, s.readers = append(s.files, file), append(s.readers, r)
	}
	return s, nil
}

// Row reads the row at ref, which is List's for the same artifact and format.
func (s *Set[R]) Row(ref Ref) (R, error) {
	if ref.part < 0 || ref.part >= len(s.readers) {
		var zero R
		return zero, fmt.Errorf("read row: part %d of %d", ref.part, len(s.readers))
	}
	return s.readers[ref.part].Row(ref.row)
}

// Meta returns a remark of the first part's metadata, or an empty string.
func (s *Set[R]) Meta(key string) string {
	if len(s.readers) == 0 {
		return ""
	}
	return s.readers[0].Meta(key)
}

// Close closes the parts.
func (s *Set[R]) Close() error {
	var err error
	for _, f := range s.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// Bytes returns the contents of the only part with a schema: small files that
// are not tables.
func Bytes[P any](a Parts[P], schema string) ([]byte, error) {
	parts := a.Parts(schema)
	if len(parts) != 1 {
		return nil, fmt.Errorf("%d parts of schema %s, want 1", len(parts), schema)
	}
	f, err := a.Open(parts[0])
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// Each calls use with every row of format f, in List's order, until it returns
// an error, and says for how many it returned none. It holds one row at a time.
func Each[R, P any](f table.Format[R], a Parts[P], use func(R) error) (n int, err error) {
	for _, p := range a.Parts(f.Schema()) {
		file, r, err := open(f, a, p)
		if err != nil {
			return n, err
		}
		for i := 0; i < r.Len() && err == nil; i++ {
			var row R
			if row, err = r.Row(i); err == nil {
				err = use(row)
			}
			if err == nil {
				n++
			}
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return n, err
		}
	}
	return n, nil
}
