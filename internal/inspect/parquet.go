package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// openParquet opens the file after a look at the length of its footer, which
// the library believes.
func openParquet(in *input) (*parquet.File, error) {
	var tail [8]byte
	if in.size < 12 {
		return nil, errors.New("parquet file is truncated")
	}
	if _, err := in.ReadAt(tail[:], in.size-8); err != nil {
		return nil, err
	}
	switch n := int64(binary.LittleEndian.Uint32(tail[:])); {
	case string(tail[4:]) == "PARE":
		return nil, errors.New("parquet file is encrypted")
	case string(tail[4:]) != "PAR1" || n > in.size-12:
		return nil, errors.New("parquet file is truncated or damaged: no footer at its end")
	}
	return parquet.OpenFile(in, in.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

func reportParquet(in *input, r *Report) error {
	f, err := openParquet(in)
	if err != nil {
		return err
	}
	r.Schema, _ = f.Lookup("hearsight.schema")
	r.Rows = f.NumRows()
	meta := f.Metadata()
	r.fact("created by", "%s", meta.CreatedBy)
	r.fact("row groups", "%d", len(f.RowGroups()))
	if err := checkRowGroups(f); err != nil {
		return err
	}
	want := in.opts.sample()
	id := -1
	if in.opts.Row != "" {
		if id, err = findParquet(f, in.opts.Row); err != nil {
			return err
		}
		want = 1
	}
	rows := make([]map[string]any, min(int64(want), max(r.Rows, 0)))
	for i := range rows {
		rows[i] = map[string]any{}
	}
	paths := f.Schema().Columns()
	r.Fields = make([]Field, len(paths))
	for _, i := range listsLast(f.Schema()) {
		leaf, _ := f.Schema().Lookup(paths[i]...)
		c := &leafScan{in: in, group: f.RowGroups(), column: i, name: columnName(paths[i]), rows: rows, skip: int64(max(id, 0))}
		if err := c.run(); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
		unit, _ := f.Lookup("hearsight.unit." + c.name)
		r.Fields[i] = Field{Name: c.name, Type: leafType(leaf), Unit: unit, Stats: c.tally.stats()}
		if c.stopped {
			r.warn("statistics of %s cover the first %d of %d rows", c.name, c.seen, r.Rows)
		}
	}
	r.Sample = rows
	return drawRow(in, r)
}

// listsLast orders the columns so that the long ones cannot use up the time of
// the short.
func listsLast(s *parquet.Schema) []int {
	var short, long []int
	for i, path := range s.Columns() {
		if leaf, ok := s.Lookup(path...); ok && leaf.MaxRepetitionLevel > 0 {
			long = append(long, i)
		} else {
			short = append(short, i)
		}
	}
	return append(short, long...)
}

// checkRowGroups compares counts that must agree.
func checkRowGroups(f *parquet.File) error {
	var n int64
	for _, g := range f.RowGroups() {
		if g.NumRows() < 0 {
			return errors.New("a row group has a negative number of rows")
		}
		n += g.NumRows()
	}
	if n != f.NumRows() {
		return fmt.Errorf("row groups hold %d rows, but the file says %d", n, f.NumRows())
	}
	return nil
}

// columnName leaves out the levels that the encoding of lists adds.
func columnName(path []string) string {
	if n := len(path); n == 3 && (path[1] == "list" || path[1] == "array") {
		return path[0]
	}
	return strings.Join(path, ".")
}

func leafType(l parquet.LeafColumn) string {
	t := strings.ToLower(l.Node.Type().String())
	if plain, ok := map[string]string{"int(32,true)": "int32", "int(64,true)": "int64", "byte_array": "binary"}[t]; ok {
		t = plain
	}
	switch {
	case l.MaxRepetitionLevel > 0:
		return "list<" + t + ">"
	case l.MaxDefinitionLevel > 0:
		return "optional " + t
	}
	return t
}

// A leafScan goes through one column: statistics of all of it, samples of the
// rows from skip on.
type leafScan struct {
	in      *input
	group   []parquet.RowGroup
	column  int
	name    string
	rows    []map[string]any
	skip    int64
	tally   tally
	row     int64 // index of the row being read
	seen    int64
	list    bool
	stopped bool
}

func (c *leafScan) run() error {
	c.row = -1
	for _, g := range c.group {
		chunks := g.ColumnChunks()
		if c.column >= len(chunks) {
			return errors.New("row group lacks the column")
		}
		before := c.row
		if err := c.chunk(chunks[c.column]); err != nil {
			return err
		}
		if got := c.row - before; got != g.NumRows() && !c.stopped {
			return fmt.Errorf("%d rows in a row group of %d", got, g.NumRows())
		}
		if c.stopped {
			break
		}
	}
	c.seen = c.row + 1
	return nil
}

func (c *leafScan) chunk(chunk parquet.ColumnChunk) (err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = c.page(page)
		parquet.Release(page)
		if err != nil {
			return err
		}
		if c.in.late() && c.row >= c.skip+int64(len(c.rows)) {
			c.stopped = true
			return nil
		}
	}
}

func (c *leafScan) page(page parquet.Page) error {
	var buf [512]parquet.Value
	for r := page.Values(); ; {
		n, err := r.ReadValues(buf[:])
		for _, v := range buf[:n] {
			c.value(v)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrNoProgress
		}
	}
}

func (c *leafScan) value(v parquet.Value) {
	if v.RepetitionLevel() == 0 {
		c.row++
	} else {
		c.list = true
	}
	var show any
	switch {
	case v.IsNull():
		c.tally.null()
	case v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray:
		c.tally.text(len(v.ByteArray()))
	default:
		c.tally.number(number(v))
	}
	at := c.row - c.skip
	if at < 0 || at >= int64(len(c.rows)) {
		return
	}
	show = sampleValue(v)
	row := c.rows[at]
	if v.RepetitionLevel() > 0 {
		if list, ok := row[c.name].(*longList); ok {
			list.add(show)
			return
		}
		row[c.name] = newLongList(row[c.name], show)
		return
	}
	row[c.name] = show
}

func number(v parquet.Value) float64 {
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			return 1
		}
		return 0
	case parquet.Int32:
		return float64(v.Int32())
	case parquet.Int64:
		return float64(v.Int64())
	case parquet.Float:
		return float64(v.Float())
	case parquet.Double:
		return v.Double()
	}
	return 0 // INT96, a deprecated time
}

func sampleValue(v parquet.Value) any {
	switch {
	case v.IsNull():
		return nil
	case v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray:
		return textOrBytes(v.ByteArray())
	case v.Kind() == parquet.Int64:
		return v.Int64() // float64 would lose digits
	}
	return cell(number(v))
}
