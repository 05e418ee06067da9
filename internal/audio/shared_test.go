package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

// ffmpegPCM16 returns ffmpeg's decoding of a file, interleaved.
func ffmpegPCM16(t *testing.T, path string) []int16 {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: its decoding is not compared")
	}
	var out, errs bytes.Buffer
	cmd := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", path, "-f", "s16le", "-c:a", "pcm_s16le", "-")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %s: %v: %s", path, err, errs.String())
	}
	pcm := make([]int16, out.Len()/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(out.Bytes()[2*i:]))
	}
	return pcm
}

// difference returns the largest and the mean difference in units of 16 bits.
func difference(got, want []int16) (worst, mean float64) {
	for i := range got {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		worst, mean = max(worst, d), mean+d
	}
	return worst, mean / float64(max(1, len(got)))
}

// TestAgainstFFmpeg compares all decoders with ffmpeg's on sound files of every
// kind: the same length to the sample, values within 3 LSB.
func TestAgainstFFmpeg(t *testing.T) {
	dir := sharedtest.Path(t, "data", "speech")
	files := []string{"librivox/sonnet001.mp3", "librivox/p001.mp3", "librivox/p001.mp4", "librivox/p001.aac", "librivox/exact.5600.16000.wav", "gtts_flickr8k/*.mp3"}
	for _, name := range []string{"l3-hecommon", "l3-si", "l3-si_block", "l3-si_huff", "l3-he_48khz", "M2L3_bitrate_22_all", "M2L3_bitrate_24_all"} {
		files = append(files, "decoder_corpus/minimp3/"+name+".bit")
	}
	for _, ext := range []string{"wav", "mp3", "m4a", "aac"} {
		files = append(files, "decoder_corpus/derived/*."+ext)
	}
	for i, pattern := range files {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(names) > 6 && i < 6 {
			names = names[:6]
		}
		for _, path := range names {
			if testing.Short() && i == 0 {
				continue
			}
			t.Run(filepath.Base(path), func(t *testing.T) { compareFFmpeg(t, path) })
		}
	}
}

func compareFFmpeg(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Base(path)
	pcm, info, err := Decode(base, data)
	switch {
	case errors.Is(err, ErrUnsupported):
		if !strings.Contains(base, "mpeg25") && !strings.Contains(base, "alac") {
			t.Error(err)
		}
		return
	case strings.HasPrefix(base, "truncated"):
		if err == nil && (!info.Damaged || info.SecondsLost == 0) {
			t.Errorf("passes for whole: %+v", info)
		}
		t.Logf("%+v, %v", info, err)
		return
	case err != nil:
		t.Fatal(err)
	case info.Damaged:
		t.Errorf("damaged: %v", info.Warnings)
	}
	want, got := ffmpegPCM16(t, path), ToPCM16(pcm.Samples)
	// ffmpeg 5.1 drops the first access unit of one ADTS file, and plays the
	// last access unit of MP4 to its end, where the container's edit list and
	// durations say less; the sample-exact length is the container's.
	if base == "p001.aac" {
		got = got[aacFrame*pcm.Channels:]
	}
	if extra := (len(want) - len(got)) / pcm.Channels; extra != 0 && !(info.Format == formatMP4 && extra > 0 && extra < aacFrame) {
		t.Errorf("%d samples, ffmpeg has %d (%+v)", len(got), len(want), info)
	}
	n := min(len(got), len(want))
	worst, mean := difference(got[:n], want[:n])
	t.Logf("off by up to %g LSB, mean %.3f", worst, mean)
	limit, meanLimit := 3., .7
	switch base {
	case "mpeg2_24000_mono_abr.mp3":
		// At 24 kHz ffmpeg 5.1 ends scale factor band 17 at line 330, where ISO
		// 13818-3 table B.8, LAME (which wrote the file) and go-mp3 have 332. The
		// standard's own M2L3_compl24 decides for 332: see TestMP3Conformance.
		limit, meanLimit = math.Inf(1), 6
	}
	if worst > limit || mean > meanLimit {
		t.Errorf("off by up to %g LSB, mean %.3f", worst, mean)
	}
	probe, err := Probe(data)
	if err != nil || probe.SampleRateHz != info.SampleRateHz || probe.Channels != info.Channels || probe.Frames != info.Frames {
		t.Errorf("Probe says %+v (%v), Decode %+v", probe, err, info)
	}
}

// TestDerivedIndex checks rate, channels and length against ffprobe's view, no
// ffmpeg needed.
func TestDerivedIndex(t *testing.T) {
	dir := sharedtest.Path(t, "data", "speech", "decoder_corpus", "derived")
	index, err := os.ReadFile(filepath.Join(dir, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(index)), "\n") {
		f := strings.Split(line, "\t")
		probe := strings.Split(f[2], ",")
		if len(probe) < 6 || strings.HasPrefix(f[0], "truncated") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, f[0]))
		if err != nil {
			t.Fatal(err)
		}
		_, info, err := Decode(f[0], data)
		if errors.Is(err, ErrUnsupported) {
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		bytes, _ := strconv.Atoi(f[3])
		got := fmt.Sprintf("%d Hz %d ch", info.SampleRateHz, info.Channels)
		if want := fmt.Sprintf("%s Hz %s ch", probe[3], probe[4]); got != want {
			t.Errorf("%s: %s, want %s", f[0], got, want)
		}
		frames := int64(bytes / 2 / info.Channels)
		if info.Format == formatMP4 { // see compareFFmpeg; ffprobe's duration is the container's
			seconds, _ := strconv.ParseFloat(strings.TrimSpace(probe[5]), 64)
			frames = int64(math.Round(seconds * float64(info.SampleRateHz)))
		}
		if info.Frames != frames {
			t.Errorf("%s: %d frames, want %d", f[0], info.Frames, frames)
		}
	}
}

// TestMP3Conformance compares with the reference decoding of one of the
// standard's streams, MPEG-2 at 24 kHz. (Those of MPEG-1 are among the files
// that TestAgainstFFmpeg compares.)
func TestMP3Conformance(t *testing.T) {
	dir := sharedtest.Path(t, "data", "speech", "decoder_corpus", "minimp3")
	data, err := os.ReadFile(filepath.Join(dir, "M2L3_compl24.bit"))
	if err != nil {
		t.Fatal(err)
	}
	ref, err := os.ReadFile(filepath.Join(dir, "M2L3_compl24.pcm"))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]int16, len(ref)/2)
	for i := range want {
		want[i] = int16(binary.LittleEndian.Uint16(ref[2*i:]))
	}
	pcm, info := mustDecode(t, "M2L3_compl24.bit", data)
	got := ToPCM16(pcm.Samples)
	if len(got) != len(want) || info.Damaged {
		t.Fatalf("%d samples, want %d (%v)", len(got), len(want), info.Warnings)
	}
	if worst, mean := difference(got, want); worst > 2 || mean > .7 {
		t.Errorf("off by up to %g LSB, mean %.3f", worst, mean)
	}
}
