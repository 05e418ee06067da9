package table

import "math"

// A Clip is encoded speech: row of clips*.parquet, made by tts (as synthesised),
// decode (mono WAV at one rate) and corpus (as recorded).
type Clip struct {
	ID           string  `parquet:"id"`
	SHA256       string  `parquet:"sha256"` // hex, of Audio
	Format       string  `parquet:"format"` // wav, m4a, mp3 or aiff
	SampleRateHz int32   `parquet:"sample_rate_hz"`
	Channels     int32   `parquet:"channels"`
	Seconds      float64 `parquet:"seconds"`
	Voice        string  `parquet:"voice"`    // synthesiser's voice; empty for recordings
	Text         string  `parquet:"text"`     // what is said, where known
	Warnings     string  `parquet:"warnings"` // what was odd about the input, one a line
	// Of the file that Audio was decoded from, or is.
	Codec          string `parquet:"codec"`           // such as pcm_s16le, mp3, aac-lc; empty: not known
	SourceRateHz   int32  `parquet:"source_rate_hz"`  // 0: not known
	SourceChannels int32  `parquet:"source_channels"` // 0: not known
	// Measured by decode; NaN and -1 in the rows of other stages.
	Peak           float64 `parquet:"peak"`            // largest absolute sample of Audio, full scale being 1
	ClippedSamples int64   `parquet:"clipped_samples"` // of the source, over all channels
	SilenceShare   float64 `parquet:"silence_share"`   // of Audio: 20 ms blocks below -60 dB
	LoudnessLUFS   float64 `parquet:"loudness_lufs"`   // of Audio, by ITU-R BS.1770
	GainDB         float64 `parquet:"gain_db"`         // by which decode made it louder
	Audio          []byte  `parquet:"audio,uncompressed"`
}

// NotMeasured fills the fields that only decode can.
func (c Clip) NotMeasured() Clip {
	nan := math.NaN()
	c.Peak, c.ClippedSamples, c.SilenceShare, c.LoudnessLUFS, c.GainDB = nan, -1, nan, nan, nan
	return c
}

// Clips is the format of Clip rows.
var Clips = Format[Clip]{
	schema: "hearsight.clips/2", ordered: true,
	id: func(r *Clip) string { return r.ID },
	engine: parquetEngine[Clip]{units: map[string]string{"sample_rate_hz": "Hz", "seconds": "s", "source_rate_hz": "Hz",
		"peak": "full scale is 1", "clipped_samples": "samples", "loudness_lufs": "LUFS", "gain_db": "dB"}},
}
