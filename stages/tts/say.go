package tts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
)

// say speaks with macOS's own synthesiser.
type say struct {
	path    string
	used    []stage.Tool
	voices  map[string]string // voice of the parameters -> say's name for it
	format  string            // native, wav, m4a or mp3
	encoder *encoder          // mp3 alone
}

func findSay(ctx context.Context, p Params) (*say, error) {
	path, err := tool.Path("say")
	if err != nil {
		return nil, missing(err, "say", "it comes with macOS; elsewhere use engine: espeak-ng")
	}
	s := &say{path: path, voices: map[string]string{}, format: p.Format}
	// say tells no version of its own: it is the system's.
	system, err := tool.Find(ctx, "sw_vers", "-productVersion")
	if err != nil {
		return nil, fmt.Errorf("find the version of say: %w", err)
	}
	s.used = []stage.Tool{{Name: "say", Version: "macOS " + system.Version}}
	r, err := tool.Run(ctx, tool.Cmd{Path: path, Args: []string{"-v", "?"}, Timeout: speechTimeout})
	if err != nil {
		return nil, fmt.Errorf("list say's voices: %w", err)
	}
	for _, v := range p.voices() {
		if s.voices[v], err = findVoice(string(r.Stdout), v); err != nil {
			return nil, err
		}
		s.used = append(s.used, stage.Tool{Name: "say's voice for " + v, Version: s.voices[v]})
	}
	if p.Format == "mp3" {
		if s.encoder, err = findEncoder(ctx, "mp3"); err != nil {
			return nil, err
		}
		s.used = append(s.used, s.encoder.tool())
	}
	return s, nil
}

func (s *say) tools() []stage.Tool { return s.used }

// findVoice looks voice up in what `say -v ?` prints,
//
//	Samantha            en_US    # Hello! My name is Samantha.
//	Bad News            en_US    # …
//
// by its name or else as a language, en-us, whose first voice it takes.
func findVoice(list, voice string) (string, error) {
	language := strings.ReplaceAll(voice, "-", "_")
	first := ""
	for line := range strings.Lines(list) {
		entry, _, _ := strings.Cut(line, "#")
		f := strings.Fields(entry)
		if len(f) < 2 {
			continue
		}
		name, locale := strings.Join(f[:len(f)-1], " "), f[len(f)-1]
		if strings.EqualFold(name, voice) {
			return name, nil
		}
		if first == "" && strings.EqualFold(locale, language) {
			first = name
		}
	}
	if first == "" {
		return "", fmt.Errorf("say has no voice %q: `say -v '?'` lists them", voice)
	}
	return first, nil
}

// speak implements engine. The kind of file goes by its suffix; WAV needs the
// format of its samples said as well.
func (s *say) speak(ctx context.Context, u utterance, dir string) ([]byte, string, error) {
	return inFolder(dir, func(dir string) ([]byte, string, error) { return s.speakIn(ctx, u, dir) })
}

// speakIn is speak in a folder of the caption's own.
func (s *say) speakIn(ctx context.Context, u utterance, dir string) ([]byte, string, error) {
	out, format := "speech.m4a", "m4a"
	var how []string
	switch s.format {
	case "wav":
		out, format, how = "speech.wav", "wav", []string{"--file-format=WAVE", "--data-format=LEI16@22050"}
	case "mp3":
		out, format = "speech.aiff", "aiff"
	}
	args := append([]string{"-v", s.voices[u.voice], "-r", strconv.Itoa(u.rate), "-o", out}, how...)
	_, err := tool.Run(ctx, tool.Cmd{
		Path: s.path, Args: append(args, "-f", "-"), Dir: dir, Stdin: strings.NewReader(u.text), Timeout: speechTimeout,
	})
	if err != nil {
		return nil, "", err
	}
	data, err := readOutput(filepath.Join(dir, out))
	if err != nil || s.encoder == nil {
		return data, format, err
	}
	return s.encoder.encode(ctx, data, dir)
}

// readOutput reads the file that a program left. It may have left none, or
// something that is no file.
func readOutput(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, stage.Reject("the program wrote no %s", filepath.Base(path))
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", filepath.Base(path))
	}
	return os.ReadFile(path)
}
