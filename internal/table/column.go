package table

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// Columns are read a page at a time and copied into rows field by field:
// measured at 10 times the library's own row reader on MFCCs.

// A column is a field of a row type and its leaf in the file.
type column struct {
	path []string
	typ  reflect.Type
}

// columnsOf lists the fields of R in the order of its leaves.
func columnsOf[R any]() []column {
	t := reflect.TypeFor[R]()
	leaves := parquet.SchemaOf(new(R)).Columns()
	if len(leaves) != t.NumField() {
		panic(fmt.Sprintf("table: %s has fields of several columns", t))
	}
	cols := make([]column, len(leaves))
	for i := range cols {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("parquet"), ",")
		if leaves[i][0] != name {
			panic(fmt.Sprintf("table: %s: column %d is %s, field %s", t, i, leaves[i][0], name))
		}
		cols[i] = column{leaves[i], t.Field(i).Type}
	}
	return cols
}

func (c column) opaque() bool { return c.typ == reflect.TypeFor[[]byte]() }

// size is about how many bytes v takes in the file, uncompressed.
func (c column) size(v reflect.Value) int {
	switch v.Kind() {
	case reflect.String:
		return 4 + v.Len()
	case reflect.Slice:
		return 4 + v.Len()*int(v.Type().Elem().Size())
	default:
		return int(v.Type().Size())
	}
}

// A cursor reads the rows of one column chunk, keeping the page it is on.
type cursor struct {
	col    column
	pages  parquet.Pages
	starts []int64 // first row of each page, if the file has an offset index
	page   parquet.Page
	data   encoding.Values
	first  int64 // rows [first, first+n) are in page
	n      int64
	bounds []int // of a list: row i's values are [bounds[i], bounds[i+1])
}

func newCursor(c column, chunk parquet.ColumnChunk) cursor {
	cur := cursor{col: c, pages: chunk.Pages()}
	if ix, err := chunk.OffsetIndex(); err == nil && ix != nil {
		for i := range ix.NumPages() {
			cur.starts = append(cur.starts, ix.FirstRowIndex(i))
		}
	}
	return cur
}

func (c *cursor) close() {
	if c.pages != nil {
		c.drop()
		c.pages.Close() // of a reader: nothing is lost
		c.pages = nil
	}
}

func (c *cursor) drop() {
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
}

var errShort = errors.New("fewer values than rows")

// load makes page the one that row is in.
func (c *cursor) load(row int64) error {
	if c.page != nil && row >= c.first && row < c.first+c.n {
		return nil
	}
	next := c.first + c.n
	c.drop()
	if row != next { // to the start of its page, so that its neighbours are at hand too
		start := row
		if i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i] > row }); i > 0 {
			start = c.starts[i-1]
		}
		if err := c.pages.SeekToRow(start); err != nil {
			return err
		}
		next = start
	}
	for {
		page, err := c.pages.ReadPage()
		if err != nil {
			return errors.Join(errShort, err)
		}
		c.page, c.first, c.n = page, next, page.NumRows()
		if row < next+c.n {
			return c.index()
		}
		next += c.n
		c.drop()
	}
}

// index gets the page's values ready to be picked by row.
func (c *cursor) index() error {
	if c.page.Dictionary() != nil {
		return errors.New("dictionary encoding, which this project does not write")
	}
	c.data = c.page.Data()
	if c.col.typ != reflect.TypeFor[[]float32]() {
		return nil
	}
	reps, defs := c.page.RepetitionLevels(), c.page.DefinitionLevels()
	if len(reps) != len(defs) {
		return errShort
	}
	c.bounds = c.bounds[:0]
	n := 0
	for i, r := range reps {
		if r == 0 {
			c.bounds = append(c.bounds, n)
		}
		if defs[i] > 0 { // 0 is an empty list
			n++
		}
	}
	c.bounds = append(c.bounds, n)
	if int64(len(c.bounds)) != c.n+1 {
		return errShort
	}
	return nil
}

// read copies the value of row into dst.
func (c *cursor) read(row int64, dst reflect.Value) error {
	if err := c.load(row); err != nil {
		return err
	}
	i := int(row - c.first)
	switch dst.Kind() {
	case reflect.Int32:
		dst.SetInt(int64(c.data.Int32()[i]))
	case reflect.Int64:
		dst.SetInt(c.data.Int64()[i])
	case reflect.Float64:
		dst.SetFloat(c.data.Double()[i])
	case reflect.String:
		b, off := c.data.ByteArray()
		dst.SetString(string(b[off[i]:off[i+1]]))
	case reflect.Slice:
		if c.col.opaque() {
			b, off := c.data.ByteArray()
			dst.SetBytes(append([]byte(nil), b[off[i]:off[i+1]]...))
			return nil
		}
		x := c.data.Float()[c.bounds[i]:c.bounds[i+1]]
		dst.Set(reflect.ValueOf(append([]float32(nil), x...)))
	default:
		return fmt.Errorf("type %s is not kept in tables", c.col.typ)
	}
	return nil
}
