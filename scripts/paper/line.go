package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/internal/table"
)

// A line is what docs/paper.jsonl keeps of a row.
type line struct {
	Row       string            `json:"row"`
	PairsSeen int64             `json:"pairs_seen"` // in training
	Steps     int64             `json:"steps"`
	Pairs     int               `json:"pairs"` // scored
	ToPhoto   figures           `json:"speech_to_photo"`
	ToSpeech  figures           `json:"photo_to_speech"`
	Loss      *float64          `json:"loss,omitempty"`         // mean of the last tenth of the curve
	Seconds   float64           `json:"wall_seconds,omitempty"` // of training, all attempts; 0: not known
	Note      string            `json:"note,omitempty"`         // what a reader must know of it
	Settings  map[string]string `json:"settings"`
	Model     string            `json:"model"`   // digest of the artifact
	Weights   string            `json:"weights"` // digest of its safetensors
	PairsKey  string            `json:"pairs_digest"`
	Numeric   string            `json:"numeric"`
	Machine   string            `json:"machine,omitempty"` // that trained it; empty: not known
	Date      string            `json:"date,omitempty"`    // when it was trained, UTC; empty: not known
}

// Figures are the scores of one direction.
type figures struct {
	P1         table.Share `json:"p1"`
	P5         table.Share `json:"p5"`
	P10        table.Share `json:"p10"`
	MedianRank float64     `json:"median_rank"`
}

func figuresOf(r table.RecallMetrics) figures {
	return figures{P1: r.P1, P5: r.P5, P10: r.P10, MedianRank: r.MedianRank}
}

// readLines reads a file of lines; one that is not there has none.
func readLines(path string) ([]line, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []line
	seen := map[string]int{}
	for text := range bytes.Lines(text) {
		n := len(out) + 1
		var l line
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err := d.Decode(&l)
		if err == nil && d.More() {
			err = errors.New("more than one value")
		}
		if err == nil {
			err = l.check()
		}
		if err == nil && seen[l.Row] > 0 {
			err = fmt.Errorf("%s stands in line %d already", l.Row, seen[l.Row])
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w: this file is kept by `make paper`: take it back by `git checkout`, or delete the line and run the row again", path, n, err)
		}
		seen[l.Row] = n
		out = append(out, l)
	}
	return out, nil
}

// check finds what no run can have written.
func (l *line) check() error {
	if rows, err := chosen(l.Row, false); err != nil || len(rows) != 1 {
		return fmt.Errorf("%q is no row", l.Row)
	}
	for _, f := range []figures{l.ToPhoto, l.ToSpeech} {
		for _, s := range []table.Share{f.P1, f.P5, f.P10} {
			if !(0 <= s.Low && s.Low <= s.Value && s.Value <= s.High && s.High <= 1) {
				return fmt.Errorf("%s: a share of %v with the interval %v to %v", l.Row, s.Value, s.Low, s.High)
			}
		}
	}
	if l.PairsSeen < 0 || l.Pairs < 1 || l.Model == "" {
		return fmt.Errorf("%s: %d pairs seen, %d scored, model %q", l.Row, l.PairsSeen, l.Pairs, l.Model)
	}
	return nil
}

// merged puts l among the lines, in the table's order. A line of its row is
// replaced only if l has seen more pairs; kept says why it was not.
func merged(lines []line, l line) (out []line, kept string) {
	of := map[string]line{}
	for _, k := range lines {
		of[k.Row] = k
	}
	switch old, ok := of[l.Row]; {
	case !ok || l.PairsSeen > old.PairsSeen:
		of[l.Row] = l
	case l.PairsSeen < old.PairsSeen:
		kept = fmt.Sprintf("the line that is there has seen more pairs: %s", count(old.PairsSeen))
	case l.Model != old.Model:
		kept = fmt.Sprintf("the line that is there has seen as many pairs, and has another model, %.19s: delete the line to have it replaced", old.Model)
	default:
		kept = "the line that is there is of the same model"
	}
	for _, r := range allRows() {
		if l, ok := of[r.name]; ok {
			out = append(out, l)
		}
	}
	return out, kept
}

func writeLines(path string, lines []line) error {
	var b bytes.Buffer
	for _, l := range lines {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return atomicfile.WriteFile(path, b.Bytes(), 0o644)
}
