package audio

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"

	"github.com/hearsight/hearsight/internal/audio/audiotest"
)

// testFLAC writes blocks of 16-bit samples of one channel, with the checksum of
// the whole, and so many samples in the header as count says.
func testFLAC(t testing.TB, x []int16, count int) []byte {
	t.Helper()
	const block = 256
	raw := make([]byte, 0, 2*len(x))
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(v))
	}
	var b bytes.Buffer
	info := &meta.StreamInfo{BlockSizeMin: block, BlockSizeMax: block, SampleRate: 8000, NChannels: 1, BitsPerSample: 16,
		NSamples: uint64(count), MD5sum: md5.Sum(raw)}
	enc, err := flac.NewEncoder(&b, info)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; len(x) > 0; n++ {
		part := x[:min(len(x), block)]
		x = x[len(part):]
		samples := make([]int32, len(part))
		for i, v := range part {
			samples[i] = int32(v)
		}
		f := &frame.Frame{
			Header:    frame.Header{HasFixedBlockSize: true, BlockSize: uint16(len(part)), SampleRate: 8000, Channels: frame.ChannelsMono, BitsPerSample: 16, Num: uint64(n)},
			Subframes: []*frame.Subframe{{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, Samples: samples, NSamples: len(samples)}},
		}
		if err := enc.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	out := b.Bytes()
	binary.BigEndian.PutUint32(out[22:], uint32(count)) // the encoder puts in what it saw
	copy(out[26:42], info.MD5sum[:])
	return out
}

func TestFLAC(t *testing.T) {
	x := ToPCM16(audiotest.Sine(440, 8000, 4000))
	whole := testFLAC(t, x, len(x))
	pcm, info := mustDecode(t, "a.flac", whole)
	got := ToPCM16(pcm.Samples)
	if info.Damaged || info.Codec != "flac" || info.SampleRateHz != 8000 || len(info.Warnings) > 0 {
		t.Errorf("%+v", info)
	}
	if len(got) != len(x) {
		t.Fatalf("%d samples, want %d", len(got), len(x))
	}
	if worst, _ := difference(got, x); worst != 0 {
		t.Errorf("off by up to %g steps", worst)
	}
	flip := func(at int) []byte {
		b := bytes.Clone(whole)
		b[at] ^= 4
		return b
	}
	for _, c := range []struct {
		name string
		data []byte
		lost float64 // -1: something
		word string
	}{
		{"cut", whole[:len(whole)-700], -1, "truncated"},
		{"cut between frames", testFLAC(t, x[:2560], 4000), 1440. / 8000, "truncated"},
		{"a bit of the sound", flip(len(whole) / 2), -1, "CRC"},
		{"a bit of the checksum", flip(30), 0, "checksum"},
	} {
		_, info := mustDecode(t, "a.flac", c.data)
		lost := math.Abs(info.SecondsLost-c.lost) < 1e-9 || c.lost < 0 && info.SecondsLost > 0
		if text := strings.Join(info.Warnings, "; "); !info.Damaged || !lost || !strings.Contains(text, c.word) {
			t.Errorf("%s: %+v", c.name, info)
		}
	}
	// A header that promises more than there can be must not be believed.
	bomb := testFLAC(t, x[:256], math.MaxUint32/8)
	if _, info, err := Decode("bomb.flac", bomb); err == nil && !info.Damaged {
		t.Errorf("a short file with a long header: %+v", info)
	}
}

func FuzzFLAC(f *testing.F) {
	x := ToPCM16(audiotest.Sine(440, 8000, 600))
	f.Add(testFLAC(f, x, len(x)))
	f.Add(testFLAC(f, x, 0))
	f.Fuzz(fuzzOne)
}
