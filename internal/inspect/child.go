package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"
)

// childArg is the hidden first argument that makes the program a child.
const childArg = "inspect-child"

// Limits of a child. Large files may take more, in proportion.
const (
	memoryLimit = 200 << 20
	cpuLimitSec = 2
	wallLimit   = 10 * time.Second // a busy machine must not make sound files bad
	statsLimit  = time.Second      // after which statistics stop
	largeFile   = 16 << 20         // bytes from which limits grow
	maxReport   = 32 << 20         // bytes of JSON that the parent takes
)

// errorMark begins the line of standard error that says why a child gave up.
const errorMark = "inspect-error: "

// A request is what the parent asks of a child.
type request struct {
	Path    string  `json:"path"`
	Name    string  `json:"name"` // to call the file by
	Options Options `json:"options"`
	Format  string  `json:"format,omitempty"` // export to this; empty: report
}

// File reports on the file at path. It takes a few seconds at most unless
// o.Full is set. A file that is damaged gives an error, which names it, or a
// report with warnings.
func File(ctx context.Context, path string, o Options) (*Report, error) {
	var out limited
	out.left = maxReport
	if err := start(ctx, request{Path: path, Name: path, Options: o}, &out); err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(out.buf.Bytes(), &r); err != nil {
		return nil, fmt.Errorf("inspect %s: report of the child: %w", path, err)
	}
	return &r, nil
}

// Formats that Export writes.
var Formats = []string{"csv", "json", "npy", "wav", "png"}

// Export writes the file's rows, or the row whose id is o.Row, to w: csv and
// json (one object a line) take any table; npy, wav and png take one row of
// this project's tables. Nothing is written before the child has found the row,
// but if it fails half-way, what was written is incomplete.
func Export(ctx context.Context, path string, w io.Writer, format string, o Options) error {
	o.Full = true
	return start(ctx, request{Path: path, Name: path, Options: o, Format: format}, w)
}

func start(ctx context.Context, req request, out io.Writer) error {
	info, err := os.Stat(req.Path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("inspect %s: not a regular file", req.Path)
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("inspect %s: %w", req.Path, err)
	}
	text, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("inspect %s: %w", req.Path, err)
	}
	if !req.Options.Full {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, wallLimit+extra(info.Size()))
		defer stop()
	}
	cmd := exec.CommandContext(ctx, exe, childArg, string(text))
	cmd.Env = []string{"GOTRACEBACK=single"}
	cmd.WaitDelay = time.Second
	dieWithParent(cmd)
	complaint := limited{left: 64 << 10, drop: true}
	cmd.Stdout, cmd.Stderr = out, &complaint
	if err := cmd.Run(); err != nil {
		reason := why(ctx, err, complaint.buf.String())
		if rest, ok := strings.CutPrefix(reason, errNoRow.Error()); ok {
			return fmt.Errorf("inspect %s: %w%s", req.Path, errNoRow, rest)
		}
		return fmt.Errorf("inspect %s: %s", req.Path, reason)
	}
	return nil
}

// IsNoRow reports whether err says that no row has the id asked for.
func IsNoRow(err error) bool { return errors.Is(err, errNoRow) }

// extra is the time that a large file gets on top, at 32 MiB a second.
func extra(size int64) time.Duration {
	return time.Duration(size>>25) * time.Second
}

// why says in one line what a child died of.
func why(ctx context.Context, err error, stderr string) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "took too long to read"
	}
	if ctx.Err() != nil {
		return ctx.Err().Error()
	}
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, errorMark); ok {
			return text
		}
		if strings.HasPrefix(line, "fatal error:") && strings.Contains(line, "memory") {
			return "asks for more memory than it should"
		}
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return "damaged: its decoder died of " + line
		}
	}
	// The limit counts ticks, of which a busy machine gives more than it takes
	// time: who is killed at it may have used little over half.
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.UserTime()+exit.SystemTime() > (cpuLimitSec*time.Second)/2 {
		return "took too long to read"
	}
	return "its decoder died of " + err.Error()
}

// limited keeps the first bytes written to it; beyond, it fails or drops.
type limited struct {
	buf  bytes.Buffer
	left int
	drop bool
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.buf.Write(p[:n])
	l.left -= n
	if n < len(p) && !l.drop {
		return n, errors.New("report is too large")
	}
	return len(p), nil
}

// IsChild says whether the program was started as a child: then main must do
// nothing but exit with what Child returns.
func IsChild(args []string) bool { return len(args) == 3 && args[1] == childArg }

// Child does what the parent asked for in args and returns the exit status.
func Child(args []string) int {
	if err := childMain(args[2], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, errorMark+oneLine(err.Error()))
		return 1
	}
	return 0
}

func childMain(text string, out io.Writer) (err error) {
	var req request
	if err := json.Unmarshal([]byte(text), &req); err != nil {
		return err
	}
	f, err := os.Open(req.Path)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	confine(info.Size(), req.Options.Full)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged: %v", p)
		}
	}()
	in := &input{f: f, name: req.Name, size: info.Size(), opts: req.Options}
	if !req.Options.Full {
		in.until = time.Now().Add(statsLimit)
	}
	if req.Format != "" {
		return export(in, out, req.Format)
	}
	r, err := report(in)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > 500 {
		s = s[:500] + "…"
	}
	return s
}

// confine limits the process it runs in.
func confine(size int64, full bool) {
	memory := int64(memoryLimit)
	if size > largeFile {
		memory += 12 * (size - largeFile) // the widest: compressed sound to float32
	}
	debug.SetMemoryLimit(memory * 3 / 4)
	limitMemory(uint64(memory))
	if !full {
		limitCPU(uint64(cpuLimitSec + int(extra(size)/time.Second)))
	}
	go watch(uint64(memory))
}

// watch ends the process when its heap outgrows limit: for systems that cannot
// limit it, and for memory that is mapped already.
func watch(limit uint64) {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for range time.Tick(5 * time.Millisecond) {
		metrics.Read(s)
		if s[0].Value.Uint64() > limit {
			fmt.Fprintln(os.Stderr, errorMark+"asks for more memory than it should")
			os.Exit(1)
		}
	}
}
