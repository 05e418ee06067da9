package tts

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// fakeSay stands in for macOS's say. It answers `-v ?` with a list of voices;
// otherwise it notes its arguments and its standard input in $LOG and writes
// the sound file of testdata that the suffix of the -o file asks for.
const fakeSay = `#!/bin/sh
if [ "$1 $2" = "-v ?" ]; then
	echo "Anna                de_DE    # Hallo! Ich heiße Anna."
	echo "Bad News            en_US    # Hello! My name is Bad News."
	echo "Samantha            en_US    # Hello! My name is Samantha."
	exit 0
fi
log=@LOG@
for a in "$@"; do printf '%s\n' "$a" >>$log; done
printf 'stdin: ' >>$log; cat >>$log; echo >>$log
while [ "$1" != -o ]; do shift; done
cp @TESTDATA@/say."${2##*.}" "$2"
`

const fakeSwVers = `#!/bin/sh
[ "$1" = -productVersion ] && echo 14.5
`

// installSay puts the fakes in front of PATH and returns the log's path.
func installSay(t *testing.T) string {
	t.Helper()
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	script := strings.NewReplacer("@LOG@", "'"+log+"'", "@TESTDATA@", "'"+testdata+"'").Replace(fakeSay)
	for name, text := range map[string]string{"say": script, "sw_vers": fakeSwVers} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return log
}

func TestSay(t *testing.T) {
	need(t, "sh", "cp")
	for _, c := range []struct {
		name   string
		params map[string]any
		text   string
		format string // of the clip
		log    []string
	}{
		{
			"native", map[string]any{"voice": "Samantha"}, "a red ring", "m4a",
			[]string{"-v", "Samantha", "-r", "175", "-o", "speech.m4a", "-f", "-", "stdin: a red ring"},
		},
		{
			"language", map[string]any{"voice": "en-us", "rate": 190, "format": "m4a"}, "a red ring", "m4a",
			[]string{"-v", "Bad News", "-r", "190", "-o", "speech.m4a", "-f", "-", "stdin: a red ring"},
		},
		{
			"wav", map[string]any{"voice": "anna", "format": "wav"}, "-o /tmp/owned", "wav",
			[]string{"-v", "Anna", "-r", "175", "-o", "speech.wav", "--file-format=WAVE", "--data-format=LEI16@22050", "-f", "-", "stdin: -o /tmp/owned"},
		},
		{
			"commands", map[string]any{"voice": "Samantha"}, "[[rate 1]] a ring", "m4a",
			[]string{"-v", "Samantha", "-r", "175", "-o", "speech.m4a", "-f", "-", "stdin: [ [rate 1]] a ring"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := installSay(t)
			s := stagetest.Store(t)
			c.params["engine"] = "say"
			r := mustRun(t, s, captions(t, s, c.text), c.params)
			clips := stagetest.Rows(t, r.Artifact, table.Clips)
			if len(clips) != 1 {
				t.Fatalf("no clip: %q", r.Rejects)
			}
			b, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.log, strings.Split(strings.TrimSpace(string(b)), "\n")); d != "" {
				t.Errorf("say was called otherwise (-want +got):\n%s", d)
			}
			pcm, _, err := audio.Decode("clip", clips[0].Audio)
			if err != nil || clips[0].Format != c.format || pcm.SampleRateHz != 22050 || pcm.DurationSec() < .4 {
				t.Errorf("clip: format %s, %v", clips[0].Format, err)
			}
			if r.Tools[0].Name != "say" || r.Tools[0].Version != "macOS 14.5" {
				t.Errorf("tools = %v", r.Tools)
			}
		})
	}
}

// TestSayMP3 goes by AIFF, which ffmpeg encodes.
func TestSayMP3(t *testing.T) {
	need(t, "sh", "cp", "ffmpeg")
	log := installSay(t)
	s := stagetest.Store(t)
	r := mustRun(t, s, captions(t, s, "a red ring"), map[string]any{"engine": "say", "voice": "Samantha", "format": "mp3"})
	clips := stagetest.Rows(t, r.Artifact, table.Clips)
	if len(clips) != 1 || clips[0].Format != "mp3" || clips[0].SampleRateHz != 22050 {
		t.Errorf("clips %d, rejects %q", len(clips), r.Rejects)
	}
	if b, err := os.ReadFile(log); err != nil || !strings.Contains(string(b), "-o\nspeech.aiff\n-f\n-\n") {
		t.Errorf("say was called with %q, %v", b, err)
	}
}

// TestSayLeavesNothing covers a say that reports success and writes no file, or
// a link to another.
func TestSayLeavesNothing(t *testing.T) {
	need(t, "sh", "cp")
	for name, c := range map[string]struct {
		then   string
		reject bool
	}{
		"nothing": {"rm -f \"$2\"", true},
		"text":    {"rm -f \"$2\"; echo hello >\"$2\"", true},
		"link":    {"rm -f \"$2\"; ln -s /etc/hostname \"$2\"", false},
	} {
		t.Run(name, func(t *testing.T) {
			installSay(t)
			path := strings.Split(os.Getenv("PATH"), string(os.PathListSeparator))[0] + "/say"
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(b, c.then...), 0o755); err != nil {
				t.Fatal(err)
			}
			s := stagetest.Store(t)
			r, err := run(t, s, captions(t, s, "a red ring"), map[string]any{"engine": "say", "voice": "Samantha"})
			if c.reject && (err != nil || len(r.Rejects) != 1) || !c.reject && err == nil {
				t.Errorf("rejects %q, error %v", r.Rejects, err)
			}
		})
	}
}

func TestSayUnknownVoice(t *testing.T) {
	need(t, "sh")
	installSay(t)
	_, err := Params{Engine: "say", Voice: "Zorro", Rate: 175}.Prepare(context.Background())
	if err == nil || !strings.Contains(err.Error(), `no voice "Zorro"`) {
		t.Errorf("Prepare = %v", err)
	}
}
