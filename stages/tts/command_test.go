package tts

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// fakeEngine stands in for any synthesiser. It notes its arguments, what it
// reads and the names in its folder in a file of @LOG@ for each call, and writes
// the WAV of testdata to speech.wav, if that is among its arguments, or else to
// stdout. Asked for its version or voices, as espeak-ng is, it answers.
const fakeEngine = `#!/bin/sh
case "$1" in
--version) echo "  Fake Ltd"; echo "  version: fake 1.0  Data at: /nowhere"; exit 0 ;;
-lv) echo "Voices available: kal slt "; exit 0 ;;
--voices) echo "Pty Language Age/Gender VoiceName File Other"; echo " 5  en-us  --/M  English gmw/en-US"; exit 0 ;;
--voices=variant) exit 0 ;;
esac
log=@LOG@/$$
for a in "$@"; do printf '%s\n' "$a"; done >"$log.args"
cat >"$log.stdin"
if [ -e text.txt ]; then cp text.txt "$log.file"; fi
ls -a | grep -v '^\.' >"$log.names"
for a in "$@"; do
	if [ "$a" = speech.wav ]; then exec cp @TESTDATA@/say.wav speech.wav; fi
done
exec cat @TESTDATA@/say.wav
`

// installEngine puts the fake in front of PATH as name and returns where it logs.
func installEngine(t *testing.T, name string) (log string) {
	t.Helper()
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	dir, log := t.TempDir(), t.TempDir()
	script := strings.NewReplacer("@LOG@", "'"+log+"'", "@TESTDATA@", "'"+testdata+"'").Replace(fakeEngine)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return log
}

// logged returns what the calls noted under a suffix, sorted.
func logged(t *testing.T, log, suffix string) (out []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(log, "*."+suffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	slices.Sort(out)
	return out
}

func TestCommand(t *testing.T) {
	need(t, "sh", "cat", "cp", "ls", "grep")
	for _, c := range []struct {
		name               string
		params             map[string]any
		voice              string
		args, stdin, names string
	}{
		{
			"file to file",
			map[string]any{"command": []any{"fake", "-voice", "{voice}", "-f", "{text_file}", "-o", "{wav}"}, "voice": "slt", "voices_command": []any{"fake", "-lv"}},
			"slt", "-voice\nslt\n-f\ntext.txt\n-o\nspeech.wav\n", "", "text.txt\n",
		},
		{
			"stdin to stdout",
			map[string]any{"command": []any{"fake", "--rate={rate}", "--length", "{stretch}", "-p", "{pitch}", "{ x }"}, "rate": 140, "pitch": 40},
			"", "--rate=140\n--length\n1.250\n-p\n40\n{ x }\n", "a red ring\n", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := installEngine(t, "fake")
			s := stagetest.Store(t)
			in := captions(t, s, "a red  ring")
			c.params["engine"], c.params["version_command"] = "command", []any{"fake", "--version"}
			r := mustRun(t, s, in, c.params)
			clips := stagetest.Rows(t, r.Artifact, table.Clips)
			if len(clips) != 1 || clips[0].Format != "wav" || clips[0].Voice != c.voice || clips[0].Text != "a red ring" || clips[0].SampleRateHz != 22050 {
				t.Fatalf("%d clips, rejects %q", len(clips), r.Rejects)
			}
			got := [][]string{logged(t, log, "args"), logged(t, log, "stdin"), logged(t, log, "names")}
			if d := cmp.Diff([][]string{{c.args}, {c.stdin}, {c.names}}, got); d != "" {
				t.Errorf("the command was called otherwise (-want +got):\n%s", d)
			}
			want := stage.Tool{Name: "fake", Version: "Fake Ltd version: fake 1.0 Data at: /nowhere"}
			if len(r.Tools) != 1 || r.Tools[0] != want {
				t.Errorf("tools = %v, want %v", r.Tools, want)
			}
			if again := mustRun(t, s, in, c.params); again.Artifact.Digest != r.Artifact.Digest {
				t.Error("a second run gave other bytes")
			}
		})
	}
}

// TestCommandFiles runs a program of the stage's own files.
func TestCommandFiles(t *testing.T) {
	need(t, "sh", "cat", "cp", "ls", "grep")
	log := installEngine(t, "fake")
	path := strings.Split(os.Getenv("PATH"), string(os.PathListSeparator))[0]
	s := stagetest.Store(t)
	r := mustRun(t, s, captions(t, s, "a dog"), map[string]any{"engine": "command", "command": []any{"{files}/fake", "-m", "{files}/voice.onnx"}, "version": "7", "files": path})
	if got := logged(t, log, "args"); len(got) != 1 || got[0] != "-m\nfiles/voice.onnx\n" || r.Tools[0] != (stage.Tool{Name: "fake", Version: "7"}) {
		t.Errorf("called with %q, rejects %q, tools %v", got, r.Rejects, r.Tools)
	}
}

