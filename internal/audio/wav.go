package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Format tags of the fmt chunk (mmreg.h).
const (
	wavPCM        = 1
	wavFloat      = 3
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xfffe
)

// wavGUIDTail is the constant part of the SubFormat GUIDs of
// WAVE_FORMAT_EXTENSIBLE; the first two bytes hold the format tag.
const wavGUIDTail = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"

// wavFile is what parseWAV finds: the layout of the samples and their bytes.
type wavFile struct {
	order      binary.ByteOrder
	large      int64 // the data's length where its chunk has no room for it; -1: none
	format     sampleFormat
	blockAlign int
	data       []byte // whole frames
}

func decodeWAV(data []byte) (*PCM, Info, error) {
	f, info, err := parseWAV(data)
	if err != nil {
		return nil, info, err
	}
	step := f.blockAlign / info.Channels
	pcm := &PCM{SampleRateHz: info.SampleRateHz, Channels: info.Channels, Samples: f.format.decode(f.data, step)}
	warnLevels(pcm, &info)
	return pcm, info, nil
}

// parseWAV walks the chunks:
//
//	"RIFF" size "WAVE" { id size body [pad to even] }...
//
// Only "fmt " and the first "data" matter. A chunk that claims to go beyond the
// file's end is an error unless it is the data, whose bytes are then taken as
// far as they go. RIFX is the same with the high bytes first. RF64 and BW64 have
// all ones for a length beyond 4 GiB, and the true one in a chunk before:
//
//	"ds64" size  file:8  data:8  samples:8  further chunks:4 { id length:8 }...
func parseWAV(data []byte) (wavFile, Info, error) {
	info := Info{Format: formatWAV}
	f := wavFile{order: binary.LittleEndian, large: -1}
	if string(data[:4]) == "RIFX" {
		f.order = binary.BigEndian
	}
	wide := string(data[:4]) == "RF64" || string(data[:4]) == "BW64"
	riff := f.order.Uint32(data[4:])
	if (riff == 0 || riff == math.MaxUint32) && !wide {
		info.warn("RIFF size is %#x: left unset by its writer", riff)
	}
	haveFmt := false
	for at := 12; len(data)-at >= 8; {
		id, size := string(data[at:at+4]), int64(f.order.Uint32(data[at+4:]))
		body := data[at+8:]
		switch {
		case wide && id == "ds64" && size >= 16 && len(body) >= 16:
			if f.large = int64(f.order.Uint64(body[8:])); f.large < 0 {
				return f, info, errors.New("wav: bad ds64 chunk")
			}
		case wide && id == "data" && size == math.MaxUint32 && f.large < 0:
			return f, info, fmt.Errorf("wav: %s without a ds64 chunk: nothing says how long it is", data[:4])
		case wide && id == "data" && size == math.MaxUint32 && haveFmt:
			return f, info, f.takeLarge(body, &info)
		case id == "data":
			if !haveFmt {
				return f, info, errors.New("wav: data before any fmt chunk")
			}
			return f, info, f.takeData(body, size, &info)
		case size > int64(len(body)):
			return f, info, fmt.Errorf("wav: chunk %q of %d bytes goes beyond the end of the file", id, size)
		case id == "fmt " && !haveFmt:
			if err := f.takeFmt(body[:size], &info); err != nil {
				return f, info, err
			}
			haveFmt = true
		}
		at += 8 + int(size+size&1)
	}
	if !haveFmt {
		return f, info, errors.New("wav: no fmt chunk")
	}
	return f, info, errors.New("wav: no data chunk")
}

