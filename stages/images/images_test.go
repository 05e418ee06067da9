package images

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

func photo(id string, data []byte) table.Photo {
	return table.Photo{ID: id, SHA256: table.SumBytes(data), Bytes: data}
}

func run(t testing.TB, s *artifacts.Store, params map[string]any, photos ...table.Photo) stagetest.Result {
	t.Helper()
	in := stagetest.Artifact(t, s, "pairs", stagetest.Part("photos-00.parquet", table.Photos, photos...))
	return stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: stagetest.In("pairs", in), Params: params})
}

// halves is a picture w x h, orange on the left and black on the right.
func halves(w, h int) *image.RGBA {
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{A: 255}
			if x < w/2 {
				c = color.RGBA{200, 100, 0, 255}
			}
			im.SetRGBA(x, y, c)
		}
	}
	return im
}

func pngOf(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pixel(im table.Image, x, y int) [3]uint8 {
	return [3]uint8(im.Pixels[(y*int(im.Width)+x)*3:])
}

func TestRows(t *testing.T) {
	s := stagetest.Store(t)
	j := jpegOf(t, halves(60, 40))
	photos := []table.Photo{
		photo("a.png", pngOf(t, halves(60, 40))), photo("b.jpg", j), photo("cut.jpg", j[:len(j)*2/3]),
		photo("line.png", pngOf(t, image.NewGray(image.Rect(0, 0, maxSide+1, 1)))), photo("text.jpg", []byte("a text")),
	}
	r := run(t, s, map[string]any{"width": 30, "height": 20}, photos...)
	got := stagetest.Rows(t, r.Artifact, table.Images)
	if len(got) != 2 || len(r.Rejects) != 3 {
		t.Fatalf("%d pictures, rejects %q; want cut.jpg, line.png and text.jpg set aside", len(got), r.Rejects)
	}
	for i, im := range got {
		if im.Width != 30 || im.Height != 20 || len(im.Pixels) != 1800 || im.Order != "bgr" || im.SourceSHA256 != photos[i].SHA256 || im.SHA256 != table.SumBytes(im.Pixels) {
			t.Errorf("%s: row of %d x %d, %s", im.ID, im.Width, im.Height, im.Order)
		}
		if l, r := pixel(im, 4, 10), pixel(im, 25, 10); !near(l, 0, 100, 200) || !near(r, 0, 0, 0) {
			t.Errorf("%s: left %v, right %v; want orange as b, g, r and black", im.ID, l, r)
		}
	}
	rgb := stagetest.Rows(t, run(t, s, map[string]any{"width": 30, "height": 20, "order": "rgb"}, photos[0]).Artifact, table.Images)[0]
	if l := pixel(rgb, 4, 10); !near(l, 200, 100, 0) || rgb.Order != "rgb" {
		t.Errorf("order rgb: left %v", l)
	}
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	if again := run(t, s, map[string]any{"width": 30, "height": 20}, photos...); again.Artifact.Digest != r.Artifact.Digest {
		t.Error("four cores gave other bytes")
	}
}

func near(px [3]uint8, want ...float64) bool {
	for c, w := range want {
		if math.Abs(float64(px[c])-w) > 6 {
			return false
		}
	}
	return true
}

// TestCrop checks that a crop keeps the shape of things: the middle of a wide
// picture has the border in its middle, and nothing is squeezed.
func TestCrop(t *testing.T) {
	s := stagetest.Store(t)
	im := halves(120, 40)
	for y := range 40 { // a mark at the far left, which the crop leaves out
		for x := range 10 {
			im.SetRGBA(x, y, color.RGBA{0, 255, 0, 255})
		}
	}
	got := stagetest.Rows(t, run(t, s, map[string]any{"width": 20, "height": 20, "resize": "crop"}, photo("a", pngOf(t, im))).Artifact, table.Images)[0]
	if l, r := pixel(got, 0, 10), pixel(got, 19, 10); !near(l, 0, 100, 200) || !near(r, 0, 0, 0) {
		t.Errorf("crop: left %v, right %v; want orange and black", l, r)
	}
	long := photo("b", pngOf(t, image.NewGray(image.Rect(0, 0, 1, maxSide))))
	if r := run(t, s, map[string]any{"resize": "crop"}, long); len(r.Rejects) != 1 {
		t.Error("a line was resized to be cropped")
	}
	for _, p := range []map[string]any{{"shorter": 256}, {"shorter": 100, "resize": "crop"}, {"pad": 1}, {"pad": 1, "resize": "crop"}} {
		if len(Kind.Spec().Check(p)) == 0 {
			t.Errorf("Check(%v) finds nothing", p)
		}
	}
}

// TestFit: all of a wide picture is there, its shape kept, with grey above and
// below.
func TestFit(t *testing.T) {
	s := stagetest.Store(t)
	got := stagetest.Rows(t, run(t, s, map[string]any{"width": 20, "height": 20, "resize": "fit", "pad": 99}, photo("a", pngOf(t, halves(60, 30)))).Artifact, table.Images)[0]
	for _, c := range []struct {
		x, y int
		want [3]float64
	}{{1, 4, [3]float64{99, 99, 99}}, {18, 16, [3]float64{99, 99, 99}}, {1, 6, [3]float64{0, 100, 200}}, {8, 13, [3]float64{0, 100, 200}}, {18, 6, [3]float64{}}} {
		if px := pixel(got, c.x, c.y); !near(px, c.want[:]...) {
			t.Errorf("fit: pixel %d, %d is %v, want %v", c.x, c.y, px, c.want)
		}
	}
}

// TestFilters: each filter gives bytes of its own.
func TestFilters(t *testing.T) {
	s := stagetest.Store(t)
	seen := map[string]string{}
	m := halves(60, 41)
	for i := range m.Pix {
		m.Pix[i] ^= uint8(i * i)
	}
	for _, f := range vision.Filters() {
		im := stagetest.Rows(t, run(t, s, map[string]any{"width": 7, "height": 5, "filter": f}, photo("a", pngOf(t, m))).Artifact, table.Images)[0]
		if as := seen[im.SHA256]; as != "" {
			t.Errorf("filter %s gives the same as %s", f, as)
		}
		seen[im.SHA256] = f
	}
}

// TestOrientation: a photo that says it is to be turned by a quarter, clockwise,
// stays as it is stored, or is turned.
func TestOrientation(t *testing.T) {
	s := stagetest.Store(t)
	j := jpegOf(t, halves(32, 32))
	exif := []byte("\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00")
	p := photo("a", slices.Concat(j[:2], exif, j[2:]))
	size := map[string]any{"width": 8, "height": 8}
	stored := stagetest.Rows(t, run(t, s, size, p).Artifact, table.Images)[0]
	size["orientation"] = "exif"
	turned := stagetest.Rows(t, run(t, s, size, p).Artifact, table.Images)[0]
	for _, c := range []struct {
		name string
		im   table.Image
		x, y int
		want []float64
	}{
		{"stored", stored, 1, 6, []float64{0, 100, 200}}, {"stored", stored, 6, 1, []float64{0, 0, 0}},
		{"turned", turned, 1, 6, []float64{0, 0, 0}}, {"turned", turned, 6, 1, []float64{0, 100, 200}},
	} {
		if px := pixel(c.im, c.x, c.y); !near(px, c.want...) {
			t.Errorf("%s: pixel %d, %d is %v, want %v", c.name, c.x, c.y, px, c.want)
		}
	}
}

// TestGolden compares with Pillow on the same pixels.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		suffix string
		params map[string]any
		share  float64 // of the values that may be off by one
	}{
		{"resize224_bilinear", map[string]any{"order": "rgb"}, .01},
		{"resize224_bicubic", map[string]any{"order": "rgb", "filter": "bicubic"}, .02},
		{"resize224_nearest", map[string]any{"order": "rgb", "filter": "nearest"}, 0},
		{"resize256_crop224", map[string]any{"order": "rgb", "resize": "crop", "shorter": 256}, .01},
	} {
		s := stagetest.Store(t)
		var photos []table.Photo
		for _, name := range []string{"astronaut", "chelsea", "gray_coins"} {
			data, err := os.ReadFile(sharedtest.Path(t, "golden", "image", name+".png"))
			if err != nil {
				t.Fatal(err)
			}
			photos = append(photos, photo(name, data))
		}
		for _, im := range stagetest.Rows(t, run(t, s, c.params, photos...).Artifact, table.Images) {
			want, err := npy.ReadFile(sharedtest.Path(t, "golden", "image", im.ID+"."+c.suffix+".npy"))
			if err != nil {
				t.Fatal(err)
			}
			if len(want.F64) != len(im.Pixels) {
				t.Fatalf("%s.%s: %d values, want %d", im.ID, c.suffix, len(im.Pixels), len(want.F64))
			}
			off, worst := 0, 0.
			for i, v := range want.F64 {
				if d := math.Abs(v - float64(im.Pixels[i])); d > 0 {
					off, worst = off+1, max(worst, d)
				}
			}
			if float64(off) > c.share*float64(len(want.F64)) || worst > 1 {
				t.Errorf("%s.%s: %d values differ, by up to %g", im.ID, c.suffix, off, worst)
			}
		}
	}
}

