// Package exec runs a command of yours as a stage: with declared inputs and
// declared outputs, so that its result is kept, found again and built upon like
// any other.
//
//	plots:
//	  kind: exec
//	  in: scores
//	  with:
//	    command: [python3, files/plot.py, "{in.0}/ranks.parquet", "{out}/plot.svg"]
//	    files: scripts
//	    outputs: [plot.svg]
//
// The command runs without a shell in a folder of its own, in which it finds
//
//	in/0/…   the parts of the first input artifact, in/1/… of the second, read-only
//	files    what the parameter files names: scripts, configuration
//	out/     empty: here it leaves its outputs
//
// In the command {in}, {in.0}, {out} and {files} stand for these. They are
// relative paths, the same on every machine.
//
// The environment is what the spec says, and LC_ALL=C. What env sets is in the
// key. What pass_env names, HOME and TMPDIR unless it says otherwise, is handed
// through from us and is not in the key: it must not change the result. HOME and
// TMPDIR that are not handed through, or that we do not have, are the command's
// folder. PATH may be set by env; then the program is looked for there too. If it
// is not, it is ours but for folders that are not absolute. Only the program
// itself is in the key by its bytes: what it finds on PATH in turn is not, as
// little as the libraries of the system.
//
// What it prints is in the folder of the run: stderr.log has all of its stderr,
// stdout.log the beginning of a stdout that is not an output. The last lines of
// stderr are in the error too. It may be given limits with resources: memory,
// time and output. It must end with its children: what it leaves running, in
// whatever session, is killed.
//
// All that decides the result is in the key: the command, the inputs, the files
// and the program itself by its bytes. A program that reads something else, or
// asks for the time, breaks the promise that equal keys give equal results.
//
// A command fails if it exits with another status than 0, leaves out an output,
// or leaves anything in out/ that was not declared, or that is no regular file:
// links are not followed, and neither devices nor pipes are read.
//
// Each, the kind exec_each, runs a command once for each file of a folder or row
// of a table, and again only for those that change. The archives that it leaves
// are unpacked for a command that reads them: in/0/ holds a file an item.
package exec

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind runs a command.
var Kind = stage.New(stage.Kind{
	Name:    "exec",
	Doc:     "run a command with declared inputs and outputs",
	Version: 1,
	Inputs:  []stage.Input{{Name: "in", Doc: "artifacts that the command reads", Optional: true, Many: true}},
	Output:  "files",
	Scratch: true,
}, Params{Command: []string{}, Outputs: []string{}, Env: map[string]string{}, PassEnv: handedThrough(), Timeout: "1h"}, run)

// Params are the parameters of Kind.
type Params struct {
	Command []string          `json:"command" doc:"the program and its arguments; no shell looks at them" required:"true"`
	Outputs []string          `json:"outputs" doc:"the files that the command leaves below {out}" required:"true"`
	Stdout  string            `json:"stdout" doc:"the output that takes what the command prints; empty: its beginning is in the log"`
	Files   string            `json:"files" doc:"a file or folder of the command's own, as {files}" path:"any"`
	Env     map[string]string `json:"env" doc:"environment variables for the command; PATH among them is also where the program is looked for"`
	PassEnv []string          `json:"pass_env" doc:"names of our variables that it sees too; they must not change its result" free:"true"`
	Timeout string            `json:"timeout" doc:"the longest it may run" type:"duration" free:"true"`
}

