package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	aacpcm "github.com/tphakala/go-aac/pcm"
)

// An aacConfig is what an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) says.
type aacConfig struct {
	object   int // 2: LC, 5: SBR, 29: PS
	rateHz   int
	channels int  // 0: described in the stream
	short    bool // frames of 960 samples
	sbr      bool // HE-AAC
}

var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// parseASC reads an AudioSpecificConfig:
//
//	object type:5 (31: +6)  rate index:4 (15: rate:24)  channels:4
//	then for LC: short frames:1  core coder:1 [delay:14]  extension:1
//	[0x2b7:11 object type:5 sbr present:1]
func parseASC(b []byte) (aacConfig, error) {
	at := 0
	bits := func(n int) int {
		if at+n > 8*len(b) {
			at = 8*len(b) + 1
			return 0
		}
		v := bitsAt(b, at, n)
		at += n
		return v
	}
	var c aacConfig
	if c.object = bits(5); c.object == 31 {
		c.object = 32 + bits(6)
	}
	if index := bits(4); index == 15 {
		c.rateHz = bits(12)<<12 | bits(12)
	} else if index < len(aacRates) {
		c.rateHz = aacRates[index]
	}
	c.channels = bits(4)
	if c.channels == 7 {
		c.channels = 8
	}
	c.sbr = c.object == 5 || c.object == 29
	if at > 8*len(b) || c.rateHz == 0 {
		return c, errors.New("aac: bad AudioSpecificConfig")
	}
	if c.object == 2 { // cut off, or with nonsense here, in files that play
		c.short = bits(1) == 1
		if bits(1) == 1 {
			bits(14)
		}
		bits(1)
	}
	if c.object == 2 && at+17 <= 8*len(b) && bits(11) == 0x2b7 && bits(5) == 5 && bits(1) == 1 {
		c.sbr = true
	}
	return c, nil
}

func (c aacConfig) codec() string {
	switch {
	case c.sbr:
		return "he-aac"
	case c.object == 2:
		return "aac-lc"
	case c.object == 42:
		return "usac"
	}
	return fmt.Sprintf("mpeg4 audio object %d", c.object)
}

// supported reports whether the decoder can do it.
func (c aacConfig) supported() error {
	switch {
	case c.object != 2 || c.sbr:
		return fmt.Errorf("%s: %w", c.codec(), ErrUnsupported)
	case c.short:
		return fmt.Errorf("AAC with frames of 960 samples: %w", ErrUnsupported)
	case c.channels < 1 || c.channels > 2:
		return fmt.Errorf("AAC with channel configuration %d: %w", c.channels, ErrUnsupported)
	}
	return nil
}

func decodeMP4(data []byte) (*PCM, Info, error) {
	tr, info, err := parseMP4(data)
	if err != nil {
		return nil, info, err
	}
	pcm, err := decodeAAC(tr.units, tr.asc, tr.config, &info)
	if err != nil {
		return nil, info, err
	}
	start, length := int(tr.edit.start)*pcm.Channels, int(tr.edit.length)*pcm.Channels
	pcm.Samples = pcm.Samples[start : start+length]
	warnLevels(pcm, &info)
	return pcm, info, nil
}

// An aacDecoder turns access units into 16-bit samples: the only door to the
// library behind it. Read is io.Reader's, of interleaved little-endian samples;
// an error ends the stream for good.
type aacDecoder interface {
	io.Reader
	Info() aacpcm.Info
}

// newAACDecoder decodes units, which are framed by go-aac's convention, a length
// of two bytes before each.
func newAACDecoder(units [][]byte, asc []byte) (aacDecoder, error) {
	if asc[0]>>3 == 2 && asc[0]&7<<1|asc[1]>>7 != 15 {
		asc = []byte{asc[0], asc[1] &^ 7} // what lies behind parseASC has judged
	}
	return aacpcm.NewDecoder(&unitReader{units: units}, aacpcm.WithRawStream(asc))
}

// decodeAAC decodes access units of 1,024 samples. A unit that cannot be decoded
// becomes silence, and the rest goes on with a fresh decoder. The result has
// 1,024 samples per channel for every unit.
func decodeAAC(units [][]byte, asc []byte, c aacConfig, info *Info) (*PCM, error) {
	pcm := &PCM{SampleRateHz: c.rateHz, Channels: c.channels}
	frame := aacFrame * c.channels
	pcm.Samples = make([]float32, 0, frame*len(units))
	bad := 0
	for next := 0; next < len(units); {
		done, err := decodeUnits(units[next:], asc, pcm)
		next += done
		switch {
		case err == nil && next == len(units):
			continue
		case errors.Is(err, aacpcm.ErrUnsupported) && next < 2: // later on it is damage
			return nil, fmt.Errorf("%w: %w", err, ErrUnsupported)
		}
		bad++
		if bad == next+1 && (next+1 == len(units) || bad >= 64) {
			return nil, fmt.Errorf("aac: none of the first %d access units can be decoded: %w", bad, err)
		}
		pcm.Samples = append(pcm.Samples, make([]float32, frame)...)
		next++
	}
	if bad > 0 {
		seconds := float64(bad*aacFrame) / float64(c.rateHz)
		info.lose(seconds, "%d of %d access units are damaged (%.2f s), silence in their place", bad, len(units), seconds)
	}
	return pcm, nil
}

