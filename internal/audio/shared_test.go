package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
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

// outcomes names the files of the shared speech that are not decoded here, or
// not as whole: "damaged", "error", or "ffmpeg" to which they are left.
var outcomes = map[string]string{
	// Left to ffmpeg.
	"p001.webm": "ffmpeg", "p001.ogg": "ffmpeg", "alac.m4a": "ffmpeg", "alac_22050_mono.m4a": "ffmpeg", "adif.aac": "ffmpeg",
	"l1-fl1.bit": "ffmpeg", "l2-fl10.bit": "ffmpeg", "l2-fl13.bit": "ffmpeg", "mpeg25_8000_mono_cbr16.mp3": "ffmpeg",
	"l3-he_free.bit": "ffmpeg",                            // free format
	"l3-test45.bit":  "ffmpeg", "l3-test46.bit": "ffmpeg", // intensity stereo of MPEG-2
	"bad-TYER-frame.mp3": "ffmpeg", // every frame full to the last byte
	"M2L3_noise.bit":     "ffmpeg", // a frame at the highest bit rate, padded
	// Cut in the last frame, as their makers left them, or in the middle.
	"xing.mp3": "damaged", "vbri.mp3": "damaged", "id3v22-test.mp3": "damaged", "id3v1v2-combined.mp3": "damaged", "bad-xing.mp3": "damaged",
	"l3-compl.bit": "damaged", "apev2-lyricsv2.mp3": "damaged", "l3-sin1k0db.bit": "damaged", "truncated_midframe.mp3": "damaged",
	"l3-nonstandard-compl-sideinfo-size.bit": "damaged", "l3-nonstandard-compl-sideinfo-blocktype.bit": "damaged",
	"l3-nonstandard-compl-sideinfo-bigvalues.bit": "damaged",
	"l3-nonstandard-he_44_48khz.bit":              "damaged", // the rate changes in the middle
	// Without sound, or without what it takes to find it.
	"truncated-64bit.mp4": "error", "64bit.mp4": "error", "nero-chapters.m4b": "error", "emptyfile.mp3": "error", "bad-POPM-frame.mp3": "error",
	"truncated_moov_at_end.m4a": "error", "l3-nonstandard-small.bit": "error", "l3-nonstandard-id3v2-only.bit": "error",
	"l3-nonstandard-vbrtag-oob-read.bit": "error", "l3-nonstandard-vbrtag-only.bit": "error", "l3-nonstandard-vbrtag-noframes.bit": "error",
	"l3-nonstandard-vbrtag-empty.bit": "error", "l3-nonstandard-vbrtag-corrupted.bit": "error",
	"l3-nonstandard-sideinfo-size.bit": "error", "l3-nonstandard-big-iscf.bit": "error",
}

// ffmpegDiffers names the files that are decoded here and that ffmpeg 5.1 makes
// something else of, and why ours is right.
var ffmpegDiffers = map[string]string{
	"too-short.mp3":                     "ffmpeg cannot read so short a file",
	"l3-compl-cut.mp3":                  "ffmpeg cannot read so short a file",
	"l3-nonstandard-id3v1.bit":          "ffmpeg cannot read so short a file; it has a reference of its own",
	"l3-nonstandard-id3v2.bit":          "ffmpeg cannot read so short a file; it has a reference of its own",
	"l3-nonstandard-apetag.bit":         "ffmpeg cannot read so short a file; it has a reference of its own",
	"l3-nonstandard-id3v1-apetag.bit":   "ffmpeg cannot read so short a file",
	"lame397v9short.mp3":                "the tag trims more than the three frames that are there",
	"audacious-trailing-id32-apev2.mp3": "ffmpeg leaves the padding at the end in",
	"l3-he_mode.bit":                    "mono and stereo frames in turn, of which ffmpeg takes the first kind",
}

