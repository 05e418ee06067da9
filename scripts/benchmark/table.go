package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/kernel"
)

// A row is a line of the table and of bench/results.jsonl.
type row struct {
	name, unit string
	ours       float64
	peer       float64 // 0: none
	peerName   string
	ratio      float64 // > 1: ours is faster
	least      float64 // ratio that is asked for; 0: none
	cpuRatio   float64 // the same by CPU seconds; 0: not known
	limit      float64 // of ours, in its unit; 0: none
	load       float64
	note       string
}

// rowsOf are the rows of a work: one for each peer, or one, and its memory.
func rowsOf(w work, mine []*sample, theirs [][]reading) []row {
	var values, cpu, loads, memory, shares, sharesCPU, peaks []float64
	for _, s := range mine {
		loads, memory = append(loads, s.Load), append(memory, float64(s.Memory)/1e9)
		cpu = append(cpu, s.CPU...)
		if len(theirs) > 0 {
			values = append(values, median(s.Values)) // as the peers do
		} else {
			values = append(values, s.Values...)
		}
		for i, p := range s.Peak {
			peaks, shares, sharesCPU = append(peaks, p), append(shares, s.Values[i]/p), append(sharesCPU, s.PerCPU[i])
		}
	}
	base := row{name: w.name, unit: w.unit, ours: median(values), load: median(loads), note: note(mine[0], len(mine))}
	var out []row
	switch {
	case len(theirs) > 0:
		for i, p := range w.peers {
			r := base
			r.peerName, r.least = p.name, p.least
			r.against(theirs[i], slices.Min(cpu))
			out = append(out, r)
		}
	case len(peaks) > 0:
		base.peer, base.peerName, base.ratio, base.least = median(peaks), "FMA peak", median(shares), w.least
		base.cpuRatio = median(sharesCPU)
		out = append(out, base)
	default:
		out = append(out, base)
	}
	if held := slices.Max(memory); w.limit > 0 && held > 0 {
		out = append(out, row{name: w.name + "_memory", unit: "GB", ours: held, limit: w.limit, load: base.load, note: "VmHWM"})
	}
	return out
}

// against sets ours beside a peer's readings. cpu is the least CPU seconds of one
// of our repetitions.
func (r *row) against(theirs []reading, cpu float64) {
	var values, their []float64
	for _, t := range theirs {
		values = append(values, t.value)
		their = append(their, t.cpu)
		r.load = max(r.load, t.load)
	}
	r.peer = median(values)
	r.ratio = r.ours / r.peer
	if strings.HasPrefix(r.unit, "s") {
		r.ratio = r.peer / r.ours
	}
	if cpu > 0 {
		r.cpuRatio = slices.Min(their) / cpu
	}
	r.note += "; " + theirs[0].version
}

func note(s *sample, rounds int) string {
	n := fmt.Sprintf("%d x %d reps", rounds, len(s.Values))
	if s.Parameters > 0 {
		n += fmt.Sprintf(", %d parameters, %d frames", s.Parameters, s.Frames)
	}
	if s.Out != nil {
		n += fmt.Sprintf(", output %v", s.Out)
	}
	return n
}

// verdict says how the row stands to what is asked for.
func (r row) verdict() string {
	switch {
	case r.least == 0 && r.limit == 0:
		return ""
	case r.least > 0 && r.ratio >= r.least, r.limit > 0 && r.ours < r.limit:
		return "ok"
	}
	return "SHORT"
}

// A table prints rows as they come and appends them to a file.
type table struct {
	out             io.Writer
	file            *os.File // nil: none
	machine, commit string
	short           int
}

const columns = "%-32s %10s %10s %-9s %7s %7s %7s %6s %-6s %s\n"

func newTable(out io.Writer, results string) (*table, error) {
	t := &table{out: out, machine: machine(), commit: commit()}
	if results != "" {
		f, err := os.OpenFile(results, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return nil, err
		}
		t.file = f
	}
	_, err := fmt.Fprintf(out, "%s, commit %s, load %.1f\n\n"+columns, t.machine, t.commit, load(),
		"work", "ours", "peer", "unit", "ratio", "asked", "cpu", "load", "", "peer; how")
	return t, err
}

func (t *table) add(rows ...row) error {
	for _, r := range rows {
		if r.verdict() == "SHORT" {
			t.short++
		}
		asked := number(r.least)
		if r.limit > 0 {
			asked = "< " + number(r.limit)
		}
		how := r.note
		if r.peerName != "" {
			how = r.peerName + "; " + how
		}
		if _, err := fmt.Fprintf(t.out, columns, r.name, number(r.ours), number(r.peer), r.unit, number(r.ratio), asked, number(r.cpuRatio),
			fmt.Sprintf("%.1f", r.load), r.verdict(), how); err != nil {
			return err
		}
		if err := t.keep(r); err != nil {
			return err
		}
	}
	return nil
}

// keep appends a row to the file of results.
func (t *table) keep(r row) error {
	if t.file == nil {
		return nil
	}
	null := func(v float64) *float64 {
		if v == 0 {
			return nil
		}
		return &v
	}
	return json.NewEncoder(t.file).Encode(struct {
		Name     string   `json:"name"`
		Ours     float64  `json:"ours"`
		Peer     *float64 `json:"peer"`
		PeerName string   `json:"peer_name"`
		Unit     string   `json:"unit"`
		Ratio    *float64 `json:"ratio"`
		Machine  string   `json:"machine"`
		Commit   string   `json:"commit"`
	}{r.name, r.ours, null(r.peer), r.peerName, r.unit, null(r.ratio), t.machine, t.commit})
}

func (t *table) end() error {
	_, err := fmt.Fprintf(t.out, "\n%d short of what is asked, load %.1f. ratio: > 1, ours is faster; cpu: the same by CPU seconds, the least of a repetition.\n", t.short, load())
	if t.file != nil {
		err = errors.Join(err, t.file.Close())
	}
	return err
}

// number prints a figure with what matters of it; 0 is nothing.
func number(v float64) string {
	switch {
	case v == 0:
		return ""
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// machine names the CPU, how many there are, and the numeric path.
func machine() string {
	name := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		id := map[string]string{}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			if key = strings.TrimSpace(key); id[key] == "" {
				id[key] = strings.TrimSpace(value)
			}
		}
		if id["model name"] != "" {
			name = fmt.Sprintf("%s (family %s, model %s)", id["model name"], id["cpu family"], id["model"])
		}
	}
	return fmt.Sprintf("%s, %d CPUs, %s", name, runtime.NumCPU(), kernel.Numeric())
}

// commit is the revision that the program was built from, with + if the tree had
// changes.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, changed := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			if s.Value == "true" {
				changed = "+"
			}
		}
	}
	return revision + changed
}
