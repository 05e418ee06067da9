package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	aacpcm "github.com/tphakala/go-aac/pcm"

	"github.com/hearsight/hearsight/internal/audio/audiotest"
)

// testMP3 is a stream of n silent layer III frames, MPEG-1, 44,100 Hz, mono.
func testMP3(n int) []byte {
	return bytes.Repeat(silentFrame(0xfffb90c0), n)
}

func TestMP3Length(t *testing.T) {
	frame := len(testMP3(1))
	whole := testMP3(10)
	pcm, info := mustDecode(t, "a.mp3", whole)
	if info.Frames != 11520 || info.Damaged || info.Channels != 1 || pcm.SampleRateHz != 44100 {
		t.Errorf("whole: %+v", info)
	}
	for _, c := range []struct {
		name   string
		data   []byte
		frames int64
		lost   float64
	}{
		{"cut", whole[:len(whole)-1], 9 * 1152, 1},
		{"zeroed", append(append(testMP3(4), make([]byte, 2*frame)...), testMP3(4)...), 8 * 1152, 2},
	} {
		_, info := mustDecode(t, "a.mp3", c.data)
		if !info.Damaged || info.Frames != c.frames || math.Abs(info.SecondsLost-c.lost*1152/44100) > 1e-9 {
			t.Errorf("%s: %+v", c.name, info)
		}
	}
}

// withXing puts a tag of so many frames, delay and padding before a stream.
func withXing(frames, delay, padding int, stream []byte) []byte {
	tag := silentFrame(0xfffb90c0)
	b := binary.BigEndian.AppendUint32([]byte("Xing\x00\x00\x00\x01"), uint32(frames))
	b = append(b, "LAME3.100"...)
	b = append(b, make([]byte, 12)...)
	b = append(b, byte(delay>>4), byte(delay<<4|padding>>8), byte(padding))
	copy(tag[4+17:], b)
	return append(tag, stream...)
}

func TestMP3Tags(t *testing.T) {
	id3 := "ID3\x03\x00\x00\x00\x00\x00\x05hello"
	v1 := "TAG" + strings.Repeat("x", 125)
	data := []byte(id3 + string(withXing(10, 576, 1000, testMP3(10))) + v1)
	if _, info := mustDecode(t, "a.mp3", data); info.Damaged || len(info.Warnings) != 1 || info.Frames != 11520-576-1000 {
		t.Errorf("gapless: %+v", info) // the one warning is digital silence
	}
	if _, info := mustDecode(t, "a.mp3", withXing(12, 576, 1000, testMP3(10))); !info.Damaged || math.Abs(info.SecondsLost-2*1152./44100) > 1e-9 {
		t.Errorf("two frames short of the tag: %+v", info)
	}
}

// TestMP3SMPB: what iTunes writes in place of a LAME tag.
func TestMP3SMPB(t *testing.T) {
	tag := func(samples int) string {
		text := fmt.Sprintf("\x00engiTunSMPB\x00 00000000 00000210 00000A2C %016X 00000000", samples)
		frame := fmt.Sprintf("COMM\x00\x00\x00%c\x00\x00%s", len(text), text)
		return fmt.Sprintf("ID3\x03\x00\x00\x00\x00\x00%c%s", len(frame), frame)
	}
	for _, c := range []struct {
		samples, frames int64
		lost            float64
	}{{8000, 8000, 0}, {20000, 11520 - 528 - 529, 20000 + 528 + 529 - 11520}, {1 << 41, 11520, 0}} {
		_, info := mustDecode(t, "a.mp3", []byte(tag(int(c.samples))+string(testMP3(10))))
		if info.Frames != c.frames || info.Damaged != (c.lost > 0) || math.Abs(info.SecondsLost-c.lost/44100) > 1e-9 {
			t.Errorf("%d samples: %+v", c.samples, info)
		}
	}
}

// testM4A encodes a tone with go-aac and wraps it in a minimal MP4 file whose
// edit list takes the encoder's delay off; fragmented puts the units in a moof.
func testM4A(t testing.TB, samples int, fragmented bool) []byte {
	t.Helper()
	enc, err := aacpcm.NewFrameEncoder(aacpcm.Config{SampleRate: 44100, BitDepth: 16, Channels: 1, Bitrate: 64000})
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	for _, s := range ToPCM16(audiotest.Sine(440, 44100, samples)) {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(s))
	}
	var mdat []byte
	var sizes []int
	emit := func(au []byte, _ int) error {
		mdat, sizes = append(mdat, au...), append(sizes, len(au))
		return nil
	}
	if err := enc.EncodeInterleaved(raw, emit); err != nil {
		t.Fatal(err)
	}
	if err := enc.Flush(emit); err != nil {
		t.Fatal(err)
	}
	return muxM4A(enc.AudioSpecificConfig(), mdat, sizes, enc.Delay(), samples, fragmented)
}

func bx(kind string, parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		case []byte:
			b = append(b, p...)
		case string:
			b = append(b, p...)
		}
	}
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(b)+8)), kind...), b...)
}

