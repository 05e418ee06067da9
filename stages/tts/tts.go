// Package tts speaks captions: for every caption a clip, made by the speech
// synthesiser of the machine.
//
// Two synthesisers are known: espeak-ng, which is everywhere, and say, which is
// on every Mac and is what the paper used. `engine: auto` takes say on a Mac
// and espeak-ng elsewhere. Any other is told by its command line:
//
//	engine: command
//	command: [flite, -voice, "{voice}", -f, "{text_file}", -o, "{wav}"]
//	version_command: [flite, --version]
//	voices_command: [flite, -lv]
//	voices: [slt, rms]
//
//	engine: command
//	command: [piper, --model, "{files}", --length_scale, "{stretch}", --output_file, "{wav}"]
//	version: "1.2.0"
//	files: en_US-lessac-medium.onnx
//
// One process speaks one caption. The text goes in by standard input or, if the
// command has {text_file}, as a file of ours, so that no caption can become an
// option, a file name or a command; marks by which a text could steer the
// synthesiser are taken apart: [[, between which espeak-ng, say and piper expect
// phonemes or commands, becomes [ [. Tags such as SSML's are text like any other
// to espeak-ng, which is not asked to heed them.
//
// A command's words may hold {voice}, {rate} in words a minute, {stretch}, which
// is 175 / rate, {pitch}, {text_file}, {wav}, which is the file to write (without
// it the WAV comes by standard output), and {files}: the stage's parameter files.
// Its version has to be declared, for it is in the key, and promised with it is
// that the same text, voice and version give the same sound. Where
// voices_command lists what voices there are, they are checked before a run.
//
// With several voices, or a range of rates or pitches, each caption gets its
// own, drawn from the seed and the caption's id: adding a caption changes no
// other's voice.
//
// The clip is kept as the synthesiser wrote it (format: native, which is WAV
// from espeak-ng and M4A from say) or as wav, m4a or mp3; ffmpeg encodes what
// the synthesiser cannot. The versions of all programs, and of espeak-ng's
// voice data, are in the key: a new espeak-ng speaks everything anew.
//
// A caption that cannot be spoken is set aside: an empty one, one over 64 KiB,
// one that is not UTF-8 or holds control characters, and one whose speech is
// far too short or too long for its words, for espeak-ng reports success
// whatever happens.
package tts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hearsight/hearsight/internal/pairs"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind speaks captions.
var Kind = stage.NewItems(stage.Kind{
	Name:    "tts",
	Doc:     "speak captions with espeak-ng, say on a Mac, or any synthesiser by its command line",
	Version: 2,
	Inputs:  []stage.Input{{Name: "captions", Doc: "the captions of a data set", Types: []string{"pairs"}}},
	Output:  "speech",
}, defaults, stage.Items[Params, table.Clip]{
	List:  list,
	Open:  open,
	Table: func(Params) stage.Table[table.Clip] { return table.Clips },
})

// usualRate is the speed, in words a minute, that synthesisers have by default.
const usualRate = 175

var defaults = Params{
	Engine: "auto", Voice: "en-us", Voices: []string{}, Rate: usualRate, Pitch: 50, Format: "native", Seed: 1,
	Command: []string{}, VersionCommand: []string{}, VoicesCommand: []string{},
}

// Params are the parameters of Kind.
type Params struct {
	Engine   string   `json:"engine" doc:"synthesiser; auto: say on a Mac, else espeak-ng" enum:"auto,espeak-ng,say,command"`
	Voice    string   `json:"voice" doc:"voice: a name, or a language such as en-us; espeak-ng also en-us+f2"`
	Voices   []string `json:"voices" doc:"several voices instead of one; each caption gets one by the seed"`
	Rate     int      `json:"rate" doc:"speed of speech" min:"80" max:"450" unit:"words a minute"`
	RateMax  int      `json:"rate_max" doc:"if above rate, each caption gets a rate from rate to this" min:"0" max:"450" unit:"words a minute"`
	Pitch    int      `json:"pitch" doc:"pitch of espeak-ng's voices" min:"0" max:"99"`
	PitchMax int      `json:"pitch_max" doc:"if above pitch, each caption gets a pitch from pitch to this" min:"0" max:"99"`
	Format   string   `json:"format" doc:"format of the clips; native: as the synthesiser writes them" enum:"native,wav,m4a,mp3"`
	Seed     int64    `json:"seed" doc:"what voices, rates and pitches are drawn from"`

	Command        []string `json:"command" doc:"engine command: program and arguments, with {voice}, {rate}, {stretch}, {pitch}, {text_file}, {wav} and {files}; no shell looks at them"`
	Version        string   `json:"version" doc:"engine command: its version, if version_command cannot tell"`
	VersionCommand []string `json:"version_command" doc:"engine command: what prints its version"`
	VoicesCommand  []string `json:"voices_command" doc:"engine command: what lists its voices, among which those named must be"`
	Files          string   `json:"files" doc:"engine command: a file or folder of its own, such as a voice, as {files}" path:"any"`
}

