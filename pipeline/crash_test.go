package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/pipeline/local"
)

// TestMain lets the test binary be a run of the fake pipeline in a process of
// its own: see child.
func TestMain(m *testing.M) {
	if os.Getenv("PIPELINE_TEST_STORE") != "" {
		if err := childMain(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// childMain runs the fake pipeline, prints the digests and, if told to, kills
// itself at a record of the journal.
func childMain() error {
	store, err := artifacts.Open(os.Getenv("PIPELINE_TEST_STORE"), artifacts.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	killAt, _ := strconv.Atoi(os.Getenv("PIPELINE_TEST_KILL_AT"))
	records := 0
	o := pipeline.Options{Numeric: "go-test", Events: func(ev pipeline.Event) {
		finished := ev.Type == pipeline.ItemFinished || ev.Type == pipeline.ShardFinished || ev.Type == pipeline.StageFinished
		if ev.Type == pipeline.Progress || killAt < 0 && !finished {
			return
		}
		if records++; records == max(killAt, -killAt) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}}
	var ran counter
	if ran.file, err = os.OpenFile(os.Getenv("PIPELINE_TEST_COUNT"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644); err != nil {
		return err
	}
	known := kinds(&ran, nil)
	if v := os.Getenv("PIPELINE_TEST_VERSION"); v != "" { // another version of the program
		o.Version = v
		for i := range known {
			if known[i].Name == "upper" {
				known[i].Version++
			}
		}
	}
	e, err := pipeline.New(testPipeline(os.Getenv("PIPELINE_TEST_FILE")), known, store, o)
	if err != nil {
		return err
	}
	p, err := e.Plan(context.Background(), pipeline.Selection{})
	if err != nil {
		return err
	}
	res, err := e.Run(context.Background(), p, local.New(local.Options{CPUs: 2}))
	if err != nil {
		return err
	}
	fmt.Print(digests(res))
	return ran.file.Close()
}

// child is a run of the bench's pipeline in a process of its own. It kills
// itself at a record of the journal or, if killAt is negative, at one that says
// that something was finished; 0: it does not.
func (b *bench) child(killAt int, env ...string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Stderr = os.Stderr
	c.Env = append(os.Environ(), "PIPELINE_TEST_STORE="+b.store.Dir(), "PIPELINE_TEST_FILE="+b.file,
		"PIPELINE_TEST_COUNT="+b.countFile(), "PIPELINE_TEST_KILL_AT="+strconv.Itoa(killAt))
	c.Env = append(c.Env, env...)
	return c
}

func (b *bench) countFile() string { return b.file + ".count" }

// counted returns how often each job ran in children.
func (b *bench) counted() map[string]int {
	data, err := os.ReadFile(b.countFile())
	if err != nil {
		b.t.Fatal(err)
	}
	n := make(map[string]int)
	for line := range strings.Lines(string(data)) {
		n[strings.TrimSpace(line)]++
	}
	return n
}

// finishedTwice returns the items and shards that the journals of all runs say
// were finished more than once.
func (b *bench) finishedTwice() (twice []string) {
	b.t.Helper()
	n := make(map[string]int)
	for _, id := range b.store.Runs() {
		events, err := pipeline.ReadJournal(filepath.Join(b.store.RunDir(id), pipeline.JournalName))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, ev := range events {
			switch ev.Type {
			case pipeline.ItemFinished, pipeline.ShardFinished, pipeline.StageFinished:
				what := fmt.Sprintf("%s %s %s %s", ev.Type, ev.Stage, ev.Shard, ev.Item)
				if n[what]++; n[what] == 2 {
					twice = append(twice, what)
				}
			}
		}
	}
	slices.Sort(twice)
	return twice
}

// inFlight is how many items a run may be at when it is killed: two shards with
// two workers each, one of which has just logged the item that it is killed at.
const inFlight = 3

// TestKilledAtEveryRecord kills a run at each record of its journal, resumes
// it, and expects the digests of an undisturbed run and nothing done twice.
func TestKilledAtEveryRecord(t *testing.T) {
	plain := newBench(t, 12)
	out, err := plain.child(0).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := string(out)
	events, err := pipeline.ReadJournal(filepath.Join(plain.store.RunDir(plain.store.Runs()[0]), pipeline.JournalName))
	if err != nil || len(events) < 40 {
		t.Fatalf("%d records, %v", len(events), err)
	}
	step := 1
	if testing.Short() {
		step = 9
	}
	for n := 1; n <= len(events); n += step {
		b := newBench(t, 12)
		var exit *exec.ExitError
		if err := b.child(n).Run(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("killed at record %d: %v", n, err)
		}
		out, err := b.child(0).Output()
		if err != nil {
			t.Fatalf("resumed after record %d: %v", n, err)
		}
		if string(out) != want {
			t.Errorf("killed at record %d, resumed:\n%swant\n%s", n, out, want)
		}
		if twice := b.finishedTwice(); len(twice) > 0 {
			t.Errorf("killed at record %d: finished twice: %v", n, twice)
		}
		total := 0
		for what, times := range b.counted() {
			if total += times; times > 2 {
				t.Errorf("killed at record %d: %s ran %d times", n, what, times)
			}
		}
		if most := 2 + 24 + inFlight; total > most {
			t.Errorf("killed at record %d: %d jobs in all, want at most %d", n, total, most)
		}
	}
}

// TestKilledAgainAndAgain kills every run when it has finished three things:
// each gets further.
func TestKilledAgainAndAgain(t *testing.T) {
	b := newBench(t, 12)
	for try := 1; ; try++ {
		out, err := b.child(-3).Output()
		if err == nil {
			if want := b.cold(); string(out) != want {
				t.Errorf("got\n%swant\n%s", out, want)
			}
			break
		}
		if try == 40 {
			t.Fatal("no progress")
		}
	}
	if twice := b.finishedTwice(); len(twice) > 0 {
		t.Errorf("finished twice: %v", twice)
	}
}

// TestEightAtOnce: every job is done once in all, and all end with the same.
func TestEightAtOnce(t *testing.T) {
	b := newBench(t, 40)
	b.atOnce(slices.Repeat([]string{b.cold()}, 8), make([]string, 8))
	for what, n := range b.counted() {
		if n > 1 {
			t.Errorf("%s was done %d times", what, n)
		}
	}
	if n := len(b.counted()); n != 82 {
		t.Errorf("%d jobs, want 82", n)
	}
}

// TestTwoVersionsAtOnce: programs of which one has another version of a stage
// share a store. Each does that stage for itself, and what the keys have in
// common is done once; then both find everything again.
func TestTwoVersionsAtOnce(t *testing.T) {
	b := newBench(t, 30)
	want := make(map[string]string)
	for _, v := range []string{"", "next"} {
		alone := newBench(t, 0)
		alone.file = b.file
		out, err := alone.child(0, "PIPELINE_TEST_VERSION="+v).Output()
		if err != nil {
			t.Fatal(err)
		}
		want[v] = string(out)
	}
	if err := os.Remove(b.countFile()); err != nil {
		t.Fatal(err)
	}
	versions := slices.Repeat([]string{"", "next"}, 3)
	var wants []string
	for _, v := range versions {
		wants = append(wants, want[v])
	}
	for range 2 {
		b.atOnce(wants, versions)
	}
	for what, n := range b.counted() {
		// The texts that "reverse" is given are the same: a key names contents.
		if most := map[bool]int{true: 2, false: 1}[strings.HasPrefix(what, "upper ")]; n != most {
			t.Errorf("%s was done %d times, want %d", what, n, most)
		}
	}
	for _, p := range verified(t, b.store, artifacts.VerifyOptions{}) {
		t.Error(p)
	}
}

// atOnce starts a child of each version and expects of each what it is to print.
func (b *bench) atOnce(want, versions []string) {
	b.t.Helper()
	cmds, outs := make([]*exec.Cmd, len(want)), make([]strings.Builder, len(want))
	for i, v := range versions {
		cmds[i] = b.child(0, "PIPELINE_TEST_VERSION="+v)
		cmds[i].Stdout = &outs[i]
		if err := cmds[i].Start(); err != nil {
			b.t.Fatal(err)
		}
	}
	for i, c := range cmds {
		if err := c.Wait(); err != nil || outs[i].String() != want[i] {
			b.t.Errorf("run %d, version %q: %v\n%swant\n%s", i, versions[i], err, &outs[i], want[i])
		}
	}
}

// TestManyAtOnce has several processes run the same spec on one store: each
// job is done once in all, and one that is killed holds nobody up.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t, 40)
	want := b.cold()
	var cmds []*exec.Cmd
	var outs []*strings.Builder
	for i := range 4 {
		kill := 0
		if i == 3 {
			kill = 30
		}
		c := b.child(kill)
		var s strings.Builder
		c.Stdout = &s
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		cmds, outs = append(cmds, c), append(outs, &s)
	}
	for i, c := range cmds {
		err := c.Wait()
		if i == 3 {
			continue // killed, or done before it came to that
		}
		if err != nil || outs[i].String() != want {
			t.Errorf("run %d: %v\n%swant\n%s", i, err, outs[i], want)
		}
	}
	total := 0
	for what, n := range b.counted() {
		if total += n; n > 2 {
			t.Errorf("%s was done %d times", what, n)
		}
	}
	// The killed one had no more in flight than its two shards' workers.
	if total < 82 || total > 82+inFlight {
		t.Errorf("%d jobs in all, want 82 and what the killed one had in flight", total)
	}
}

// TestEditedWhileInterrupted edits an item between a kill and the next run:
// finished items of the same shard are not done again.
func TestEditedWhileInterrupted(t *testing.T) {
	b := newBench(t, 40)
	if err := b.child(30).Run(); err == nil {
		t.Fatal("it was not killed")
	}
	rows := b.rows()
	rows["i020"], rows["i0201"] = "other", "new"
	b.write(rows)
	out, err := b.child(0).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := b.cold(); string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	for _, what := range b.finishedTwice() {
		// The file is read again, and whatever was done to the item that changed.
		if strings.HasPrefix(what, "item_finished") && !strings.HasSuffix(what, " i020") {
			t.Errorf("finished twice: %s", what)
		}
	}
}