// takeFmt reads the fmt chunk:
//
//	0 tag  2 channels  4 rate  8 bytes/s  12 block align  14 bits
//	16 extra size  18 valid bits  20 channel mask  24 GUID (extensible only)
func (f *wavFile) takeFmt(b []byte, info *Info) error {
	if len(b) < 16 {
		return fmt.Errorf("wav: fmt chunk of %d bytes", len(b))
	}
	le := f.order
	tag, bits := int(le.Uint16(b)), int(le.Uint16(b[14:]))
	info.Channels, info.SampleRateHz = int(le.Uint16(b[2:])), int(le.Uint32(b[4:]))
	byteRate, align := int64(le.Uint32(b[8:])), int(le.Uint16(b[12:]))
	if tag == wavExtensible {
		if len(b) < 40 || string(b[26:40]) != wavGUIDTail {
			return fmt.Errorf("extensible WAV of an unknown kind: %w", ErrUnsupported)
		}
		tag = int(le.Uint16(b[24:]))
	}
	if info.Channels < 1 || info.Channels > maxChannels {
		return fmt.Errorf("wav: %d channels", info.Channels)
	}
	if info.SampleRateHz < 1 || info.SampleRateHz > maxRateHz {
		return fmt.Errorf("wav: sample rate of %d Hz", info.SampleRateHz)
	}
	var err error
	if f.format, err = wavSampleFormat(tag, bits); err != nil {
		return err
	}
	if f.order == binary.BigEndian {
		f.format = f.format.bigEndian()
	}
	info.Codec = f.format.String()
	return f.takeAlign(align, byteRate, info)
}

func wavSampleFormat(tag, bits int) (sampleFormat, error) {
	byBits := map[int]map[int]sampleFormat{
		wavPCM:   {8: fmtU8, 16: fmtS16LE, 24: fmtS24LE, 32: fmtS32LE},
		wavFloat: {32: fmtF32LE, 64: fmtF64LE},
		wavALaw:  {8: fmtALaw},
		wavMuLaw: {8: fmtMuLaw},
	}
	known, ok := byBits[tag]
	if !ok {
		return 0, fmt.Errorf("WAV with format tag %#x: %w", tag, ErrUnsupported)
	}
	f, ok := known[bits]
	if !ok {
		return 0, fmt.Errorf("wav: %d bits per sample with format tag %d", bits, tag)
	}
	return f, nil
}

// takeAlign settles the bytes per frame. A container wider than the sample (24
// bits in 4 bytes) is lawful; nonsense is corrected and said.
func (f *wavFile) takeAlign(align int, byteRate int64, info *Info) error {
	want := f.format.bytes() * info.Channels
	f.blockAlign = want
	switch {
	case align == want:
	case (f.format == fmtS24LE || f.format == fmtS24BE) && align == 4*info.Channels:
		f.blockAlign = align
	default:
		// Damaged, for a header that is wrong here may be wrong elsewhere.
		info.lose(0, "block align is %d, taken as %d", align, want)
	}
	if byteRate != int64(f.blockAlign)*int64(info.SampleRateHz) {
		info.lose(0, "byte rate is %d, not %d", byteRate, f.blockAlign*info.SampleRateHz)
	}
	return nil
}

// takeLarge takes data whose length is that of the ds64 chunk, in which no value
// stands for another.
func (f *wavFile) takeLarge(body []byte, info *Info) error {
	if missing := f.large - int64(len(body)); missing > 0 {
		seconds := float64(missing) / float64(f.blockAlign*info.SampleRateHz)
		info.lose(seconds, "data ends %d bytes (%.2f s) early: truncated", missing, seconds)
		return f.takeWhole(body, info)
	}
	trailing(body[min(f.large+f.large&1, int64(len(body))):], f.order, info)
	return f.takeWhole(body[:f.large], info)
}

