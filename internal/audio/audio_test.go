package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// chunk builds a RIFF or FORM chunk with the order's byte order.
func chunk(order binary.AppendByteOrder, id string, body []byte) []byte {
	out := order.AppendUint32([]byte(id), uint32(len(body)))
	out = append(out, body...)
	if len(body)%2 == 1 {
		out = append(out, 0)
	}
	return out
}

// testWAV builds a WAV file with the given format fields and sample bytes.
func testWAV(tag, channels, rate, bits int, data []byte) []byte {
	le := binary.LittleEndian
	f := le.AppendUint16(nil, uint16(tag))
	f = le.AppendUint16(f, uint16(channels))
	f = le.AppendUint32(f, uint32(rate))
	f = le.AppendUint32(f, uint32(rate*channels*bits/8))
	f = le.AppendUint16(f, uint16(channels*bits/8))
	f = le.AppendUint16(f, uint16(bits))
	body := append([]byte("WAVE"), chunk(le, "fmt ", f)...)
	body = append(body, chunk(le, "LIST", []byte("abc"))...)
	return chunk(le, "RIFF", append(body, chunk(le, "data", data)...))
}

func mustDecode(t testing.TB, name string, data []byte) (*PCM, Info) {
	t.Helper()
	pcm, info, err := Decode(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return pcm, info
}

// sampleCases: one value, -.5, a quarter and the smallest step, in each coding.
var sampleCases = []struct {
	name string
	tag  int
	bits int
	data []byte
	want []float32
}{
	{"pcm_u8", wavPCM, 8, []byte{64, 160, 129}, []float32{-.5, .25, 1. / 128}},
	{"pcm_s16le", wavPCM, 16, []byte{0, 0xc0, 0, 0x20, 1, 0}, []float32{-.5, .25, 1. / 32768}},
	{"pcm_s24le", wavPCM, 24, []byte{0, 0, 0xc0, 0, 0, 0x20, 1, 0, 0}, []float32{-.5, .25, 1. / (1 << 23)}},
	{"pcm_s32le", wavPCM, 32, []byte{0, 0, 0, 0xc0, 0, 0, 0, 0x20, 0, 1, 0, 0}, []float32{-.5, .25, 1. / (1 << 23)}},
	{"pcm_f32le", wavFloat, 32, []byte{0, 0, 0, 0xbf, 0, 0, 0x80, 0x3e, 0, 0, 0, 0x34}, []float32{-.5, .25, 1. / (1 << 23)}},
	{"pcm_f64le", wavFloat, 64, []byte{0, 0, 0, 0, 0, 0, 0xe0, 0xbf, 0, 0, 0, 0, 0, 0, 0xd0, 0x3f}, []float32{-.5, .25}},
	// G.711: the extremes and the steps about zero.
	{"pcm_alaw", wavALaw, 8, []byte{0xaa, 0x2a, 0xd5, 0x55}, []float32{32256. / 32768, -32256. / 32768, 8. / 32768, -8. / 32768}},
	{"pcm_mulaw", wavMuLaw, 8, []byte{0x80, 0x00, 0xff, 0xfe}, []float32{32124. / 32768, -32124. / 32768, 0, 8. / 32768}},
}

func TestWAVFormats(t *testing.T) {
	for _, c := range sampleCases {
		pcm, info := mustDecode(t, "a.wav", testWAV(c.tag, 1, 8000, c.bits, c.data))
		if diff := cmp.Diff(c.want, pcm.Samples); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if info.Codec != c.name || info.SampleRateHz != 8000 || info.Damaged {
			t.Errorf("%s: %+v", c.name, info)
		}
	}
}

func TestWAVExtensibleAndPadded(t *testing.T) {
	le := binary.LittleEndian
	f := []byte{0xfe, 0xff, 2, 0}
	f = le.AppendUint32(f, 48000)
	f = le.AppendUint32(f, 48000*8)
	f = append(f, 8, 0, 24, 0, 22, 0, 24, 0, 3, 0, 0, 0, 1, 0)
	f = append(f, wavGUIDTail...)
	body := append([]byte("WAVE"), chunk(le, "fmt ", f)...)
	body = append(body, chunk(le, "data", []byte{0, 0, 0xc0, 9, 0, 0, 0x20, 9})...) // 24 bits in 4 bytes
	pcm, info := mustDecode(t, "a.wav", chunk(le, "RIFF", body))
	if !slices.Equal(pcm.Samples, []float32{-.5, .25}) || info.Channels != 2 || info.Frames != 1 {
		t.Errorf("%v, %+v", pcm.Samples, info)
	}
}

// TestWAVOfOtherOrders: RIFX has the high bytes first; RF64 and BW64 have the
// data's length in ds64.
func TestWAVOfOtherOrders(t *testing.T) {
	be, le := binary.BigEndian, binary.LittleEndian
	f := []byte{0, wavPCM, 0, 1, 0, 0, 0x1f, 0x40, 0, 0, 0x3e, 0x80, 0, 2, 0, 16}
	body := append([]byte("WAVE"), chunk(be, "fmt ", f)...)
	pcm, info := mustDecode(t, "a.wav", chunk(be, "RIFX", append(body, chunk(be, "data", []byte{0xc0, 0, 0x20, 0})...)))
	if !slices.Equal(pcm.Samples, []float32{-.5, .25}) || info.Codec != "pcm_s16be" || info.SampleRateHz != 8000 || info.Damaged {
		t.Errorf("RIFX: %v, %+v", pcm.Samples, info)
	}
	samples := []byte{0, 0xc0, 0, 0x20}
	for _, c := range []struct {
		magic     string
		size      uint64
		after     string
		frames    int64
		lost      float64
		isDamaged bool
	}{
		{"RF64", 4, "", 2, 0, false},
		{"BW64", 4, "LIST\x00\x00\x00\x00", 2, 0, false},
		{"RF64", 4, "more", 2, 0, true},
		{"RF64", 16004, "", 2, 1, true},
		{"RF64", 1 << 40, "", 2, float64(1<<40-4) / 16000, true},
	} {
		data := testWAV(wavPCM, 1, 8000, 16, samples)
		ds64 := le.AppendUint64(le.AppendUint64(nil, 0), c.size)
		ds64 = le.AppendUint32(le.AppendUint64(ds64, 0), 0)
		data = append(append([]byte(c.magic+"\xff\xff\xff\xffWAVE"), chunk(le, "ds64", ds64)...), data[12:]...)
		le.PutUint32(data[len(data)-8:], math.MaxUint32)
		pcm, info := mustDecode(t, "a.wav", append(data, c.after...))
		if !slices.Equal(pcm.Samples, []float32{-.5, .25}) || info.Damaged != c.isDamaged || math.Abs(info.SecondsLost-c.lost) > 1e-6*c.lost {
			t.Errorf("%s of %d bytes: %v, %+v", c.magic, c.size, pcm.Samples, info)
		}
	}
}

func TestWAVDamage(t *testing.T) {
	whole := testWAV(wavPCM, 1, 1000, 16, make([]byte, 2000))
	at := bytes.Index(whole, []byte("data")) + 4
	sized := func(n uint32) []byte {
		b := slices.Clone(whole)
		binary.LittleEndian.PutUint32(b[at:], n)
		return b
	}
	for _, c := range []struct {
		name   string
		data   []byte
		frames int64
		lost   float64
		word   string
	}{
		{"cut", whole[:len(whole)-500], 750, .25, "truncated"},
		{"cut odd", whole[:len(whole)-501], 749, .2505, "truncated"},
		{"largest size", sized(0x7fffffff), 1000, 0, "unset or wrong"},
		{"zero size", sized(0), 1000, 0, "size is 0"},
		{"junk after", append(slices.Clone(whole), "xyz"...), 1000, 0, "not a chunk"},
	} {
		_, info := mustDecode(t, "a.wav", c.data)
		if !info.Damaged || info.Frames != c.frames || math.Abs(info.SecondsLost-c.lost) > 1e-9 || !strings.Contains(strings.Join(info.Warnings, ";"), c.word) {
			t.Errorf("%s: %+v, want %d frames, %g s lost, a word on %q", c.name, info, c.frames, c.lost, c.word)
		}
	}
	for _, size := range []uint32{2000, 0x7ffff000, 0xffffffff} { // right; espeak-ng's and ffmpeg's to a pipe
		_, info := mustDecode(t, "a.wav", sized(size))
		if warned := strings.Contains(strings.Join(info.Warnings, ";"), "left unset"); info.Damaged || info.Frames != 1000 || warned != (size != 2000) {
			t.Errorf("data size %#x: %+v", size, info)
		}
	}
	nan := testWAV(wavFloat, 1, 8000, 32, []byte{0, 0, 0, 0, 0, 0, 0xc0, 0x7f})
	if _, _, err := Decode("nan.wav", nan); err == nil || !strings.Contains(err.Error(), "decode nan.wav: non-finite sample at 1") {
		t.Errorf("NaN: %v", err)
	}
}

// testAIFF builds an AIFC file of one channel.
func testAIFF(compression string, bits, frames int, data []byte) []byte {
	be := binary.BigEndian
	comm := be.AppendUint32([]byte{0, 1}, uint32(frames))
	comm = be.AppendUint16(comm, uint16(bits))
	comm = append(comm, 0x40, 0x0d, 0xac, 0x44, 0, 0, 0, 0, 0, 0) // 22,050 as a float of 80 bits
	comm = append(append(comm, compression...), 0, 0)
	body := append([]byte("AIFC"), chunk(be, "FVER", []byte{0xa2, 0x80, 0x51, 0x40})...)
	body = append(body, chunk(be, "COMM", comm)...)
	return chunk(be, "FORM", append(body, chunk(be, "SSND", append(make([]byte, 8), data...))...))
}

func TestAIFF(t *testing.T) {
	for _, c := range []struct {
		compression string
		bits        int
		data        []byte
	}{
		{"sowt", 16, []byte{0, 0xc0, 0, 0x20}},
		{"NONE", 16, []byte{0xc0, 0, 0x20, 0}},
		{"twos", 8, []byte{0xc0, 0x20}},
		{"NONE", 24, []byte{0xc0, 0, 0, 0x20, 0, 0}},
		{"in32", 32, []byte{0xc0, 0, 0, 0, 0x20, 0, 0, 0}},
		{"fl32", 32, []byte{0xbf, 0, 0, 0, 0x3e, 0x80, 0, 0}},
	} {
		pcm, info := mustDecode(t, "a.aiff", testAIFF(c.compression, c.bits, 2, c.data))
		if !slices.Equal(pcm.Samples, []float32{-.5, .25}) || info.SampleRateHz != 22050 || info.Damaged {
			t.Errorf("%s %d: %v, %+v", c.compression, c.bits, pcm.Samples, info)
		}
	}
	_, info := mustDecode(t, "a.aiff", testAIFF("sowt", 16, 22052, make([]byte, 4)))
	if !info.Damaged || math.Abs(info.SecondsLost-1) > 1e-9 {
		t.Errorf("short of a second: %+v", info)
	}
	if _, _, err := Decode("a.aiff", testAIFF("ima4", 16, 2, make([]byte, 4))); !errors.Is(err, ErrUnsupported) {
		t.Errorf("ima4: %v", err)
	}
}

func TestUnsupportedIsNamed(t *testing.T) {
	for magic, word := range map[string]string{"OggS": "Ogg", "\x1aE\xdf\xa3": "Matroska", "caff": "Core Audio", "#!AMR": "AMR"} {
		_, _, err := Decode("x.bin", append([]byte(magic), make([]byte, 40)...))
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "ffmpeg") {
			t.Errorf("%q: %v", magic, err)
		}
	}
}

