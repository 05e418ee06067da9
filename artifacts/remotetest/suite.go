// Package remotetest holds every Remote to its promises, also when it, or what
// is between it and us, misbehaves.
package remotetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
)

// Big is larger than any part that a Remote under test sends at a time.
const Big = 12<<20 + 77

// Suite tests the Remotes that open gives: each call a new, empty one.
func Suite(t *testing.T, open func(t *testing.T) remote.Remote) {
	t.Run("files", func(t *testing.T) { files(t, open(t)) })
	t.Run("missing", func(t *testing.T) { missing(t, open(t)) })
	t.Run("wrong source", func(t *testing.T) { wrongSource(t, open(t)) })
	t.Run("interrupted", func(t *testing.T) { interrupted(t, open(t)) })
	t.Run("at once", func(t *testing.T) { atOnce(t, open(t)) })
	t.Run("store", func(t *testing.T) { stores(t, open(t)) })
	for name, spoil := range hostilities() {
		t.Run("hostile/"+name, func(t *testing.T) { hostile(t, open(t), spoil) })
	}
	t.Run("hostile/push", func(t *testing.T) { hostilePush(t, open(t)) })
}

// Data is n bytes that seed decides.
func Data(seed byte, n int) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// Source is data to put.
func Source(data []byte) remote.Source {
	return remote.Source{Body: bytes.NewReader(data), Size: int64(len(data)), Digest: sha256.Sum256(data)}
}

// name is the name of data's object.
func name(data []byte) string { return remote.ObjectName(sha256.Sum256(data)) }

func put(t *testing.T, r remote.Remote, name string, data []byte) {
	t.Helper()
	if err := r.Put(t.Context(), name, Source(data)); err != nil {
		t.Fatalf("Put %d bytes: %v", len(data), err)
	}
}

