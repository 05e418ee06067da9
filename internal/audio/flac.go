package audio

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
)

// flacInfoBytes is what comes first in a FLAC file: the magic, and the stream
// info with the four bytes of its header.
//
//	"fLaC"  1 last  7 type (0)  24 length (34)  blocks:4 frames:6
//	20 rate  3 channels - 1  5 bits - 1  36 samples  MD5:16
const flacInfoBytes = 4 + 4 + 34

// flacExpands is how many samples of each channel a byte of FLAC may become.
// Digital silence in blocks of 4,608 has 330 in mono and 307 in stereo; anything
// beyond was made to fill a memory.
const flacExpands = 512

// parseFLAC reads the stream info: of the metadata it is all that counts here.
func parseFLAC(data []byte) (*flac.Stream, Info, error) {
	info := Info{Format: formatFLAC, Codec: "flac"}
	if len(data) < flacInfoBytes || data[4]&0x7f != 0 || binary.BigEndian.Uint32(data[4:])&0xffffff != 34 {
		return nil, info, errors.New("flac: no stream info at the start")
	}
	// A plain io.Reader: what a header says is skipped must be there.
	s, err := flac.New(struct{ io.Reader }{bytes.NewReader(data)})
	if err != nil {
		return nil, info, fmt.Errorf("flac: metadata: %w", err)
	}
	info.SampleRateHz, info.Channels = int(s.Info.SampleRate), int(s.Info.NChannels)
	if s.Info.BitsPerSample > 24 {
		return nil, info, fmt.Errorf("FLAC of %d bits: %w", s.Info.BitsPerSample, ErrUnsupported)
	}
	if n := s.Info.NSamples; n > MaxSeconds*uint64(s.Info.SampleRate) {
		return nil, info, tooLong(int64(min(n, 1<<40)), info.SampleRateHz)
	}
	info.setFrames(int64(s.Info.NSamples))
	return s, info, nil
}

// decodeFLAC decodes frames until the number of samples is reached that the
// stream info has, or one is damaged: from there on all is lost. The checksums
// of frames and of the whole are compared.
func decodeFLAC(data []byte) (pcm *PCM, info Info, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("flac decoder: %v", p)
		}
	}()
	s, info, err := parseFLAC(data)
	if err != nil {
		return nil, info, err
	}
	pcm = &PCM{SampleRateHz: info.SampleRateHz, Channels: info.Channels}
	want := int64(s.Info.NSamples) // 0: not known
	limit := int64(len(data)) * flacExpands * 2 / int64(max(2, pcm.Channels))
	if limit = min(limit, MaxSeconds*int64(pcm.SampleRateHz)); want > 0 {
		limit = min(limit, want)
	}
	sum := md5.New()
	for want == 0 || int64(pcm.Frames()) < want {
		f, err := flacFrame(s)
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err == nil && int64(pcm.Frames())+int64(f.BlockSize) > limit {
			err = fmt.Errorf("more than %d samples", limit)
		}
		if err != nil {
			info.lose(0, "frame at sample %d: %v: the rest is lost", pcm.Frames(), err)
			break
		}
		pcm.takeFLAC(f, int(s.Info.BitsPerSample), sum)
	}
	switch missing := want - int64(pcm.Frames()); {
	case missing > 0:
		seconds := float64(missing) / float64(pcm.SampleRateHz)
		info.lose(seconds, "%d of %d samples are there: truncated (%.2f s)", pcm.Frames(), want, seconds)
	case want == 0:
		info.warn("the header does not say how long it is")
	}
	if s.Info.MD5sum != [md5.Size]byte{} && !info.Damaged && !bytes.Equal(sum.Sum(nil), s.Info.MD5sum[:]) {
		info.lose(0, "the sound is not what its checksum was made from")
	}
	warnLevels(pcm, &info)
	return pcm, info, nil
}

// flacFrame reads the next frame.
func flacFrame(s *flac.Stream) (*frame.Frame, error) {
	f, err := s.Next()
	if err != nil {
		return nil, err
	}
	if f.Channels.Count() != int(s.Info.NChannels) || f.BitsPerSample != s.Info.BitsPerSample {
		return nil, fmt.Errorf("%d channels of %d bits", f.Channels.Count(), f.BitsPerSample)
	}
	if err := f.Parse(); err != nil {
		return nil, fmt.Errorf("%v", err) // an EOF in here is no end
	}
	for _, sub := range f.Subframes {
		if len(sub.Samples) != int(f.BlockSize) {
			return nil, fmt.Errorf("%d samples in a block of %d", len(sub.Samples), f.BlockSize)
		}
	}
	return f, nil
}

// takeFLAC appends a frame's samples, and adds them to the checksum: interleaved,
// in as many bytes as the bits need, the low one first.
func (p *PCM) takeFLAC(f *frame.Frame, bits int, sum hash.Hash) {
	scale := 1 / float32(int64(1)<<(bits-1))
	size := (bits + 7) / 8
	raw := make([]byte, 0, int(f.BlockSize)*p.Channels*size)
	for i := range int(f.BlockSize) {
		for _, sub := range f.Subframes {
			v := sub.Samples[i]
			p.Samples = append(p.Samples, float32(v)*scale)
			for b := range size {
				raw = append(raw, byte(v>>(8*b)))
			}
		}
	}
	sum.Write(raw)
}
