package tts

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
)

// Names in the folder that a command speaks one caption in.
const (
	textFile = "text.txt"
	wavFile  = "speech.wav"
	ownFiles = "files"
)

// placeholders are what a command's arguments may hold. None is the text.
var placeholders = []string{"{voice}", "{rate}", "{stretch}", "{pitch}", "{text_file}", "{wav}", "{files}"}

// placeholder is whatever could be meant for one.
var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// holds reports whether one of marks is in the command.
func (p Params) holds(marks ...string) bool {
	return slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(strings.Join(p.Command, "\x00"), m) })
}

// checkCommand adds what is wrong with the parameters of engine: command.
func (p Params) checkCommand(add func(param, format string, args ...any)) {
	if p.Engine != "command" {
		for _, c := range []struct {
			param string
			given bool
		}{
			{"command", len(p.Command) > 0}, {"version", p.Version != ""}, {"version_command", len(p.VersionCommand) > 0},
			{"voices_command", len(p.VoicesCommand) > 0}, {"files", p.Files != ""},
		} {
			if c.given {
				add(c.param, "goes with engine: command, and the engine is %s", p.Engine)
			}
		}
		return
	}
	if len(p.Command) == 0 {
		add("command", `is missing: engine: command needs one, such as [flite, -voice, "{voice}", -f, "{text_file}", -o, "{wav}"]`)
		return
	}
	if p.Version == "" && len(p.VersionCommand) == 0 {
		add("version", "is missing: say the engine's version, or with version_command how to ask for it, such as [flite, --version]")
	}
	checkProgram("command", p.Command, add)
	checkProgram("version_command", p.VersionCommand, add)
	checkProgram("voices_command", p.VoicesCommand, add)
	for _, mark := range placeholder.FindAllString(strings.Join(p.Command, "\x00"), -1) {
		if mark == "{text}" {
			add("command", "{text} is not an argument, lest a caption become an option: the text comes by standard input, or as the file {text_file}")
		} else if !slices.Contains(placeholders, mark) {
			add("command", "%s is none of %s", mark, strings.Join(placeholders, ", "))
		}
	}
	for _, c := range []struct {
		param string
		given bool
		marks []string
	}{
		{"voices", len(p.Voices) > 1, []string{"{voice}"}},
		{"rate_max", p.RateMax > p.Rate, []string{"{rate}", "{stretch}"}},
		{"pitch_max", p.PitchMax > p.Pitch, []string{"{pitch}"}},
		{"files", p.Files != "", []string{"{files}"}},
	} {
		if c.given && !p.holds(c.marks...) {
			add(c.param, "says nothing to the command, which has no %s", strings.Join(c.marks, " or "))
		}
	}
	if p.holds("{files}") && p.Files == "" {
		add("files", "is missing: the command has {files}")
	}
}

// checkProgram wants a program that is found the same way from every folder.
func checkProgram(param string, command []string, add func(param, format string, args ...any)) {
	if len(command) == 0 {
		return
	}
	name := command[0]
	switch own := param == "command" && strings.HasPrefix(name, "{files}/"); {
	case name == "" || !own && strings.Contains(name, "{"):
		add(param, "%q is no program: the first word is its name", name)
	case !own && strings.Contains(name, "/") && !filepath.IsAbs(name):
		add(param, "%q: name a program on PATH, an absolute path, or in command one of its own files as {files}/…", name)
	case own && !filepath.IsLocal(strings.TrimPrefix(name, "{files}/")):
		add(param, "%q leaves {files}", name)
	case slices.ContainsFunc(command, func(a string) bool { return strings.Contains(a, "\x00") }):
		add(param, "holds a NUL")
	}
}

// A command speaks with any program that reads a text and writes WAV.
type command struct {
	p       Params
	path    string // program, as tool.Cmd takes it
	files   string // folder or file of its own; empty: none, or not to be run yet
	used    []stage.Tool
	encoder *encoder // nil: WAV
}

func findCommand(ctx context.Context, p Params, files string) (_ *command, err error) {
	c := &command{p: p}
	name := p.Command[0]
	if own, ok := strings.CutPrefix(name, "{files}/"); ok {
		c.path = path.Join(ownFiles, own)
	} else if c.path, err = tool.Path(name); err != nil {
		return nil, missing(err, name, "the parameter command names it; install it, or name its path")
	}
	if files != "" {
		if c.files, err = filepath.Abs(files); err != nil {
			return nil, err
		}
	}
	version := p.Version
	if len(p.VersionCommand) > 0 {
		said, err := ask(ctx, p.VersionCommand)
		if err != nil {
			return nil, fmt.Errorf("ask %s for its version: %w", path.Base(name), err)
		}
		version = strings.TrimSpace(version + " " + said)
	}
	c.used = []stage.Tool{{Name: path.Base(name), Version: version}}
	if len(p.VoicesCommand) > 0 {
		if err := c.checkVoices(ctx); err != nil {
			return nil, err
		}
	}
	if p.Format == "m4a" || p.Format == "mp3" {
		if c.encoder, err = findEncoder(ctx, p.Format); err != nil {
			return nil, err
		}
		c.used = append(c.used, c.encoder.tool())
	}
	return c, nil
}

func (c *command) tools() []stage.Tool { return c.used }

