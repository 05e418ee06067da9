// Package table is the contract between stages: the rows they hand each other
// and the files these are kept in.
//
// There is one file of this package for each sort of row. It holds the row as
// a plain struct and its Format, which writes rows to a part of an artifact and
// reads them again. Text, numbers and encoded bytes (captions, clips, MFCCs,
// ranks) are Parquet; arrays of one fixed shape (pictures, feature maps) are
// Arrow IPC files whose column is the canonical extension type
// arrow.fixed_shape_tensor, so that pyarrow opens them as arrays. Every file
// names its schema and version ("hearsight.mfcc/1") and the units of its
// columns in its metadata, and opens in pyarrow, DuckDB and pandas as it is.
//
// Three ways lead to the rows of a part:
//
//	Format.Rows    streams them in order, holding a page or batch at a time
//	Reader.Row     reads one of them, from any goroutine
//	Reader.Keys    lists ids and content digests without reading contents
//
// What is promised: equal rows give equal bytes, on any machine and any number
// of cores. Writing holds one row group (16 MiB) or one batch in memory,
// reading a page of each column, however large the part. A damaged file gives
// an error, never a panic; but files from elsewhere may still ask for more
// memory than they should, so what has no verified digest belongs in package
// inspect, which reads in a process of its own.
//
// Layout. Parquet: zstd level 1 except for columns that are compressed
// already; floats as BYTE_STREAM_SPLIT; pages of about 256 KiB and at least one
// row, so that one row can be had cheaply. Arrow: record batches of about
// 256 KiB and at least one row, uncompressed. Numbers are little-endian in
// both, as are all machines this is built for.
package table

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"math"
)

// A Format writes and reads the rows of one artifact type. Its values are
// made by this package: Captions, Photos, Clips, MFCCs, Images, FeatureMaps,
// Rejects, Ranks, Queries, Curve. A Format is safe for concurrent use.
type Format[R any] struct {
	schema string
	id     func(*R) string
	// ordered says that rows must come in strictly increasing order of id.
	ordered bool
	engine  engine[R]
}

// An engine knows a file format.
type engine[R any] interface {
	ext() string
	write(w io.Writer, schema string, rows iter.Seq2[*R, error]) error
	open(r io.ReaderAt, size int64, schema string) (source[R], error)
}

// A source is an open file of rows.
type source[R any] interface {
	len() int
	keys() ([]Key, error)
	// row reads row i for concurrent callers.
	row(i int, dst *R) error
	// scan reads all rows in order, for one caller.
	scan(yield func(R, error) bool)
}

// A Key names a row and its content, as far as its table has a digest column.
type Key struct {
	ID     string
	SHA256 string // hex; empty where rows have no digest of their own
}

// Schema returns the name and version of the schema: "hearsight.mfcc/1".
func (f Format[R]) Schema() string { return f.schema }

// Ext returns the suffix of the format's files: ".parquet" or ".arrow".
func (f Format[R]) Ext() string { return f.engine.ext() }

// Light returns the format for readers who do not want what is large: of a
// Parquet table its binary columns, which stay empty and are not read.
func (f Format[R]) Light() Format[R] {
	if e, ok := f.engine.(parquetEngine[R]); ok {
		e.light = true
		f.engine = e
	}
	return f
}

// ID returns what names the row.
func (f Format[R]) ID(row R) string { return f.id(&row) }

// Write writes rows to w and returns how many there were. Rows of per-item
// tables must come in strictly increasing byte order of their ids. On an
// error what was written is no file.
func (f Format[R]) Write(w io.Writer, rows iter.Seq2[R, error]) (int64, error) {
	n, last := int64(0), ""
	err := f.engine.write(w, f.schema, func(yield func(*R, error) bool) {
		for row, err := range rows {
			if err == nil && f.ordered {
				err = inOrder(n, last, f.id(&row))
				last = f.id(&row)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&row, nil) {
				return
			}
			n++
		}
	})
	if err != nil {
		return n, fmt.Errorf("write %s: %w", f.schema, err)
	}
	return n, nil
}

