package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// prepOptions say where the parts of the preparation are.
type prepOptions struct {
	script, spec, binary   string
	flickr8k, weights, dir string
	items                  int
}

func (p *prepOptions) flags(f *flag.FlagSet) {
	f.StringVar(&p.script, "script", "scripts/bench/prep_peer.py", "prep: the Python stack")
	f.StringVar(&p.spec, "spec", "scripts/bench/prep.yaml", "prep: our pipeline")
	f.StringVar(&p.binary, "binary", "bin/hearsight", "prep: our program")
	f.StringVar(&p.flickr8k, "flickr8k", "", "prep: folder with images/ and captions.txt")
	f.StringVar(&p.weights, "weights", "", "prep: VGG16's weights, safetensors")
	f.StringVar(&p.dir, "data", "", "prep: folder for the photos and recordings, made once")
	f.IntVar(&p.items, "items", 300, "prep: photos, and as many recordings; sound: recordings")
}

// A span is the time something took.
type span struct{ wall, cpu float64 }

// prepStages are ours in order, and the peer's stage that does the same, if any:
// Python reads the files where they lie and keeps no copy.
var prepStages = [][2]string{{"pairs", ""}, {"wav", ""}, {"mfcc", "mfcc"}, {"photos", "photos"}, {"features", "features"}}

// prepare compares the preparation of a data set: features of recordings and
// photos from files, by a run on an empty store and by a Python script that
// writes the same tables. In each round ours runs whole, then the script, then
// ours once more a stage at a time, on another empty store.
func prepare(out io.Writer, o options) error {
	if o.prep.dir == "" || o.prep.weights == "" {
		return errors.New("prep: say with -data and -weights where things are")
	}
	p := &preparation{o: o}
	t, err := newTable(out, o.results)
	if err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp("", "hearsight-prep-"); err != nil {
		return err
	}
	defer os.RemoveAll(p.dir)
	if _, _, err := p.python("make", "--flickr8k", o.prep.flickr8k, "--data", o.prep.dir, "--items", strconv.Itoa(o.prep.items)); err != nil {
		return fmt.Errorf("make photos and recordings: %w", err)
	}
	spans := map[string][]span{}
	for range o.rounds {
		if err := p.round(spans); err != nil {
			return err
		}
	}
	said, err := p.compare()
	if err != nil {
		return err
	}
	if err := t.add(p.rows(spans)...); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "\nBoth wrote the same: %s\n", said); err != nil {
		return err
	}
	return t.end()
}

type preparation struct {
	o      options
	dir    string
	memory float64 // the most a process of ours held, GB
}

func (p *preparation) round(spans map[string][]span) error {
	add := func(name string, s span) { spans[name] = append(spans[name], s) }
	whole, staged, theirs := filepath.Join(p.dir, "whole"), filepath.Join(p.dir, "staged"), filepath.Join(p.dir, "theirs")
	for _, d := range []string{whole, staged, theirs} {
		if err := os.RemoveAll(d); err != nil {
			return err
		}
	}
	s, err := p.hearsight("run", whole)
	if err != nil {
		return err
	}
	add("ours", s)
	if err := p.theirs(theirs, add); err != nil {
		return err
	}
	for _, stage := range prepStages {
		s, err := p.hearsight("run", staged, stage[0])
		if err != nil {
			return err
		}
		add("ours "+stage[0], s)
	}
	return nil
}

// hearsight runs a command of ours on a store.
func (p *preparation) hearsight(verb, store string, args ...string) (span, error) {
	q := p.o.prep
	args = append([]string{verb, "-f", q.spec, "--store", store, "--set", "data=" + q.dir, "--set", "weights=" + q.weights}, args...)
	cmd := exec.Command(q.binary, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(p.o.threads))
	_, s, err := timed(cmd)
	if err == nil {
		p.memory = max(p.memory, maxRSS(cmd.ProcessState))
	}
	return s, err
}

