package table

import (
	"encoding/json"
	"fmt"
	"io"
)

// MetricsSchema names the JSON file of scores that eval writes: metrics.json.
const MetricsSchema = "hearsight.metrics/1"

// Of the settings of scores that are not plainly those of one model: how they came
// about, and what stands between the values of models that differ.
const (
	ScoredBy = "scored by"
	Besides  = "; "
)

// Metrics are the scores of one system.
type Metrics struct {
	System   string            `json:"system"`
	Note     string            `json:"note,omitempty"` // what a reader must know: "VGG16 + identity"
	Sets     []SetMetrics      `json:"sets"`
	Settings map[string]string `json:"settings"` // how the model was made
}

// SetMetrics are the scores on one set of pairs, both ways.
type SetMetrics struct {
	Set           string        `json:"set"` // validation, test, hard
	Pairs         int           `json:"pairs"`
	Photos        int           `json:"photos"`
	SpeechToImage RecallMetrics `json:"speech_to_image"` // the paper's direction
	ImageToSpeech RecallMetrics `json:"image_to_speech"`
	// GroupRight is, for pairs that come in groups of near-equals, the share of
	// queries that score their own photo above the group's other photo.
	GroupRight *Share `json:"group_right,omitempty"`
	// PairsDigest pins what was scored: two results can be compared if theirs is
	// the same. It is that of the lines "caption TAB photo LF", in byte order,
	// and of "TAB photo LF" for photos that nobody asks for.
	PairsDigest string        `json:"pairs_digest,omitempty"`
	Draws       *Draws        `json:"draws,omitempty"`
	ByWords     []Slice       `json:"by_words,omitempty"` // captions by length
	ByVoice     []Slice       `json:"by_voice,omitempty"` // captions by who speaks, where known
	Confusion   []Confusion   `json:"confusion,omitempty"`
	Hardest     []HardCaption `json:"hardest,omitempty"` // captions that found their photo last
}

// BothWays are the scores of both directions.
type BothWays struct {
	SpeechToImage RecallMetrics `json:"speech_to_image"`
	ImageToSpeech RecallMetrics `json:"image_to_speech"`
}

// Draws are the scores on disjoint random choices of the set's photos, each
// with only its own photos and captions to choose from.
type Draws struct {
	Photos int   `json:"photos"` // of each draw
	Seed   int64 `json:"seed"`
	// One has one caption a photo, its first; All has all of them, and is absent
	// if that is the same.
	One DrawScores  `json:"one_caption"`
	All *DrawScores `json:"all_captions,omitempty"`
}

// DrawScores are the scores of each draw, and of all their queries together.
type DrawScores struct {
	Pooled BothWays   `json:"pooled"`
	Each   []BothWays `json:"each"`
}

// A Slice is how some of the captions found their photos among all.
type Slice struct {
	Name          string        `json:"name"` // "7-9 words", "en-us+f2"
	SpeechToImage RecallMetrics `json:"speech_to_image"`
}

// A Confusion counts, over photos that found a wrong caption first, what their
// own best caption was (row) and what the one found is (column).
type Confusion struct {
	Of     string   `json:"of"` // "words" or "voice"
	Labels []string `json:"labels"`
	Counts [][]int  `json:"counts"`
}

// A HardCaption is a query that went wrong.
type HardCaption struct {
	Caption    string  `json:"caption"`
	Text       string  `json:"text,omitempty"`
	Photo      string  `json:"photo"`
	Rank       float64 `json:"rank"`
	Score      float64 `json:"score"`
	Found      string  `json:"found"` // the best of the wrong photos
	FoundScore float64 `json:"found_score"`
}

// RecallMetrics say how well queries found their partners: P@k is the share of
// queries whose partner is among the k best, a tie counted by its expected rank.
// Of several right answers the best placed counts.
type RecallMetrics struct {
	N          int     `json:"n"`
	P1         Share   `json:"p1"`
	P5         Share   `json:"p5"`
	P10        Share   `json:"p10"`
	MedianRank float64 `json:"median_rank"`
	MeanRank   float64 `json:"mean_rank"`
	MRR        float64 `json:"mrr"`
	Tied       int     `json:"tied"` // queries whose partner ties with another candidate
	// All is about all right answers of a query, where any has several.
	All *AllRight `json:"all_right,omitempty"`
	// Bootstrap is there for whole sets.
	Bootstrap *Bootstrap `json:"bootstrap,omitempty"`
}

// AllRight are the measures of sets: of the k best, which share is right
// (Precision), and which share of all that is right is among them (Recall), and
// the mean average precision. The order of equals is the worst.
type AllRight struct {
	Precision1  float64 `json:"precision_1"`
	Precision5  float64 `json:"precision_5"`
	Precision10 float64 `json:"precision_10"`
	Recall1     float64 `json:"recall_1"`
	Recall5     float64 `json:"recall_5"`
	Recall10    float64 `json:"recall_10"`
	MAP         float64 `json:"map"`
}

// A Bootstrap holds 95 % percentile intervals over resamples of the photos: a
// photo's captions are drawn together, for they are not independent, which a
// Wilson interval takes them to be.
type Bootstrap struct {
	Resamples  int      `json:"resamples"`
	P1         Interval `json:"p1"`
	P5         Interval `json:"p5"`
	P10        Interval `json:"p10"`
	MedianRank Interval `json:"median_rank"`
	MRR        Interval `json:"mrr"`
}

// An Interval is where a figure lies.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// A Share is a proportion and its 95 % Wilson interval.
type Share struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// WriteMetrics writes m as JSON.
func WriteMetrics(w io.Writer, m Metrics) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(m)
}

// ReadMetrics reads what WriteMetrics wrote.
func ReadMetrics(r io.Reader) (Metrics, error) {
	var m Metrics
	d := json.NewDecoder(io.LimitReader(r, 16<<20))
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("read metrics: %w", err)
	}
	return m, nil
}
