package ipcmeta

import "encoding/binary"

// A table is a flatbuffer table read with every offset checked.
//
//	table:  int32 distance back to its vtable | fields
//	vtable: uint16 own size | uint16 table size | uint16 offset of each field, 0 if absent
type table struct {
	buf []byte
	pos int
	vt  []byte // offsets of the fields
}

func rootTable(buf []byte) (table, error) {
	if len(buf) < 4 {
		return table{}, errTruncated
	}
	return tableAt(buf, int64(binary.LittleEndian.Uint32(buf)))
}

func tableAt(buf []byte, pos int64) (table, error) {
	if pos < 0 || pos+4 > int64(len(buf)) {
		return table{}, errTruncated
	}
	vt := pos - int64(int32(binary.LittleEndian.Uint32(buf[pos:])))
	if vt < 0 || vt+4 > int64(len(buf)) {
		return table{}, errTruncated
	}
	n := int64(binary.LittleEndian.Uint16(buf[vt:]))
	if n < 4 || vt+n > int64(len(buf)) {
		return table{}, errTruncated
	}
	return table{buf: buf, pos: int(pos), vt: buf[vt+4 : vt+n]}, nil
}

// at returns where field i lies, with room for size bytes; 0 if it is absent.
func (t table) at(i, size int) (int, error) {
	if 2*i+2 > len(t.vt) {
		return 0, nil
	}
	off := int(binary.LittleEndian.Uint16(t.vt[2*i:]))
	if off == 0 {
		return 0, nil
	}
	if off < 4 || t.pos+off+size > len(t.buf) {
		return 0, errTruncated
	}
	return t.pos + off, nil
}

func (t table) has(i int) bool {
	p, err := t.at(i, 4)
	return p != 0 || err != nil
}

// scalar returns integer field i of 1 or 8 bytes; 0 if it is absent.
func (t table) scalar(i, size int) (int64, error) {
	p, err := t.at(i, size)
	switch {
	case err != nil || p == 0:
		return 0, err
	case size == 1:
		return int64(t.buf[p]), nil
	}
	return int64(binary.LittleEndian.Uint64(t.buf[p:])), nil
}

// table follows field i to another table, which must be there.
func (t table) table(i int) (table, error) {
	p, err := t.at(i, 4)
	if err != nil || p == 0 {
		return table{}, errTruncated
	}
	return tableAt(t.buf, int64(p)+int64(binary.LittleEndian.Uint32(t.buf[p:])))
}

// structs returns the bytes of field i, a vector of structs of size bytes.
func (t table) structs(i, size int) ([]byte, error) {
	p, err := t.at(i, 4)
	if err != nil || p == 0 {
		return nil, err
	}
	v := int64(p) + int64(binary.LittleEndian.Uint32(t.buf[p:]))
	if v+4 > int64(len(t.buf)) {
		return nil, errTruncated
	}
	n := int64(binary.LittleEndian.Uint32(t.buf[v:])) * int64(size)
	if n > int64(len(t.buf))-v-4 {
		return nil, errTruncated
	}
	return t.buf[v+4 : v+4+n], nil
}
