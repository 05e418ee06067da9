package tts

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
)

const installEspeak = "apt-get install espeak-ng (Debian, Ubuntu), dnf install espeak-ng (Fedora), brew install espeak-ng (macOS)"

const (
	// wavMaxBytes of 16-bit samples at 22,050 Hz are 50 minutes.
	wavMaxBytes = 128 << 20
	// espeakMaxBytes is the longest clip in espeak-ng's format: what is longer
	// is set aside anyway, and need not be held.
	espeakMaxBytes = 44 + mostSeconds*22050*2
)

// espeak speaks with espeak-ng, and encodes with ffmpeg if asked for more than
// WAV.
type espeak struct {
	path    string
	used    []stage.Tool
	encoder *encoder // nil: WAV

	dataDir  string   // its data; empty: not known
	files    []string // of the data, what the voices are made of
	slimPath string   // its --path, see slim; empty: its own
}

func findEspeak(ctx context.Context, p Params) (*espeak, error) {
	found, err := tool.Find(ctx, "espeak-ng")
	if err != nil {
		return nil, missing(err, "espeak-ng", installEspeak)
	}
	e := &espeak{path: found.Path}
	version, dataDir := parseVersion(found.Version)
	known, err := e.voices(ctx)
	if err != nil {
		return nil, err
	}
	files := []string{"phontab", "phonindex", "phondata", "intonations"}
	for _, v := range p.voices() {
		f, err := known.files(v)
		if err != nil {
			return nil, err
		}
		files = append(files, f...)
	}
	e.dataDir, e.files = dataDir, files
	data, err := hashVoiceData(dataDir, slices.Clone(files))
	if err != nil {
		return nil, err
	}
	e.used = []stage.Tool{{Name: "espeak-ng", Version: version}, {Name: "espeak-ng voice data", Version: data}}
	if p.Format == "m4a" || p.Format == "mp3" {
		if e.encoder, err = findEncoder(ctx, p.Format); err != nil {
			return nil, err
		}
		e.used = append(e.used, e.encoder.tool())
	}
	return e, nil
}

func (e *espeak) tools() []stage.Tool { return e.used }

// versionLine is "eSpeak NG text-to-speech: 1.51  Data at: /usr/lib/…".
var versionLine = regexp.MustCompile(`^(.*\S)\s+Data at: (.+)$`)

// parseVersion splits the version line. Where the data lies is not part of the
// version: the same voices in another folder sound the same.
func parseVersion(line string) (version, dataDir string) {
	if m := versionLine.FindStringSubmatch(line); m != nil {
		return m[1], m[2]
	}
	return line, ""
}

// hashVoiceData returns one digest of the named files of the data folder, as
// far as they exist: voices moved from voices/ to lang/ between versions.
func hashVoiceData(dir string, names []string) (string, error) {
	if dir == "" {
		return "unknown", nil
	}
	slices.Sort(names)
	var all bytes.Buffer
	for _, name := range slices.Compact(names) {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read espeak-ng's voice data: %w", err)
		}
		fmt.Fprintf(&all, "%s %s\n", name, table.SumBytes(b))
	}
	return "sha256:" + table.SumBytes(all.Bytes()), nil
}

// voiceList is what `espeak-ng --voices` prints: names in lower case, each with
// the voice's file.
type voiceList struct{ voices, variants map[string]string }

// voices asks espeak-ng for its voices. It has to be asked: for a voice that it
// does not know it falls back to another and reports success.
func (e *espeak) voices(ctx context.Context) (voiceList, error) {
	out := voiceList{}
	for arg, into := range map[string]*map[string]string{"--voices": &out.voices, "--voices=variant": &out.variants} {
		r, err := tool.Run(ctx, tool.Cmd{Path: e.path, Args: []string{arg}, Timeout: speechTimeout})
		if err != nil {
			return voiceList{}, fmt.Errorf("list espeak-ng's voices: %w", err)
		}
		*into = parseVoices(r.Stdout)
	}
	return out, nil
}

// otherLanguage is one entry of the last column: "(en 3)".
var otherLanguage = regexp.MustCompile(`\(([^ ()]+) \d+\)`)

