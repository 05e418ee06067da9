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
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile"
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
	dir := t.TempDir()
	stores := []*Store{open(t, dir, Options{}), open(t, dir, Options{})}
	if _, err := stores[0].writing(); err != nil { // so the one keeps spare locks, the other does not
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var counter, inside atomic.Int32 // the race detector does not know file locks
	for i := range 8 {
		s := stores[i%2]
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

// TestSpareLock: the file of a lock that was given up serves as another, and
// excludes like one of its own.
func TestSpareLock(t *testing.T) {
	dir := t.TempDir()
	s, other := open(t, dir, Options{}), open(t, dir, Options{})
	if _, err := s.writing(); err != nil {
		t.Fatal(err)
	}
	lock := func(s *Store, name string) (*Lock, os.FileInfo) {
		t.Helper()
		l, err := s.TryLock(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(l.path)
		if err != nil {
			t.Fatal(err)
		}
		return l, info
	}
	a, was := lock(s, "a")
	late, err := os.Open(a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if err := a.Unlock(); err != nil {
		t.Fatal(err)
	}
	b, now := lock(s, "b")
	if !os.SameFile(was, now) {
		t.Error("the second lock has a file of its own")
	}
	if ok, err := atomicfile.Flock(late, atomicfile.Exclusive); ok || err != nil {
		t.Errorf("a file that was opened for another name = %v, %v, want that it is locked", ok, err)
	}
	if _, err := other.TryLock("b"); !errors.Is(err, ErrBusy) {
		t.Errorf("TryLock of a held lock = %v, want ErrBusy", err)
	}
	c, _ := lock(other, "c")
	if err := b.Unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TryLock("c"); !errors.Is(err, ErrBusy) {
		t.Errorf("a spare one takes a held lock: %v, want ErrBusy", err)
	}
	if err := c.Unlock(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(s.path("locks")); len(left) != 1 || left[0].Name() != "store" {
		t.Errorf("left in locks/: %v", left)
	}
}

// oddFS is a file system without hard links, or one whose renames take effect
// and report that they failed, as some over a network do.
type oddFS struct {
	atomicfile.FS
	noLinks, liar bool
	renamed       func()
}

func (f *oddFS) Link(from, to string) error {
	if f.noLinks {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM}
	}
	return f.FS.Link(from, to)
}

func (f *oddFS) Rename(from, to string) error {
	err := f.FS.Rename(from, to)
	if f.liar && err == nil {
		f.renamed()
		err = &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EIO}
	}
	return err
}

func TestSpareLockWithoutLinks(t *testing.T) {
	s := open(t, t.TempDir(), Options{FS: &oddFS{FS: atomicfile.OS{}, noLinks: true}})
	if _, err := s.writing(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		l, err := s.TryLock(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(s.session.dir); len(left) > 0 {
		t.Errorf("%d files are left of locks that could not be used again", len(left))
	}
}

// TestUnlockOfLostName: a name that another has taken meanwhile is his.
func TestUnlockOfLostName(t *testing.T) {
	dir := t.TempDir()
	odd := &oddFS{FS: atomicfile.OS{}}
	s, other := open(t, dir, Options{FS: odd}), open(t, dir, Options{})
	if _, err := s.writing(); err != nil {
		t.Fatal(err)
	}
	l, err := s.TryLock("a")
	if err != nil {
		t.Fatal(err)
	}
	odd.renamed = func() {
		if _, err := other.TryLock("a"); err != nil {
			t.Error(err)
		}
	}
	odd.liar = true
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	if _, err := s.TryLock("a"); !errors.Is(err, ErrBusy) {
		t.Errorf("TryLock of a lock that another holds = %v, want ErrBusy", err)
	}
}

// TestDroppedFolders: small ones may wait for the end of the session, large
// ones not, and neither keeps the collector waiting.
func TestDroppedFolders(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i, size := range []int{10, maxKeptFolder, 10} {
		dir, err := s.Scratch(KeyOf(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "x"), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := s.DropPartial(KeyOf(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(dir); err == nil {
			t.Errorf("the folder of %d bytes is still there", size)
		}
	}
	if left, _ := os.ReadDir(s.session.dir); len(left) != 2 {
		t.Errorf("%d folders wait, want the two small ones", len(left))
	}
	l, err := s.TryLock("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GC(context.Background(), nil, GCOptions{}); err != nil {
		t.Errorf("GC = %v", err)
	}
	if left, _ := os.ReadDir(s.path("tmp")); len(left) > 0 {
		t.Errorf("left under tmp: %v", left)
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
