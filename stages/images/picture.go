package images

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/vision"
)

// maxSide bounds the sides of a photo, and of what it is resized to on the way:
// a line of 64 million pixels passes every limit on area, but not when it is
// made 224 wide.
const maxSide = 1 << 15

// picture decodes a photo and returns it as height x width x 3 bytes, and what
// was odd about it.
func picture(photo []byte, p Params) (pixels []uint8, warnings []string, err error) {
	info, err := vision.Probe(photo)
	if err != nil {
		return nil, nil, err
	}
	long, short := max(info.Width, info.Height), min(info.Width, info.Height)
	if long > maxSide || p.Resize == crop && int64(p.shorter())*int64(long) > maxSide*int64(short) {
		return nil, nil, fmt.Errorf("photo of %d x %d pixels: a side is too long to resize", info.Width, info.Height)
	}
	f, err := vision.ParseFilter(p.Filter)
	if err != nil {
		return nil, nil, err
	}
	m, info, err := vision.Decode(photo)
	if err != nil {
		return nil, nil, err
	}
	if p.Orientation == "exif" {
		m = vision.Orient(m, vision.Orientation(photo))
	}
	switch p.Resize {
	case crop:
		m = vision.CenterCrop(vision.ResizeShorter(m, p.shorter(), f), p.Width, p.Height)
	case fit:
		gray := uint8(p.Pad)
		m = vision.Fit(m, p.Width, p.Height, f, [3]uint8{gray, gray, gray})
	default:
		m = vision.Resize(m, p.Width, p.Height, f)
	}
	if p.Order == "bgr" {
		return vision.SwapRB(m.Pix), info.Warnings, nil
	}
	return m.Pix, info.Warnings, nil
}

// shorter is the length of a photo's shorter side before it is cropped.
func (p Params) shorter() int { return max(p.Shorter, p.Width, p.Height) }
