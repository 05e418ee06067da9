package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

func TestMain(m *testing.M) {
	if IsSupervisor(os.Args) {
		os.Exit(Supervise())
	}
	if n, err := strconv.Atoi(os.Getenv("TOOL_TEST_MEMORY")); err == nil { // see TestMemoryLimit
		useMemory(n << 20)
		return
	}
	if mode := os.Getenv("TOOL_TEST_PARENT"); mode != "" { // see killParent
		if mode == "supervisor" {
			UseSupervisor()
		}
		_, err := Run(context.Background(), sh(os.Getenv("TOOL_TEST_SCRIPT")))
		fmt.Println(err)
		return
	}
	goleak.VerifyTestMain(m)
}

func sh(script string) Cmd {
	return Cmd{Path: "/bin/sh", Args: []string{"-c", script}, Timeout: 20 * time.Second}
}

func TestRunPassesThingsOn(t *testing.T) {
	dir := t.TempDir()
	c := Cmd{
		Path: "/bin/sh", Args: []string{"-c", `cat; echo "$A" "$1"; pwd; echo warn >&2`, "x", "a b;$(id)"},
		Env: []string{"A=b"}, Dir: dir, Stdin: strings.NewReader("in\n"),
	}
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := "in\nb a b;$(id)\n" + dir + "\n"; string(r.Stdout) != want || r.Stderr != "warn" {
		t.Errorf("stdout %q stderr %q, want %q and warn", r.Stdout, r.Stderr, want)
	}
}

func TestBaseEnvIsAll(t *testing.T) {
	t.Setenv("SECRET", "x")
	r, err := Run(context.Background(), Cmd{Path: "env"})
	if err != nil || strings.Contains(string(r.Stdout), "SECRET") || !strings.Contains(string(r.Stdout), "LC_ALL=C") {
		t.Errorf("env printed %q, %v", r.Stdout, err)
	}
}

func TestFailures(t *testing.T) {
	var exit *ExitError
	_, err := Run(context.Background(), sh("echo one >&2; printf 'two\\033[31m\\n' >&2; exit 7"))
	if !errors.As(err, &exit) || exit.Code != 7 || exit.Stderr != "one\ntwo[31m" {
		t.Errorf("exit 7: %#v", err)
	}
	_, err = Run(context.Background(), sh("kill -SEGV $$"))
	if !errors.As(err, &exit) || exit.Signal != syscall.SIGSEGV {
		t.Errorf("segv: %v", err)
	}
	_, err = Run(context.Background(), Cmd{Path: "no-such-program-here"})
	if !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("missing program: %v", err)
	}
}

// alive says whether the process whose id stands in the file still runs.
// A zombie that nobody has reaped yet is dead.
func alive(t *testing.T, pidFile string) bool {
	t.Helper()
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && runtime.GOOS != "linux"
	}
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	return !bytes.HasPrefix(rest, []byte(" Z"))
}

func waitDead(t *testing.T, pidFile string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); alive(t, pidFile); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("process of %s is still alive", pidFile)
		}
	}
}

func TestTimeoutKillsGroup(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := sh(fmt.Sprintf("sleep 60 & echo $! >%s; trap '' TERM; while :; do sleep 60; done", pidFile))
	c.Timeout, c.Grace = 300*time.Millisecond, 100*time.Millisecond
	start := time.Now()
	_, err := Run(context.Background(), c)
	var limit *LimitError
	if !errors.As(err, &limit) || !strings.Contains(err.Error(), "took longer than 300ms") {
		t.Errorf("got %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	waitDead(t, pidFile)
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("the user has had enough")
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		os.ReadFile(started)
		cancel(cause)
	}()
	_, err := Run(ctx, sh("echo >"+started+"; sleep 60"))
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause", err)
	}
	if _, err := Run(ctx, sh("true")); !errors.Is(err, cause) {
		t.Errorf("cancelled before the start: %v", err)
	}
}

func TestGrandchildHoldingThePipe(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	r, err := Run(context.Background(), sh("echo out; sleep 60 & echo $! >"+pidFile+"; exit 0"))
	if err != nil || string(r.Stdout) != "out\n" {
		t.Errorf("got %q, %v", r.Stdout, err)
	}
	waitDead(t, pidFile)
}

// TestFledGroup has a child leave the group with the pipe in its hand: it is
// not waited for.
func TestFledGroup(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip(err)
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	script := "setsid sh -c 'echo $$ >" + pidFile + "; exec sleep 60' & while ! [ -s " + pidFile + " ]; do :; done"
	start := time.Now()
	_, err := Run(context.Background(), sh(script))
	var limit *LimitError
	if !errors.As(err, &limit) || !strings.Contains(limit.Reason, "left a process behind") {
		t.Errorf("got %v", err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
}

func TestOutputLimits(t *testing.T) {
	for _, redirect := range []string{"", ">&2"} {
		c := sh("yes noise " + redirect)
		c.MaxOutputBytes = 1000
		r, err := Run(context.Background(), c)
		var limit *LimitError
		if !errors.As(err, &limit) || !strings.Contains(limit.Reason, "printed too much") || len(r.Stdout) > 1000 {
			t.Errorf("yes%s: %v with %d bytes", redirect, err, len(r.Stdout))
		}
	}
	var whole bytes.Buffer
	c := sh("seq 1 5000 >&2")
	c.Stderr = &whole
	r, err := Run(context.Background(), c)
	if err != nil || !strings.HasSuffix(r.Stderr, "4999\n5000") || strings.Count(whole.String(), "\n") != 5000 {
		t.Errorf("stderr tail %q, %d bytes in all, %v", r.Stderr, whole.Len(), err)
	}
	if n := strings.Count(r.Stderr, "\n") + 1; n != tailLines {
		t.Errorf("%d lines of stderr, want %d", n, tailLines)
	}
}

func TestFileLimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("file size limits need prlimit")
	}
	out := filepath.Join(t.TempDir(), "big")
	// Read first: the limit is set just after the start.
	c := Cmd{Path: "/bin/sh", Args: []string{"-c", "read x; head -c 10000000 /dev/zero >" + out}, MaxFileBytes: 4096}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c.Stdin = r
	time.AfterFunc(100*time.Millisecond, func() { w.WriteString("go\n"); w.Close() })
	if _, err := Run(context.Background(), c); err == nil {
		t.Error("wrote 10 MB under a limit of 4 KiB")
	}
	if st, err := os.Stat(out); err != nil || st.Size() > 4096 {
		t.Errorf("file: %v, %v", st, err)
	}
}

