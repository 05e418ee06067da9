package corpus

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/hearsight/hearsight/internal/pairs"
	"github.com/hearsight/hearsight/stages/stage"
)

const (
	// maxRecordBytes bounds a row of a CSV: a caption may have 64 KiB, and a
	// quote that is never closed makes one field of all the rest.
	maxRecordBytes = 1 << 20
	maxRows        = 10_000_000
)

// read reads the rows and returns which of the columns there are, by the names
// of the parameters.
func (j *job) read(ctx context.Context) (found map[string]bool, err error) {
	f, err := os.Open(j.t.Paths["table"])
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	magic := make([]byte, 4)
	if _, err := io.ReadFull(f, magic); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("the table is empty: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if string(magic) == "PAR1" {
		j.unit = "row"
		return j.readParquet(ctx, f)
	}
	if utf16 := string(magic[:2]); utf16 == "\xff\xfe" || utf16 == "\xfe\xff" {
		return nil, errors.New("the table is UTF-16: save it as CSV in UTF-8")
	}
	if string(magic) == "PK\x03\x04" {
		return nil, errors.New("the table is a zip archive, perhaps a spreadsheet: save it as CSV in UTF-8")
	}
	j.unit = "line"
	return j.readCSV(ctx, f)
}

// columns says where in a record the columns are; -1 is nowhere.
type columns struct{ image, caption, audio, id, photoID, split int }

// locate finds the columns in the header. A column that was named in the
// parameters, and not by default, has to be there.
func (j *job) locate(header []string) (c columns, found map[string]bool, err error) {
	found = map[string]bool{}
	var problems pairs.Problems
	for _, col := range []struct {
		param, name, usual string
		at                 *int
	}{
		{"image", j.p.Image, defaults.Image, &c.image}, {"caption", j.p.Caption, defaults.Caption, &c.caption}, {"audio", j.p.Audio, defaults.Audio, &c.audio},
		{"id", j.p.ID, defaults.ID, &c.id}, {"photo_id", j.p.PhotoID, defaults.PhotoID, &c.photoID}, {"split_column", j.p.SplitColumn, defaults.SplitColumn, &c.split},
	} {
		*col.at = slices.Index(header, col.name)
		found[col.param] = *col.at >= 0
		if *col.at < 0 && col.name != col.usual {
			problems.Add("no column %q, which the parameter %s names", col.name, col.param)
		} else if *col.at >= 0 && slices.Contains(header[*col.at+1:], col.name) {
			problems.Add("two columns %q", col.name)
		}
		like := slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), col.name) })
		if *col.at < 0 && like >= 0 {
			j.t.Report(stage.Progress{Message: fmt.Sprintf("column %q is not read: if it is meant, say %s: %q", header[like], col.param, header[like]), Warning: true})
		}
	}
	if !found["image"] && !found["caption"] && !found["audio"] {
		hint := "say with the parameters image, caption and audio what they are called"
		if slices.ContainsFunc(header, func(h string) bool { return strings.Contains(h, "\r") }) {
			hint = "the lines end in carriage returns alone: save the table with line feeds"
		} else if d := separator(header); d != "" {
			hint = "they seem to be separated by " + d + ": say so with delimiter: " + d
		}
		problems.Add("no column %q, %q or %q: the columns are %.400q; %s", j.p.Image, j.p.Caption, j.p.Audio, header, hint)
	}
	return c, found, problems.Err()
}

// separator guesses what separates a header that is one field.
func separator(header []string) string {
	if len(header) == 1 {
		for _, d := range [][2]string{{";", `";"`}, {"\t", "tab"}, {"|", `"|"`}, {",", `","`}} {
			if strings.Contains(header[0], d[0]) {
				return d[1]
			}
		}
	}
	return ""
}

// row makes a row of a record's fields.
func (c columns) row(split string, field func(i int) string) row {
	at := func(i int) string {
		if i < 0 {
			return ""
		}
		return field(i)
	}
	r := row{id: at(c.id), photoID: at(c.photoID), image: at(c.image), audio: at(c.audio), caption: at(c.caption), split: split}
	if c.split >= 0 {
		r.split = at(c.split)
	}
	return r
}

// add keeps the row at n.
func (j *job) add(r row, n int) error {
	if len(j.rows) == maxRows {
		return fmt.Errorf("more than %d rows", maxRows)
	}
	r.n = n
	j.rows = append(j.rows, r)
	return nil
}