func inOrder(n int64, last, id string) error {
	if id == "" {
		return fmt.Errorf("row %d has no id", n)
	}
	if n > 0 && id <= last {
		return fmt.Errorf("rows out of order: %q after %q", id, last)
	}
	return nil
}

// Rows yields the rows of a part of size bytes in the order they were written.
// An error ends it. The rows' memory is the caller's.
func (f Format[R]) Rows(r io.ReaderAt, size int64) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var zero R
		rd, err := Open(f, r, size)
		if err != nil {
			yield(zero, err)
			return
		}
		// The consumer's own panics must pass through guard untouched, so it
		// runs outside: scan is stepped, not ranged over.
		next, stop := iter.Pull2(rd.src.scan)
		defer stop()
		for {
			var row R
			var ok bool
			err := guard(func() (err error) {
				row, err, ok = next()
				return err
			})
			switch {
			case err != nil:
				yield(zero, fmt.Errorf("read %s: %w", f.schema, err))
				return
			case !ok || !yield(row, nil):
				return
			}
		}
	}
}

// A Reader reads single rows of a part. It is safe for concurrent use.
type Reader[R any] struct {
	schema string
	src    source[R]
}

// Open opens the part in r for random access; r stays the caller's to close.
// It reads the file's footer and fails unless the file is of format f.
func Open[R any](f Format[R], r io.ReaderAt, size int64) (*Reader[R], error) {
	rd := &Reader[R]{schema: f.schema}
	err := guard(func() (err error) {
		rd.src, err = f.engine.open(r, size, f.schema)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.schema, err)
	}
	return rd, nil
}

// Len returns the number of rows.
func (r *Reader[R]) Len() int { return r.src.len() }

// Row returns row i, 0 <= i < Len(). The row's memory is the caller's.
func (r *Reader[R]) Row(i int) (R, error) {
	var row R
	if i < 0 || i >= r.src.len() {
		return row, fmt.Errorf("read %s: row %d of %d", r.schema, i, r.src.len())
	}
	if err := guard(func() error { return r.src.row(i, &row) }); err != nil {
		return row, fmt.Errorf("read %s: row %d: %w", r.schema, i, err)
	}
	return row, nil
}

// Keys returns the id and digest of every row, in order, without reading the
// rows' contents.
func (r *Reader[R]) Keys() ([]Key, error) {
	var keys []Key
	err := guard(func() (err error) {
		keys, err = r.src.keys()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: keys: %w", r.schema, err)
	}
	return keys, nil
}

// Meta returns a remark of the file's metadata, "tower" of feature maps, or an
// empty string.
func (r *Reader[R]) Meta(key string) string {
	if m, ok := r.src.(interface{ remark(key string) string }); ok {
		return m.remark(key)
	}
	return ""
}

// guard turns a panic of the decoding libraries, which damaged files provoke,
// into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged file: %v", p)
		}
	}()
	return f()
}

// SumBytes returns the SHA-256 of b in hex, as rows carry it.
func SumBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// SumFloats returns the SHA-256, in hex, of x as little-endian float32.
func SumFloats(x []float32) string {
	h := sha256.New()
	var buf [4 * sumValues]byte
	for len(x) > 0 {
		n := min(len(x), sumValues)
		for i, v := range x[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:4*i+4], math.Float32bits(v))
		}
		h.Write(buf[:4*n])
		x = x[n:]
	}
	return hex.EncodeToString(h.Sum(nil))
}

// SumHalves returns the SHA-256, in hex, of x as little-endian 16-bit words.
func SumHalves(x []uint16) string {
	h := sha256.New()
	var buf [2 * sumValues]byte
	for len(x) > 0 {
		n := min(len(x), sumValues)
		for i, v := range x[:n] {
			binary.LittleEndian.PutUint16(buf[2*i:2*i+2], v)
		}
		h.Write(buf[:2*n])
		x = x[n:]
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sumValues is how many values are hashed at a time. A call of a function for
// each would take half as long as the hash.
const sumValues = 1024
