package learn

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"
	"time"
)

// TestEvents compares with the bytes of a file that TensorFlow's own writer
// format describes, and reads every record back.
func TestEvents(t *testing.T) {
	var b bytes.Buffer
	w := NewEventWriter(&b, func() time.Time { return time.Unix(1_700_000_000, 500_000_000) })
	if err := w.Scalars(3, Scalar{"loss", 1.5}, Scalar{"dev/P@10", math.NaN()}, Scalar{"rate", .25}); err != nil {
		t.Fatal(err)
	}
	if err := w.Scalars(4, Scalar{"dev/P@10", math.NaN()}); err != nil {
		t.Fatal(err)
	}
	var records [][]byte
	for rest := b.Bytes(); len(rest) > 0; {
		n := binary.LittleEndian.Uint64(rest)
		if maskedCRC(rest[:8]) != binary.LittleEndian.Uint32(rest[8:]) || maskedCRC(rest[12:12+n]) != binary.LittleEndian.Uint32(rest[12+n:]) {
			t.Fatal("a checksum is wrong")
		}
		records = append(records, rest[12:12+n])
		rest = rest[16+n:]
	}
	at := make([]byte, 9)
	at[0] = 9
	binary.LittleEndian.PutUint64(at[1:], math.Float64bits(1700000000.5))
	want := []string{
		hex.EncodeToString(at) + "1000" + "1a0d" + hex.EncodeToString([]byte("brain.Event:2")),
		hex.EncodeToString(at) + "1003" + "2a1a" + "0a0b" + "0a046c6f7373" + "150000c03f" + "0a0b" + "0a0472617465" + "150000803e",
	}
	if len(records) != 2 {
		t.Fatalf("%d records, want the version and one step", len(records))
	}
	for i, r := range records {
		if got := hex.EncodeToString(r); got != want[i] {
			t.Errorf("record %d is %s, want %s", i, got, want[i])
		}
	}
	// CRC-32C of "123456789" is e3069283 (RFC 3720); masked as record_writer.h does.
	if got := maskedCRC([]byte("123456789")); got != 0xc78ab0e5 { // (e3069283>>15 | e3069283<<17) + a282ead8
		t.Errorf("masked CRC is %08x", got)
	}
}
