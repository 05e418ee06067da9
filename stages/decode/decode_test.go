package decode

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

func clip(id string, data []byte) table.Clip {
	return table.Clip{ID: id, SHA256: table.SumBytes(data), Audio: data}
}

// wav is a tone of 440 Hz, the same in all channels.
func wav(t testing.TB, rateHz, channels int, seconds float64) []byte {
	t.Helper()
	x := make([]int16, int(float64(rateHz)*seconds)*channels)
	for i := range x {
		x[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i/channels)/float64(rateHz)))
	}
	var b bytes.Buffer
	if err := audio.EncodeWAV(&b, rateHz, channels, x); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func run(t testing.TB, s *artifacts.Store, params map[string]any, clips ...table.Clip) stagetest.Result {
	t.Helper()
	in := stagetest.Artifact(t, s, "speech", stagetest.Part("clips-00.parquet", table.Clips, clips...))
	return stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: stagetest.In("audio", in), Params: params})
}

func TestWAV(t *testing.T) {
	s := stagetest.Store(t)
	canonical := wav(t, 22050, 1, .5)
	long := bytes.Clone(canonical)
	copy(long[4:], "\xff\xff\xff\xff") // what a writer to a pipe leaves there
	clips := []table.Clip{
		clip("canonical", canonical), clip("cut", canonical[:12000]), clip("empty", nil), clip("high", wav(t, 48000, 1, .5)), clip("low", wav(t, 8000, 2, .5)),
		clip("pipe", long), clip("text", []byte("this is no sound, it is a sentence")),
	}
	r := run(t, s, nil, clips...)
	got := map[string]table.Clip{}
	for _, c := range stagetest.Rows(t, r.Artifact, table.Clips) {
		got[c.ID] = c
		if _, rate, err := audio.ReadPCM16(c.Audio); err != nil || rate != 22050 || c.SHA256 != table.SumBytes(c.Audio) || c.Format != "wav" || c.Channels != 1 {
			t.Errorf("%s: %d Hz, %v, row %s", c.ID, rate, err, c.Format)
		}
		if math.Abs(c.Seconds-.5) > 1e-3 {
			t.Errorf("%s: %.4f s, want .5", c.ID, c.Seconds)
		}
	}
	if len(got) != 4 || len(r.Rejects) != 3 {
		t.Fatalf("%d clips, rejects %q; want cut, empty and text set aside", len(got), r.Rejects)
	}
	if !bytes.Equal(got["canonical"].Audio, canonical) {
		t.Error("a WAV of the right kind did not pass byte for byte")
	}
	if got["pipe"].Warnings == "" || !bytes.Equal(got["pipe"].Audio, canonical) {
		t.Errorf("a WAV with a false length: warnings %q", got["pipe"].Warnings)
	}
	for _, id := range []string{"high", "low"} {
		if hz := pitch(t, got[id].Audio); math.Abs(hz-440) > 2 {
			t.Errorf("%s: a tone of %.1f Hz, want 440", id, hz)
		}
	}
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	if again := run(t, s, nil, clips...); again.Artifact.Digest != r.Artifact.Digest {
		t.Error("four cores gave other bytes")
	}
	if reason := r.Reason("cut"); !strings.Contains(reason, "about 0.2") || !strings.HasSuffix(reason, " s of it are lost") {
		t.Errorf("a WAV that is cut short: %q, want how much is lost", reason)
	}
	keep := run(t, s, map[string]any{"on_damage": "keep"}, clip("cut", canonical[:12000]))
	if rows := stagetest.Rows(t, keep.Artifact, table.Clips); len(rows) != 1 || rows[0].Warnings == "" || rows[0].Seconds > .3 {
		t.Errorf("on_damage: keep: %d clips, rejects %q", len(rows), keep.Rejects)
	}
}

