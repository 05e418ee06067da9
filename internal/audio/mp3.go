package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	mp3 "github.com/hajimehoshi/go-mp3"
)

// mp3DecoderDelay is what every layer III decoder adds to the encoder's delay:
// the LAME tag's figures do not hold it.
const mp3DecoderDelay = 528 + 1

// mp3File is an MP3 file taken apart: its sound frames, and what the Xing tag
// says about them.
type mp3File struct {
	frames  []mp3Frame
	start   int64 // samples to drop at the start
	end     int64 // samples to drop at the end
	counted int64 // frames the tag counts, 0 if it does not
	length  int64 // samples from start on that are to be heard; 0: up to the end
}

// parseMP3 finds the frames and settles how long the sound should be.
func parseMP3(data []byte) (*mp3File, Info, error) {
	info := Info{Format: formatMP3, Codec: "mp3"}
	start, end, err := stripTags(data)
	if err != nil {
		return nil, info, err
	}
	f := &mp3File{frames: scanMPEG(data, start, end, 3, &info)}
	if len(f.frames) == 0 {
		return nil, info, errors.New("mp3: no whole frame")
	}
	h := f.frames[0].header
	info.SampleRateHz, info.Channels = h.rateHz(), 1
	for _, fr := range f.frames {
		info.Channels = max(info.Channels, fr.header.channels())
	}
	switch {
	case h.mpeg25() && info.SampleRateHz == 8000:
		// Its scale factor bands are like no other rate's, see asMPEG2.
		return nil, info, fmt.Errorf("MPEG-2.5 MP3 at 8,000 Hz: %w", ErrUnsupported)
	}
	f.takeTag(data)
	if f.start == 0 && f.end == 0 {
		f.takeSMPB(data[:start])
	}
	f.dropTags(data, &info)
	if len(f.frames) == 0 {
		return nil, info, errors.New("mp3: no sound, only a Xing tag")
	}
	spf := int64(h.samples())
	frames := int64(len(f.frames))
	if missing := f.counted - frames; missing > 0 {
		// The padding at the end went with the missing frames.
		f.end = max(0, f.end-missing*spf)
		if !info.Damaged || missing > 1 {
			info.lose(0, "the Xing tag counts %d frames, %d are there", f.counted, frames)
		}
		info.SecondsLost = max(info.SecondsLost, float64(missing*spf)/float64(h.rateHz()))
	}
	if f.length > 0 {
		if missing := f.start + f.length - frames*spf; missing > spf && !info.Damaged {
			info.lose(float64(missing)/float64(h.rateHz()), "iTunSMPB counts %d samples, %d are there", f.length, frames*spf-f.start)
		}
		f.end = max(0, frames*spf-f.start-f.length)
	}
	if f.start+f.end >= frames*spf {
		info.warn("LAME tag trims %d samples of %d: ignored", f.start+f.end, frames*spf)
		f.start, f.end = 0, 0
	}
	info.setFrames(frames*spf - f.start - f.end)
	if info.Frames > MaxSeconds*int64(info.SampleRateHz) {
		return nil, info, tooLong(info.Frames, info.SampleRateHz)
	}
	return f, info, nil
}

// takeTag reads the Xing, Info or VBRI tag in the first frame, which is then not
// sound, and takes that frame off.
//
//	"Xing"|"Info" flags:4 [frames:4] [bytes:4] [toc:100] [quality:4]
//	encoder:9 ... at 21: delay and padding, 12 bits each
func (f *mp3File) takeTag(data []byte) {
	fr := f.frames[0]
	frame := data[fr.at:][:fr.header.size()]
	if vbri := 4 + 32; len(frame) >= vbri+18 && string(frame[vbri:vbri+4]) == "VBRI" {
		f.counted = int64(binary.BigEndian.Uint32(frame[vbri+14:]))
		f.frames = f.frames[1:]
		return
	}
	side := 4 + fr.header.crcBytes() + fr.header.sideBytes()
	// The tag's place is counted without the checksum by some writers.
	tag := xingAt(frame, side)
	if tag == nil {
		tag = xingAt(frame, 4+fr.header.sideBytes())
	}
	if tag == nil {
		return
	}
	f.frames = f.frames[1:]
	flags, at := binary.BigEndian.Uint32(tag[4:]), 8
	if flags&1 != 0 && len(tag) >= at+4 {
		f.counted = int64(binary.BigEndian.Uint32(tag[at:]))
	}
	for bit, n := range []int{4, 4, 100, 4} {
		if flags>>bit&1 != 0 {
			at += n
		}
	}
	if len(tag) < at+24 || !printable(string(tag[at:at+4])) {
		return
	}
	delay, padding := int64(tag[at+21])<<4|int64(tag[at+22])>>4, int64(tag[at+22]&15)<<8|int64(tag[at+23])
	f.start = delay + mp3DecoderDelay
	f.end = max(0, padding-mp3DecoderDelay)
}

// takeSMPB reads the comment iTunSMPB of an ID3v2 tag, which iTunes writes in
// place of a LAME tag.
func (f *mp3File) takeSMPB(tags []byte) {
	_, value, ok := bytes.Cut(tags, []byte("iTunSMPB\x00"))
	if !ok {
		return
	}
	if e := parseSMPB(value[:min(len(value), 100)]); e.known {
		f.start, f.length = e.start+mp3DecoderDelay, int64(e.length)
	}
}

