package model

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// files writes a small model's files into a folder.
func files(t *testing.T) (dir string, config, weights []byte) {
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
		Notes: []model.KeyString{{Key: "towers", Value: "small and small"}},
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	var c, w bytes.Buffer
	dir = t.TempDir()
	if err := errors.Join(m.WriteConfig(&c), m.WriteWeights(&w), os.WriteFile(filepath.Join(dir, ConfigFile), c.Bytes(), 0o600), os.WriteFile(filepath.Join(dir, WeightsFile), w.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir, c.Bytes(), w.Bytes()
}

// TestBringIn: what was written is the model that comes in, byte for byte, and
// files of other bytes with the same model give the same artifact.
func TestBringIn(t *testing.T) {
	dir, config, weights := files(t)
	s := stagetest.Store(t)
	one := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Params: map[string]any{"root": dir}}).Artifact
	if !bytes.Equal(stagetest.Bytes(t, one, ConfigFile), config) || !bytes.Equal(stagetest.Bytes(t, one, WeightsFile), weights) {
		t.Error("the model that comes in is not the one that was written")
	}
	tight := strings.NewReplacer("\n", "", "  ", "").Replace(string(config))
	if err := errors.Join(os.WriteFile(filepath.Join(dir, ConfigFile), []byte(tight), 0o600), os.WriteFile(filepath.Join(dir, "README"), []byte("more"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if two := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Params: map[string]any{"root": dir}}).Artifact; two.Digest != one.Digest {
		t.Error("the same model in another spelling is another artifact")
	}
}

func TestRefuses(t *testing.T) {
	for want, change := range map[string]func(dir string) error{
		"model.json is missing: a model is the two files":        func(dir string) error { return os.Remove(filepath.Join(dir, ConfigFile)) },
		"model.safetensors is missing: a model is the two files": func(dir string) error { return os.Remove(filepath.Join(dir, WeightsFile)) },
		"model.json is over the limit of 1048576 bytes": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ConfigFile), bytes.Repeat([]byte(" "), 1<<20+1), 0o600)
		},
		"model.safetensors is over the limit": func(dir string) error { return os.Truncate(filepath.Join(dir, WeightsFile), maxWeights+1) },
		"model.safetensors is not a regular file": func(dir string) error {
			path := filepath.Join(dir, WeightsFile)
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		},
		"load model: safetensors": func(dir string) error { return os.Truncate(filepath.Join(dir, WeightsFile), 100) },
		"load model: model.json: invalid": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ConfigFile), []byte("pickle"), 0o600)
		},
	} {
		dir, _, _ := files(t)
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		_, err := stagetest.Run(t, Kind, stagetest.Options{Store: stagetest.Store(t), Params: map[string]any{"root": dir}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v, want %q and the folder", err, want)
		}
	}
}
