package vision

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"strings"
)

// MaxPixels is the largest picture that Decode takes.
const MaxPixels = 64 << 20

// maxBytes bounds what decoding may allocate: the decoder's own picture,
// coefficients of a progressive JPEG, and the RGB.
const maxBytes = 224 << 20

// Info describes a picture file.
type Info struct {
	Format   string // one of Formats
	Width    int    // as stored: an EXIF orientation may turn it
	Height   int
	Model    string   // how colours are stored: YCbCr, Gray, CMYK, RGB, RGBA, palette, with " 16-bit" where so
	Warnings []string // what was odd about the file
}

// Formats lists the formats of pictures, as Info names them.
func Formats() []string {
	var names []string
	for _, c := range codecs {
		names = append(names, c.name)
	}
	return names
}

// Sniff returns the format of a file by its first bytes, 12 at most; empty if
// it is none of Formats.
func Sniff(data []byte) string {
	if c := codecOf(data); c != nil {
		return c.name
	}
	return ""
}

// Probe reads the header of a picture file and decodes nothing.
func Probe(data []byte) (Info, error) {
	info, _, err := probe(data)
	return info, err
}

func probe(data []byte) (Info, *codec, error) {
	c := codecOf(data)
	switch {
	case len(data) == 0:
		return Info{}, nil, errors.New("picture is empty")
	case c == nil:
		return Info{}, nil, fmt.Errorf("none of %s", strings.Join(Formats(), ", "))
	}
	info := Info{Format: c.name}
	config, err := safely(func() (image.Config, error) { return c.config(bytes.NewReader(data)) })
	if err != nil {
		return info, c, fmt.Errorf("%s: %w", c.name, err)
	}
	info.Width, info.Height, info.Model = config.Width, config.Height, modelName(config.ColorModel)
	if config.Width < 1 || config.Height < 1 {
		return info, c, fmt.Errorf("%s: picture of %d x %d pixels", c.name, config.Width, config.Height)
	}
	return info, c, nil
}

// Decode decodes a picture file to RGB; of an animation, its first picture. Grey
// becomes three equal channels; of 16 bits the upper 8 are kept; CMYK (Adobe's
// inversion undone) is converted without a colour profile; transparency is
// dropped, the colour below it kept, as Pillow's convert("RGB"); an EXIF
// orientation is not applied, as in Pillow: see [Orientation]. A truncated file
// is an error; what else is odd is in Info.Warnings. Errors do not name the
// file: the caller knows it.
func Decode(data []byte) (*RGB, Info, error) {
	info, c, err := probe(data)
	if err != nil {
		return nil, info, err
	}
	if err := checkSize(data, info, c); err != nil {
		return nil, info, fmt.Errorf("%s: %w", info.Format, err)
	}
	m, err := safely(func() (image.Image, error) { return c.decode(data) })
	if err != nil {
		return nil, info, fmt.Errorf("%s: %w", info.Format, err)
	}
	if b := m.Bounds(); b.Dx() != info.Width || b.Dy() != info.Height {
		return nil, info, fmt.Errorf("%s: %d x %d pixels, but its header says %d x %d", info.Format, b.Dx(), b.Dy(), info.Width, info.Height)
	}
	if c.end != nil {
		if n := c.end(data); n < len(data) {
			info.Warnings = append(info.Warnings, fmt.Sprintf("%d bytes after the end of the picture are ignored", len(data)-n))
		}
	}
	if info.Format == "webp" {
		return fromWebP(m), info, nil
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

func checkSize(data []byte, info Info, c *codec) error {
	pixels := int64(info.Width) * int64(info.Height)
	if pixels > MaxPixels {
		return fmt.Errorf("picture of %d x %d pixels is over the limit of %d megapixels", info.Width, info.Height, MaxPixels>>20)
	}
	need, err := c.bytes(data, info)
	if err != nil {
		return err
	}
	if need += 3 * pixels; need > maxBytes {
		return fmt.Errorf("picture of %d x %d pixels (%s) would take %d MB to decode, limit %d MB", info.Width, info.Height, info.Model, need>>20, maxBytes>>20)
	}
	return nil
}
