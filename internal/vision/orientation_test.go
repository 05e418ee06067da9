package vision

import (
	"encoding/binary"
	"hash/crc32"
	"image"
	"slices"
	"testing"
)

// exif is an EXIF block that says an orientation.
func exif(order binary.AppendByteOrder, magic string, value uint16) []byte {
	b := order.AppendUint32([]byte(magic), 8)
	b = order.AppendUint16(b, 2)
	for _, tag := range []uint16{271, tagOrientation} {
		b = order.AppendUint16(b, tag)
		b = order.AppendUint16(b, 3)
		b = order.AppendUint32(b, 1)
		b = order.AppendUint16(b, value)
		b = append(b, 0, 0)
	}
	return b
}

// jpegWithEXIF puts an EXIF segment behind a JPEG's first marker.
func jpegWithEXIF(jpeg, exif []byte) []byte {
	body := append([]byte("Exif\x00\x00"), exif...)
	app1 := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(2+len(body)))
	return slices.Concat(jpeg[:2], app1, body, jpeg[2:])
}

func pngWithEXIF(png, exif []byte) []byte {
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(exif)))
	chunk = append(chunk, append([]byte("eXIf"), exif...)...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	const header = 8 + 25
	return slices.Concat(png[:header], chunk, png[header:])
}

func TestOrientation(t *testing.T) {
	j, p := jpegOf(t, noisy(9, 5)), pngOf(t, noisy(9, 5))
	for want := range 10 {
		little, big := exif(binary.LittleEndian, "II*\x00", uint16(want)), exif(binary.BigEndian, "MM\x00*", uint16(want))
		for name, data := range map[string][]byte{
			"jpeg":      jpegWithEXIF(j, little),
			"jpeg, big": jpegWithEXIF(j, big),
			"png":       pngWithEXIF(p, big),
			"webp":      append(riff("VP8 ", nil), append([]byte("EXIF\x26\x00\x00\x00"), little...)...),
			"tiff":      big,
		} {
			said := want
			if want < 1 || want > 8 {
				said = 1
			}
			if got := Orientation(data); got != said {
				t.Errorf("Orientation of %s with %d = %d", name, want, got)
			}
			for n := range data { // damaged is as stored
				if got := Orientation(data[:n]); got != 1 && got != want {
					t.Errorf("Orientation of %d bytes of %s with %d = %d", n, name, want, got)
				}
			}
		}
		if m, info, err := Decode(jpegWithEXIF(j, little)); err != nil || len(info.Warnings) > 0 || m.W != 9 {
			t.Errorf("with orientation %d: %+v, %v: want 9 pixels wide as stored", want, info, err)
		}
		if _, _, err := Decode(pngWithEXIF(p, big)); err != nil {
			t.Errorf("png with eXIf: %v", err)
		}
	}
	if got := Orientation(j); got != 1 {
		t.Errorf("Orientation of nothing said = %d", got)
	}
}

// TestOrient: a is at the top left and b beside it when all is turned right.
func TestOrient(t *testing.T) {
	const a, b, c, d, e, f = 1, 2, 3, 4, 5, 6
	for o, stored := range [][]uint8{
		1: {a, b, c, d, e, f},
		2: {c, b, a, f, e, d},
		3: {f, e, d, c, b, a},
		4: {d, e, f, a, b, c},
		5: {a, d, b, e, c, f}, // 2 x 3 from here
		6: {c, f, b, e, a, d},
		7: {f, c, e, b, d, a},
		8: {d, a, e, b, f, c},
	} {
		if o == 0 {
			continue
		}
		m := NewRGB(3, 2)
		if o >= 5 {
			m = NewRGB(2, 3)
		}
		for i, v := range stored {
			m.Pix[3*i], m.Pix[3*i+2] = v, 100+v
		}
		got := Orient(m, o)
		if got.W != 3 || got.H != 2 {
			t.Fatalf("orientation %d: %d x %d", o, got.W, got.H)
		}
		for i := range 6 {
			if px := [3]uint8(got.Pix[3*i:]); px != [3]uint8{uint8(i + 1), 0, uint8(101 + i)} {
				t.Errorf("orientation %d: pixel %d is %v", o, i, px)
			}
		}
	}
	if m := NewRGB(2, 1); Orient(m, 0) != m || Orient(m, 9) != m {
		t.Error("what is no orientation does something")
	}
}

// FuzzOrientation reads EXIF blocks, in a JPEG and by themselves.
func FuzzOrientation(f *testing.F) {
	jpeg := jpegOf(f, image.NewGray(image.Rect(0, 0, 1, 1)))
	f.Add(exif(binary.LittleEndian, "II*\x00", 6))
	f.Add(exif(binary.BigEndian, "MM\x00*", 8))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, file := range [][]byte{data, jpegWithEXIF(jpeg, data[:min(len(data), 1<<16-9)]), riff("EXIF", data)} {
			if o := Orientation(file); o < 1 || o > 8 {
				t.Fatalf("orientation %d", o)
			}
		}
	})
}
