package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/plot"
)

func page() Page {
	r := Recall{P1: .07, P5: .47, P10: .76, P10Low: .67, P10High: .83, MedianRank: 6, MRR: .25, Chance1: .01, Chance10: .1, TiedQueries: 2}
	line := []Line{{Name: "a line", Recall: Recall{N: 77, P1: .25}}}
	loss := 1.25
	return Page{
		Title: "Hearsight",
		Systems: []System{
			{
				Name: "VGG16_5", Set: "validation", Main: true, Pairs: 100, ToPhoto: r, ToSpeech: Recall{P1: .11}, Settings: []Setting{{"batch", "4"}},
				Draws: line, Bootstrap: line, ByWords: line, ByVoice: line, Hardest: []Hard{{Caption: "a <cat>", Rank: 42.5}},
				Confusion: []Confusion{{Of: "voice", Labels: []string{"her", "him"}, Rows: []ConfusionRow{{"her", []Cell{{3, 100}, {0, 0}}}, {"him", []Cell{{1, 33}, {0, 0}}}}}},
			},
			{Name: "VGG16_5", Set: "hard", Pairs: 10},
			{Name: "VGG19_GRU", Set: "validation", Main: true, Pairs: 100},
		},
		Curves: []Curve{{Caption: "loss", SVG: []byte("<?xml version=\"1.0\"?><svg></svg>")}},
		Costs:  []Cost{{Name: "VGG16_5", Parameters: 4725504, PairsSeen: 9600, PairFLOP: 2.5e9, FLOP: 2.4e13, Loss: &loss}},
		Examples: []Example{
			{Kind: "best", Caption: "a dog <b>runs</b>", Photo: []byte("\x89PNG..."), Clip: []byte("RIFF"), Clipped: "audio/wav", Rank: 1, Lead: .5, Matchmap: []byte("\x89PNG map")},
			{Kind: "worst", Silent: true, Unmapped: true, Photo: []byte("\x89PNG one"), Found: []byte("\x89PNG two"), Rank: 9, Score: 1, Best: 2},
		},
		Maps:    "maps of <i>",
		Rejects: []Reject{{"x.jpg", "photos", "not a photo: <script>alert(1)</script>"}},
		Spec:    "version: 1",
	}
}

func TestWrite(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, page()); err != nil {
		t.Fatal(err)
	}
	html := b.String()
	for _, want := range []string{"VGG16_5", ".76 <small>0.67–0.83</small>", "not reported", "a dog &lt;b&gt;runs", "&lt;script&gt;", "data:image/png;base64,", "data:audio/wav;base64,", "<svg></svg>", "version: 1", "2 queries tie",
		"<td>a line</td><td>77</td><td>.25", `<td class="wide">a &lt;cat&gt;</td><td>42.5</td>`, "Confusion by voice", `calc(33 * .0045))">1</td>`, ".67 to .83",
		"<td>4.73 M</td>", "<td>9600</td>", "<td>2.5 G</td>", "<td>24 T</td>", "<td>1.250</td>", "hearsight log --list",
		`alt="where photo and sound match: the photo described, step by step of “a dog &lt;b&gt;runs`, "maps of &lt;i&gt;", "no room for its matchmap", "0.5 ahead of the next photo", "no room for its sound", "rank 9, score 1 against 2"} {
		if !strings.Contains(html, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if strings.Contains(html, "<?xml") || strings.Contains(html, "<script") {
		t.Error("page holds an XML declaration or a script")
	}
	if m := regexp.MustCompile(`(?:src|href)="(?:https?:)?//[^"]*"`).FindString(html); m != "" {
		t.Errorf("page loads %s from the network", m)
	}
}

// TestPaperBesideMain: the paper's figures stand beside the set they are of.
func TestPaperBesideMain(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, page()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), `<td class="first">.07</td><td>.47</td><td>.76</td>`); n != 1 {
		t.Errorf("the paper's figures of VGG16_5 stand there %d times, want 1", n)
	}
	p := page()
	p.Systems = p.Systems[1:2]
	b.Reset()
	if err := Write(&b, p); err != nil || strings.Contains(b.String(), ".67 to .83") {
		t.Errorf("a page without the paper's systems speaks of it (%v)", err)
	}
}

