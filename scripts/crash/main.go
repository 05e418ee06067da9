// Command crash kills runs at random moments and checks that each, started
// again, ends as an undisturbed one: same digests, and nothing that was finished
// done twice.
//
//	crash -binary bin/hearsight -at any=7,model=2,features=1 -- -f demo.yaml scores
//
// What follows -- is given to `hearsight run`. First comes an undisturbed run,
// and the same with GOMAXPROCS=1 and 4 where asked; then for each moment a run
// in a store of its own is killed (SIGKILL to its process group) at a random
// time: of the whole run for "any", else while the stage named (model, or
// model@VGG16_5 of a matrix) is running by the journal. The moments are random
// by -seed. With -prepared each run starts from a copy of a store in which earlier
// stages are done.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hearsight/hearsight/pipeline"
)

func main() {
	binary := flag.String("binary", "bin/hearsight", "the program")
	at := flag.String("at", "any=3", "how many kills in which stage")
	seed := flag.Uint64("seed", 1, "of the moments")
	procs := flag.String("gomaxprocs", "", "also run undisturbed with these, such as 1,4")
	prepared := flag.String("prepared", "", "a store that each run starts from a copy of")
	resumed := flag.Bool("resumed", false, "repeat each kill until training has gone on from a checkpoint")
	flag.Parse()
	s := &storm{binary: *binary, prepared: *prepared, resumed: *resumed, args: flag.Args(), rand: rand.New(rand.NewPCG(*seed, 0))}
	if err := s.run(*at, *procs); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

type storm struct {
	binary   string
	prepared string   // a store, or empty
	resumed  bool     // only rounds count in which training went on from a checkpoint
	args     []string // of run
	rand     *rand.Rand
	want     string
	wall     time.Duration
	spans    map[string]time.Duration // how long each stage ran, undisturbed
}

func (s *storm) run(at, procs string) error {
	dir, err := os.MkdirTemp("", "hearsight-crash-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := s.undisturbed(dir, procs); err != nil {
		return err
	}
	round := 0
	for _, moment := range strings.Split(at, ",") {
		stage, count, _ := strings.Cut(moment, "=")
		n, err := strconv.Atoi(count)
		if err != nil {
			return fmt.Errorf("-at %s: %w", at, err)
		}
		for kills, tries := 0, 0; kills < n; {
			round++
			store := filepath.Join(dir, "killed")
			what, err := s.round(store, stage)
			if err != nil {
				return fmt.Errorf("round %d, %s: %w", round, what, err)
			}
			fmt.Printf("round %d: %s: same digests, nothing done twice\n", round, what)
			if tries++; !s.resumed || strings.Contains(what, wentOn) {
				kills, tries = kills+1, 0
			} else if tries == maxTries {
				return fmt.Errorf("%s: none of %d kills left a checkpoint to go on from", stage, tries)
			}
			if err := os.RemoveAll(store); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%d rounds, 0 differences\n", round)
	return nil
}

func (s *storm) undisturbed(dir, procs string) error {
	store := filepath.Join(dir, "whole")
	if err := s.fill(store); err != nil {
		return err
	}
	began := time.Now()
	if out, err := s.command(store, "run").CombinedOutput(); err != nil {
		return fmt.Errorf("undisturbed run: %w\n%s", err, out)
	}
	s.wall, s.spans = time.Since(began), map[string]time.Duration{}
	events, err := journaled(store)
	if err != nil {
		return err
	}
	for _, ev := range events {
		if ev.Type == pipeline.StageFinished {
			s.spans[ev.Stage] = time.Duration(ev.Seconds * float64(time.Second))
			s.spans[base(ev.Stage)] = time.Duration(ev.Seconds * float64(time.Second))
		}
	}
	if s.want, err = s.digest(store); err != nil {
		return err
	}
	fmt.Printf("undisturbed: %s\n%s", s.wall.Round(time.Second), s.want)
	for _, n := range strings.FieldsFunc(procs, func(r rune) bool { return r == ',' }) {
		other := filepath.Join(dir, "procs"+n)
		if err := s.fill(other); err != nil {
			return err
		}
		cmd := s.command(other, "run")
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+n)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("GOMAXPROCS=%s: %w\n%s", n, err, out)
		}
		got, err := s.digest(other)
		if err != nil {
			return err
		}
		if got != s.want {
			return fmt.Errorf("GOMAXPROCS=%s gives other digests:\n%s", n, got)
		}
		fmt.Printf("GOMAXPROCS=%s: same digests\n", n)
		if err := os.RemoveAll(other); err != nil {
			return err
		}
	}
	return os.RemoveAll(store)
}

// fill makes a store a copy of the prepared one, where there is one.
func (s *storm) fill(store string) error {
	if s.prepared == "" {
		return nil
	}
	if out, err := exec.Command("cp", "-a", s.prepared, store).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w\n%s", s.prepared, err, out)
	}
	return nil
}

