package pipeline

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/hearsight/hearsight/spec"
)

// errPacked says that bytes are not what a packer wrote: damaged, cut off, or
// another program's.
var errPacked = errors.New("not a parsed spec")

// A packer writes plain data in a compact form. A string that was written
// before is its place among the strings, and the same string when it is read.
type packer struct {
	b      []byte
	places map[string]int
}

func (e *packer) int(x int64) { e.b = binary.AppendVarint(e.b, x) }

func (e *packer) text(s string) {
	if at, ok := e.places[s]; ok {
		e.b = binary.AppendUvarint(e.b, uint64(at)+1)
		return
	}
	e.places[s] = len(e.places)
	e.b = binary.AppendUvarint(append(e.b, 0), uint64(len(s)))
	e.b = append(e.b, s...)
}

func packMap[V any](e *packer, m map[string]V, value func(V)) {
	if m == nil {
		e.int(-1)
		return
	}
	e.int(int64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.text(k)
		value(m[k])
	}
}

func (e *packer) stage(s *spec.Stage) {
	e.text(s.Name)
	e.text(s.Base)
	e.text(s.Kind)
	packMap(e, s.Inputs, func(names []string) {
		e.int(int64(len(names)))
		for _, n := range names {
			e.text(n)
		}
	})
	packMap(e, s.Params, e.value)
	packMap(e, s.Matrix, e.text)
	e.int(int64(s.Resources.CPUs))
	e.int(s.Resources.MemoryBytes)
	e.int(int64(s.Resources.Time))
	e.int(s.Resources.OutputBytes)
	e.int(int64(math.Float64bits(s.MaxRejects.Share)))
	e.int(s.MaxRejects.Count)
	e.flag(s.MaxRejects.Given)
	e.flag(s.MaxRejects.IsCnt)
	e.int(int64(s.Shards))
	e.pos(s.Pos)
	packMap(e, s.ParamPos, e.pos)
}

func (e *packer) flag(x bool) {
	if x {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *packer) pos(p spec.Pos) {
	e.text(p.File)
	e.int(int64(p.Line))
	e.int(int64(p.Column))
}

// value writes a parameter as spec gives it. Others become nil and then differ
// from what they were: TestParsed would tell.
func (e *packer) value(v any) {
	switch v := v.(type) {
	case string:
		e.b = append(e.b, 's')
		e.text(v)
	case bool:
		e.b = append(e.b, 'b')
		e.flag(v)
	case int64:
		e.b = append(e.b, 'i')
		e.int(v)
	case float64:
		e.b = append(e.b, 'f')
		e.int(int64(math.Float64bits(v)))
	case []any:
		e.b = append(e.b, 'l')
		e.int(int64(len(v)))
		for _, x := range v {
			e.value(x)
		}
	case map[string]any:
		e.b = append(e.b, 'm')
		packMap(e, v, e.value)
	default:
		e.b = append(e.b, '0')
	}
}

// An unpacker reads what a packer wrote. After bytes that no packer writes it
// is bad, and what it returned means nothing.
type unpacker struct {
	b     []byte
	s     string // the same bytes: strings share them
	at    int
	bad   bool
	texts []string
	depth int
}

func (d *unpacker) byte() byte {
	if d.at >= len(d.b) {
		d.bad = true
		return 0
	}
	d.at++
	return d.b[d.at-1]
}

func (d *unpacker) flag() bool { return d.byte() == 1 }

func (d *unpacker) int() int64 {
	x, n := binary.Varint(d.b[d.at:])
	d.bad = d.bad || n <= 0
	d.at += max(0, n)
	return x
}

// length reads how many of something follow, each of at least one byte.
func (d *unpacker) length() int {
	n := d.int()
	if d.bad || n < 0 || n > int64(len(d.b)-d.at) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *unpacker) text() string {
	x, n := binary.Uvarint(d.b[d.at:])
	d.at += max(0, n)
	switch {
	case n <= 0 || x > uint64(len(d.texts)):
		d.bad = true
		return ""
	case x > 0:
		return d.texts[x-1]
	}
	size, n := binary.Uvarint(d.b[d.at:])
	if d.at += max(0, n); n <= 0 || size > uint64(len(d.b)-d.at) {
		d.bad = true
		return ""
	}
	s := d.s[d.at : d.at+int(size)]
	d.at += int(size)
	d.texts = append(d.texts, s)
	return s
}

func unpackMap[V any](d *unpacker, value func() V) map[string]V {
	n := d.int()
	if n < 0 {
		return nil
	}
	if n > int64(len(d.b)-d.at) {
		d.bad = true
		return nil
	}
	m := make(map[string]V, n)
	for range n {
		k := d.text()
		if m[k] = value(); d.bad {
			return nil
		}
	}
	return m
}

func (d *unpacker) stage(s *spec.Stage) {
	s.Name, s.Base, s.Kind = d.text(), d.text(), d.text()
	s.Inputs = unpackMap(d, func() []string {
		names := make([]string, d.length())
		for i := range names {
			names[i] = d.text()
		}
		return names
	})
	s.Params = unpackMap(d, d.value)
	s.Matrix = unpackMap(d, d.text)
	s.Resources = spec.Resources{CPUs: int(d.int()), MemoryBytes: d.int(), Time: time.Duration(d.int()), OutputBytes: d.int()}
	s.MaxRejects = spec.MaxRejects{Share: math.Float64frombits(uint64(d.int())), Count: d.int(), Given: d.flag(), IsCnt: d.flag()}
	s.Shards = int(d.int())
	s.Pos = d.pos()
	s.ParamPos = unpackMap(d, d.pos)
}

func (d *unpacker) pos() spec.Pos {
	return spec.Pos{File: d.text(), Line: int(d.int()), Column: int(d.int())}
}

// maxPackDepth is more than the levels that package spec allows.
const maxPackDepth = 100

func (d *unpacker) value() any {
	if d.depth++; d.depth > maxPackDepth {
		d.bad = true
	}
	defer func() { d.depth-- }()
	if d.bad {
		return nil
	}
	switch d.byte() {
	case 's':
		return d.text()
	case 'b':
		return d.flag()
	case 'i':
		return d.int()
	case 'f':
		return math.Float64frombits(uint64(d.int()))
	case 'l':
		list := make([]any, d.length())
		for i := range list {
			list[i] = d.value()
		}
		return list
	case 'm':
		return unpackMap(d, d.value)
	case '0':
		return nil
	}
	d.bad = true
	return nil
}
