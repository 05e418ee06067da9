package pipeline_test

import (
	"context"
	"path/filepath"
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
	e, err := pipeline.New(b.p, kinds(&b.ran, nil), s, pipeline.Options{Numeric: "go-test", Clock: &fakeClock{}})
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
	return digests(res), nil
}

// TestEveryStoreOperationFailsOnce fails each change of the store in each way:
// a run that says it is done has the right digests, and the next run always
// has.
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
		step = 25
	}
	survived := 0
	for i := 1; i <= count.Count(); i += step {
		fault := faultfs.Faults[i/step%len(faultfs.Faults)]
		dir := filepath.Join(t.TempDir(), "s")
		fs := &faultfs.FS{At: i, Fault: fault, NoSync: true}
		if got, err := b.faulty(dir, fs); err == nil {
			survived++
			if got != want {
				t.Errorf("%s at operation %d, %s: done, with\n%swant\n%s", fault, i, fs.Hit(), got, want)
			}
		}
		if got, err := b.faulty(dir, &faultfs.FS{NoSync: true}); err != nil || got != want {
			t.Errorf("after %s at operation %d, %s: %v\n%swant\n%s", fault, i, fs.Hit(), err, got, want)
		}
	}
	t.Logf("%d operations, %d survived", count.Count(), survived)
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