// holds checks that name is data, from the given byte on.
func holds(t *testing.T, r remote.Remote, name string, data []byte, from int) {
	t.Helper()
	f, err := r.Open(t.Context(), name, int64(from))
	if err != nil {
		t.Fatalf("Open from %d of %d: %v", from, len(data), err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(got, data[min(from, len(data)):]) {
		t.Errorf("read from %d of %d: %d bytes, %v; want %d", from, len(data), len(got), err, len(data)-from)
	}
}

func files(t *testing.T, r remote.Remote) {
	for i, n := range []int{0, 1, 1000, Big} {
		data := Data(byte(i), n)
		put(t, r, name(data), data)
		put(t, r, name(data), data) // again is no harm
		info, err := r.Stat(t.Context(), name(data))
		if err != nil || info.Size != int64(n) || !info.Digest.IsZero() && info.Digest != sha256.Sum256(data) {
			t.Errorf("Stat of %d bytes = %+v, %v", n, info, err)
		}
		for _, from := range []int{0, 1, n / 2, n - 1, n} {
			if from >= 0 && (from <= n) {
				holds(t, r, name(data), data, from)
			}
		}
	}
	put(t, r, "actions/ab/cd.json", []byte("one"))
	put(t, r, "actions/ab/cd.json", []byte("another"))
	holds(t, r, "actions/ab/cd.json", []byte("another"), 0)
}

func missing(t *testing.T, r remote.Remote) {
	ctx := t.Context()
	if _, err := r.Stat(ctx, "objects/ab/cd"); !errors.Is(err, artifacts.ErrNotFound) {
		t.Errorf("Stat of nothing: %v", err)
	}
	f, err := r.Open(ctx, "objects/ab/cd", 0)
	if err == nil {
		_, err = f.Read(make([]byte, 1))
		f.Close()
	}
	if !errors.Is(err, artifacts.ErrNotFound) {
		t.Errorf("Open of nothing: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if err := r.Put(done, "objects/ab/cd", Source(Data(1, Big))); err == nil {
		t.Error("Put with a ctx that has ended gave no error")
	}
}

// wrongSource: what is put and is not what it is said to be is not taken.
func wrongSource(t *testing.T, r remote.Remote) {
	for _, n := range []int{1000, Big} {
		data := Data(3, n)
		src := Source(data)
		data[n/2] ^= 1 // it changed under our hands
		if err := r.Put(t.Context(), "objects/ab/cd", src); err == nil {
			t.Errorf("Put took %d wrong bytes", n)
		}
		if _, err := r.Stat(t.Context(), "objects/ab/cd"); !errors.Is(err, artifacts.ErrNotFound) {
			t.Errorf("%d wrong bytes are there: %v", n, err)
		}
		data[n/2] ^= 1
		put(t, r, name(data), data)
		holds(t, r, name(data), data, 0)
	}
}

// A brittle source breaks once so many bytes were read of it, and counts.
type brittle struct {
	io.ReaderAt
	mu    sync.Mutex
	left  int64
	broke bool
}

func (b *brittle) ReadAt(p []byte, at int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left -= int64(len(p)); b.left < 0 {
		b.broke = true
		return 0, errors.New("the source broke")
	}
	return b.ReaderAt.ReadAt(p, at)
}

// interrupted: a Put that was cut off leaves nothing to see, and the next one
// ends with the whole file.
func interrupted(t *testing.T, r remote.Remote) {
	data := Data(4, Big)
	for _, share := range []int64{0, 3, 6, 9} {
		src := Source(data)
		b := &brittle{ReaderAt: src.Body, left: src.Size * share / 10}
		src.Body = b
		if err := r.Put(t.Context(), name(data), src); err == nil || !b.broke {
			t.Errorf("Put of a source that breaks at %d0 %%: %v", share, err)
		}
		if _, err := r.Stat(t.Context(), name(data)); !errors.Is(err, artifacts.ErrNotFound) {
			t.Fatalf("half a file is there: %v", err)
		}
	}
	put(t, r, name(data), data)
	holds(t, r, name(data), data, 0)
}

// atOnce: several who put the same file do not disturb each other.
func atOnce(t *testing.T, r remote.Remote) {
	data := Data(5, Big/2)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := r.Put(t.Context(), name(data), Source(data)); err != nil {
				// One of several parted uploads may find that another ended it.
				if _, serr := r.Stat(t.Context(), name(data)); serr != nil {
					t.Errorf("Put beside others: %v", err)
				}
			}
		})
	}
	wg.Wait()
	put(t, r, name(data), data)
	holds(t, r, name(data), data, 0)
}

