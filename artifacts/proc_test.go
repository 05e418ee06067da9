package artifacts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Child processes: the test binary started again with ARTIFACTS_TEST_CHILD set
// to "role dir argument".

func runChild(spec string) error {
	f := strings.SplitN(spec, " ", 3)
	s, err := Open(f[1], Options{})
	if err != nil {
		return err
	}
	switch f[0] {
	case "hold": // takes the lock and everything else, says so, and waits to be killed
		if _, err := s.Lock(context.Background(), f[2]); err != nil {
			return err
		}
		if _, err := s.NewWriter(); err != nil {
			return err
		}
		fmt.Println("held")
		_, err := io.ReadAll(os.Stdin)
		return err
	case "work":
		n, err := strconv.Atoi(f[2])
		if err != nil {
			return err
		}
		return errors.Join(work(s, n), s.Close())
	case "collect":
		return errors.Join(collect(s), s.Close())
	}
	return fmt.Errorf("no role %q", f[0])
}

// work does n pieces of work, each once among all processes: whoever does one
// prints a line.
func work(s *Store, n int) error {
	ctx := context.Background()
	for _, i := range rand.Perm(n) {
		name := fmt.Sprint("work ", i)
		if err := once(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

func once(ctx context.Context, s *Store, name string) (err error) {
	use, err := s.Use(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, use.Unlock()) }()
	l, err := s.Lock(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	if _, a, err := s.Action(KeyOf(name)); err == nil {
		return s.Complete(a)
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	if _, err := commit(s, name, name+" gave this", "the same for all"); err != nil {
		return err
	}
	fmt.Println(name)
	return s.SetLineage(name, KeyOf(name))
}

// collect removes what is there, again and again, when it can.
func collect(s *Store) error {
	for range 20 {
		if _, err := s.GC(context.Background(), nil, GCOptions{}); err != nil && !errors.Is(err, ErrBusy) {
			return err
		}
	}
	return nil
}

func child(t *testing.T, spec string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "ARTIFACTS_TEST_CHILD="+spec)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestLock(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Options{})
	l, err := s.Lock(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TryLock("a"); !errors.Is(err, ErrBusy) {
		t.Errorf("TryLock of a held lock = %v, want ErrBusy", err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(short, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock = %v, want that the context ended", err)
	}
	for _, other := range []string{"b", "../../x", "", "a/b", strings.Repeat("x", 5000), "A"} {
		l, err := s.TryLock(other)
		if err != nil {
			t.Fatalf("TryLock(%.20q) = %v", other, err)
		}
		if err := errors.Join(l.Unlock(), l.Unlock()); err != nil {
			t.Error(err)
		}
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(s.path("locks")); len(left) > 0 {
		t.Errorf("left in locks/: %v", left)
	}
}

// TestRemovedLockGuardsNothing: who opened the file of a lock before its
// holder removed it must not take it for the lock.
func TestRemovedLockGuardsNothing(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	l, err := s.TryLock("a")
	if err != nil {
		t.Fatal(err)
	}
	late, err := os.Open(l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if current(late, l.path) {
		t.Error("a removed file counts")
	}
	next, err := s.TryLock("a")
	if err != nil {
		t.Fatal(err)
	}
	if current(late, l.path) || !current(next.f, l.path) {
		t.Error("another's file counts")
	}
	if err := next.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestLockExcludes(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var wg sync.WaitGroup
	var counter, inside atomic.Int32 // the race detector does not know file locks
	for range 8 {
		wg.Go(func() {
			for range 50 {
				l, err := s.Lock(context.Background(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold one lock")
				}
				counter.Add(1)
				inside.Add(-1)
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if counter.Load() != 400 {
		t.Errorf("counted %d of 400", counter.Load())
	}
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	cmd := child(t, "hold "+dir+" a")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	if _, err := s.TryLock("a"); !errors.Is(err, ErrBusy) {
		t.Errorf("TryLock = %v, want ErrBusy: the child holds it", err)
	}
	second := open(t, dir, Options{})
	if left, _ := os.ReadDir(s.path("tmp")); len(left) != 1 {
		t.Errorf("%d folders under tmp, want the living child's", len(left))
	}
	if _, err := second.GC(context.Background(), nil, GCOptions{}); !errors.Is(err, ErrBusy) {
		t.Errorf("GC = %v, want ErrBusy: the child writes", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	l, err := s.Lock(ctx, "a")
	if err != nil {
		t.Fatalf("the lock outlives its owner: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	open(t, dir, Options{})
	if left, _ := os.ReadDir(s.path("tmp")); len(left) > 0 {
		t.Errorf("left under tmp: %v", left)
	}
}

// TestManyProcesses lets eight processes do the same work on one store while a
// ninth collects garbage: all of it, whenever it gets in.
func TestManyProcesses(t *testing.T) {
	for _, withGC := range []bool{false, true} {
		t.Run(fmt.Sprint("gc ", withGC), func(t *testing.T) {
			dir := t.TempDir()
			const workers, pieces = 8, 20
			var outs [workers]strings.Builder
			var cmds []*exec.Cmd
			for i := range workers {
				cmd := child(t, fmt.Sprintf("work %s %d", dir, pieces))
				cmd.Stdout = &outs[i]
				cmds = append(cmds, cmd)
			}
			if withGC {
				cmds = append(cmds, child(t, "collect "+dir+" -"))
			}
			for _, cmd := range cmds {
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
			}
			for _, cmd := range cmds {
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			}
			all := ""
			for i := range outs {
				all += outs[i].String()
			}
			if done := strings.Count(all, "\n"); done != pieces && !withGC {
				t.Errorf("%d pieces of work were done for %d", done, pieces)
			}
			s := open(t, dir, Options{})
			if p := problems(t, s, VerifyOptions{}); len(p) > 0 {
				t.Errorf("Verify: %v", p)
			}
			if left, _ := os.ReadDir(s.path("tmp")); len(left) > 0 {
				t.Errorf("left under tmp: %v", left)
			}
		})
	}
}

// TestCommitRaces lets goroutines commit different results of the same work:
// all must get the same one.
func TestCommitRaces(t *testing.T) {
	dir := t.TempDir()
	stores := []*Store{open(t, dir, Options{}), open(t, dir, Options{})}
	var wg sync.WaitGroup
	var got [8]*Artifact
	for i := range got {
		wg.Go(func() {
			a, err := commit(stores[i%2], "work", fmt.Sprint("result ", i%4))
			if err != nil && !errors.Is(err, ErrNondeterministic) {
				t.Error(err)
			}
			got[i] = a
		})
	}
	wg.Wait()
	for _, a := range got {
		if a == nil || a.Digest != got[0].Digest {
			t.Errorf("two results of one work: %v, %v", a, got[0])
		}
	}
}
