package tts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// need skips the test, saying so, where a program is not installed.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// captions makes an artifact of the texts, with ids c000, c001, …
func captions(t testing.TB, s *artifacts.Store, texts ...string) *artifacts.Artifact {
	t.Helper()
	rows := make([]table.Caption, len(texts))
	for i, text := range texts {
		rows[i] = table.Caption{ID: fmt.Sprintf("c%03d", i), PhotoID: "p", Text: text, Split: "train"}
	}
	return stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, rows...))
}

func run(t testing.TB, s *artifacts.Store, in *artifacts.Artifact, params map[string]any) (stagetest.Result, error) {
	t.Helper()
	return stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: stagetest.In("captions", in), Params: params})
}

func mustRun(t testing.TB, s *artifacts.Store, in *artifacts.Artifact, params map[string]any) stagetest.Result {
	t.Helper()
	r, err := run(t, s, in, params)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEspeak(t *testing.T) {
	need(t, "espeak-ng")
	s := stagetest.Store(t)
	in := captions(t, s, "a small red circle left of a large blue square on white", "--help", "a dog  runs\nfast", "", "a \x00 dog")
	params := map[string]any{"engine": "espeak-ng"}
	r := mustRun(t, s, in, params)
	clips := stagetest.Rows(t, r.Artifact, table.Clips)
	if len(clips) != 3 || len(r.Rejects) != 2 || r.Reason("c003") == "" || !strings.Contains(r.Reason("c004"), "U+0000") {
		t.Fatalf("%d clips, rejects %q; want 3 clips, c003 and c004 rejected", len(clips), r.Rejects)
	}
	for _, c := range clips {
		samples, rate, err := audio.ReadPCM16(c.Audio)
		if err != nil || rate != 22050 || c.SampleRateHz != 22050 || c.Format != "wav" || c.Voice != "en-us" || c.SHA256 != table.SumBytes(c.Audio) {
			t.Errorf("%s: %d Hz, %v; row %+v", c.ID, rate, err, c.Format)
		}
		if got := float64(len(samples)) / 22050; math.Abs(got-c.Seconds) > 1e-9 || loudest(samples) < 1000 {
			t.Errorf("%s: %.3f s of sound, row says %.3f; loudest %d", c.ID, got, c.Seconds, loudest(samples))
		}
	}
	if clips[2].Text != "a dog runs fast" || clips[2].Warnings == "" {
		t.Errorf("clip of a text with a line break: text %q, warnings %q", clips[2].Text, clips[2].Warnings)
	}
	if again := mustRun(t, s, in, params); again.Artifact.Digest != r.Artifact.Digest {
		t.Error("a second run gave other bytes")
	}
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	if again := mustRun(t, s, in, params); again.Artifact.Digest != r.Artifact.Digest {
		t.Error("four cores gave other bytes")
	}
}

func loudest(samples []int16) (most int16) {
	for _, s := range samples {
		most = max(most, s, -max(s, -32767))
	}
	return most
}

// TestEspeakFile compares what comes through the pipe, mended, with what
// espeak-ng writes to a file.
func TestEspeakFile(t *testing.T) {
	need(t, "espeak-ng")
	s := stagetest.Store(t)
	r := mustRun(t, s, captions(t, s, "a red heart"), map[string]any{"engine": "espeak-ng", "voice": "en-gb+f4", "rate": 190, "pitch": 44})
	file := filepath.Join(t.TempDir(), "x.wav")
	cmd := exec.Command("espeak-ng", "-b", "1", "-v", "en-gb+f4", "-s", "190", "-p", "44", "-w", file, "--stdin")
	cmd.Stdin = strings.NewReader("a red heart")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := stagetest.Rows(t, r.Artifact, table.Clips)[0].Audio; string(got) != string(want) {
		t.Errorf("%d bytes by the pipe differ from %d in the file", len(got), len(want))
	}
}

func TestFormats(t *testing.T) {
	need(t, "espeak-ng", "ffmpeg")
	s := stagetest.Store(t)
	in := captions(t, s, "there is a large yellow star above a small green cross on black")
	wav := stagetest.Rows(t, mustRun(t, s, in, map[string]any{"engine": "espeak-ng", "format": "wav"}).Artifact, table.Clips)[0]
	for _, format := range []string{"m4a", "mp3"} {
		params := map[string]any{"engine": "espeak-ng", "format": format}
		r := mustRun(t, s, in, params)
		c := stagetest.Rows(t, r.Artifact, table.Clips)[0]
		pcm, _, err := audio.Decode("clip", c.Audio)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if c.Format != format || math.Abs(pcm.DurationSec()-wav.Seconds) > .15 || len(c.Audio) > len(wav.Audio)/2 {
			t.Errorf("%s: format %s, %.3f s of %.3f, %d bytes of %d", format, c.Format, pcm.DurationSec(), wav.Seconds, len(c.Audio), len(wav.Audio))
		}
		if again := mustRun(t, s, in, params); again.Artifact.Digest != r.Artifact.Digest {
			t.Errorf("%s: a second run gave other bytes", format)
		}
		if last := r.Tools[len(r.Tools)-1]; last.Name != "ffmpeg" || !strings.HasPrefix(last.Version, "ffmpeg version") {
			t.Errorf("%s: tools %v lack ffmpeg", format, r.Tools)
		}
	}
}

func TestVoicesBySeed(t *testing.T) {
	p := Params{Voice: "x", Voices: []string{"a", "b", "c", "d"}, Rate: 170, RateMax: 209, Pitch: 40, PitchMax: 60, Seed: 1}
	voices, rates, pitches := map[string]int{}, map[int]int{}, map[int]int{}
	for i := range 4000 {
		u := p.choose(fmt.Sprint("caption ", i))
		voices[u.voice]++
		rates[u.rate]++
		pitches[u.pitch]++
	}
	for v, n := range voices {
		if n < 850 || n > 1150 {
			t.Errorf("voice %s for %d of 4,000 captions", v, n)
		}
	}
	if len(voices) != 4 || len(rates) != 40 || len(pitches) != 21 || rates[170] == 0 || rates[209] == 0 || pitches[60] == 0 {
		t.Errorf("%d voices, %d rates, %d pitches; want 4, 40, 21", len(voices), len(rates), len(pitches))
	}
	one := p
	one.RateMax = 0
	if a, b := p.choose("x"), one.choose("x"); a.voice != b.voice || a.pitch != b.pitch || b.rate != 170 {
		t.Errorf("without a range of rates %+v became %+v", a, b)
	}
	if a, b := p.choose("x"), p.choose("x"); a != b {
		t.Errorf("choose gave %+v, then %+v", a, b)
	}
}

func TestNotThere(t *testing.T) {
	need(t, "espeak-ng")
	s := stagetest.Store(t)
	in := captions(t, s, "a dog")
	for _, c := range []struct {
		name, want string
		params     map[string]any
	}{
		{"voice", `no voice "xx-yy"`, map[string]any{"engine": "espeak-ng", "voice": "xx-yy"}},
		{"variant", `no variant "nobody"`, map[string]any{"engine": "espeak-ng", "voice": "en-us+nobody"}},
		{"option", "cannot be the name", map[string]any{"voice": "--help"}},
		{"twice", "there twice", map[string]any{"voices": []any{"en-us", "en-us"}}},
		{"rate", "below the rate", map[string]any{"rate": 180, "rate_max": 170}},
	} {
		if _, err := run(t, s, in, c.params); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	for engine, want := range map[string]string{"espeak-ng": "apt-get install espeak-ng", "say": "it comes with macOS", "auto": "not installed"} {
		if _, err := run(t, s, in, map[string]any{"engine": engine}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", engine, err, want)
		}
	}
}

// TestNoEncoder checks that a missing ffmpeg is said when planning.
func TestNoEncoder(t *testing.T) {
	need(t, "espeak-ng")
	path, err := tool.Path("espeak-ng")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(path, filepath.Join(dir, "espeak-ng")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	for format, ok := range map[string]bool{"native": true, "wav": true, "m4a": false, "mp3": false} {
		_, err := Params{Engine: "espeak-ng", Voice: "en-us", Rate: 175, Format: format}.Prepare(context.Background())
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "ffmpeg") {
			t.Errorf("format %s: Prepare = %v", format, err)
		}
	}
}

func TestTools(t *testing.T) {
	need(t, "espeak-ng")
	p := Params{Engine: "espeak-ng", Voice: "en-us", Rate: 175, Format: "native"}
	tools := func() []stage.Tool {
		got, err := p.Prepare(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	us := tools()
	if len(us) != 2 || strings.Contains(us[0].Version, "/") || !strings.HasPrefix(us[1].Version, "sha256:") {
		t.Errorf("tools = %v, want a version without a path and a digest of the voice data", us)
	}
	p.Voice = "de"
	if de := tools(); de[0] != us[0] || de[1] == us[1] {
		t.Errorf("tools of de = %v, of en-us %v: voice data must differ", de, us)
	}
}

func TestLiteral(t *testing.T) {
	for in, want := range map[string]string{"a [dog]": "a [dog]", "[[rate 1]] a": "[ [rate 1]] a", "[[[[x": "[ [ [ [x"} {
		if got := literal(in); got != want {
			t.Errorf("literal(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPlausible(t *testing.T) {
	for _, c := range []struct {
		text     string
		seconds  float64
		ok, warn bool
	}{
		{"a dog runs on the grass", 1.8, true, false},
		{"a dog runs on the grass", .05, false, false},
		{"a dog runs on the grass with two other dogs", .3, false, false},
		{"a dog", 30, false, false},
		{strings.Repeat("12345 ", 100), 120, true, true},
		{"...", .3, true, false},
		{"...", .007, false, false},
	} {
		w, err := plausible(utterance{text: c.text, rate: 175}, c.seconds)
		if _, rejected := stage.Rejected(err); rejected == c.ok || (len(w) > 0) != c.warn {
			t.Errorf("plausible(%.20q, %.2f s) = %q, %v", c.text, c.seconds, w, err)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name              string
		err               error
		reject, temporary bool
	}{
		{"crash", &tool.ExitError{Name: "x", Signal: syscall.SIGSEGV}, true, false},
		{"killed", &tool.ExitError{Name: "x", Signal: syscall.SIGKILL}, false, true},
		{"no", &tool.ExitError{Name: "x", Code: 3}, false, false},
		{"slow", &tool.LimitError{Name: "x"}, false, true},
		{"no process", fmt.Errorf("start x: %w", syscall.EAGAIN), false, true},
		{"disk full", fmt.Errorf("write: %w", syscall.ENOSPC), false, false},
		{"its own", stage.Reject("empty"), true, false},
	} {
		err := judge(c.err)
		_, reject := stage.Rejected(err)
		var tmp *stage.Temporary
		if temporary := errors.As(err, &tmp); reject != c.reject || temporary != c.temporary {
			t.Errorf("%s: judge = %v: reject %v, temporary %v; want %v, %v", c.name, err, reject, temporary, c.reject, c.temporary)
		}
	}
}

// TestHostileCaptions speaks captions that were collected to do harm. Those
// expected to fail must be set aside, odd ones must carry a warning, and the
// rest of the run must go on.
func TestHostileCaptions(t *testing.T) {
	need(t, "espeak-ng")
	if testing.Short() {
		t.Skip("speaks two hours of text")
	}
	data, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var texts, names, expect []string
	for line := range strings.Lines(string(data)) {
		f := strings.Split(line, "\t")
		if !strings.HasPrefix(f[0], "files/text/gen-cap-") {
			continue
		}
		text, err := os.ReadFile(sharedtest.Path(t, "badinputs", f[0]))
		if err != nil {
			t.Fatal(err)
		}
		texts, names, expect = append(texts, string(text)), append(names, f[0]), append(expect, f[3])
	}
	s := stagetest.Store(t)
	r := mustRun(t, s, captions(t, s, texts...), map[string]any{"engine": "espeak-ng"})
	clips := map[string]table.Clip{}
	for _, c := range stagetest.Rows(t, r.Artifact, table.Clips) {
		clips[c.ID] = c
	}
	if len(clips)+len(r.Rejects) != len(texts) {
		t.Errorf("%d clips and %d rejects of %d captions", len(clips), len(r.Rejects), len(texts))
	}
	for i, name := range names {
		id := fmt.Sprintf("c%03d", i)
		c, spoken := clips[id]
		switch {
		case expect[i] == "error" && spoken:
			t.Errorf("%s: spoken in %.1f s, want it set aside", name, c.Seconds)
		case c.Seconds > mostSeconds:
			t.Errorf("%s: spoken in %.0f s", name, c.Seconds)
		case strings.Contains(r.Reason(id), "too long for a caption"): // six to twenty minutes
			t.Logf("%s: set aside: %s", name, r.Reason(id))
		case expect[i] == "warn" && (!spoken || c.Warnings == ""):
			t.Errorf("%s: spoken %v, warnings %q, reason %q; want it spoken with a warning", name, spoken, c.Warnings, r.Reason(id))
		case !spoken:
			t.Logf("%s: set aside: %s", name, r.Reason(id))
		}
	}
}
