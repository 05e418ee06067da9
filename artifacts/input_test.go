package artifacts

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// age sets a file's modification time back; its change time is now.
func age(t testing.TB, path string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

func hashInput(t testing.TB, s *Store, path string) Digest {
	t.Helper()
	d, err := s.HashInput(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestHashInput(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	dir := t.TempDir()
	file := filepath.Join(dir, "b.txt")
	write(t, file, "hello")
	if got, want := hashInput(t, s, file), Digest(sha256.Sum256([]byte("hello"))); got != want {
		t.Errorf("file: %s, want that of its bytes, %s", got, want)
	}
	write(t, filepath.Join(dir, "sub", "a.txt"), "x")
	base := hashInput(t, s, dir)

	// What does not count.
	age(t, file)
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.CopyFS(moved, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, moved} {
		if got := hashInput(t, s, d); got != base {
			t.Errorf("%s: %s, want %s", d, got, base)
		}
	}
	// A link counts as what it leads to.
	if err := os.Symlink(file, filepath.Join(t.TempDir(), "x")); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(moved, "b.txt")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if got := hashInput(t, s, moved); got != base {
		t.Errorf("with a link: %s, want %s", got, base)
	}
	// What does.
	for name, change := range map[string]func(dir string){
		"content": func(d string) { write(t, filepath.Join(d, "sub", "a.txt"), "y") },
		"name":    func(d string) { os.Rename(filepath.Join(d, "sub", "a.txt"), filepath.Join(d, "sub", "c.txt")) },
		"folder":  func(d string) { os.Rename(filepath.Join(d, "sub"), filepath.Join(d, "bus")) },
		"more":    func(d string) { write(t, filepath.Join(d, "sub", "b.txt"), "") },
		"fewer":   func(d string) { os.Remove(filepath.Join(d, "b.txt")) },
	} {
		d := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(d, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		change(d)
		if hashInput(t, s, d) == base {
			t.Errorf("%s does not count", name)
		}
	}
}

func TestHashInputRefuses(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "f"), "")
	for name, target := range map[string]string{"loop": dir, "nowhere": filepath.Join(dir, "none"), "device": os.DevNull} {
		link := filepath.Join(dir, "a", name)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if _, err := s.HashInput(context.Background(), dir); err == nil || !strings.Contains(err.Error(), link) {
			t.Errorf("%s: %v, want an error that names %s", name, err, link)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.HashInput(context.Background(), filepath.Join(dir, "none")); err == nil {
		t.Error("a missing input: no error")
	}
	if _, err := s.HashInput(context.Background(), filepath.Dir(s.Dir())); err == nil || !strings.Contains(err.Error(), "the store itself") {
		t.Errorf("a folder with the store in it: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.HashInput(ctx, dir); err == nil {
		t.Error("a cancelled context: no error")
	}
}

// TestInputIsRemembered runs on a clock of its own: a file that was changed
// less than inputWindow before it was read is read again, an older one is not.
func TestInputIsRemembered(t *testing.T) {
	now := time.Now()
	s := open(t, t.TempDir(), Options{Now: func() time.Time { return now }})
	file := filepath.Join(t.TempDir(), "f")
	write(t, file, "one")
	key := sha256.Sum256([]byte("input\x00" + file))
	hashInput(t, s, file)
	if _, ok := s.cache.get(key); ok {
		t.Error("a file changed just now is trusted")
	}
	now = now.Add(inputWindow + time.Second)
	want := hashInput(t, s, file)
	r, ok := s.cache.get(key)
	if !ok || r.digest != want {
		t.Fatalf("a file changed long ago is not remembered: %v, %v", r, ok)
	}
	r.digest = Digest{7} // to see whether it is read
	s.cache.put(r)
	if got := hashInput(t, s, file); got != (Digest{7}) {
		t.Error("a remembered file is read again")
	}
	tick(t, t.TempDir())
	write(t, file, "two")
	age(t, file) // same size, older than before: the change time tells
	if got := hashInput(t, s, file); got != sha256.Sum256([]byte("two")) {
		t.Errorf("a changed file is not read again: %s", got)
	}
}

func TestInputChanged(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Options{})
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "one")
	write(t, b, "two")
	in, err := s.Input(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func()
		want   string
	}{
		{"nothing", func() {}, ""},
		{"touched", func() { age(t, a) }, ""},
		{"new", func() { write(t, filepath.Join(dir, "c"), "") }, filepath.Join(dir, "c")},
		{"gone", func() { os.Remove(filepath.Join(dir, "c")); os.Remove(b) }, b},
		{"same size", func() { write(t, b, "two"); write(t, a, "eno") }, a},
		{"all gone", func() { os.RemoveAll(dir) }, dir},
	} {
		c.change()
		got, err := in.Changed(ctx)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: Changed = %v, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// TestFreshInputIsReadAgain: the stamp of a file changed just before it was
// read does not tell of a change just after.
func TestFreshInputIsReadAgain(t *testing.T) {
	ctx := context.Background()
	now := time.Now()
	s := open(t, t.TempDir(), Options{Now: func() time.Time { return now }})
	file := filepath.Join(t.TempDir(), "f")
	write(t, file, "one")
	for _, fresh := range []bool{true, false} {
		in, err := s.Input(ctx, file)
		if err != nil {
			t.Fatal(err)
		}
		in.files[0].digest = Digest{7} // as if the file was changed and its stamp was not
		got, err := in.Changed(ctx)
		if err != nil || (len(got) == 1) != fresh {
			t.Errorf("fresh %v: Changed = %v, %v", fresh, got, err)
		}
		now = now.Add(time.Minute)
	}
}

// BenchmarkHashInput is what a folder of photos costs a run that knows it.
func BenchmarkHashInput(b *testing.B) {
	now := time.Now().Add(time.Hour)
	s := open(b, b.TempDir(), Options{Now: func() time.Time { return now }})
	dir := b.TempDir()
	for i := range 10_000 {
		write(b, filepath.Join(dir, fmt.Sprint(i)), "photo")
	}
	hashInput(b, s, dir)
	for b.Loop() {
		hashInput(b, s, dir)
	}
}