// TestHostile decodes pictures that were collected to do harm.
func TestHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes 960 files")
	}
	manifest, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	expect := map[string]string{}
	var photos []table.Photo
	for line := range strings.Lines(string(manifest)) {
		f := strings.Split(line, "\t")
		if !strings.HasPrefix(f[0], "files/png/") && !strings.HasPrefix(f[0], "files/jpeg/") {
			continue
		}
		data, err := os.ReadFile(sharedtest.Path(t, "badinputs", f[0]))
		if err != nil {
			t.Fatal(err)
		}
		expect[f[0]] = f[3]
		photos = append(photos, photo(f[0], data))
	}
	r := run(t, stagetest.Store(t), map[string]any{"width": 32, "height": 32}, photos...)
	for _, im := range stagetest.Rows(t, r.Artifact, table.Images) {
		warned := slices.ContainsFunc(r.Warnings(), func(w string) bool { return strings.HasPrefix(w, im.ID+": ") })
		if e := expect[im.ID]; e == "error" || e == "prefix" && !warned {
			t.Errorf("%s: decoded without a word, want it set aside (%s)", im.ID, e)
		}
		delete(expect, im.ID)
	}
	for id, e := range expect {
		if reason := r.Reason(id); e == "ok" || reason == "" || strings.Contains(reason, "\n") {
			t.Errorf("%s: set aside: %q", id, reason)
		}
	}
}
