package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// testOgg is a stream of three pages: of Opus, 1,000 samples after the 312 to skip.
func testOgg() []byte {
	return oggPages([]oggTestPage{{0, []string{opusTestHead}, false}, {0, []string{"OpusTags and so on"}, false}, {1312, []string{"sound"}, false}})
}

const opusTestHead = "OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"

// vorbisTestHead says 48 kHz, one channel, blocks of 256 and 2,048.
const vorbisTestHead = "\x01vorbis\x00\x00\x00\x00\x01\x80\xbb\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\xb8\x01"

// An oggTestPage is a page and the packets that end on it, of less than 255 bytes.
type oggTestPage struct {
	granule   int
	packets   []string
	continued bool // the first packet is the rest of one that began before
}

func oggPages(pages []oggTestPage) (out []byte) {
	for i, p := range pages {
		le := binary.LittleEndian
		flags := map[int]byte{0: 2, len(pages) - 1: 4}[i]
		if p.continued {
			flags |= 1
		}
		page := le.AppendUint64([]byte{'O', 'g', 'g', 'S', 0, flags}, uint64(p.granule))
		page = le.AppendUint32(page, 7)
		page = le.AppendUint32(page, uint32(i))
		page = append(page, 0, 0, 0, 0, byte(len(p.packets)))
		for _, body := range p.packets {
			page = append(page, byte(len(body)))
		}
		page = append(page, strings.Join(p.packets, "")...)
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

// TestOggOfBroadcast: what was cut out of a longer stream is as long as what is
// there, not as its last page says.
func TestOggOfBroadcast(t *testing.T) {
	const hour = 3600 * 48000
	ten := func(packet string) []string { return slices.Repeat([]string{packet}, 10) }
	for _, c := range []struct {
		name string
		head string
		page []oggTestPage
		want int64
	}{
		{"opus from its start", opusTestHead, []oggTestPage{{9600, ten("\x08 20 ms"), false}, {19200, ten("\x08 20 ms"), false}}, 19200 - 312},
		{"opus, SILK of 20 ms", opusTestHead, []oggTestPage{{hour, ten("\x08 20 ms"), false}, {hour + 9600, ten("\x08 20 ms"), false}}, 19200 - 312},
		{"opus, hybrid of 10 ms, two a packet", opusTestHead, []oggTestPage{{hour, ten("\x61 2 x 10 ms"), false}, {hour + 9600, ten("\x61 2 x 10 ms"), false}}, 19200 - 312},
		{"opus, CELT of 2.5 ms, eight a packet", opusTestHead, []oggTestPage{{hour, ten("\x83\x08 8 x 2.5 ms"), false}, {hour + 9600, ten("\x83\x08 8 x 2.5 ms"), false}}, 19200 - 312},
		{"vorbis from its start", vorbisTestHead, []oggTestPage{{9 * 1024, ten("sound"), false}, {19 * 1024, ten("sound"), false}}, 19 * 1024},
		{"vorbis", vorbisTestHead, []oggTestPage{{hour, ten("sound"), false}, {hour + 10*1024, ten("sound"), false}}, 10 * 1024}, // at least
		{"opus, the rest of a packet first", opusTestHead, []oggTestPage{{hour, ten("\x08 20 ms"), true}, {hour + 9600, ten("\x08 20 ms"), false}}, 9*960 + 9600 - 312},
		{"opus, packets of no valid length", opusTestHead, []oggTestPage{{hour, ten("\x0b"), false}, {hour + 9600, ten("\x08 20 ms"), false}}, 9600 - 312},
	} {
		data := oggPages(append([]oggTestPage{{0, []string{c.head}, false}, {0, []string{"tags"}, false}}, c.page...))
		if info, err := Probe(data); !errors.Is(err, ErrUnsupported) || info.Damaged || info.Frames != c.want || info.SampleRateHz != 48000 {
			t.Errorf("%s: %v, %+v, want %d frames", c.name, err, info, c.want)
		}
	}
}

// TestMatroskaCodec: the name is that of the first track of sound, and of what
// is cut off there is none.
func TestMatroskaCodec(t *testing.T) {
	el := func(id, body string) string { return id + string([]byte{0x40, byte(len(body))}) + body }
	track := func(kind, codec string) string { return el("\xae", el("\x83", kind)+el("\x86", codec)) }
	file := func(tracks string) []byte {
		return []byte("\x1aE\xdf\xa3\x81x" + el("\x18S\x80g", el("\xec", "void")+el("\x16T\xaek", tracks)+el("\x1fC\xb6u", "sound")))
	}
	for want, tracks := range map[string]string{
		"opus":        track("\x01", "V_VP9") + track("\x02", "A_OPUS\x00") + track("\x02", "A_AAC"),
		"pcm/int/lit": track("\x02", "A_PCM/INT/LIT"),
		"":            track("\x01", "V_VP9") + track("\x02", strings.Repeat("x", 100)),
	} {
		if info, err := Probe(file(tracks)); !errors.Is(err, ErrUnsupported) || info.Codec != want || info.Damaged {
			t.Errorf("%v, %+v, want codec %q", err, info, want)
		}
	}
	whole := file(track("\x02", "A_OPUS"))
	for n := range whole {
		if info, _ := Probe(whole[:n]); info.Codec == "opus" && n < len(whole)-len("sound")-len("\x1fC\xb6u")-2 {
			t.Errorf("%d of %d bytes have a codec", n, len(whole))
		}
	}
	if info, _ := Probe(readSpeech(t, "librivox/p001.webm")); info.Codec != "opus" && info.Codec != "vorbis" {
		t.Errorf("p001.webm: %+v", info)
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