// parseVoices reads the columns Pty Language Age/Gender VoiceName File Others.
// A voice goes by its language, name and file. Others are languages that it can
// stand in for, which the first to name one does.
func parseVoices(out []byte) map[string]string {
	names := map[string]string{}
	add := func(name, file string) {
		if name = strings.ToLower(name); names[name] == "" {
			names[name] = file
		}
	}
	var stand [][2]string
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 5 || f[0] == "Pty" {
			continue
		}
		file := f[4]
		if f[1] != "variant" {
			add(f[1], file)
		}
		add(f[3], file)
		add(file, file)
		add(filepath.Base(file), file)
		for _, m := range otherLanguage.FindAllStringSubmatch(strings.Join(f[5:], " "), -1) {
			stand = append(stand, [2]string{m[1], file})
		}
	}
	for _, s := range stand {
		add(s[0], s[1])
	}
	return names
}

// files checks that voice is known and returns the data files it is made of.
func (l voiceList) files(voice string) ([]string, error) {
	base, variant, varied := strings.Cut(voice, "+")
	file := l.voices[strings.ToLower(base)]
	if file == "" {
		return nil, fmt.Errorf("espeak-ng has no voice %q: `espeak-ng --voices` lists them", base)
	}
	out := []string{"lang/" + file, "voices/" + file}
	// Dictionaries go by language: en_dict serves gmw/en-US.
	language, _, _ := strings.Cut(filepath.Base(file), "-")
	out = append(out, strings.ToLower(language)+"_dict")
	if varied {
		vfile := l.variants[strings.ToLower(variant)]
		if vfile == "" {
			return nil, fmt.Errorf("espeak-ng has no variant %q of a voice: `espeak-ng --voices=variant` lists them", variant)
		}
		out = append(out, "voices/"+vfile)
	}
	return out, nil
}

// speak implements engine.
func (e *espeak) speak(ctx context.Context, u utterance, dir string) ([]byte, string, error) {
	wav, format, err := e.sound(ctx, u, dir)
	if err != nil || e.encoder == nil {
		return wav, format, err
	}
	return inFolder(dir, func(dir string) ([]byte, string, error) { return e.encoder.encode(ctx, wav, dir) })
}

// sound speaks as WAV. It comes by stdout: written to a file, it would be cut
// short without a word when the disk is full.
func (e *espeak) sound(ctx context.Context, u utterance, dir string) ([]byte, string, error) {
	args := []string{"-b", "1", "-v", u.voice, "-s", strconv.Itoa(u.rate), "-p", strconv.Itoa(u.pitch), "--stdin", "--stdout"}
	if u.markup {
		args = append(args, "-m")
	}
	if e.slimPath != "" {
		args = append(args, "--path="+e.slimPath)
	}
	sound, _ := sounds.Get().(*bytes.Buffer)
	sound.Reset()
	_, err := tool.Run(ctx, tool.Cmd{
		Path: e.path, Args: args, Dir: dir, Stdin: strings.NewReader(u.text), Stdout: sound, Timeout: speechTimeout, MaxOutputBytes: espeakMaxBytes,
	})
	if err != nil { // then somebody may still write to sound
		return nil, "", tooLong(err, "more than %d s of it: too long for a caption", mostSeconds)
	}
	wav, err := repair(bytes.Clone(sound.Bytes()))
	sounds.Put(sound)
	return wav, "wav", err
}

// tooLong makes the end of a program that would not stop speaking a reason to
// set its caption aside.
func tooLong(err error, format string, limit ...any) error {
	var over *tool.LimitError
	if errors.As(err, &over) && (strings.HasPrefix(over.Reason, "printed too much") || strings.HasPrefix(over.Reason, "wrote a file larger")) {
		return stage.Reject("speech: "+format, limit...)
	}
	return err
}

// sounds are buffers that sound of a length not known is read into: without
// them most of our share of a caption's time would go to growing some.
var sounds = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// repair sets the two lengths in the header of a WAV that was written to a
// pipe. Its writer did not know them and put 0x7ffff000 there.
func repair(wav []byte) ([]byte, error) {
	const header = 44
	if len(wav) < header || string(wav[:4]) != "RIFF" || string(wav[36:40]) != "data" {
		return nil, stage.Reject("espeak-ng said nothing")
	}
	wav = wav[:len(wav)&^1]
	binary.LittleEndian.PutUint32(wav[4:], uint32(len(wav)-8))
	binary.LittleEndian.PutUint32(wav[40:], uint32(len(wav)-header))
	return wav, nil
}