// TestPCM16RoundTrip: what was 16 bits comes back so, through floats and files.
func TestPCM16RoundTrip(t *testing.T) {
	all := make([]int16, 1<<16)
	for i := range all {
		all[i] = int16(i)
	}
	if !slices.Equal(ToPCM16(FromPCM16(all)), all) {
		t.Error("ToPCM16(FromPCM16(x)) is not x")
	}
	if got := ToPCM16([]float32{1, -1.5, 1.5 / 32768, 2.5 / 32768, -.5 / 32768, float32(math.NaN())}); !slices.Equal(got, []int16{32767, -32768, 2, 2, 0, 0}) {
		t.Errorf("rounding and clipping: %v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.Int16(), 1, 100).Draw(t, "x")
		var b bytes.Buffer
		if err := EncodeWAV(&b, 22050, 1, x); err != nil {
			t.Fatal(err)
		}
		pcm, info, err := Decode("a.wav", b.Bytes())
		if err != nil || info.Damaged || !slices.Equal(ToPCM16(pcm.Samples), x) {
			t.Fatalf("got %v (%+v, %v)", pcm, info, err)
		}
		if !IsCanonicalWAV(b.Bytes(), 22050) || IsCanonicalWAV(b.Bytes(), 16000) || IsCanonicalWAV(b.Bytes()[:b.Len()-1], 22050) {
			t.Fatal("IsCanonicalWAV")
		}
		if y, rate, err := ReadPCM16(b.Bytes()); err != nil || rate != 22050 || !slices.Equal(x, y) {
			t.Fatalf("ReadPCM16: %v, %d, %v", y, rate, err)
		}
	})
}

