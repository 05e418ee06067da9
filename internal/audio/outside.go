package audio

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"strings"
)

// What is not decoded here goes to another decoder, and those take what they are
// given: a file cut short is a shorter file to them. So the containers are looked
// through here as far as it takes to see whether they are whole.

// parseOgg walks the pages of an Ogg file (RFC 3533):
//
//	"OggS" version:1 flags:1 (4: last page) granule:8 serial:4 page:4 CRC:4
//	segments:1 their lengths, then their bytes
//
// A stream that is whole ends with a page that says so. A page's granule is the
// number of samples up to its last packet; one that was cut out of a longer stream,
// a broadcast say, does not begin with 0. The error is that the sound in it is not
// decoded here.
func parseOgg(data []byte) (Info, error) {
	info := Info{Format: formatOgg}
	first, page, granule, start, ended := true, uint32(0), int64(0), int64(0), false
	var serial uint32
	var head oggHead
	at := 0
	for at < len(data) {
		b := data[at:]
		n := oggPage(b)
		if n == 0 {
			info.lose(0, "no page of Ogg at byte %d: truncated or damaged", at)
			break
		}
		le := binary.LittleEndian
		switch {
		case first:
			serial = le.Uint32(b[14:])
			head = info.takeOggHead(b[27+int(b[26]) : n])
			first = false
		case le.Uint32(b[14:]) != serial: // another stream beside this one
			at += n
			continue
		case le.Uint32(b[18:]) != page+1:
			info.lose(0, "page %d is followed by page %d: something is missing", page, le.Uint32(b[18:]))
		}
		page = le.Uint32(b[18:])
		if g := int64(le.Uint64(b[6:])); g > granule {
			if granule == 0 {
				start = head.start(b[:n], g)
			}
			granule = g
		}
		ended = ended || b[5]&4 != 0
		at += n
	}
	if !ended && !info.Damaged {
		info.lose(0, "the last page of the stream is missing: truncated")
	}
	if info.Codec == "" {
		info.Codec = "sound of an unknown kind"
	}
	if length := granule - start - head.skip; info.SampleRateHz > 0 && length <= MaxSeconds*int64(info.SampleRateHz) {
		info.setFrames(max(0, length))
	}
	return info, fmt.Errorf("%s in Ogg: %w", info.Codec, ErrUnsupported)
}

// oggHead is what the first packet says that lengths depend on.
type oggHead struct {
	skip   int64 // samples at the start that are not to be heard
	block  int64 // Vorbis: half a long block, which is the most that a packet adds
	isOpus bool
}

// takeOggHead reads the first packet, which names the codec.
func (i *Info) takeOggHead(b []byte) (h oggHead) {
	le := binary.LittleEndian
	switch {
	case len(b) >= 29 && string(b[:7]) == "\x01vorbis":
		i.Codec, i.Channels, i.SampleRateHz, h.block = "vorbis", int(b[11]), int(le.Uint32(b[12:])), 1<<(b[28]>>4)/2
	case len(b) >= 12 && string(b[:8]) == "OpusHead":
		i.Codec, i.Channels, i.SampleRateHz, h.skip, h.isOpus = "opus", int(b[9]), 48000, int64(le.Uint16(b[10:])), true
	case len(b) >= 5 && string(b[:5]) == "\x7fFLAC":
		i.Codec = "flac"
	case len(b) >= 8 && string(b[:8]) == "Speex   ":
		i.Codec = "speex"
	}
	if i.SampleRateHz > maxRateHz || i.Channels > maxChannels {
		i.SampleRateHz, i.Channels = 0, 0
	}
	return h
}

// start is the sample that a stream begins with, by its first page of sound, whose
// granule is given. How much Vorbis is in a packet only its books tell: of what
// cannot begin with 0, the samples of that page are not counted.
func (h oggHead) start(page []byte, granule int64) int64 {
	laces := page[27:][:page[26]]
	packet := page[27+len(laces):]
	var samples, size int64
	rest := page[5]&1 != 0 // of a packet whose beginning is not here
	for _, lace := range laces {
		if size += int64(lace); lace == 255 {
			continue // and on
		}
		samples += h.block
		if h.isOpus && !rest {
			samples += opusSamples(packet[:size])
		}
		packet, size, rest = packet[size:], 0, false
	}
	switch {
	case granule <= samples || h.block == 0 && !h.isOpus:
		return 0
	case h.isOpus:
		return granule - samples
	}
	return granule
}

// opusSamples returns how many samples at 48 kHz a packet of Opus has, by its first
// byte (RFC 6716, section 3.1).
func opusSamples(packet []byte) int64 {
	if len(packet) == 0 {
		return 0
	}
	config, frames := packet[0]>>3, int64(1)
	switch code := packet[0] & 3; {
	case code == 3:
		if len(packet) < 2 {
			return 0 // no packet has such a length
		}
		frames = int64(packet[1] & 63)
	case code != 0:
		frames = 2
	}
	switch {
	case config < 12: // SILK
		return frames * []int64{480, 960, 1920, 2880}[config%4]
	case config < 16: // both
		return frames * []int64{480, 960}[config%2]
	}
	return frames * []int64{120, 240, 480, 960}[config%4]
}

