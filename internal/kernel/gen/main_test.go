package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestFresh: the files in simd are what this generator writes, and it writes
// the same each time.
func TestFresh(t *testing.T) {
	dir := t.TempDir()
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(made) == 0 {
		t.Fatalf("nothing generated: %v", err)
	}
	for _, path := range made {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		checked := filepath.Join("..", "simd", filepath.Base(path))
		want, err := os.ReadFile(checked)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go generate ./internal/kernel", filepath.Base(checked))
		}
	}
}
