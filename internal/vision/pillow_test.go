package vision

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// peersPython is the Python of the peers, which scripts/bench-peers.sh installs.
func peersPython(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no folder for the peers' Python: %v", err)
	}
	python := filepath.Join(cache, "hearsight", "peers", "v", "bin", "python")
	if err := exec.Command(python, "-c", "import PIL").Run(); err != nil {
		t.Skipf("no Python with Pillow at %s (%v): make bench-peers installs it", python, err)
	}
	return python
}

// A compared is what Pillow made of a file.
type compared struct {
	Kind, File, Filter, Want string
	Width, Height            int
	Exact                    bool
}

// TestPillow holds resizing and decoding against Pillow itself, on pictures that
// it makes: all filters, shrinking and growing, bit for bit; every format; EXIF.
func TestPillow(t *testing.T) {
	python, dir := peersPython(t), t.TempDir()
	cmd := exec.Command(python, filepath.Join("testdata", "pillow.py"), dir)
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(said) {
		var c compared
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		t.Run(c.Want, func(t *testing.T) { c.check(t, dir) })
		n++
	}
	if n < 100 {
		t.Errorf("only %d comparisons", n)
	}
}

func (c compared) check(t *testing.T, dir string) {
	data, err := os.ReadFile(filepath.Join(dir, c.File))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(dir, c.Want))
	if err != nil {
		t.Fatal(err)
	}
	m, info, err := Decode(data)
	if err != nil || len(info.Warnings) > 0 {
		t.Fatalf("%+v, %v", info, err)
	}
	// Decoders widen a JPEG's and WebP's colours differently.
	largest, mean := 16., 1.6
	if c.Exact {
		largest, mean = 0, 0
	}
	switch c.Kind {
	case "orient":
		m = Orient(m, Orientation(data))
	case "resize", "fit":
		f, err := ParseFilter(c.Filter)
		if err != nil {
			t.Fatal(err)
		}
		if c.Kind == "fit" {
			m = Fit(m, c.Width, c.Height, f, [3]uint8{9, 9, 9})
		} else {
			m = Resize(m, c.Width, c.Height, f)
		}
		largest, mean = 0, 0
	}
	if m.W != c.Width || m.H != c.Height {
		t.Fatalf("%d x %d, want %d x %d", m.W, m.H, c.Width, c.Height)
	}
	ref := make([]float64, len(want))
	for i, v := range want {
		ref[i] = float64(v)
	}
	if share, most, all := differ(t, m.Pix, ref); most > largest || all > mean {
		t.Errorf("%.3f %% of the values differ, by at most %v, mean %.3f; want %v and %v", 100*share, most, all, largest, mean)
	}
}
