package ipcmeta

import (
	"encoding/binary"
	"errors"
)

// Limits on a schema. Offsets of a flatbuffer may meet, so that a few bytes
// can spell a tree of any size: counting visits bounds it.
const (
	maxDepth  = 64
	maxTables = 1 << 16
)

// checkSchema walks a Schema (Schema.fbs) as the library will, so that its
// allocations are bounded by what is there.
//
//	Schema:   endianness, fields, custom_metadata, features
//	Field:    name, nullable, type_type, type, dictionary, children, custom_metadata
//	KeyValue: key, value
func checkSchema(schema table) error {
	w := walker{left: maxTables}
	if err := w.all(schema, 1, w.field, 0); err != nil {
		return err
	}
	return w.all(schema, 2, w.keyValue, 0)
}

type walker struct{ left int }

// all visits the tables in the vector that is field i of t.
func (w *walker) all(t table, i int, visit func(table, int) error, depth int) error {
	offsets, err := t.structs(i, 4)
	if err != nil {
		return err
	}
	if w.left -= len(offsets) / 4; w.left < 0 || depth > maxDepth {
		return errors.New("arrow schema is too large or too deep")
	}
	base := int64(t.vectorStart(i))
	for j := 0; j < len(offsets); j += 4 {
		p := base + int64(j)
		child, err := tableAt(t.buf, p+int64(binary.LittleEndian.Uint32(t.buf[p:])))
		if err != nil {
			return err
		}
		if err := visit(child, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) field(f table, depth int) error {
	if err := f.text(0); err != nil {
		return err
	}
	if f.has(3) {
		typ, err := f.table(3)
		if err != nil {
			return err
		}
		if err := checkType(f, typ); err != nil {
			return err
		}
	}
	if f.has(4) {
		if _, err := f.table(4); err != nil {
			return err
		}
	}
	if err := w.all(f, 5, w.field, depth+1); err != nil {
		return err
	}
	return w.all(f, 6, w.keyValue, depth)
}

// checkType looks at the two types whose tables hold more than scalars: Union's
// typeIds, a vector of int32, and Timestamp's timezone, a string.
func checkType(f, typ table) error {
	const timestamp, union = 10, 14
	kind, err := f.scalar(2, 1)
	if err != nil {
		return err
	}
	switch kind {
	case timestamp:
		return typ.text(1)
	case union:
		_, err := typ.structs(1, 4)
		return err
	}
	return nil
}

func (w *walker) keyValue(kv table, _ int) error {
	if err := kv.text(0); err != nil {
		return err
	}
	return kv.text(1)
}

// text checks the string that is field i: a vector of bytes.
func (t table) text(i int) error {
	_, err := t.structs(i, 1)
	return err
}

// vectorStart returns where the elements of vector i lie, which structs has
// found to be in the buffer.
func (t table) vectorStart(i int) int {
	p, err := t.at(i, 4)
	if err != nil || p == 0 {
		return 0
	}
	return p + int(binary.LittleEndian.Uint32(t.buf[p:])) + 4
}
