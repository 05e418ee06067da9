package plot

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// decoded draws twice, compares the bytes and decodes them.
func decoded(t *testing.T, draw func(io.Writer) error) image.Image {
	t.Helper()
	var a, b bytes.Buffer
	if err := errors.Join(draw(&a), draw(&b)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two drawings differ")
	}
	img, err := png.Decode(&a)
	if err != nil {
		t.Fatalf("no PNG: %v", err)
	}
	return img
}

func heat(t *testing.T, rows, cols int, values []float64, o HeatOptions) image.Image {
	t.Helper()
	return decoded(t, func(w io.Writer) error { return HeatMap(w, rows, cols, values, o) })
}

var (
	low  = color.RGBA{R: 0x44, G: 0x01, B: 0x54, A: 0xff}
	high = color.RGBA{R: 0xfd, G: 0xe7, B: 0x25, A: 0xff}
	grey = color.RGBA{R: 0x99, G: 0x99, B: 0x99, A: 0xff}
)

func at(img image.Image, x, y int) color.RGBA {
	return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
}

func TestHeatMapPixels(t *testing.T) {
	values := []float64{
		-3, 5, nan,
		math.Inf(1), math.Inf(-1), 1,
	}
	mid := colorMap()[shades/2].(color.RGBA)
	want := [2][3]color.RGBA{{low, high, grey}, {high, low, mid}}
	for _, flip := range []bool{false, true} {
		img := heat(t, 2, 3, values, HeatOptions{Scale: 4, FlipY: flip})
		if got := img.Bounds(); got != image.Rect(0, 0, 12, 8) {
			t.Fatalf("bounds %v", got)
		}
		for y := range 8 {
			for x := range 12 {
				r := y / 4
				if flip {
					r = 1 - r
				}
				if got := at(img, x, y); got != want[r][x/4] {
					t.Fatalf("flip %v: pixel %d,%d is %v, want %v", flip, x, y, got, want[r][x/4])
				}
			}
		}
	}
}

func TestHeatMapRangeAndEmpty(t *testing.T) {
	lo, hi := 0.0, 10.0
	img := heat(t, 1, 3, []float64{-5, 5, 100}, HeatOptions{Min: &lo, Max: &hi})
	if at(img, 0, 0) != low || at(img, 2, 0) != high || at(img, 1, 0) != colorMap()[127] {
		t.Error("values outside Min..Max are not at the ends of the scale")
	}
	img = heat(t, 1, 2, []float64{-math.MaxFloat64, math.MaxFloat64}, HeatOptions{})
	if at(img, 0, 0) != low || at(img, 1, 0) != high {
		t.Error("the widest range does not span the scale")
	}
	if img = heat(t, 0, 7, nil, HeatOptions{Scale: 3}); at(img, 2, 2) != grey || img.Bounds().Dx() != 3 {
		t.Error("no values are not one grey cell")
	}
	if img = heat(t, 1, 2, []float64{nan, nan}, HeatOptions{}); at(img, 1, 0) != grey {
		t.Error("NaN is not grey")
	}
	if img = heat(t, 1, 2, []float64{4, 4}, HeatOptions{}); at(img, 1, 0) != colorMap()[127] {
		t.Error("a flat map is not in the middle of the scale")
	}
}

