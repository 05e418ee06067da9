package artifacts

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// settled opens a store whose clock is late enough that every stamp is sure.
func settled(t *testing.T, dir string) *Store {
	t.Helper()
	return open(t, dir, Options{Now: func() time.Time { return time.Now().Add(time.Hour) }})
}

// TestResultOpensNothing: a later process is told of an action whose files it
// could not even open.
func TestResultOpensNothing(t *testing.T) {
	dir := t.TempDir()
	s := settled(t, dir)
	want, err := commit(s, "work", "some bytes", "more")
	if err != nil {
		t.Fatal(err)
	}
	k := KeyOf("work")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	later := settled(t, dir)
	if later.memo.get(k) == nil {
		t.Fatal("the memo does not know what was committed before")
	}
	got, err := later.Result(k)
	if err != nil || got.Digest != want.Digest {
		t.Fatalf("Result = %v, %v; want %v", got, err, want.Digest)
	}
	if diff := cmp.Diff(want.Manifest, got.Manifest); diff != "" {
		t.Errorf("its manifest (-want +got):\n%s", diff)
	}
	if err := later.Complete(got); err != nil {
		t.Error(err)
	}
}

// TestMemoDoesNotHideDamage changes each file that an action rests on, and
// keeps its size and modification time: the change must come out.
func TestMemoDoesNotHideDamage(t *testing.T) {
	for _, c := range []struct {
		name string
		path func(s *Store, a *Artifact) string
		gone bool
	}{
		{"action changed", func(s *Store, _ *Artifact) string { return s.actionPath(KeyOf("work")) }, false},
		{"action gone", func(s *Store, _ *Artifact) string { return s.actionPath(KeyOf("work")) }, true},
		{"manifest changed", func(s *Store, a *Artifact) string { return s.objectPath(a.Digest) }, false},
		{"manifest gone", func(s *Store, a *Artifact) string { return s.objectPath(a.Digest) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := settled(t, dir)
			a, err := commit(s, "work", "some bytes", "more")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := c.path(s, a)
			if c.gone {
				err = os.Remove(path)
			} else {
				err = flipKept(path)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := settled(t, dir).Result(KeyOf("work")); !errors.Is(err, ErrNotFound) {
				t.Errorf("Result = %v, %v; want ErrNotFound", got, err)
			}
		})
	}
}

// flipKept changes a bit in the middle of a file and sets its times back.
func flipKept(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	if err := os.Chmod(path, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

// TestDamagedMemo: whatever lies in its place costs time and no result.
func TestDamagedMemo(t *testing.T) {
	dir := t.TempDir()
	s := settled(t, dir)
	for _, w := range []string{"a", "b", "c"} {
		if _, err := commit(s, w, w+" bytes", w); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(s.memo.path())
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		data := append([]byte(nil), whole...)
		switch i % 3 {
		case 0:
			data = data[:rnd.IntN(len(data))]
		case 1:
			data[rnd.IntN(len(data))] ^= 1 << rnd.IntN(8)
		case 2:
			data = append(data, byte(i))
		}
		if err := os.WriteFile(s.memo.path(), data, 0o644); err != nil {
			t.Fatal(err)
		}
		later := settled(t, dir)
		for _, w := range []string{"a", "b", "c"} {
			a, err := later.Result(KeyOf(w))
			if err != nil || len(a.Manifest.Parts) != 2 {
				t.Fatalf("damage %d: Result(%s) = %v, %v", i, w, a, err)
			}
		}
		if err := later.Close(); err != nil {
			t.Fatal(err)
		}
		if _, damaged := settled(t, dir).memo.read(); damaged {
			t.Fatalf("damage %d is still there after another run", i)
		}
	}
}

func FuzzMemo(f *testing.F) {
	m := Manifest{Type: "files", Items: 3, Parts: []Part{{Name: "a/b", Digest: Digest{1}, Size: 7, Rows: 2, Schema: "x/1"}}}
	f.Add(appendMemoManifest(nil, m))
	f.Add([]byte{5, 'f', 'i'})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := parseMemoManifest(b)
		if again, ok2 := parseMemoManifest(appendMemoManifest(nil, m)); ok && (!ok2 || !cmp.Equal(m, again)) {
			t.Errorf("%v became %v", m, again)
		}
		for rest := b; len(rest) > 0; {
			if _, rest, ok = cutMemo(rest); !ok {
				break
			}
		}
	})
}

func TestNoCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if _, err := Open(dir, Options{NoCreate: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open = %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a store was made all the same")
	}
	open(t, dir, Options{})
	if s, err := Open(dir, Options{NoCreate: true}); err != nil {
		t.Error(err)
	} else if _, err := commit(s, "work", "it can be written to", "yes"); err != nil || s.Close() != nil {
		t.Error(err)
	}
}

func TestPlans(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i := range byte(maxPlans + 3) {
		s.SetPlan(Digest{i}, []byte{i})
		when := time.Unix(int64(i), 0)
		if err := os.Chtimes(s.planPath(Digest{i}), when, when); err != nil {
			t.Fatal(err)
		}
	}
	if s.Plan(Digest{0}) != nil || string(s.Plan(Digest{maxPlans + 2})) != string([]byte{maxPlans + 2}) {
		t.Error("the last plans are not those that are kept")
	}
	if entries, err := os.ReadDir(s.path(plansDir)); err != nil || len(entries) != maxPlans {
		t.Errorf("%d plans are kept, %v", len(entries), err)
	}
}