// command is the program with the run's spec and variables, for a store.
// Arguments that are stages go with `run` alone.
func (s *storm) command(store, verb string) *exec.Cmd {
	args := []string{verb, "--store", store}
	return exec.Command(s.binary, append(args, s.args...)...)
}

func (s *storm) digest(store string) (string, error) {
	out, err := s.command(store, "digest").Output()
	if err != nil {
		return "", fmt.Errorf("digest: %w", err)
	}
	return string(out), nil
}

// round kills one run and lets it go on.
func (s *storm) round(store, stage string) (what string, err error) {
	if err := s.fill(store); err != nil {
		return "fill", err
	}
	cmd := s.command(store, "run")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "start", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	span := s.wall
	if stage != "any" {
		span = s.spans[stage]
		if err := s.waitFor(store, stage, ended); err != nil {
			return "waiting for " + stage, err
		}
	}
	delay := time.Duration(s.rand.Float64() * float64(span) * .9)
	select {
	case err := <-ended:
		return "ended before its kill", errors.Join(err, s.compare(store))
	case <-time.After(delay):
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return "kill", err
	}
	<-ended
	what, err = running(store)
	if err != nil {
		return what, err
	}
	what = fmt.Sprintf("killed after %.1f s in %s", delay.Seconds(), what)
	text, err := s.command(store, "run").CombinedOutput()
	if err != nil {
		return what, fmt.Errorf("going on: %w\n%s", err, text)
	}
	if m := goingOn.FindSubmatch(text); m != nil {
		what += wentOn + string(m[1])
	}
	return what, s.compare(store)
}

// wentOn stands in what a round did if training went on from a checkpoint.
const wentOn = ", went on "

// maxTries is how many kills in a row may leave no checkpoint.
const maxTries = 20

// goingOn is what training says when it has found a checkpoint.
var goingOn = regexp.MustCompile(`going on (from step \d+)`)

func (s *storm) waitFor(store, stage string, ended <-chan error) error {
	for range 100000 {
		events, err := journaled(store)
		if err != nil {
			return err
		}
		for _, ev := range events {
			if ev.Type == pipeline.StageStarted && (ev.Stage == stage || base(ev.Stage) == stage) {
				return nil
			}
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the run ended without it: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("it never started")
}

func (s *storm) compare(store string) error {
	got, err := s.digest(store)
	if err != nil {
		return err
	}
	if got != s.want {
		return fmt.Errorf("digests differ:\n%s", got)
	}
	return doneTwice(store)
}

// doneTwice says which item or stage was finished in more than one run.
func doneTwice(store string) error {
	events, err := journaled(store)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, ev := range events {
		if ev.Type != pipeline.ItemFinished && ev.Type != pipeline.StageFinished {
			continue
		}
		what := ev.Stage + " " + ev.Item
		if seen[what] {
			return fmt.Errorf("%s was done twice", what)
		}
		seen[what] = true
	}
	return nil
}

// journaled is what all runs on a store wrote into their journals, in order.
func journaled(store string) ([]pipeline.Event, error) {
	all, err := pipeline.ReadJournals(store)
	var out []pipeline.Event
	for _, j := range all {
		out = append(out, j.Events...)
	}
	return out, err
}

// running names the stages that had begun and not ended.
func running(store string) (string, error) {
	events, err := journaled(store)
	if err != nil {
		return "", err
	}
	var open []string
	for _, ev := range events {
		switch ev.Type {
		case pipeline.StageStarted:
			open = append(open, ev.Stage)
		case pipeline.StageFinished:
			for i, name := range open {
				if name == ev.Stage {
					open = append(open[:i], open[i+1:]...)
					break
				}
			}
		}
	}
	if len(open) == 0 {
		return "no stage", nil
	}
	return strings.Join(open, " and "), nil
}

func base(stage string) string {
	name, _, _ := strings.Cut(stage, "@")
	return name
}