// ask runs a command and returns what it printed, all of it: a version may be
// anywhere. flite's is in its second line, and its exit status then is 1, so that
// of a program that has something to say on stdout is not asked for.
func ask(ctx context.Context, command []string) (string, error) {
	full, err := tool.Path(command[0])
	if err != nil {
		return "", missing(err, command[0], "install it, or name its path")
	}
	r, err := tool.Run(ctx, tool.Cmd{Path: full, Args: command[1:], Timeout: 10 * time.Second, MaxOutputBytes: 1 << 20})
	var exit *tool.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Signal != 0 || len(r.Stdout) == 0) {
		return "", err
	}
	for _, text := range []string{string(r.Stdout), r.Stderr} {
		if said := strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " "); said != "" {
			return said, nil
		}
	}
	return "", errors.New("it printed nothing")
}

// checkVoices looks for the voices in the engine's own list. Many engines take
// another voice for one that they do not know, and report success.
func (c *command) checkVoices(ctx context.Context) error {
	list, err := ask(ctx, c.p.VoicesCommand)
	if err != nil {
		return fmt.Errorf("list the voices of %s: %w", c.used[0].Name, err)
	}
	for _, v := range c.p.voices() {
		word := regexp.MustCompile(`(^|[\s,;:"'])` + regexp.QuoteMeta(v) + `($|[\s,;:"'])`)
		if !word.MatchString(list) {
			return fmt.Errorf("%s has no voice %q: it lists %.400s", c.used[0].Name, v, list)
		}
	}
	return nil
}

// args returns the arguments for an utterance. They are made of the spec's
// parameters and of names of ours; the text has no part in them.
func (c *command) args(u utterance) []string {
	fill := strings.NewReplacer("{voice}", u.voice, "{rate}", strconv.Itoa(u.rate), "{pitch}", strconv.Itoa(u.pitch),
		"{stretch}", strconv.FormatFloat(float64(usualRate)/float64(u.rate), 'f', 3, 64),
		"{text_file}", textFile, "{wav}", wavFile, "{files}", ownFiles)
	out := make([]string, 0, len(c.p.Command)-1)
	for _, a := range c.p.Command[1:] {
		out = append(out, fill.Replace(a))
	}
	return out
}

// speak implements engine. That the program fails is the caption's fault: it
// may refuse a text.
func (c *command) speak(ctx context.Context, u utterance, dir string) ([]byte, string, error) {
	return inFolder(dir, func(dir string) ([]byte, string, error) { return c.speakIn(ctx, u, dir) })
}

// speakIn is speak in a folder of the caption's own.
func (c *command) speakIn(ctx context.Context, u utterance, dir string) ([]byte, string, error) {
	if c.files != "" {
		if err := os.Symlink(c.files, filepath.Join(dir, ownFiles)); err != nil {
			return nil, "", err
		}
	}
	cmd := tool.Cmd{
		Path: c.path, Args: c.args(u), Dir: dir, Env: append(tool.BaseEnv(), "LC_ALL=C.UTF-8"), // the text is UTF-8
		Timeout: speechTimeout, MaxOutputBytes: wavMaxBytes, MaxFileBytes: wavMaxBytes,
	}
	text := u.text + "\n" // some read lines
	if !c.p.holds("{text_file}") {
		cmd.Stdin = strings.NewReader(text)
	} else if err := os.WriteFile(filepath.Join(dir, textFile), []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	r, err := tool.Run(ctx, cmd)
	var exit *tool.ExitError
	if errors.As(err, &exit) && exit.Signal == 0 {
		return nil, "", stage.Reject("%s", strings.Join(strings.Fields(exit.Error()), " "))
	} else if err != nil {
		return nil, "", tooLong(err, "longer than %d MiB", wavMaxBytes>>20)
	}
	wav := r.Stdout
	if c.p.holds("{wav}") {
		if wav, err = readOutput(filepath.Join(dir, wavFile)); err != nil {
			return nil, "", err
		}
	}
	if err := checkWAV(wav); err != nil {
		return nil, "", stage.Reject("%s: %v", c.used[0].Name, err)
	}
	if c.encoder != nil {
		return c.encoder.encode(ctx, wav, dir)
	}
	return wav, "wav", nil
}

// checkWAV wants a whole WAV file, whose lengths it sets where the writer left
// them open.
func checkWAV(wav []byte) error {
	closeWAV(wav)
	info, err := audio.Probe(wav)
	switch {
	case len(wav) == 0:
		return errors.New("it wrote nothing")
	case err != nil:
		return fmt.Errorf("what it wrote cannot be read: %w", err)
	case info.Format != "wav":
		return fmt.Errorf("it wrote %s, not WAV", info.Format)
	case info.Damaged:
		return fmt.Errorf("its WAV is damaged: %s", strings.Join(info.Warnings, "; "))
	}
	return nil
}

// closeWAV sets the lengths of a WAV that was written to a pipe, if the one of
// its sound is a value that stands for not known: 0, or 2 GiB or more. Any other
// that is wrong says that sound is missing, and stays.
func closeWAV(wav []byte) {
	if len(wav) < 12 || string(wav[:4]) != "RIFF" {
		return
	}
	le := binary.LittleEndian
	for at := 12; len(wav)-at >= 8; {
		size := int64(le.Uint32(wav[at+4:]))
		if string(wav[at:at+4]) == "data" {
			if size == 0 || size >= 0x7ffff000 {
				le.PutUint32(wav[4:], uint32(len(wav)-8))
				le.PutUint32(wav[at+4:], uint32(len(wav)-at-8))
			}
			return
		}
		at += 8 + int(size+size&1)
	}
}
