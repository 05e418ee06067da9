package vision

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// webpOf is a lossless WebP of one colour. Its codes have one symbol each, so
// that no bit of it is the picture's.
func webpOf(w, h int, c color.NRGBA) []byte {
	var bits, n uint64
	var body []byte
	put := func(v uint64, size uint64) {
		bits, n = bits|v<<n, n+size
		for ; n >= 8; bits, n = bits>>8, n-8 {
			body = append(body, uint8(bits))
		}
	}
	put(0x2f, 8)
	put(uint64(w-1), 14)
	put(uint64(h-1), 14)
	put(1, 1)                                          // alpha is used
	put(0, 3+1+1+1)                                    // version, no transform, no cache of colours, one group of codes
	for _, v := range []uint8{c.G, c.R, c.B, c.A, 0} { // the last: distances
		put(1, 1) // a simple code
		put(0, 1) // of one symbol
		put(1, 1) // of 8 bits
		put(uint64(v), 8)
	}
	put(0, 7) // to whole bytes
	return riff("VP8L", body)
}

func riff(id string, body []byte) []byte {
	out := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(12+len(body)))
	out = binary.LittleEndian.AppendUint32(append(out, "WEBP"+id...), uint32(len(body)))
	return append(append(out, body...), make([]byte, len(body)&1)...)
}

func encoded(t testing.TB, f func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noisy is a picture that no two pixels of are alike.
func noisy(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * i * 7)
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	return m
}

// files are a picture in the formats other than JPEG and PNG.
func files(t testing.TB) map[string][]byte {
	m, indexed := noisy(20, 13), image.NewPaletted(image.Rect(0, 0, 20, 13), palette.Plan9)
	for i := range indexed.Pix {
		indexed.Pix[i] = uint8(7 * i)
	}
	return map[string][]byte{
		"bmp":  encoded(t, func(b *bytes.Buffer) error { return bmp.Encode(b, m) }),
		"tiff": encoded(t, func(b *bytes.Buffer) error { return tiff.Encode(b, m, nil) }),
		"tiff deflate": encoded(t, func(b *bytes.Buffer) error {
			return tiff.Encode(b, m, &tiff.Options{Compression: tiff.Deflate, Predictor: true})
		}),
		"gif":  encoded(t, func(b *bytes.Buffer) error { return gif.Encode(b, indexed, nil) }),
		"webp": webpOf(20, 13, color.NRGBA{10, 20, 30, 40}),
	}
}

