package audio

import (
	"encoding/binary"
	"fmt"
)

// A box is one element of an ISO base media file (ISO/IEC 14496-12):
//
//	size:4 type:4 [size:8 if size is 1] body; size 0 goes to the end
type box struct {
	kind string
	at   int // offset of the box in what it was read from
	body []byte
}

// nextBox reads the box at the start of b[at:]. Boxes are never larger than
// what holds them: anything else is damage.
func nextBox(b []byte, at int) (bx box, next int, err error) {
	rest := b[at:]
	if len(rest) < 8 {
		return box{}, 0, fmt.Errorf("mp4: %d bytes are not a box", len(rest))
	}
	bx = box{kind: string(rest[4:8]), at: at}
	size, head := uint64(binary.BigEndian.Uint32(rest)), 8
	switch size {
	case 0:
		size = uint64(len(rest))
	case 1:
		if len(rest) < 16 {
			return bx, 0, fmt.Errorf("mp4: box %q is cut off", bx.kind)
		}
		size, head = binary.BigEndian.Uint64(rest[8:]), 16
	}
	if size < uint64(head) {
		return bx, 0, fmt.Errorf("mp4: box %q of %d bytes", bx.kind, size)
	}
	if size > uint64(len(rest)) {
		return bx, 0, fmt.Errorf("mp4: box %q of %d bytes where %d are left", bx.kind, size, len(rest))
	}
	bx.body = rest[head:size]
	return bx, at + int(size), nil
}

// boxes splits b into boxes. There is no recursion anywhere in this reader: a
// caller descends the few levels it knows, so nesting costs nothing.
func boxes(b []byte) ([]box, error) {
	var out []box
	for at := 0; at < len(b); {
		bx, next, err := nextBox(b, at)
		if err != nil {
			return out, err
		}
		out = append(out, bx)
		at = next
	}
	return out, nil
}

// child returns the body of the first box of a kind in b, going down a path of
// kinds; nil without one.
func child(b []byte, path ...string) []byte {
	for _, kind := range path {
		all, _ := boxes(b) // what comes after damage cannot be reached anyway
		b = nil
		for _, bx := range all {
			if bx.kind == kind {
				b = bx.body
				break
			}
		}
		if b == nil {
			return nil
		}
	}
	return b
}

// A fields reads big-endian fields of a box's body. Reading beyond the end
// gives zeros and sets short.
type fields struct {
	b     []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.short, f.b = true, nil
		return make([]byte, max(0, min(n, 8)))
	}
	out := f.b[:n]
	f.b = f.b[n:]
	return out
}

func (f *fields) u8() int    { return int(f.take(1)[0]) }
func (f *fields) u16() int   { return int(binary.BigEndian.Uint16(f.take(2))) }
func (f *fields) u32() int64 { return int64(binary.BigEndian.Uint32(f.take(4))) }
func (f *fields) u64() uint64 {
	return binary.BigEndian.Uint64(f.take(8))
}

// skip drops n bytes.
func (f *fields) skip(n int) {
	if n < 0 || n > len(f.b) {
		f.short, f.b = true, nil
		return
	}
	f.b = f.b[n:]
}

// sized reads 4 or, in version 1 boxes, 8 bytes.
func (f *fields) sized(version int) uint64 {
	if version == 1 {
		return f.u64()
	}
	return uint64(f.u32())
}

// table returns the rows of a table of n rows of width bytes, which must fit
// what is left.
func (f *fields) table(kind string, n int64, width int) ([]byte, error) {
	if f.short || n*int64(width) > int64(len(f.b)) {
		return nil, fmt.Errorf("mp4: %s counts %d entries in %d bytes", kind, n, len(f.b))
	}
	return f.take(int(n) * width), nil
}
