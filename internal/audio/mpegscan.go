package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An mpegHeader is the four-byte header of an MPEG audio frame:
//
//	11 sync  2 version (3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5)  2 layer (1: III)
//	1 no CRC  4 bit rate index  2 rate index  1 padding  1 private
//	2 mode (3: mono)  2 mode extension  4 copyright, original, emphasis
type mpegHeader uint32

// mpegKbps holds the bit rates by [lsf][layer - 1][index].
var mpegKbps = [2][3][15]int{
	{
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	}, {
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	},
}

const mpegSameMask = 0xfffe0c00 // sync, version, layer, sample rate

// valid does not look at the emphasis: its reserved value is found in sound
// streams.
func (h mpegHeader) valid() bool {
	return h>>21 == 0x7ff && h>>19&3 != 1 && h>>17&3 != 0 && h>>12&15 != 15 && h>>10&3 != 3
}

func (h mpegHeader) layer() int       { return 4 - int(h>>17&3) }
func (h mpegHeader) mpeg25() bool     { return h>>19&3 == 0 }
func (h mpegHeader) freeFormat() bool { return h>>12&15 == 0 }
func (h mpegHeader) padding() int     { return int(h >> 9 & 1) }

// lsf is 1 for the low sampling frequencies of MPEG-2 and 2.5.
func (h mpegHeader) lsf() int {
	if h>>19&3 == 3 {
		return 0
	}
	return 1
}

func (h mpegHeader) channels() int {
	if h>>6&3 == 3 {
		return 1
	}
	return 2
}

func (h mpegHeader) rateHz() int {
	rate := [...]int{44100, 48000, 32000}[h>>10&3] >> h.lsf()
	if h.mpeg25() {
		rate >>= 1
	}
	return rate
}

// samples returns the samples per channel of a frame.
func (h mpegHeader) samples() int {
	switch {
	case h.layer() == 1:
		return 384
	case h.layer() == 3 && h.lsf() == 1:
		return 576
	}
	return 1152
}

// size returns the bytes of a frame, header included; 0 for free format, whose
// frames do not say.
func (h mpegHeader) size() int {
	bps := 1000 * mpegKbps[h.lsf()][h.layer()-1][h>>12&15]
	switch {
	case bps == 0:
		return 0
	case h.layer() == 1:
		return 4 * (12*bps/h.rateHz() + h.padding())
	}
	return h.samples()/8*bps/h.rateHz() + h.padding()
}

// sideBytes returns the length of layer III's side information.
func (h mpegHeader) sideBytes() int {
	return [2][2]int{{17, 32}, {9, 17}}[h.lsf()][h.channels()-1]
}

// crcBytes returns the length of the checksum after the header.
func (h mpegHeader) crcBytes() int {
	if h>>16&1 == 0 {
		return 2
	}
	return 0
}

func mpegHeaderAt(b []byte, at int) (mpegHeader, bool) {
	if at < 0 || at+4 > len(b) {
		return 0, false
	}
	h := mpegHeader(binary.BigEndian.Uint32(b[at:]))
	return h, h.valid()
}

// id3Size returns the length of the ID3v2 tag that b begins with, 0 without one.
func id3Size(b []byte) int {
	if len(b) < 10 || string(b[:3]) != "ID3" || b[3] == 0xff || b[6]|b[7]|b[8]|b[9] >= 0x80 {
		return 0
	}
	n := 10 + int(b[6])<<21 + int(b[7])<<14 + int(b[8])<<7 + int(b[9])
	if b[5]&0x10 != 0 {
		n += 10 // footer
	}
	return n
}

// tagSize returns the length of the tag that b begins with wherever it stands,
// 0 without one: joined and often retagged files have them in the middle.
func tagSize(b []byte) int {
	switch {
	case len(b) >= 128 && string(b[:3]) == "TAG":
		return 128
	case len(b) >= 32 && string(b[:8]) == "APETAGEX":
		return 32 + int(min(binary.LittleEndian.Uint32(b[12:]), 1<<28))
	}
	return id3Size(b)
}

// stripTags returns the bounds of what lies between the tags of an MP3 or ADTS
// file: ID3v2 before; ID3v1, APE and Lyrics3 after.
func stripTags(b []byte) (start, end int, err error) {
	for n := id3Size(b[start:]); n > 0; n = id3Size(b[start:]) {
		if n > len(b)-start {
			return 0, 0, fmt.Errorf("ID3 tag of %d bytes goes beyond the end of the file", n)
		}
		start += n
	}
	end = len(b)
	for {
		body := b[start:end]
		n := len(body)
		switch {
		case n >= 128 && string(body[n-128:n-125]) == "TAG":
			end -= 128
		case n >= 32 && string(body[n-32:n-24]) == "APETAGEX":
			size := int64(binary.LittleEndian.Uint32(body[n-20:]))
			if binary.LittleEndian.Uint32(body[n-12:])>>31 == 1 {
				size += 32 // a header as well as this footer
			}
			if size < 32 || size > int64(n) {
				return start, end, nil
			}
			end -= int(size)
		case n >= 15 && string(body[n-9:]) == "LYRICS200":
			size := 0
			if _, err := fmt.Sscanf(string(body[n-15:n-9]), "%06d", &size); err != nil || size < 0 || size+15 > n {
				return start, end, nil
			}
			end -= size + 15
		default:
			return start, end, nil
		}
	}
}

