package table

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
	Audio        []byte  `parquet:"audio,uncompressed"`
}

// Clips is the format of Clip rows.
var Clips = Format[Clip]{
	schema: "hearsight.clips/1", ordered: true,
	id:     func(r *Clip) string { return r.ID },
	engine: parquetEngine[Clip]{units: map[string]string{"sample_rate_hz": "Hz", "seconds": "s"}},
}
