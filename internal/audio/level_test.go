package audio

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/hearsight/hearsight/internal/audio/audiotest"
)

// TestLoudness: BS.1770 defines a tone of 997 Hz at 0 dB of full scale, in one
// channel, as -3.01 LUFS. EBU Tech 3341 asks for .1 LU.
func TestLoudness(t *testing.T) {
	for _, c := range []struct {
		name   string
		rateHz int
		x      []float32
		want   float64
	}{
		{"48 kHz, -6 dB", 48000, audiotest.Sine(997, 48000, 48000*2), -9.03},
		{"22.05 kHz, -6 dB", 22050, audiotest.Sine(997, 22050, 22050*2), -9.03},
		{"8 kHz, -6 dB", 8000, audiotest.Sine(997, 8000, 16000), -9.03},
		{"a silent half is gated out", 22050, append(audiotest.Sine(997, 22050, 22050*20), make([]float32, 22050*20)...), -9.03},
		{"shorter than a block", 22050, audiotest.Sine(997, 22050, 4410), -9.03},
		{"silence", 22050, make([]float32, 22050), -70},
		{"nothing", 22050, nil, -70},
	} {
		if got := MeasurePCM16(ToPCM16(c.x), c.rateHz).LoudnessLUFS; math.Abs(got-c.want) > .1 {
			t.Errorf("%s: %.2f LUFS, want %.2f", c.name, got, c.want)
		}
	}
	for rate := 1; rate < 4000; rate = rate*5/4 + 1 {
		if got := MeasurePCM16(ToPCM16(audiotest.Sine(1, 8, 10000)), rate); math.IsNaN(got.LoudnessLUFS) || math.IsInf(got.LoudnessLUFS, 0) {
			t.Errorf("%d Hz: %+v", rate, got)
		}
	}
}

// TestLoudnessAsFFmpeg: speech-like sound, loud and soft, against another
// program's meter.
func TestLoudnessAsFFmpeg(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("no ffmpeg to compare with")
	}
	const rate = 22050
	x := audiotest.Sine(160, rate, 8*rate)
	for i := range x { // syllables, over a sentence that dies away
		at := float64(i) / rate
		x[i] += float32(.3*math.Sin(2*math.Pi*2900*at) + .2*math.Sin(2*math.Pi*1100*at))
		x[i] *= float32(math.Abs(math.Sin(2*math.Pi*2*at)) * math.Exp(-at/2))
	}
	pcm := ToPCM16(x)
	path := filepath.Join(t.TempDir(), "a.wav")
	var b bytes.Buffer
	if err := EncodeWAV(&b, rate, 1, pcm); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(ffmpeg, "-nostdin", "-hide_banner", "-i", path, "-af", "ebur128=framelog=verbose", "-f", "null", "-").CombinedOutput()
	m := regexp.MustCompile(`I: +(-[0-9.]+) LUFS`).FindAllSubmatch(out, -1)
	if err != nil || len(m) == 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	want, err := strconv.ParseFloat(string(m[len(m)-1][1]), 64)
	if got := MeasurePCM16(pcm, rate).LoudnessLUFS; err != nil || math.Abs(got-want) > .15 { // it resamples, and prints one digit
		t.Errorf("%.2f LUFS, ffmpeg says %.1f (%v)", got, want, err)
	}
}

func TestLevels(t *testing.T) {
	const rate = 8000
	x := append(make([]int16, rate), ToPCM16(audiotest.Sine(400, rate, 3*rate))...)
	x[rate+7] = -32768
	if got := MeasurePCM16(x, rate); got.Peak != 1 || math.Abs(got.SilenceShare-.25) > 1e-9 {
		t.Errorf("a second of silence before three: %+v", got)
	}
	for i := range x {
		x[i] = int16(i%2*60 - 30) // RMS 30 is -60.8 dB
	}
	if got := MeasurePCM16(x, rate); got.Peak != 30./32768 || got.SilenceShare != 1 {
		t.Errorf("-60.8 dB: %+v", got)
	}
	for i := range x {
		x[i] = int16(i%2*70 - 35) // -59.4 dB
	}
	if got := MeasurePCM16(x, rate).SilenceShare; got != 0 {
		t.Errorf("-59.4 dB: silence share %v", got)
	}
	if got := MeasurePCM16(make([]int16, 10), rate); got.SilenceShare != 1 || got.Peak != 0 {
		t.Errorf("ten zeros: %+v", got)
	}
}

func TestClipped(t *testing.T) {
	for _, c := range sampleCases {
		_, info, err := Decode("a.wav", testWAV(c.tag, 1, 8000, c.bits, c.data))
		if err != nil {
			t.Fatal(err)
		}
		full := float32(1 - 1./32768)
		if f, ok := fullScale[info.Codec]; ok {
			full = f
		}
		p := &PCM{SampleRateHz: 8000, Channels: 1, Samples: []float32{full, -full, -1, full - 1./256, 0, 2}}
		if got := p.Clipped(info.Codec); got != 4 {
			t.Errorf("%s: %d clipped, want 4", info.Codec, got)
		}
	}
	// What the widest values of each narrow codec decode to.
	for tag, bytes := range map[int][]byte{6: {0xaa, 0x2a}, 7: {0x80, 0x00}} {
		pcm, info := mustDecode(t, "a.wav", testWAV(tag, 1, 8000, 8, bytes))
		if got := pcm.Clipped(info.Codec); got != 2 {
			t.Errorf("%s: %d of %v clipped, want both", info.Codec, got, pcm.Samples)
		}
	}
}

func BenchmarkMeasure(b *testing.B) {
	x := ToPCM16(audiotest.Sine(400, 22050, 60*22050))
	b.ReportAllocs()
	for b.Loop() {
		MeasurePCM16(x, 22050)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/60, "us/s-of-sound")
}
