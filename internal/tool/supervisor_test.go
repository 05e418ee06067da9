package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// withSupervisor has programs started by a supervisor during the test.
func withSupervisor(t *testing.T) {
	t.Helper()
	UseSupervisor()
	t.Cleanup(func() {
		CloseSupervisor()
		supervisor.Lock()
		supervisor.wanted = false
		supervisor.Unlock()
	})
}

func linuxOnly(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs a subreaper")
	}
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip(err)
	}
}

// TestSupervised holds the supervisor to what holds without one.
func TestSupervised(t *testing.T) {
	for name, f := range map[string]func(*testing.T){
		"passes things on": TestRunPassesThingsOn, "environment": TestBaseEnvIsAll, "failures": TestFailures,
		"timeout": TestTimeoutKillsGroup, "cancel": TestCancel, "grandchild": TestGrandchildHoldingThePipe,
		"output": TestOutputLimits, "find": TestFind, "faketool": TestFaketool, "own folder": TestProgramOfOwnFolder, "memory": TestMemoryLimit,
	} {
		t.Run(name, func(t *testing.T) { withSupervisor(t); f(t) })
	}
}

// fled is a script whose grandchild leaves everything behind but files: its
// parents, its session, its group, its standard streams if redirect says so. It
// ignores what it may, and writes its id to the file.
func fled(pidFile, redirect string) string {
	return fmt.Sprintf(`(setsid sh -c 'trap "" TERM HUP INT; echo $$ >%[1]s.new; mv %[1]s.new %[1]s; while :; do sleep 60; done' %[2]s &)
while ! [ -s %[1]s ]; do :; done`, pidFile, redirect)
}