func muxM4A(asc, mdat []byte, sizes []int, delay, samples int, fragmented bool) []byte {
	esds := "\x03" + string(rune(20+len(asc))) + "\x00\x01\x00\x04" + string(rune(15+len(asc))) + "\x40\x15" + strings.Repeat("\x00", 11) + "\x05" + string(rune(len(asc))) + string(asc)
	entry := bx("mp4a", strings.Repeat("\x00", 6), "\x00\x01", 0, 0, "\x00\x02\x00\x10", 0, 44100<<16, bx("esds", 0, esds))
	var rows []byte
	for _, n := range sizes {
		rows = binary.BigEndian.AppendUint32(rows, uint32(n))
	}
	ftyp := bx("ftyp", "M4A ", 0)
	moov := func(offset int) []byte {
		stbl := bx("stbl", bx("stsd", 0, 1, entry), bx("stts", 0, 1, len(sizes), 1024), bx("stsc", 0, 1, 1, len(sizes), 1),
			bx("stsz", 0, 0, len(sizes), rows), bx("stco", 0, 1, offset))
		if fragmented {
			stbl = bx("stbl", bx("stsd", 0, 1, entry), bx("stts", 0, 0), bx("stsc", 0, 0), bx("stsz", 0, 0, 0), bx("stco", 0, 0))
		}
		trak := bx("trak", bx("tkhd", 0, 0, 0, 7), bx("edts", bx("elst", 0, 1, samples*1000/44100, delay, 0x10000)),
			bx("mdia", bx("mdhd", 0, 0, 0, 44100, 0), bx("hdlr", 0, 0, "soun"), bx("minf", stbl)))
		return bx("moov", bx("mvhd", 0, 0, 0, 1000), trak, bx("mvex", bx("trex", 0, 7, 1, 1024, 0, 0)))
	}
	if !fragmented {
		head := append(ftyp, moov(0)...)
		return append(append(ftyp, moov(len(head)+8)...), bx("mdat", mdat)...)
	}
	moof := func(offset int) []byte {
		return bx("moof", bx("traf", bx("tfhd", 0x20000, 7), bx("trun", trunOffset|trunSize, len(sizes), offset, rows)))
	}
	out := append(ftyp, moov(0)...)
	out = append(out, moof(len(moof(0))+8)...)
	return append(out, bx("mdat", mdat)...)
}

func TestM4A(t *testing.T) {
	const samples = 20000
	for _, fragmented := range []bool{false, true} {
		data := testM4A(t, samples, fragmented)
		pcm, info := mustDecode(t, "a.m4a", data)
		if info.Damaged || info.Codec != "aac-lc" || info.SampleRateHz != 44100 || info.Channels != 1 {
			t.Errorf("fragmented %v: %+v", fragmented, info)
		}
		if d := info.Frames - samples; d < -45 || d > 45 { // the edit list counts milliseconds
			t.Errorf("fragmented %v: %d frames, want about %d", fragmented, info.Frames, samples)
		}
		// The delay is gone: the tone is in phase with what went in.
		if amp, phase, snr := audiotest.FitSine(pcm.Samples, 440, 44100); math.Abs(amp-.5) > .01 || math.Abs(phase) > .01 || snr < 20 {
			t.Errorf("fragmented %v: amplitude %v, phase %v, snr %v", fragmented, amp, phase, snr)
		}
		cut, info, err := Decode("cut.m4a", data[:len(data)-600])
		if err == nil && (!info.Damaged || info.SecondsLost <= 0) {
			t.Errorf("fragmented %v: cut off, and passes for whole: %d frames, %+v", fragmented, cut.Frames(), info)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(testWAV(wavPCM, 2, 8000, 16, make([]byte, 16)))
	f.Add(testAIFF("sowt", 16, 2, []byte{0, 0xc0, 0, 0x20}))
	f.Add(testMP3(3))
	f.Add([]byte("\xff\xf1\x5c\x40\x01\x3f\xfc\x00\x00\x00"))
	f.Fuzz(fuzzOne)
}

func FuzzWAV(f *testing.F) {
	for _, c := range sampleCases {
		f.Add(testWAV(c.tag, 1, 8000, c.bits, c.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 12 {
			copy(data, "RIFF")
			copy(data[8:], "WAVE")
		}
		fuzzOne(t, data)
	})
}

func FuzzMP3(f *testing.F) {
	f.Add(testMP3(3))
	f.Add(withXing(3, 576, 100, testMP3(3)))
	f.Add(append([]byte("ID3\x03\x00\x00\x00\x00\x00\x01 "), testMP3(2)...))
	f.Fuzz(fuzzOne)
}

func FuzzM4A(f *testing.F) {
	f.Add(testM4A(f, 3000, false))
	f.Add(testM4A(f, 3000, true))
	f.Fuzz(fuzzOne)
}

// fuzzOne: no panic, and what comes out is sound.
func fuzzOne(t *testing.T, data []byte) {
	if len(data) > 1<<16 {
		return
	}
	before := bytes.Clone(data)
	pcm, info, err := Decode("fuzz", data)
	if !bytes.Equal(before, data) {
		t.Error("Decode changed its input")
	}
	if _, perr := Probe(data); perr != nil && err == nil {
		t.Errorf("Probe fails where Decode does not: %v", perr)
	}
	if err == nil {
		checkSound(t, "fuzz", pcm, info)
	}
}

// TestM4AOverlap: a table whose units share their bytes could make a small file
// into hours of sound.
func TestM4AOverlap(t *testing.T) {
	data := make([]byte, 1000)
	tr := &mp4Track{}
	if err := tr.addUnit(data, 100, 600); err != nil {
		t.Fatal(err)
	}
	if err := tr.addUnit(data, 100, 600); err == nil {
		t.Error("units of 1,200 bytes in a file of 1,000: no error")
	}
	if err := (&mp4Track{}).addUnit(data, 0, 0); err == nil {
		t.Error("a unit of 0 bytes: no error")
	}
}

// TestMP3Sample: every value of go-mp3's comes to lie in the middle of what it cut
// off to, and 0 stays.
func TestMP3Sample(t *testing.T) {
	for v := -32768; v <= 32767; v++ {
		want := float32(v)
		switch {
		case v > 0:
			want += .5
		case v < 0:
			want -= .5
		}
		if got := mp3Sample([]byte{byte(v), byte(v >> 8)}); got != want/32767 {
			t.Fatalf("%d is %v, want %v", v, got, want/32767)
		}
	}
}
