// Package decode turns recordings of any kind into one: mono WAV of 16 bits at
// one sample rate.
//
// In come clips as a synthesiser wrote them or a corpus holds them, out come
// clips with the same ids. WAV, AIFF, MP3, AAC and FLAC are decoded in this
// process by internal/audio; what it knows but does not decode (Ogg, ALAC, …)
// goes to ffmpeg, if that is allowed and there, many clips to a process.
// Channels are averaged, and the rate is changed by a filter that neither aliases
// nor dulls. A clip that already is a WAV of this kind passes byte for byte.
//
// A clip that is damaged, such as an MP3 cut short, is set aside: half a
// caption is another caption. With on_damage: keep what is left of it is taken,
// and a warning that says how much is lost stays with the clip.
//
// A clip's row says what it came from and how it sounds: codec, sample rate and
// channels of the source, peak, clipped samples, share of silence, loudness. With
// loudness_lufs set, each clip is made louder or softer until it has that, as far
// as its peak lets it.
package decode

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/resample"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind decodes clips.
var Kind = stage.NewItems(stage.Kind{
	Name:    "decode",
	Doc:     "decode recordings to mono 16-bit WAV at one sample rate",
	Version: 3,
	Inputs:  []stage.Input{{Name: "audio", Doc: "clips: of a synthesiser, or a corpus with recordings", Types: []string{"speech", "pairs"}}},
	Output:  "wav",
	Numeric: true,
}, Params{SampleRateHz: 22050, OnDamage: "reject", FFmpeg: "auto", Dither: "none", LoudnessLUFS: 0}, stage.Items[Params, table.Clip]{
	List:  list,
	Open:  open,
	Table: func(Params) stage.Table[table.Clip] { return table.Clips },
})

// Params are the parameters of Kind.
type Params struct {
	SampleRateHz int     `json:"sample_rate_hz" doc:"sample rate of the WAV files" min:"1000" max:"192000" unit:"Hz"`
	OnDamage     string  `json:"on_damage" doc:"what to do with a clip of which a part is missing" enum:"reject,keep"`
	FFmpeg       string  `json:"ffmpeg" doc:"use ffmpeg, if it is there, for formats not decoded here" enum:"auto,never"`
	Dither       string  `json:"dither" doc:"noise that is added before rounding to 16 bits: none, or triangular of two steps, the same for the same clip" enum:"none,triangular"`
	LoudnessLUFS float64 `json:"loudness_lufs" doc:"bring each clip to this loudness, such as -23; 0: leave it as it is" min:"-60" max:"0" unit:"LUFS"`
}

// Prepare implements stage.Preparer.
func (p Params) Prepare(ctx context.Context) ([]stage.Tool, error) {
	f, err := findFFmpeg(ctx, p)
	if err != nil || f.Path == "" {
		return nil, err
	}
	return []stage.Tool{{Name: "ffmpeg", Version: f.Version}}, nil
}

func list(_ context.Context, t *stage.Task, _ Params) ([]stage.Item, error) {
	in := t.Input("audio")
	if len(in.Parts(table.Clips.Schema())) == 0 && in.Manifest.Type == "pairs" {
		return nil, errors.New("the data set has no recordings to decode: it needs an audio column, or a tts stage to speak its captions; if all of its recordings were set aside, hearsight status says why")
	}
	entries, err := rows.List(table.Clips, in)
	if err != nil {
		return nil, err
	}
	items := make([]stage.Item, len(entries))
	for i, e := range entries {
		items[i] = stage.Item{ID: e.ID, Key: []string{"audio sha256:" + e.SHA256}, Ref: e.Ref}
	}
	return items, nil
}

func open(ctx context.Context, t *stage.Task, p Params) (stage.Do[table.Clip], func() error, error) {
	f, err := pathFFmpeg(p)
	if err != nil {
		return nil, nil, err
	}
	clips, err := rows.Open(table.Clips, t.Input("audio"))
	if err != nil {
		return nil, nil, err
	}
	d := decoder{p: p}
	if f != nil {
		entries, err := rows.List(table.Clips, t.Input("audio"))
		if err != nil {
			return nil, nil, errors.Join(err, clips.Close())
		}
		d.ahead = newAhead(f, clips, entries, t.Dir)
	}
	do := func(ctx context.Context, it stage.Item) (table.Clip, error) {
		ref, _ := it.Ref.(rows.Ref)
		clip, err := clips.Row(ref)
		if err != nil {
			return table.Clip{}, err
		}
		made, err := d.toWAV(ctx, ref, clip)
		if err != nil {
			return table.Clip{}, err
		}
		return row(it.ID, made, p)
	}
	return do, stage.Slack(clips.Close), nil
}

// A sound is a clip on its way: mono WAV of 16 bits, and what is known of where
// it came from.
type sound struct {
	wav      []byte
	source   audio.Info // Codec, SampleRateHz and Channels; zero: not known
	clipped  int64      // samples of the source; -1: to be counted in the WAV
	warnings []string
}

// A decoder decodes clips.
type decoder struct {
	p     Params
	ahead *ahead // nil: no ffmpeg
}