// maxJunk is how far the first frame is searched for.
const maxJunk = 1 << 16

// sniffMPEG looks for MPEG audio and ADTS frames. A lone header is no proof:
// another like it must follow, or the frame must end with the file.
func sniffMPEG(data []byte) (string, error) {
	start, end, err := stripTags(data)
	if err != nil {
		return "", err
	}
	b := data[:end]
	for at := start; at+7 <= len(b) && at-start < maxJunk; at++ {
		if b[at] != 0xff {
			continue
		}
		if n := adtsSize(b[at:]); n > 0 && (at+n == len(b) || adtsSize(b[min(at+n, len(b)):]) > 0) {
			return formatADTS, nil
		}
		h, ok := mpegHeaderAt(b, at)
		switch {
		case !ok:
		case h.freeFormat() && at == start && h.layer() == 3:
			return "", fmt.Errorf("free-format MP3: %w", ErrUnsupported)
		case !followed(b, at, h):
		case h.layer() == 1:
			return formatMPEG1, nil
		case h.layer() == 2:
			return formatMPEG2, nil
		default:
			return formatMP3, nil
		}
	}
	return "", errors.New("not a sound file in a known format")
}

// followed reports whether the frame at b[at] is followed by another of its
// kind, or by the end of b.
func followed(b []byte, at int, h mpegHeader) bool {
	n := h.size()
	if n == 0 {
		return false
	}
	if at+n == len(b) {
		return true
	}
	next, ok := mpegHeaderAt(b, at+n)
	return ok && next&mpegSameMask == h&mpegSameMask
}

// An mp3Frame is a frame in the file.
type mp3Frame struct {
	at     int
	header mpegHeader
	gap    bool // something is missing before it
}

// scanMPEG finds all frames of a layer in data[start:end], noting in info
// whatever lies between them. It stops where the sample rate changes, because
// what follows is another recording.
func scanMPEG(data []byte, start, end, layer int, info *Info) []mp3Frame {
	var frames []mp3Frame
	b := data[:end]
	gap, gapZero, tail := 0, true, 0
	flush := func(at int) {
		if gap > 0 {
			noteGap(frames, at-gap-start, gap, gapZero, at >= end, info)
		}
		gap, gapZero = 0, true
	}
	for at := start; at < end; {
		h, ok := mpegHeaderAt(b, at)
		ok = ok && h.layer() == layer && !h.freeFormat()
		if ok && (len(frames) == 0 || gap > 0 || h&mpegSameMask != frames[0].header&mpegSameMask) {
			ok = followed(b, at, h)
		}
		if ok && len(frames) > 0 && h&mpegSameMask != frames[0].header&mpegSameMask {
			flush(at)
			info.lose(0, "the sound changes to %d Hz at byte %d: the rest (%d bytes) is ignored", h.rateHz(), at, end-at)
			return frames
		}
		if ok && at+h.size() > end {
			tail = end - at
			break
		}
		if ok {
			after := gap > 0
			flush(at)
			frames = append(frames, mp3Frame{at: at, header: h, gap: after})
			at += h.size()
			continue
		}
		if n := tagSize(b[at:]); n > 0 && n <= end-at {
			at += n
			continue
		}
		gap, gapZero = gap+1, gapZero && b[at] == 0
		at++
	}
	flush(end - tail)
	if tail > 0 && len(frames) > 0 {
		h := frames[0].header
		info.lose(float64(h.samples())/float64(h.rateHz()), "the last frame is cut off")
	}
	return frames
}

// noteGap records bytes that are no frames. How long the sound in them was is
// estimated by the mean size of the frames before.
func noteGap(frames []mp3Frame, at, n int, zero, last bool, info *Info) {
	if len(frames) == 0 {
		info.lose(0, "%d bytes before the first frame are not MP3", n)
		return
	}
	first, prev := frames[0], frames[len(frames)-1]
	size := float64(prev.at+prev.header.size()-first.at) / float64(len(frames))
	seconds := float64(n) / size * float64(first.header.samples()) / float64(first.header.rateHz())
	switch {
	case last && zero && n < 4096:
		info.warn("%d zero bytes after the last frame", n)
	case last && !zero:
		info.lose(0, "%d bytes after the last frame are not MP3", n)
	default:
		info.lose(seconds, "%d bytes at %d are not MP3 (about %.2f s)", n, at, seconds)
	}
}