func TestDecodeOtherFormats(t *testing.T) {
	for name, data := range files(t) {
		m, info, err := Decode(data)
		if err != nil || len(info.Warnings) > 0 || m.W != 20 || m.H != 13 {
			t.Fatalf("%s: %+v, %v", name, info, err)
		}
		format, _, _ := strings.Cut(name, " ")
		if info.Format != format || Sniff(data[:12]) != format {
			t.Errorf("%s is called %q and %q", name, info.Format, Sniff(data[:12]))
		}
		src := noisy(20, 13)
		for i := range 20 * 13 {
			want := [3]uint8(src.Pix[4*i:])
			switch format {
			case "webp":
				want = [3]uint8{10, 20, 30}
			case "gif":
				c := palette.Plan9[uint8(7*i)].(color.RGBA)
				want = [3]uint8{c.R, c.G, c.B}
			}
			if got := [3]uint8(m.Pix[3*i:]); got != want {
				t.Fatalf("%s: pixel %d is %v, want %v", name, i, got, want)
			}
		}
		// Behind the pixels: the ends of the picture and of the file, padding, the resolution.
		end := len(data) - map[string]int{"gif": 2, "webp": 1, "tiff": 16}[format]
		for n := range end {
			if _, _, err := Decode(data[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes decode without error", name, n, len(data))
				break
			}
		}
	}
}

// TestGIFScreen: the first picture of a GIF may cover a part of the screen, and
// what is transparent keeps its colour.
func TestGIFScreen(t *testing.T) {
	colors := color.Palette{color.NRGBA{1, 2, 3, 255}, color.NRGBA{40, 50, 60, 255}, color.NRGBA{0, 0, 0, 0}}
	m := image.NewPaletted(image.Rect(1, 1, 3, 2), colors)
	m.Pix = []uint8{1, 2}
	all := gif.GIF{Image: []*image.Paletted{m, m}, Delay: []int{1, 1}, Config: image.Config{Width: 4, Height: 3, ColorModel: colors}}
	data := encoded(t, func(b *bytes.Buffer) error { return gif.EncodeAll(b, &all) })
	palette := bytes.Index(data, []byte{1, 2, 3, 40, 50, 60})
	copy(data[palette+6:], []uint8{7, 8, 9}) // the transparent colour, which the encoder loses
	got, info, err := Decode(data)
	if err != nil || info.Width != 4 || info.Height != 3 {
		t.Fatalf("%+v, %v", info, err)
	}
	for i := range 12 {
		want := [3]uint8{7, 8, 9}
		if i == 5 {
			want = [3]uint8{40, 50, 60}
		}
		if px := [3]uint8(got.Pix[3*i:]); px != want {
			t.Errorf("pixel %d is %v, want %v", i, px, want)
		}
	}
	for n := range data { // nothing outside is read
		gifTransparent(data[:n])
	}
}

// TestBombs: headers of pictures too large to decode are refused for what they
// say, before anything is allocated.
func TestBombs(t *testing.T) {
	ifd := func(tags ...[2]uint32) []byte {
		b := []byte("II*\x00\x08\x00\x00\x00")
		b = binary.LittleEndian.AppendUint16(b, uint16(len(tags)))
		for _, v := range tags {
			b = binary.LittleEndian.AppendUint16(b, uint16(v[0]))
			b = binary.LittleEndian.AppendUint16(b, 4)
			b = binary.LittleEndian.AppendUint32(b, 1)
			b = binary.LittleEndian.AppendUint32(b, v[1])
		}
		return append(b, 0, 0, 0, 0)
	}
	gray := func(more ...[2]uint32) []byte {
		return ifd(append([][2]uint32{{256, 7000}, {257, 7000}, {258, 8}, {259, 8}, {262, 1}, {273, 8}}, more...)...)
	}
	vp8x := riff("VP8X", append([]byte{0, 0, 0, 0}, 0xff, 0x3f, 0, 0xff, 0x3f, 0))
	bomb := bytes.Clone(files(t)["bmp"])
	binary.LittleEndian.PutUint32(bomb[18:], 30000)
	binary.LittleEndian.PutUint32(bomb[22:], 30000)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"tiff strip":   {gray([2]uint32{278, 7000}), "would take"},
		"tiff tile":    {gray([2]uint32{322, 7008}, [2]uint32{323, 7008}), "would take"},
		"tiff tiles":   {gray([2]uint32{322, 16}, [2]uint32{323, 16}), "pieces"},
		"tiff no tile": {gray([2]uint32{322, 16}), "tiles of 16 x 0"},
		"webp":         {vp8x, "over the limit"},
		"webp pixels":  {webpOf(8000, 8000, color.NRGBA{}), "would take"},
		"bmp":          {bomb, "over the limit"},
		"gif":          {[]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), "over the limit"},
	} {
		if _, _, err := Decode(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestLargest: what is just not refused keeps to the limits of hostile pictures.
func TestLargest(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes pictures of 10 megapixels")
	}
	deflated := func(side int) []byte {
		return encoded(t, func(b *bytes.Buffer) error {
			return tiff.Encode(b, image.NewNRGBA(image.Rect(0, 0, side, side)), &tiff.Options{Compression: tiff.Deflate})
		})
	}
	for name, c := range map[string]struct {
		at   func(side int) []byte
		side int
	}{
		"webp": {func(side int) []byte { return webpOf(side, side, color.NRGBA{1, 2, 3, 4}) }, 3700},
		"tiff": {deflated, 2700},
	} {
		data := c.at(c.side)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		_, _, err := Decode(data)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		mb := (after.TotalAlloc - before.TotalAlloc) >> 20
		if err != nil || mb > 256 {
			t.Errorf("%s of %d pixels a side: %v, %d MB", name, c.side, err, mb)
		}
		t.Logf("%s of %d pixels a side: %v, %d MB", name, c.side, took, mb)
		if _, _, err := Decode(c.at(c.side * 11 / 10)); err == nil {
			t.Errorf("%s of %d pixels a side is not refused: is this the largest?", name, c.side*11/10)
		}
	}
}

// fuzzFormat decodes what begins as a format does.
func fuzzFormat(f *testing.F, format string) {
	for name, data := range files(f) {
		if strings.HasPrefix(name, format) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Sniff(data) != format {
			t.Skip()
		}
		m, info, err := Decode(data)
		if err == nil && (len(m.Pix) != m.W*m.H*3 || m.W != info.Width || m.H != info.Height) {
			t.Fatalf("%dx%d with %d values, %+v", m.W, m.H, len(m.Pix), info)
		}
		if o := Orientation(data); o < 1 || o > 8 {
			t.Fatalf("orientation %d", o)
		}
	})
}

func FuzzDecodeGIF(f *testing.F)  { fuzzFormat(f, "gif") }
func FuzzDecodeWebP(f *testing.F) { fuzzFormat(f, "webp") }
func FuzzDecodeBMP(f *testing.F)  { fuzzFormat(f, "bmp") }
func FuzzDecodeTIFF(f *testing.F) { fuzzFormat(f, "tiff") }
