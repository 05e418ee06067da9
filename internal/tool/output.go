package tool

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
)

// An ExitError is a program that ended with a failure of its own.
type ExitError struct {
	Name   string
	Code   int            // exit status; -1 if a signal ended it
	Signal syscall.Signal // 0 if none did
	Stderr string         // the last lines
}

func (e *ExitError) Error() string {
	if e.Signal != 0 {
		return fmt.Sprintf("%s was ended by signal %d (%v)%s", e.Name, int(e.Signal), e.Signal, withStderr(e.Stderr))
	}
	return fmt.Sprintf("%s ended with exit status %d%s", e.Name, e.Code, withStderr(e.Stderr))
}

// A LimitError is a program that was ended because it went over a limit.
type LimitError struct {
	Name   string
	Reason string // "took longer than 5s"
	Stderr string // the last lines
}

func (e *LimitError) Error() string { return e.Name + " " + e.Reason + withStderr(e.Stderr) }

func withStderr(s string) string {
	if s == "" {
		return ""
	}
	return ": " + strings.ReplaceAll(s, "\n", "; ")
}

// limited passes at most left bytes on to w, then says so once and swallows
// the rest: a program that is being ended must not block on a full pipe. So it
// does with what w cannot take.
type limited struct {
	w    io.Writer
	left int64
	name string
	over chan<- string // gets why the program is to be ended
	said bool
	err  error // of w
}

func (l *limited) Write(b []byte) (int, error) {
	n := len(b)
	if int64(n) > l.left {
		b = b[:l.left]
		l.say("printed too much on " + l.name)
	}
	l.left -= int64(len(b))
	if len(b) > 0 && l.err == nil {
		if _, l.err = l.w.Write(b); l.err != nil {
			l.say("could not have its " + l.name + " kept")
		}
	}
	return n, nil
}

func (l *limited) say(why string) {
	if !l.said {
		l.said = true
		l.over <- why
	}
}

// buffer collects output. It has a lock because a copying goroutine that was
// given up (exec.ErrWaitDelay) may still hold it.
type buffer struct {
	mu sync.Mutex
	b  []byte
}

func (t *buffer) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	return len(b), nil
}

func (t *buffer) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b
}

const (
	tailBytes = 4096
	tailLines = 10
)

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	if n > tailBytes {
		b = b[n-tailBytes:]
	}
	if len(t.b)+len(b) > 2*tailBytes { // cut only now and then
		t.b = append(t.b[:0], t.b[len(t.b)-tailBytes:]...)
	}
	t.b = append(t.b, b...)
	return n, nil
}

// lines returns the last lines, without control characters that would play
// tricks on a terminal.
func (t *tail) lines() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.b
	if len(b) > tailBytes {
		b = b[len(b)-tailBytes:]
	}
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(b), "?")), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (r < ' ' || r == 0x7f) {
			return -1
		}
		return r
	}, strings.Join(lines, "\n"))
}
