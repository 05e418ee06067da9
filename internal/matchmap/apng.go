package matchmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"math"
)

// An animation is an animated PNG (PNG, third edition, 2025): a picture, and
// layers that are shown over it one at a time, each until its end.
//
//	signature IHDR acTL  fcTL IDAT…       the picture, as every viewer of PNG shows it
//	                     fcTL fdAT…  …    a layer: blended over it, taken off again
//	IEND
//
// A layer is large where it is not transparent, and a photo is written once.
type animation struct {
	base   image.Image // every pixel opaque
	first  float64     // seconds until the first layer
	layers []image.Image
	ends   []float64 // of each layer, in seconds
}

const (
	signature      = "\x89PNG\r\n\x1a\n"
	disposeNone    = 0
	disposeRestore = 2 // to what was there before
	blendSource    = 0
	blendOver      = 1
	truecolorAlpha = 6
)

// write writes the animation, which plays again and again. All pictures must have
// the base's size.
func (a *animation) write(w io.Writer) error {
	var out bytes.Buffer
	out.WriteString(signature)
	size := a.base.Bounds().Size()
	sequence, shown := uint32(0), 0 // ms
	frame := func(m image.Image, end float64, dispose, blend byte) error {
		header, data, err := chunks(withAlpha{m})
		if err != nil {
			return err
		}
		if m.Bounds().Size() != size || header[9] != truecolorAlpha {
			return fmt.Errorf("animation: a layer of %v, colour type %d, want %v and %d", m.Bounds().Size(), header[9], size, truecolorAlpha)
		}
		if sequence == 0 {
			chunk(&out, "IHDR", header)
			chunk(&out, "acTL", be32(uint32(len(a.layers)+1), 0))
		}
		until := int(math.Round(1000 * end)) // so that errors do not add up
		control := be32(sequence, uint32(size.X), uint32(size.Y), 0, 0)
		control = binary.BigEndian.AppendUint16(control, uint16(min(max(until-shown, 0), math.MaxUint16)))
		control = binary.BigEndian.AppendUint16(control, 1000)
		chunk(&out, "fcTL", append(control, dispose, blend))
		shown = until
		sequence++
		for _, d := range data {
			if sequence == 1 {
				chunk(&out, "IDAT", d)
				continue
			}
			chunk(&out, "fdAT", append(be32(sequence), d...))
			sequence++
		}
		return nil
	}
	if len(a.layers) != len(a.ends) {
		return fmt.Errorf("animation: %d layers with %d ends", len(a.layers), len(a.ends))
	}
	if err := frame(a.base, a.first, disposeNone, blendSource); err != nil {
		return err
	}
	for i, m := range a.layers {
		if err := frame(m, a.ends[i], disposeRestore, blendOver); err != nil {
			return err
		}
	}
	chunk(&out, "IEND", nil)
	_, err := w.Write(out.Bytes())
	return err
}

// withAlpha says of a picture that it may be transparent, so that image/png gives
// all of an animation one colour type.
type withAlpha struct{ image.Image }

// Opaque implements what image/png asks.
func (withAlpha) Opaque() bool { return false }

// chunks are the header and the data of a picture as image/png writes it.
func chunks(m image.Image) (header []byte, data [][]byte, err error) {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		return nil, nil, fmt.Errorf("write png: %w", err)
	}
	for rest := b.Bytes()[len(signature):]; len(rest) >= 12; {
		n := int(binary.BigEndian.Uint32(rest))
		kind, body := string(rest[4:8]), rest[8:8+n]
		switch kind {
		case "IHDR":
			header = body
		case "IDAT":
			data = append(data, body)
		}
		rest = rest[12+n:]
	}
	if len(header) != 13 {
		return nil, nil, errors.New("write png: no header")
	}
	return header, data, nil
}

// chunk adds a chunk: length, type, body, CRC-32 of type and body.
func chunk(to *bytes.Buffer, kind string, body []byte) {
	to.Write(be32(uint32(len(body))))
	sum := crc32.NewIEEE()
	for _, part := range [][]byte{[]byte(kind), body} {
		to.Write(part)
		sum.Write(part)
	}
	to.Write(be32(sum.Sum32()))
}

func be32(values ...uint32) []byte {
	var out []byte
	for _, v := range values {
		out = binary.BigEndian.AppendUint32(out, v)
	}
	return out
}
