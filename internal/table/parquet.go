package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

const (
	// pageBytes is the size that a page is cut at. One MFCC is about 64 KiB and
	// one clip 200 KiB, so that reading a single row decodes few others.
	pageBytes = 256 << 10
	// rowGroupBytes is the size that a row group is cut at: what the writer
	// holds in memory.
	rowGroupBytes = 16 << 20
)

// Keys of the metadata of a file.
const (
	schemaKey  = "hearsight.schema"
	unitPrefix = "hearsight.unit."
)

// codec is one for all writers, for it keeps its encoders, of 8 MiB each.
var codec = &zstd.Codec{Level: zstd.SpeedFastest}

// parquetEngine keeps rows in Parquet: one required column per field of R.
type parquetEngine[R any] struct {
	light bool              // leave binary columns out when reading
	units map[string]string // column -> unit
}

func (parquetEngine[R]) ext() string { return ".parquet" }

func (e parquetEngine[R]) write(w io.Writer, schema string, rows iter.Seq2[*R, error]) error {
	opts := []parquet.WriterOption{
		parquet.PageBufferSize(pageBytes),
		parquet.Compression(codec),
		parquet.CreatedBy("hearsight", "1", "1"),
		parquet.KeyValueMetadata(schemaKey, schema),
	}
	for _, c := range slices.Sorted(maps.Keys(e.units)) {
		opts = append(opts, parquet.KeyValueMetadata(unitPrefix+c, e.units[c]))
	}
	cols := columnsOf[R]()
	for _, c := range cols {
		// The smallest and largest clip mean nothing, and would be kept whole with
		// every page; those of a page of features no one asks for, and they took as
		// long to find as half the compression.
		if c.opaque() || c.typ == reflect.TypeFor[[]float32]() {
			opts = append(opts, parquet.SkipPageBounds(c.path...), parquet.SkipPageStatistics(c.path...))
		}
	}
	pw := parquet.NewGenericWriter[R](w, opts...)
	held, one := 0, make([]R, 1)
	for row, err := range rows {
		if err != nil {
			return err
		}
		one[0] = *row
		// One row a call: pages are only cut between calls.
		if _, err := pw.Write(one); err != nil {
			return err
		}
		if held += rowSize(cols, row); held >= rowGroupBytes {
			if err := pw.Flush(); err != nil {
				return err
			}
			held = 0
		}
	}
	return pw.Close()
}

func rowSize[R any](cols []column, row *R) int {
	v, n := reflect.ValueOf(row).Elem(), 0
	for i, c := range cols {
		n += c.size(v.Field(i))
	}
	return n
}

func (e parquetEngine[R]) open(r io.ReaderAt, size int64, schema string) (source[R], error) {
	if err := checkFooter(r, size); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(r, size, parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	if got, _ := f.Lookup(schemaKey); got != schema {
		return nil, fmt.Errorf("file holds %q", got)
	}
	want := parquet.SchemaOf(new(R))
	if !parquet.EqualNodes(f.Schema(), want) {
		return nil, fmt.Errorf("columns differ from %s", schema)
	}
	s := &parquetSource[R]{cols: columnsOf[R](), groups: f.RowGroups(), light: e.light}
	for _, g := range s.groups {
		s.first = append(s.first, s.rows)
		s.rows += int(g.NumRows())
	}
	if s.rows < 0 || int64(s.rows) != f.NumRows() {
		return nil, fmt.Errorf("row groups have %d rows, the file %d", s.rows, f.NumRows())
	}
	return s, nil
}

// checkFooter checks the footer's length before the library allocates it: a
// Parquet file ends with the footer, its length as int32 and "PAR1".
func checkFooter(r io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < 12 {
		return errors.New("not a Parquet file: too short")
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	if string(tail[4:]) != "PAR1" {
		return errors.New("not a Parquet file, or truncated: no magic at its end")
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:])); n > size-12 {
		return fmt.Errorf("footer of %d bytes in a file of %d", n, size)
	}
	return nil
}

type parquetSource[R any] struct {
	cols   []column
	groups []parquet.RowGroup
	first  []int // first row of each group
	rows   int
	light  bool // binary columns are not read

	mu   sync.Mutex
	at   int // group of cur
	cur  []cursor
	used bool
}

func (s *parquetSource[R]) len() int { return s.rows }

func (s *parquetSource[R]) row(i int, dst *R) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, found := slices.BinarySearch(s.first, i)
	if !found {
		g--
	}
	for s.groups[g].NumRows() == 0 { // equal firsts: the last of them has the row
		g++
	}
	if !s.used || s.at != g {
		s.close()
		s.at, s.cur, s.used = g, s.cursors(g), true
	}
	if err := s.readRow(s.cur, int64(i-s.first[g]), dst); err != nil {
		s.close() // a cursor that failed may be anywhere
		return err
	}
	return nil
}

func (s *parquetSource[R]) close() {
	for i := range s.cur {
		s.cur[i].close()
	}
	s.cur, s.used = nil, false
}

func (s *parquetSource[R]) cursors(group int) []cursor {
	chunks := s.groups[group].ColumnChunks()
	out := make([]cursor, len(s.cols))
	for i, c := range s.cols {
		out[i] = newCursor(c, chunks[i])
	}
	return out
}

func (s *parquetSource[R]) readRow(cur []cursor, i int64, dst *R) error {
	v := reflect.ValueOf(dst).Elem()
	for c := range s.cols {
		if s.light && s.cols[c].opaque() {
			continue
		}
		if err := cur[c].read(i, v.Field(c)); err != nil {
			return fmt.Errorf("column %s: %w", s.cols[c].path[0], err)
		}
	}
	return nil
}

func (s *parquetSource[R]) scan(yield func(R, error) bool) {
	for g := range s.groups {
		if !s.scanGroup(g, yield) {
			return
		}
	}
}

func (s *parquetSource[R]) scanGroup(g int, yield func(R, error) bool) bool {
	cur := s.cursors(g)
	defer func() {
		for i := range cur {
			cur[i].close()
		}
	}()
	for i := range s.groups[g].NumRows() {
		var row R
		if err := s.readRow(cur, i, &row); err != nil {
			yield(row, err)
			return false
		}
		if !yield(row, nil) {
			return false
		}
	}
	return true
}

// keys reads the first column, the id, and the column sha256 if there is one.
func (s *parquetSource[R]) keys() ([]Key, error) {
	sum := slices.IndexFunc(s.cols, func(c column) bool { return c.path[0] == "sha256" })
	keys := make([]Key, 0, min(s.rows, 1<<16))
	for _, g := range s.groups {
		chunks := g.ColumnChunks()
		ids := newCursor(s.cols[0], chunks[0])
		defer ids.close()
		var sums cursor
		if sum >= 0 {
			sums = newCursor(s.cols[sum], chunks[sum])
			defer sums.close()
		}
		for i := range g.NumRows() {
			var k Key
			if err := ids.read(i, reflect.ValueOf(&k.ID).Elem()); err != nil {
				return nil, err
			}
			if sum >= 0 {
				if err := sums.read(i, reflect.ValueOf(&k.SHA256).Elem()); err != nil {
					return nil, err
				}
			}
			keys = append(keys, k)
		}
	}
	return keys, nil
}
