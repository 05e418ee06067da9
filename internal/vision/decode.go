package vision

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"

	"github.com/hearsight/hearsight/internal/kernel"
)

// MaxPixels is the largest picture that Decode takes.
const MaxPixels = 64 << 20

// maxBytes bounds what decoding may allocate: the decoder's own picture,
// coefficients of a progressive JPEG, and the RGB.
const maxBytes = 224 << 20

// Info describes a picture file.
type Info struct {
	Format   string // jpeg or png
	Width    int
	Height   int
	Model    string   // how colours are stored: YCbCr, Gray, CMYK, RGB, RGBA, palette, with " 16-bit" where so
	Warnings []string // what was odd about the file
}

// Probe reads the header of a JPEG or PNG file and decodes nothing.
func Probe(data []byte) (Info, error) {
	var info Info
	var decode func() (image.Config, error)
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		info.Format, decode = "jpeg", func() (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(data)) }
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		info.Format, decode = "png", func() (image.Config, error) { return png.DecodeConfig(bytes.NewReader(data)) }
	case len(data) == 0:
		return info, errors.New("picture is empty")
	default:
		return info, errors.New("neither JPEG nor PNG")
	}
	c, err := safely(decode)
	if err != nil {
		return info, fmt.Errorf("%s: %w", info.Format, err)
	}
	info.Width, info.Height, info.Model = c.Width, c.Height, modelName(c.ColorModel)
	if c.Width < 1 || c.Height < 1 {
		return info, fmt.Errorf("%s: picture of %d x %d pixels", info.Format, c.Width, c.Height)
	}
	return info, nil
}

// Decode decodes a JPEG or PNG file to RGB. Grey becomes three equal channels;
// of 16 bits the upper 8 are kept; CMYK (Adobe's inversion undone) is converted
// without a colour profile; transparency is dropped, the colour below it kept,
// as Pillow's convert("RGB"); EXIF rotation is not applied, as in Pillow. A
// truncated file is an error; what else is odd is in Info.Warnings. Errors do
// not name the file: the caller knows it.
func Decode(data []byte) (*RGB, Info, error) {
	info, err := Probe(data)
	if err != nil {
		return nil, info, err
	}
	if err := checkSize(data, info); err != nil {
		return nil, info, fmt.Errorf("%s: %w", info.Format, err)
	}
	decode, end := png.Decode, pngEnd
	if info.Format == "jpeg" {
		decode, end = jpeg.Decode, jpegEnd
	}
	m, err := safely(func() (image.Image, error) { return decode(bytes.NewReader(data)) })
	if err != nil {
		return nil, info, fmt.Errorf("%s: %w", info.Format, err)
	}
	if b := m.Bounds(); b.Dx() != info.Width || b.Dy() != info.Height {
		return nil, info, fmt.Errorf("%s: %d x %d pixels, but its header says %d x %d", info.Format, b.Dx(), b.Dy(), info.Width, info.Height)
	}
	if n := end(data); n < len(data) {
		info.Warnings = append(info.Warnings, fmt.Sprintf("%d bytes after the end of the picture are ignored", len(data)-n))
	}
	return toRGB(m), info, nil
}

// safely calls f, turning a panic of the decoder into an error.
func safely[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged: %v", p)
		}
	}()
	return f()
}

func checkSize(data []byte, info Info) error {
	pixels := int64(info.Width) * int64(info.Height)
	if pixels > MaxPixels {
		return fmt.Errorf("picture of %d x %d pixels is over the limit of %d megapixels", info.Width, info.Height, MaxPixels>>20)
	}
	perPixel := map[string]int64{"Gray": 1, "palette": 1, "Gray 16-bit": 2, "RGB": 4, "RGBA": 4, "RGB 16-bit": 8, "RGBA 16-bit": 8}[info.Model]
	var padding int64
	if info.Format == "jpeg" {
		perPixel, padding = jpegBytes(data)
	}
	if need := pixels*(perPixel+3) + padding*int64(info.Width+info.Height+16); need > maxBytes {
		return fmt.Errorf("picture of %d x %d pixels (%s) would take %d MB to decode, limit %d MB", info.Width, info.Height, info.Model, need>>20, maxBytes>>20)
	}
	return nil
}

