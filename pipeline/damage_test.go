package pipeline_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/atomicfile/faultfs"
	"github.com/hearsight/hearsight/pipeline"
)

// A rot damages files of a store at random.
type rot struct {
	t    *testing.T
	r    *rand.Rand
	dir  string
	done int
}

// files lists what lies below the folders and files of the store named.
func (d *rot) files(names ...string) (out []string) {
	for _, name := range names {
		err := filepath.WalkDir(filepath.Join(d.dir, name), func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				out = append(out, path)
			}
			return nil
		})
		if err != nil {
			d.t.Fatal(err)
		}
	}
	return out
}

// damage flips a bit of a file, cuts it or removes it, and says which.
func (d *rot) damage(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	d.done++
	what := [...]string{"flip", "cut", "remove"}[d.r.IntN(3)]
	if len(data) == 0 {
		what = "remove"
	}
	switch what {
	case "flip":
		bit := d.r.IntN(8 * len(data))
		data[bit/8] ^= 1 << (bit % 8)
	case "cut":
		data = data[:d.r.IntN(len(data))]
	default:
		if err := os.Remove(path); err != nil {
			d.t.Fatal(err)
		}
		return what
	}
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, data, 0o644)); err != nil {
		d.t.Fatal(err)
	}
	return what
}

// found checks that verify names what was damaged.
func (d *rot) found(damaged map[string]string) {
	d.t.Helper()
	s, err := artifacts.Open(d.dir, artifacts.Options{ReadOnly: true})
	if err != nil {
		d.t.Fatal(err)
	}
	problems := verified(d.t, s, artifacts.VerifyOptions{})
	for path, what := range damaged {
		top, rest, _ := strings.Cut(strings.TrimPrefix(path, d.dir+"/"), "/")
		named := func(p artifacts.Problem) bool { return p.Path == path }
		switch {
		case top == "statcache", top == "memo":
			// Cut between two records they are only shorter.
			if what != "flip" {
				continue
			}
		case what == "remove" && top == "objects" && len(damaged) == 1:
			hex := strings.ReplaceAll(rest, "/", "")
			named = func(p artifacts.Problem) bool { return strings.Contains(p.Reason, hex) }
		case what == "remove" && top != "pins":
			continue // work that was not done; or, of several, hidden behind what leads to it
		}
		if !slices.ContainsFunc(problems, named) {
			d.t.Errorf("%s of %s is not named: %v", what, path, problems)
		}
	}
}

// TestEachFileDamagedAlone spoils one file of a store after the other: those
// that a run with nothing to do would have no other reason to look at, too.
func TestEachFileDamagedAlone(t *testing.T) {
	b := newBench(t, 6)
	b.stage("up").Shards, b.stage("back").Shards = 2, 3
	want := digests(b.run(everything))
	d := &rot{t: t, r: rand.New(rand.NewPCG(5, 6)), dir: b.store.Dir()}
	for _, path := range d.files("objects", "actions", "lineage", "statcache", "memo") {
		if _, err := os.Stat(path); err != nil {
			continue // replaced since
		}
		damaged := map[string]string{path: d.damage(path)}
		d.found(damaged)
		if got, err := b.faulty(d.dir, &faultfs.FS{NoSync: true}); err != nil || got != want {
			t.Fatalf("%v: %v\n%swant\n%s", damaged, err, got, want)
		}
		for _, p := range verified(t, b.store, artifacts.VerifyOptions{}) {
			t.Errorf("%v, after a good run: %v", damaged, p)
		}
	}
}

// TestTenThousandDamages spoils a store by bits, cuts and deletions, one file
// or many at a time. Verify must name each, and the next run must have the
// right digests and leave nothing damaged behind, but for lost pins, which only
// a person can bring back.
func TestTenThousandDamages(t *testing.T) {
	rounds := 500
	if testing.Short() {
		rounds = 15
	}
	b := newBench(t, 6)
	b.stage("up").Shards, b.stage("back").Shards = 2, 3
	want := digests(b.run(everything))
	pinned := b.run(everything).Stages[0].Artifact.Digest
	pin := func() {
		if err := b.store.Pin(context.Background(), "best", pinned); err != nil {
			t.Fatal(err)
		}
	}
	pin()
	d := &rot{t: t, r: rand.New(rand.NewPCG(1, 2)), dir: b.store.Dir()}
	for round := range rounds {
		files := d.files("objects", "actions", "lineage", "pins", "statcache", "memo")
		d.r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		n := 24
		if round%5 == 0 {
			n = 1
		}
		damaged := map[string]string{}
		for _, path := range files[:min(n, len(files))] {
			damaged[path] = d.damage(path)
		}
		d.found(damaged)
		if got, err := b.faulty(d.dir, &faultfs.FS{NoSync: true}); err != nil || got != want {
			t.Fatalf("round %d, %v: %v\n%swant\n%s", round, damaged, err, got, want)
		}
		pins := filepath.Join(d.dir, "pins")
		if damaged[pins] != "" {
			verified(t, b.store, artifacts.VerifyOptions{Repair: true})
			pin()
		}
		for _, p := range verified(t, b.store, artifacts.VerifyOptions{}) {
			t.Fatalf("round %d, %v, after a good run: %v", round, damaged, p)
		}
	}
	t.Logf("%d files damaged", d.done)
}

// TestDamagedLogs spoils the logs of items that an interrupted run left.
func TestDamagedLogs(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 10
	}
	b := newBench(t, 6)
	b.stage("up").Shards, b.stage("back").Shards = 2, 1
	b.hook = func(_ context.Context, what string) error {
		if what == "reverse i004" {
			return errors.New("told to fail")
		}
		return nil
	}
	b.cpus = 1
	if _, err := b.try(everything); err == nil {
		t.Fatal("it did not fail")
	}
	b.hook = nil
	want := b.cold()
	d := &rot{t: t, r: rand.New(rand.NewPCG(3, 4))}
	said := 0
	b.o.Events = func(ev pipeline.Event) {
		if ev.Type == pipeline.Message && strings.Contains(ev.Reason, "are not whole") {
			said++
		}
	}
	for round := range rounds {
		d.dir = filepath.Join(t.TempDir(), "s")
		if err := os.CopyFS(d.dir, os.DirFS(b.store.Dir())); err != nil {
			t.Fatal(err)
		}
		files := d.files("partial")
		if len(files) == 0 {
			t.Fatal("there is no log")
		}
		path := files[d.r.IntN(len(files))]
		said = 0
		what := d.damage(path)
		if got, err := b.faulty(d.dir, &faultfs.FS{NoSync: true}); err != nil || got != want {
			t.Fatalf("round %d, %s of %s: %v\n%swant\n%s", round, what, path, err, got, want)
		}
		if what == "flip" && said == 0 {
			t.Errorf("round %d: a flipped bit of %s passed without a word", round, path)
		}
	}
}