func TestHeatMapErrors(t *testing.T) {
	one, two := 1.0, 2.0
	for name, draw := range map[string]func() error{
		"length":    func() error { return HeatMap(io.Discard, 2, 2, make([]float64, 3), HeatOptions{}) },
		"negative":  func() error { return HeatMap(io.Discard, -1, -3, make([]float64, 3), HeatOptions{}) },
		"no rows":   func() error { return HeatMap(io.Discard, 0, 3, make([]float64, 3), HeatOptions{}) },
		"overflow":  func() error { return HeatMap(io.Discard, math.MaxInt/2+1, 4, nil, HeatOptions{}) },
		"huge":      func() error { return HeatMap(io.Discard, 1, 1, []float64{1}, HeatOptions{Scale: 10000}) },
		"max scale": func() error { return HeatMap(io.Discard, 1, 1, []float64{1}, HeatOptions{Scale: math.MaxInt}) },
		"scale":     func() error { return HeatMap(io.Discard, 1, 1, []float64{1}, HeatOptions{Scale: -1}) },
		"crossed":   func() error { return HeatMap(io.Discard, 1, 1, []float64{1}, HeatOptions{Min: &two, Max: &one}) },
		"NaN end":   func() error { return HeatMap(io.Discard, 1, 1, []float64{1}, HeatOptions{Min: &nan}) },
		"writer":    func() error { return HeatMap(failing{}, 1, 1, []float64{1}, HeatOptions{}) },
		"wave size": func() error { return Waveform(io.Discard, nil, 1<<20, 1<<20) },
		"wave neg":  func() error { return Waveform(io.Discard, nil, -1, 5) },
		"wave disk": func() error { return Waveform(failing{}, nil, 0, 0) },
		"text len":  func() error { return Terminal(io.Discard, 2, 2, nil, 0, 0, false) },
		"text size": func() error { return Terminal(io.Discard, 1, 1, []float64{1}, -1, 0, false) },
		"text disk": func() error { return Terminal(failing{}, 1, 1, []float64{1}, 0, 0, false) },
	} {
		if draw() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestColorMapIsPerceptual checks what viridis is for: lightness that only
// grows, in steps without a jump.
func TestColorMapIsPerceptual(t *testing.T) {
	luma := func(c color.Color) float64 {
		r, g, b, _ := c.RGBA()
		return (0.2126*float64(r) + 0.7152*float64(g) + 0.0722*float64(b)) / 0xffff
	}
	p := colorMap()
	if p[0] != low || p[shades-1] != high {
		t.Errorf("ends are %v and %v", p[0], p[shades-1])
	}
	for i := 1; i < shades; i++ {
		if d := luma(p[i]) - luma(p[i-1]); d < 0 || d > 0.01 {
			t.Errorf("lightness step %d is %.4f", i, d)
		}
	}
}

func TestUpright(t *testing.T) {
	got := Upright(2, 3, []float64{0, 1, 2, 10, 11, 12})
	if diff := cmp.Diff([]float64{2, 12, 1, 11, 0, 10}, got); diff != "" {
		t.Error(diff)
	}
}

// columnOf returns column x of a waveform as letters, top to bottom.
func columnOf(img image.Image, x int) string {
	p := img.(*image.Paletted)
	var s strings.Builder
	for y := range p.Rect.Dy() {
		s.WriteByte(" -pRC"[p.ColorIndexAt(x, y)])
	}
	return s.String()
}

func TestWaveform(t *testing.T) {
	wave := func(samples []float32, w, h int) image.Image {
		return decoded(t, func(out io.Writer) error { return Waveform(out, samples, w, h) })
	}
	// The rows of an 11 px picture are amplitudes 1, 0.8 .. -1.
	nan32 := float32(nan)
	img := wave([]float32{0.8, -0.8, 0, 0, nan32, nan32, 1.5, 0, 0.8, nan32, 0.2, nan32}, 6, 11)
	for x, want := range []string{
		" RRRRRRRRR ", // both samples at ±0.8: the RMS is the peak
		"     R     ",
		"     -     ", // NaN
		"CCCCCC     ", // beyond full scale
		" R   -     ", // a lone sample within the reach of the column before
		" RRRR-     ", // stretched up to it
	} {
		if got := columnOf(img, x); got != want {
			t.Errorf("column %d is %q, want %q", x, got, want)
		}
	}
	img = wave([]float32{0.8, 0, 0, 0}, 1, 11)
	if got, want := columnOf(img, 0), " ppRRR     "; got != want {
		t.Errorf("peak over RMS: %q, want %q", got, want)
	}
	if img = wave(nil, 0, 0); img.Bounds() != image.Rect(0, 0, 720, 120) {
		t.Errorf("default size %v", img.Bounds())
	}
	if img = wave([]float32{0.4}, 3, 11); columnOf(img, 2) != "   R -     " {
		t.Errorf("a held sample is %q", columnOf(img, 2))
	}
	wave([]float32{float32(math.Inf(1)), float32(math.Inf(-1)), nan32}, 2, 1)
}

func TestTerminal(t *testing.T) {
	text := func(rows, cols int, values []float64, w, h int, color bool) string {
		t.Helper()
		var a, b bytes.Buffer
		err := errors.Join(Terminal(&a, rows, cols, values, w, h, color), Terminal(&b, rows, cols, values, w, h, color))
		if err != nil || a.String() != b.String() {
			t.Fatalf("Terminal: error %v, or two texts differ", err)
		}
		return a.String()
	}
	if got, want := text(2, 3, []float64{0, 9, nan, 4.5, 9, 0}, 3, 2, false), " @?\n+@ \n"; got != want {
		t.Errorf("letters %q, want %q", got, want)
	}
	if got, want := text(2, 4, []float64{0, 0, 9, 9, 0, 0, 9, nan}, 0, 0, false), "  @@\n"; got != want {
		t.Errorf("averaged %q, want %q", got, want)
	}
	const lo, hi, nothing = "68;1;84m", "253;231;37m", "153;153;153m"
	got := text(2, 3, []float64{0, 0, 1, 1, nan, nan}, 3, 1, true)
	want := "\x1b[38;2;" + lo + "\x1b[48;2;" + hi + "▀\x1b[48;2;" + nothing + "▀\x1b[38;2;" + hi + "▀\x1b[0m\n"
	if got != want {
		t.Errorf("blocks %q, want %q", got, want)
	}
	wide := text(300, 1000, make([]float64, 300_000), 0, 0, true)
	if strings.Count(wide, "▀") != 80*24 || strings.Count(wide, "\n") != 24 {
		t.Error("a large map is not 80 x 24 characters")
	}
	if got := text(1, 1, []float64{5}, 4, 2, false); got != "++++\n++++\n" {
		t.Errorf("one value fills the room as %q", got)
	}
	if got := text(1, 2, []float64{nan, nan}, 0, 0, false); got != "??\n" {
		t.Errorf("NaN only is %q", got)
	}
	if got := text(0, 0, nil, 0, 0, true); got != "(no values)\n" {
		t.Errorf("empty is %q", got)
	}
}
