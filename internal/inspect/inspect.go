// Package inspect looks into files that nobody vouches for: what are they, what
// is in them, are they sound. It is what `hearsight inspect FILE` shows, and
// exports rows to formats that other tools read.
//
// The decoders it uses are made for well-formed files. Hostile ones make them
// panic, at times in goroutines of their own, where nothing can catch it, or
// ask for 98 GB. So each file is read in a child: the same program started
// again with a hidden first argument (main and TestMain call IsChild and Child),
// limited in memory and time by the operating system where that is possible and
// by a watch of its own. If the child dies, the parent says so in an error of
// one line and goes on. The child writes its Report as JSON, or the exported
// bytes, to its standard output.
//
// Kinds are told by content, not by name; a name that says otherwise is warned
// of. Statistics of large files stop after about a second and say how far they
// came.
package inspect

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Options say what of a file is wanted. The zero value works.
type Options struct {
	Sample int    `json:"sample,omitempty"` // rows to show; 0 is 5, negative none
	Row    string `json:"row,omitempty"`    // show this row, by its id, instead of the first ones
	Color  bool   `json:"color,omitempty"`  // draw in the terminal's colours
	Full   bool   `json:"full,omitempty"`   // statistics over all of the file, however long it takes
}

func (o Options) sample() int {
	if o.Sample == 0 {
		return 5
	}
	return max(o.Sample, 0)
}

// A Report is what is known of a file.
type Report struct {
	Path     string           `json:"path"`
	Kind     string           `json:"kind"` // parquet, arrow, arrow stream, npy, safetensors, jpeg, png, or a sound format
	Bytes    int64            `json:"bytes"`
	Schema   string           `json:"schema,omitempty"` // of this project's tables: "hearsight.mfcc/1"
	Rows     int64            `json:"rows"`
	Facts    []Fact           `json:"facts,omitempty"` // what the kind has to say of the whole file
	Fields   []Field          `json:"fields,omitempty"`
	Sample   []map[string]any `json:"sample,omitempty"` // column -> number, text, or a summary of what is long
	Drawing  string           `json:"drawing,omitempty"`
	Warnings []string         `json:"warnings,omitempty"`
}

// A Fact is one thing worth a line.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Field is a column, a tensor or a channel.
type Field struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Unit  string `json:"unit,omitempty"`
	Stats *Stats `json:"stats,omitempty"`
}

// Stats summarise the values of a field. Of lists, all elements count.
type Stats struct {
	Count  int64    `json:"count"` // values seen, nulls among them
	Nulls  int64    `json:"nulls,omitempty"`
	NaNs   int64    `json:"nans,omitempty"` // not numbers, or infinite; left out of the others
	Min    *float64 `json:"min,omitempty"`  // nil where values are no numbers
	Max    *float64 `json:"max,omitempty"`
	Mean   *float64 `json:"mean,omitempty"`
	MinLen *int64   `json:"min_len,omitempty"` // bytes, of text and binary
	MaxLen *int64   `json:"max_len,omitempty"`
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

func (r *Report) fact(name, format string, args ...any) {
	r.Facts = append(r.Facts, Fact{name, fmt.Sprintf(format, args...)})
}

// A tally gathers Stats.
type tally struct {
	count, nulls, nans int64
	numbers            int64
	min, max, sum      float64
	texts              int64
	minLen, maxLen     int64
}

func (t *tally) null() { t.count++; t.nulls++ }

func (t *tally) number(v float64) {
	t.count++
	if math.IsNaN(v) || math.IsInf(v, 0) {
		t.nans++
		return
	}
	if t.numbers == 0 {
		t.min, t.max = v, v
	}
	t.numbers++
	t.min, t.max, t.sum = min(t.min, v), max(t.max, v), t.sum+v
}

func (t *tally) text(n int) {
	t.count++
	if t.texts == 0 {
		t.minLen = int64(n)
	}
	t.texts++
	t.minLen, t.maxLen = min(t.minLen, int64(n)), max(t.maxLen, int64(n))
}

func (t *tally) stats() *Stats {
	if t.count == 0 {
		return nil
	}
	s := &Stats{Count: t.count, Nulls: t.nulls, NaNs: t.nans}
	if t.numbers > 0 {
		mean := t.sum / float64(t.numbers)
		s.Min, s.Max, s.Mean = &t.min, &t.max, &mean
	}
	if t.texts > 0 {
		s.MinLen, s.MaxLen = &t.minLen, &t.maxLen
	}
	return s
}

// cell makes v fit for a sample: JSON has no NaN, and nobody reads a megabyte.
func cell(v any) any {
	const maxText = 200
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case float32:
		return cell(float64(v))
	case string:
		if len(v) > maxText {
			return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(v[:maxText], ""), len(v))
		}
		return strings.ToValidUTF8(v, "\uFFFD")
	case []byte:
		return fmt.Sprintf("%d bytes: % x", len(v), v[:min(len(v), 8)])
	case []any:
		shown := make([]string, 0, 5)
		for _, e := range v[:min(len(v), 4)] {
			shown = append(shown, short(cell(e)))
		}
		if len(v) > 4 {
			shown = append(shown, "…")
		}
		return fmt.Sprintf("%d values: %s", len(v), strings.Join(shown, " "))
	}
	return v
}