// takeData takes the data chunk's body, as much of it as the file has.
func (f *wavFile) takeData(body []byte, size int64, info *Info) error {
	perSecond := float64(f.blockAlign * info.SampleRateHz)
	rest := int64(len(body)) - size
	switch {
	case size == math.MaxUint32 || size == 0x7ffff000:
		// What streaming writers leave (ffmpeg to a pipe; espeak-ng --stdout):
		// the sound goes to the end of the file. No one can tell whether that is
		// its true end, but it is the usual one.
		info.warn("data size is %#x: left unset by its writer; read to the end of the file", size)
		size = int64(len(body))
	case size == math.MaxInt32:
		info.lose(0, "data size is %#x: unset or wrong; read to the end of the file", size)
		size = int64(len(body))
	case rest < 0:
		info.lose(float64(-rest)/perSecond, "data ends %d bytes (%.2f s) early: truncated", -rest, float64(-rest)/perSecond)
		size = int64(len(body))
	case size == 0 && rest > 0:
		info.lose(0, "data size is 0 with %d bytes after it: read to the end of the file", rest)
		size = rest
	default:
		trailing(body[size+min(rest, size&1):], f.order, info)
	}
	return f.takeWhole(body[:size], info)
}

// takeWhole takes the whole frames of body.
func (f *wavFile) takeWhole(body []byte, info *Info) error {
	size := int64(len(body))
	whole := size - size%int64(f.blockAlign)
	if whole != size {
		info.lose(0, "%d bytes after the last whole frame dropped", size-whole)
	}
	f.data = body[:whole]
	info.setFrames(whole / int64(f.blockAlign))
	if whole == 0 {
		return errors.New("wav: no samples")
	}
	if info.Frames > MaxSeconds*int64(info.SampleRateHz) {
		return tooLong(info.Frames, info.SampleRateHz)
	}
	return nil
}

// trailing looks at what follows the data: well-formed chunks are usual (LIST,
// id3), more sound or junk is not.
func trailing(b []byte, order binary.ByteOrder, info *Info) {
	for len(b) >= 8 {
		id, size := string(b[:4]), int64(order.Uint32(b[4:]))
		if id == "data" {
			info.lose(0, "a second data chunk of %d bytes is ignored", size)
			return
		}
		if size > int64(len(b)-8) || !printable(id) {
			break
		}
		b = b[min(int64(len(b)), 8+size+size&1):]
	}
	if len(b) > 0 {
		info.lose(0, "%d bytes after the data are not a chunk", len(b))
	}
}

