package tool

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

// TestStdinLost: a program that saw half of what it was to see may well end
// with 0, and what it made of it must not pass for a result.
func TestStdinLost(t *testing.T) {
	for _, lost := range []error{errors.New("lost"), os.ErrClosed, syscall.EPIPE} {
		c := sh("cat")
		c.Stdin = io.MultiReader(strings.NewReader("half"), iotest.ErrReader(lost))
		if r, err := Run(context.Background(), c); !errors.Is(err, lost) || !strings.Contains(err.Error(), "stdin") {
			t.Errorf("Run = %q, %v, want an error about stdin", r.Stdout, err)
		}
	}
	c := sh("exec <&-; echo done") // it need not read all
	c.Stdin = strings.NewReader(strings.Repeat("x", 1<<20))
	if r, err := Run(context.Background(), c); err != nil || string(r.Stdout) != "done\n" {
		t.Errorf("Run of a program that reads nothing = %q, %v", r.Stdout, err)
	}
}

// TestOutputLost: so it is with what a program said and we failed to read.
func TestOutputLost(t *testing.T) {
	folder, err := os.Open(t.TempDir()) // reading it fails
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	for _, name := range []string{"stdout", "stderr"} {
		x := &pipe{f: folder, out: &limited{w: io.Discard, left: 1, name: name}}
		x.copy = func() error { return drain(x.out, x.f) }
		x.begin()
		<-x.done
		p := newProcess(sh("true"))
		p.pipes = []*pipe{x}
		if _, err := p.result(context.Background(), reply{}, false); !errors.Is(err, syscall.EISDIR) || !strings.Contains(err.Error(), name) {
			t.Errorf("result = %v, want an error about %s", err, name)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_ = r.Close()
	if err := drain(io.Discard, r); err != nil {
		t.Errorf("drain of a pipe that was given up: %v", err)
	}
}
