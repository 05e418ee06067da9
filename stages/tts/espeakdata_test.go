package tts

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
)

// TestSlim: with the files of its voices alone espeak-ng says the same, of
// every script and for every voice, and where it does not the folder is not used.
func TestSlim(t *testing.T) {
	need(t, "espeak-ng")
	ctx := context.Background()
	voices := []string{"en-us", "en-gb+f4", "de", "fr+m3", "ru", "cmn", "gmw/en-GB-scotland"}
	e, err := findEspeak(ctx, Params{Engine: "espeak-ng", Voices: voices, Rate: usualRate})
	if err != nil {
		t.Skipf("a voice of the test is not there: %v", err)
	}
	dir := t.TempDir()
	done, err := e.slim(ctx, dir, voices)
	if err != nil || e.slimPath == "" {
		t.Fatalf("slim: path %q, %v", e.slimPath, err)
	}
	slim := *e
	e.slimPath = ""
	texts := []string{"ein Hund läuft", "собака бежит", "犬が走る", "한국어", "ελληνικά", "हिन्दी", "ქართული", "a dog [[h@loU]]", "<speak>x</speak>", "1,234.5 km² & €3"}
	for _, h := range hostile {
		if h.spoken != "" && len(h.spoken) < 1000 {
			texts = append(texts, h.spoken)
		}
	}
	for i, text := range texts {
		u := utterance{text: text, voice: voices[i%len(voices)], rate: 160, pitch: 40}
		want, _, err := e.speak(ctx, u, dir)
		got, _, slimErr := slim.speak(ctx, u, dir)
		if (err == nil) != (slimErr == nil) || !bytes.Equal(got, want) {
			t.Errorf("%s of %q: %d bytes, %v; with all voices %d, %v", u.voice, text, len(got), slimErr, len(want), err)
		}
	}
	if err := done(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	e.files = nil // a folder without the voices
	if done, err = e.slim(ctx, dir, voices); err != nil || e.slimPath != "" {
		t.Errorf("a folder without voices is used: path %q, %v", e.slimPath, err)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	e.dataDir = strings.Repeat("x", 10)
	if _, err := e.slim(ctx, dir, voices); err != nil || e.slimPath != "" {
		t.Errorf("without data: path %q, %v", e.slimPath, err)
	}
}