func (j *job) readCSV(ctx context.Context, f io.Reader) (map[string]bool, error) {
	comma, err := j.p.comma()
	if err != nil {
		return nil, err
	}
	limit := &budget{r: f}
	r := csv.NewReader(limit)
	r.Comma, r.ReuseRecord = comma, true
	limit.left = maxRecordBytes
	first, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", remedy(err))
	}
	header := slices.Clone(first)
	if rest, ok := strings.CutPrefix(header[0], "\ufeff"); ok {
		header[0] = rest
		j.t.Report(stage.Progress{Message: "byte order mark left out", Warning: true})
	}
	c, found, err := j.locate(header)
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		limit.left = maxRecordBytes
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if errors.Is(err, csv.ErrFieldCount) {
			at, _ := r.FieldPos(0)
			err = j.add(row{fault: fmt.Sprintf("it has %d fields, the header %d: put a field that holds %q into quotes", len(record), len(header), comma)}, at)
		} else if err == nil {
			at, _ := r.FieldPos(0)
			err = j.add(c.row(j.p.Split, func(i int) string { return strings.Clone(record[i]) }), at)
		}
		if err != nil {
			return nil, remedy(err)
		}
	}
}

// remedy says what is to be done about a CSV that cannot be taken apart.
func remedy(err error) error {
	if errors.Is(err, csv.ErrBareQuote) || errors.Is(err, csv.ErrQuote) {
		return fmt.Errorf(`%w: a field that holds a " stands between quotes, and its own are doubled, as in "a ""big"" dog"`, err)
	}
	return err
}

// A budget is a reader that refuses to read more than it was allowed.
type budget struct {
	r    io.Reader
	left int
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a row is over %d bytes long: is a quote not closed?", maxRecordBytes)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	if i := bytes.IndexByte(p[:n], 0); i >= 0 {
		return 0, errors.New("the table holds a NUL byte: it is not text")
	}
	return n, err
}

// readParquet reads the columns as strings. The library panics on some damaged
// files.
func (j *job) readParquet(ctx context.Context, f *os.File) (found map[string]bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged Parquet file: %v", p)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return nil, err
	}
	var header []string
	for _, path := range file.Schema().Columns() {
		header = append(header, strings.Join(path, "."))
	}
	c, found, err := j.locate(header)
	if err != nil {
		return nil, err
	}
	if err := fits(file, info.Size()); err != nil {
		return nil, err
	}
	wanted := []int{c.image, c.caption, c.audio, c.id, c.photoID, c.split}
	for _, g := range file.RowGroups() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		values := make([][]string, len(header))
		for _, i := range wanted {
			if i >= 0 && values[i] == nil {
				if values[i], err = strs(g.ColumnChunks()[i], header[i], g.NumRows()); err != nil {
					return nil, err
				}
			}
		}
		for n := range g.NumRows() {
			if err := j.add(c.row(j.p.Split, func(i int) string { return values[i][n] }), len(j.rows)+1); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// fits holds the number of rows, which costs a file next to nothing where they
// are all alike, to what its bytes can tell apart: a bit for each.
func fits(file *parquet.File, size int64) error {
	left := min(maxRows, 8*size)
	for _, g := range file.RowGroups() {
		if g.NumRows() < 0 || g.NumRows() > left {
			return fmt.Errorf("damaged Parquet file: more rows than the %d that its %d bytes can tell apart", min(maxRows, 8*size), size)
		}
		left -= g.NumRows()
	}
	return nil
}

// strs returns the values of a column, of which there must be n, as text.
func strs(chunk parquet.ColumnChunk, name string, n int64) (out []string, err error) {
	pages := chunk.Pages()
	defer pages.Close() // only read
	buf := make([]parquet.Value, 512)
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if int64(len(out))+page.NumValues() > n {
			return nil, fmt.Errorf("column %q has more values than the %d rows", name, n)
		}
		for r := page.Values(); ; {
			k, err := r.ReadValues(buf)
			for _, v := range buf[:k] {
				text := ""
				if !v.IsNull() {
					text = strings.Clone(v.String())
				}
				out = append(out, text)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
		}
		parquet.Release(page)
	}
	if int64(len(out)) != n {
		return nil, fmt.Errorf("column %q has %d values in %d rows", name, len(out), n)
	}
	return out, nil
}
