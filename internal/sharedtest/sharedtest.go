// Package sharedtest finds the reference data that lives beside the project:
// golden vectors, hostile files, photos and weights. It is too large, or not
// ours, to keep in the repository, so tests that need it skip, saying so,
// where it is absent.
package sharedtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Path returns the path of an entry below the shared folder, which is
// $HEARSIGHT_SHARED, ../shared by default; a relative path starts at the
// repository. Without the entry the test is skipped.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{root(t)}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("shared data absent (%s): set HEARSIGHT_SHARED to the folder that holds it", filepath.Join(elem...))
	}
	return path
}

func root(t testing.TB) string {
	t.Helper()
	given := os.Getenv("HEARSIGHT_SHARED")
	if filepath.IsAbs(given) {
		return given
	}
	if given == "" {
		given = filepath.Join("..", "shared")
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, given)
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skip("shared data not looked for: no go.mod above the test's folder")
		}
		dir = up
	}
}