func TestDaemonsEnd(t *testing.T) {
	linuxOnly(t)
	withSupervisor(t)
	for name, redirect := range map[string]string{"quiet": "</dev/null >/dev/null 2>&1", "holding the pipes": ""} {
		pidFile := filepath.Join(t.TempDir(), "pid")
		start := time.Now()
		r, err := Run(context.Background(), sh(fled(pidFile, redirect)+"; echo done"))
		if err != nil || string(r.Stdout) != "done\n" {
			t.Errorf("%s: %q, %v", name, r.Stdout, err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: took %v", name, d)
		}
		waitDead(t, pidFile)
	}
}

// TestDaemonBesideOthers has a daemon outlive its command for as long as
// another runs, which it might belong to, and no longer. If it holds the pipes
// of its command it is known, and ends with that.
func TestDaemonBesideOthers(t *testing.T) {
	linuxOnly(t)
	withSupervisor(t)
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	quiet, loud, own := filepath.Join(dir, "quiet"), filepath.Join(dir, "loud"), filepath.Join(dir, "own")
	other := make(chan error)
	go func() {
		_, err := Run(context.Background(), sh(fled(own, "</dev/null >/dev/null 2>&1")+"; read x <"+fifo+"; kill -0 $(cat "+own+")"))
		other <- err
	}()
	for _, c := range [][2]string{{quiet, "</dev/null >/dev/null 2>&1"}, {loud, ""}} {
		if _, err := Run(context.Background(), sh("while ! [ -s "+own+" ]; do :; done; "+fled(c[0], c[1]))); err != nil {
			t.Error(err)
		}
	}
	waitDead(t, loud)
	if !alive(t, quiet) || !alive(t, own) {
		t.Error("a daemon was killed that might belong to a command that runs")
	}
	if err := os.WriteFile(fifo, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := <-other; err != nil {
		t.Errorf("the other command: %v", err)
	}
	waitDead(t, quiet)
	waitDead(t, own)
}

// killParent runs a script in another process, which says when it is ready by
// writing to the fifo, kills that process and returns.
func killParent(t *testing.T, mode, fifo, script string) {
	t.Helper()
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "TOOL_TEST_PARENT="+mode, "TOOL_TEST_SCRIPT="+script+"; echo ready >"+fifo+"; exec sleep 60")
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(fifo); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
}

// TestNothingSurvivesOurKill kills a process with a supervisor while its program
// has a child in its group, a daemon, and a child of the daemon.
func TestNothingSurvivesOurKill(t *testing.T) {
	linuxOnly(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	script := "echo $$ >" + file("self") + "; sleep 60 & echo $! >" + file("child") + "; " + fled(file("daemon"), "") + "; " +
		fmt.Sprintf(`setsid sh -c 'sleep 60 & echo $! >%s; echo $$ >%s; wait' & while ! [ -s %[2]s ]; do :; done`, file("grandchild"), file("leader"))
	killParent(t, "supervisor", file("ready"), script)
	for _, name := range []string{"self", "child", "daemon", "grandchild", "leader"} {
		waitDead(t, file(name))
	}
}

// TestSupervisorKilled kills the supervisor: its commands die with it, that is
// an error, and the next command has another.
func TestSupervisorKilled(t *testing.T) {
	linuxOnly(t)
	withSupervisor(t)
	dir := t.TempDir()
	pidFile, fifo := filepath.Join(dir, "pid"), filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		if _, err := os.ReadFile(fifo); err != nil {
			t.Error(err)
		}
		supervisor.Lock()
		defer supervisor.Unlock()
		if err := supervisor.client.process.Kill(); err != nil {
			t.Error(err)
		}
	}()
	_, err := Run(context.Background(), sh("echo $$ >"+pidFile+"; echo >"+fifo+"; exec sleep 60"))
	if !errors.Is(err, errSupervisor) {
		t.Errorf("its supervisor was killed: %v", err)
	}
	waitDead(t, pidFile)
	if r, err := Run(context.Background(), sh("echo again")); err != nil || string(r.Stdout) != "again\n" {
		t.Errorf("the next: %q, %v", r.Stdout, err)
	}
}

// TestCommandsAreClean looks at what a command gets from the supervisor: three
// files, no signal ignored or blocked, and a session that is not ours.
func TestCommandsAreClean(t *testing.T) {
	linuxOnly(t)
	withSupervisor(t)
	for range 2 { // the first may find what the second does not
		r, err := Run(context.Background(), Cmd{Path: "sh", Args: []string{"-c", `ls /proc/$$/fd; grep -E '^Sig(Ign|Blk)' /proc/self/status; cut -d" " -f6 /proc/$$/stat`}})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Fields(string(r.Stdout))
		sid, err := unix.Getsid(0)
		if len(lines) != 8 || err != nil {
			t.Fatalf("a command finds %q, %v", lines, err)
		}
		ignored, err := strconv.ParseUint(lines[6], 16, 64)
		// 32 to 34 are the C library's; Go leaves them as they came.
		if ignored &^= 7 << 31; strings.Join(lines[:6], " ") != "0 1 2 SigBlk: 0000000000000000 SigIgn:" || err != nil || ignored != 0 || lines[7] == strconv.Itoa(sid) {
			t.Errorf("a command finds %q", lines)
		}
	}
	var exit *ExitError
	if _, err := Run(context.Background(), sh("kill -TERM $$; sleep 10")); !errors.As(err, &exit) || exit.Signal != syscall.SIGTERM {
		t.Errorf("TERM: %v", err)
	}
}

func TestStartErrors(t *testing.T) {
	withSupervisor(t)
	dir := t.TempDir()
	script := filepath.Join(dir, "x")
	if err := os.WriteFile(script, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cmd  Cmd
		want error
	}{
		{Cmd{Path: script}, syscall.ENOENT},
		{Cmd{Path: "true", Dir: filepath.Join(dir, "absent")}, syscall.ENOENT},
		{Cmd{Path: "true", Args: []string{strings.Repeat("x", 8<<20)}}, syscall.E2BIG},
		{Cmd{Path: "true", Args: []string{strings.Repeat("x", 80<<20)}}, syscall.E2BIG},
		{Cmd{Path: "true", Args: []string{"a\x00b"}}, syscall.EINVAL},
		{Cmd{Path: "true", Env: []string{"A=\x00b"}}, syscall.EINVAL},
		{Cmd{Path: "no-such-program-here"}, exec.ErrNotFound},
	} {
		if _, err := Run(context.Background(), c.cmd); !errors.Is(err, c.want) {
			t.Errorf("%.50s: %v, want %v", c.cmd.Path, err, c.want)
		}
	}
	if _, err := Run(context.Background(), sh("true")); err != nil {
		t.Errorf("after the errors: %v", err)
	}
	for what, env := range map[string][]string{"twice": {"A=1", "B=2", "A=3"}} {
		r, err := Run(context.Background(), Cmd{Path: "env", Env: env})
		if err != nil || string(r.Stdout) != "A=3\nB=2\n" {
			t.Errorf("a variable %s: %q, %v", what, r.Stdout, err)
		}
	}
	bytesOf := "\xff\xfe a\n"
	if r, err := Run(context.Background(), Cmd{Path: "printf", Args: []string{"%s", bytesOf}}); err != nil || string(r.Stdout) != bytesOf {
		t.Errorf("an argument that is no text: %q, %v", r.Stdout, err)
	}
}

// TestFileLimitFromTheStart has the limit hold from a command's first moment.
func TestFileLimitFromTheStart(t *testing.T) {
	withSupervisor(t)
	out := filepath.Join(t.TempDir(), "big")
	ctx := WithLimits(context.Background(), Limits{OutputBytes: 4096})
	var limit *LimitError
	_, err := Run(ctx, Cmd{Path: "dd", Args: []string{"if=/dev/zero", "of=" + out, "bs=8192", "count=1000"}})
	if !errors.As(err, &limit) || !strings.Contains(limit.Reason, "wrote a file larger than 4 KiB") {
		t.Errorf("got %v", err)
	}
	if st, err := os.Stat(out); err != nil || st.Size() > 4096 {
		t.Errorf("file: %v, %v", st, err)
	}
	if _, err := Run(ctx, sh("head -c 5000 /dev/zero")); !errors.As(err, &limit) || !strings.Contains(limit.Reason, "printed too much") {
		t.Errorf("printing: %v", err)
	}
	// The next one has no limit.
	if _, err := Run(context.Background(), sh("head -c 100000 /dev/zero >"+out)); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

// TestManyAtOnce runs many commands at once, some of which leave something behind.
func TestManyAtOnce(t *testing.T) {
	linuxOnly(t)
	withSupervisor(t)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				pid := filepath.Join(dir, fmt.Sprintf("%d-%d", i, j))
				script := "sleep 60 & echo " + strconv.Itoa(i*100+j)
				if j%5 == 0 {
					script = fled(pid, "") + "; " + script
				}
				r, err := Run(context.Background(), sh(script))
				if err != nil || string(r.Stdout) != strconv.Itoa(i*100+j)+"\n" {
					t.Errorf("%d %d: %q, %v", i, j, r.Stdout, err)
				}
			}
		})
	}
	wg.Wait()
	CloseSupervisor()
	pids, err := filepath.Glob(dir + "/*")
	if err != nil || len(pids) != 8*4 {
		t.Fatalf("%d daemons, %v", len(pids), err)
	}
	for _, pid := range pids {
		if alive(t, pid) {
			t.Errorf("%s is alive after CloseSupervisor", pid)
		}
	}
}

