package retrieval

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hearsight/hearsight/internal/npy"
)

// Limits of a file from elsewhere.
const (
	maxCells = 1 << 27  // similarities: 1 GiB in memory
	maxLine  = 16 << 20 // bytes of a line of text
)

// A Grid is a matrix of similarities as a file has it.
type Grid struct {
	Rows, Columns     int
	S                 []float64 // row by row
	RowIDs, ColumnIDs []string  // nil where the file does not name them
}

// ReadMatrix reads a matrix of similarities: a .npy array of two dimensions, or
// text with a line a row, its cells separated by commas, tabs, semicolons or
// spaces. Text may name its columns in its first line and its rows in its first
// cell. What is no finite number is an error that says where. Of text, tell, if
// not nil, is told how many of how many bytes are read.
func ReadMatrix(ctx context.Context, path string, tell func(done, all int64)) (*Grid, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var head [6]byte
	n := 0
	if err == nil {
		n, err = f.ReadAt(head[:], 0)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var g *Grid
	if bytes.Equal(head[:n], []byte("\x93NUMPY")) {
		g, err = readNPY(path)
	} else if g, err = parseText(&watched{ctx: ctx, r: f, all: info.Size(), tell: tell}); err != nil {
		err = fmt.Errorf("read %s: %w", path, err)
	}
	return g, err
}

// watched is a reader that ends with its context.
type watched struct {
	ctx       context.Context
	r         io.Reader
	done, all int64
	tell      func(done, all int64)
}

func (w *watched) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(b)
	w.done += int64(n)
	if w.tell != nil {
		w.tell(w.done, w.all)
	}
	return n, err
}

func readNPY(path string) (*Grid, error) {
	a, err := npy.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(a.Shape) != 2 || len(a.F64) == 0 || len(a.F64) > maxCells {
		return nil, fmt.Errorf("read %s: an array of shape %v is no matrix of similarities: want two dimensions, and 1 to %d numbers", path, a.Shape, maxCells)
	}
	g := &Grid{Rows: a.Shape[0], Columns: a.Shape[1], S: a.F64}
	for i, v := range g.S {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("read %s: row %d, column %d: %v is no similarity", path, i/g.Columns+1, i%g.Columns+1, v)
		}
	}
	return g, nil
}

// parseText reads a matrix of text.
func parseText(r io.Reader) (*Grid, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	g := &Grid{}
	p := parser{g: g}
	for line := 1; in.Scan(); line++ {
		text := strings.TrimRight(in.Text(), "\r")
		if line == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if strings.TrimSpace(text) == "" || !p.begun && strings.HasPrefix(text, "#") {
			continue
		}
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return nil, fmt.Errorf("line %d is not text: want a .npy array or numbers separated by commas", line)
		}
		if err := p.line(text); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := in.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("a line is over the limit of %d bytes", maxLine)
	} else if err != nil {
		return nil, err
	}
	if g.Rows == 0 {
		return nil, errors.New("there are no similarities in it")
	}
	return g, nil
}

// A parser reads a matrix line by line.
type parser struct {
	g         *Grid
	separator rune // 0 for spaces
	begun     bool // a line with cells was read
	corner    bool // the first line names the columns, and its first cell is empty
	header    []string
	labelled  bool // rows begin with their names
}

func (p *parser) line(text string) error {
	first := !p.begun
	if first {
		p.begun = true
		for _, c := range "\t,;" {
			if strings.ContainsRune(text, c) {
				p.separator = c
				break
			}
		}
	}
	cells, err := p.cells(text)
	if err != nil {
		return err
	}
	if first && isHeader(cells) {
		p.header, p.corner = cells, cells[0] == ""
		return nil
	}
	if p.g.Rows == 0 {
		p.labelled = p.corner || !isNumber(cells[0])
		p.g.Columns = len(cells)
		if p.labelled {
			p.g.Columns--
		}
		if err := p.names(); err != nil {
			return err
		}
	}
	return p.row(cells)
}

func (p *parser) cells(text string) ([]string, error) {
	if p.separator == 0 {
		return strings.Fields(text), nil
	}
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.TrimLeadingSpace, r.FieldsPerRecord = p.separator, p.separator != '\t', -1
	cells, err := r.Read()
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return nil, fmt.Errorf("character %d: %w", syntax.Column, syntax.Err)
	}
	return cells, err
}

func isNumber(cell string) bool {
	_, err := strconv.ParseFloat(strings.TrimSpace(cell), 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

// isHeader: a line that names the columns has something beside its first cell
// that is no number, or leaves its first cell empty, as pandas does.
func isHeader(cells []string) bool {
	if cells[0] == "" {
		return true
	}
	rest := cells[1:]
	if len(rest) == 0 {
		rest = cells
	}
	for _, c := range rest {
		if !isNumber(c) {
			return true
		}
	}
	return false
}

// names takes the names of the columns, once it is known how many there are.
func (p *parser) names() error {
	if p.g.Columns < 1 {
		return errors.New("there is a name and no similarity")
	}
	if p.header == nil {
		return nil
	}
	names := p.header
	if p.labelled && len(names) == p.g.Columns+1 {
		names = names[1:] // over the names of the rows
	}
	if len(names) != p.g.Columns {
		return fmt.Errorf("%d similarities under %d names", p.g.Columns, len(names))
	}
	p.g.ColumnIDs = names
	return nil
}

func (p *parser) row(cells []string) error {
	g := p.g
	if p.labelled {
		g.RowIDs = append(g.RowIDs, cells[0])
		cells = cells[1:]
	}
	if len(cells) != g.Columns {
		return fmt.Errorf("%d similarities, the rows before have %d", len(cells), g.Columns)
	}
	if len(g.S)+len(cells) > maxCells {
		return fmt.Errorf("over the limit of %d similarities", maxCells)
	}
	for i, c := range cells {
		v, err := strconv.ParseFloat(strings.TrimSpace(c), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("column %d: %.40q is no similarity", i+1, c)
		}
		g.S = append(g.S, v)
	}
	g.Rows++
	return nil
}
