package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	defaultMaxOutputBytes = 64 << 20
	defaultGrace          = time.Second
	// pipeWait is how long a pipe may stay open after the program and its
	// group are dead. Only a process that fled the group can hold it.
	pipeWait = time.Second
)

// A Cmd is one run of an outside program. The zero value of everything but
// Path is usable.
type Cmd struct {
	Path string   // program; a name without a slash is looked up on PATH
	Args []string // arguments, without the program's own name
	Dir  string   // working directory; empty: ours
	// Env is the whole environment, as NAME=VALUE. nil is BaseEnv().
	Env   []string
	Stdin io.Reader // nil: nothing to read
	// Stdout gets what the program prints. nil: it is returned in Result.
	Stdout io.Writer
	// Stderr gets all that the program prints there. nil: only the last lines
	// are kept.
	Stderr io.Writer
	// Timeout is the longest the program may run. 0: no limit.
	Timeout time.Duration
	// Grace is the time between TERM and KILL. 0: 1 s.
	Grace time.Duration
	// Family says that the program may start others, which must not outlive us
	// either, however we die: it begins only when the sentinel knows its group.
	Family bool
	// MaxOutputBytes limits stdout and stderr, each. 0: 64 MiB.
	MaxOutputBytes int64
	// MaxFileBytes limits each file the program writes, and MaxMemoryBytes its
	// address space. 0: no limit. They are set just after the program has
	// started, and only where the system has prlimit (Linux).
	MaxFileBytes, MaxMemoryBytes int64
}

// A Result is what a program left when it ended.
type Result struct {
	Stdout []byte        // empty if Cmd.Stdout was given
	Stderr string        // the last lines
	CPU    time.Duration // user and system time of the program and the children it waited for
}

// BaseEnv is the environment programs get unless told otherwise: where
// programs, the home and temporary files are, and the C locale, so that what
// they print does not depend on who runs us.
func BaseEnv() []string {
	env := []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Run runs c and waits until it and its process group have ended. If ctx ends
// first the group is ended too, and the error wraps context.Cause(ctx). Other
// errors are *ExitError (it said no, or a signal ended it), *LimitError (we
// ended it) and those of starting it. Safe for concurrent use.
func Run(ctx context.Context, c Cmd) (Result, error) {
	name := c.name()
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("run %s: %w", name, context.Cause(ctx))
	}
	// Pdeathsig is sent when the thread that forked ends, not the process. The
	// thread is ours until the program has ended, so it cannot end before.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	p := newProcess(c)
	if err := p.start(); err != nil {
		return Result{}, fmt.Errorf("start %s: %w", name, err)
	}
	limitProcess(p.cmd.Process.Pid, c.MaxFileBytes, c.MaxMemoryBytes)
	stopped := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(stopped)
		p.watch(ctx, ended)
	}()
	err := waitGroup(p.cmd, func() {
		close(ended)
		<-stopped
	})
	tellSentinel('-', p.cmd.Process.Pid)
	return p.result(ctx, name, err)
}

// gate is a shell's program that waits for a line on descriptor 3 and then
// becomes the program it was given. If the pipe closes instead, we have died.
// What shells add to the environment is taken out again.
const gate = `read -r go <&3 || exit 125; unset go PWD OLDPWD SHLVL; exec "$0" "$@" 3<&-`

// start starts the process and makes it known to the sentinel.
func (p *process) start() error {
	if !p.c.Family || !wakeSentinel() {
		if err := p.cmd.Start(); err != nil {
			return err
		}
		tellSentinel('+', p.cmd.Process.Pid)
		return nil
	}
	path, err := p.c.lookUp() // so that what is not there is our error and not the shell's
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	p.cmd.Path, p.cmd.Args = "/bin/sh", append([]string{"sh", "-c", gate, path}, p.c.Args...)
	p.cmd.ExtraFiles = []*os.File{r}
	if err := errors.Join(p.cmd.Start(), r.Close()); err != nil {
		return errors.Join(err, w.Close())
	}
	tellSentinel('+', p.cmd.Process.Pid)
	_, err = w.WriteString("go\n") // EPIPE: it was killed already, which Wait will say
	if errors.Is(err, syscall.EPIPE) {
		err = nil
	}
	return errors.Join(err, w.Close())
}

