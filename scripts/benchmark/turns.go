package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// alone measures ours, all repetitions of a work in one process.
func alone(out io.Writer, works []work, o options) error {
	t, err := newTable(out, o.results)
	if err != nil {
		return err
	}
	for _, w := range works {
		s, err := ours(w.name, o.reps, o)
		if err != nil {
			return err
		}
		if err := t.add(rowsOf(w, []*sample{s}, nil)...); err != nil {
			return err
		}
	}
	return t.end()
}

// beside measures ours and the peers in turn.
func beside(out io.Writer, works []work, o options) error {
	t, err := newTable(out, o.results)
	if err != nil {
		return err
	}
	known := map[string][]reading{} // by command
	for _, w := range works {
		mine, theirs, err := turns(w, o, known)
		if err != nil {
			return err
		}
		if err := t.add(rowsOf(w, mine, theirs)...); err != nil {
			return err
		}
	}
	return t.end()
}

// A reading is what a peer said of itself in one turn.
type reading struct {
	value   float64 // the median of its repetitions
	cpu     float64 // least CPU seconds of a repetition
	load    float64
	version string
}

// turns lets ours and the peers of a work take turns. theirs[i] are the readings
// of peer i. A work without peers has one turn.
func turns(w work, o options, known map[string][]reading) (mine []*sample, theirs [][]reading, err error) {
	rounds, reps := o.rounds, o.reps
	if w.once {
		reps = 1
	}
	if len(w.peers) == 0 {
		rounds, reps = 1, o.rounds
	}
	theirs = make([][]reading, len(w.peers))
	for range rounds {
		s, err := ours(w.name, reps, o)
		if err != nil {
			return nil, nil, err
		}
		mine = append(mine, s)
		for i, p := range w.peers {
			key := strings.Join(p.args, " ")
			if w.reused && len(known[key]) == rounds {
				theirs[i] = known[key]
				continue
			}
			r, err := p.run(s, reps, o)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %s: %w", w.name, p.name, err)
			}
			theirs[i] = append(theirs[i], r)
		}
	}
	for i, p := range w.peers {
		known[strings.Join(p.args, " ")] = theirs[i]
	}
	return mine, theirs, nil
}

// ours does a measurement in a process of its own.
func ours(name string, reps int, o options) (*sample, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	line, err := output(exec.Command(self, "one", "-reps", strconv.Itoa(reps), "-threads", strconv.Itoa(o.threads), "-clips", o.clips, name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s := new(sample)
	if err := json.Unmarshal(line, s); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// run does a peer's turn and holds what it says of its network against ours.
func (p peer) run(s *sample, reps int, o options) (reading, error) {
	fill := strings.NewReplacer("{cache}", o.cache, "{clips}", o.clips).Replace
	args := []string{filepath.Join(o.peers, p.args[0])}
	if strings.HasPrefix(p.args[0], "scripts/") { // ours
		args[0] = p.args[0]
	}
	for _, a := range p.args[1:] {
		args = append(args, fill(a))
	}
	args = append(args, "--reps", strconv.Itoa(reps), "--threads", strconv.Itoa(o.threads))
	text, err := output(exec.Command(o.python, args...))
	if err != nil {
		return reading{}, err
	}
	return p.read(text, s)
}

// read takes the figure out of the last line of JSON that a peer printed, and
// checks that it did the same work as ours.
func (p peer) read(text []byte, s *sample) (reading, error) {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	line := lines[len(lines)-1]
	said := struct {
		CPU        float64 `json:"cpu_s"`
		Load       float64 `json:"load1"`
		Version    string  `json:"version"`
		Parameters int     `json:"parameters"`
		Frames     int     `json:"frames_out"`
		Out        []int   `json:"out"` // [n][c][h][w]
	}{}
	figures := map[string]any{}
	if err := json.Unmarshal(line, &said); err != nil {
		return reading{}, fmt.Errorf("%w in %.200q", err, line)
	}
	if err := json.Unmarshal(line, &figures); err != nil {
		return reading{}, err
	}
	value, ok := figures[p.figure].(float64)
	if !ok || value <= 0 {
		return reading{}, fmt.Errorf("no figure %s in %.300s", p.figure, line)
	}
	if said.Parameters > 0 && (said.Parameters != s.Parameters || said.Frames != s.Frames) {
		return reading{}, fmt.Errorf("it trains %d parameters to %d frames, ours %d to %d: not the same work", said.Parameters, said.Frames, s.Parameters, s.Frames)
	}
	if g := said.Out; len(g) == 4 && fmt.Sprint([]int{g[0], g[2], g[3], g[1]}) != fmt.Sprint(s.Out) {
		return reading{}, fmt.Errorf("its output is %v (n c h w), ours %v (n h w c): not the same work", g, s.Out)
	}
	return reading{value: value, cpu: said.CPU, load: said.Load, version: said.Version}, nil
}

// output runs a command for its standard output; the error has the last lines of
// its standard error.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		text := bytes.TrimSpace(stderr.Bytes())
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, text[max(0, len(text)-2000):])
	}
	return stdout.Bytes(), nil
}
