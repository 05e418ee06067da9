package exec

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/hearsight/hearsight/stages/stage"
)

// What is kept of what commands print, in the stage's folder of the run, for
// people: all of stderr, which a tool.Cmd limits, and the beginning of a stdout
// that is not an output. For each item of exec_each it is the beginning of both.
const (
	stdoutLog, stderrLog = "stdout.log", "stderr.log"
	maxStdoutLog         = 1 << 20
	maxItemLog           = 64 << 10
	maxEachLog           = 256 << 20
)

// A logFile keeps what a command prints. The file is made with the first byte,
// since most commands print none. What goes wrong with it is told and is not
// the command's fault. It is not safe for use by several goroutines.
type logFile struct {
	dir, name string // dir is empty: nobody wants to know
	left      int64
	dropped   int64
	f         *os.File
	err       error
}

func (l *logFile) Write(b []byte) (int, error) {
	n := len(b)
	keep := b[:min(int64(n), l.left)]
	l.left -= int64(len(keep))
	l.dropped += int64(n - len(keep))
	if len(keep) > 0 && l.dir != "" && l.err == nil {
		l.err = l.append(keep)
	}
	return n, nil
}

func (l *logFile) append(b []byte) (err error) {
	if l.f == nil {
		if err := os.MkdirAll(l.dir, 0o755); err != nil {
			return err
		}
		if l.f, err = os.OpenFile(filepath.Join(l.dir, l.name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
			return err
		}
	}
	_, err = l.f.Write(b)
	return err
}

// close ends the log and tells t what went wrong with it.
func (l *logFile) close(t *stage.Task) {
	if l.f != nil {
		if l.dropped > 0 && l.err == nil {
			l.err = l.append(fmt.Appendf(nil, "\n… and %d bytes more, which were not kept\n", l.dropped))
		}
		l.err = errors.Join(l.err, l.f.Close())
		l.f = nil
	}
	if l.err != nil {
		t.Report(stage.Progress{Message: "what the command printed is not in the log: " + l.err.Error(), Warning: true})
	}
}

// capped keeps the beginning of what is written to it. Both streams of a
// command may go there.
type capped struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *capped) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.b.Write(b[:min(len(b), max(0, maxItemLog-c.b.Len()))])
	return len(b), nil
}

// logItem adds what the command printed for an item to the stage's log.
func (d *doer) logItem(id string, printed *capped) {
	printed.mu.Lock()
	defer printed.mu.Unlock()
	if printed.b.Len() == 0 {
		return
	}
	d.logging.Lock()
	defer d.logging.Unlock()
	_, _ = fmt.Fprintf(&d.log, "== %q\n%s\n", id, bytes.TrimRight(printed.b.Bytes(), "\n")) // it keeps its error
}