// pitch counts the upward zero crossings of the middle of a WAV.
func pitch(t *testing.T, wav []byte) float64 {
	x, rate, err := audio.ReadPCM16(wav)
	if err != nil {
		t.Fatal(err)
	}
	lo, hi, n, first, last := len(x)/8, len(x)*7/8, 0, 0, 0
	for i := lo; i < hi; i++ {
		if x[i-1] < 0 && x[i] >= 0 {
			if n == 0 {
				first = i
			}
			n, last = n+1, i
		}
	}
	return float64(n-1) / (float64(last-first) / float64(rate))
}

// TestCompressed decodes real MP3 and M4A files and compares their length and
// loudness with the recording they were made from.
func TestCompressed(t *testing.T) {
	s := stagetest.Store(t)
	dir := sharedtest.Path(t, "data", "speech", "decoder_corpus", "derived")
	names := []string{
		"fragmented_32000.m4a", "mono_16000_faststart.m4a", "mpeg1_44100_stereo_vbr_id3v24_v1.mp3", "mpeg1_48000_mono_noxing.mp3", "mpeg2_24000_mono_abr.mp3",
		"say_like_22050_mono.m4a", "stereo_48000_vbr.m4a", "truncated_midframe.mp3", "truncated_moov_at_end.m4a", "wav_alaw_11025.wav", "wav_s24_11025.wav",
	}
	var clips []table.Clip
	for _, n := range names {
		data, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		clips = append(clips, clip(n, data))
	}
	r := run(t, s, map[string]any{"ffmpeg": "never"}, clips...)
	rows := stagetest.Rows(t, r.Artifact, table.Clips)
	for _, n := range names {
		truncated := strings.HasPrefix(n, "truncated")
		if reason := r.Reason(n); (reason != "") != truncated {
			t.Errorf("%s: reason %q", n, reason)
		}
	}
	for _, c := range rows {
		x, _, err := audio.ReadPCM16(c.Audio)
		if err != nil {
			t.Fatal(err)
		}
		want := 4.
		if strings.HasPrefix(c.ID, "wav_") {
			want = 1.5
		}
		if power := rms(x); math.Abs(c.Seconds-want) > .07 || power < 500 || power > 8000 {
			t.Errorf("%s: %.2f s, want %.1f; rms %.0f", c.ID, c.Seconds, want, power)
		}
	}
}

func rms(x []int16) float64 {
	sum := 0.
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(max(1, len(x))))
}

