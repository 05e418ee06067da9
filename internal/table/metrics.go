package table

import (
	"encoding/json"
	"fmt"
	"io"
)

// MetricsSchema names the JSON file of scores that eval writes: metrics.json.
const MetricsSchema = "hearsight.metrics/1"

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
}

// RecallMetrics say how well queries found their partners: P@k is the share of
// queries whose partner is among the k best, a tie counted by its expected rank.
type RecallMetrics struct {
	N          int     `json:"n"`
	P1         Share   `json:"p1"`
	P5         Share   `json:"p5"`
	P10        Share   `json:"p10"`
	MedianRank float64 `json:"median_rank"`
	MeanRank   float64 `json:"mean_rank"`
	MRR        float64 `json:"mrr"`
	Tied       int     `json:"tied"` // queries whose partner ties with another candidate
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