// hostile are captions made to be taken for something else, and what is to be
// spoken of each; empty: it is set aside.
var hostile = []struct{ text, spoken string }{
	{"-w /etc/x", "-w /etc/x"},
	{"--help", "--help"},
	{"-f/etc/passwd", "-f/etc/passwd"},
	{"@/etc/passwd", "@/etc/passwd"},
	{"-", "-"},
	{"$(rm -rf x)", "$(rm -rf x)"},
	{"`x`; rm x | cat > y & %PATH% ${HOME} \\n \\", "`x`; rm x | cat > y & %PATH% ${HOME} \\n \\"},
	{"'\"quotes'\"", "'\"quotes'\""},
	{"{voice} {text_file} {wav} %s %d", "{voice} {text_file} {wav} %s %d"},
	{"../../etc/passwd", "../../etc/passwd"},
	{"a dog\n-w /etc/y\r\n--stdin", "a dog -w /etc/y --stdin"},
	{"!!! ... ???", "!!! ... ???"},
	{"\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 dog", "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 dog"},
	{"\u05db\u05dc\u05d1 \u0643\u0644\u0628", "\u05db\u05dc\u05d1 \u0643\u0644\u0628"},
	{"\u202ea dog", "\u202ea dog"},
	{"\ufeffa dog", "a dog"},
	{"cafe\u0301", "caf\u00e9"},
	{"<speak><audio src='/etc/passwd'/></speak>", "<speak><audio src='/etc/passwd'/></speak>"},
	{"[[slnc 99999]] a [[[h@l'oU]]", "[ [slnc 99999]] a [ [ [h@l'oU]]"},
	{strings.Repeat("dog ", 16<<10)[:64<<10-1], strings.Repeat("dog ", 16<<10)[:64<<10-1]},
	{strings.Repeat("a dog ", 100<<10/6), ""},
	{"a\x00dog", ""},
	{"\x01v2 a dog", ""},
	{"\x1b[2J", ""},
	{"caf\xe9", ""},
	{"\ufeff", ""},
	{" \t", ""},
	{"", ""},
}

// TestHostileArguments speaks hostile captions with every engine and holds all
// arguments to what they are for any caption.
func TestHostileArguments(t *testing.T) {
	need(t, "sh", "cat", "cp", "ls", "grep")
	texts, want := []string{}, []string{}
	for _, h := range hostile {
		if texts = append(texts, h.text); h.spoken != "" {
			want = append(want, h.spoken)
		}
	}
	slices.Sort(want)
	for _, c := range []struct {
		name, program, read, args string
		params                    map[string]any
	}{
		{"espeak-ng", "espeak-ng", "stdin", "-b\n1\n-v\nen-us\n-s\n175\n-p\n50\n--stdin\n--stdout\n", map[string]any{"engine": "espeak-ng"}},
		{"stdin", "fake", "stdin", "-o\nspeech.wav\n", map[string]any{"engine": "command", "command": []any{"fake", "-o", "{wav}"}, "version": "1"}},
		{"file", "fake", "file", "text.txt\n", map[string]any{"engine": "command", "command": []any{"fake", "{text_file}"}, "version": "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := installEngine(t, c.program)
			s := stagetest.Store(t)
			r := mustRun(t, s, captions(t, s, texts...), c.params)
			for _, args := range logged(t, log, "args") {
				if args != c.args {
					t.Errorf("called with %q, want %q", args, c.args)
				}
			}
			got := logged(t, log, c.read)
			for i := range got {
				got[i] = strings.TrimSuffix(got[i], "\n")
			}
			slices.Sort(got)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("spoken (-want +got):\n%.2000s", d)
			}
			for i, h := range hostile {
				if id := fmt.Sprintf("c%03d", i); h.spoken == "" && r.Reason(id) == "" {
					t.Errorf("%.40q was not set aside", h.text)
				}
			}
		})
	}
}

func TestCommandFails(t *testing.T) {
	need(t, "sh")
	for name, c := range map[string]struct{ script, want string }{
		"says no":      {`echo "no words for it" >&2; exit 3`, "fake ended with exit status 3: no words for it"},
		"nothing":      {`true`, "it wrote nothing"},
		"not WAV":      {`echo hello`, "cannot be read"},
		"link":         {`ln -s /etc/hostname speech.wav`, "not a regular file"},
		"half":         {`head -c 20000 @TESTDATA@/say.wav`, "damaged"},
		"AIFF":         {`cat @TESTDATA@/say.aiff`, "it wrote aiff, not WAV"},
		"no file":      {`exit 0 # speech.wav`, "wrote no speech.wav"},
		"crash":        {`kill -SEGV $$`, "crashed on it"},
		"still longer": {`head -c 130M /dev/zero`, "longer than 128 MiB"},
		"longer file":  {`exec head -c 130M /dev/zero > speech.wav`, "longer than 128 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			testdata, err := filepath.Abs("testdata")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "fake")
			script := "#!/bin/sh\ncat >/dev/null\n" + strings.ReplaceAll(c.script, "@TESTDATA@", "'"+testdata+"'") + "\n"
			if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			command := []any{path}
			if strings.Contains(c.script, "speech.wav") {
				command = append(command, "{wav}")
			}
			s := stagetest.Store(t)
			r, err := run(t, s, captions(t, s, "a red ring"), map[string]any{"engine": "command", "command": command, "version": "1"})
			if got := fmt.Sprint(r.Reason("c000"), err); !strings.Contains(got, c.want) {
				t.Errorf("reason %q, error %v; want %q", r.Reason("c000"), err, c.want)
			}
		})
	}
}

