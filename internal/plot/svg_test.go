package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var nan = math.NaN()

// failing is a writer that takes nothing.
type failing struct{}

var errFull = errors.New("disk full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

const blue, vermilion = "#0072B2", "#D55E00"

// drawn is what an SVG says: its size, its words, and the path data of every stroke by colour.
type drawn struct {
	size    string
	texts   []string
	strokes map[string][]string
}

func (d drawn) has(text string) bool { return slices.Contains(d.texts, text) }

// pieces counts the straight pieces of the strokes of one colour.
func (d drawn) pieces(colour string) int {
	return strings.Count(strings.Join(d.strokes[colour], ""), "L")
}

// parseSVG draws c twice, compares the bytes and reads them back.
func parseSVG(t testing.TB, c Chart) drawn {
	t.Helper()
	var buf, again bytes.Buffer
	if err := errors.Join(SVG(&buf, c), SVG(&again, c)); err != nil {
		t.Fatalf("SVG: %v", err)
	}
	if !bytes.Equal(buf.Bytes(), again.Bytes()) {
		t.Fatal("SVG twice gave different bytes")
	}
	d, err := readSVG(&buf)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func readSVG(r io.Reader) (drawn, error) {
	d := drawn{strokes: map[string][]string{}}
	dec := xml.NewDecoder(r)
	for inText := false; ; {
		tok, err := dec.Token()
		if err == io.EOF {
			return d, nil
		}
		if err != nil {
			return d, fmt.Errorf("SVG is no XML: %w", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			inText = tok.Name.Local == "text"
			if err := d.note(tok); err != nil {
				return d, err
			}
		case xml.CharData:
			if inText {
				d.texts = append(d.texts, string(tok))
			}
		case xml.EndElement:
			inText = false
		}
	}
}

// note records an element and checks its style and numbers.
func (d *drawn) note(el xml.StartElement) error {
	attr := map[string]string{}
	for _, a := range el.Attr {
		attr[a.Name.Local] = a.Value
		if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
			return fmt.Errorf("%s has %s=%q", el.Name.Local, a.Name.Local, a.Value)
		}
	}
	if el.Name.Local == "svg" {
		d.size = attr["width"] + "x" + attr["height"]
	}
	if el.Name.Local == "text" && !strings.Contains(attr["style"], ",sans-serif;") {
		return fmt.Errorf("text style %q has no generic font family", attr["style"])
	}
	if _, after, ok := strings.Cut(attr["style"], "stroke:"); ok {
		colour, _, _ := strings.Cut(after, ";")
		d.strokes[colour] = append(d.strokes[colour], attr["d"])
	}
	return nil
}

func TestSVGWordsAndCurves(t *testing.T) {
	c := Chart{
		Title: `Loss <b> & "curves"`, XLabel: "epoch", YLabel: "loss",
		Series: []Series{
			{Name: "run a", X: []float64{0, 1, 2, 3}, Y: []float64{4, 2, 1, 0.5}},
			{Name: "run b", X: []float64{0, 1, 2, 3}, Y: []float64{3, nan, 2, 1}},
		},
	}
	d := parseSVG(t, c)
	for _, text := range []string{`Loss <b> & "curves"`, "epoch", "loss", "run a", "run b", "0", "1", "2", "3"} {
		if !d.has(text) {
			t.Errorf("text %q is missing from %q", text, d.texts)
		}
	}
	if got := d.pieces(blue); got != 4 {
		t.Errorf("run a has %d line pieces, want 3 and 1 in the legend", got)
	}
	if got := d.pieces(vermilion); got != 2 {
		t.Errorf("run b has %d line pieces, want 1 after the gap and 1 in the legend", got)
	}
	if d.size != "720x320" {
		t.Errorf("default size is %s px", d.size)
	}
	c.Series = c.Series[:1]
	if d := parseSVG(t, c); d.has("run a") || d.pieces(blue) != 3 {
		t.Error("a single series has a legend")
	}
}

func TestSVGDegenerateInput(t *testing.T) {
	inf := math.Inf(1)
	for name, series := range map[string][]Series{
		"no series":  nil,
		"no points":  {{Name: "a"}},
		"NaN only":   {{Name: "a", X: []float64{0, 1}, Y: []float64{nan, nan}}, {X: []float64{nan}, Y: []float64{1}}},
		"infinities": {{X: []float64{0, inf, 2}, Y: []float64{-inf, 1, inf}}},
	} {
		d := parseSVG(t, Chart{Title: name, Series: series})
		if !d.has(name) || !d.has("0") || !d.has("1.0") {
			t.Errorf("%s: want empty axes from 0 to 1, got texts %q", name, d.texts)
		}
	}
	var one, none bytes.Buffer
	point := Chart{Series: []Series{{X: []float64{3}, Y: []float64{7}}}}
	if err := errors.Join(SVG(&none, Chart{}), SVG(&one, point)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(one.String(), "fill:"+blue) || strings.Contains(none.String(), "fill:"+blue) {
		t.Error("a single point is not drawn as a mark")
	}
}

func TestSVGThinsButKeepsSpikes(t *testing.T) {
	const n = 200_000
	x, y := make([]float64, n), make([]float64, n)
	for i := range x {
		x[i], y[i] = float64(i), math.Sin(float64(i)/1e4)
	}
	y[123_457], y[50_001], y[150_000] = 50, -50, nan
	kept := thinned(x, y)
	if len(kept) > maxPoints || len(kept) < maxPoints/2 {
		t.Errorf("%d points are drawn, want about %d", len(kept), maxPoints)
	}
	if !slices.IsSorted(kept) || len(slices.Compact(slices.Clone(kept))) != len(kept) {
		t.Error("points are out of order or double")
	}
	for _, i := range []int{0, n - 1, 123_457, 50_001} {
		if !slices.Contains(kept, i) {
			t.Errorf("point %d was thinned away", i)
		}
	}
	if runs := runsOf(x, y); len(runs) != 2 {
		t.Errorf("one NaN cuts the curve into %d runs, want 2", len(runs))
	}
	for i := 1; i < n; i += 2 {
		y[i] = nan
	}
	if runs := runsOf(x, y); len(runs) > maxPoints {
		t.Errorf("%d runs are drawn", len(runs))
	}
}

func TestSVGRange(t *testing.T) {
	p := func(v float64) *float64 { return &v }
	s := []Series{{X: []float64{0, 1, 2}, Y: []float64{0.2, 0.4, 1e99}}}
	d := parseSVG(t, Chart{Series: s, YMin: p(0), YMax: p(1)})
	if !d.has("1.0") || d.has("1.2") {
		t.Errorf("y axis 0..1 has texts %q", d.texts)
	}
	for _, c := range []Chart{
		{YMin: p(1), YMax: p(1)}, {YMin: p(2), YMax: p(1)}, {YMin: p(nan)}, {YMax: p(math.Inf(1))},
		{Width: -1}, {Width: 10}, {Height: 1 << 40},
		{Series: []Series{{Name: "a", X: []float64{1}}}},
	} {
		if err := SVG(io.Discard, c); err == nil {
			t.Errorf("SVG(%+v) gave no error", c)
		}
	}
	parseSVG(t, Chart{Series: s, YMin: p(1e99)})
	parseSVG(t, Chart{Series: s, YMax: p(-5)})
	if err := SVG(failing{}, Chart{}); !errors.Is(err, errFull) {
		t.Errorf("SVG to a full disk: %v", err)
	}
}

func TestLegendFits(t *testing.T) {
	c := Chart{}
	for i := range 60 {
		name := strings.Repeat("long ", 40) + strconv.Itoa(i)
		c.Series = append(c.Series, Series{Name: name, X: []float64{0, 1}, Y: []float64{0, float64(i)}})
	}
	entries, more := 0, 0
	for _, s := range parseSVG(t, c).texts {
		if strings.HasPrefix(s, "long ") {
			entries++
		}
		if rest, ok := strings.CutPrefix(s, "and "); ok {
			more, _ = strconv.Atoi(strings.TrimSuffix(rest, " more"))
		}
	}
	if entries < 5 || entries+more != 60 {
		t.Errorf("60 series have %d legend entries and %d more", entries, more)
	}
}

// TestLegendBelow: a narrow chart has its names under it, all of them or some
// and how many more, and its plot is as wide as without.
func TestLegendBelow(t *testing.T) {
	for _, tc := range []struct{ series, names, more, height int }{
		{1, 0, 0, 260}, {2, 2, 0, 260 + 18 + 8}, {12, 12, 0, 260 + 6*18 + 8}, {40, 19, 21, 260 + 10*18 + 8},
	} {
		c := Chart{Width: 420, Height: 260}
		for i := range tc.series {
			c.Series = append(c.Series, Series{Name: fmt.Sprintf("VGG19_LSTM(R) %d", i%10), X: []float64{0, 1}, Y: []float64{0, float64(i)}})
		}
		d := parseSVG(t, c)
		names := 0
		for _, s := range d.texts {
			if strings.HasPrefix(s, "VGG19") {
				names++
			}
		}
		if more := fmt.Sprintf("and %d more", tc.more); names != tc.names || d.has(more) != (tc.more > 0) {
			t.Errorf("%d series: %d names, %q is there: %v", tc.series, names, more, d.has(more))
		}
		if want := fmt.Sprintf("420x%d", tc.height); d.size != want {
			t.Errorf("%d series: size %s, want %s", tc.series, d.size, want)
		}
	}
}

// TestMayBeLog: an axis is logarithmic where that shows more, and only there.
func TestMayBeLog(t *testing.T) {
	zero := 0.0
	for name, tc := range map[string]struct {
		y    []float64
		min  *float64
		want bool
	}{
		"wide":   {[]float64{5, .5, .05, nan}, nil, true},
		"narrow": {[]float64{2, 1, .05}, nil, false},
		"zero":   {[]float64{5, 0, .05}, nil, false},
		"given":  {[]float64{5, .5, .05}, &zero, false},
		"far":    {[]float64{5e-324, 1, 9e99}, nil, true},
	} {
		x := []float64{0, 1, 2, 3}[:len(tc.y)]
		d := parseSVG(t, Chart{YLabel: "loss", MayBeLog: true, YMin: tc.min, Series: []Series{{X: x, Y: tc.y}}})
		if got := d.has("loss, log scale"); got != tc.want {
			t.Errorf("%s: logarithmic: %v, want %v", name, got, tc.want)
		}
		if name == "wide" && !(d.has("0.05") && d.has("0.5") && d.has("5") && d.has("0.1")) {
			t.Errorf("%s: ticks %q", name, d.texts)
		}
	}
}

// TestThemed: every colour is the page's to set, and as drawn where it is not.
func TestThemed(t *testing.T) {
	c := Chart{XLabel: "step"}
	for i := range 8 {
		c.Series = append(c.Series, Series{Name: fmt.Sprint(i), X: []float64{0, 1}, Y: []float64{0, float64(i)}})
	}
	var b bytes.Buffer
	if err := SVG(&b, c); err != nil {
		t.Fatal(err)
	}
	svg := string(Themed(b.Bytes()))
	for _, want := range []string{"fill:var(--plot-ground,#FFFFFF)", "fill:var(--plot-ink,#333333)", "stroke:var(--plot-grid,#E3E3E3)", "stroke:var(--plot-1,#0072B2)", "stroke:var(--plot-7,#1A1A1A)"} {
		if !strings.Contains(svg, want) {
			t.Errorf("a themed chart lacks %s", want)
		}
	}
	if strings.Contains(svg, ":#") {
		t.Error("a themed chart has colours of its own")
	}
}

func TestClean(t *testing.T) {
	if got, want := clean(" a\x00\x1b\nb\xff\ufffe ", 9), "a b\uFFFD"; got != want {
		t.Errorf("clean = %q, want %q", got, want)
	}
	if got, want := clean("äöüäöü", 5), "äöüä…"; got != want {
		t.Errorf("clean = %q, want %q", got, want)
	}
}

func TestTicks(t *testing.T) {
	for _, tc := range []struct {
		lo, hi float64
		n      ticker
		want   string
	}{
		{0, 1, 5, "0 0.2 0.4 0.6 0.8 1.0"},
		{0, 0.7, 6, "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7"},
		{-10, 10, 3, "-10 -5 0 5 10"},
		{0, 100000, 4, "0 20000 40000 60000 80000 100000"},
		{0, 3e8, 3, "0 1e+08 2e+08 3e+08"},
		{1e-9, 3e-9, 1, "1e-09 2e-09 3e-09"},
	} {
		var got []string
		for _, tick := range tc.n.Ticks(tc.lo, tc.hi) {
			got = append(got, tick.Label)
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("ticker(%d).Ticks(%g, %g) = %s, want %s", tc.n, tc.lo, tc.hi, s, tc.want)
		}
	}
}

// TestSVGAnyInput throws at SVG what a diverged run may hold: no panic, XML
// that parses, coordinates that are numbers, few ticks.
func TestSVGAnyInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Float64(), rapid.Just(nan), rapid.Just(math.Inf(-1)),
			rapid.Just(5e-324), rapid.Float64Range(1e9, 1e9+1), rapid.Float64Range(-farOut, farOut))
		c := Chart{Title: rapid.String().Draw(t, "title"), YLabel: rapid.String().Draw(t, "label")}
		for range rapid.IntRange(0, 3).Draw(t, "series") {
			n := rapid.IntRange(0, 6).Draw(t, "n")
			c.Series = append(c.Series, Series{
				Name: rapid.String().Draw(t, "name"),
				X:    rapid.SliceOfN(value, n, n).Draw(t, "x"),
				Y:    rapid.SliceOfN(value, n, n).Draw(t, "y"),
			})
		}
		c.MayBeLog = rapid.Bool().Draw(t, "log")
		c.Width = rapid.SampledFrom([]int{0, 160, 420}).Draw(t, "width")
		for _, end := range []**float64{&c.YMin, &c.YMax} {
			if rapid.Bool().Draw(t, "fixed") {
				v := value.Draw(t, "end")
				*end = &v
			}
		}
		var buf bytes.Buffer
		if err := SVG(&buf, c); err != nil {
			return // an end that cannot be one
		}
		d, err := readSVG(&buf)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.texts) > 40 {
			t.Fatalf("%d texts", len(d.texts))
		}
	})
}
