package vision

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// A codec is how one format is read.
type codec struct {
	name   string
	magic  []string // what files begin with; ? is any byte
	config func(io.Reader) (image.Config, error)
	decode func([]byte) (image.Image, error)
	// bytes is the most that decode allocates, without the RGB; its error says
	// why the file is not decoded at all.
	bytes func([]byte, Info) (int64, error)
	end   func([]byte) int // where the picture ends; nil: not known
}

var codecs = []codec{
	{"jpeg", []string{"\xff\xd8\xff"}, jpeg.DecodeConfig, whole(jpeg.Decode), jpegBytes, jpegEnd},
	{"png", []string{"\x89PNG\r\n\x1a\n"}, png.DecodeConfig, whole(png.Decode), plainBytes, pngEnd},
	{"gif", []string{"GIF87a", "GIF89a"}, gif.DecodeConfig, decodeGIF, gifBytes, nil},
	{"webp", []string{"RIFF????WEBP"}, webp.DecodeConfig, whole(webp.Decode), webpBytes, nil},
	{"bmp", []string{"BM"}, bmp.DecodeConfig, whole(bmp.Decode), plainBytes, nil},
	{"tiff", []string{"II*\x00", "MM\x00*"}, tiff.DecodeConfig, decodeTIFF, tiffBytes, nil},
}

func codecOf(data []byte) *codec {
	for i := range codecs {
		for _, magic := range codecs[i].magic {
			if begins(data, magic) {
				return &codecs[i]
			}
		}
	}
	return nil
}

func begins(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	for i, c := range []byte(magic) {
		if c != '?' && data[i] != c {
			return false
		}
	}
	return true
}

func whole(decode func(io.Reader) (image.Image, error)) func([]byte) (image.Image, error) {
	return func(data []byte) (image.Image, error) { return decode(bytes.NewReader(data)) }
}

func (i Info) pixels() int64 { return int64(i.Width) * int64(i.Height) }

// modelBytes are those of a pixel in the pictures of packages png, bmp and tiff.
var modelBytes = map[string]int64{"Gray": 1, "palette": 1, "Gray 16-bit": 2, "RGB": 4, "RGBA": 4, "RGB 16-bit": 8, "RGBA 16-bit": 8}

func plainBytes(_ []byte, info Info) (int64, error) {
	return info.pixels() * modelBytes[info.Model], nil
}

// gifBytes counts the picture and the screen that it is put on.
func gifBytes(_ []byte, info Info) (int64, error) { return 2 * info.pixels(), nil }

// webpBytes: a lossy picture is 3 bytes for 2 pixels and may have its alpha
// beside it, which a lossless one inside makes; that has a copy for each
// transform.
func webpBytes(data []byte, info Info) (int64, error) {
	perPixel := int64(2)
	webpChunks(data, func(id string, _ []byte) bool {
		if id == "VP8L" || id == "ALPH" {
			perPixel += 12
			return false
		}
		return true
	})
	return perPixel * info.pixels(), nil
}

// maxTIFFBlocks bounds the strips or tiles of a TIFF: a decompressor of tens of
// kilobytes is made for each.
const maxTIFFBlocks = 1 << 13

// tiffBytes counts the picture and the largest strip or tile: package tiff
// unpacks up to 8 bytes a pixel of it into a buffer that grows by doubling.
func tiffBytes(data []byte, info Info) (int64, error) {
	tags := tiffTags(data)
	width, height := int64(info.Width), int64(info.Height)
	if w := int64(tags[tagTileWidth]); w > 0 {
		width, height = w, int64(tags[tagTileHeight])
	} else if rows := int64(tags[tagRowsPerStrip]); rows > 0 && rows < height {
		height = rows
	}
	if width < 1 || height < 1 || width > MaxPixels || height > MaxPixels {
		return 0, fmt.Errorf("tiles of %d x %d pixels", width, height)
	}
	if n := ceilDiv(int64(info.Width), width) * ceilDiv(int64(info.Height), height); n > maxTIFFBlocks {
		return 0, fmt.Errorf("picture is in %d pieces, the limit is %d", n, maxTIFFBlocks)
	}
	return info.pixels()*modelBytes[info.Model] + 3*8*width*height, nil
}

// decodeTIFF mends what package tiff (of golang.org/x/image v0.47.0) makes of
// fax codes where 0 is black: it takes their white for 1, libtiff for 0.
func decodeTIFF(data []byte) (image.Image, error) {
	m, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	const blackIsZero, group3, group4 = 1, 3, 4
	tags := tiffTags(data)
	fax := tags[tagCompression] == group3 || tags[tagCompression] == group4
	if gray, ok := m.(*image.Gray); ok && fax && tags[tagPhotometric] == blackIsZero {
		for i, v := range gray.Pix {
			gray.Pix[i] = ^v
		}
	}
	return m, nil
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// decodeGIF returns the first picture on its screen, as a whole. What package
// gif forgets, the colour that stands for transparency, is put back; the screen
// around the picture has that colour, else the palette's first.
func decodeGIF(data []byte) (image.Image, error) {
	config, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	m, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	p, ok := m.(*image.Paletted)
	if !ok {
		return nil, errors.New("has no palette")
	}
	fill := 0
	if t, c, ok := gifTransparent(data); ok && t < len(p.Palette) {
		fill, p.Palette[t] = t, c
	}
	screen := image.Rect(0, 0, config.Width, config.Height)
	if p.Rect == screen {
		return p, nil
	}
	out := image.NewPaletted(screen, p.Palette)
	for i := range out.Pix {
		out.Pix[i] = uint8(fill)
	}
	r := p.Rect.Intersect(screen)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(out.Pix[out.PixOffset(r.Min.X, y):][:r.Dx()], p.Pix[p.PixOffset(r.Min.X, y):])
	}
	return out, nil
}

// gifTransparent is the index and the colour that stand for transparency in the
// first picture of a GIF, if one does.
//
// screen: "GIF89a" | width u16 | height u16 | flags u8 | background u8 | aspect u8 | palette
// extension: 21 | label u8 | blocks: n u8, n bytes … 0
// of label F9: 4 | flags u8 | delay u16 | transparent u8 | 0
// picture: 2C | x, y, width, height u16 | flags u8 | palette
func gifTransparent(data []byte) (index int, c color.NRGBA, ok bool) {
	palette := func(at int, flags uint8) (p []byte, end int) {
		if end = at + 3<<(flags&7+1); flags&0x80 == 0 || end > len(data) {
			return nil, at
		}
		return data[at:end], end
	}
	if len(data) < 13 {
		return 0, c, false
	}
	colors, i := palette(13, data[10])
	for ; i < len(data) && data[i] == 0x21; i++ {
		if i+7 < len(data) && data[i+1] == 0xf9 && data[i+2] == 4 {
			index, ok = int(data[i+6]), data[i+3]&1 != 0
		}
		for i += 2; i < len(data) && data[i] != 0; i += 1 + int(data[i]) {
		}
	}
	if i+10 > len(data) || data[i] != 0x2c {
		return 0, c, false
	}
	if own, _ := palette(i+10, data[min(i+9, len(data)-1)]); own != nil {
		colors = own
	}
	if !ok || 3*index+3 > len(colors) {
		return 0, c, false
	}
	return index, color.NRGBA{colors[3*index], colors[3*index+1], colors[3*index+2], 0}, true
}
