package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// A longList is a list of a sample row: its first elements and their number.
type longList struct {
	n     int
	first []any
}

func newLongList(elems ...any) *longList {
	l := &longList{}
	for _, e := range elems {
		l.add(e)
	}
	return l
}

func (l *longList) add(v any) {
	if l.n++; len(l.first) < 4 {
		l.first = append(l.first, v)
	}
}

func (l *longList) String() string {
	shown := make([]string, len(l.first))
	for i, v := range l.first {
		shown[i] = short(v)
	}
	if l.n > len(l.first) {
		shown = append(shown, "…")
	}
	return fmt.Sprintf("%d values: %s", l.n, strings.Join(shown, " "))
}

// MarshalJSON gives the summary as text.
func (l *longList) MarshalJSON() ([]byte, error) { return json.Marshal(l.String()) }

// textOrBytes shows b as text if it reads as text, whatever its column says.
func textOrBytes(b []byte) any {
	odd := func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }
	if utf8.Valid(b) && bytes.IndexFunc(b, odd) < 0 {
		return cell(string(b))
	}
	return cell(b)
}

var errNoRow = errors.New("no such row")

// findParquet returns the index of the row whose column id is id.
func findParquet(f *parquet.File, id string) (int, error) {
	for i, path := range f.Schema().Columns() {
		if len(path) != 1 || path[0] != "id" {
			continue
		}
		row := 0
		for _, g := range f.RowGroups() {
			n, found, err := findInChunk(g.ColumnChunks()[i], id)
			if err != nil {
				return 0, err
			}
			if row += n; found {
				return row, nil
			}
		}
		return 0, fmt.Errorf("%w: %q", errNoRow, id)
	}
	return 0, fmt.Errorf("%w: the file has no column id", errNoRow)
}

// findInChunk returns how many values come before id, or how many there are.
func findInChunk(chunk parquet.ColumnChunk, id string) (n int, found bool, err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	var buf [512]parquet.Value
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return n, false, nil
		}
		if err != nil {
			return n, false, err
		}
		for r := page.Values(); ; {
			k, err := r.ReadValues(buf[:])
			for _, v := range buf[:k] {
				if string(v.ByteArray()) == id {
					return n, true, nil
				}
				n++
			}
			if errors.Is(err, io.EOF) || (err == nil && k == 0) {
				break
			}
			if err != nil {
				return n, false, err
			}
		}
	}
}
