package vision

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// An Augmentation says how pictures are varied while a network learns from them.
type Augmentation struct {
	Flip float64 // how often it is the mirror image: 0 to 1
	Crop float64 // smallest share of the area that is cut out and made as large as the picture: over 0 to 1, which is no cut
	// How far brightness, contrast and saturation go from what they are: each is
	// multiplied by a factor from 1-x to 1+x, x being 0 to 1.
	Brightness, Contrast, Saturation float64
}

// NoAugmentation leaves pictures as they are.
var NoAugmentation = Augmentation{Crop: 1}

// Check says what is out of range.
func (a Augmentation) Check() error {
	if !(a.Crop > 0 && a.Crop <= 1) {
		return fmt.Errorf("augmentation: crop %v: want over 0 to 1", a.Crop)
	}
	for _, c := range []struct {
		name string
		v    float64
	}{{"flip", a.Flip}, {"brightness", a.Brightness}, {"contrast", a.Contrast}, {"saturation", a.Saturation}} {
		if !(c.v >= 0 && c.v <= 1) {
			return fmt.Errorf("augmentation: %s %v: want 0 to 1", c.name, c.v)
		}
	}
	return nil
}

// Draw returns m as item looks in an epoch: a picture of the same size, m itself
// unchanged. What is drawn follows from seed, epoch and item alone, and the draw
// of each kind of change from nothing else, so that changing one leaves the
// others as they were.
func (a Augmentation) Draw(m *RGB, seed uint64, epoch int64, item string) *RGB {
	r := drawOf(seed, epoch, item)
	mirror := a.flips(r)
	factor := func(x float64) float64 { return 1 + float64(x*(2*r.Float64()-1)) }
	brightness, contrast, saturation := factor(a.Brightness), factor(a.Contrast), factor(a.Saturation)
	out := &RGB{m.W, m.H, append([]uint8(nil), m.Pix...)}
	if a.Crop < 1 {
		out = Resize(cut(m, a.Crop, r), m.W, m.H, Bilinear)
	}
	if mirror {
		out = Orient(out, MirrorImage)
	}
	if a.Brightness > 0 {
		out.mix(func(v int) float64 { return float64(brightness * float64(v)) })
	}
	if a.Contrast > 0 {
		middle := out.meanGray()
		out.mix(func(v int) float64 { return middle + float64(contrast*(float64(v)-middle)) })
	}
	if a.Saturation > 0 {
		out.saturate(saturation)
	}
	return out
}

// Mirrors reports whether item is the mirror image in an epoch, as [Augmentation.Draw]
// would make it: for what has been mirrored before.
func (a Augmentation) Mirrors(seed uint64, epoch int64, item string) bool {
	return a.flips(drawOf(seed, epoch, item))
}

// flips is the first that is drawn.
func (a Augmentation) flips(r *rand.Rand) bool { return r.Float64() < a.Flip }

// drawOf is what is drawn from for item in an epoch.
func drawOf(seed uint64, epoch int64, item string) *rand.Rand {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, seed), uint64(epoch)))
	h.Write([]byte(item))
	sum := h.Sum(nil)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum), binary.LittleEndian.Uint64(sum[8:])))
}

// cut is a part of m: from share of its area to all of it, 3:4 to 4:3 of its
// shape, anywhere; all of m where ten draws do not fit (as torchvision's
// RandomResizedCrop, whose shapes are of the cut, not of the change).
func cut(m *RGB, share float64, r *rand.Rand) *RGB {
	for range 10 {
		area := share + float64((1-share)*r.Float64())
		narrow := math.Exp(float64(math.Log(4./3) * (2*r.Float64() - 1)))
		x, y := r.Float64(), r.Float64()
		w, h := int(math.Round(float64(m.W)*math.Sqrt(area*narrow))), int(math.Round(float64(m.H)*math.Sqrt(area/narrow)))
		if w < 1 || h < 1 || w > m.W || h > m.H {
			continue
		}
		x0, y0 := int(x*float64(m.W-w+1)), int(y*float64(m.H-h+1))
		out := NewRGB(w, h)
		for row := range h {
			copy(out.Pix[row*w*3:][:w*3], m.Pix[((y0+row)*m.W+x0)*3:])
		}
		return out
	}
	return m
}

func toByte(v float64) uint8 { return uint8(math.Round(min(max(v, 0), 255))) }

// mix puts each value through f.
func (m *RGB) mix(f func(v int) float64) {
	var table [256]uint8
	for v := range table {
		table[v] = toByte(f(v))
	}
	for i, v := range m.Pix {
		m.Pix[i] = table[v]
	}
}

// gray is the brightness of a pixel (ITU-R BT.601, in Pillow's whole numbers).
func gray(px []uint8) uint8 {
	return uint8((19595*uint32(px[0]) + 38470*uint32(px[1]) + 7471*uint32(px[2]) + 1<<15) >> 16)
}

func (m *RGB) meanGray() float64 {
	sum := 0
	for i := 0; i < len(m.Pix); i += 3 {
		sum += int(gray(m.Pix[i:]))
	}
	return math.Round(float64(sum) / float64(m.W*m.H))
}

// saturate moves colours away from the gray of their pixel, or towards it.
func (m *RGB) saturate(factor float64) {
	for i := 0; i < len(m.Pix); i += 3 {
		px := m.Pix[i : i+3]
		g := float64(gray(px))
		for c, v := range px {
			px[c] = toByte(g + float64(factor*(float64(v)-g)))
		}
	}
}
