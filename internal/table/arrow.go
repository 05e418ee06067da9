package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// batchBytes is the size that a record batch is cut at. An image of 224x224
// and a feature map of 14x14x512 are batches of their own, so that reading one
// reads nothing else.
const batchBytes = 256 << 10

var (
	uint8Type   arrow.DataType = arrow.PrimitiveTypes.Uint8
	float16Type arrow.DataType = arrow.FixedWidthTypes.Float16
)

// tensorEngine keeps rows in an Arrow IPC file: columns id, sha256,
// source_sha256 and one tensor of fixed shape, with elements E.
type tensorEngine[R any, E uint8 | uint16] struct {
	column string
	dtype  arrow.DataType // of an element; as wide as E
	split  func(*R) (tensorRow[E], error)
	join   func(tensorRow[E], *R)
}

// A tensorRow is a row in the terms of the file.
type tensorRow[E uint8 | uint16] struct {
	id, sha256, source string
	shape              [3]int
	meta               map[string]string // the same in all rows: goes to the schema
	data               []E
}

func (t *tensorRow[E]) len() int { return t.shape[0] * t.shape[1] * t.shape[2] }

func (t *tensorRow[E]) check(like *tensorRow[E]) error {
	if min(t.shape[0], t.shape[1], t.shape[2]) < 1 || len(t.data) != t.len() {
		return fmt.Errorf("%s: %d values for shape %v", t.id, len(t.data), t.shape)
	}
	if t.shape != like.shape || !maps.Equal(t.meta, like.meta) {
		return fmt.Errorf("%s: shape %v %v in a file of %v %v", t.id, t.shape, t.meta, like.shape, like.meta)
	}
	return nil
}

func (tensorEngine[R, E]) ext() string { return ".arrow" }

func (e tensorEngine[R, E]) schemaOf(name string, first *tensorRow[E]) (*arrow.Schema, error) {
	ext, err := json.Marshal(map[string]any{"shape": first.shape, "dim_names": []string{"height", "width", "channel"}})
	if err != nil {
		return nil, err
	}
	keys, values := []string{schemaKey}, []string{name}
	for _, k := range slices.Sorted(maps.Keys(first.meta)) {
		keys, values = append(keys, "hearsight."+k), append(values, first.meta[k])
	}
	md := arrow.NewMetadata(keys, values)
	return arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String},
		{Name: "sha256", Type: arrow.BinaryTypes.String},
		{Name: "source_sha256", Type: arrow.BinaryTypes.String},
		{
			Name: e.column, Type: arrow.FixedSizeListOf(int32(first.len()), e.dtype),
			Metadata: arrow.NewMetadata(
				[]string{"ARROW:extension:name", "ARROW:extension:metadata"},
				[]string{"arrow.fixed_shape_tensor", string(ext)}),
		},
	}, &md), nil
}

func (e tensorEngine[R, E]) write(w io.Writer, schema string, rows iter.Seq2[*R, error]) error {
	var b *batcher[E]
	for row, err := range rows {
		if err != nil {
			return err
		}
		t, err := e.split(row)
		if err != nil {
			return fmt.Errorf("%s: %w", t.id, err)
		}
		if b == nil {
			if b, err = e.newBatcher(w, schema, t); err != nil {
				return err
			}
		}
		if err := t.check(&b.like); err != nil {
			return err
		}
		if err := b.add(&t); err != nil {
			return err
		}
	}
	if b == nil { // no row to take a shape from
		var err error
		if b, err = e.newBatcher(w, schema, tensorRow[E]{shape: [3]int{1, 1, 1}}); err != nil {
			return err
		}
	}
	return b.close()
}

// A batcher gathers rows into record batches.
type batcher[E uint8 | uint16] struct {
	like   tensorRow[E]
	schema *arrow.Schema
	w      *ipc.FileWriter
	limit  int // rows a batch
	text   [3]*array.StringBuilder
	data   []E
	rows   int
}

func (e tensorEngine[R, E]) newBatcher(w io.Writer, name string, first tensorRow[E]) (*batcher[E], error) {
	schema, err := e.schemaOf(name, &first)
	if err != nil {
		return nil, err
	}
	fw, err := ipc.NewFileWriter(&counter{w: w}, ipc.WithSchema(schema))
	if err != nil {
		return nil, err
	}
	var zero E
	b := &batcher[E]{like: first, schema: schema, w: fw, limit: max(1, batchBytes/(first.len()*int(unsafe.Sizeof(zero))))}
	b.like.data = nil
	for i := range b.text {
		b.text[i] = array.NewStringBuilder(memory.DefaultAllocator)
	}
	return b, nil
}

func (b *batcher[E]) add(t *tensorRow[E]) error {
	for i, s := range []string{t.id, t.sha256, t.source} {
		b.text[i].Append(s)
	}
	b.data = append(b.data, t.data...)
	if b.rows++; b.rows == b.limit {
		return b.flush()
	}
	return nil
}

func (b *batcher[E]) flush() error {
	cols := make([]arrow.Array, 4)
	for i, t := range b.text {
		cols[i] = t.NewArray()
	}
	list := b.schema.Field(3).Type.(*arrow.FixedSizeListType)
	values := array.NewData(list.Elem(), len(b.data),
		[]*memory.Buffer{nil, memory.NewBufferBytes(asBytes(b.data))}, nil, 0, 0)
	cols[3] = array.MakeFromData(array.NewData(list, b.rows, []*memory.Buffer{nil}, []arrow.ArrayData{values}, 0, 0))
	err := b.w.Write(array.NewRecord(b.schema, cols, int64(b.rows)))
	b.rows, b.data = 0, b.data[:0] // written out by now
	return err
}

func (b *batcher[E]) close() error {
	if b.rows > 0 {
		if err := b.flush(); err != nil {
			return err
		}
	}
	return b.w.Close()
}

// A counter tells ipc the position it asks a seeker for; it only ever asks
// where it is.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.New("seek in a stream")
	}
	return c.n, nil
}

// asBytes views x, in the machine's order, as bytes.
func asBytes[E uint8 | uint16](x []E) []byte {
	if len(x) == 0 {
		return nil
	}
	var zero E
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(zero)))
}
