package model

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// slowest is how long a small file may take to be refused, on a busy machine.
const slowest = 10 * time.Second

// TestHostileFolders: no hostile file of any kind is a model or a part of one,
// and each is refused in one line that names the folder.
func TestHostileFolders(t *testing.T) {
	folders := map[string]string{} // by the file that is hostile
	for _, name := range []string{ConfigFile, WeightsFile} {
		folders[name], _, _ = files(t)
	}
	manifest, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(manifest)) {
		name, _, _ := strings.Cut(line, "\t")
		if !strings.HasPrefix(name, "files/") {
			continue
		}
		bad, err := os.ReadFile(sharedtest.Path(t, "badinputs", name))
		if err != nil {
			t.Fatal(err)
		}
		if n++; testing.Short() && n%10 != 0 {
			continue
		}
		for file, dir := range folders {
			if err := os.WriteFile(filepath.Join(dir, file), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := opened(t, name, dir); err == nil {
				t.Errorf("%s was opened as %s", name, file)
			} else if text := err.Error(); !strings.Contains(text, dir) || strings.Contains(text, "\n") || len(text) > 2000 {
				t.Errorf("%s as %s: the error is not a line that names the folder: %.300q", name, file, text)
			}
		}
	}
	if n < 2000 {
		t.Errorf("%d files are in the manifest", n)
	}
}

// opened opens a folder, and says so if that takes long.
func opened(t *testing.T, what, dir string) (*model.Model[float32], error) {
	t.Helper()
	began := time.Now()
	m, err := Open(dir)
	if took := time.Since(began); took > slowest {
		t.Errorf("%s: took %v", what, took)
	}
	return m, err
}

// reopened puts a model's files into a folder and opens it.
func reopened(t *testing.T, what, dir string, config, weights []byte) (*model.Model[float32], error) {
	t.Helper()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, ConfigFile), config, 0o600), os.WriteFile(filepath.Join(dir, WeightsFile), weights, 0o600)); err != nil {
		t.Fatal(err)
	}
	return opened(t, what, dir)
}

// TestFuzzedModels changes a good model's files in one of many ways. What is
// still opened is a model: it is written and read again as it is.
func TestFuzzedModels(t *testing.T) {
	dir, config, weights := files(t)
	r := rand.New(rand.NewPCG(1, 8))
	refused, taken := 0, 0
	for i := range 600 {
		c, w := bytes.Clone(config), bytes.Clone(weights)
		if i%3 == 0 {
			c = mangle(r, c, len(c))
		} else {
			w = mangle(r, w, []int{len(w), 2000, 64}[i%3]) // all of it, its header, how that begins
		}
		what := fmt.Sprint("change ", i)
		m, err := reopened(t, what, dir, c, w)
		if err != nil {
			refused++
			continue
		}
		taken++
		var c2, w2 bytes.Buffer
		if err := errors.Join(m.WriteConfig(&c2), m.WriteWeights(&w2)); err != nil {
			t.Errorf("%s: what was opened cannot be written: %v", what, err)
		} else if again, err := reopened(t, what, dir, c2.Bytes(), w2.Bytes()); err != nil || again.Size() != m.Size() {
			t.Errorf("%s: what was written cannot be opened: %v", what, err)
		}
	}
	t.Logf("%d refused, %d taken", refused, taken)
	if refused < 200 || taken < 50 {
		t.Errorf("%d changes were refused and %d taken: want some of both", refused, taken)
	}
}

// mangle changes one place of the first n bytes: a bit, a byte, a run of zeros, a
// number, a stretch that is left out or comes twice, or the end.
func mangle(r *rand.Rand, b []byte, n int) []byte {
	at := r.IntN(min(n, len(b)))
	end := min(len(b), at+1+r.IntN(40))
	switch r.IntN(7) {
	case 0:
		b[at] ^= 1 << r.IntN(8)
	case 1:
		b[at] = byte(r.Uint32())
	case 2:
		clear(b[at:end])
	case 3:
		copy(b[at:], []string{"99999999999999999999", "-1", "1e308", "null", "[[[[[[", `{"a":`}[r.IntN(6)])
	case 4:
		return append(b[:at:at], b[end:]...)
	case 5:
		return append(b[:end:end], b[at:]...)
	default:
		return b[:at]
	}
	return b
}
