package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/hearsight/hearsight/internal/pairs"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// hostileWords are the ids that were collected to do harm, and every short line
// of the hostile text files.
func hostileWords(t *testing.T) []string {
	t.Helper()
	dir := sharedtest.Path(t, "badinputs", "files", "text")
	data, err := os.ReadFile(filepath.Join(dir, "gen-ids-hostile.json"))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	if err := json.Unmarshal(data, &words); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "gen-[cf]*.t*xt"))
	if err != nil || len(files) < 50 {
		t.Fatalf("%d text files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimRight(line, "\n"); len(line) < 4000 {
				words = append(words, line)
			}
		}
	}
	words = append(words, "a\x1b[31mb", "a\u0085b", "a\u202eb", "a\u2028b", "\a", "\u200f")
	slices.Sort(words)
	return slices.Compact(words)
}

// A sandbox is a folder of a spec, deep enough that no ".." of the words leaves
// what is watched.
type sandbox struct{ top, dir string }

func newSandbox(t *testing.T, files map[string]string) sandbox {
	t.Helper()
	s := sandbox{top: t.TempDir()}
	s.dir = filepath.Join(s.top, "1/2/3/4/5/6/7/8/spec")
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// do runs the program in the sandbox; what it prints must be fit for a terminal,
// and it must not hang.
func (s sandbox) do(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, "hearsight", args...)
	var b bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%.200q: %v\n%.1000s", args, err, &b)
	}
	if strings.Contains(b.String(), "goroutine ") || cmd.ProcessState.ExitCode() < 0 {
		t.Errorf("%.200q died: %.1000s", args, &b)
	}
	plain(t, fmt.Sprintf("%.200q", args), b.String())
	return b.String(), cmd.ProcessState.ExitCode()
}

// made is what lies in the sandbox, but in the folders given.
func (s sandbox) made(t *testing.T, but ...string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(s.top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if slices.Contains(but, path) {
			return fs.SkipDir
		}
		if !strings.HasPrefix(s.dir+"/", path+"/") {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// yamlString writes a word in double quotes, whose escapes in Go are YAML's, too.
// What is no text cannot be in a spec.
func yamlString(word string) (string, bool) {
	return strings.ReplaceAll(strconv.QuoteToASCII(word), "${", "$${"), utf8.ValidString(word) && !strings.Contains(word, "\x00")
}

// TestHostileNames: words as names of stages and as paths in a spec. All that
// are refused are named at once, with file and line, before anything runs.
func TestHostileNames(t *testing.T) {
	var names, paths strings.Builder
	names.WriteString("version: 1\nstages:\n")
	paths.WriteString("version: 1\nstages:\n")
	var badNames, badPaths []string // as the spec's file and line
	line, harmless := 3, 0
	for i, word := range hostileWords(t) {
		text, ok := yamlString(word)
		if !ok {
			continue
		}
		fmt.Fprintf(&names, "  ? %s\n  : {kind: corpus, with: {table: t.csv}}\n", text)
		fmt.Fprintf(&paths, "  s%d:\n    {kind: corpus, with: {table: %s}}\n", i, text)
		if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" || len(word) > 64 || word == "" || word == "aux" {
			badNames = append(badNames, fmt.Sprintf("names.yaml:%d:", line))
		} else {
			harmless++
		}
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r == '\n' || r == '\t' || printable(string(r)) != string(r) }) {
			badPaths = append(badPaths, fmt.Sprintf("paths.yaml:%d:", line+1))
		}
		line += 2
	}
	if len(badNames) < 60 || len(badPaths) < 8 || harmless == 0 {
		t.Fatalf("%d bad names, %d bad paths, %d harmless", len(badNames), len(badPaths), harmless)
	}
	s := newSandbox(t, map[string]string{"names.yaml": names.String(), "paths.yaml": paths.String(), "t.csv": "id,caption\n1,a dog\n"})
	before := s.made(t)
	for _, verb := range []string{"plan", "run", "status"} {
		for file, bad := range map[string][]string{"names.yaml": badNames, "paths.yaml": badPaths} {
			out, code := s.do(t, verb, "-f", file)
			if code != exitUsage {
				t.Errorf("%s %s: exit code %d, want %d", verb, file, code, exitUsage)
			}
			for _, place := range bad {
				if !strings.Contains(out, place) {
					t.Errorf("%s %s does not say what is wrong at %s", verb, file, place)
				}
			}
			if got := strings.Count(out, file+":"); got != len(bad) {
				t.Errorf("%s %s: %d problems, want %d", verb, file, got, len(bad))
			}
		}
	}
	if after := s.made(t); !slices.Equal(before, after) {
		t.Errorf("now there are %q, before %q", after, before)
	}
}