// lookUp returns the program as a shell in c.Dir is to call it.
func (c Cmd) lookUp() (string, error) {
	if !strings.Contains(c.Path, "/") || filepath.IsAbs(c.Path) {
		return exec.LookPath(c.Path)
	}
	// A relative path is one in the folder that the program runs in.
	full, err := filepath.Abs(filepath.Join(c.Dir, c.Path))
	if err == nil {
		_, err = exec.LookPath(full)
	}
	return c.Path, err
}

func (c Cmd) name() string { return c.Path[strings.LastIndexByte(c.Path, '/')+1:] }

// process is a Cmd being run.
type process struct {
	c      Cmd
	cmd    *exec.Cmd
	stdout buffer
	stderr tail
	over   chan string // which stream went over its limit
	why    string      // set by watch: why we ended it; empty: we did not
}

func newProcess(c Cmd) *process {
	p := &process{c: c, over: make(chan string, 2)}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdin = c.Dir, c.Env, c.Stdin
	if c.Env == nil {
		p.cmd.Env = BaseEnv()
	}
	limit := c.MaxOutputBytes
	if limit <= 0 {
		limit = defaultMaxOutputBytes
	}
	var out, errOut io.Writer = &p.stdout, &p.stderr
	if c.Stdout != nil {
		out = c.Stdout
	}
	if c.Stderr != nil {
		errOut = io.MultiWriter(&p.stderr, c.Stderr)
	}
	p.cmd.Stdout = &limited{w: out, left: limit, name: "stdout", over: p.over}
	p.cmd.Stderr = &limited{w: errOut, left: limit, name: "stderr", over: p.over}
	p.cmd.SysProcAttr = ownGroup()
	p.cmd.WaitDelay = pipeWait
	return p
}

// watch ends the group when ctx ends, time is up or too much was printed, and
// returns when the program has ended.
func (p *process) watch(ctx context.Context, ended <-chan struct{}) {
	var timeout <-chan time.Time
	if p.c.Timeout > 0 {
		t := time.NewTimer(p.c.Timeout)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-ended:
		return
	case <-ctx.Done():
		p.why = "cancelled"
	case <-timeout:
		p.why = fmt.Sprintf("took longer than %v", p.c.Timeout)
	case stream := <-p.over:
		p.why = "printed too much on " + stream
	}
	killGroup(p.cmd.Process.Pid, syscall.SIGTERM)
	grace := p.c.Grace
	if grace <= 0 {
		grace = defaultGrace
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
		killGroup(p.cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
}

// result says what became of the process, whose Wait returned err.
func (p *process) result(ctx context.Context, name string, err error) (Result, error) {
	r := Result{Stdout: p.stdout.bytes(), Stderr: p.stderr.lines()}
	if st := p.cmd.ProcessState; st != nil {
		r.CPU = st.UserTime() + st.SystemTime()
	}
	if p.why == "" {
		select { // it ended by itself just after going over
		case stream := <-p.over:
			p.why = "printed too much on " + stream
		default:
		}
	}
	var exit *exec.ExitError
	switch {
	case p.why == "cancelled":
		return r, fmt.Errorf("run %s: %w", name, context.Cause(ctx))
	case p.why != "":
		return r, &LimitError{Name: name, Reason: p.why, Stderr: r.Stderr}
	case errors.As(err, &exit):
		e := &ExitError{Name: name, Code: exit.ExitCode(), Stderr: r.Stderr}
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			e.Signal = ws.Signal()
		}
		return r, e
	case errors.Is(err, exec.ErrWaitDelay):
		return r, &LimitError{Name: name, Reason: "left a process behind that holds its output open", Stderr: r.Stderr}
	case err != nil:
		return r, fmt.Errorf("run %s: %w", name, err)
	}
	return r, nil
}
