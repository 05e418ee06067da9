package tool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// A pipe is our end of one of a program's.
type pipe struct {
	f    *os.File
	out  *limited // nil: stdin
	copy func() error
	done chan struct{} // closed when copy has returned; nil until begun
	err  error         // of copy, once done
}

func (x *pipe) begin() {
	x.done = make(chan struct{})
	go func() {
		defer close(x.done)
		x.err = x.copy()
	}()
}

var copyBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// drain reads all of a pipe, until it ends or we close it. Any other error is
// one: what a program said after it is lost.
func drain(to io.Writer, f *os.File) error {
	b, _ := copyBuffers.Get().(*[16 << 10]byte)
	defer copyBuffers.Put(b)
	_, err := io.CopyBuffer(to, struct{ io.Reader }{f}, b[:])
	if errors.Is(err, os.ErrClosed) {
		return nil // given up: finishPipes reports it
	}
	return err
}

// feed writes all of from to a program that may end, or close its stdin,
// without having read it. Any other error is one: it saw less than it was to.
func feed(f *os.File, from io.Reader) error {
	r := &readError{r: from}
	_, err := io.Copy(f, r)
	if r.err != nil { // a closed file that it was to be read from, say, is not the program's doing
		err = r.err
	} else if errors.Is(err, os.ErrClosed) || errors.Is(err, syscall.EPIPE) {
		err = nil
	}
	if cerr := f.Close(); err == nil && !errors.Is(cerr, os.ErrClosed) {
		err = cerr
	}
	return err
}

// A readError remembers what a reader failed with.
type readError struct {
	r   io.Reader
	err error
}

func (r *readError) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// maxStderrBytes is what goes to a log at most, whatever the output may be.
const maxStderrBytes = 1 << 30

// outputs are where stdout and stderr go.
func (p *process) outputs() []*limited {
	var out, errOut io.Writer = &p.stdout, &p.stderr
	if p.c.Stdout != nil {
		out = p.c.Stdout
	}
	if p.c.Stderr != nil {
		errOut = io.MultiWriter(&p.stderr, p.c.Stderr)
	}
	return []*limited{
		{w: out, left: p.c.MaxOutputBytes, name: "stdout", over: p.over},
		{w: errOut, left: min(p.c.MaxOutputBytes, maxStderrBytes), name: "stderr", over: p.over},
	}
}

// finishPipes takes what is still in the pipes of a program that has ended and
// closes them. It reports true if somebody would not let go of one.
func (p *process) finishPipes() (open bool) {
	var give <-chan time.Time
	var look *time.Ticker
	for _, x := range p.pipes {
		if x.out == nil {
			_ = x.f.Close() // nobody reads it any more
		}
	}
	for _, x := range p.pipes {
		select {
		case <-x.done:
			continue
		default:
		}
		if look == nil {
			t := time.NewTimer(pipeWait)
			defer t.Stop()
			look, give = time.NewTicker(pipeTick), t.C
			defer look.Stop()
		}
		for waiting := true; waiting; {
			select {
			case <-x.done:
				waiting = false
			case <-look.C:
				p.killHolders(x.f)
			case <-give:
				waiting, open = false, true
				p.closePipes() // the copying ends
				<-x.done
			}
		}
	}
	p.closePipes()
	return open
}

// pipeError says what was lost between us and a program that has ended.
func (p *process) pipeError() error {
	for _, x := range p.pipes {
		switch name := p.c.name(); {
		case x.out == nil && x.err != nil:
			return fmt.Errorf("run %s: feed its stdin: %w", name, x.err)
		case x.out == nil:
		case x.out.err != nil:
			return fmt.Errorf("run %s: keep its %s: %w", name, x.out.name, x.out.err)
		case x.err != nil:
			return fmt.Errorf("run %s: read its %s: %w", name, x.out.name, x.err)
		}
	}
	return nil
}

// killHolders ends whoever holds the other end of a pipe.
func (p *process) killHolders(f *os.File) {
	if p.running.holders == nil {
		return
	}
	if info, err := f.Stat(); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			p.running.holders(st.Ino)
		}
	}
}

// closePipes closes our ends. It may be called twice.
func (p *process) closePipes() {
	for _, x := range p.pipes {
		_ = x.f.Close() // only read, or written to a program that is gone
	}
}

// sizeText is a number of bytes for a person.
func sizeText(n int64) string {
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		size := int64(1) << (10 * (i + 1))
		if n >= size && n%size == 0 && n/size < 1024 {
			return fmt.Sprintf("%d %s", n/size, unit)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