// store opens a store of its own.
func store(t *testing.T) *artifacts.Store {
	t.Helper()
	s, err := artifacts.Open(t.TempDir(), artifacts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// commit makes a result of the given parts.
func commit(t *testing.T, s *artifacts.Store, work, typ string, parts ...[]byte) *artifacts.Artifact {
	t.Helper()
	m := artifacts.Manifest{Type: typ}
	for i, data := range parts {
		w, err := s.NewWriter()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		d, n, err := w.Commit()
		if err != nil {
			t.Fatal(err)
		}
		m.Parts = append(m.Parts, artifacts.Part{Name: fmt.Sprint("part-", i), Digest: d, Size: n})
	}
	a, err := s.Commit(artifacts.KeyOf(work), work, m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// pushed is a store with two results and a shard, all of which r holds.
func pushed(t *testing.T, r remote.Remote) (s *artifacts.Store, what remote.Choice) {
	t.Helper()
	s = store(t)
	a := commit(t, s, "work a", "wav", Data(6, 300<<10), Data(7, 10))
	b := commit(t, s, "work b", "mfcc", Data(8, 1000), Data(6, 300<<10)) // shares a part
	commit(t, s, "work of a shard", "shard", Data(7, 10), Data(9, 50))
	commit(t, s, "not chosen", "wav", Data(10, 20))
	what = remote.Choice{Artifacts: []artifacts.Digest{a.Digest, b.Digest}, Lineage: map[string]artifacts.ActionKey{"the shard": artifacts.KeyOf("work of a shard")}}
	report, err := remote.Push(t.Context(), s, r, what, remote.PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Sent.Files != 11 || report.Actions != 3 { // 4 parts, 3 manifests, 3 actions, 1 lineage
		t.Errorf("pushed %+v", report)
	}
	return s, what
}

// stores: what was pushed from one store is got in another.
func stores(t *testing.T, r remote.Remote) {
	s, what := pushed(t, r)
	report, err := remote.Push(t.Context(), s, r, what, remote.PushOptions{Check: true})
	if err != nil || report.Sent.Files != 0 || report.Held.Files != 11 {
		t.Errorf("pushed again: %+v, %v", report, err)
	}
	other := store(t)
	reader := remote.NewReader(other, r, remote.Options{})
	fetched(t, s, other, reader)
	if a, err := reader.Fetch(t.Context(), artifacts.KeyOf("not chosen"), "wav", nil); a != nil || err != nil {
		t.Errorf("Fetch of what is not there = %v, %v", a, err)
	}
	if a, err := reader.Fetch(t.Context(), artifacts.KeyOf("work of a shard"), "wav", nil); a != nil || err == nil {
		t.Errorf("Fetch of another type = %v, %v", a, err)
	}
	if ok, err := reader.FetchLineage(t.Context(), "the shard"); !ok || err != nil {
		t.Errorf("FetchLineage = %v, %v", ok, err)
	}
	if k, err := other.Lineage("the shard"); err != nil || k != what.Lineage["the shard"] {
		t.Errorf("the lineage leads to %v, %v", k, err)
	}
	if ok, err := reader.FetchLineage(t.Context(), "another"); ok || err != nil {
		t.Errorf("FetchLineage of nothing = %v, %v", ok, err)
	}
	sound(t, other)
	mend(t, s, r, what)
}

// mend: what is damaged in the remote is found by a push that checks, and by
// its size by any.
func mend(t *testing.T, s *artifacts.Store, r remote.Remote, what remote.Choice) {
	part := Data(8, 1000)
	bad := bytes.Clone(part)
	bad[7] ^= 1
	put(t, r, name(part), bad)
	report, err := remote.Push(t.Context(), s, r, what, remote.PushOptions{Check: true})
	if err != nil || report.Mended != 1 || report.Sent.Files != 1 {
		t.Errorf("a push that checks: %+v, %v", report, err)
	}
	holds(t, r, name(part), part, 0)
	put(t, r, name(part), bad[:999])
	if report, err = remote.Push(t.Context(), s, r, what, remote.PushOptions{}); err != nil || report.Mended != 1 {
		t.Errorf("a push over a short file: %+v, %v", report, err)
	}
	holds(t, r, name(part), part, 0)
}

// fetched brings both results and compares them.
func fetched(t *testing.T, from, to *artifacts.Store, reader *remote.Reader) {
	t.Helper()
	for work, typ := range map[string]string{"work a": "wav", "work b": "mfcc"} {
		k := artifacts.KeyOf(work)
		_, want, err := from.Action(k)
		if err != nil {
			t.Fatal(err)
		}
		var last, all int64
		a, err := reader.Fetch(t.Context(), k, typ, func(done, of int64) { last, all = done, of })
		if err != nil || a == nil || a.Digest != want.Digest || to.Complete(a) != nil {
			t.Fatalf("Fetch %s = %v, %v", work, a, err)
		}
		if last != all || all == 0 {
			t.Errorf("progress ended at %d of %d", last, all)
		}
		if _, again, err := to.Action(k); err != nil || again.Digest != want.Digest {
			t.Errorf("the action of %s: %v", work, err)
		}
	}
}

// sound checks every byte of a store.
func sound(t *testing.T, s *artifacts.Store) {
	t.Helper()
	err := s.Verify(t.Context(), artifacts.VerifyOptions{}, func(p artifacts.Problem) { t.Errorf("the store is spoilt: %v", p) })
	if err != nil {
		t.Error(err)
	}
}
