package vision

import (
	"image"
	"image/color"

	"github.com/hearsight/hearsight/internal/kernel"
)

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
		return "RGB" // what most decoders use where there is no alpha
	case color.RGBA64Model:
		return "RGB 16-bit"
	case color.NRGBAModel:
		return "RGBA"
	case color.NRGBA64Model:
		return "RGBA 16-bit"
	case color.NYCbCrAModel:
		return "YCbCrA"
	}
	if _, ok := m.(color.Palette); ok {
		return "palette"
	}
	return "unknown"
}

// toRGB converts what the decoders return.
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
		if !m.Opaque() { // a TIFF's colours, multiplied by its alpha
			anyRGB(m, out)
			break
		}
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
		anyRGB(m, out)
	}
	return out
}

// anyRGB converts pixel by pixel, dividing by an alpha that colours were
// multiplied by.
func anyRGB(m image.Image, out *RGB) {
	i, b := 0, m.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			out.Pix[i], out.Pix[i+1], out.Pix[i+2] = c.R, c.G, c.B
			i += 3
		}
	}
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

// fromWebP converts what package webp returns: its YCbCr has 16 to 235 for
// black to white (ITU-R BT.601), which image.YCbCr does not know, and is
// converted in libwebp's whole numbers (src/dsp/yuv.h).
func fromWebP(m image.Image) *RGB {
	var yuv *image.YCbCr
	switch m := m.(type) {
	case *image.YCbCr:
		yuv = m
	case *image.NYCbCrA:
		yuv = &m.YCbCr
	default: // lossless
		return toRGB(m)
	}
	high := func(v, factor int32) int32 { return v * factor >> 8 }
	clip := func(v int32) uint8 { return uint8(min(max(v>>6, 0), 255)) }
	out := NewRGB(yuv.Rect.Dx(), yuv.Rect.Dy())
	i := 0
	for y := yuv.Rect.Min.Y; y < yuv.Rect.Max.Y; y++ {
		for x := yuv.Rect.Min.X; x < yuv.Rect.Max.X; x++ {
			c := yuv.COffset(x, y)
			luma, u, v := high(int32(yuv.Y[yuv.YOffset(x, y)]), 19077), int32(yuv.Cb[c]), int32(yuv.Cr[c])
			out.Pix[i] = clip(luma + high(v, 26149) - 14234)
			out.Pix[i+1] = clip(luma - high(u, 6419) - high(v, 13320) + 8708)
			out.Pix[i+2] = clip(luma + high(u, 33050) - 17685)
			i += 3
		}
	}
	return out
}