func printable(id string) bool {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// warnLevels notes what a person would want to know of a recording before
// training on it.
func warnLevels(p *PCM, info *Info) {
	if p.Frames() == 0 {
		return
	}
	const block = 1024 // its sum is exact enough in float32
	// Floats that are not negative are in the order of their bits, and all that
	// are have the highest set. To compare them as floats takes branches, and which
	// way those go at a sample, no processor foresees.
	full := int32(math.Float32bits(32767. / 32768))
	var peak int32
	mean, clipped := 0., 0
	for from := 0; from < len(p.Samples); from += block {
		sum := float32(0)
		for _, v := range p.Samples[from:min(from+block, len(p.Samples))] {
			sum += v
			bits := int32(math.Float32bits(v) &^ (1 << 31))
			peak = max(peak, bits)
			if bits >= full {
				clipped++
			}
		}
		mean += float64(sum)
	}
	mean /= float64(len(p.Samples))
	switch {
	case p.Frames() == 1:
		info.warn("a single sample")
	case peak == 0:
		info.warn("digital silence")
	}
	if share := float64(clipped) / float64(len(p.Samples)); share > .01 {
		info.warn("%.1f %% of the samples are clipped", 100*share)
	}
	if math.Abs(mean) > .1 {
		info.warn("DC offset of %.2f", mean)
	}
}

const wavHeaderBytes = 44

// EncodeWAV writes interleaved 16-bit samples as a WAV file with the plain
// 44-byte header. Equal samples give equal bytes.
//
//	0  "RIFF"  4 file length - 8    8  "WAVE"
//	12 "fmt "  16 16                20 1 (PCM)    22 channels  24 sample rate
//	28 bytes per second             32 bytes per frame         34 16 (bits)
//	36 "data"  40 bytes of samples  44 samples, little-endian
func EncodeWAV(w io.Writer, sampleRateHz, channels int, samples []int16) error {
	file, err := WAV(sampleRateHz, channels, samples)
	if err != nil {
		return err
	}
	_, err = w.Write(file)
	return err
}

// WAV returns the file that EncodeWAV writes.
func WAV(sampleRateHz, channels int, samples []int16) ([]byte, error) {
	switch {
	case sampleRateHz < 1 || sampleRateHz > maxRateHz:
		return nil, fmt.Errorf("encode wav: sample rate of %d Hz", sampleRateHz)
	case channels < 1 || channels > maxChannels || len(samples)%channels != 0:
		return nil, fmt.Errorf("encode wav: %d samples in %d channels", len(samples), channels)
	case int64(len(samples))*2 > math.MaxUint32-wavHeaderBytes:
		return nil, fmt.Errorf("encode wav: %d samples do not fit a WAV file", len(samples))
	}
	n := 2 * len(samples)
	le := binary.LittleEndian
	file := make([]byte, wavHeaderBytes+n)
	head := append(file[:0], "RIFF"...)
	head = le.AppendUint32(head, uint32(wavHeaderBytes-8+n))
	head = append(head, "WAVEfmt "...)
	head = le.AppendUint32(head, 16)
	head = le.AppendUint16(head, wavPCM)
	head = le.AppendUint16(head, uint16(channels))
	head = le.AppendUint32(head, uint32(sampleRateHz))
	head = le.AppendUint32(head, uint32(sampleRateHz*channels*2))
	head = le.AppendUint16(head, uint16(channels*2))
	head = le.AppendUint16(head, 16)
	head = append(head, "data"...)
	head = le.AppendUint32(head, uint32(n))
	body := file[len(head):]
	for i, s := range samples {
		le.PutUint16(body[2*i:], uint16(s))
	}
	return file, nil
}

// IsCanonicalWAV reports whether data is just what EncodeWAV writes for one
// channel at rateHz: such a file can be passed on byte for byte. An empty one
// cannot.
func IsCanonicalWAV(data []byte, rateHz int) bool {
	samples, rate, err := ReadPCM16(data)
	return err == nil && rate == rateHz && len(samples) > 0
}

// ReadPCM16 reads a WAV file as EncodeWAV writes it for one channel, and nothing
// else: the quick and strict path for files this program made. The samples are
// a copy.
func ReadPCM16(data []byte) (samples []int16, sampleRateHz int, err error) {
	le := binary.LittleEndian
	bad := func(what string) ([]int16, int, error) {
		return nil, 0, fmt.Errorf("read wav: %s", what)
	}
	if len(data) < wavHeaderBytes || string(data[:4]) != "RIFF" || string(data[8:16]) != "WAVEfmt " || string(data[36:40]) != "data" {
		return bad("not a WAV file with the plain 44-byte header")
	}
	rate := le.Uint32(data[24:])
	switch n := len(data) - wavHeaderBytes; {
	case le.Uint32(data[16:]) != 16 || le.Uint16(data[20:]) != wavPCM || le.Uint16(data[34:]) != 16:
		return bad("not 16-bit PCM")
	case le.Uint16(data[22:]) != 1 || le.Uint16(data[32:]) != 2:
		return bad("not mono")
	case rate == 0 || rate > maxRateHz || le.Uint32(data[28:]) != 2*rate:
		return bad("bad sample rate")
	case n%2 != 0 || uint64(le.Uint32(data[40:])) != uint64(n) || uint64(le.Uint32(data[4:])) != uint64(n+wavHeaderBytes-8):
		return bad("sizes in the header are not the file's")
	}
	samples = make([]int16, (len(data)-wavHeaderBytes)/2)
	from, to := data[wavHeaderBytes:], samples
	for len(from) >= 8 && len(to) >= 4 { // four at a time: this was a tenth of the way from file to feature
		v := le.Uint64(from)
		to[0], to[1], to[2], to[3] = int16(v), int16(v>>16), int16(v>>32), int16(v>>48)
		from, to = from[8:], to[4:]
	}
	for i := range to {
		to[i] = int16(le.Uint16(from[2*i:]))
	}
	return samples, int(rate), nil
}
