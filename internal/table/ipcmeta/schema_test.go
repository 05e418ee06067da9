package ipcmeta

import (
	"encoding/binary"
	"strings"
	"testing"
)

// bomb builds a schema whose fields have the same two children each, depth
// levels of them: 2^depth fields in a few hundred bytes.
func bomb(depth int) []byte {
	var b []byte
	u32 := func(v int) { b = binary.LittleEndian.AppendUint32(b, uint32(v)) }
	// One vtable for all: field 1 (a schema's fields) and 5 (a field's children) at 4.
	for _, v := range []uint16{16, 8, 0, 4, 0, 0, 0, 4} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	for range depth {
		at := len(b)
		u32(at) // back to the vtable at 0
		u32(4)  // to the vector behind
		u32(2)
		next := at + 20
		u32(next - len(b))
		u32(next - len(b))
	}
	u32(len(b))
	u32(4)
	u32(0)
	return b
}

func TestSchemaThatUnfoldsIsRefused(t *testing.T) {
	for depth, want := range map[int]string{4: "", 40: "too large", 3000: "too large or too deep"} {
		root, err := tableAt(bomb(depth), 16)
		if err != nil {
			t.Fatal(err)
		}
		err = checkSchema(root)
		if (want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("schema of 2^%d fields: %v, want %q", depth, err, want)
		}
	}
}
