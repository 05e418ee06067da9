package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// aiffFile is what parseAIFF finds.
type aiffFile struct {
	format  sampleFormat
	frames  int64 // as COMM has it
	haveFmt bool
	data    []byte
}

func decodeAIFF(data []byte) (*PCM, Info, error) {
	f, info, err := parseAIFF(data)
	if err != nil {
		return nil, info, err
	}
	pcm := &PCM{SampleRateHz: info.SampleRateHz, Channels: info.Channels, Samples: f.format.decode(f.data, f.format.bytes())}
	warnLevels(pcm, &info)
	return pcm, info, nil
}

// parseAIFF walks the chunks of an AIFF or AIFC file, big-endian:
//
//	"FORM" size "AIFF"|"AIFC" { id size body [pad to even] }...
//	COMM: channels:2 frames:4 bits:2 rate:10 (80-bit float) [compression:4 name]
//	SSND: offset:4 block:4 samples
//
// macOS say writes AIFC with compression sowt, which is little-endian PCM.
func parseAIFF(data []byte) (*aiffFile, Info, error) {
	info := Info{Format: formatAIFF}
	f := &aiffFile{}
	missing := int64(-1) // bytes by which SSND goes beyond the end of the file
	for at := 12; len(data)-at >= 8; {
		id, size := string(data[at:at+4]), int64(binary.BigEndian.Uint32(data[at+4:]))
		body := data[at+8:]
		over := size - int64(len(body))
		if over > 0 {
			if id != "SSND" {
				return nil, info, fmt.Errorf("aiff: chunk %q of %d bytes goes beyond the end of the file", id, size)
			}
			size = int64(len(body))
		}
		switch {
		case id == "COMM" && !f.haveFmt:
			if err := f.takeCOMM(body[:size], string(data[8:12]) == "AIFC", &info); err != nil {
				return nil, info, err
			}
			f.haveFmt = true
		case id == "SSND" && f.data == nil:
			if size < 8 || int64(binary.BigEndian.Uint32(body)) > size-8 {
				return nil, info, errors.New("aiff: bad SSND chunk")
			}
			f.data = body[8+binary.BigEndian.Uint32(body) : size]
			missing = over
		}
		at += 8 + int(size+size&1)
	}
	switch {
	case !f.haveFmt:
		return nil, info, errors.New("aiff: no COMM chunk")
	case f.data == nil:
		return nil, info, errors.New("aiff: no SSND chunk")
	}
	return f, info, f.settle(missing, &info)
}

// settle fits the sample data to what COMM promises.
func (f *aiffFile) settle(missing int64, info *Info) error {
	block := int64(f.format.bytes() * info.Channels)
	have := int64(len(f.data)) / block
	switch perSecond := float64(info.SampleRateHz); {
	case f.frames == 0 && have > 0:
		info.lose(0, "COMM has no frame count: left unset by its writer; read to the end of the file")
	case have < f.frames:
		info.lose(float64(f.frames-have)/perSecond, "%d of %d frames are there: truncated", have, f.frames)
	case have > f.frames:
		info.lose(0, "%d frames beyond those that COMM counts are ignored", have-f.frames)
		have = f.frames
	case missing > 0:
		info.lose(0, "SSND goes %d bytes beyond the end of the file", missing)
	}
	f.data = f.data[:have*block]
	info.setFrames(have)
	switch {
	case have == 0:
		return errors.New("aiff: no samples")
	case have > MaxSeconds*int64(info.SampleRateHz):
		return tooLong(have, info.SampleRateHz)
	}
	return nil
}

func (f *aiffFile) takeCOMM(b []byte, aifc bool, info *Info) error {
	if len(b) < 18 || aifc && len(b) < 22 {
		return fmt.Errorf("aiff: COMM chunk of %d bytes", len(b))
	}
	be := binary.BigEndian
	info.Channels, f.frames = int(be.Uint16(b)), int64(be.Uint32(b[2:]))
	bits := int(be.Uint16(b[6:]))
	rate := float80(b[8:18])
	if info.Channels < 1 || info.Channels > maxChannels {
		return fmt.Errorf("aiff: %d channels", info.Channels)
	}
	if !(rate >= 1 && rate <= maxRateHz) {
		return fmt.Errorf("aiff: sample rate of %g Hz", rate)
	}
	info.SampleRateHz = int(math.Round(rate))
	compression := "NONE"
	if aifc {
		compression = string(b[18:22])
	}
	var err error
	if f.format, err = aiffSampleFormat(compression, bits); err != nil {
		return err
	}
	info.Codec = f.format.String()
	return nil
}

func aiffSampleFormat(compression string, bits int) (sampleFormat, error) {
	be := [...]sampleFormat{fmtS8, fmtS16BE, fmtS24BE, fmtS32BE}
	le := [...]sampleFormat{fmtS8, fmtS16LE, fmtS24LE, fmtS32LE}
	fixed := map[string]sampleFormat{
		"fl32": fmtF32BE, "FL32": fmtF32BE, "fl64": fmtF64BE, "FL64": fmtF64BE, "raw ": fmtU8,
		"alaw": fmtALaw, "ALAW": fmtALaw, "ulaw": fmtMuLaw, "ULAW": fmtMuLaw, "in24": fmtS24BE, "in32": fmtS32BE,
	}
	if format, ok := fixed[compression]; ok {
		return format, nil
	}
	if compression != "NONE" && compression != "twos" && compression != "sowt" {
		return 0, fmt.Errorf("AIFC with compression %q: %w", compression, ErrUnsupported)
	}
	if bits < 1 || bits > 32 {
		return 0, fmt.Errorf("aiff: %d bits per sample", bits)
	}
	// Samples of other widths than whole bytes are left-justified in them.
	if compression == "sowt" {
		return le[(bits-1)/8], nil
	}
	return be[(bits-1)/8], nil
}

// float80 reads a big-endian 80-bit extended float: sign and exponent (bias
// 16383), then 64 bits of mantissa with the integer bit written out.
func float80(b []byte) float64 {
	exp := int(binary.BigEndian.Uint16(b))
	v := math.Ldexp(float64(binary.BigEndian.Uint64(b[2:])), exp&0x7fff-16383-63)
	if exp&0x8000 != 0 {
		return -v
	}
	return v
}
