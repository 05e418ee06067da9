package table

import "strconv"

// The two directions of retrieval, as Rank.Direction names them.
const (
	SpeechToImage = "speech->image"
	ImageToSpeech = "image->speech"
)

// A Rank says how one query fared: row of ranks.parquet.
type Rank struct {
	Direction  string  `parquet:"direction"`
	Query      string  `parquet:"query"`      // id of the query
	Partner    string  `parquet:"partner"`    // id of the right answer
	Rank       float64 `parquet:"rank"`       // expected rank of the partner over random orders of ties, 1 is best
	Score      float64 `parquet:"score"`      // similarity of query and partner
	Ties       int32   `parquet:"ties"`       // wrong candidates with the partner's score
	Best       string  `parquet:"best"`       // id of the candidate ranked first
	BestScore  float64 `parquet:"best_score"` // its similarity
	Candidates int32   `parquet:"candidates"` // how many were ranked
	Set        string  `parquet:"set"`        // evaluation set: test100, test500, ...
}

// Ranks is the format of Rank rows.
var Ranks = Format[Rank]{
	schema: "hearsight.ranks/1",
	id:     func(r *Rank) string { return r.Set + " " + r.Direction + " " + r.Query },
	engine: parquetEngine[Rank]{units: map[string]string{"rank": "1 is best"}},
}

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

// A CurvePoint is a model's state at one step of its training: row of
// curve.parquet. There is no clock in it.
type CurvePoint struct {
	Step         int64   `parquet:"step"`
	Epoch        float64 `parquet:"epoch"`
	PairsSeen    int64   `parquet:"pairs_seen"`
	Loss         float64 `parquet:"loss"`
	LearningRate float64 `parquet:"learning_rate"`
	P1           float64 `parquet:"p1"` // share of validation queries ranked first; NaN where not measured, as P5 and P10
	P5           float64 `parquet:"p5"`
	P10          float64 `parquet:"p10"`
}

// Curve is the format of CurvePoint rows.
var Curve = Format[CurvePoint]{
	schema: "hearsight.curve/1",
	id:     func(r *CurvePoint) string { return strconv.FormatInt(r.Step, 10) },
	engine: parquetEngine[CurvePoint]{units: map[string]string{
		"step": "minibatches", "pairs_seen": "pairs", "p1": "share", "p5": "share", "p10": "share",
	}},
}

// A Reject is an item that was set aside: row of rejects.parquet.
type Reject struct {
	Item   string `parquet:"item" json:"item"`
	Stage  string `parquet:"stage" json:"stage"`
	Reason string `parquet:"reason" json:"reason"` // one line
}

// Rejects is the format of Reject rows.
var Rejects = Format[Reject]{
	schema: "hearsight.rejects/1",
	id:     func(r *Reject) string { return r.Item },
	engine: parquetEngine[Reject]{},
}