// TestSignalAfterTheEnd sends a signal to a command that has ended: nobody may
// get it, whoever has the id now.
func TestSignalAfterTheEnd(t *testing.T) {
	withSupervisor(t)
	for _, supervised := range []bool{true, false} {
		if !supervised {
			CloseSupervisor()
			supervisor.Lock()
			supervisor.wanted = false
			supervisor.Unlock()
		}
		p := newProcess(sh("exit 0").under(context.Background()))
		r, err := p.request()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.start(r); err != nil {
			t.Fatal(err)
		}
		rep, ok := p.watch(context.Background())
		p.finishPipes()
		if !ok || rep.Status.ExitStatus() != 0 {
			t.Fatalf("%+v, %v", rep, ok)
		}
		p.running.signal(syscall.SIGKILL)
		if _, err := Run(context.Background(), sh("exit 0")); err != nil {
			t.Error(err)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	e := newEncoder()
	for _, r := range []request{{ID: 1, Path: "/bin/true", Args: []string{"true"}}, {ID: 1, Signal: 9}, {Holders: 7}} {
		b, err := e.frame(&r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		d := newDecoder(func(b []byte) (int, []int, error) { n, err := in.Read(b); return n, nil, err }, in)
		for {
			var r request
			if _, err := d.next(&r); err != nil {
				if in.Len() == len(data) && len(data) > 0 && err == io.EOF {
					t.Error("it read nothing")
				}
				return
			}
		}
	})
}
