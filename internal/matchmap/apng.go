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

// An animation is an animated PNG (PNG, third edition, 2025) that is being
// written: a picture, and layers that are shown over it one at a time, each until
// its end.
//
//	signature IHDR acTL  fcTL IDAT…       the picture, as every viewer of PNG shows it
//	                     fcTL fdAT…  …    a layer: blended over it, taken off again
//	IEND
//
// A layer is large where it is not transparent, and a photo is written once. None
// is kept: how many there will be has to be said before the first.
type animation struct {
	w        io.Writer
	encoder  png.Encoder
	encoded  bytes.Buffer // the picture in hand
	size     image.Point
	layers   int // still to come
	sequence uint32
	shown    int // ms
}

const (
	signature      = "\x89PNG\r\n\x1a\n"
	disposeNone    = 0
	disposeRestore = 2 // to what was there before
	blendSource    = 0
	blendOver      = 1
	truecolorAlpha = 6
)

// newAnimation begins an animation, which plays again and again, with a picture of
// which every pixel is opaque, shown alone for so many seconds.
func newAnimation(w io.Writer, base image.Image, first float64, layers int) (*animation, error) {
	a := &animation{w: w, encoder: png.Encoder{BufferPool: &onePool{}}, size: base.Bounds().Size(), layers: layers}
	return a, a.frame(base, first, disposeNone, blendSource)
}

// add writes a layer of the picture's size that is shown until end, in seconds
// from the beginning. It may be drawn anew after that.
func (a *animation) add(layer image.Image, end float64) error {
	if a.layers--; a.layers < 0 {
		return errors.New("animation: more layers than were announced")
	}
	return a.frame(layer, end, disposeRestore, blendOver)
}

// close writes the end.
func (a *animation) close() error {
	if a.layers > 0 {
		return fmt.Errorf("animation: %d layers that were announced are not there", a.layers)
	}
	return a.chunk("IEND")
}

func (a *animation) frame(m image.Image, end float64, dispose, blend byte) error {
	header, data, err := a.chunks(m)
	if err != nil {
		return err
	}
	if m.Bounds().Size() != a.size || header[9] != truecolorAlpha {
		return fmt.Errorf("animation: a layer of %v, colour type %d, want %v and %d", m.Bounds().Size(), header[9], a.size, truecolorAlpha)
	}
	if a.sequence == 0 {
		_, err = io.WriteString(a.w, signature)
		err = errors.Join(err, a.chunk("IHDR", header), a.chunk("acTL", be32(uint32(a.layers+1), 0)))
	}
	until := int(math.Round(1000 * end)) // so that errors do not add up
	control := be32(a.sequence, uint32(a.size.X), uint32(a.size.Y), 0, 0)
	control = binary.BigEndian.AppendUint16(control, uint16(min(max(until-a.shown, 0), math.MaxUint16)))
	control = binary.BigEndian.AppendUint16(control, 1000)
	err = errors.Join(err, a.chunk("fcTL", append(control, dispose, blend)))
	a.shown = until
	a.sequence++
	still := a.sequence == 1
	for _, d := range data {
		switch {
		case err != nil:
			return err
		case still:
			err = a.chunk("IDAT", d)
		default:
			err = a.chunk("fdAT", be32(a.sequence), d)
			a.sequence++
		}
	}
	return err
}

// chunks are the header and the data of a picture as image/png writes it, until
// the next call.
func (a *animation) chunks(m image.Image) (header []byte, data [][]byte, err error) {
	a.encoded.Reset()
	if err := a.encoder.Encode(&a.encoded, withAlpha{m}); err != nil {
		return nil, nil, fmt.Errorf("write png: %w", err)
	}
	for rest := a.encoded.Bytes()[len(signature):]; len(rest) >= 12; {
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

// chunk writes a chunk: length, type, body, CRC-32 of type and body.
func (a *animation) chunk(kind string, body ...[]byte) error {
	n, sum := 0, crc32.NewIEEE()
	for _, part := range append([][]byte{[]byte(kind)}, body...) {
		n += len(part)
		sum.Write(part)
	}
	for _, part := range append(append([][]byte{be32(uint32(n - len(kind))), []byte(kind)}, body...), be32(sum.Sum32())) {
		if _, err := a.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// withAlpha says of a picture that it may be transparent, so that image/png gives
// all of an animation one colour type.
type withAlpha struct{ image.Image }

// Opaque implements what image/png asks.
func (withAlpha) Opaque() bool { return false }

// onePool keeps the encoder's memory from one picture to the next.
type onePool struct{ b *png.EncoderBuffer }

// Get implements png.EncoderBufferPool.
func (p *onePool) Get() *png.EncoderBuffer { return p.b }

// Put implements png.EncoderBufferPool.
func (p *onePool) Put(b *png.EncoderBuffer) { p.b = b }

func be32(values ...uint32) []byte {
	var out []byte
	for _, v := range values {
		out = binary.BigEndian.AppendUint32(out, v)
	}
	return out
}
