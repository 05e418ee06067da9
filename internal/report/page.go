package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hearsight/hearsight/internal/plot"
)

// A Page is everything the report shows.
type Page struct {
	Title    string
	Systems  []System
	Curves   []Curve
	Costs    []Cost
	Corpus   *Corpus // nil: nothing is known of it
	Examples []Example
	Maps     string // what the examples' matchmaps are of, or why there are none
	Rejects  []Reject
	Spec     string    // text of the spec file
	Versions []Version // kinds, tools, numeric path
	Run      *Run      // nil in an artifact: no clock there
}

// A System is one row of the table: a model and its scores on a set of pairs.
type System struct {
	Name     string
	Set      string // "validation", "hard", …
	Main     bool   // the set by which the system is judged
	Best     bool   // the system whose details are seen at first, and whose examples
	Note     string // what a reader must know of it
	Pairs    int
	Digest   string // of the pairs
	ToPhoto  Recall // speech -> image, the paper's direction
	ToSpeech Recall
	Settings []Setting

	Bootstrap []Line // the same figures, their intervals from resamples of the photos
	Draws     []Line // disjoint random choices of the photos
	ByWords   []Line // captions by length
	ByVoice   []Line
	Confusion []Confusion
	Hardest   []Hard
}

// A Line is how some of a system's queries fared.
type Line struct {
	Name string
	Sum  bool // of the lines that follow
	Recall
}

// A Confusion counts, over photos that found a wrong caption first, of which
// label their own best caption is (row) and the one found (column).
type Confusion struct {
	Of     string // what the labels are: "words", "voice"
	Labels []string
	Rows   []ConfusionRow
}

// A ConfusionRow is a row of a Confusion.
type ConfusionRow struct {
	Label string
	Cells []Cell
}

// A Cell is a count, and how much that is of the largest.
type Cell struct{ N, Percent int }

// A Hard is a caption that found its photo late.
type Hard struct {
	Caption           string
	Rank              float64
	Score, FoundScore float64 // with its own photo and with the one found
	Found             string  // the best of the wrong photos
}

// A Cost is what a model took, as far as results say it: no clock is in them.
type Cost struct {
	Name             string
	Parameters       int
	Bytes            int64 // of the weights' file
	Frames           int   // of the longest clip it takes
	Steps, PairsSeen int64
	PairFLOP, FLOP   float64  // of training: a pair, and all that were seen; 0 where not known
	Loss, P10        *float64 // at the end; nil if not measured
	BestP10          *float64
	BestStep         int64
	Digest           string
}

// Recall is how often a query finds its partner among the k best.
type Recall struct {
	P1, P5, P10                float64
	P1Low, P1High              float64 // Wilson, 95 %
	P5Low, P5High              float64
	P10Low, P10High            float64
	N                          int // queries
	MedianRank, MRR            float64
	TiedQueries                int
	Chance1, Chance5, Chance10 float64 // of a model that knows nothing
}

// A Setting is one line of how a system was made.
type Setting struct{ Name, Value string }

// A Curve is a loss and recall curve, drawn already.
type Curve struct {
	Caption string
	SVG     []byte
}

// A Corpus says what the systems were made from.
type Corpus struct {
	Facts   []Setting // how much there is of what
	Plots   []Curve   // how it is spread
	Voices  []Count   // who speaks
	Reasons []Count   // why items were set aside, the most frequent first
}

// A Count is how many there are of something.
type Count struct {
	Name string
	N    int
}

// An Example is a query and what was found for it.
type Example struct {
	Kind    string // "best" or "worst"
	System  string
	Caption string
	Rank    float64
	Clip    []byte // WAV or another format a browser plays; may be empty
	Clipped string // media type of Clip
	Photo   []byte // the right photo, JPEG or PNG
	Silent  bool   // there is a clip, for which the page has no room
	Found   []byte // the photo ranked first
	Score   float64
	Best    float64 // score of the photo ranked first
	Lead    float64 // of a right answer over the best of the others; 0: none
	// Matchmap is a picture of where the photo described and the clip match, PNG;
	// may be empty.
	Matchmap []byte
	Unmapped bool // there is a matchmap, for which the page has no room
}

