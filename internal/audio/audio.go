// Package audio reads sound files into samples, changes their sample rate and
// writes WAV.
//
// People hand a speech system whatever their recorder made: WAV in a dozen
// sample formats, AIFF, MP3, M4A; often wrongly named, cut short by a full disk
// or with lengths in the header that were never filled in. Decode looks at the
// content, never at the name, and keeps one promise above all: a file of which
// part is lost never passes for a whole one. Either there is an error, or
// Info.Damaged is set and Info.Warnings and Info.SecondsLost say what is gone.
//
//	pcm, info, err := audio.Decode("a.m4a", data)
//	mono := pcm.Mono()                                   // mean of the channels
//	mono, err = resample.Resample(mono, pcm.SampleRateHz, 22050)
//	err = audio.EncodeWAV(w, 22050, 1, audio.ToPCM16(mono))
//
// What is read: WAV (8 to 32-bit integers, 32 and 64-bit floats, A-law, mu-law,
// extensible; RIFX, RF64), AIFF and AIFC, MP3 (layer III of MPEG-1, MPEG-2, and
// MPEG-2.5 but at 8 kHz), AAC-LC in MP4/M4A (plain and fragmented) and in ADTS,
// FLAC. Whatever else is recognised is refused with ErrUnsupported and the advice
// to use ffmpeg. docs/decoding.md has the table.
//
// Memory is bounded by the file's own size (a lying header cannot ask for more)
// and by MaxSeconds of sound. Everything is pure Go, deterministic, and safe for
// concurrent use. The bit streams of MP3, AAC and FLAC are decoded by
// hajimehoshi/go-mp3, tphakala/go-aac and mewkiz/flac; containers, tags, lengths
// and trimming are done here, because that is where silent losses come from.
package audio

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// MaxSeconds bounds the length of sound that Decode accepts. An utterance lasts
// seconds; six hours is an audio book, and 1.9 GB of samples at 22,050 Hz mono.
const MaxSeconds = 6 * 3600

// Limits on what a header may say. 768 kHz is beyond any recorder; 64 channels
// beyond any microphone array that would come as one file.
const (
	maxRateHz   = 768000
	maxChannels = 64
)

// ErrUnsupported marks formats that are recognised but not decoded here. The
// error says which format it is, and that ffmpeg can decode it; callers that
// have ffmpeg branch on this.
var ErrUnsupported = errors.New("unsupported by the built-in decoders (ffmpeg can decode it)")

// Info describes a sound file. SampleRateHz, Channels, Frames and DurationSec
// are those of the decoded sound after Decode, and what the headers say after
// Probe.
type Info struct {
	Format       string // container: wav, aiff, mp3, mp4, adts, flac, ogg, matroska, mpeg
	Codec        string // such as pcm_s16le, alaw, mp3, aac-lc
	SampleRateHz int
	Channels     int
	Frames       int64 // samples per channel
	DurationSec  float64
	Damaged      bool     // part of the sound is missing or unsure
	SecondsLost  float64  // estimate of what is missing, 0 if that is unknown
	Warnings     []string // in words; may hold harmless oddities, too
}

// warn records a harmless oddity.
func (i *Info) warn(format string, args ...any) {
	i.Warnings = append(i.Warnings, fmt.Sprintf(format, args...))
}

// lose records damage that cost about so many seconds (0: unknown).
func (i *Info) lose(seconds float64, format string, args ...any) {
	i.Damaged = true
	i.SecondsLost += max(0, seconds)
	i.warn(format, args...)
}

// setFrames sets the length.
func (i *Info) setFrames(frames int64) {
	i.Frames = frames
	i.DurationSec = float64(frames) / float64(i.SampleRateHz)
}

// Formats in the words of Info.Format.
const (
	formatWAV  = "wav"
	formatAIFF = "aiff"
	formatMP3  = "mp3"
	formatMP4  = "mp4"
	formatADTS = "adts"
	formatFLAC = "flac"

	// Those that are looked through, and decoded elsewhere.
	formatOgg      = "ogg"
	formatMatroska = "matroska"
	formatMPEG1    = "mpeg layer 1"
	formatMPEG2    = "mpeg layer 2"
)

// Decode decodes the sound file in data; name is only for messages. The
// returned samples are finite and within or near -1..1, at least one frame of
// them. Errors name the file, and wrap ErrUnsupported where another decoder
// would do better: Info then has what could be seen without decoding, above all
// whether a part is missing, which other decoders do not say. data is only read.
func Decode(name string, data []byte) (*PCM, Info, error) {
	pcm, info, err := decode(data)
	if err == nil {
		err = pcm.check()
	}
	if err != nil {
		return nil, info, fmt.Errorf("decode %s: %w", name, err)
	}
	warnName(name, &info)
	info.SampleRateHz, info.Channels = pcm.SampleRateHz, pcm.Channels
	info.setFrames(int64(pcm.Frames()))
	return pcm, info, nil
}

func decode(data []byte) (*PCM, Info, error) {
	switch format, err := sniff(data); format {
	case formatWAV:
		return decodeWAV(data)
	case formatAIFF:
		return decodeAIFF(data)
	case formatMP3:
		return decodeMP3(data)
	case formatMP4:
		return decodeMP4(data)
	case formatADTS:
		return decodeADTS(data)
	case formatFLAC:
		return decodeFLAC(data)
	case "":
		return nil, Info{}, err
	default:
		info, err := parseOutside(format, data)
		return nil, info, err
	}
}

