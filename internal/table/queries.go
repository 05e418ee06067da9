package table

// A Query says how one caption fared, both ways: row of queries.parquet. Ranks
// begin at 1; Rank and PhotoRank are expected over random orders of equals,
// WorstRank and PhotoWorstRank have all equals before the right answer.
type Query struct {
	Caption string `parquet:"caption"` // its id
	Set     string `parquet:"set"`     // evaluation set: validation, test, …
	Photo   string `parquet:"photo"`   // id of the photo it describes
	Text    string `parquet:"text"`    // what is said, where known
	Words   int32  `parquet:"words"`   // in Text
	Voice   string `parquet:"voice"`   // who speaks, where known

	// The caption asks for its photo among all photos of the set.
	Rank          float64 `parquet:"rank"`
	WorstRank     float64 `parquet:"worst_rank"`
	Score         float64 `parquet:"score"`          // similarity of caption and photo
	Impostor      string  `parquet:"impostor"`       // the best of the wrong photos; empty if there is none
	ImpostorScore float64 `parquet:"impostor_score"` // its similarity; NaN if there is none

	// The photo asks for this caption among all captions of other photos.
	PhotoRank            float64 `parquet:"photo_rank"`
	PhotoWorstRank       float64 `parquet:"photo_worst_rank"`
	ImpostorCaption      string  `parquet:"impostor_caption"` // the best of the captions of other photos
	ImpostorCaptionScore float64 `parquet:"impostor_caption_score"`

	Draw     int32   `parquet:"draw"`      // the draw that the photo is in, from 1; 0 for none
	DrawRank float64 `parquet:"draw_rank"` // Rank among the photos of the draw; NaN for none
}

// Queries is the format of Query rows.
var Queries = Format[Query]{
	schema: "hearsight.queries/1",
	id:     func(r *Query) string { return r.Set + " " + r.Caption },
	engine: parquetEngine[Query]{units: map[string]string{"rank": "1 is best", "photo_rank": "1 is best", "draw_rank": "1 is best", "words": "words"}},
}