// decodeUnits decodes units until the first that fails, and returns how many
// went well.
func decodeUnits(units [][]byte, asc []byte, pcm *PCM) (done int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("aac decoder: %v", p)
		}
	}()
	d, err := newAACDecoder(units, asc)
	if err != nil {
		return 0, err
	}
	raw := make([]byte, 2*aacFrame*pcm.Channels)
	for ; done < len(units); done++ {
		if _, err := io.ReadFull(d, raw); err != nil {
			return done, err
		}
		if got := d.Info(); got.Channels != pcm.Channels {
			return done, fmt.Errorf("aac: %d channels where the header says %d", got.Channels, pcm.Channels)
		}
		for i := 0; i < len(raw); i += 2 {
			pcm.Samples = append(pcm.Samples, float32(int16(binary.LittleEndian.Uint16(raw[i:])))/32768)
		}
	}
	return done, nil
}

// unitReader reads units one after the other, the length before each.
type unitReader struct {
	units     [][]byte
	buf, rest []byte // the current one, framed; what is left of it
}

func (r *unitReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if len(r.units) == 0 {
			return 0, io.EOF
		}
		r.buf = binary.BigEndian.AppendUint16(r.buf[:0], uint16(len(r.units[0])))
		r.buf = append(r.buf, r.units[0]...)
		r.rest, r.units = r.buf, r.units[1:]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// adtsSize returns the length of the ADTS frame that b begins with, 0 if it
// does not begin with one.
//
//	12 sync  1 version  2 layer (0)  1 no CRC  2 object type - 1  4 rate index
//	1 private  3 channels  4 ...  13 frame length  11 fullness  2 blocks - 1
func adtsSize(b []byte) int {
	if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 || b[2]>>2&15 > 12 {
		return 0
	}
	n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	if n <= adtsHead(b) {
		return 0
	}
	return n
}

// adtsHead returns the length of the header of a frame, its checksum included.
func adtsHead(b []byte) int {
	if b[1]&1 == 0 {
		return 9
	}
	return 7
}

// adtsFile is an ADTS stream taken apart.
type adtsFile struct {
	asc    []byte
	config aacConfig
	units  [][]byte
}

// parseADTS collects the access units of an ADTS stream. There is no tag of the
// length, so a stream cut between two frames cannot be told from a whole one.
func parseADTS(data []byte) (*adtsFile, Info, error) {
	info := Info{Format: formatADTS}
	start, end, err := stripTags(data)
	if err != nil {
		return nil, info, err
	}
	f := &adtsFile{}
	gap := 0
	for at := start; at < end; {
		b := data[at:end]
		n := adtsSize(b)
		if n > 0 && f.asc != nil && (b[2] != data[start+2] || b[3]&0xc0 != data[start+3]&0xc0) {
			n = 0 // of another kind than the first: not a header, but chance
		}
		if n == 0 || n > len(b) && len(f.units) == 0 {
			gap++
			at++
			continue
		}
		if f.asc == nil {
			start = at
			// The AudioSpecificConfig has the same fields in the same order.
			object, index, channels := b[2]>>6+1, b[2]>>2&15, b[2]&1<<2|b[3]>>6
			f.asc = []byte{object<<3 | index>>1, index<<7 | channels<<3}
			if f.config, err = parseASC(f.asc); err != nil {
				return nil, info, err
			}
		}
		if n > len(b) {
			info.lose(aacFrame/float64(f.config.rateHz), "the last frame is cut off")
			break
		}
		if b[6]&3 != 0 {
			return nil, info, fmt.Errorf("ADTS with several blocks a frame: %w", ErrUnsupported)
		}
		if gap > 0 {
			info.lose(0, "%d bytes before byte %d are not ADTS", gap, at)
			gap = 0
		}
		f.units = append(f.units, b[adtsHead(b):n])
		at += n
	}
	if gap > 0 {
		info.lose(0, "%d bytes at the end are not ADTS", gap)
	}
	if len(f.units) == 0 {
		return nil, info, errors.New("adts: no whole frame")
	}
	info.Codec, info.SampleRateHz, info.Channels = f.config.codec(), f.config.rateHz, f.config.channels
	info.setFrames(int64(len(f.units)) * aacFrame)
	if info.Frames > MaxSeconds*int64(info.SampleRateHz) {
		return nil, info, tooLong(info.Frames, info.SampleRateHz)
	}
	return f, info, f.config.supported()
}

func decodeADTS(data []byte) (*PCM, Info, error) {
	f, info, err := parseADTS(data)
	if err != nil {
		return nil, info, err
	}
	pcm, err := decodeAAC(f.units, f.asc, f.config, &info)
	if err != nil {
		return nil, info, err
	}
	warnLevels(pcm, &info)
	return pcm, info, nil
}
