package archtest

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/hearsight/hearsight"

// rules is policy, read top to bottom, first match wins: a package that
// matches the pattern may import, of ours, only packages that match one of the
// words after it. Do not edit it to make a build pass.
var rules = [][]string{
	{"spec"},
	{"artifacts", "internal/atomicfile"},
	{"artifacts/remote", "artifacts", "internal/atomicfile"},
	{"artifacts/s3", "artifacts", "artifacts/remote"},
	{"artifacts/remotetest", "artifacts", "artifacts/remote"},

	{"internal/atomicfile"},
	{"internal/atomicfile/faultfs", "internal/atomicfile"},
	{"internal/sharedtest"},
	{"internal/archtest"},
	{"internal/npy"},
	{"internal/tool"},
	{"internal/kernel/gen/frames"},
	{"internal/kernel/gen", "internal/kernel/gen/frames"},
	{"internal/kernel/simd"},
	{"internal/kernel", "internal/kernel/simd"},
	{"internal/kernel/spectra", "internal/kernel", "internal/kernel/simd"},
	{"internal/nn", "internal/kernel"},
	{"internal/model", "internal/nn", "internal/kernel", "internal/atomicfile"},
	{"internal/minibatch", "internal/model", "internal/kernel"},
	{"internal/retrieval", "internal/pairs", "internal/table", "internal/npy"},
	{"internal/similarity", "internal/minibatch", "internal/retrieval", "internal/model", "internal/nn", "internal/kernel"},
	{"internal/learn", "internal/minibatch", "internal/similarity", "internal/retrieval", "internal/model", "internal/nn", "internal/kernel", "internal/atomicfile"},
	{"internal/table/ipcmeta"},
	{"internal/table", "internal/table/ipcmeta"},
	{"internal/audio"},
	{"internal/mel", "internal/kernel/spectra"},
	{"internal/vision", "internal/kernel"},
	{"internal/plot"},
	{"internal/*", "internal/*", "internal/*/*"},

	{"stages/stage", "artifacts", "spec"},
	{"stages/stage/stagetest", "stages/stage", "artifacts", "spec"},
	{"stages/*", "stages/stage", "artifacts", "spec", "internal/*"},
	{"stages", "stages/*"},

	{"pipeline", "spec", "artifacts", "stages/stage", "internal/atomicfile"},
	{"pipeline/*", "pipeline", "spec", "artifacts", "stages/stage", "internal/atomicfile", "internal/tool"},

	{"cmd/*", "spec", "artifacts", "artifacts/*", "pipeline", "pipeline/*", "stages", "stages/*", "internal/*"},
	{"scripts/benchmark", "pipeline", "internal/*", "internal/kernel/simd"},
	{"scripts/*", "pipeline", "internal/*"},
}

// testOnly are packages that nothing but tests may import.
var testOnly = []string{"internal/sharedtest", "stages/stage/stagetest", "artifacts/remotetest"}

func TestImports(t *testing.T) {
	seen := 0
	err := walk(filepath.Join("..", ".."), func(from, file string, imports []string) {
		seen++
		for _, to := range imports {
			if err := mayImport(from, to); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Errorf("read %d files: the walk missed the module", seen)
	}
}

// TestRules holds the test itself to what it is for: it must refuse these.
func TestRules(t *testing.T) {
	for _, c := range [][2]string{
		{"stages/train", "stages/mfcc"},
		{"artifacts", "spec"},
		{"internal/mel", "artifacts"},
		{"internal/report", "pipeline"},
		{"internal/report", "stages/stage"},
		{"pipeline", "stages"},
		{"pipeline", "stages/mfcc"},
		{"pipeline", "internal/table"},
		{"spec", "stages/stage"},
		{"internal/kernel", "internal/nn"},
		{"internal/nn", "internal/model"},
		{"internal/minibatch", "internal/learn"},
		{"internal/similarity", "internal/learn"},
		{"internal/retrieval", "internal/similarity"},
		{"stages/mfcc", "pipeline"},
		{"internal/audio", "internal/sharedtest"},
		{"new/package", "spec"},
	} {
		if mayImport(c[0], c[1]) == nil {
			t.Errorf("%s may import %s, want a refusal", c[0], c[1])
		}
	}
}

// walk reads the imports of every file that is not a test. It reads in this
// process: go test then sees the files and runs the test again when one
// changes, which it does not when "go list" reads them in a process of its own.
func walk(root string, visit func(from, file string, imports []string)) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "testdata" || name != ".." && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		var ours []string
		for _, s := range f.Imports {
			if to, ok := strings.CutPrefix(strings.Trim(s.Path.Value, `"`), module+"/"); ok {
				ours = append(ours, to)
			}
		}
		visit(filepath.ToSlash(rel), file, ours)
		return nil
	})
}

func mayImport(from, to string) error {
	for _, p := range testOnly {
		if to == p {
			return fmt.Errorf("%s is for tests alone", to)
		}
	}
	for _, r := range rules {
		if !match(r[0], from) {
			continue
		}
		for _, p := range r[1:] {
			if match(p, to) {
				return nil
			}
		}
		return fmt.Errorf("%s may not import %s", from, to)
	}
	return errors.New("no rule for package " + from)
}

func match(pattern, pkg string) bool {
	ok, err := path.Match(pattern, pkg)
	return ok && err == nil
}
