package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// testOgg is a stream of three pages: of Opus, 1,000 samples after the 312 to skip.
func testOgg() []byte {
	head := append([]byte("OpusHead\x01\x01"), 0x38, 0x01, 0x80, 0xbb, 0, 0, 0, 0, 0)
	var out []byte
	for i, body := range [][]byte{head, []byte("OpusTags and so on"), []byte("sound")} {
		le := binary.LittleEndian
		flags := map[int]byte{0: 2, 2: 4}[i]
		page := le.AppendUint64([]byte{'O', 'g', 'g', 'S', 0, flags}, uint64(i/2*1312))
		page = le.AppendUint32(page, 7)
		page = le.AppendUint32(page, uint32(i))
		page = append(page, 0, 0, 0, 0, 1, byte(len(body)))
		page = append(page, body...)
		le.PutUint32(page[22:], oggCRC(page))
		out = append(out, page...)
	}
	return out
}

// TestOutside: what others decode is looked through for what is missing.
func TestOutside(t *testing.T) {
	ogg := testOgg()
	last := bytes.LastIndex(ogg, []byte("OggS"))
	second := bytes.Index(ogg[1:], []byte("OggS")) + 1
	flipped := bytes.Clone(ogg)
	flipped[len(flipped)-1] ^= 1
	mkv := []byte("\x1aE\xdf\xa3\x81x\x18S\x80g\x8a0123456789")
	layer2 := bytes.Repeat(append([]byte{0xff, 0xfd, 0x14, 0xc4}, make([]byte, 92)...), 4) // 32 kbit/s, 48 kHz
	for _, c := range []struct {
		name    string
		data    []byte
		damaged bool
		word    string
	}{
		{"ogg", ogg, false, "opus"},
		{"ogg cut in a page", ogg[:len(ogg)-1], true, "opus"},
		{"ogg without its last page", ogg[:last], true, "opus"},
		{"ogg without a page", append(bytes.Clone(ogg[:second]), ogg[last:]...), true, "opus"},
		{"ogg with a bit turned", flipped, true, "opus"},
		{"matroska", mkv, false, "Matroska"},
		{"matroska cut", mkv[:len(mkv)-1], true, "Matroska"},
		{"layer II", layer2, false, "layer II"},
		{"layer II cut", layer2[:len(layer2)-1], true, "layer II"},
	} {
		_, info, err := Decode(c.name, c.data)
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), c.word) || info.Damaged != c.damaged {
			t.Errorf("%s: %v, %+v", c.name, err, info)
		}
		if c.damaged && len(info.Warnings) == 0 {
			t.Errorf("%s: damaged without a word", c.name)
		}
	}
	if info, _ := Probe(ogg); info.Frames != 1000 || info.SampleRateHz != 48000 || info.Channels != 1 {
		t.Errorf("%+v", info)
	}
}

// TestRealOgg holds the checksum and the length to a file of another maker.
func TestRealOgg(t *testing.T) {
	data := readSpeech(t, "librivox/p001.ogg")
	info, err := Probe(data)
	if !errors.Is(err, ErrUnsupported) || info.Damaged || info.Codec != "vorbis" || info.DurationSec < 8.9 || info.DurationSec > 9.1 {
		t.Errorf("%v, %+v", err, info)
	}
	if info, _ := Probe(data[:len(data)*2/3]); !info.Damaged {
		t.Errorf("cut, and passes for whole: %+v", info)
	}
}