// TestTable1: where one system is the paper's, all of its rows stand there, once
// and in its order, with its figures; other systems come after them.
func TestTable1(t *testing.T) {
	p := page()
	p.Systems = append([]System{{Name: "mine", Set: "validation", Main: true, Pairs: 100}}, p.Systems...)
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	html := b.String()[strings.Index(b.String(), "<tbody>"):]
	html = html[:strings.Index(html, "</table>")]
	at := 0
	for _, want := range []string{
		">VGG16(R)<", "not run", ".05</td><td>.14</td><td>.30", ">VGG16_5<", ".76 <small>", ".07</td><td>.47</td><td>.76", "<small>hard", ">VGG16_6<", "not run", ".12</td><td>.48</td><td>.74",
		">VGG19(R)<", ">VGG19_5<", ">VGG19_6<", ">Resnet50(R)<", ">Resnet50_5<", ">Resnet50_6<", ">VGG19_LSTM(R)<", ">VGG19_LSTM<", ".01</td><td>.10</td><td>.23", ">VGG19_GRU<", "not reported", ">mine<", ">chance<",
	} {
		i := strings.Index(html[at:], want)
		if i < 0 {
			t.Fatalf("the table lacks %q in its place", want)
		}
		at += i + len(want)
	}
	// Two of the twelve rows were run, one of them on two sets.
	if n := strings.Count(html, "not run</td>"); n != 2*10 {
		t.Errorf("%d cells say not run, want two each of ten rows", n)
	}
	if n := strings.Count(html, "<tr"); n != 12+1+1+1 {
		t.Errorf("%d rows, want 15", n)
	}
	p.Systems = p.Systems[:1]
	b.Reset()
	if err := Write(&b, p); err != nil || strings.Contains(b.String(), "not run") {
		t.Errorf("a page without the paper's systems lists them (%v)", err)
	}
}

// TestManyRejects: a page lists some, and says how many more there are.
func TestManyRejects(t *testing.T) {
	var p Page
	for i := range maxRejects + 7 {
		p.Rejects = append(p.Rejects, Reject{Item: fmt.Sprintf("item %d.", i)})
	}
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	if html := b.String(); strings.Count(html, "<td>item ") != maxRejects || !strings.Contains(html, "and 7 more") {
		t.Errorf("of %d rejects %d are listed", len(p.Rejects), strings.Count(html, "<td>item "))
	}
}

// TestTheme: what the page sets for the dark are the colours that charts have.
func TestTheme(t *testing.T) {
	c := plot.Chart{}
	for i := range 7 {
		c.Series = append(c.Series, plot.Series{Name: "a", X: []float64{0, 1}, Y: []float64{0, float64(i)}})
	}
	var b bytes.Buffer
	if err := plot.SVG(&b, c); err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`var\((--plot-\w+),`).FindAllStringSubmatch(inlineSVG(b.Bytes()), -1)
	names := map[string]bool{}
	for _, m := range used {
		names[m[1]] = true
		if !strings.Contains(pageHTML, m[1]+": #") {
			t.Errorf("the page does not set %s", m[1])
		}
	}
	if len(names) != 10 {
		t.Errorf("charts have %d colours, want 10", len(names))
	}
}

func TestSI(t *testing.T) {
	for x, want := range map[float64]string{0: "–", 300: "300", 9600: "9600", 12345: "12.3 k", 999_600: "1 M", 121_792: "122 k", 1.94e14: "194 T"} {
		if got := si(x); got != want {
			t.Errorf("si(%v) = %q, want %q", x, got, want)
		}
	}
}

func TestWriteSameBytes(t *testing.T) {
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := Write(w, page()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("equal pages gave different bytes")
	}
}

func TestWriteRun(t *testing.T) {
	p := page()
	p.Run = &Run{ID: "r1", Started: time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC), Wall: 90 * time.Second, Stages: []StageTime{{Stage: "mfcc", State: "finished", Items: 12, Wall: time.Second, CPU: 2 * time.Second}}}
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2026-11-24 06:00 UTC", "1m30s", "<td>mfcc</td>"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

func TestEmptyPage(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, Page{Title: "empty"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "No system has been scored yet") {
		t.Error("an empty page does not say that it is empty")
	}
}

func TestPaper(t *testing.T) {
	if len(Table1) != 12 {
		t.Errorf("Table 1 has %d rows, want 12", len(Table1))
	}
	if r := Paper("VGG16_5"); r == nil || r.P10 != .76 {
		t.Errorf("Paper(VGG16_5) = %v, want P@10 .76", r)
	}
	if r := Paper("nobody"); r != nil {
		t.Errorf("Paper(nobody) = %v, want nil", r)
	}
}
