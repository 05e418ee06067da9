package audio

import (
	"encoding/binary"
)

// The frames of a layer III stream lean on each other: the main data of one may
// begin up to 511 bytes back in the frames before it (the bit reservoir). Here
// they are packed anew, so that each holds its own main data, at whatever bit
// rate has the room. What a damaged or missing frame does then ends with it, and
// the frames that go-mp3 misreads can be put as it expects them: it drops a byte
// of padded MPEG-2 frames, reads checksums as it likes, and see fillShort.

// packSlack is the room left after the main data, free or with that of the next
// frame. go-mp3 reads a word of the
// Huffman code beyond the end to find that it was not one; at the end of a
// frame it would not notice.
const packSlack = 8

// A packed is a frame on its way. Where even the highest bit rate has no room
// for all main data, its first spill bytes go to the end of the frame before,
// where the bit reservoir has them; tail is what the next frame leaves here.
type packed struct {
	header     mpegHeader
	side, main []byte
	spill      int
	tail       []byte
}

// repack packs frames anew. Frames whose main data is missing become silent; bad
// counts them. Beyond counts those that are whole, and that go-mp3 misreads
// however they are put.
func repack(data []byte, frames []mp3Frame) (out [][]byte, bad, beyond int) {
	all := make([]packed, len(frames))
	var reservoir []byte // main data so far, since the last gap
	for i, fr := range frames {
		h := fr.header
		frame := data[fr.at:][:h.size()]
		head := 4 + h.crcBytes() + h.sideBytes()
		if fr.gap {
			reservoir = reservoir[:0]
		}
		all[i].header = h.asMPEG2()
		if len(frame) < head {
			continue
		}
		side := frame[head-h.sideBytes() : head]
		back, bits := sideInfo(side, h)
		had, need := len(reservoir), (bits+7)/8
		reservoir = append(reservoir, frame[head:]...)
		if back <= had && had-back+need <= len(reservoir) {
			all[i].side, all[i].main = side, append([]byte(nil), reservoir[had-back:][:need]...)
			if misread(h, side) {
				beyond++
			}
		}
		if len(reservoir) > 4096 {
			reservoir = append(reservoir[:0], reservoir[len(reservoir)-512:]...)
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		var before *packed
		if i > 0 {
			before = &all[i-1]
		}
		switch whole := all[i].side != nil; {
		case all[i].fit(before):
		case whole:
			beyond++
		default:
			bad++
		}
	}
	for i := range all {
		out = append(out, all[i].build())
	}
	return out, bad, beyond
}

// fit settles the frame's contents, the tail being known; what has no room goes
// to the frame before. It reports false if the frame had to be made silent.
func (p *packed) fit(before *packed) bool {
	h := p.header
	room := h.highest().size() - 4 - h.sideBytes() - len(p.tail)
	reach := 1<<9 - 1
	if h.lsf() == 1 {
		reach = 1<<8 - 1
	}
	if before == nil {
		reach = 0
	}
	whole := p.side != nil
	if whole {
		p.side, p.main, whole = fillShort(h, p.side, p.main)
		over := len(p.main) + p.slack() - room
		p.spill = max(0, min(over, len(p.main)))
		whole = whole && over <= reach
	}
	if !whole {
		p.side, p.main, p.spill = make([]byte, h.sideBytes()), nil, 0
	}
	if p.spill > 0 {
		before.tail = p.main[:p.spill]
	}
	return whole
}

// slack is the room to leave free.
func (p *packed) slack() int { return max(0, packSlack-len(p.tail)) }

// asMPEG2 returns the header of MPEG-2 at 16 kHz for MPEG-2.5 at 11,025 and
// 12,000 Hz, which go-mp3 refuses. The scale factor bands are the same and so is
// all else that a decoder takes from the rate, but the length of a frame, which
// build chooses anew.
func (h mpegHeader) asMPEG2() mpegHeader {
	const version2, rate16k, rates = 2 << 19, 2 << 10, 3 << 10
	if !h.mpeg25() {
		return h
	}
	return h&^rates | version2 | rate16k
}

// misread reports whether a whole frame is of a kind that go-mp3 does not know:
// at low sampling frequencies it takes the factors of intensity stereo and of
// mixed blocks for those of MPEG-1.
func misread(h mpegHeader, side []byte) bool {
	if h.lsf() == 0 {
		return false
	}
	const jointStereo, intensity = 1, 1
	if h>>6&3 == jointStereo && h>>4&intensity != 0 {
		return true
	}
	l := granuleLSF
	for ch := range h.channels() {
		at := l.first(h) + l.bits*ch
		if bitsAt(side, at+l.change, 1) == 1 && bitsAt(side, at+l.change+1, 2) == shortBlocks && bitsAt(side, at+l.change+3, 1) == 1 {
			return true
		}
	}
	return false
}

// highest returns h with the highest bit rate, without checksum; padded, unless
// go-mp3 would drop that byte.
func (h mpegHeader) highest() mpegHeader {
	return h&^(15<<12|1<<9) | 1<<16 | 14<<12 | mpegHeader(1-h.lsf())<<9
}

// build writes the frame: the lowest bit rate that holds it, no checksum, padding
// only where it has to be, no emphasis (which no one applies).
func (p *packed) build() []byte {
	bare := p.header&^(15<<12|1<<9|3) | 1<<16
	own := p.main[p.spill:]
	need := 4 + len(p.side) + len(own) + len(p.tail)
	h := p.header.highest() &^ 3
	for index := mpegHeader(1); index < 15; index++ {
		if h = bare | index<<12; h.size() >= need+p.slack() {
			break
		}
	}
	out := make([]byte, max(h.size(), need))
	binary.BigEndian.PutUint32(out, uint32(h))
	copy(out[4:], p.side)
	if h.lsf() == 1 {
		putBits(out[4:], 0, 8, p.spill)
	} else {
		putBits(out[4:], 0, 9, p.spill)
	}
	copy(out[4+len(p.side):], own)
	copy(out[len(out)-len(p.tail):], p.tail)
	return out
}

// reachesBack reports whether a frame that build wrote begins in the one before.
func reachesBack(frame []byte) bool {
	h := mpegHeader(binary.BigEndian.Uint32(frame))
	back, _ := sideInfo(frame[4:], h)
	return back > 0
}

// silentFrame is a frame without sound.
func silentFrame(h mpegHeader) []byte {
	p := packed{header: h, side: make([]byte, h.sideBytes())}
	return p.build()
}

// sideInfo reads from the side information how many bytes back the main data
// begins and how many bits of it there are.
//
//	MPEG-1: back 9, private 5 or 3, scfsi 4 a channel, then 59 bits for each of
//	2 granules and each channel; MPEG-2: back 8, private 1 or 2, then 63 bits for
//	each channel. Each of these begins with the number of bits, 12.
func sideInfo(side []byte, h mpegHeader) (back, bits int) {
	l, parts, begin := granuleMPEG1, 2*h.channels(), 9
	if h.lsf() == 1 {
		l, parts, begin = granuleLSF, h.channels(), 8
	}
	for i := range parts {
		bits += bitsAt(side, l.first(h)+l.bits*i, 12)
	}
	return bitsAt(side, 0, begin), bits
}

// bitsAt returns n <= 16 bits of b from bit at on.
func bitsAt(b []byte, at, n int) int {
	v := 0
	for i := at; i < at+n; i++ {
		v = v<<1 | int(b[i/8]>>(7-i%8))&1
	}
	return v
}

// mp3Lines is the number of spectral lines of a granule.
const mp3Lines = 576

// A granuleLayout says where things are in the bits that the side information
// has for a granule and channel. The length of its part of the main data comes
// first, in 12 bits; the number of pairs of big values follows, in 9.
type granuleLayout struct {
	bits   int // in all
	change int // 1: another block type than the long one; 2 bits of type and 1 for mixed follow
	quads  int // Huffman table of the quadruples after the big values
}

var (
	granuleMPEG1 = granuleLayout{bits: 59, change: 33, quads: 58}
	granuleLSF   = granuleLayout{bits: 63, change: 38, quads: 62}
)

const (
	granuleBig  = 12
	shortBlocks = 2 // block type
)

// first is where the first granule's bits begin.
func (granuleLayout) first(h mpegHeader) int {
	if h.lsf() == 1 {
		return 8 + h.channels()
	}
	return map[int]int{1: 9 + 5 + 4, 2: 9 + 3 + 8}[h.channels()]
}

// fillShort works around a fault of go-mp3 0.3.4: it undoes mid/side stereo only
// up to the last line that was coded, although short blocks have been reordered
// by then and reach beyond it. In granules of that kind zeros are written after
// the last coded quadruple, up to line 576: zeros cost one bit (table A, code 1)
// or four (table B, code 1111) a quadruple, all ones in both. Other frames come
// back as they are; of one that would grow too long it reports false. side and
// main are not changed.
func fillShort(h mpegHeader, side, main []byte) ([]byte, []byte, bool) {
	const jointStereo, midSide = 1, 2
	if h>>6&3 != jointStereo || h>>4&midSide == 0 {
		return side, main, true
	}
	l, parts := granuleMPEG1, 4 // granule by granule, both channels of each
	if h.lsf() == 1 {
		l, parts = granuleLSF, 2
	}
	at := func(part int) int { return l.first(h) + l.bits*part }
	short := [2]bool{}
	for i := range parts {
		short[i/2] = short[i/2] || bitsAt(side, at(i)+l.change, 1) == 1 && bitsAt(side, at(i)+l.change+1, 2) == shortBlocks
	}
	if !short[0] && !short[1] {
		return side, main, true
	}
	newSide := append([]byte(nil), side...)
	var w bitWriter
	from := 0
	for i := range parts {
		b := at(i)
		n := bitsAt(side, b, 12)
		w.copy(main, from, n)
		from += n
		if !short[i/2] || n == 0 {
			continue
		}
		fill := max(0, mp3Lines-2*bitsAt(side, b+granuleBig, 9)) / 4
		if bitsAt(side, b+l.quads, 1) == 1 {
			fill *= 4
		}
		if n+fill > 1<<12-1 {
			return side, main, false
		}
		w.ones(fill)
		putBits(newSide, b, 12, n+fill)
	}
	return newSide, w.b, true
}

// A bitWriter collects bits, the highest of a byte first.
type bitWriter struct {
	b []byte
	n int // bits
}

func (w *bitWriter) add(bit byte) {
	if w.n%8 == 0 {
		w.b = append(w.b, 0)
	}
	w.b[w.n/8] |= bit << (7 - w.n%8)
	w.n++
}

func (w *bitWriter) ones(n int) {
	for range n {
		w.add(1)
	}
}

// copy adds n bits of b from bit at on.
func (w *bitWriter) copy(b []byte, at, n int) {
	for i := at; i < at+n; i++ {
		w.add(b[i/8] >> (7 - i%8) & 1)
	}
}

// putBits writes v into the n bits of b from bit at on.
func putBits(b []byte, at, n, v int) {
	for i := range n {
		j := at + i
		mask := byte(1) << (7 - j%8)
		b[j/8] &^= mask
		if v>>(n-1-i)&1 == 1 {
			b[j/8] |= mask
		}
	}
}