// TestDither: the same for a seed, another for another; within a step and a half
// of the sound, right in the mean, and without a trace of the sound in the error.
func TestDither(t *testing.T) {
	x := make([]float32, 40000)
	for i := range x {
		x[i] = float32(i%100) / 100 / 32768 // a ramp from step to step
	}
	got := Dither16(x, 7)
	if !slices.Equal(got, Dither16(x, 7)) || slices.Equal(got, Dither16(x, 8)) {
		t.Error("the values are not those of the seed")
	}
	sum, square := make([]float64, 100), make([]float64, 100)
	for i, v := range got {
		e := float64(v) - float64(x[i])*32768
		if math.Abs(e) > 1.5 {
			t.Fatalf("sample %d is off by %g steps", i, e)
		}
		sum[i%100] += e / 400
		square[i%100] += e * e / 400
	}
	for i := range sum { // the variance of triangular noise and rounding is 1/4
		if math.Abs(sum[i]) > .12 || math.Abs(square[i]-.25) > .08 {
			t.Errorf("at %d/100 of a step: mean error %.3f, mean square %.3f", i, sum[i], square[i])
		}
	}
	whole := []float32{.5, -1, 3. / 32768}
	if !slices.Equal(Dither16(whole, 7), ToPCM16(whole)) {
		t.Error("16-bit samples were changed")
	}
}

func TestMono(t *testing.T) {
	p := &PCM{SampleRateHz: 8000, Channels: 2, Samples: []float32{1, 0, -.25, -.75}}
	if got := p.Mono(); !slices.Equal(got, []float32{.5, -.5}) {
		t.Errorf("Mono: %v", got)
	}
}
