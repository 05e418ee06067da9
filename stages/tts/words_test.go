package tts

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/table"
)

// TestWordTimes: each word begins where the sound of it does: after a pause, where
// the pause ends; and a clip that is not what espeak-ng says has no times.
func TestWordTimes(t *testing.T) {
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Skip("espeak-ng is not installed")
	}
	ctx, dir := context.Background(), t.TempDir()
	params, err := Kind.Canonical(map[string]any{"engine": "espeak-ng", "voices": []any{"en-us", "en-gb+f4"}})
	if err != nil {
		t.Fatal(err)
	}
	const text = "a small <red> circle & 3 stars, beside a heart"
	p := defaults
	p.Engine, p.Voices = "espeak-ng", []string{"en-us", "en-gb+f4"}
	e, err := findEngine(ctx, p, "")
	if err != nil {
		t.Fatal(err)
	}
	u := p.choose("x#0")
	u.text = text
	wav, _, err := e.speak(ctx, u, dir)
	if err != nil {
		t.Fatal(err)
	}
	clip := table.Clip{ID: "x#0", Text: text, Format: "wav", Audio: wav}
	words, err := WordTimes(ctx, params, clip, dir)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for i, w := range words {
		said = append(said, w.Text)
		if w.End <= w.Start || i > 0 && w.Start != words[i-1].End {
			t.Errorf("%q from %.3f to %.3f s, after %+v", w.Text, w.Start, w.End, words[max(0, i-1)])
		}
	}
	if strings.Join(said, " ") != text {
		t.Errorf("words %q", said)
	}
	samples, rateHz, err := audio.ReadPCM16(wav)
	if err != nil {
		t.Fatal(err)
	}
	// The comma's pause is the longest quiet between words: "beside" begins at its end.
	begin, from := 0, 0
	longest := 0
	for i, s := range samples[:len(samples)-rateHz/3] {
		if s > quietest || s < -quietest {
			from = i
		} else if i-from > longest {
			longest, begin = i-from, i
		}
	}
	for _, w := range words {
		if w.Text == "beside" {
			if d := w.Start - float64(begin)/float64(rateHz); d < -.06 || d > .06 {
				t.Errorf("beside begins at %.3f s, the pause before it ends at %.3f s", w.Start, float64(begin)/float64(rateHz))
			}
		}
	}
	clip.Text = "a small red circle"
	if _, err := WordTimes(ctx, params, clip, dir); !errors.Is(err, ErrNoTimes) {
		t.Errorf("of another clip: %v", err)
	}
}
