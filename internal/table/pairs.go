package table

// A Caption is one description of a photo: row of captions.parquet. Each makes
// one training pair.
type Caption struct {
	ID      string `parquet:"id"`
	PhotoID string `parquet:"photo_id"`
	Index   int32  `parquet:"caption_index"` // 0-based among the photo's captions
	Text    string `parquet:"text"`
	Split   string `parquet:"split"` // train, validation, test or hard
	Group   string `parquet:"group"` // what a data set tells its captions apart by; may be empty
}

// Captions is the format of Caption rows.
var Captions = Format[Caption]{
	schema: "hearsight.captions/1", ordered: true,
	id:     func(r *Caption) string { return r.ID },
	engine: parquetEngine[Caption]{},
}

// A Photo is an encoded picture as it came: row of photos*.parquet.
type Photo struct {
	ID     string `parquet:"id"`
	SHA256 string `parquet:"sha256"` // hex, of Bytes
	Format string `parquet:"format"` // jpeg or png
	Width  int32  `parquet:"width"`
	Height int32  `parquet:"height"`
	Bytes  []byte `parquet:"bytes,uncompressed"`
}

// Photos is the format of Photo rows.
var Photos = Format[Photo]{
	schema: "hearsight.photos/1", ordered: true,
	id:     func(r *Photo) string { return r.ID },
	engine: parquetEngine[Photo]{units: map[string]string{"width": "px", "height": "px"}},
}
