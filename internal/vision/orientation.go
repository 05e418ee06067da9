package vision

import (
	"bytes"
	"encoding/binary"
)

// Tags of TIFF 6.0, and of EXIF, which is in the form of a TIFF.
const (
	tagCompression  = 259
	tagPhotometric  = 262
	tagOrientation  = 274
	tagRowsPerStrip = 278
	tagTileWidth    = 322
	tagTileHeight   = 323
)

// Orientation is how a picture file asks to be turned to be looked at, 1 to 8
// as EXIF 2.3 (4.6.4, tag 112h) counts: by the first picture's EXIF of a JPEG,
// PNG or WebP, by its own tag of a TIFF. It is 1, as stored, where nothing is
// said or what is said is damaged.
//
//	1 as stored          5 mirrored along the main diagonal
//	2 mirrored across    6 to be turned by a quarter, clockwise
//	3 upside down        7 mirrored along the other diagonal
//	4 mirrored down      8 to be turned by a quarter, anticlockwise
func Orientation(data []byte) int {
	var exif []byte
	found := func(body []byte) bool {
		exif = bytes.TrimPrefix(body, []byte("Exif\x00\x00"))
		return false
	}
	switch Sniff(data) {
	case "jpeg":
		walkJPEG(data, func(marker byte, body []byte) bool {
			if marker == 0xe1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
				return found(body)
			}
			return marker != 0xda // what follows is the picture
		})
	case "png":
		pngChunks(data, func(id string, body []byte) bool { return id != "eXIf" || found(body) })
	case "webp":
		webpChunks(data, func(id string, body []byte) bool { return id != "EXIF" || found(body) })
	case "tiff":
		exif = data
	}
	if o := tiffTags(exif)[tagOrientation]; o >= 1 && o <= 8 {
		return int(o)
	}
	return 1
}

// tiffTags are the whole numbers in the first directory of a TIFF, by tag; of
// lists that fit into the directory their first. What is outside the data is
// left out.
//
// "II*\0" or "MM\0*" | offset u32 of: n u16 | n times: tag u16, type u16, count u32, value
func tiffTags(data []byte) map[uint16]uint32 {
	var order binary.ByteOrder
	switch {
	case begins(data, "II*\x00"):
		order = binary.LittleEndian
	case begins(data, "MM\x00*"):
		order = binary.BigEndian
	}
	if order == nil || len(data) < 8 {
		return nil
	}
	const short, long = 3, 4
	at := int64(order.Uint32(data[4:]))
	if at+2 > int64(len(data)) {
		return nil
	}
	tags := map[uint16]uint32{}
	entries := data[at+2:]
	for range order.Uint16(data[at:]) {
		if len(entries) < 12 {
			break
		}
		tag, count := order.Uint16(entries), order.Uint32(entries[4:])
		switch kind := order.Uint16(entries[2:]); {
		case kind == short && (count == 1 || count == 2):
			tags[tag] = uint32(order.Uint16(entries[8:]))
		case kind == long && count == 1:
			tags[tag] = order.Uint32(entries[8:])
		}
		entries = entries[12:]
	}
	return tags
}

// MirrorImage is the orientation of a picture whose left side is to be its right.
const MirrorImage = 2

// Orient returns m turned and mirrored as an orientation says (see
// [Orientation]), m itself for 1 and for what is no orientation.
func Orient(m *RGB, orientation int) *RGB {
	if orientation < 2 || orientation > 8 {
		return m
	}
	w, h := m.W, m.H
	if orientation >= 5 {
		w, h = h, w
	}
	out := NewRGB(w, h)
	for y := range h {
		for x := range w {
			sx, sy := x, y // of m
			switch orientation {
			case MirrorImage:
				sx = w - 1 - x
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sy = h - 1 - y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, w-1-x
			case 7:
				sx, sy = h-1-y, w-1-x
			case 8:
				sx, sy = h-1-y, x
			}
			copy(out.Pix[(y*w+x)*3:][:3], m.Pix[(sy*m.W+sx)*3:])
		}
	}
	return out
}
