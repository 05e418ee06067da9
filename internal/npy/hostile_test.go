package npy

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

// TestHostile reads every hostile file: those of which an error is expected
// give one that names them, and so does one with more behind its array, which
// must not pass for whole.
func TestHostile(t *testing.T) {
	list, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	expect := map[string]string{}
	for line := range strings.Lines(string(list)) {
		if f := strings.Split(line, "\t"); len(f) > 3 && strings.HasPrefix(f[0], "files/npy/") {
			expect[path.Base(f[0])] = f[3]
		}
	}
	dir := sharedtest.Path(t, "badinputs", "files", "npy")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 || len(files) != len(expect) {
		t.Fatalf("%d files, %d in the list: %v", len(files), len(expect), err)
	}
	for _, f := range files {
		a, err := ReadFile(filepath.Join(dir, f.Name()))
		switch want := expect[f.Name()]; {
		case want == "ok" && err != nil:
			t.Errorf("%s: %v, want it read", f.Name(), err)
		case (want == "error" || want == "prefix") && err == nil:
			t.Errorf("%s: read as %v, want an error", f.Name(), a.Shape)
		case err != nil && !strings.Contains(err.Error(), f.Name()):
			t.Errorf("%s: the error does not name it: %v", f.Name(), err)
		case err == nil:
			n := 1
			for _, d := range a.Shape {
				n *= d
			}
			if n != len(a.F64) {
				t.Errorf("%s: shape %v and %d numbers", f.Name(), a.Shape, len(a.F64))
			}
		}
	}
}