// dropTags takes Xing frames out of the middle, where joining files leaves them.
// The first tag's padding was then at its own end, not at this one.
func (f *mp3File) dropTags(data []byte, info *Info) {
	kept := f.frames[:0]
	for _, fr := range f.frames {
		if xingAt(data[fr.at:][:fr.header.size()], 4+fr.header.sideBytes()) == nil {
			kept = append(kept, fr)
		}
	}
	joined := len(kept) < len(f.frames)
	f.frames = kept
	if joined || f.counted > 0 && int64(len(kept)) > f.counted {
		info.warn("the Xing tag counts %d frames, %d are there: joined from several files", f.counted, len(kept))
		f.end = 0
	}
}

func xingAt(frame []byte, at int) []byte {
	if len(frame) >= at+8 && (string(frame[at:at+4]) == "Xing" || string(frame[at:at+4]) == "Info") {
		return frame[at:]
	}
	return nil
}

// decodeMP3 decodes all frames and trims encoder delay and padding.
//
// go-mp3 is handed a stream of our own making, see repack: it takes a cut-off or
// damaged file for a whole one, loses bytes of padded MPEG-2 frames, and panics
// on some damage. It always puts out 16-bit stereo.
func decodeMP3(data []byte) (*PCM, Info, error) {
	f, info, err := parseMP3(data)
	if err != nil {
		return nil, info, err
	}
	frames, bad, beyond := repack(data, f.frames)
	if beyond > 0 {
		return nil, info, fmt.Errorf("MP3 of a rare kind (%d of %d frames: intensity stereo or mixed blocks at a low rate, or so full that go-mp3 misreads them): %w", beyond, len(frames), ErrUnsupported)
	}
	spf := f.frames[0].header.samples()
	pcm := &PCM{SampleRateHz: info.SampleRateHz, Channels: info.Channels}
	pcm.Samples = make([]float32, 0, len(frames)*spf*info.Channels)
	var first error
	raw := make([]byte, 4*spf)
	for next := 0; next < len(frames); {
		done, err := decodeFrames(frames[next:], raw, pcm)
		next += done
		if err == nil {
			break
		}
		if first == nil {
			first = err
		}
		bad++ // the frame at next: silence in its place, and on with a fresh decoder
		pcm.Samples = append(pcm.Samples, make([]float32, spf*info.Channels)...)
		next++
		// A frame that begins in the lost one is lost, too.
		for ; next < len(frames) && reachesBack(frames[next]); next++ {
			bad++
			pcm.Samples = append(pcm.Samples, make([]float32, spf*info.Channels)...)
		}
	}
	if bad > 0 {
		if bad == len(frames) {
			return nil, info, fmt.Errorf("mp3: none of the %d frames can be decoded: %w", bad, cmpErr(first))
		}
		seconds := float64(bad*spf) / float64(info.SampleRateHz)
		info.lose(seconds, "%d of %d frames are damaged (%.2f s), silence in their place", bad, len(frames), seconds)
	}
	total := len(pcm.Samples) / pcm.Channels
	pcm.Samples = pcm.Samples[int(f.start)*pcm.Channels : (total-int(f.end))*pcm.Channels]
	warnLevels(pcm, &info)
	return pcm, info, nil
}

func cmpErr(err error) error {
	if err == nil {
		return errors.New("their sound data is missing")
	}
	return err
}

// decodeFrames decodes frames with one decoder and appends their samples to
// pcm, until the end or the first frame that fails. It returns how many went
// well; whatever go-mp3 panics with becomes an error. raw holds one decoded
// frame.
func decodeFrames(frames [][]byte, raw []byte, pcm *PCM) (done int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("mp3 decoder: %v", p)
		}
	}()
	// A plain io.Reader, for go-mp3 would scan a seeker to its end first.
	d, err := mp3.NewDecoder(&chunkReader{chunks: frames})
	if err != nil {
		return 0, err
	}
	for done < len(frames) {
		if _, err := io.ReadFull(d, raw); err != nil {
			return done, err
		}
		n, step := len(pcm.Samples), 4/pcm.Channels // mono stands twice
		out := slices.Grow(pcm.Samples, len(raw)/step)[:n+len(raw)/step]
		for i := range out[n:] {
			out[n+i] = mp3Sample(raw[step*i:])
		}
		pcm.Samples = out
		done++
	}
	return done, nil
}

// mp3Sample undoes how go-mp3 rounds: it multiplies by 32767 and cuts off the
// fraction, so that the sample lay half a step further from zero in the mean. All
// is doubled, so that the half is an integer: a branch on the sign of a sample no
// processor foresees.
func mp3Sample(b []byte) float32 {
	v := int32(int16(binary.LittleEndian.Uint16(b)))
	sign := v>>31 | int32(uint32(-v)>>31)
	return float32(2*v+sign) / (2 * 32767)
}

// chunkReader reads chunks one after the other.
type chunkReader struct {
	chunks [][]byte
	rest   []byte
}

func (r *chunkReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if len(r.chunks) == 0 {
			return 0, io.EOF
		}
		r.rest, r.chunks = r.chunks[0], r.chunks[1:]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
