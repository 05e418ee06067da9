package exec

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

func run1(t *testing.T, params map[string]any, in ...*artifacts.Artifact) (stagetest.Result, error) {
	t.Helper()
	s := stagetest.Store(t)
	return stagetest.Run(t, Kind, stagetest.Options{Store: s, Params: params, Inputs: stagetest.In("in", in...)})
}

// sh is a command that runs a script with the arguments $1, $2, ….
func sh(script string, args ...string) []any {
	out := []any{"sh", "-euc", script, "sh"}
	for _, a := range args {
		out = append(out, a)
	}
	return out
}

func TestCommand(t *testing.T) {
	s := stagetest.Store(t)
	one := stagetest.Artifact(t, s, "files", stagetest.File("a.txt", []byte("first\n")), stagetest.File("deep/b.txt", []byte("second\n")))
	two := stagetest.Artifact(t, s, "files", stagetest.File("a.txt", []byte("third\n")))
	own := t.TempDir()
	if err := os.WriteFile(filepath.Join(own, "words"), []byte("own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	params := map[string]any{
		"command": sh(`cat "$1/a.txt" "$1/deep/b.txt" "$2" "$3/words" >"$4"; echo "$WORD {x}"; ls -d in/0/a.txt`, "{in.0}", "{in.1}/a.txt", "{files}", "{out}/all.txt"),
		"outputs": []any{"all.txt", "log/printed.txt"}, "stdout": "log/printed.txt", "files": own, "env": map[string]any{"WORD": "hello"},
	}
	r, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Params: params, Inputs: stagetest.In("in", one, two)})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(stagetest.Bytes(t, r.Artifact, "all.txt")); got != "first\nsecond\nthird\nown\n" {
		t.Errorf("all.txt = %q", got)
	}
	if got := string(stagetest.Bytes(t, r.Artifact, "log/printed.txt")); got != "hello {x}\nin/0/a.txt\n" {
		t.Errorf("printed %q", got)
	}
	if len(r.Tools) != 1 || r.Tools[0].Name != "sh" || !strings.HasPrefix(r.Tools[0].Version, "sha256:") {
		t.Errorf("tools = %v, want sh by its bytes", r.Tools)
	}
	again, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Params: params, Inputs: stagetest.In("in", one, two)})
	if err != nil || again.Artifact.Digest != r.Artifact.Digest {
		t.Errorf("a second run: %v, other bytes", err)
	}
}

