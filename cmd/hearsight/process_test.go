package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Scripts start a run beside them, wait for what it says and end it:
//
//	fifo                            a named pipe; its path is $FIFO
//	begin run -f slow.yaml --json   hearsight in a process group of its own
//	await '"stage":"mfcc"'          until a line that it prints matches
//	heard                           until a child of its has opened the pipe
//	signal KILL                     to the whole group; INT and TERM: to hearsight
//	ends 130 2s                     with that code (killed: KILL) in that time
//	silent                          until nobody holds the pipe any more
//
// Nothing polls or sleeps. The run's stdout is a pipe that holds few lines, so
// that a run whose lines are not read stands still, and a named pipe ends for
// its reader when the last process that holds it is gone.

// patience is how long whatever a script waits for may take.
const patience = 30 * time.Second

// A started is the run that a script began.
type started struct {
	cmd   *exec.Cmd
	out   *os.File
	lines *bufio.Scanner
	sent  time.Time     // of the signal
	fifo  chan *os.File // the named pipe, once somebody has opened it
	pipe  *os.File
}

// startedKey is where a script keeps its *started.
type startedKey struct{}

func runOf(ts *testscript.TestScript) *started { return ts.Value(startedKey{}).(*started) }

// within calls f and fails the script if it takes too long.
func within(ts *testscript.TestScript, what string, f func() error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			ts.Fatalf("%s: %v", what, err)
		}
	case <-time.After(patience):
		ts.Fatalf("%s: nothing in %v", what, patience)
	}
}

func begin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: begin ARGS...")
	}
	r := runOf(ts)
	in, out, err := os.Pipe()
	ts.Check(err)
	ts.Check(narrow(out))
	stderr, err := os.Create(ts.MkAbs("begun.err"))
	ts.Check(err)
	r.cmd = exec.Command("hearsight", args...) // testscript puts it on PATH
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = ts.MkAbs("."), out, stderr
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "FIFO"} {
		r.cmd.Env = append(r.cmd.Env, name+"="+ts.Getenv(name))
	}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ts.Check(r.cmd.Start())
	ts.Check(errors.Join(out.Close(), stderr.Close()))
	r.out, r.lines = in, bufio.NewScanner(in)
	r.lines.Buffer(make([]byte, 512), 1<<20) // little is read ahead
	ts.Defer(func() {
		if r.cmd.ProcessState == nil { // not reaped: the id is still its own
			_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
			_ = r.cmd.Wait()
		}
		in.Close()
	})
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await REGEXP")
	}
	r, want := runOf(ts), regexp.MustCompile(args[0])
	within(ts, "await "+args[0], func() error {
		for r.lines.Scan() {
			if want.Match(r.lines.Bytes()) {
				return nil
			}
		}
		return errors.Join(errors.New("the run ended before"), r.lines.Err())
	})
}

func signalRun(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"KILL": syscall.SIGKILL, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM}
	if neg || len(args) != 1 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal KILL|INT|TERM")
	}
	r := runOf(ts)
	pid := r.cmd.Process.Pid
	if args[0] == "KILL" {
		pid = -pid
	}
	r.sent = time.Now()
	ts.Check(syscall.Kill(pid, signals[args[0]]))
}

func ends(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ends CODE TIME")
	}
	r := runOf(ts)
	most, err := time.ParseDuration(args[1])
	ts.Check(err)
	within(ts, "the end of the run", func() error {
		_, err := io.Copy(io.Discard, r.out)
		if e := r.cmd.Wait(); errors.As(e, new(*exec.ExitError)) {
			return err
		} else {
			return errors.Join(err, e)
		}
	})
	took, code := time.Since(r.sent), fmt.Sprint(r.cmd.ProcessState.ExitCode())
	if ws, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL {
		code = "KILL"
	}
	if code != args[0] || took > most {
		ts.Fatalf("the run ended with %s after %v, want %s within %v\n%s", code, took, args[0], most, ts.ReadFile("begun.err"))
	}
}

func fifo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: fifo")
	}
	r, path := runOf(ts), ts.MkAbs("fifo")
	ts.Check(syscall.Mkfifo(path, 0o600))
	ts.Setenv("FIFO", path)
	r.fifo = make(chan *os.File, 1)
	go func() {
		f, err := os.Open(path) // until somebody opens it to write
		if err == nil {
			r.fifo <- f
		}
	}()
}

func heard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: heard")
	}
	r := runOf(ts)
	within(ts, "a child at the pipe", func() error { r.pipe = <-r.fifo; return nil })
	ts.Defer(func() { r.pipe.Close() })
}

func silent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: silent")
	}
	within(ts, "the end of the run's children", func() error {
		_, err := io.Copy(io.Discard, runOf(ts).pipe)
		return err
	})
}

// asNobody returns hearsight with args as a command of a user who may write
// nowhere, to be run in dir.
func asNobody(dir string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command("hearsight", args...)
	if cmd.Err != nil {
		return nil, cmd.Err
	}
	for _, d := range []string{filepath.Dir(cmd.Path), dir} { // testscript closes its temporary folders to others
		for ; strings.HasPrefix(d, os.TempDir()+string(filepath.Separator)); d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				return nil, err
			}
		}
	}
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=/nowhere"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return cmd, nil
}

// canBeNobody reports whether asNobody works here: root may, mostly.
func canBeNobody() bool {
	cmd, err := asNobody(os.TempDir(), "--version")
	return err == nil && cmd.Run() == nil
}

// nobody CODE ARGS…: hearsight, run by a user who may write nowhere, ends with
// the exit code CODE; what it printed is in printed.
func nobody(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: nobody CODE ARGS...")
	}
	cmd, err := asNobody(ts.MkAbs("."), args[1:]...)
	ts.Check(err)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		ts.Fatalf("start hearsight: %v", err)
	}
	ts.Check(os.WriteFile(ts.MkAbs("printed"), out, 0o644))
	if code := fmt.Sprint(cmd.ProcessState.ExitCode()); code != args[0] {
		ts.Fatalf("%v: exit code %s, want %s\n%s", args[1:], code, args[0], out)
	}
}
