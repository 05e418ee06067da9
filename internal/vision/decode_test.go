package vision

import (
	"bufio"
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodeKinds(t *testing.T) {
	one := image.Rect(0, 0, 1, 1)
	nrgba, deep, gray, gray16 := image.NewNRGBA(one), image.NewNRGBA64(one), image.NewGray(one), image.NewGray16(one)
	nrgba.Set(0, 0, color.NRGBA{10, 20, 30, 0}) // invisible: the colour below stays
	deep.SetNRGBA64(0, 0, color.NRGBA64{0x1234, 0xabcd, 0xffff, 0x8000})
	gray.SetGray(0, 0, color.Gray{77})
	gray16.SetGray16(0, 0, color.Gray16{0x4dff})
	opaque := image.NewNRGBA64(one)
	opaque.SetNRGBA64(0, 0, color.NRGBA64{0x0100, 0x0200, 0x0300, 0xffff})
	palette := image.NewPaletted(one, color.Palette{color.NRGBA{1, 2, 3, 0}, color.NRGBA{9, 9, 9, 255}})
	for _, c := range []struct {
		name, model string
		m           image.Image
		want        []uint8
	}{
		{"alpha", "RGBA", nrgba, []uint8{10, 20, 30}},
		{"16-bit alpha", "RGBA 16-bit", deep, []uint8{0x12, 0xab, 0xff}},
		{"16-bit", "RGB 16-bit", opaque, []uint8{1, 2, 3}},
		{"grey", "Gray", gray, []uint8{77, 77, 77}},
		{"16-bit grey", "Gray 16-bit", gray16, []uint8{0x4d, 0x4d, 0x4d}},
		{"palette", "palette", palette, []uint8{1, 2, 3}},
	} {
		m, info, err := Decode(pngOf(t, c.m))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := cmp.Diff(c.want, m.Pix); d != "" || info.Model != c.model || info.Format != "png" {
			t.Errorf("%s: %+v (-want +got):\n%s", c.name, info, d)
		}
	}
}

func TestDecodeTellsTruncationFromJunk(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 40, 30))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * i)
	}
	for name, data := range map[string][]byte{"png": pngOf(t, m), "jpeg": jpegOf(t, m)} {
		for n := range len(data) {
			if _, _, err := Decode(data[:n]); err == nil {
				t.Fatalf("%s: the first %d of %d bytes decode without error", name, n, len(data))
			}
		}
		_, info, err := Decode(append(bytes.Clone(data), "junk"...))
		if err != nil || len(info.Warnings) != 1 || !strings.Contains(info.Warnings[0], "4 bytes after") {
			t.Errorf("%s with junk behind: %v, warnings %q", name, err, info.Warnings)
		}
	}
}

// Over every hostile picture there is. What a file's name promises is not this
// package's business, so pictures under a wrong extension are not warned of here.
func TestBadInputs(t *testing.T) {
	root := sharedtest.Path(t, "badinputs")
	f, err := os.Open(filepath.Join(root, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		col := strings.Split(sc.Text(), "\t")
		if !strings.HasPrefix(col[0], "files/png/") && !strings.HasPrefix(col[0], "files/jpeg/") {
			continue
		}
		n++
		checkBad(t, filepath.Join(root, col[0]), col[3])
	}
	if n < 900 {
		t.Errorf("only %d pictures in the manifest", n)
	}
}

func checkBad(t *testing.T, path, expect string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	m, info, err := Decode(data)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	name := filepath.Base(path)
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 256 || took > 2*time.Second {
		t.Errorf("%s: took %v and %d MB", name, took, mb)
	}
	if err == nil && (m.W != info.Width || m.H != info.Height || len(m.Pix) != m.W*m.H*3) {
		t.Errorf("%s: %dx%d with %d values, header %dx%d", name, m.W, m.H, len(m.Pix), info.Width, info.Height)
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: error is not one line: %v", name, err)
	}
	switch expect {
	case "error":
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	case "ok":
		if err != nil || len(info.Warnings) > 0 {
			t.Errorf("%s: %v, warnings %q, want neither", name, err, info.Warnings)
		}
	case "prefix":
		if err == nil && len(info.Warnings) == 0 {
			t.Errorf("%s: decodes in full without a word", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	m := image.NewNRGBA(image.Rect(0, 0, 9, 5))
	f.Add(pngOf(f, m))
	f.Add(jpegOf(f, m))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, _, err := Decode(data)
		if err == nil && len(m.Pix) != m.W*m.H*3 {
			t.Fatalf("%dx%d with %d values", m.W, m.H, len(m.Pix))
		}
		if err == nil && m.W*m.H < 1<<16 {
			Resize(m, 7, 5, Bicubic)
		}
	})
}
