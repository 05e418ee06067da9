package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/sharedtest"
	modelstage "github.com/hearsight/hearsight/stages/model"
)

// What the program may take for a small file of a stranger.
const (
	strangeMemory = 320 << 20
	strangeCPU    = 6. // seconds, the child's limit of 2 among them
)

// TestHostileModels gives hostile arrays and damaged safetensors to all that
// opens a model or a matrix, as processes: each ends with an error of a line or
// two that names the file, in time and memory. Of all files it takes each tenth;
// `make hostile` takes them all.
func TestHostileModels(t *testing.T) {
	each := 10
	if os.Getenv("HEARSIGHT_HOSTILE") != "" {
		each = 1
	}
	dir := t.TempDir()
	config, weights := smallModel(t)
	arrays := sharedtest.Path(t, "badinputs", "files", "npy")
	entries, err := os.ReadDir(arrays)
	if err != nil || len(entries) < 40 {
		t.Fatalf("%d arrays, %v", len(entries), err)
	}
	bad := map[string][]byte{}
	for _, e := range entries {
		if bad[e.Name()], err = os.ReadFile(filepath.Join(arrays, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(2, 8))
	for i := range 40 {
		w := bytes.Clone(weights)
		switch at := r.IntN(1500); i % 4 {
		case 0:
			w = w[:at]
		case 1:
			w[at%8] ^= 1 << r.IntN(8) // how long the header is
		case 2:
			clear(w[at : at+30])
		default:
			copy(w[at:], "99999999999999999999")
		}
		bad[fmt.Sprintf("fuzzed-%d.safetensors", i)] = w
	}
	names := sortedKeys(bad)
	spec := "version: 1\nstages: {theirs: {kind: model, with: {root: theirs}}}\n"
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "theirs"), 0o700), os.WriteFile(filepath.Join(dir, "pipeline.yaml"), []byte(spec), 0o600), os.WriteFile(filepath.Join(dir, "theirs", modelstage.ConfigFile), config, 0o600)); err != nil {
		t.Fatal(err)
	}
	nothing := exec.Command("hearsight", "help")
	if err := nothing.Run(); err != nil {
		t.Fatal(err)
	}
	idle := memoryOf(nothing)
	for i, name := range names {
		if i%each != 0 {
			continue
		}
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, bad[name], 0o600), os.WriteFile(filepath.Join(dir, "theirs", modelstage.WeightsFile), bad[name], 0o600)); err != nil {
			t.Fatal(err)
		}
		stranger(t, dir, idle, name, "theirs", true, "export", "theirs/", "out/")
		stranger(t, dir, idle, name, "theirs", true, "run")
		stranger(t, dir, idle, name, name, false, "inspect", path)
		stranger(t, dir, idle, name, name, strings.HasSuffix(name, ".safetensors"), "score", "--matrix", path)
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is no model was exported: %v", err)
	}
}

// stranger runs the program on a file of which it may say no, or must; idle is
// what the program takes to do nothing.
func stranger(t *testing.T, dir string, idle int64, file, names string, must bool, args ...string) {
	t.Helper()
	cmd := exec.Command("hearsight", args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	err := cmd.Run()
	what := fmt.Sprintf("hearsight %s with %s", args[0], file)
	var exit *exec.ExitError
	switch {
	case err == nil && must:
		t.Errorf("%s ends well: %.300s", what, &out)
	case err != nil && !errors.As(err, &exit):
		t.Fatal(err)
	case err != nil && exit.ExitCode() != 1 && exit.ExitCode() != 2:
		t.Errorf("%s ends with %d: %.300s", what, exit.ExitCode(), &errs)
	case err != nil && (!strings.Contains(errs.String(), names) || errs.Len() > 4000):
		t.Errorf("%s does not say shortly what is wrong with %s: %.500s", what, names, &errs)
	}
	for _, bad := range []string{"panic", "goroutine ", "fatal error"} {
		if strings.Contains(errs.String(), bad) {
			t.Errorf("%s says %q: %.300s", what, bad, &errs)
		}
	}
	plain(t, what, out.String()+errs.String())
	if cpu := cpuOf(cmd); cpu > strangeCPU {
		t.Errorf("%s takes %.1f s", what, cpu)
	}
	if m, most := memoryOf(cmd), max(strangeMemory, idle+64<<20); m > most {
		t.Errorf("%s takes %d MiB, more than %d", what, m>>20, most>>20)
	}
}

// memoryOf is the most that a command that has ended took. The memory of who
// started it counts as its own (getrusage(2) looks before exec, too), so that it
// is to be compared with that of a command that does nothing.
func memoryOf(cmd *exec.Cmd) int64 {
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return int64(usage.Maxrss) << 10
	}
	return 0
}

// smallModel is the files of a model.
func smallModel(t *testing.T) (config, weights []byte) {
	t.Helper()
	image, err := model.ImageTower("small", model.HeadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	audio, err := model.AudioTower("small", model.AudioOptions{Coeffs: 13})
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New[float32](model.Spec{
		Image: image, Audio: audio, Height: 16, Width: 16, Frames: 32, Length: model.LengthTrue, Similarity: "misa", Scale: 1, Init: model.InitHe,
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	var c, w bytes.Buffer
	if err := errors.Join(m.WriteConfig(&c), m.WriteWeights(&w)); err != nil {
		t.Fatal(err)
	}
	return c.Bytes(), w.Bytes()
}