// timed runs a command and returns what it printed and what it took, its own
// children included.
func timed(cmd *exec.Cmd) ([]byte, span, error) {
	began := time.Now()
	text, err := output(cmd)
	if err != nil {
		return nil, span{}, err
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return text, span{time.Since(began).Seconds(), cpu.Seconds()}, nil
}

// maxRSS is the most memory that a process that ended, or one of its children,
// held, in GB; 0 where it is not known.
func maxRSS(p *os.ProcessState) float64 {
	u, ok := p.SysUsage().(*syscall.Rusage)
	if !ok || runtime.GOOS != "linux" { // others count in other units
		return 0
	}
	return float64(u.Maxrss) * 1024 / 1e9
}

// theirs runs the script, which prints a line of JSON for each of its stages.
func (p *preparation) theirs(out string, add func(string, span)) error {
	q := p.o.prep
	text, s, err := p.python("run", "--data", q.dir, "--weights", q.weights, "--out", out, "--threads", strconv.Itoa(p.o.threads))
	if err != nil {
		return err
	}
	add("theirs", s)
	for line := range bytes.Lines(text) {
		var s struct {
			Stage string  `json:"stage"`
			Wall  float64 `json:"wall"`
			CPU   float64 `json:"cpu"`
		}
		if err := json.Unmarshal(line, &s); err != nil {
			return fmt.Errorf("%s: %w in %.200q", q.script, err, line)
		}
		add("theirs "+s.Stage, span{s.Wall, s.CPU})
	}
	return nil
}

func (p *preparation) python(args ...string) ([]byte, span, error) {
	return timed(exec.Command(p.o.python, append([]string{p.o.prep.script}, args...)...))
}

// compare holds the tables of the last round against each other and returns what
// the script says of them.
func (p *preparation) compare() (string, error) {
	ours := filepath.Join(p.dir, "ours")
	for _, stage := range []string{"mfcc", "photos", "features"} {
		if _, err := p.hearsight("get", filepath.Join(p.dir, "whole"), stage, filepath.Join(ours, stage)); err != nil {
			return "", err
		}
	}
	text, _, err := p.python("compare", "--ours", ours, "--theirs", filepath.Join(p.dir, "theirs"), "--weights", p.o.prep.weights)
	if err != nil {
		return "", fmt.Errorf("the two sides wrote different tables: %w", err)
	}
	return string(bytes.TrimSpace(text)), nil
}

// rows are the whole on the clock and in CPU seconds, and each stage on the
// clock.
func (p *preparation) rows(spans map[string][]span) []row {
	const peer = "Python"
	how := fmt.Sprintf("%d photos and recordings, %d rounds", p.o.prep.items, len(spans["ours"]))
	middle := func(name string) (wall, cpu float64) {
		var w, c []float64
		for _, s := range spans[name] {
			w, c = append(w, s.wall), append(c, s.cpu)
		}
		return median(w), median(c)
	}
	line := func(name, ours, theirs string, least float64) row {
		w, c := middle(ours)
		r := row{name: name, unit: "s", ours: w, least: least, load: load(), note: how}
		if tw, tc := middle(theirs); tw > 0 {
			r.peer, r.peerName, r.ratio = tw, peer, tw/w
			if c > 0 {
				r.cpuRatio = tc / c
			}
		}
		return r
	}
	out := []row{line("prep", "ours", "theirs", 2.5)}
	_, c := middle("ours")
	_, tc := middle("theirs")
	out = append(out, row{name: "prep_cpu", unit: "s CPU", ours: c, peer: tc, peerName: peer, ratio: tc / c, load: load(), note: how})
	for _, s := range prepStages {
		theirs := "none"
		if s[1] != "" {
			theirs = "theirs " + s[1]
		}
		out = append(out, line("prep_"+s[0], "ours "+s[0], theirs, 0))
	}
	out = append(out, row{name: "prep_imports", unit: "s", peer: first(middle("theirs imports")), peerName: peer, load: load(), note: "of numpy, torch and the rest"})
	if p.memory > 0 {
		out = append(out, row{name: "prep_memory", unit: "GB", ours: p.memory, limit: 1.5, load: load(), note: "largest process of ours"})
	}
	return out
}

func first(a, _ float64) float64 { return a }