func modelName(m color.Model) string {
	switch m {
	case color.YCbCrModel:
		return "YCbCr"
	case color.GrayModel:
		return "Gray"
	case color.Gray16Model:
		return "Gray 16-bit"
	case color.CMYKModel:
		return "CMYK"
	case color.RGBAModel:
		return "RGB" // image/png and image/jpeg use it where there is no alpha
	case color.RGBA64Model:
		return "RGB 16-bit"
	case color.NRGBAModel:
		return "RGBA"
	case color.NRGBA64Model:
		return "RGBA 16-bit"
	}
	if _, ok := m.(color.Palette); ok {
		return "palette"
	}
	return "unknown"
}

// toRGB converts what image/jpeg and image/png return.
func toRGB(m image.Image) *RGB {
	b := m.Bounds()
	out := NewRGB(b.Dx(), b.Dy())
	switch m := m.(type) {
	case *image.YCbCr:
		fromYCbCr(m, out)
	case *image.Gray:
		planes(out, m.Pix, m.Stride, 1, 0, 0, 0)
	case *image.Gray16:
		planes(out, m.Pix, m.Stride, 2, 0, 0, 0)
	case *image.RGBA:
		planes(out, m.Pix, m.Stride, 4, 0, 1, 2)
	case *image.NRGBA:
		planes(out, m.Pix, m.Stride, 4, 0, 1, 2)
	case *image.RGBA64:
		planes(out, m.Pix, m.Stride, 8, 0, 2, 4)
	case *image.NRGBA64:
		planes(out, m.Pix, m.Stride, 8, 0, 2, 4)
	case *image.Paletted:
		fromPalette(m, out)
	default: // CMYK
		i := 0
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				r, g, bl, _ := m.At(x, y).RGBA()
				out.Pix[i], out.Pix[i+1], out.Pix[i+2] = uint8(r>>8), uint8(g>>8), uint8(bl>>8)
				i += 3
			}
		}
	}
	return out
}

// planes picks bytes r, g and b of pixels of size bytes.
func planes(out *RGB, pix []uint8, stride, size, r, g, b int) {
	for y := range out.H {
		src, dst := pix[y*stride:], out.Pix[y*out.W*3:]
		for x := range out.W {
			p := src[x*size:]
			dst[3*x], dst[3*x+1], dst[3*x+2] = p[r], p[g], p[b]
		}
	}
}

func fromYCbCr(m *image.YCbCr, out *RGB) {
	ratio := m.SubsampleRatio
	doubled := ratio == image.YCbCrSubsampleRatio420 || ratio == image.YCbCrSubsampleRatio422
	if !doubled && ratio != image.YCbCrSubsampleRatio444 && ratio != image.YCbCrSubsampleRatio440 || m.Rect.Min != (image.Point{}) {
		fromAnyYCbCr(m, out)
		return
	}
	for y := range out.H {
		c := m.COffset(0, y)
		kernel.YCbCrToRGB(out.Pix[y*out.W*3:], m.Y[m.YOffset(0, y):][:out.W], m.Cb[c:], m.Cr[c:], doubled)
	}
}

// fromAnyYCbCr is for chroma that three or four pixels of a row share.
func fromAnyYCbCr(m *image.YCbCr, out *RGB) {
	i := 0
	for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
		for x := m.Rect.Min.X; x < m.Rect.Max.X; x++ {
			c := m.COffset(x, y)
			out.Pix[i], out.Pix[i+1], out.Pix[i+2] = color.YCbCrToRGB(m.Y[m.YOffset(x, y)], m.Cb[c], m.Cr[c])
			i += 3
		}
	}
}

func fromPalette(m *image.Paletted, out *RGB) {
	var table [256][3]uint8
	for i, c := range m.Palette {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		if straight, ok := c.(color.NRGBA); ok {
			n = straight // Convert would lose the colour of what is wholly transparent
		}
		table[i] = [3]uint8{n.R, n.G, n.B}
	}
	for y := range out.H {
		for x, p := range m.Pix[y*m.Stride:][:out.W] {
			copy(out.Pix[(y*out.W+x)*3:][:3], table[p][:])
		}
	}
}