// toWAV returns the clip as a mono WAV of 16 bits.
func (d *decoder) toWAV(ctx context.Context, ref rows.Ref, clip table.Clip) (sound, error) {
	rateHz := d.p.SampleRateHz
	if audio.IsCanonicalWAV(clip.Audio, rateHz) {
		return sound{wav: clip.Audio, source: audio.Info{Codec: "pcm_s16le", SampleRateHz: rateHz, Channels: 1}, clipped: -1}, nil
	}
	pcm, info, err := d.decode(ctx, ref, clip)
	if err != nil {
		return sound{}, err
	}
	if info.Damaged {
		lost := "an unknown part of it is lost"
		if info.SecondsLost > 0 {
			lost = fmt.Sprintf("about %.2f s of it are lost", info.SecondsLost)
		}
		if d.p.OnDamage == "reject" {
			return sound{}, stage.Reject("damaged %s: %s; %s", info.Format, oneLine(strings.Join(info.Warnings, "; ")), lost)
		}
		info.Warnings = append(info.Warnings, "damaged: "+lost)
	}
	mono := pcm.Mono()
	if pcm.SampleRateHz != rateHz {
		if mono, err = resample.Resample(mono, pcm.SampleRateHz, rateHz); err != nil {
			return sound{}, stage.Reject("%v", err)
		}
	}
	if len(mono) == 0 {
		return sound{}, stage.Reject("no samples")
	}
	wav, err := audio.WAV(rateHz, 1, d.round(mono, clip.SHA256))
	return sound{wav, info, pcm.Clipped(info.Codec), info.Warnings}, err
}

// decode decodes the clip here, or by ffmpeg.
func (d *decoder) decode(ctx context.Context, ref rows.Ref, clip table.Clip) (*audio.PCM, audio.Info, error) {
	pcm, info, err := audio.Decode(clip.ID, clip.Audio)
	if err != nil && (d.ahead == nil || !errors.Is(err, audio.ErrUnsupported)) {
		return nil, info, stage.Reject("%s", oneLine(reason(err, clip.ID)))
	}
	if err == nil {
		return pcm, info, nil
	}
	got := d.ahead.decode(ctx, ref, clip)
	if got.err != nil {
		return nil, info, got.err
	}
	info.Warnings = append(info.Warnings, "decoded by ffmpeg")
	if info.SampleRateHz == 0 { // not looked into here
		info.SampleRateHz, info.Channels = got.pcm.SampleRateHz, got.pcm.Channels
	}
	if got.damage != "" {
		info.Damaged = true
		info.Warnings = append(info.Warnings, got.damage)
	}
	if info.Format == "" {
		info.Warnings = append(info.Warnings, "whether it is whole is not known: in this format nothing tells")
	}
	if lost := info.DurationSec - got.pcm.DurationSec(); lost > lostSeconds {
		info.Damaged = true
		info.SecondsLost = max(info.SecondsLost, lost)
		info.Warnings = append(info.Warnings, fmt.Sprintf("its container says %.2f s, ffmpeg found %.2f s", info.DurationSec, got.pcm.DurationSec()))
	}
	return got.pcm, info, nil
}

// lostSeconds is by how much a clip may be shorter than its container says:
// containers count a decoder's delay, or do not.
const lostSeconds = .1

// round rounds to 16 bits. Dither depends on what the clip holds.
func (d *decoder) round(x []float32, sha256 string) []int16 {
	if d.p.Dither == "none" {
		return audio.ToPCM16(x)
	}
	seed := fnv.New64a()
	seed.Write([]byte(sha256))
	return audio.Dither16(x, seed.Sum64())
}

// row is the row of a decoded clip. Voice and text stay behind: they say
// nothing of the sound, and a caption that is spelled anew but sounds the same
// is to change nothing from here on.
func row(id string, made sound, p Params) (table.Clip, error) {
	samples, rateHz, err := audio.ReadPCM16(made.wav)
	if err != nil {
		return table.Clip{}, err
	}
	seconds, warnings := float64(len(samples))/float64(rateHz), made.warnings
	if seconds < shortSeconds {
		warnings = append(warnings, fmt.Sprintf("the clip lasts %.3f s", seconds))
	}
	if !slices.ContainsFunc(samples, func(s int16) bool { return s != samples[0] }) {
		warnings = append(warnings, "the clip is silent: all samples are equal")
	}
	clipped := made.clipped
	if clipped < 0 {
		pcm := audio.PCM{SampleRateHz: rateHz, Channels: 1, Samples: audio.FromPCM16(samples)}
		clipped = pcm.Clipped("pcm_s16le")
	}
	levels, gainDB := audio.MeasurePCM16(samples, rateHz), 0.
	if p.LoudnessLUFS != 0 && levels.Peak > 0 {
		gainDB = min(p.LoudnessLUFS-levels.LoudnessLUFS, -20*math.Log10(levels.Peak))
		gainDB = math.Floor(100*gainDB) / 100 // what the row says is what was done
		if made.wav, err = audio.WAV(rateHz, 1, louder(samples, gainDB)); err != nil {
			return table.Clip{}, err
		}
		levels = audio.MeasurePCM16(samples, rateHz)
	}
	return table.Clip{
		ID: id, SHA256: table.SumBytes(made.wav), Format: "wav", SampleRateHz: int32(rateHz), Channels: 1,
		Seconds: seconds, Warnings: strings.Join(warnings, "\n"), Audio: made.wav,
		Codec: made.source.Codec, SourceRateHz: int32(made.source.SampleRateHz), SourceChannels: int32(made.source.Channels),
		Peak: levels.Peak, ClippedSamples: clipped, SilenceShare: levels.SilenceShare, LoudnessLUFS: levels.LoudnessLUFS, GainDB: gainDB,
	}, nil
}

// louder scales samples in place.
func louder(samples []int16, gainDB float64) []int16 {
	factor := math.Pow(10, gainDB/20)
	for i, s := range samples {
		samples[i] = int16(min(32767, max(-32768, math.RoundToEven(float64(s)*factor))))
	}
	return samples
}

// shortSeconds is from where down a clip is suspect: no caption is that short.
const shortSeconds = .1

// reason is err without the clip's name in front, which a reject has beside it.
func reason(err error, id string) string {
	return strings.TrimPrefix(err.Error(), fmt.Sprintf("decode %s: ", id))
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
}
