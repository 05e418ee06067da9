package tts

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/pairs"
	"github.com/hearsight/hearsight/internal/table"
)

// A Word is a word of a caption and when it is heard, in seconds. Words that the
// synthesiser runs into one are one.
type Word struct {
	Text       string
	Start, End float64
}

// ErrNoTimes says that a clip's words have no times: its synthesiser does not
// tell them.
var ErrNoTimes = errors.New("word times are not known")

// maxTimed bounds the words of a clip that are looked for: each is one more
// synthesis of the caption, of some 10 ms.
const maxTimed = 200

// WordTimes says when each word of a clip is heard that a stage with these
// parameters (as Kind.Canonical has them) made. The error wraps ErrNoTimes where
// that cannot be told.
//
// espeak-ng's command line prints no times of words. But it takes SSML, and the
// volume of a voice may change before any word: spoken once more so that only
// the words from one on are softer, a caption sounds the same, sample by sample,
// up to where that word begins. That costs a synthesis a word, and checks itself:
// where already the clip cannot be spoken again to the sample, there are no
// times.
func WordTimes(ctx context.Context, params []byte, clip table.Clip, dir string) ([]Word, error) {
	var p Params
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, fmt.Errorf("parameters of tts: %w", err)
	}
	found, err := findEngine(ctx, p, "")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTimes, err)
	}
	e, ok := found.(*espeak)
	if !ok {
		return nil, fmt.Errorf("%w: only espeak-ng's clips have them", ErrNoTimes)
	}
	spoken, _, err := pairs.Normalise(clip.Text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTimes, err)
	}
	words := strings.Fields(literal(spoken))
	if len(words) > maxTimed {
		return nil, fmt.Errorf("%w: %d words, the limit is %d", ErrNoTimes, len(words), maxTimed)
	}
	u := p.choose(clip.ID)
	u.text = literal(spoken)
	plain, rateHz, err := e.samples(ctx, u, dir)
	if err != nil {
		return nil, err
	}
	marked := u
	marked.markup, marked.text = true, escaped(words)
	again, _, err := e.samples(ctx, marked, dir)
	if err != nil {
		return nil, err
	}
	if firstDifference(plain, again) >= 0 || !sameClip(clip, plain, rateHz) {
		return nil, fmt.Errorf("%w: espeak-ng now says %q otherwise than in the clip", ErrNoTimes, clip.Text)
	}
	return e.timed(ctx, u, dir, words, plain, float64(rateHz))
}

// timed looks for where each word begins in the plain clip.
func (e *espeak) timed(ctx context.Context, u utterance, dir string, words []string, plain []int16, rate float64) ([]Word, error) {
	var out []Word
	u.markup = true
	for k, word := range words {
		u.text = escaped(words[:k]) + ` <prosody volume="50">` + escaped(words[k:]) + `</prosody>`
		softer, _, err := e.samples(ctx, u, dir)
		if err != nil {
			return nil, err
		}
		start := float64(max(0, firstDifference(plain, softer))) / rate
		sounds := strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsSymbol(r) })
		if n := len(out); n > 0 && (start <= out[n-1].Start || !sounds) {
			out[n-1].Text += " " + word // said with the one before
			continue
		}
		out = append(out, Word{Text: word, Start: start})
	}
	end := len(plain)
	for end > 0 && plain[end-1] > -quietest && plain[end-1] < quietest {
		end--
	}
	for k := range out {
		out[k].End = float64(end) / rate
		if k+1 < len(out) {
			out[k].End = out[k+1].Start
		}
	}
	return out, nil
}

// quietest is the amplitude below which the end of a clip is a pause.
const quietest = 64

// samples speaks u and returns what is heard.
func (e *espeak) samples(ctx context.Context, u utterance, dir string) ([]int16, int, error) {
	wav, _, err := e.sound(ctx, u, dir)
	if err != nil {
		return nil, 0, fmt.Errorf("word times: %w", err)
	}
	return audio.ReadPCM16(wav)
}

// escaped is words as text of SSML.
func escaped(words []string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(strings.Join(words, " "))) // a buffer takes all
	return b.String()
}

// firstDifference is where two sounds begin to differ, -1 if they are equal.
func firstDifference(a, b []int16) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) == len(b) {
		return -1
	}
	return min(len(a), len(b))
}

// sameClip reports whether the clip is what was just spoken: to the sample if it
// is WAV, by its length if it was encoded since.
func sameClip(clip table.Clip, plain []int16, rateHz int) bool {
	if clip.Format != "wav" {
		d := clip.Seconds - float64(len(plain))/float64(rateHz)
		return d > -.1 && d < .1
	}
	samples, rate, err := audio.ReadPCM16(clip.Audio)
	return err == nil && rate == rateHz && firstDifference(samples, plain) < 0
}
