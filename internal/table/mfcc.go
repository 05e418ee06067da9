package table

// An MFCC is the features of one clip: row of mfcc-*.parquet. Frame t,
// coefficient c is Features[t*NCoeffs+c].
type MFCC struct {
	ID            string    `parquet:"id"`
	SHA256        string    `parquet:"sha256"` // hex, of Features as little-endian float32
	NFrames       int32     `parquet:"n_frames"`
	NCoeffs       int32     `parquet:"n_coeffs"`
	Features      []float32 `parquet:"features,list" parquet-element:",split"`
	SourceSHA256  string    `parquet:"source_sha256"` // hex, of the clip's audio
	SampleRateHz  int32     `parquet:"sample_rate_hz"`
	WindowSamples int32     `parquet:"window_samples"`
	HopSamples    int32     `parquet:"hop_samples"`
}

// MFCCs is the format of MFCC rows.
var MFCCs = Format[MFCC]{
	schema: "hearsight.mfcc/1", ordered: true,
	id: func(r *MFCC) string { return r.ID },
	engine: parquetEngine[MFCC]{units: map[string]string{
		"features": "cepstral coefficients, row-major frames x coefficients", "sample_rate_hz": "Hz",
		"window_samples": "samples", "hop_samples": "samples",
	}},
}
