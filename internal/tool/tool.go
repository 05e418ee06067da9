package tool

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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
	// pipeTick is how often such a process is looked for meanwhile.
	pipeTick = 20 * time.Millisecond
)

// A Cmd is one run of an outside program. The zero value of everything but
// Path is usable.
type Cmd struct {
	Path string   // program; a name without a slash is looked up on PATH
	Name string   // what it is called by, if not Path
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
	// MaxOutputBytes limits stdout and stderr, each. 0: 64 MiB.
	MaxOutputBytes int64
	// MaxFileBytes limits each file the program writes. 0: no limit.
	MaxFileBytes int64
	// MaxMemoryBytes limits the memory that the program and those that it
	// started have in use together, a page that they share counting once. It is
	// looked at 40 times a second, and only on Linux. 0: no limit.
	MaxMemoryBytes int64
}

// A Result is what a program left when it ended.
type Result struct {
	Stdout []byte        // empty if Cmd.Stdout was given
	Stderr string        // the last lines
	CPU    time.Duration // user and system time of the program and the children it waited for
	MaxRSS int64         // most memory in use by one of them, in bytes
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
// ended it) and those of starting it. The limits of ctx hold as well as those
// of c. Safe for concurrent use.
func Run(ctx context.Context, c Cmd) (Result, error) {
	name := c.name()
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("run %s: %w", name, context.Cause(ctx))
	}
	p := newProcess(c.under(ctx))
	r, err := p.request()
	if err == nil {
		err = p.start(r)
	}
	if err != nil {
		return Result{}, fmt.Errorf("start %s: %w", name, err)
	}
	rep, known := p.watch(ctx)
	open := p.finishPipes()
	if !known {
		return p.left(), fmt.Errorf("run %s: %w", name, errSupervisor)
	}
	if rep.Errno != 0 {
		return Result{}, fmt.Errorf("start %s: %w", name, &os.PathError{Op: "fork/exec", Path: r.Path, Err: syscall.Errno(rep.Errno)})
	}
	return p.result(ctx, rep, open)
}

// lookUp returns the program's file, as seen from c.Dir.
func (c Cmd) lookUp() (string, error) {
	if filepath.IsAbs(c.Path) {
		return c.Path, nil // whether it is there is seen when it starts
	}
	if !strings.Contains(c.Path, "/") {
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
	c       Cmd
	running *running
	pipes   []*pipe
	stdout  buffer
	stderr  tail
	over    chan string // why a stream had enough
	why     string      // set by watch: why we ended it; empty: we did not
}

func newProcess(c Cmd) *process { return &process{c: c, over: make(chan string, 2)} }

// request says what is to be started.
func (p *process) request() (*request, error) {
	path, err := p.c.lookUp()
	if err != nil {
		return nil, err
	}
	dir := p.c.Dir
	if dir != "" { // the supervisor may be elsewhere
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, err
		}
	}
	r := &request{ID: supervisor.ids.Add(1), Path: path, Args: append([]string{cmp.Or(p.c.Name, p.c.Path)}, p.c.Args...), Dir: dir, Env: lastOfEach(p.c.Env),
		Stdin: p.c.Stdin != nil, MaxFileBytes: p.c.MaxFileBytes, MaxMemoryBytes: p.c.MaxMemoryBytes}
	if p.c.Env == nil {
		r.Env = BaseEnv()
	}
	return r, r.check()
}

// lastOfEach leaves of several variables of one name the last.
func lastOfEach(env []string) []string {
	at := make(map[string]int, len(env))
	out := make([]string, 0, len(env))
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if i, ok := at[name]; ok {
			out[i] = v
			continue
		}
		at[name] = len(out)
		out = append(out, v)
	}
	return out
}

// start starts the program with its pipes.
func (p *process) start(r *request) (err error) {
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close() // it has its own by now
		}
		if err != nil {
			p.closePipes()
		}
	}()
	stdin, isFile := p.c.Stdin.(*os.File)
	if p.c.Stdin != nil && !isFile {
		f, w, err := os.Pipe()
		if err != nil {
			return err
		}
		theirs, stdin = append(theirs, f), f
		p.pipes = append(p.pipes, &pipe{f: w, copy: func() error { return feed(w, p.c.Stdin) }})
	}
	var files []int
	if stdin != nil {
		files = append(files, int(stdin.Fd()))
	}
	for _, to := range p.outputs() {
		f, w, err := os.Pipe()
		if err != nil {
			return err
		}
		theirs, files = append(theirs, w), append(files, int(w.Fd()))
		p.pipes = append(p.pipes, &pipe{f: f, out: to, copy: func() error { return drain(to, f) }})
	}
	if p.running, err = startProgram(r, files); err != nil {
		return err
	}
	for _, x := range p.pipes {
		x.begin()
	}
	return nil
}

// startProgram has the supervisor start a program, or does it here if there is
// to be none.
func startProgram(r *request, files []int) (*running, error) {
	c, err := supervised()
	if err != nil {
		return nil, err
	}
	if c != nil {
		return c.start(r, files)
	}
	fds := make([]uintptr, 0, maxFiles)
	if !r.Stdin {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return nil, err
		}
		defer null.Close() // only read
		fds = append(fds, null.Fd())
	}
	for _, f := range files {
		fds = append(fds, uintptr(f))
	}
	run, err := startHere(r, fds)
	if err != nil {
		return nil, &os.PathError{Op: "fork/exec", Path: r.Path, Err: err}
	}
	return run, nil
}