// readSpeech reads a file of the shared speech.
func readSpeech(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(sharedtest.Path(t, "data", "speech", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// speechFiles are all files of the shared speech, but for texts and lists.
func speechFiles(t *testing.T) (names []string) {
	t.Helper()
	root := sharedtest.Path(t, "data", "speech")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".md", ".tsv", ".txt", ".xhtml", ".pcm":
			return nil
		}
		name, err := filepath.Rel(root, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestAgainstFFmpeg compares all decoders with ffmpeg's on sound files of every
// kind: the same length to the sample, values within 3 LSB. Of the many that are
// alike a few are enough, unless all are asked for: HEARSIGHT_ALL_SPEECH=1.
func TestAgainstFFmpeg(t *testing.T) {
	alike := 0
	for _, name := range speechFiles(t) {
		if strings.HasPrefix(name, "gtts_") || strings.HasPrefix(name, "librivox/sonnet") {
			if alike++; alike > 4 && os.Getenv("HEARSIGHT_ALL_SPEECH") == "" {
				continue
			}
		}
		t.Run(strings.TrimPrefix(name, "decoder_corpus/"), func(t *testing.T) {
			t.Parallel()
			compareFFmpeg(t, name)
		})
	}
}

func compareFFmpeg(t *testing.T, name string) {
	data := readSpeech(t, name)
	base := filepath.Base(name)
	pcm, info, err := Decode(base, data)
	switch why := outcomes[base]; {
	case why == "" && err != nil:
		t.Fatal(err)
	case why == "" && info.Damaged:
		t.Errorf("damaged: %v", info.Warnings)
	case why == "damaged" && (err != nil || !info.Damaged || len(info.Warnings) == 0):
		t.Errorf("%v, %+v: want it damaged", err, info)
	case why == "ffmpeg" && !errors.Is(err, ErrUnsupported):
		t.Errorf("%v, want it left to ffmpeg", err)
	case why == "error" && (err == nil || errors.Is(err, ErrUnsupported)):
		t.Errorf("%v, want an error", err)
	}
	if outcomes[base] != "" {
		t.Logf("%s: %v %+v", outcomes[base], err, info)
		return
	}
	if why := ffmpegDiffers[base]; why != "" {
		t.Log(why)
		return
	}
	want, got := ffmpegPCM16(t, sharedtest.Path(t, "data", "speech", filepath.FromSlash(name))), ToPCM16(pcm.Samples)
	// ffmpeg 5.1 drops the first access unit of some files without edit list, and
	// plays the last access unit of MP4 to its end, where the container's edit
	// list and durations say less; the sample-exact length is the container's.
	switch base {
	case "p001.aac", "empty.aac", "no-tags.m4a", "has-tags.m4a", "covr-with-name.m4a", "no-tags.3g2":
		got = got[aacFrame*pcm.Channels:]
	}
	if extra := (len(want) - len(got)) / pcm.Channels; extra != 0 && !(info.Format == formatMP4 && extra > 0 && extra < aacFrame) {
		t.Errorf("%d samples, ffmpeg has %d (%+v)", len(got), len(want), info)
	}
	n := min(len(got), len(want))
	worst, mean := difference(got[:n], want[:n])
	t.Logf("off by up to %g LSB, mean %.3f", worst, mean)
	limit, meanLimit := 3., .7
	if info.Format == formatMP3 && info.SampleRateHz == 24000 {
		// At 24 kHz ffmpeg 5.1 ends scale factor band 17 at line 330, where ISO
		// 13818-3 table B.8, LAME (which wrote the files) and go-mp3 have 332. The
		// standard's own M2L3_compl24 decides for 332: see TestMP3Conformance.
		limit, meanLimit = math.Inf(1), 7
	}
	if worst > limit || mean > meanLimit {
		t.Errorf("off by up to %g LSB, mean %.3f", worst, mean)
	}
	probe, err := Probe(data)
	if err != nil || probe.SampleRateHz != info.SampleRateHz || probe.Channels != info.Channels || probe.Frames != info.Frames {
		t.Errorf("Probe says %+v (%v), Decode %+v", probe, err, info)
	}
}

// TestLowRateMP3: layer III of MPEG-2 in stereo, whose short blocks are mid/side
// now and then, and of MPEG-2.5, as LAME writes them.
func TestLowRateMP3(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: it makes the files")
	}
	from := sharedtest.Path(t, "data", "speech", "librivox", "sonnet001.mp3")
	for _, c := range [][3]string{{"22050", "2", "64k"}, {"16000", "2", "32k"}, {"12000", "2", "32k"}, {"11025", "1", "24k"}, {"11025", "2", "64k"}} {
		t.Run(strings.Join(c[:], "_"), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.mp3")
			b, err := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", from, "-t", "8", "-ar", c[0], "-ac", c[1], "-b:a", c[2], path).CombinedOutput()
			if strings.Contains(string(b), "encoder") {
				t.Skipf("this ffmpeg writes no MP3: %s", b)
			}
			if err != nil {
				t.Fatalf("%v: %s", err, b)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			pcm, info := mustDecode(t, "x.mp3", data)
			want, got := ffmpegPCM16(t, path), ToPCM16(pcm.Samples)
			if len(got) != len(want) || info.Damaged {
				t.Fatalf("%d samples, want %d: %+v", len(got), len(want), info)
			}
			if worst, mean := difference(got, want); worst > 3 || mean > .7 {
				t.Errorf("off by up to %g LSB, mean %.3f", worst, mean)
			}
		})
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