// Check implements stage.Checker.
func (p Params) Check() []spec.ParamProblem {
	var out []spec.ParamProblem
	add := func(param, format string, args ...any) {
		out = append(out, spec.ParamProblem{Param: param, Message: fmt.Sprintf(format, args...)})
	}
	if p.RateMax != 0 && p.RateMax < p.Rate {
		add("rate_max", "is %d, below the rate of %d", p.RateMax, p.Rate)
	}
	if p.PitchMax != 0 && p.PitchMax < p.Pitch {
		add("pitch_max", "is %d, below the pitch of %d", p.PitchMax, p.Pitch)
	}
	for _, v := range p.voices() {
		if v == "" || strings.HasPrefix(v, "-") || strings.ContainsFunc(v, unicode.IsControl) {
			add("voice", "%q cannot be the name of a voice", v)
		}
	}
	if i := duplicate(p.Voices); i >= 0 {
		add("voices", "%q is there twice", p.Voices[i])
	}
	p.checkCommand(add)
	return out
}

func duplicate(s []string) int {
	return slices.IndexFunc(s, func(v string) bool { return slices.Index(s, v) != lastIndex(s, v) })
}

func lastIndex(s []string, v string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == v {
			return i
		}
	}
	return -1
}

func (p Params) voices() []string {
	if len(p.Voices) > 0 {
		return p.Voices
	}
	return []string{p.Voice}
}

// An engine is a synthesiser that was found on this machine.
type engine interface {
	// tools are the programs and data that the clips depend on.
	tools() []stage.Tool
	// speak returns the clip of text and its format. dir is the stage's folder:
	// files go into one of the caption's own there, see inFolder.
	speak(ctx context.Context, u utterance, dir string) (audio []byte, format string, err error)
}

// An utterance is a caption with all that decides how it is spoken.
type utterance struct {
	text  string // normalised
	voice string // as in the parameters
	rate  int    // words a minute
	pitch int

	markup bool // the text is SSML, for espeak-ng
}

// Prepare implements stage.Preparer.
func (p Params) Prepare(ctx context.Context) ([]stage.Tool, error) {
	e, err := findEngine(ctx, p, "")
	if err != nil {
		return nil, err
	}
	return e.tools(), nil
}

func list(_ context.Context, t *stage.Task, _ Params) ([]stage.Item, error) {
	captions, err := rows.All(table.Captions, t.Input("captions"))
	if err != nil {
		return nil, err
	}
	items := make([]stage.Item, len(captions))
	for i, c := range captions {
		items[i] = stage.Item{ID: c.ID, Key: []string{"text sha256:" + table.SumBytes([]byte(c.Text))}, Ref: c.Text}
	}
	return items, nil
}

func open(ctx context.Context, t *stage.Task, p Params) (stage.Do[table.Clip], func() error, error) {
	e, err := findEngine(ctx, p, t.Paths["files"])
	if err != nil {
		return nil, nil, err
	}
	do := func(ctx context.Context, it stage.Item) (table.Clip, error) {
		text, _ := it.Ref.(string)
		return speak(ctx, t, e, p, it.ID, text)
	}
	done := func() error { return nil }
	if es, ok := e.(*espeak); ok {
		if done, err = es.slim(ctx, t.Dir, p.voices()); err != nil {
			return nil, nil, err
		}
	}
	return do, stage.Slack(done), nil
}

