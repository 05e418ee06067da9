package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	clips "github.com/hearsight/hearsight/internal/table"
)

// speechOptions say how many captions are spoken.
type speechOptions struct{ captions int }

func (s *speechOptions) flags(f *flag.FlagSet) {
	f.IntVar(&s.captions, "captions", 2000, "speech: how many captions are spoken")
}

// speechSpec speaks the captions of a table as speechArgs do.
const speechSpec = `version: 1
stages:
  pairs: {kind: corpus, with: {table: captions.csv}}
  speech: {kind: tts, in: {captions: pairs}, with: {engine: espeak-ng}}
`

var speechArgs = []string{"-b", "1", "-v", "en-us", "-s", "175", "-p", "50", "--stdin", "--stdout"}

// speech compares a run of the tts stage on an empty store with a loop that
// calls espeak-ng with the same arguments, one caption after the other, and
// drops the sound. As many loops as there are threads, each with its share of
// the captions, are what the machine has to give: no ratio can be above theirs.
func speech(out io.Writer, o options) error {
	t, err := newTable(out, o.results)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hearsight-speech-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p := &speaking{o: o, dir: dir, spans: map[string][]span{}}
	if err := p.lay(); err != nil {
		return err
	}
	for range o.rounds {
		for _, side := range []struct {
			name string
			run  func() (span, error)
		}{
			{"ours", p.ours},
			{"loop", func() (span, error) { return p.loops(1) }},
			{"loops", func() (span, error) { return p.loops(o.threads) }},
		} {
			s, err := side.run()
			if err != nil {
				return err
			}
			p.spans[side.name] = append(p.spans[side.name], s)
		}
	}
	if err := p.compare(); err != nil {
		return err
	}
	if err := t.add(p.rows()...); err != nil {
		return err
	}
	return t.end()
}

// speaking is a comparison under way.
type speaking struct {
	o     options
	dir   string
	texts []string
	sums  []string // of each caption's samples, from the loop
	spans map[string][]span
}

// lay writes the spec and a table of every nth of Flickr8k's captions, and
// brings the table in, which is not part of what is measured.
func (p *speaking) lay() error {
	data, err := os.ReadFile(filepath.Join(p.o.prep.flickr8k, "captions.txt"))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if p.o.speech.captions < 1 || p.o.speech.captions > len(lines) {
		return fmt.Errorf("-captions: want 1 to %d", len(lines))
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"id", "caption"}}
	for i := range p.o.speech.captions {
		_, text, ok := strings.Cut(lines[i*(len(lines)/p.o.speech.captions)], "\t")
		if text = strings.Join(strings.Fields(text), " "); !ok || text == "" {
			return fmt.Errorf("captions.txt: no caption in %q", lines[i])
		}
		p.texts = append(p.texts, text)
		rows = append(rows, []string{fmt.Sprintf("c%05d", i), text})
	}
	p.sums = make([]string, len(p.texts))
	if err := errors.Join(w.WriteAll(rows), os.WriteFile(filepath.Join(p.dir, "captions.csv"), b.Bytes(), 0o600)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, "speech.yaml"), []byte(speechSpec), 0o600)
}

func (p *speaking) hearsight(args ...string) (span, error) {
	binary, err := filepath.Abs(p.o.prep.binary)
	if err != nil {
		return span{}, err
	}
	cmd := exec.Command(binary, append(args, "-f", "speech.yaml", "--store", "store")...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(p.o.threads))
	_, s, err := timed(cmd)
	return s, err
}

func (p *speaking) ours() (span, error) {
	if err := os.RemoveAll(filepath.Join(p.dir, "store")); err != nil {
		return span{}, err
	}
	if _, err := p.hearsight("run", "pairs"); err != nil {
		return span{}, err
	}
	return p.hearsight("run", "speech", "--jobs", strconv.Itoa(p.o.threads))
}

// loops runs n loops at once.
func (p *speaking) loops(n int) (span, error) {
	path, err := exec.LookPath("espeak-ng")
	if err != nil {
		return span{}, err
	}
	began, cpu := time.Now(), allCPU()
	var g errgroup.Group
	for k := range n {
		g.Go(func() error {
			for i := k; i < len(p.texts); i += n {
				cmd := exec.Command(path, speechArgs...)
				cmd.Stdin = strings.NewReader(p.texts[i])
				wav, err := output(cmd)
				if err != nil {
					return err
				}
				if n == 1 && p.sums[i] == "" && len(wav) > wavHead {
					p.sums[i] = samplesSum(wav)
				}
			}
			return nil
		})
	}
	err = g.Wait()
	return span{time.Since(began).Seconds(), allCPU() - cpu}, err
}

// allCPU is what this process and the children that it waited for took.
func allCPU() (s float64) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			s += float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
		}
	}
	return s
}

// wavHead is the header of espeak-ng's WAV, whose lengths differ between a pipe
// and a file.
const wavHead = 44

func samplesSum(wav []byte) string {
	h := sha256.Sum256(wav[min(wavHead, len(wav)):])
	return string(h[:])
}

// compare holds the clips of the last run against the sound of the loop.
func (p *speaking) compare() error {
	if _, err := p.hearsight("get", "speech", "clips"); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(p.dir, "clips", "clips-*.parquet"))
	if err != nil {
		return err
	}
	n := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for clip, err := range clips.Clips.Rows(bytes.NewReader(data), int64(len(data))) {
			if err != nil {
				return err
			}
			i, err := strconv.Atoi(strings.TrimPrefix(clip.ID, "c"))
			if err != nil || i >= len(p.sums) || samplesSum(clip.Audio) != p.sums[i] {
				return fmt.Errorf("clip %s is not what espeak-ng says by itself", clip.ID)
			}
			n++
		}
	}
	if n != len(p.texts) {
		return fmt.Errorf("%d clips of %d captions", n, len(p.texts))
	}
	return nil
}

func (p *speaking) rows() []row {
	middle := func(name string) (wall, cpu float64) {
		var w, c []float64
		for _, s := range p.spans[name] {
			w, c = append(w, s.wall), append(c, s.cpu)
		}
		return median(w), median(c)
	}
	how := fmt.Sprintf("%d captions, %d rounds", len(p.texts), len(p.spans["ours"]))
	w, c := middle("ours")
	lw, lc := middle("loop")
	nw, nc := middle("loops")
	each := 1e3 / float64(len(p.texts))
	return []row{
		{name: "speech", unit: "s", ours: w, peer: lw, peerName: "serial loop", ratio: lw / w, least: 1.8, cpuRatio: lc / c, load: load(), note: how},
		{name: "speech_loops", unit: "s", ours: nw, peer: lw, peerName: "serial loop", ratio: lw / nw, cpuRatio: lc / nc, load: load(),
			note: fmt.Sprintf("%d loops at once: what the machine has to give", p.o.threads)},
		{name: "speech_cpu", unit: "ms CPU", ours: c * each, peer: lc * each, peerName: "serial loop", ratio: lc / c, load: load(), note: "a caption"},
	}
}
