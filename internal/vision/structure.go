package vision

import "encoding/binary"

// jpegBytes returns how many bytes image/jpeg takes at most to decode the file,
// with a border, since it works in whole blocks.
//
// SOFn: FF Cn | length u16 | precision u8 | height u16 | width u16 | n u8 |
// n times: id u8, sampling h:4 v:4, table u8
func jpegBytes(data []byte, info Info) (int64, error) {
	const whole, coefficient = 3, 4 // image/jpeg keeps coefficients as int32
	perPixel := int64(whole)
	walkJPEG(data, func(marker byte, body []byte) bool {
		if marker < 0xc0 || marker > 0xcf || marker == 0xc4 || marker == 0xc8 || marker == 0xcc || len(body) < 6 {
			return true
		}
		n := int(body[5])
		var area, largest int64
		for i := 0; i < n && 6+3*i+1 < len(body); i++ {
			hv := body[6+3*i+1]
			a := int64(hv>>4) * int64(hv&15)
			area, largest = area+a, max(largest, a)
		}
		if largest == 0 {
			return false
		}
		perPixel = (area + largest - 1) / largest
		if n == 4 { // image/jpeg makes CMYK of three planes and black
			perPixel = max(perPixel, 4) + 4
		}
		if marker == 0xc2 {
			perPixel += (coefficient*area + largest - 1) / largest
		}
		return false
	})
	const border = 32 // a block is up to 4 x 8 pixels wide
	return perPixel * (info.pixels() + border*int64(info.Width+info.Height+16)), nil
}

// jpegEnd returns where the first picture in data ends: behind its EOI marker.
func jpegEnd(data []byte) int {
	return walkJPEG(data, func(byte, []byte) bool { return true })
}

// walkJPEG calls visit with each marker segment until it says false or EOI
// comes, and returns the position behind it. Entropy-coded data, where FF is
// followed by 00 or a restart marker, is skipped.
func walkJPEG(data []byte, visit func(marker byte, body []byte) bool) int {
	for i := 2; i+1 < len(data); {
		marker := data[i+1]
		switch {
		case data[i] != 0xff || marker == 0x00 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7):
			i++
			continue
		case marker == 0xff: // fill byte
			i++
			continue
		case marker == 0xd9:
			return i + 2
		}
		if i+4 > len(data) {
			break
		}
		n := int(binary.BigEndian.Uint16(data[i+2:]))
		if n < 2 || i+2+n > len(data) {
			break
		}
		if !visit(marker, data[i+4:i+2+n]) {
			return i
		}
		i += 2 + n
	}
	return len(data)
}

// pngEnd returns where the picture in data ends: behind its IEND chunk.
func pngEnd(data []byte) int {
	return pngChunks(data, func(string, []byte) bool { return true })
}

// pngChunks calls visit with each chunk until it says false or IEND comes, and
// returns the position behind that.
//
// chunk: length u32 | type 4 bytes | data | CRC u32
func pngChunks(data []byte, visit func(id string, body []byte) bool) int {
	for i := 8; i+12 <= len(data); {
		n := int64(binary.BigEndian.Uint32(data[i:]))
		end := int64(i) + 12 + n
		if end > int64(len(data)) {
			break
		}
		id := string(data[i+4 : i+8])
		if !visit(id, data[i+8:end-4]) || id == "IEND" {
			return int(end)
		}
		i = int(end)
	}
	return len(data)
}

// webpChunks calls visit with each chunk until it says false.
//
// "RIFF" | length u32 | "WEBP" | chunks: type 4 bytes, length u32, data, padding to an even length
func webpChunks(data []byte, visit func(id string, body []byte) bool) {
	for i := int64(12); i+8 <= int64(len(data)); {
		end := i + 8 + int64(binary.LittleEndian.Uint32(data[i+4:]))
		if !visit(string(data[i:i+4]), data[i+8:min(end, int64(len(data)))]) {
			return
		}
		i = end + end&1
	}
}