// speak makes the row of a caption.
func speak(ctx context.Context, t *stage.Task, e engine, p Params, id, text string) (clip table.Clip, err error) {
	spoken, warnings, err := pairs.Normalise(text)
	if err != nil {
		return table.Clip{}, stage.Reject("%v", err)
	}
	u := p.choose(id)
	u.text = literal(spoken)
	data, format, err := e.speak(ctx, u, t.Dir)
	if err != nil {
		return table.Clip{}, judge(err)
	}
	clip, err = pairs.Clip(id, spoken, data)
	if err != nil || clip.Format != format {
		return table.Clip{}, stage.Reject("the synthesiser wrote %s that cannot be read", format)
	}
	if p.Engine != "command" || p.holds("{voice}") {
		clip.Voice = u.voice
	}
	w, err := plausible(u, clip.Seconds)
	if err != nil {
		return table.Clip{}, err
	}
	clip.Warnings = strings.Join(append(warnings, w...), "\n")
	return clip, nil
}

// literal takes apart the brackets by which both synthesisers let a text give
// commands or phonemes: [[…]].
func literal(text string) string {
	for strings.Contains(text, "[[") {
		text = strings.ReplaceAll(text, "[[", "[ [")
	}
	return text
}

const (
	minSeconds  = .1  // below it there is no sound; an espeak-ng that says nothing writes .007 s
	longSeconds = 60. // from where a clip is suspect
	// Speech of Flickr8k's captions lasts .8 to 1.3 times what its words and
	// rate say. The odd texts tried (digits, Roman numerals, Chinese) went from
	// .3 words' time a word up to .3 s a letter.
	minShare   = .15
	maxSeconds = 10. // and one second a letter
	// mostSeconds is the longest clip: five minutes are 13 MB of WAV, of which
	// this stage and those that follow hold some ten copies at a time.
	mostSeconds = 300
)

// plausible looks at the length of a clip, which is the only sign of a
// synthesiser that stopped half-way or said nothing.
func plausible(u utterance, seconds float64) (warnings []string, err error) {
	words := 0
	for _, f := range strings.Fields(u.text) {
		if strings.ContainsFunc(f, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
			words++
		}
	}
	wordSeconds := 60 / float64(u.rate)
	letters := float64(utf8.RuneCountInString(u.text)) * 3 * wordSeconds
	switch {
	case seconds < minSeconds:
		return nil, stage.Reject("spoken as %.2f s: nothing to hear", seconds)
	case seconds < minShare*float64(words)*wordSeconds:
		return nil, stage.Reject("spoken in %.1f s: too short for %d words", seconds, words)
	case seconds > maxSeconds+letters:
		return nil, stage.Reject("spoken in %.0f s: too long for %d letters", seconds, utf8.RuneCountInString(u.text))
	case seconds > mostSeconds:
		return nil, stage.Reject("spoken in %.0f s: too long for a caption, the limit is %d s", seconds, mostSeconds)
	case seconds > longSeconds:
		return []string{fmt.Sprintf("clip lasts %.0f s", seconds)}, nil
	}
	return nil, nil
}

// speechTimeout is far beyond the longest text: 64 KiB take espeak-ng 4 s.
const speechTimeout = 2 * time.Minute

// judge decides whose fault the failure of a program is: the caption's, which
// is set aside, or the machine's, which is worth another try.
func judge(err error) error {
	var exit *tool.ExitError
	var limit *tool.LimitError
	switch {
	case errors.As(err, &exit) && crashed(exit.Signal):
		return stage.Reject("%s crashed on it (%v)", exit.Name, exit.Signal)
	case errors.As(err, &exit) && exit.Signal != 0, errors.As(err, &limit):
		return &stage.Temporary{Err: err}
	}
	for _, short := range []error{syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY} {
		if errors.Is(err, short) {
			return &stage.Temporary{Err: err}
		}
	}
	return err
}

// crashed reports signals that a program brings upon itself.
func crashed(s syscall.Signal) bool {
	return slices.Contains([]syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGABRT, syscall.SIGFPE, syscall.SIGILL}, s)
}