// watch waits until the program has ended, and ends it when ctx ends, time is
// up or too much was printed. It reports false if nobody can tell any more.
func (p *process) watch(ctx context.Context) (reply, bool) {
	var timeout <-chan time.Time
	if p.c.Timeout > 0 {
		t := time.NewTimer(p.c.Timeout)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case r, ok := <-p.running.ended:
		return r, ok
	case <-ctx.Done():
		p.why = cancelled
	case <-timeout:
		p.why = fmt.Sprintf("took longer than %v", p.c.Timeout)
	case p.why = <-p.over:
	}
	p.running.signal(syscall.SIGTERM)
	grace := p.c.Grace
	if grace <= 0 {
		grace = defaultGrace
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case r, ok := <-p.running.ended:
		return r, ok
	case <-t.C:
	}
	p.running.signal(syscall.SIGKILL)
	r, ok := <-p.running.ended
	return r, ok
}

// cancelled is why a program was ended whose context did.
const cancelled = "cancelled"

// left is what the program left when it ended.
func (p *process) left() Result { return Result{Stdout: p.stdout.bytes(), Stderr: p.stderr.lines()} }

// result says what became of the program. open says that its output was still
// held open by somebody when it was given up.
func (p *process) result(ctx context.Context, rep reply, open bool) (Result, error) {
	name := p.c.name()
	r := p.left()
	r.CPU, r.MaxRSS = rep.CPU, rep.MaxRSS
	if p.why == "" {
		select { // it ended by itself just after going over
		case p.why = <-p.over:
		default:
		}
	}
	if rep.OverRAM > 0 {
		p.why = fmt.Sprintf("used more memory than %s", sizeText(p.c.MaxMemoryBytes))
	} else if p.why == "" && rep.Status.Signaled() && rep.Status.Signal() == syscall.SIGXFSZ && p.c.MaxFileBytes > 0 {
		p.why = fmt.Sprintf("wrote a file larger than %s", sizeText(p.c.MaxFileBytes))
	}
	if p.why != cancelled {
		if err := p.pipeError(); err != nil {
			return r, err
		}
	}
	switch {
	case p.why == cancelled:
		return r, fmt.Errorf("run %s: %w%s", name, context.Cause(ctx), withStderr(r.Stderr))
	case p.why != "":
		return r, &LimitError{Name: name, Reason: p.why, Stderr: r.Stderr}
	case rep.Status.Signaled():
		return r, &ExitError{Name: name, Code: -1, Signal: rep.Status.Signal(), Stderr: r.Stderr}
	case rep.Status.ExitStatus() != 0:
		return r, &ExitError{Name: name, Code: rep.Status.ExitStatus(), Stderr: r.Stderr}
	case open:
		return r, &LimitError{Name: name, Reason: "left a process behind that holds its output open", Stderr: r.Stderr}
	}
	return r, nil
}

// Limits are what a program may use. They are not in Cmd alone because who runs
// a stage knows them and the stage need not.
type Limits struct {
	// MemoryBytes limits the memory that a program and its children have in
	// use together. Over it they are killed. Linux only. 0: no limit.
	MemoryBytes int64
	// OutputBytes limits what a program prints, on stdout and stderr each, and
	// the size of each file that it writes. 0: no limit but the Cmd's.
	OutputBytes int64
}

type limitsKey struct{}

// WithLimits returns a context under which every program keeps to l too.
func WithLimits(ctx context.Context, l Limits) context.Context {
	if l == (Limits{}) {
		return ctx
	}
	return context.WithValue(ctx, limitsKey{}, l)
}

// LimitsOf returns the limits of a context.
func LimitsOf(ctx context.Context) Limits {
	l, _ := ctx.Value(limitsKey{}).(Limits)
	return l
}

// under returns c with the limits of ctx where those are tighter.
func (c Cmd) under(ctx context.Context) Cmd {
	l := LimitsOf(ctx)
	c.MaxMemoryBytes = tighter(c.MaxMemoryBytes, l.MemoryBytes)
	c.MaxFileBytes = tighter(c.MaxFileBytes, l.OutputBytes)
	if c.MaxOutputBytes <= 0 {
		c.MaxOutputBytes = defaultMaxOutputBytes
	}
	c.MaxOutputBytes = tighter(c.MaxOutputBytes, l.OutputBytes)
	return c
}

func tighter(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// limitNextFiles limits the size of files that the next child writes, from its
// first instruction on, until restore is called. It limits this process too,
// which a supervisor does not mind: it writes none.
func limitNextFiles(n int64) (restore func()) {
	var was syscall.Rlimit
	if n <= 0 || syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was) != nil {
		return func() {}
	}
	now := was
	now.Cur = min(was.Cur, uint64(n))
	if syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now) != nil {
		return func() {}
	}
	return func() { _ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was) } // the soft limit can always go back to what it was
}