// TestHostilePaths: words as paths that pass, of files that are not there or no
// tables. Each stage says so, and nothing is made but the store.
func TestHostilePaths(t *testing.T) {
	var spec strings.Builder
	spec.WriteString("version: 1\nstages:\n")
	n := 0
	for i, word := range hostileWords(t) {
		if text, ok := yamlString(word); ok && word != "" && printable(word) == word && !strings.ContainsAny(word, "\n\t") {
			fmt.Fprintf(&spec, "  s%d: {kind: corpus, with: {table: %s}}\n", i, text)
			n++
		}
	}
	s := newSandbox(t, map[string]string{"pipeline.yaml": spec.String()})
	before := s.made(t)
	out, code := s.do(t, "plan")
	if got := strings.Count(out, "\n"); code == exitOK || got < n {
		t.Errorf("plan: exit code %d, %d lines for %d stages: %.500s", code, got, n, out)
	}
	if _, code := s.do(t, "run", "--keep-going"); code == exitOK {
		t.Error("run: exit code 0")
	}
	if after := s.made(t, filepath.Join(s.dir, ".hearsight")); !slices.Equal(before, after) {
		t.Errorf("now there are %q, before %q", after, before)
	}
}

// TestHostileIDs: words as ids of items. All that are refused are named at once,
// with their rows; the others become files with names of their own, on file
// systems that know no case and compose letters, too.
func TestHostileIDs(t *testing.T) {
	var rows []hostileText
	bad := 0
	for _, word := range hostileWords(t) {
		if pairs.CheckID(word) != nil && word != "" { // an empty id is made up
			bad++
		}
		rows = append(rows, hostileText{word, "a dog runs"})
	}
	h := &hostile{texts: rows}
	s := newSandbox(t, nil)
	h.dir = s.dir
	h.writeTables(t)
	spec := "version: 1\nstages:\n  texts: {kind: corpus, with: {table: texts.parquet}%s}\n  speech: {kind: tts, in: texts, with: {engine: espeak-ng}}\n"
	write := func(limit string) {
		if err := os.WriteFile(filepath.Join(s.dir, "pipeline.yaml"), fmt.Appendf(nil, spec, limit), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	before := s.made(t)
	out, code := s.do(t, "run", "texts")
	if want := fmt.Sprintf("%d of %d items rejected", bad, len(rows)); code != exitRejected || !strings.Contains(out, want) {
		t.Errorf("exit code %d, want %d and %q:\n%s", code, exitRejected, want, out)
	}
	for i, r := range rows {
		refused := strings.Contains(out, fmt.Sprintf("row %d: ", i+1))
		if want := pairs.CheckID(r.ID) != nil && r.ID != ""; refused != want {
			t.Errorf("row %d, %q: refused %v, want %v", i+1, r.ID, refused, want)
		}
	}
	write(", max_rejects: 100%")
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Log("no espeak-ng: the ids are not spoken")
	} else {
		s.do(t, "run")
		s.do(t, "status")
		if out, code := s.do(t, "get", "--unpack", "speech", "out"); code != exitOK {
			t.Errorf("get: exit code %d\n%s", code, out)
		}
		files, err := filepath.Glob(filepath.Join(s.dir, "out", "*.wav"))
		names := map[string]bool{}
		for _, f := range files {
			names[norm.NFC.String(strings.ToLower(f))] = true
		}
		if err != nil || len(names) != len(rows)-bad {
			t.Errorf("%d files of different names, want %d: %q, %v", len(names), len(rows)-bad, files, err)
		}
	}
	if after := s.made(t, filepath.Join(s.dir, ".hearsight"), filepath.Join(s.dir, "out")); !slices.Equal(before, after) {
		t.Errorf("now there are %q, before %q", after, before)
	}
}

// TestHostileFlags: words as --store and as files to write to. What is made is
// the file or folder named, and nothing beside it.
func TestHostileFlags(t *testing.T) {
	s := newSandbox(t, map[string]string{"pipeline.yaml": "version: 1\nstages:\n  texts: {kind: corpus, with: {table: t.csv}}\n", "t.csv": "id,caption\n1,a dog\n"})
	if out, code := s.do(t, "run"); code != exitOK {
		t.Fatal(out)
	}
	before := s.made(t, filepath.Join(s.dir, ".hearsight"))
	for i, word := range hostileWords(t) {
		if strings.Contains(word, "\x00") || strings.HasPrefix(word, "/") { // no argument can be that, or it is outside on purpose
			continue
		}
		path := filepath.Join(s.dir, word)
		uses := [][]string{
			{"report", "-o", word}, {"get", "--", "texts", word}, {"inspect", "texts/captions.parquet", "--export", "csv", "--output=" + word},
			{"run", "--trace=" + word}, {"inspect", "--", word}, {"plan", "-f", word},
		}
		for _, args := range [][]string{{"run", "--store=" + word}, uses[i%len(uses)], uses[(i+1)%len(uses)]} { // each word thrice, each use with a third of them
			out, code := s.do(t, args...)
			if code != exitOK && strings.TrimSpace(out) == "" {
				t.Errorf("%.200q: exit code %d without a word", args, code)
			}
			for _, made := range s.made(t, filepath.Join(s.dir, ".hearsight")) {
				if slices.Contains(before, made) {
					continue
				}
				if made != path && !strings.HasPrefix(made, path+"/") && !strings.HasPrefix(path, made+"/") && path != s.dir {
					t.Errorf("%.200q made %s", args, made)
				}
				if err := os.RemoveAll(made); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
