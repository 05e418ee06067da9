package inspect

import (
	"bufio"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/parquet-go/parquet-go"
)

// export writes rows of the file in format.
func export(in *input, w io.Writer, format string) (err error) {
	k, err := kind(in)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	defer func() { err = errors.Join(err, out.Flush()) }()
	switch {
	case k != "parquet" && k != "arrow" && k != "arrow stream":
		return errNoTable
	case format == "csv":
		return eachRow(in, k, &csvRows{w: csv.NewWriter(out)})
	case format == "json":
		return eachRow(in, k, jsonRows{json.NewEncoder(out)})
	case format == "npy" || format == "wav" || format == "png":
		schema, err := schemaOf(in, k)
		if err != nil {
			return err
		}
		return exportRow(in, out, schema, format)
	}
	return fmt.Errorf("format %q is none of %s", format, strings.Join(Formats, ", "))
}

// schemaOf returns which of this project's tables the file is.
func schemaOf(in *input, kind string) (string, error) {
	if kind == "parquet" {
		f, err := openParquet(in)
		if err != nil {
			return "", err
		}
		s, _ := f.Lookup("hearsight.schema")
		return s, nil
	}
	schema, _, err := batches(in, kind)
	if err != nil {
		return "", err
	}
	md := schema.Metadata()
	s, _ := md.GetValue("hearsight.schema")
	return s, nil
}

// rowSink takes rows as values in the order of names: nil, float64, int64,
// string, []byte or []any of these.
type rowSink interface {
	row(names []string, values []any) error
	done() error
}

type csvRows struct {
	w      *csv.Writer
	headed bool
}

func (c *csvRows) row(names []string, values []any) error {
	if !c.headed {
		c.headed = true
		if err := c.w.Write(names); err != nil {
			return err
		}
	}
	line := make([]string, len(values))
	for i, v := range values {
		line[i] = csvCell(v)
	}
	return c.w.Write(line)
}

func (c *csvRows) done() error { c.w.Flush(); return c.w.Error() }

// csvCell writes bytes as base64 and lists as their elements with blanks
// between.
func csvCell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = csvCell(e)
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v)
}

type jsonRows struct{ enc *json.Encoder }

// row writes an object; bytes become base64, numbers that JSON lacks null.
func (j jsonRows) row(names []string, values []any) error {
	object := make(map[string]any, len(names))
	for i, n := range names {
		object[n] = jsonValue(values[i])
	}
	return j.enc.Encode(object)
}

func (jsonRows) done() error { return nil }

func jsonValue(v any) any {
	switch v := v.(type) {
	case float64:
		if v-v != 0 { // NaN or infinite
			return nil
		}
	case float32:
		if v-v != 0 {
			return nil
		}
	case []any:
		for i, e := range v {
			v[i] = jsonValue(e)
		}
	}
	return v
}

// eachRow hands every row, or the one asked for, to sink.
func eachRow(in *input, kind string, sink rowSink) error {
	found := in.opts.Row == ""
	deliver := func(names []string, values []any) error {
		if in.opts.Row != "" {
			if !hasID(names, values, in.opts.Row) {
				return nil
			}
			found = true
		}
		return sink.row(names, values)
	}
	var err error
	if kind == "parquet" {
		err = parquetRows(in, deliver)
	} else {
		err = arrowRows(in, kind, deliver)
	}
	if err == nil && !found {
		err = fmt.Errorf("%w: %q", errNoRow, in.opts.Row)
	}
	if err != nil {
		return err
	}
	return sink.done()
}

func hasID(names []string, values []any, id string) bool {
	for i, n := range names {
		if n == "id" {
			return values[i] == any(id)
		}
	}
	return false
}

func parquetRows(in *input, deliver func([]string, []any) error) error {
	f, err := openParquet(in)
	if err != nil {
		return err
	}
	var names []string
	var lists, text []bool
	for _, path := range f.Schema().Columns() {
		leaf, _ := f.Schema().Lookup(path...)
		names = append(names, columnName(path))
		lists = append(lists, leaf.MaxRepetitionLevel > 0)
		logical := leaf.Node.Type().LogicalType()
		text = append(text, logical != nil && strings.EqualFold(leaf.Node.Type().String(), "STRING"))
	}
	for _, g := range f.RowGroups() {
		if err := groupRows(g, names, lists, text, deliver); err != nil {
			return err
		}
	}
	return nil
}

func groupRows(g parquet.RowGroup, names []string, lists, text []bool, deliver func([]string, []any) error) (err error) {
	rows := g.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buf := make([]parquet.Row, 8)
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			values := make([]any, len(names))
			for _, v := range row {
				c := v.Column()
				x := plain(v, text[c])
				if !lists[c] {
					values[c] = x
				} else if list, _ := values[c].([]any); x != nil || list == nil {
					if list == nil {
						list = []any{}
					}
					if x != nil {
						list = append(list, x)
					}
					values[c] = list
				}
			}
			if err := deliver(names, values); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func plain(v parquet.Value, text bool) any {
	switch {
	case v.IsNull():
		return nil
	case v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray:
		if text {
			return string(v.ByteArray())
		}
		return append([]byte{}, v.ByteArray()...)
	case v.Kind() == parquet.Int32:
		return int64(v.Int32())
	case v.Kind() == parquet.Int64:
		return v.Int64()
	case v.Kind() == parquet.Boolean:
		return v.Boolean()
	case v.Kind() == parquet.Float:
		return v.Float()
	}
	return number(v)
}

func arrowRows(in *input, kind string, deliver func([]string, []any) error) error {
	schema, next, err := batches(in, kind)
	if err != nil {
		return err
	}
	var names []string
	for _, f := range schema.Fields() {
		names = append(names, f.Name)
	}
	for {
		rec, err := next()
		if errors.Is(err, io.EOF) {
			return joined(err)
		}
		if err != nil {
			return err
		}
		for i := range int(rec.NumRows()) {
			values := make([]any, len(names))
			for c := range values {
				values[c] = arrowPlain(rec.Column(c), i)
			}
			if err := deliver(names, values); err != nil {
				return err
			}
		}
	}
}

func arrowPlain(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	if values, bounds := elements(a); values != nil {
		lo, hi := bounds(i)
		list := []any{}
		for j := max(lo, 0); j < min(hi, int64(values.Len())); j++ {
			list = append(list, arrowPlain(values, int(j)))
		}
		return list
	}
	if v := arrowValue(a, i); v != nil {
		return v
	}
	return a.ValueStr(i)
}
