package inspect

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"

	"github.com/hearsight/hearsight/internal/table/ipcmeta"
)

// batches opens the file or stream and returns its schema and what yields its
// record batches until io.EOF.
func batches(in *input, kind string) (*arrow.Schema, func() (arrow.Record, error), error) {
	if kind == "arrow stream" {
		r, err := ipc.NewReader(io.NewSectionReader(in, 0, in.size))
		if err != nil {
			return nil, nil, err
		}
		return r.Schema(), func() (arrow.Record, error) {
			if r.Next() {
				return r.Record(), nil
			}
			return nil, errors.Join(r.Err(), io.EOF)
		}, nil
	}
	if _, err := ipcmeta.Parse(in, in.size); err != nil {
		return nil, nil, err
	}
	r, err := ipc.NewFileReader(io.NewSectionReader(in, 0, in.size))
	if err != nil {
		return nil, nil, err
	}
	return r.Schema(), r.Read, nil
}

func reportArrow(in *input, r *Report) error {
	schema, next, err := batches(in, r.Kind)
	if err != nil {
		return err
	}
	md := schema.Metadata()
	for i, k := range md.Keys() {
		if k == "hearsight.schema" {
			r.Schema = md.Values()[i]
			continue
		}
		if i < 20 {
			r.fact(k, "%s", short(cell(md.Values()[i])))
		}
	}
	s := &arrowScan{in: in, report: r, tallies: make([]tally, schema.NumFields()), want: in.opts.sample()}
	if in.opts.Row != "" {
		s.want = 1
	}
	n := 0
	for ; ; n++ {
		rec, err := next()
		if errors.Is(err, io.EOF) {
			if err := joined(err); err != nil {
				return fmt.Errorf("record batch %d: %w", n, err)
			}
			break
		}
		if err != nil {
			return fmt.Errorf("record batch %d: %w", n, err)
		}
		if err := s.batch(schema, rec); err != nil {
			return fmt.Errorf("record batch %d: %w", n, err)
		}
	}
	r.fact("record batches", "%d", n)
	if in.opts.Row != "" && len(r.Sample) == 0 {
		return fmt.Errorf("%w: %q", errNoRow, in.opts.Row)
	}
	for i, f := range schema.Fields() {
		r.Fields = append(r.Fields, Field{Name: f.Name, Type: arrowType(f), Stats: s.tallies[i].stats()})
	}
	if s.skipped > 0 {
		r.warn("statistics cover the first %d of %d rows", r.Rows-s.skipped, r.Rows)
	}
	return drawRow(in, r)
}

// joined returns what is in err beside io.EOF.
func joined(err error) error {
	if m, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range m.Unwrap() {
			if !errors.Is(e, io.EOF) {
				return e
			}
		}
	}
	return nil
}

// arrowType names a tensor by its shape rather than by how it is stored.
func arrowType(f arrow.Field) string {
	t := f.Type.String()
	if i := f.Metadata.FindKey("ARROW:extension:name"); i >= 0 {
		t = f.Metadata.Values()[i]
		if l, ok := f.Type.(*arrow.FixedSizeListType); ok {
			t += "<" + l.Elem().String() + ">"
		}
		if j := f.Metadata.FindKey("ARROW:extension:metadata"); j >= 0 {
			t += " " + short(cell(f.Metadata.Values()[j]))
		}
	}
	return short(cell(t))
}

type arrowScan struct {
	in      *input
	report  *Report
	tallies []tally
	want    int   // rows to sample
	skipped int64 // rows without statistics
}