// oggTable is that of the polynomial 0x04c11db7, the highest bit first; hash/crc32
// has it the other way round.
var oggTable = crc32.MakeTable(bits.Reverse32(0x04c11db7))

// oggPage returns the length of the page that b begins with, 0 if it is none or
// its checksum is wrong.
func oggPage(b []byte) int {
	if len(b) < 27 || string(b[:4]) != "OggS" || len(b) < 27+int(b[26]) {
		return 0
	}
	n := 27 + int(b[26])
	for _, segment := range b[27:n] {
		n += int(segment)
	}
	if n > len(b) || oggCRC(b[:n]) != binary.LittleEndian.Uint32(b[22:]) {
		return 0
	}
	return n
}

// oggCRC is the checksum of a page, its own field taken for zero.
func oggCRC(page []byte) uint32 {
	mirrored := make([]byte, len(page))
	for i, v := range page {
		mirrored[i] = bits.Reverse8(v)
	}
	clear(mirrored[22:26])
	// Neither the start value nor the end of hash/crc32's is inverted here.
	return bits.Reverse32(^crc32.Update(^uint32(0), oggTable, mirrored))
}

// parseMatroska looks at the sizes of the top level of a Matroska or WebM file:
//
//	id size body, both numbers with a one bit at the place that tells their length
func parseMatroska(data []byte) (Info, error) {
	info := Info{Format: formatMatroska}
	for at := 0; at < len(data); {
		id, n := ebmlNumber(data[at:])
		size, m := ebmlNumber(data[min(len(data), at+n):])
		if n == 0 || m == 0 {
			info.lose(0, "%d bytes at the end are cut off or no part of Matroska", len(data)-at)
			break
		}
		at += n + m
		if id == ebmlSegment {
			info.Codec = matroskaCodec(data[at:])
		}
		if size == 1<<(7*m)-1 {
			info.warn("the container does not say how long it is: whether it is whole is not known")
			break
		}
		if size > uint64(len(data)-at) {
			info.lose(0, "the container ends %d bytes early: truncated", size-uint64(len(data)-at))
			break
		}
		at += int(size)
	}
	return info, fmt.Errorf("Matroska/WebM: %w", ErrUnsupported)
}

// Ids of Matroska's elements, without the bit that tells their length.
const (
	ebmlSegment = 0x8538067
	ebmlTracks  = 0x654ae6b
	ebmlTrack   = 0x2e
	ebmlType    = 0x03 // 2: sound
	ebmlCodec   = 0x06 // such as A_OPUS, A_PCM/INT/LIT
)

// matroskaCodec returns the codec of a segment's first track of sound, such as
// opus, vorbis or pcm/int/lit; "" if there is none before the sound begins.
func matroskaCodec(segment []byte) (codec string) {
	ebmlEach(segment, func(id uint64, tracks []byte) bool {
		if id != ebmlTracks {
			return true
		}
		ebmlEach(tracks, func(id uint64, track []byte) bool {
			var kind, name string
			ebmlEach(track, func(id uint64, body []byte) bool {
				switch id {
				case ebmlType:
					kind = string(body)
				case ebmlCodec:
					name = string(body)
				}
				return true
			})
			if id == ebmlTrack && kind == "\x02" && len(name) <= maxCodecName {
				codec = strings.ToLower(strings.ToValidUTF8(strings.TrimPrefix(strings.TrimRight(name, "\x00"), "A_"), ""))
			}
			return codec == ""
		})
		return false
	})
	return codec
}

// maxCodecName is far above the longest name that Matroska gives a codec.
const maxCodecName = 64

// ebmlEach calls f with id and body of each element in b that is there whole, as
// long as f returns true.
func ebmlEach(b []byte, f func(id uint64, body []byte) bool) {
	for {
		id, n := ebmlNumber(b)
		size, m := ebmlNumber(b[n:])
		if n == 0 || m == 0 || size > uint64(len(b)-n-m) || !f(id, b[n+m:][:size]) {
			return
		}
		b = b[n+m:][size:]
	}
}

// ebmlNumber reads a number of up to 8 bytes and returns its length, 0 if it is
// none.
func ebmlNumber(b []byte) (v uint64, n int) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if n > len(b) {
		return 0, 0
	}
	for _, c := range b[:n] {
		v = v<<8 | uint64(c)
	}
	return v &^ (1 << (7 * n)), n
}

// parseLayer looks through a file of MPEG audio layer I or II.
func parseLayer(data []byte, layer int) (Info, error) {
	info := Info{Format: "mpeg", Codec: fmt.Sprintf("mp%d", layer)}
	start, end, err := stripTags(data)
	if err != nil {
		return info, err
	}
	frames := scanMPEG(data, start, end, layer, &info)
	if len(frames) > 0 {
		h := frames[0].header
		info.SampleRateHz, info.Channels = h.rateHz(), h.channels()
		info.setFrames(int64(len(frames) * h.samples()))
	}
	return info, fmt.Errorf("MPEG audio layer %s: %w", "III"[:layer], ErrUnsupported)
}