// maxRejects are listed; the rest are counted by reason alone.
const maxRejects = 200

// A Reject is an item that was set aside.
type Reject struct{ Item, Stage, Reason string }

// A Version is one thing that the results depend on.
type Version struct{ Name, Value string }

// Run is what the journal says of how long things took.
type Run struct {
	ID      string
	Started time.Time
	Wall    time.Duration
	Host    string
	Stages  []StageTime
}

// A StageTime is one stage's line in the journal.
type StageTime struct {
	Stage, State string
	Items        int64
	Wall, CPU    time.Duration
}

//go:embed page.html
var pageHTML string

// Write writes the page as HTML.
func Write(w io.Writer, p Page) error {
	t, err := template.New("page").Funcs(funcs).Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("report template: %w", err)
	}
	var b bytes.Buffer // so that an error half way leaves no half a page
	if err := t.Execute(&b, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

var funcs = template.FuncMap{
	"p":        func(x float64) string { return strings.TrimPrefix(fmt.Sprintf("%.2f", x), "0") },
	"interval": func(lo, hi float64) string { return fmt.Sprintf("%.2f–%.2f", lo, hi) },
	"num":      num,
	"dur":      func(d time.Duration) string { return d.Round(10 * time.Millisecond).String() },
	"date":     func(t time.Time) string { return t.Format("2006-01-02 15:04 MST") },
	"rows":     tableRows,
	"svg":      func(b []byte) template.HTML { return template.HTML(inlineSVG(b)) }, //nolint:gosec // drawn by internal/plot
	"si":       si,
	"share":    share,
	"anyPaper": anyPaper,
	"some":     func(r []Reject) []Reject { return r[:min(len(r), maxRejects)] },
	"more":     func(r []Reject) int { return max(0, len(r)-maxRejects) },
	"photo":    func(b []byte) template.URL { return dataURL(imageType(b), b) },
	"clip":     func(e Example) template.URL { return dataURL(e.Clipped, e.Clip) },
	"byKind":   byKind,
	"same":     bytes.Equal,
}

func num(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	return strings.TrimSuffix(strings.TrimSuffix(fmt.Sprintf("%.2f", x), "0"), ".0")
}

// si writes a large number with three digits and an SI prefix: "1.21 M".
func si(v any) string {
	x := 0.0
	switch v := v.(type) {
	case int:
		x = float64(v)
	case int64:
		x = float64(v)
	case float64:
		x = v
	}
	if x == 0 {
		return "–"
	}
	if x < 1e4 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	prefix := ""
	for _, p := range []string{"k", "M", "G", "T", "P", "E"} {
		if x < 999.5 {
			break
		}
		x, prefix = x/1000, p
	}
	return fmt.Sprintf("%.3g %s", x, prefix)
}

// share writes a share that may not have been measured.
func share(x *float64) string {
	if x == nil {
		return "–"
	}
	return fmt.Sprintf("%.3f", *x)
}

// anyPaper reports whether a system is one of the paper's.
func anyPaper(systems []System) bool {
	return slices.ContainsFunc(systems, func(s System) bool { return s.Main && Paper(s.Name) != nil })
}

// inlineSVG takes the page's colours, and drops what may stand before the root element, which has no place
// inside an HTML body.
func inlineSVG(b []byte) string {
	if i := bytes.Index(b, []byte("<svg")); i >= 0 {
		return string(plot.Themed(b[i:]))
	}
	return ""
}

func dataURL(mediaType string, b []byte) template.URL {
	return template.URL("data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(b))
}

func imageType(b []byte) string {
	if bytes.HasPrefix(b, []byte("\x89PNG")) {
		return "image/png"
	}
	return "image/jpeg"
}

func byKind(kind string, examples []Example) []Example {
	var out []Example
	for _, e := range examples {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}