// useMemory holds n bytes, and has as many addresses again that it does not use.
func useMemory(n int) {
	b := make([]byte, n, 2*n+64<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	fmt.Println("holds", n>>20)
	os.Stdin.Read(make([]byte, 1)) // until the end
	runtime.KeepAlive(b)
}

func TestMemoryLimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	run := func(script string, mb int64) error {
		c := sh(script)
		c.Env = append(BaseEnv(), "SELF="+os.Args[0])
		c.MaxMemoryBytes = mb << 20
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		c.Stdin = r
		_, err = Run(context.Background(), c)
		return err
	}
	var limit *LimitError
	if err := run("TOOL_TEST_MEMORY=300 $SELF", 200); !errors.As(err, &limit) || !strings.Contains(limit.Reason, "used more memory than 200 MiB") {
		t.Errorf("300 of 200 MiB: %v", err)
	}
	if err := run("exec 3<&0; TOOL_TEST_MEMORY=120 $SELF <&3 & TOOL_TEST_MEMORY=120 $SELF <&3 & wait", 200); !errors.As(err, &limit) || !strings.Contains(limit.Reason, "used more memory") {
		t.Errorf("twice 120 of 200 MiB: %v", err)
	}
	if err := run("TOOL_TEST_MEMORY=100 $SELF </dev/null; sleep 0.2", 200); err != nil && !raced {
		t.Errorf("100 of 200 MiB, with addresses for more: %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = --version ] && { echo; echo ' fake 1.2 '; echo more; }\n[ \"$1\" = -v ] && echo old 0.1 >&2\nexit 0\n"
	if err := os.WriteFile(filepath.Join(dir, "fake"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	got, err := Find(context.Background(), "fake")
	if want := (Tool{"fake", filepath.Join(dir, "fake"), "fake 1.2"}); err != nil || got != want {
		t.Errorf("Find: %+v, %v, want %+v", got, err, want)
	}
	if got, err := Find(context.Background(), "fake", "-v"); err != nil || got.Version != "old 0.1" {
		t.Errorf("Find -v: %+v, %v", got, err)
	}
	if _, err := Find(context.Background(), "fake", "-x"); err == nil {
		t.Error("a tool that says nothing has a version")
	}
	if _, err := Find(context.Background(), "not-there"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
}

// TestDiesWithUs kills a process that is inside Run and expects the program it
// ran to die too.
func TestDiesWithUs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Pdeathsig")
	}
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	killParent(t, "alone", filepath.Join(dir, "ready"), "echo $$ >"+pidFile)
	waitDead(t, pidFile)
}

// TestThreadsMayEnd makes threads end under running programs: Pdeathsig must
// not take them for our death.
func TestThreadsMayEnd(t *testing.T) {
	for range 20 {
		done := make(chan error)
		go func() {
			_, err := Run(context.Background(), sh("sleep 0.02"))
			done <- err
		}()
		for range 10 {
			go runtime.LockOSThread() // never unlocked: its thread ends with it
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestFaketool(t *testing.T) {
	fake := sharedtest.Path(t, "tools", "faketool.sh")
	for mode, want := range map[string]string{
		"ok": "", "fail": "exit status 7: no such voice", "half": "signal 9", "hang": "took longer", "stubborn": "took longer",
		"pipe": "", "forkmany": "took longer", "stdout": "printed too much on stdout", "stderr": "printed too much on stderr", "segv": "signal 11",
	} {
		t.Run(mode, func(t *testing.T) {
			c := Cmd{Path: fake, Timeout: 700 * time.Millisecond, Grace: 200 * time.Millisecond, MaxOutputBytes: 1 << 20}
			c.Env = append(BaseEnv(), "FAKE_MODE="+mode, "FAKE_OUT="+filepath.Join(t.TempDir(), "out"))
			start := time.Now()
			_, err := Run(context.Background(), c)
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// TestProgramOfOwnFolder starts a program by a path below the folder it is to
// run in, the way exec stages start what is among their files.
func TestProgramOfOwnFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "files", "say"), []byte("#!/bin/sh\necho \"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := Cmd{Path: "files/say", Args: []string{"hello"}, Dir: dir}
	if got, err := c.lookUp(); err != nil || got != "files/say" {
		t.Errorf("lookUp = %q, %v", got, err)
	}
	if r, err := Run(context.Background(), c); err != nil || string(r.Stdout) != "hello\n" {
		t.Errorf("Run printed %q, %v", r.Stdout, err)
	}
	c.Path = "files/absent"
	if _, err := c.lookUp(); err == nil {
		t.Error("a program that is not there is found")
	}
}