func (s *arrowScan) batch(schema *arrow.Schema, rec arrow.Record) error {
	rows := int(rec.NumRows())
	s.report.Rows += rec.NumRows()
	if rows < 0 || rec.NumCols() != int64(schema.NumFields()) {
		return errors.New("batch does not fit its schema")
	}
	for c := range schema.NumFields() {
		if col := rec.Column(c); col.Len() != rows {
			return fmt.Errorf("column %s has %d rows of %d", schema.Field(c).Name, col.Len(), rows)
		}
	}
	from := s.firstWanted(schema, rec)
	for i := from; i >= 0 && i < rows && len(s.report.Sample) < s.want; i++ {
		row := map[string]any{}
		for c, f := range schema.Fields() {
			row[f.Name] = arrowCell(rec.Column(c), i)
		}
		s.report.Sample = append(s.report.Sample, row)
	}
	if s.in.late() {
		s.skipped += int64(rows)
		return nil
	}
	for c := range schema.NumFields() {
		tallyArrow(&s.tallies[c], rec.Column(c))
	}
	return nil
}

// firstWanted returns the row that sampling begins with: the first, or the one
// asked for; negative if it is not in rec.
func (s *arrowScan) firstWanted(schema *arrow.Schema, rec arrow.Record) int {
	if s.in.opts.Row == "" {
		return 0
	}
	if ix := schema.FieldIndices("id"); len(ix) > 0 {
		if ids, ok := rec.Column(ix[0]).(*array.String); ok {
			for i := range ids.Len() {
				if ids.Value(i) == s.in.opts.Row {
					return i
				}
			}
		}
	}
	return -1
}

// elements returns what a list column holds, or nil.
func elements(a arrow.Array) (values arrow.Array, bounds func(i int) (int64, int64)) {
	if l, ok := a.(array.ListLike); ok {
		return l.ListValues(), l.ValueOffsets
	}
	return nil, nil
}

func tallyArrow(t *tally, a arrow.Array) {
	if values, bounds := elements(a); values != nil {
		for i := range a.Len() {
			if a.IsNull(i) {
				t.null()
				continue
			}
			lo, hi := bounds(i)
			for j := max(lo, 0); j < min(hi, int64(values.Len())); j++ {
				tallyValue(t, values, int(j))
			}
		}
		return
	}
	for i := range a.Len() {
		tallyValue(t, a, i)
	}
}

func tallyValue(t *tally, a arrow.Array, i int) {
	if a.IsNull(i) {
		t.null()
		return
	}
	switch v := arrowValue(a, i).(type) {
	case float64:
		t.number(v)
	case string:
		t.text(len(v))
	case []byte:
		t.text(len(v))
	default:
		t.count++
	}
}

// arrowValue returns value i of a as float64, string, []byte, or nil for types
// that have no simple value.
func arrowValue(a arrow.Array, i int) any {
	switch a := a.(type) {
	case *array.Uint8:
		return float64(a.Value(i))
	case *array.Float16:
		return float64(a.Value(i).Float32())
	case *array.Float32:
		return float64(a.Value(i))
	case *array.Float64:
		return a.Value(i)
	case *array.Int8:
		return float64(a.Value(i))
	case *array.Int16:
		return float64(a.Value(i))
	case *array.Int32:
		return float64(a.Value(i))
	case *array.Int64:
		return float64(a.Value(i))
	case *array.Uint16:
		return float64(a.Value(i))
	case *array.Uint32:
		return float64(a.Value(i))
	case *array.Uint64:
		return float64(a.Value(i))
	case *array.Boolean:
		if a.Value(i) {
			return 1.0
		}
		return 0.0
	case *array.String:
		return a.Value(i)
	case *array.LargeString:
		return a.Value(i)
	case *array.Binary:
		return a.Value(i)
	}
	return nil
}

func arrowCell(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	if values, bounds := elements(a); values != nil {
		lo, hi := bounds(i)
		l := newLongList()
		for j := max(lo, 0); j < min(hi, int64(values.Len())) && j < lo+5; j++ {
			l.add(arrowCell(values, int(j)))
		}
		l.n = int(max(hi-lo, 0))
		return l
	}
	switch v := arrowValue(a, i).(type) {
	case nil:
		return cell(a.ValueStr(i))
	case []byte:
		return textOrBytes(v)
	default:
		return cell(v)
	}
}