// Check implements stage.Checker.
func (p Params) Check() []spec.ParamProblem {
	var out []spec.ParamProblem
	add := func(param, format string, args ...any) {
		out = append(out, spec.ParamProblem{Param: param, Message: fmt.Sprintf(format, args...)})
	}
	if len(p.Command) == 0 || p.Command[0] == "" {
		add("command", "names no program")
	}
	if len(p.Outputs) == 0 {
		add("outputs", "declares no file: the command would leave nothing")
	}
	for i, name := range p.Outputs {
		if err := checkName(name); err != nil {
			add("outputs", "%v", err)
		}
		if slices.ContainsFunc(p.Outputs[:i], func(o string) bool { return o == name || below(o, name) || below(name, o) }) {
			add("outputs", "%q is there twice, or is the folder of another", name)
		}
	}
	if p.Stdout != "" && !slices.Contains(p.Outputs, p.Stdout) {
		add("stdout", "%q is none of the outputs", p.Stdout)
	}
	for _, name := range append(slices.Sorted(maps.Keys(p.Env)), p.PassEnv...) {
		if !variable.MatchString(name) {
			add("env", "%q cannot be the name of a variable", name)
		}
	}
	if d, err := time.ParseDuration(p.Timeout); err != nil || d <= 0 {
		add("timeout", "%q is no length of time, such as 90s or 2h", p.Timeout)
	}
	return out
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkName refuses names of outputs that lead out of the folder or hide.
func checkName(name string) error {
	switch {
	case name == "" || !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name || name == ".":
		return fmt.Errorf("%q is not the plain name of a file below {out}", name)
	case strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(name, `\`) || len(name) > 255:
		return fmt.Errorf("%q cannot be the name of a file on every machine", name)
	}
	return nil
}

func below(folder, name string) bool { return strings.HasPrefix(name, folder+"/") }

// Prepare implements stage.Preparer: the program is in the key by its bytes.
func (p Params) Prepare(ctx context.Context) ([]stage.Tool, error) {
	return prepareProgram(ctx, p.Command[0], searchPath(p.Env))
}

// maxPrinted is how much a command may print.
const maxPrinted = 1 << 40

func run(ctx context.Context, t *stage.Task, p Params) error {
	if err := prepareFolder(t); err != nil {
		return fmt.Errorf("prepare the command's folder: %w", err)
	}
	args, err := expand(p.Command, len(t.Inputs["in"]))
	if err != nil {
		return err
	}
	timeout, err := time.ParseDuration(p.Timeout)
	if err != nil {
		return err
	}
	stdout := &logFile{dir: t.RunDir, name: stdoutLog, left: maxStdoutLog}
	defer stdout.close(t)
	stderr := &logFile{dir: t.RunDir, name: stderrLog, left: math.MaxInt64}
	defer stderr.close(t)
	cmd := tool.Cmd{Path: args[0], Args: args[1:], Dir: t.Dir, Env: environment(t.Dir, p), Stdout: stdout, Stderr: stderr,
		MaxOutputBytes: maxPrinted, Timeout: timeout}
	if err := runInto(ctx, cmd, t.Dir, p.Stdout, searchPath(p.Env)); err != nil {
		return err
	}
	return gather(ctx, t, p.Outputs)
}

// runInto runs cmd, a program of search, with its stdout going to an output, if
// one is named.
func runInto(ctx context.Context, cmd tool.Cmd, dir, output, search string) error {
	if !strings.Contains(cmd.Path, "/") {
		full, _, err := findProgram(cmd.Path, search)
		if err != nil {
			return err
		}
		cmd.Path, cmd.Name = full, cmd.Path
	}
	if output == "" {
		_, err := tool.Run(ctx, cmd)
		return err
	}
	f, err := createOutput(filepath.Join(dir, "out", filepath.FromSlash(output)))
	if err != nil {
		return err
	}
	cmd.Stdout = f
	_, err = tool.Run(ctx, cmd)
	return errors.Join(err, f.Close())
}

// handedThrough are the variables of ours that a command sees if its stage does
// not say which.
func handedThrough() []string { return []string{"HOME", "TMPDIR"} }

// searchPath is the PATH of a command with these variables: its own, or what is
// the same in every folder of ours.
func searchPath(env map[string]string) string {
	if own, ok := env["PATH"]; ok {
		return own
	}
	ours := os.Getenv("PATH")
	dirs := filepath.SplitList(ours)
	kept := slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool { return !filepath.IsAbs(dir) })
	if len(kept) == len(dirs) {
		return ours // a copy for each of thousands of stages would be memory for nothing
	}
	return strings.Join(kept, string(filepath.ListSeparator))
}

// environment is the whole environment of the command. Of two variables of one
// name the later holds.
func environment(dir string, p Params) []string {
	env := []string{"LC_ALL=C", "PATH=" + searchPath(p.Env), "HOME=" + dir, "TMPDIR=" + dir}
	for _, name := range p.PassEnv {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		env = append(env, name+"="+p.Env[name])
	}
	return env
}

var placeholder = regexp.MustCompile(`\{(in|out|files|in\.[0-9]{1,6})\}`)

// expand puts paths in place of the placeholders. Other braces are the
// command's own.
func expand(command []string, inputs int) ([]string, error) {
	var err error
	out := make([]string, len(command))
	for i, arg := range command {
		out[i] = placeholder.ReplaceAllStringFunc(arg, func(s string) string {
			name, index, numbered := strings.Cut(s[1:len(s)-1], ".")
			if !numbered {
				return name
			}
			if n, e := strconv.Atoi(index); e != nil || n >= inputs {
				err = fmt.Errorf("command: %s, but there are %d inputs", s, inputs)
			}
			return name + "/" + index
		})
	}
	return out, err
}