// parseOutside looks through a file that is decoded elsewhere.
func parseOutside(format string, data []byte) (Info, error) {
	switch format {
	case formatOgg:
		return parseOgg(data)
	case formatMatroska:
		return parseMatroska(data)
	case formatMPEG1:
		return parseLayer(data, 1)
	}
	return parseLayer(data, 2)
}

// warnName says so where a file is not what its extension says.
func warnName(name string, info *Info) {
	usual := map[string]string{".wav": formatWAV, ".wave": formatWAV, ".aif": formatAIFF, ".aiff": formatAIFF, ".aifc": formatAIFF,
		".mp3": formatMP3, ".m4a": formatMP4, ".mp4": formatMP4, ".m4b": formatMP4, ".aac": formatADTS, ".flac": formatFLAC}
	ext := strings.ToLower(filepath.Ext(name))
	if want, ok := usual[ext]; ok && want != info.Format {
		info.warn("named %s, but it is %s", ext, info.Format)
	}
}

// Probe reads the headers of the sound file in data without decoding it.
func Probe(data []byte) (Info, error) {
	switch format, err := sniff(data); format {
	case formatWAV:
		_, info, err := parseWAV(data)
		return info, err
	case formatAIFF:
		_, info, err := parseAIFF(data)
		return info, err
	case formatMP3:
		_, info, err := parseMP3(data)
		return info, err
	case formatMP4:
		_, info, err := parseMP4(data)
		return info, err
	case formatADTS:
		_, info, err := parseADTS(data)
		return info, err
	case formatFLAC:
		_, info, err := parseFLAC(data)
		return info, err
	case "":
		return Info{}, err
	default:
		return parseOutside(format, data)
	}
}

// check is the last gate of Decode.
func (p *PCM) check() error {
	switch {
	case p.SampleRateHz < 1 || p.SampleRateHz > maxRateHz:
		return fmt.Errorf("sample rate of %d Hz", p.SampleRateHz)
	case p.Channels < 1 || p.Channels > maxChannels:
		return fmt.Errorf("%d channels", p.Channels)
	case p.Frames() == 0:
		return errors.New("no samples")
	case p.Frames() > MaxSeconds*p.SampleRateHz:
		return tooLong(int64(p.Frames()), p.SampleRateHz)
	}
	for i, v := range p.Samples {
		if v-v != 0 { // NaN or an infinity
			return fmt.Errorf("non-finite sample at %d", i/p.Channels)
		}
	}
	return nil
}

func tooLong(frames int64, rateHz int) error {
	return fmt.Errorf("%.1f h of sound, the limit is %d h", float64(frames)/float64(rateHz)/3600, MaxSeconds/3600)
}

// sniff names the format of data by its content, or says why it cannot be read.
func sniff(data []byte) (string, error) {
	has := func(at int, magic string) bool {
		return len(data) >= at+len(magic) && string(data[at:at+len(magic)]) == magic
	}
	unsupported := func(what string) (string, error) { return "", fmt.Errorf("%s: %w", what, ErrUnsupported) }
	switch {
	case len(data) == 0:
		return "", errors.New("empty file")
	case len(data) < 12:
		return "", fmt.Errorf("not a sound file: %d bytes", len(data))
	case (has(0, "RIFF") || has(0, "RIFX") || has(0, "RF64") || has(0, "BW64")) && has(8, "WAVE"):
		return formatWAV, nil
	case has(0, "FORM") && (has(8, "AIFF") || has(8, "AIFC")):
		return formatAIFF, nil
	case has(0, "fLaC"):
		return formatFLAC, nil
	case has(0, "OggS"):
		return formatOgg, nil
	case has(0, "\x1aE\xdf\xa3"):
		return formatMatroska, nil
	case has(0, "caff"):
		return unsupported("Core Audio Format")
	case has(0, "#!AMR"):
		return unsupported("AMR")
	case has(0, ".snd"):
		return unsupported("Sun AU")
	case has(0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"):
		return unsupported("ASF/WMA")
	case has(0, "ADIF"):
		return unsupported("AAC in ADIF")
	case has(0, "wvpk"):
		return unsupported("WavPack")
	case isMP4(data):
		return formatMP4, nil
	}
	return sniffMPEG(data)
}

// isMP4 reports whether data begins with one of the boxes that files of the
// ISO base media family begin with.
func isMP4(data []byte) bool {
	for _, box := range []string{"ftyp", "moov", "mdat", "moof", "styp", "free", "skip", "wide", "sidx"} {
		if bytes.HasPrefix(data[4:], []byte(box)) {
			return true
		}
	}
	return false
}

// PCM is decoded sound: Samples holds Channels values per frame, interleaved,
// full scale being -1..1 (16-bit values divided by 32768, exactly).
type PCM struct {
	SampleRateHz int
	Channels     int
	Samples      []float32
}

// Frames returns the number of samples per channel.
func (p *PCM) Frames() int { return len(p.Samples) / p.Channels }

// DurationSec returns the length in seconds.
func (p *PCM) DurationSec() float64 { return float64(p.Frames()) / float64(p.SampleRateHz) }

// Mono returns the arithmetic mean of the channels, summed in float64. For a
// single channel it is Samples itself, not a copy.
func (p *PCM) Mono() []float32 {
	if p.Channels == 1 {
		return p.Samples
	}
	out := make([]float32, p.Frames())
	for i := range out {
		var s float64
		for _, v := range p.Samples[i*p.Channels:][:p.Channels] {
			s += float64(v)
		}
		out[i] = float32(s / float64(p.Channels))
	}
	return out
}