// TestOwnProgram runs a program that is among the stage's files.
func TestOwnProgram(t *testing.T) {
	own := t.TempDir()
	if err := os.WriteFile(filepath.Join(own, "make.sh"), []byte("#!/bin/sh\necho \"$0\" >out/x\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := run1(t, map[string]any{"command": []any{"{files}/make.sh"}, "files": own, "outputs": []any{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(stagetest.Bytes(t, r.Artifact, "x")); got != "files/make.sh\n" || len(r.Tools) != 0 {
		t.Errorf("x = %q, tools %v", got, r.Tools)
	}
}

func TestFails(t *testing.T) {
	if err := syscall.Mknod(filepath.Join(t.TempDir(), "null"), syscall.S_IFCHR|0o600, 1<<8|3); err != nil {
		t.Logf("without a device among the outputs, which only root may make: %v", err)
	} else if _, err := run1(t, map[string]any{"command": sh("mknod out/x c 1 3"), "outputs": []any{"x"}}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("device: %v", err)
	}
	for _, c := range []struct {
		name   string
		params map[string]any
		want   string
	}{
		{"status", map[string]any{"command": sh("echo it is broken >&2; exit 3"), "outputs": []any{"x"}}, "it is broken"},
		{"missing", map[string]any{"command": sh("true"), "outputs": []any{"x", "y"}}, `output "y" is missing`},
		{"extra", map[string]any{"command": sh("echo >out/x; mkdir out/d; echo >out/d/z"), "outputs": []any{"x"}}, `left "d/z", which is not declared`},
		{"link", map[string]any{"command": sh("ln -s /etc/hostname out/x"), "outputs": []any{"x"}}, "not a regular file"},
		{"folder link", map[string]any{"command": sh("ln -s /etc out/d"), "outputs": []any{"d/hostname"}}, "is missing"},
		{"out is a link", map[string]any{"command": sh("rmdir out; ln -s /etc out"), "outputs": []any{"hostname"}}, "is missing"},
		{"fifo", map[string]any{"command": sh("mkfifo out/x"), "outputs": []any{"x"}}, "not a regular file"},
		{"inputs", map[string]any{"command": sh("cat $1 >out/x", "{in.0}"), "outputs": []any{"x"}}, "there are 0 inputs"},
		{"time", map[string]any{"command": sh("sleep 60"), "outputs": []any{"x"}, "timeout": "50ms"}, "took longer than 50ms"},
		{"no program", map[string]any{"command": []any{"no-such-program-here"}, "outputs": []any{"x"}}, "is not there"},
		{"relative program", map[string]any{"command": []any{"bin/x"}, "outputs": []any{"x"}}, "name a program on PATH"},
	} {
		if _, err := run1(t, c.params); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET", "hidden")
	t.Setenv("PASSED", "seen")
	r, err := run1(t, map[string]any{
		"command": sh("env | sed 's/=.*//' | grep -v -e _ -e PWD -e SHLVL -e OLDPWD | sort; echo $PASSED; [ -d $HOME ]"),
		"outputs": []any{"x"}, "stdout": "x", "pass_env": []any{"PASSED", "ABSENT"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(stagetest.Bytes(t, r.Artifact, "x")), "HOME\nPASSED\nPATH\nTMPDIR\nseen\n"; got != want {
		t.Errorf("the environment holds %q, want %q", got, want)
	}
}

// TestHandedThrough looks at the values of the variables that are ours, or are
// not, and at where the program is looked for.
func TestHandedThrough(t *testing.T) {
	home, tmp := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("TMPDIR", tmp)
	t.Setenv("PATH", "relative:"+os.Getenv("PATH"))
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "mine"), []byte("#!/bin/sh\necho \"own $HOME $TMPDIR $PATH\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	show := sh(`[ "$HOME" = "$PWD" ] && HOME=own; [ "$TMPDIR" = "$PWD" ] && TMPDIR=own; case "$PATH" in relative*) echo bad;; esac; echo "$HOME $TMPDIR"`)
	for name, c := range map[string]struct {
		params map[string]any
		want   string
	}{
		"by default": {map[string]any{"command": show}, home + " " + tmp + "\n"},
		"none":       {map[string]any{"command": show, "pass_env": []any{}}, "own own\n"},
		"one":        {map[string]any{"command": show, "pass_env": []any{"TMPDIR"}}, "own " + tmp + "\n"},
		"by env":     {map[string]any{"command": show, "env": map[string]any{"HOME": "/theirs"}}, "/theirs " + tmp + "\n"},
		"PATH": {map[string]any{"command": []any{"mine"}, "env": map[string]any{"PATH": bin + ":/bin:/usr/bin"}},
			"own " + home + " " + tmp + " " + bin + ":/bin:/usr/bin\n"},
	} {
		c.params["outputs"], c.params["stdout"] = []any{"x"}, "x"
		r, err := run1(t, c.params)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := string(stagetest.Bytes(t, r.Artifact, "x")); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if _, err := run1(t, map[string]any{"command": []any{"mine"}, "outputs": []any{"x"}}); err == nil {
		t.Error("a program was found that is not on PATH")
	}
	for _, p := range append(Kind.Spec().Params, Each.Spec().Params...) {
		if want := p.Name == "pass_env" || p.Name == "timeout"; p.Free != want {
			t.Errorf("%s is left out of the key: %v", p.Name, p.Free)
		}
	}
}

// TestLeftovers starts in a folder where an attempt was before.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"out/x", "out/y", "in/0/a", "junk/z"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := prepareFolder(&stage.Task{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "out" {
		t.Errorf("the folder holds %v, %v", left, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "out")); err != nil || len(left) != 0 {
		t.Errorf("out holds %v, %v", left, err)
	}
}

// TestLog checks what is kept of what is printed, and how much.
func TestLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "late")
	var told []stage.Progress
	k := &stage.Task{Report: func(p stage.Progress) { told = append(told, p) }}
	l := &logFile{dir: dir, name: "x.log", left: 10}
	l.close(k)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a log of nothing: %v", err)
	}
	for _, s := range []string{"12345", "678901234", "x"} {
		if n, err := l.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	l.close(k)
	if b, err := os.ReadFile(filepath.Join(dir, "x.log")); err != nil || string(b) != "1234567890\n… and 5 bytes more, which were not kept\n" || len(told) != 0 {
		t.Errorf("the log holds %q, %v, told %v", b, err, told)
	}
	bad := &logFile{dir: filepath.Join(dir, "x.log"), name: "y", left: 10}
	if n, err := bad.Write([]byte("abc")); n != 3 || err != nil {
		t.Errorf("a log that cannot be written ends the command: %d, %v", n, err)
	}
	if bad.close(k); len(told) != 1 || !told[0].Warning {
		t.Errorf("told %v", told)
	}
}

// TestInputsAreCopies checks that a command cannot change what is in the store.
func TestInputsAreCopies(t *testing.T) {
	s := stagetest.Store(t)
	in := stagetest.Artifact(t, s, "files", stagetest.File("a", []byte("as it was")))
	_, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: stagetest.In("in", in), Params: map[string]any{
		"command": sh("chmod u+w in/0/a; echo changed >in/0/a; echo >out/x"), "outputs": []any{"x"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(stagetest.Bytes(t, in, "a")); got != "as it was" {
		t.Errorf("the input became %q", got)
	}
}

func TestCheck(t *testing.T) {
	base := func(k string, v any) map[string]any {
		p := map[string]any{"command": []any{"true"}, "outputs": []any{"x"}}
		p[k] = v
		return p
	}
	for _, c := range []struct {
		param string
		value any
	}{
		{"command", []any{}}, {"command", []any{""}}, {"outputs", []any{}}, {"outputs", []any{"../x"}}, {"outputs", []any{"/etc/x"}},
		{"outputs", []any{"."}}, {"outputs", []any{""}}, {"outputs", []any{"a//b"}}, {"outputs", []any{"a\x00"}}, {"outputs", []any{`a\b`}},
		{"outputs", []any{"x", "x"}}, {"outputs", []any{"x", "x/y"}}, {"outputs", []any{"x/y", "x"}}, {"stdout", "y"},
		{"pass_env", []any{"A=B"}}, {"env", map[string]any{"1A": "x"}}, {"timeout", "soon"}, {"timeout", "-1s"},
	} {
		if got := Kind.Spec().Check(base(c.param, c.value)); len(got) == 0 {
			t.Errorf("Check with %s: %q finds nothing", c.param, c.value)
		}
	}
	if got := Kind.Spec().Check(base("outputs", []any{"x", "y/z", "y/x"})); len(got) != 0 {
		t.Errorf("Check = %v, want nothing", got)
	}
}

// TestCancel checks that the command and its children die with the run.
func TestCancel(t *testing.T) {
	began := filepath.Join(t.TempDir(), "began")
	if err := syscall.Mkfifo(began, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		if _, err := os.ReadFile(began); err != nil { // until the command writes to it
			t.Error(err)
		}
	}()
	start := time.Now()
	_, err := stagetest.Run(t, Kind, stagetest.Options{Store: stagetest.Store(t), Context: ctx, Params: map[string]any{
		"command": sh(`echo began >"$1"; sleep 100 & wait`, began), "outputs": []any{"x"},
	}})
	if !errors.Is(err, context.Canceled) || time.Since(start) > 20*time.Second {
		t.Errorf("a cancelled command: %v after %v", err, time.Since(start))
	}
}