func TestFFmpeg(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "x.wav")
	if err := os.WriteFile(source, wav(t, 44100, 2, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	var clips []table.Clip
	for id, out := range map[string]string{"alac": "x.m4a", "vorbis": "x.ogg"} {
		args := []string{"-v", "error", "-bitexact", "-i", source}
		if id == "alac" {
			args = append(args, "-c:a", "alac")
		}
		if b, err := exec.Command("ffmpeg", append(args, filepath.Join(dir, out))...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		data, err := os.ReadFile(filepath.Join(dir, out))
		if err != nil {
			t.Fatal(err)
		}
		if id == "alac" {
			clips = append([]table.Clip{clip(id, data)}, clips...)
		} else {
			clips = append(clips, clip(id, data), clip("vorbis-bad", append(bytes.Clone(data[:60]), bytes.Repeat([]byte{7}, 900)...)))
		}
	}
	s := stagetest.Store(t)
	r := run(t, s, nil, clips...)
	rows := stagetest.Rows(t, r.Artifact, table.Clips)
	if len(rows) != 2 || len(r.Tools) != 1 || !strings.HasPrefix(r.Tools[0].Version, "ffmpeg version") {
		t.Fatalf("%d clips, rejects %q, tools %v", len(rows), r.Rejects, r.Tools)
	}
	for _, c := range rows {
		if hz := pitch(t, c.Audio); math.Abs(hz-440) > 2 || math.Abs(c.Seconds-1) > .01 {
			t.Errorf("%s: %.1f Hz, %.3f s", c.ID, hz, c.Seconds)
		}
	}
	if again := run(t, s, nil, clips...); again.Artifact.Digest != r.Artifact.Digest || again.Reason("vorbis-bad") != r.Reason("vorbis-bad") {
		t.Errorf("a second run gave other bytes, or another reason: %q, %q", r.Reason("vorbis-bad"), again.Reason("vorbis-bad"))
	}
	never := run(t, s, map[string]any{"ffmpeg": "never"}, clips...)
	if len(never.Tools) != 0 || !strings.Contains(never.Reason("vorbis"), "ffmpeg") {
		t.Errorf("ffmpeg: never: tools %v, reason %q", never.Tools, never.Reason("vorbis"))
	}
}

// TestPlaylist holds ffmpeg to reading sound and nothing else: a playlist in
// the shape of a sound file must not make it read other files.
func TestPlaylist(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	secret := filepath.Join(t.TempDir(), "secret.wav")
	if err := os.WriteFile(secret, wav(t, 22050, 1, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := pathFFmpeg(Params{FFmpeg: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"hls":    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://" + secret + "\n#EXT-X-ENDLIST\n",
		"concat": "ffconcat version 1.0\nfile 'file:" + secret + "'\n",
	} {
		if got := f.decodeAll(t.Context(), [][]byte{[]byte(text)}, t.TempDir()); got[0].err == nil {
			t.Errorf("%s: read %d samples of another file", name, got[0].pcm.Frames())
		}
	}
}

// TestHostile decodes sound files that were collected to do harm.
func TestHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes 500 files")
	}
	manifest, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	s := stagetest.Store(t)
	expect := map[string]string{}
	var clips []table.Clip
	for line := range strings.Lines(string(manifest)) {
		f := strings.Split(line, "\t")
		kind := strings.Split(f[0], "/")
		if len(f) < 4 || len(kind) < 3 || !strings.Contains(" wav mp3 m4a ", " "+kind[1]+" ") {
			continue
		}
		data, err := os.ReadFile(sharedtest.Path(t, "badinputs", f[0]))
		if err != nil {
			t.Fatal(err)
		}
		expect[f[0]] = f[3]
		clips = append(clips, clip(f[0], data))
	}
	r := run(t, s, map[string]any{"ffmpeg": "never"}, clips...)
	for _, c := range stagetest.Rows(t, r.Artifact, table.Clips) {
		if expect[c.ID] == "error" || expect[c.ID] == "prefix" {
			t.Errorf("%s: decoded to %.2f s without a word, want it set aside (%s)", c.ID, c.Seconds, expect[c.ID])
		}
		if expect[c.ID] == "warn" && c.Warnings == "" {
			t.Errorf("%s: decoded without a warning", c.ID)
		}
		delete(expect, c.ID)
	}
	for id, e := range expect {
		if e == "ok" && !strings.Contains(r.Reason(id), "ffmpeg") { // ALAC is sound, and ffmpeg's
			t.Errorf("%s: set aside: %s", id, r.Reason(id))
		}
		if reason := r.Reason(id); strings.Contains(reason, "\n") || reason == "" {
			t.Errorf("%s: reason %q is not one line", id, reason)
		}
	}
}

func TestNoRecordings(t *testing.T) {
	s := stagetest.Store(t)
	in := stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, table.Caption{ID: "a"}))
	_, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: stagetest.In("audio", in)})
	if err == nil || !strings.Contains(err.Error(), "no recordings") {
		t.Errorf("pairs without clips: %v", err)
	}
}

// TestFFmpegOverLimits: a clip that is too much for ffmpeg is to blame for that,
// by itself, and does not end the stage.
func TestFFmpegOverLimits(t *testing.T) {
	for _, reason := range []string{"took longer than 2m0s", "wrote a file larger than 1 GiB"} {
		got, rejected := stage.Rejected(judge(tool.Result{}, &tool.LimitError{Name: "ffmpeg", Reason: reason}, true))
		if want := "ffmpeg " + reason + " over it"; !rejected || got != want {
			t.Errorf("judge = %q, %v, want %q", got, rejected, want)
		}
	}
}
