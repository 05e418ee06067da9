package model

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

// TestLoadRefusesValues: a model that would give no numbers is not loaded, and
// the error says which tensor.
func TestLoadRefusesValues(t *testing.T) {
	for want, change := range map[string]func(*Model[float32]){
		"image.a.weight holds NaN at 3":                 func(m *Model[float32]) { m.Params()[0].W[3] = float32(math.NaN()) },
		"image.a.bias holds +Inf at 0":                  func(m *Model[float32]) { m.Params()[1].W[0] = float32(math.Inf(1)) },
		"audio.n.running_mean holds -Inf at 1":          func(m *Model[float32]) { m.Stats()[0].Mean[1] = float32(math.Inf(-1)) },
		"audio.n.running_var holds a negative variance": func(m *Model[float32]) { m.Stats()[0].Var[2] = -1 },
		"audio.n.running_var holds NaN at 0":            func(m *Model[float32]) { m.Stats()[0].Var[0] = float32(math.NaN()) },
		"image.a.weight holds NaN at 0; image.a.bias holds N": func(m *Model[float32]) {
			m.Params()[0].W[0], m.Params()[1].W[0] = float32(math.NaN()), float32(math.NaN())
		},
	} {
		m := must[*Model[float32]](t)(New[float32](tinySpec(), 5))
		change(m)
		config, weights := stored(t, m)
		if _, err := Load(config, weights); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load = %v, want %q", err, want)
		}
	}
}

// TestHostileFiles: files that lie about themselves give an error, at once and
// without the memory that they ask for.
func TestHostileFiles(t *testing.T) {
	config, weights := stored(t, must[*Model[float32]](t)(New[float32](tinySpec(), 5)))
	n := binary.LittleEndian.Uint64(weights)
	header := string(weights[8 : 8+n])
	with := func(header string) []byte {
		out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
		return append(append(out, header...), weights[8+n:]...)
	}
	swap := func(old, now string) []byte {
		t.Helper()
		if !strings.Contains(header, old) {
			t.Fatalf("the header has no %s: %s", old, header)
		}
		return with(strings.Replace(header, old, now, 1))
	}
	shape := `"shape":[3,3,2,4]`
	files := map[string][]byte{
		"empty": nil, "length alone": weights[:8], "cut header": weights[:8+n/2], "cut": weights[:len(weights)-1], "longer": append(bytes.Clone(weights), 0),
		"huge header":     binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
		"4 GiB header":    append(binary.LittleEndian.AppendUint64(nil, 4<<30), '{'),
		"no JSON":         with(strings.Repeat("[", len(header))),
		"deep":            with(strings.Repeat(`{"a":`, 100_000)),
		"huge shape":      swap(shape, `"shape":[4611686018427387904,4,1,1]`),
		"overflow":        swap(shape, `"shape":[4294967296,4294967296,2,4]`),
		"negative":        swap(shape, `"shape":[-3,3,2,4]`),
		"fraction":        swap(shape, `"shape":[3.5,3,2,4]`),
		"another shape":   swap(shape, `"shape":[3,3,4,2]`),
		"more dimensions": swap(shape, `"shape":[3,3,2,4,1]`),
		"another type":    swap(`"dtype":"F32"`, `"dtype":"I32"`),
		"narrow type":     swap(`"dtype":"F32"`, `"dtype":"F16"`),
		"unknown type":    swap(`"dtype":"F32"`, `"dtype":"F33"`),
		"another name":    swap(`"audio.a.bias"`, `"audio.a.bia"`),
		"twice":           swap(`"audio.a.bias"`, `"audio.a.weight"`),
		"overlap":         swap(`"data_offsets":[0,`, `"data_offsets":[4,`),
	}
	if _, err := Load(config, with(header+strings.Repeat(" ", maxHeader))); err == nil || !strings.Contains(err.Error(), "over the limit") {
		t.Errorf("a header over the limit: %v", err)
	}
	if _, err := Load(config, with(header+strings.Repeat(" ", 8))); err != nil {
		t.Errorf("a header with padding: %v", err) // what other writers do
	}
	for name, file := range files {
		if m, err := Load(config, file); err == nil {
			t.Errorf("%s: loaded, %d parameters", name, m.Size())
		}
	}
	for name, bad := range map[string]string{
		"trailing": string(config) + "{}", "text behind": string(config) + " x",
		"unknown field": strings.Replace(string(config), `"height"`, `"heigth"`, 1), "long": string(config) + strings.Repeat(" ", MaxConfig),
		"deep": `{"format":"hearsight.model/1","image":` + strings.Repeat(`{"layers":[`, 5000),
		"type": strings.Replace(string(config), `"height": 6`, `"height": "6"`, 1), "huge number": strings.Replace(string(config), `"height": 6`, `"height": 1e300`, 1),
	} {
		if _, err := Load([]byte(bad), weights); err == nil {
			t.Errorf("model.json, %s: loaded", name)
		}
	}
}

// TestHostileArrays: no file of the hostile arrays is a model or a part of one.
func TestHostileArrays(t *testing.T) {
	config, weights := stored(t, must[*Model[float32]](t)(New[float32](tinySpec(), 5)))
	dir := sharedtest.Path(t, "badinputs", "files", "npy")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load(config, data); err == nil {
			t.Errorf("%s was loaded as weights", f.Name())
		}
		if _, err := Load(data, weights); err == nil {
			t.Errorf("%s was loaded as model.json", f.Name())
		}
	}
}
