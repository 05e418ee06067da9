package audio

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// A sampleFormat is the coding of one sample in WAV and AIFF.
type sampleFormat int

const (
	fmtU8 sampleFormat = iota + 1
	fmtS8
	fmtS16LE
	fmtS16BE
	fmtS24LE
	fmtS24BE
	fmtS32LE
	fmtS32BE
	fmtF32LE
	fmtF32BE
	fmtF64LE
	fmtF64BE
	fmtALaw
	fmtMuLaw
)

// String returns the name ffmpeg gives the coding.
func (f sampleFormat) String() string {
	names := [...]string{"", "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be",
		"pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw"}
	if f < 1 || int(f) >= len(names) {
		return fmt.Sprintf("sampleFormat(%d)", int(f))
	}
	return names[f]
}

// bigEndian returns the coding with the high bytes first, where that makes a
// difference.
func (f sampleFormat) bigEndian() sampleFormat {
	switch f {
	case fmtS16LE, fmtS24LE, fmtS32LE, fmtF32LE, fmtF64LE:
		return f + 1
	}
	return f
}

// bytes returns the size of a sample.
func (f sampleFormat) bytes() int {
	switch f {
	case fmtU8, fmtS8, fmtALaw, fmtMuLaw:
		return 1
	case fmtS16LE, fmtS16BE:
		return 2
	case fmtS24LE, fmtS24BE:
		return 3
	case fmtF64LE, fmtF64BE:
		return 8
	}
	return 4
}

// decode converts samples that lie step bytes apart (step >= bytes) to -1..1.
// Bytes beyond the last whole step are ignored. Where a 24-bit sample has four
// bytes, the value is in the lower three, as in WAV.
func (f sampleFormat) decode(b []byte, step int) []float32 {
	out := make([]float32, len(b)/step)
	switch f {
	case fmtS16LE: // by far the most frequent
		for i := range out {
			out[i] = float32(int16(binary.LittleEndian.Uint16(b[i*step:]))) / 32768
		}
	case fmtALaw, fmtMuLaw:
		table := lawTable(f)
		for i := range out {
			out[i] = table[b[i*step]]
		}
	default:
		for i := range out {
			out[i] = f.one(b[i*step:])
		}
	}
	return out
}

// one decodes the sample at the start of b. 32-bit integers and float64 are
// rounded to float32 (24 bits); a float64 beyond float32 becomes an infinity,
// which Decode refuses.
func (f sampleFormat) one(b []byte) float32 {
	le, be := binary.LittleEndian, binary.BigEndian
	switch f {
	case fmtU8:
		return (float32(b[0]) - 128) / 128
	case fmtS8:
		return float32(int8(b[0])) / 128
	case fmtS16LE:
		return float32(int16(le.Uint16(b))) / 32768
	case fmtS16BE:
		return float32(int16(be.Uint16(b))) / 32768
	case fmtS24LE:
		return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
	case fmtS24BE:
		return float32(int32(uint32(b[2])<<8|uint32(b[1])<<16|uint32(b[0])<<24)>>8) / (1 << 23)
	case fmtS32LE:
		return float32(float64(int32(le.Uint32(b))) / (1 << 31))
	case fmtS32BE:
		return float32(float64(int32(be.Uint32(b))) / (1 << 31))
	case fmtF32LE:
		return math.Float32frombits(le.Uint32(b))
	case fmtF32BE:
		return math.Float32frombits(be.Uint32(b))
	case fmtF64LE:
		return float32(math.Float64frombits(le.Uint64(b)))
	case fmtF64BE:
		return float32(math.Float64frombits(be.Uint64(b)))
	}
	return 0
}

// lawTable returns the 256 values of ITU-T G.711 A-law or mu-law.
func lawTable(f sampleFormat) *[256]float32 {
	var t [256]float32
	for i := range t {
		if f == fmtALaw {
			t[i] = float32(aLaw(byte(i))) / 32768
		} else {
			t[i] = float32(muLaw(byte(i))) / 32768
		}
	}
	return &t
}

// aLaw expands a byte to 16 bits: even bits inverted, a sign, a 3-bit segment,
// a 4-bit step.
func aLaw(b byte) int16 {
	b ^= 0x55
	v := int16(b&0x0f)<<4 + 8
	if seg := (b >> 4) & 7; seg > 0 {
		v = (v + 0x100) << (seg - 1)
	}
	if b&0x80 == 0 {
		return -v
	}
	return v
}

// muLaw expands a byte to 16 bits: all bits inverted, a bias of 132.
func muLaw(b byte) int16 {
	b = ^b
	v := (int16(b&0x0f)<<3+132)<<((b>>4)&7) - 132
	if b&0x80 != 0 {
		return -v
	}
	return v
}

// ToPCM16 converts samples to 16 bits: times 32768, rounded to the nearest
// (halves to even, as ffmpeg's lrintf), clipped to -32768..32767. Samples that
// came from 16 bits come out as they were. NaN becomes 0.
func ToPCM16(x []float32) []int16 {
	out := make([]int16, len(x))
	for i, v := range x {
		out[i] = round16(v * 32768)
	}
	return out
}

// round16 rounds and clips. Adding 1.5 x 2^23 leaves a float32 no bits for a
// fraction, so the sum is rounded by the rule of IEEE 754: halves to even. (The
// multiplication before is exact: no machine may fuse it into anything else.)
func round16(s float32) int16 {
	const shift = 3 << 22
	switch {
	case s >= 32767:
		return 32767
	case s <= -32768:
		return -32768
	case s != s:
		return 0
	}
	return int16(float32(s+shift) - shift)
}

// FromPCM16 converts 16-bit samples to -1..1, exactly: x/32768.
func FromPCM16(x []int16) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v) / 32768
	}
	return out
}

// Dither16 is ToPCM16 with dither: before rounding, noise is added that is spread
// over -1 to 1 steps as a triangle, the least that makes the error of rounding
// independent of the sound (Lipshitz, Wannamaker and Vanderkooy, 1992). The same
// sound and seed give the same values. If all samples already are 16-bit values,
// there is nothing to round, and they stay as they are.
func Dither16(x []float32, seed uint64) []int16 {
	if isPCM16(x) {
		return ToPCM16(x)
	}
	out := make([]int16, len(x))
	r := rand.NewPCG(seed, 0x9e3779b97f4a7c15)
	for i, v := range x {
		bits := r.Uint64()
		noise := float32(int32(bits>>40)-int32(bits&0xffffff)) / (1 << 24) // 24 bits each
		out[i] = round16(float32(v*32768) + noise)
	}
	return out
}

// isPCM16 reports whether all samples are 16-bit values.
func isPCM16(x []float32) bool {
	for _, v := range x {
		if float32(round16(v*32768)) != v*32768 {
			return false
		}
	}
	return true
}