func short(v any) string {
	if f, ok := v.(float64); ok {
		return fmt.Sprintf("%.5g", f)
	}
	return fmt.Sprint(v)
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s", quote(r.Path), quote(r.Kind))
	if r.Schema != "" {
		fmt.Fprintf(&b, ", %s", quote(r.Schema))
	}
	fmt.Fprintf(&b, ", %d rows, %d bytes\n", r.Rows, r.Bytes)
	for _, f := range r.Facts {
		fmt.Fprintf(&b, "%s: %s\n", quote(f.Name), quote(f.Value))
	}
	for _, s := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", quote(s))
	}
	if len(r.Fields) > 0 {
		b.WriteString("\n")
		printFields(&b, r.Fields)
	}
	for i, row := range r.Sample {
		fmt.Fprintf(&b, "\nrow %d\n", i)
		for _, f := range r.Fields {
			if v, ok := row[f.Name]; ok {
				fmt.Fprintf(&b, "  %-*s  %s\n", widest(r.Fields), quote(f.Name), quote(v))
			}
		}
	}
	if r.Drawing != "" {
		b.WriteString("\n" + r.Drawing)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func widest(fields []Field) int {
	w := 0
	for _, f := range fields {
		w = max(w, len(f.Name))
	}
	return min(w, 40)
}

// quote keeps text of a file from sending control sequences to a terminal.
func quote(v any) string {
	s := short(v)
	if slices.ContainsFunc([]rune(s), func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
	}) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

func printFields(b *strings.Builder, fields []Field) {
	for _, f := range fields {
		fmt.Fprintf(b, "%-*s  %-24s", widest(fields), quote(f.Name), quote(f.Type))
		if s := f.Stats; s != nil {
			fmt.Fprintf(b, "  n %d", s.Count)
			if s.Min != nil {
				fmt.Fprintf(b, "  min %.6g  mean %.6g  max %.6g", *s.Min, *s.Mean, *s.Max)
			}
			if s.MinLen != nil {
				fmt.Fprintf(b, "  length %d to %d", *s.MinLen, *s.MaxLen)
			}
			if s.Nulls > 0 {
				fmt.Fprintf(b, "  nulls %d", s.Nulls)
			}
			if s.NaNs > 0 {
				fmt.Fprintf(b, "  not numbers %d", s.NaNs)
			}
		}
		if f.Unit != "" {
			fmt.Fprintf(b, "  [%s]", quote(f.Unit))
		}
		b.WriteString("\n")
	}
}