// TestCommandRefused checks what is said before anything is spoken.
func TestCommandRefused(t *testing.T) {
	need(t, "sh")
	installEngine(t, "fake")
	fake := func(more ...any) []any { return append([]any{"fake"}, more...) }
	for _, c := range []struct {
		name, want string
		params     map[string]any
	}{
		{"none", "needs one, such as [flite", map[string]any{}},
		{"no version", "say the engine's version", map[string]any{"command": fake(), "version": ""}},
		{"text", "lest a caption become an option", map[string]any{"command": fake("-t", "{text}")}},
		{"mark", "{output} is none of", map[string]any{"command": fake("{output}")}},
		{"relative", "name a program on PATH", map[string]any{"command": []any{"./fake"}}},
		{"not its own", "leaves {files}", map[string]any{"command": []any{"{files}/../fake"}}},
		{"not there", "fake2 is not installed", map[string]any{"command": []any{"fake2"}}},
		{"voices", "has no {voice}", map[string]any{"command": fake(), "voices": []any{"kal", "slt"}}},
		{"rates", "has no {rate} or {stretch}", map[string]any{"command": fake(), "rate_max": 200}},
		{"pitches", "has no {pitch}", map[string]any{"command": fake(), "pitch_max": 60}},
		{"files", "the command has {files}", map[string]any{"command": fake("{files}/x")}},
		{"voice", `no voice "sl": it lists Voices available: kal slt`, map[string]any{"command": fake("{voice}"), "voice": "sl", "voices_command": fake("-lv")}},
		{"version fails", "ask fake for its version", map[string]any{"command": fake(), "version_command": []any{"false"}}},
		{"other engine", "goes with engine: command", map[string]any{"engine": "espeak-ng", "command": fake()}},
	} {
		params := map[string]any{"engine": "command", "version": "1"}
		for k, v := range c.params {
			params[k] = v
		}
		s := stagetest.Store(t)
		if _, err := run(t, s, captions(t, s, "a dog"), params); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	var problems []spec.ParamProblem = Params{Engine: "command", Rate: usualRate}.Check()
	if len(problems) != 2 { // no voice either
		t.Errorf("problems %v", problems)
	}
}

func TestCloseWAV(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("testdata", "say.wav"))
	if err != nil {
		t.Fatal(err)
	}
	data := 0
	for at := 12; string(whole[at:at+4]) != "data"; data = at {
		at += 8 + int(binary.LittleEndian.Uint32(whole[at+4:]))
	}
	for _, size := range []uint32{0, 0x7ffff000, 0x7fffffff, 0xffffffff} {
		open := slices.Clone(whole)
		binary.LittleEndian.PutUint32(open[4:], size)
		binary.LittleEndian.PutUint32(open[data+4:], size)
		if err := checkWAV(open); err != nil || !slices.Equal(open, whole) {
			t.Errorf("size %#x: %v, or other bytes than in a file", size, err)
		}
	}
	for n := range 64 {
		_ = checkWAV(slices.Clone(whole[:n])) // no panic
	}
}

// TestFlite tries the template of the documentation on a real engine.
func TestFlite(t *testing.T) {
	need(t, "flite")
	s := stagetest.Store(t)
	in := captions(t, s, "a brown dog runs along the beach", "a man in a blue shirt", "two girls play with a ball", "[[x]] --help")
	params := map[string]any{
		"engine": "command", "command": []any{"flite", "-voice", "{voice}", "--setf", "duration_stretch={stretch}", "-f", "{text_file}", "-o", "{wav}"},
		"version_command": []any{"flite", "--version"}, "voices_command": []any{"flite", "-lv"}, "voices": []any{"kal16", "slt"}, "rate": 150, "rate_max": 200,
	}
	r := mustRun(t, s, in, params)
	clips := stagetest.Rows(t, r.Artifact, table.Clips)
	if len(clips) != 4 {
		t.Fatalf("%d clips, rejects %q", len(clips), r.Rejects)
	}
	voices := map[string]bool{}
	for _, c := range clips {
		voices[c.Voice] = true
		if pcm, info, err := audio.Decode(c.ID, c.Audio); err != nil || info.Damaged || pcm.DurationSec() < .8 {
			t.Errorf("%s: %v, %.2f s", c.ID, err, c.Seconds)
		}
	}
	if again := mustRun(t, s, in, params); again.Artifact.Digest != r.Artifact.Digest || len(voices) != 2 {
		t.Errorf("a second run gave other bytes, or voices %v are not two", voices)
	}
	params["voices"] = []any{"kal16", "nosuch"}
	if _, err := run(t, s, in, params); err == nil || !strings.Contains(err.Error(), `no voice "nosuch"`) {
		t.Errorf("a voice that flite lacks: %v", err)
	}
}
