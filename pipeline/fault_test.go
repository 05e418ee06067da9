package pipeline_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/atomicfile/faultfs"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/pipeline/local"
)

// faulty runs the fake pipeline on a store in dir whose file system is fs.
func (b *bench) faulty(dir string, fs *faultfs.FS) (string, error) {
	s, err := artifacts.Open(dir, artifacts.Options{FS: fs})
	if err != nil {
		return "", err
	}
	defer s.Close()
	e, err := pipeline.New(b.p, kinds(&b.ran, nil), s, pipeline.Options{Numeric: "go-test", Clock: &fakeClock{}, Events: b.o.Events})
	if err != nil {
		return "", err
	}
	p, err := e.Plan(context.Background(), everything)
	if err != nil {
		return "", err
	}
	res, err := e.Run(context.Background(), p, local.New(local.Options{CPUs: 1}))
	if err != nil {
		return "", err
	}
	return digests(res), s.Close()
}

// TestEveryStoreOperationFailsOnce fails each change of the store, the logs of
// items under way among them, in each way: a run that says it is done has the
// right digests, the next run always has, and nothing is left to mend.
func TestEveryStoreOperationFailsOnce(t *testing.T) {
	b := newBench(t, 3)
	b.stage("up").Shards, b.stage("back").Shards = 2, 1
	want := b.cold()
	count := &faultfs.FS{NoSync: true}
	if got, err := b.faulty(filepath.Join(t.TempDir(), "s"), count); err != nil || got != want {
		t.Fatalf("undisturbed: %v\n%swant\n%s", err, got, want)
	}
	step := 1
	if testing.Short() {
		step = 37
	}
	for _, fault := range faultfs.Faults {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			survived := 0
			for i := 1; i <= count.Count(); i += step {
				if b.failOnce(t, &faultfs.FS{At: i, Fault: fault, NoSync: true}, want) {
					survived++
				}
			}
			t.Logf("%d operations, %d survived", count.Count(), survived)
		})
	}
}

// failOnce runs on fs and then undisturbed; it reports whether the first run
// said that it was done.
func (b *bench) failOnce(t *testing.T, fs *faultfs.FS, want string) (done bool) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "s")
	got, err := b.faulty(dir, fs)
	at := fmt.Sprintf("%s at operation %d, %s", fs.Fault, fs.At, fs.Hit())
	if done = err == nil; done && got != want {
		t.Errorf("%s: done, with\n%swant\n%s", at, got, want)
	}
	if full := fs.Fault == faultfs.NoSpace || fs.Fault == faultfs.Full; !done && full && !strings.Contains(err.Error(), "is full: free some space") {
		t.Errorf("%s: the error does not say what to do: %v", at, err)
	}
	if got, err := b.faulty(dir, &faultfs.FS{NoSync: true}); err != nil || got != want {
		t.Errorf("after %s: %v\n%swant\n%s", at, err, got, want)
	}
	s, err := artifacts.Open(dir, artifacts.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range verified(t, s, artifacts.VerifyOptions{}) {
		t.Errorf("after %s and a good run: %s", at, p)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("after %s and a good run: left under tmp: %v", at, left)
	}
	return done
}

// verified returns what Verify finds.
func verified(t *testing.T, s *artifacts.Store, o artifacts.VerifyOptions) (out []artifacts.Problem) {
	t.Helper()
	if err := s.Verify(context.Background(), o, func(p artifacts.Problem) { out = append(out, p) }); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCollectedWhileBlocked: a disk that is not there for a while makes all stages
// blocked, and a collection at that time costs them nothing.
func TestCollectedWhileBlocked(t *testing.T) {
	b := newBench(t, 30)
	b.run(everything)
	want := b.cold()
	if err := os.Rename(b.file, b.file+".away"); err != nil {
		t.Fatal(err)
	}
	e := b.engine()
	p, err := e.Plan(context.Background(), everything)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.Actions {
		if a.State != pipeline.Blocked {
			t.Errorf("%s is %v", a.Stage.Name, a.State)
		}
	}
	if _, err := b.store.GC(context.Background(), e.Roots(p), artifacts.GCOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(b.file+".away", b.file); err != nil {
		t.Fatal(err)
	}
	b.seen = nil
	if got := digests(b.run(everything)); got != want {
		t.Errorf("digests\n%swant\n%s", got, want)
	}
	b.want("read", "all")
}

// TestCollectedStoreStaysCheap has the collector keep what Roots names: then an
// edit still costs one item.
func TestCollectedStoreStaysCheap(t *testing.T) {
	b := newBench(t, 30)
	b.run(everything)
	e := b.engine()
	p, err := e.Plan(context.Background(), everything)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.GC(context.Background(), e.Roots(p), artifacts.GCOptions{}); err != nil {
		t.Fatal(err)
	}
	b.run(everything)
	b.want()
	rows := b.rows()
	rows["i011"] = "other"
	b.write(rows)
	res := b.run(everything)
	b.want("read", "all", "upper i011", "reverse i011")
	if got, want := digests(res), b.cold(); got != want {
		t.Errorf("digests\n%swant\n%s", got, want)
	}
}
