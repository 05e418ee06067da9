package report

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/plot"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

// corpus sums up what there was to learn from; nil if nothing is known of it.
func corpus(ctx context.Context, s Sources, rejects []report.Reject) (*report.Corpus, error) {
	c := &report.Corpus{}
	if err := captionFacts(c, s); err != nil {
		return nil, err
	}
	if err := clipFacts(ctx, c, s); err != nil {
		return nil, err
	}
	voices := map[string]int{}
	for i, art := range s.Speech {
		_, err := rows.Each(table.Clips.Light(), art, func(clip table.Clip) error {
			voices[cmp.Or(clip.Voice, "not known")]++
			return ctx.Err()
		})
		if err != nil {
			return nil, fmt.Errorf("speech %d: %w", i+1, err)
		}
	}
	c.Voices = counts(voices)
	reasons := map[string]int{}
	for _, r := range rejects {
		reasons[r.Stage+": "+sortOf(r.Reason)]++
	}
	c.Reasons = counts(reasons)
	if len(c.Facts)+len(c.Voices)+len(c.Reasons) == 0 {
		return nil, nil
	}
	return c, nil
}

// captionFacts counts captions and photos.
func captionFacts(c *report.Corpus, s Sources) error {
	splits, photos, n := map[string]int{}, map[string]bool{}, 0
	var lengths []float64
	words := map[string]bool{}
	for i, art := range s.Pairs {
		_, err := rows.Each(table.Captions, art, func(caption table.Caption) error {
			n++
			splits[caption.Split]++
			said := 0
			for _, w := range strings.Fields(caption.Text) {
				if w = strings.ToLower(strings.Trim(w, ".,;:!?\"'()")); w != "" { // a full stop may stand alone
					words[w] = true
					said++
				}
			}
			if said > 0 {
				lengths = append(lengths, float64(said))
			}
			if caption.PhotoID != "" {
				photos[caption.PhotoID] = true
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("pairs %d: %w", i+1, err)
		}
	}
	if n == 0 {
		return nil
	}
	var text []string
	for _, split := range slices.Sorted(maps.Keys(splits)) {
		text = append(text, fmt.Sprintf("%d %s", splits[split], split))
	}
	of := ""
	if len(photos) > 0 {
		of = fmt.Sprintf(" of %d photos", len(photos))
	}
	c.Facts = append(c.Facts, report.Setting{Name: "captions", Value: fmt.Sprintf("%d%s (%s)", n, of, strings.Join(text, ", "))})
	if len(lengths) > 0 {
		slices.Sort(lengths)
		c.Facts = append(c.Facts, report.Setting{Name: "words of a caption", Value: fmt.Sprintf("%.0f to %.0f, half of them within %.0f to %.0f; %d different words in all",
			lengths[0], last(lengths), quantile(lengths, .25), quantile(lengths, .75), len(words))})
	}
	return photoFacts(c, s)
}

// photoFacts says how large the photos are.
func photoFacts(c *report.Corpus, s Sources) error {
	formats := map[string]int{}
	var widths, heights []float64
	for i, art := range s.Pairs {
		_, err := rows.Each(table.Photos.Light(), art, func(p table.Photo) error {
			formats[p.Format]++
			widths, heights = append(widths, float64(p.Width)), append(heights, float64(p.Height))
			return nil
		})
		if err != nil {
			return fmt.Errorf("pairs %d: %w", i+1, err)
		}
	}
	if len(widths) == 0 {
		return nil
	}
	slices.Sort(widths)
	slices.Sort(heights)
	var text []string
	for _, k := range counts(formats) {
		text = append(text, fmt.Sprintf("%d %s", k.N, k.Name))
	}
	c.Facts = append(c.Facts, report.Setting{Name: "photos", Value: fmt.Sprintf("%s; %s px wide, %s px high", strings.Join(text, ", "), fromTo(widths), fromTo(heights))})
	return nil
}

// fromTo is the range of sorted whole numbers.
func fromTo(x []float64) string {
	if x[0] == last(x) {
		return fmt.Sprintf("%.0f", x[0])
	}
	return fmt.Sprintf("%.0f to %.0f", x[0], last(x))
}

// clipFacts measures the clips, and draws how their lengths and levels are
// spread.
func clipFacts(ctx context.Context, c *report.Corpus, s Sources) error {
	var seconds, loudness []float64
	var silence float64
	clipped, warned := 0, 0
	codecs := map[string]int{}
	for i, art := range s.WAV {
		_, err := rows.Each(table.Clips.Light(), art, func(clip table.Clip) error {
			seconds, loudness = append(seconds, clip.Seconds), append(loudness, clip.LoudnessLUFS)
			silence += clip.SilenceShare * clip.Seconds
			if clip.ClippedSamples > 0 {
				clipped++
			}
			if clip.Warnings != "" {
				warned++
			}
			codecs[source(clip)]++
			return ctx.Err()
		})
		if err != nil {
			return fmt.Errorf("wav %d: %w", i+1, err)
		}
	}
	if len(seconds) == 0 {
		return nil
	}
	slices.Sort(seconds)
	slices.Sort(loudness)
	total := 0.
	for _, v := range seconds {
		total += v
	}
	fact := func(name, format string, args ...any) {
		c.Facts = append(c.Facts, report.Setting{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	fact("clips", "%d, %s in all", len(seconds), span(total))
	fact("lengths", "%.2f to %.2f s, half of them within %.2f to %.2f s", seconds[0], last(seconds), quantile(seconds, .25), quantile(seconds, .75))
	fact("loudness", "%.1f to %.1f LUFS, half of them within %.1f to %.1f", loudness[0], last(loudness), quantile(loudness, .25), quantile(loudness, .75))
	fact("silence", "%.1f %% of the time", 100*silence/max(total, 1e-9))
	fact("with clipped samples", "%d of the clips", clipped)
	fact("with a warning", "%d of the clips", warned)
	var text []string
	for _, k := range counts(codecs) {
		text = append(text, fmt.Sprintf("%s: %d", k.Name, k.N))
	}
	fact("recorded as", "%s", strings.Join(text, "\n"))
	for _, h := range []struct {
		values     []float64
		x, caption string
	}{{seconds, "seconds", "How long the clips are."}, {loudness, "LUFS", "How loud they are (integrated loudness, ITU-R BS.1770; -70 is silence)."}} {
		svg, err := histogram(h.values, h.x)
		if err != nil {
			return fmt.Errorf("draw %s: %w", h.x, err)
		}
		c.Plots = append(c.Plots, report.Curve{Caption: h.caption, SVG: svg})
	}
	return nil
}

// source says what a clip was decoded from.
func source(c table.Clip) string {
	switch channels := []string{"", ", mono", ", stereo"}; {
	case c.Codec == "":
		return "not known"
	case c.SourceChannels > 2:
		return fmt.Sprintf("%s, %d Hz, %d channels", c.Codec, c.SourceRateHz, c.SourceChannels)
	default:
		return fmt.Sprintf("%s, %d Hz%s", c.Codec, c.SourceRateHz, channels[max(0, c.SourceChannels)])
	}
}

// histogram draws how many of the sorted values lie in each of some bins of
// equal width.
func histogram(values []float64, x string) ([]byte, error) {
	lo, hi := values[0], last(values)
	if !(hi > lo) {
		lo, hi = lo-.5, hi+.5
	}
	n := min(40, max(8, int(math.Sqrt(float64(len(values))))))
	bins := make([]float64, n)
	for _, v := range values {
		if at := (v - lo) / (hi - lo) * float64(n); at == at { // not NaN
			bins[min(n-1, max(0, int(at)))]++
		}
	}
	zero := 0.
	line := plot.Series{Name: "clips", X: []float64{lo}, Y: []float64{0}}
	for i, b := range bins {
		left, right := lo+(hi-lo)*float64(i)/float64(n), lo+(hi-lo)*float64(i+1)/float64(n)
		line.X, line.Y = append(line.X, left, right), append(line.Y, b, b)
	}
	line.X, line.Y = append(line.X, hi), append(line.Y, 0)
	var b bytes.Buffer
	err := plot.SVG(&b, plot.Chart{XLabel: x, YLabel: "clips", YMin: &zero, Series: []plot.Series{line}, Width: chartWidth, Height: chartHeight})
	return b.Bytes(), err
}

func last(x []float64) float64 { return x[len(x)-1] }

// quantile of sorted values.
func quantile(x []float64, q float64) float64 { return x[int(q*float64(len(x)-1)+.5)] }

func span(seconds float64) string {
	switch {
	case seconds < 120:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 7200:
		return fmt.Sprintf("%.1f min", seconds/60)
	}
	return fmt.Sprintf("%.1f h", seconds/3600)
}

var (
	rowOf    = regexp.MustCompile(`^row \d+: `)
	quoted   = regexp.MustCompile(`"(\\.|[^"\\])*"`)
	numerals = regexp.MustCompile(`\b\d+(\.\d+)?\b`)
)

// sortOf returns a reason without what differs from item to item, so that equal
// reasons count together.
func sortOf(reason string) string {
	return numerals.ReplaceAllString(quoted.ReplaceAllString(rowOf.ReplaceAllString(reason, ""), "…"), "#")
}

// counts lists what was counted, the most frequent first.
func counts(n map[string]int) []report.Count {
	var out []report.Count
	for name, k := range n {
		out = append(out, report.Count{Name: name, N: k})
	}
	slices.SortFunc(out, func(a, b report.Count) int { return cmp.Or(b.N-a.N, strings.Compare(a.Name, b.Name)) })
	return out
}
