package table

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"

	"github.com/hearsight/hearsight/internal/table/ipcmeta"
)

// Buffers of a batch: validity, offsets and bytes of each of the three texts,
// validity of the lists, validity and values of their elements.
const batchBuffers = 3*3 + 1 + 2

func (e tensorEngine[R, E]) open(r io.ReaderAt, size int64, schema string) (source[R], error) {
	skeleton, err := readSkeleton(r, size)
	if err != nil {
		return nil, err
	}
	f, err := ipc.NewFileReader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	s := &tensorSource[R, E]{engine: e, r: r, file: f, batches: skeleton.Batches, cached: -1}
	if err := s.readSchema(f.Schema(), schema); err != nil {
		return nil, err
	}
	for _, b := range s.batches {
		if b.Rows > math.MaxInt32 || len(b.Buffers) != batchBuffers || b.Compressed {
			return nil, errors.New("record batch is not laid out as this project does")
		}
		s.first = append(s.first, s.rows)
		s.rows += int(b.Rows)
	}
	return s, nil
}

// readSkeleton checks the file's structure before the library sees it.
func readSkeleton(r io.ReaderAt, size int64) (*ipcmeta.File, error) {
	f, err := ipcmeta.Parse(r, size)
	if err == nil && f.Dictionaries > 0 {
		err = errors.New("file has dictionaries, which this project does not write")
	}
	return f, err
}

type tensorSource[R any, E uint8 | uint16] struct {
	engine  tensorEngine[R, E]
	r       io.ReaderAt
	file    *ipc.FileReader
	shape   [3]int
	meta    map[string]string
	batches []ipcmeta.Batch
	first   []int // first row of each batch
	rows    int

	mu     sync.Mutex
	cached int // batch of record, or -1
	record arrow.Record
}

func (s *tensorSource[R, E]) readSchema(got *arrow.Schema, name string) error {
	md := got.Metadata()
	if have, _ := md.GetValue(schemaKey); have != name {
		return fmt.Errorf("file holds %q", have)
	}
	s.meta = map[string]string{}
	for i, k := range md.Keys() {
		if short, ok := strings.CutPrefix(k, "hearsight."); ok && k != schemaKey {
			s.meta[short] = md.Values()[i]
		}
	}
	shape, err := tensorShape(got, s.engine.column)
	if err != nil {
		return err
	}
	s.shape = shape
	want, err := s.engine.schemaOf(name, &tensorRow[E]{shape: shape, meta: s.meta})
	if err != nil {
		return err
	}
	if !want.Equal(got) {
		return fmt.Errorf("columns differ from %s", name)
	}
	return nil
}

// tensorShape reads the shape of the fixed_shape_tensor column.
func tensorShape(s *arrow.Schema, column string) (shape [3]int, err error) {
	fields, ok := s.FieldsByName(column)
	if !ok {
		return shape, fmt.Errorf("no column %s", column)
	}
	text, _ := fields[0].Metadata.GetValue("ARROW:extension:metadata")
	var ext struct{ Shape []int }
	if err := json.Unmarshal([]byte(text), &ext); err != nil || len(ext.Shape) != 3 {
		return shape, fmt.Errorf("column %s is no tensor of three dimensions", column)
	}
	n := 1
	for i, d := range ext.Shape {
		if d < 1 || d > math.MaxInt32/n {
			return shape, fmt.Errorf("column %s: shape %v is out of range", column, ext.Shape)
		}
		n *= d
		shape[i] = d
	}
	return shape, nil
}

func (s *tensorSource[R, E]) len() int { return s.rows }

func (s *tensorSource[R, E]) remark(key string) string { return s.meta[key] }

func (s *tensorSource[R, E]) row(i int, dst *R) error {
	b, found := slices.BinarySearch(s.first, i)
	if !found {
		b--
	}
	for s.batches[b].Rows == 0 { // equal firsts: the last of them has the row
		b++
	}
	rec, err := s.batch(b)
	if err != nil {
		return err
	}
	return s.pick(rec, i-s.first[b], dst)
}

// batch returns batch b, keeping it for the next caller.
func (s *tensorSource[R, E]) batch(b int) (arrow.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cached != b {
		rec, err := s.load(b)
		if err != nil {
			return nil, err
		}
		s.cached, s.record = b, rec
	}
	return s.record, nil
}

func (s *tensorSource[R, E]) load(b int) (arrow.Record, error) {
	rec, err := s.file.RecordAt(b)
	if err == nil && rec.NumRows() != s.batches[b].Rows {
		err = errors.New("record batch has another number of rows than its header")
	}
	return rec, err
}

// pick copies row i of rec to dst.
func (s *tensorSource[R, E]) pick(rec arrow.Record, i int, dst *R) error {
	t := tensorRow[E]{shape: s.shape, meta: s.meta}
	for c, p := range []*string{&t.id, &t.sha256, &t.source} {
		*p = strings.Clone(rec.Column(c).(*array.String).Value(i))
	}
	values := rec.Column(3).(*array.FixedSizeList).ListValues().Data().Buffers()[1].Bytes()
	t.data = make([]E, t.len())
	raw := asBytes(t.data)
	if len(values) < (i+1)*len(raw) {
		return errors.New("record batch has fewer values than rows")
	}
	copy(raw, values[i*len(raw):])
	s.engine.join(t, dst)
	return nil
}

func (s *tensorSource[R, E]) scan(yield func(R, error) bool) {
	for b := range s.batches {
		var row R
		rec, err := s.load(b)
		if err != nil {
			yield(row, err)
			return
		}
		for i := range int(s.batches[b].Rows) {
			var row R
			err := s.pick(rec, i, &row)
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// keys reads the two text columns alone; the library would read the tensors too.
func (s *tensorSource[R, E]) keys() ([]Key, error) {
	keys := make([]Key, 0, min(s.rows, 1<<16))
	for _, b := range s.batches {
		ids, err := s.texts(b, 0)
		if err != nil {
			return nil, err
		}
		sums, err := s.texts(b, 1)
		if err != nil {
			return nil, err
		}
		for i := range ids {
			keys = append(keys, Key{ids[i], sums[i]})
		}
	}
	return keys, nil
}

// texts reads utf8 column c of b: Rows+1 int32 offsets, and the bytes.
func (s *tensorSource[R, E]) texts(b ipcmeta.Batch, c int) ([]string, error) {
	offsets, err := s.span(b.Buffers[3*c+1])
	if err != nil {
		return nil, err
	}
	data, err := s.span(b.Buffers[3*c+2])
	if err != nil {
		return nil, err
	}
	if int64(len(offsets)) < 4*(b.Rows+1) {
		return nil, errors.New("record batch has fewer offsets than rows")
	}
	out := make([]string, b.Rows)
	for i := range out {
		lo, hi := binary.LittleEndian.Uint32(offsets[4*i:]), binary.LittleEndian.Uint32(offsets[4*i+4:])
		if lo > hi || int64(hi) > int64(len(data)) {
			return nil, errors.New("text runs out of its buffer")
		}
		out[i] = string(data[lo:hi])
	}
	return out, nil
}

func (s *tensorSource[R, E]) span(p ipcmeta.Span) ([]byte, error) {
	b := make([]byte, p.Len)
	_, err := s.r.ReadAt(b, p.Offset)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}
