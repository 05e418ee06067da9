package report

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/plot"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

type ports = map[string][]*artifacts.Artifact

// blob is a part that is no table: rows of bytes, of which there is one.
type blob string

func (b blob) Schema() string { return string(b) }
func (blob) Ext() string      { return "" }
func (blob) ID([]byte) string { return "" }
func (blob) Write(w io.Writer, rows iter.Seq2[[]byte, error]) (int64, error) {
	for row := range rows {
		if _, err := w.Write(row); err != nil {
			return 0, err
		}
	}
	return 0, nil
}
func (blob) Rows(io.ReaderAt, int64) iter.Seq2[[]byte, error] { return nil }

// queries is how many spoken queries and photos there are: c0 is of p0, ….
const queries = 6

func photo(i int) []byte { return fmt.Appendf(nil, "\x89PNG photo %d", i) }
func sound(i int) []byte { return fmt.Appendf(nil, "RIFF clip %d", i) }

// found is the photo ranked first for query i: its own for the even ones, else
// the one before.
func found(i int) int { return i - i%2 }

// scores are those of a system with a hard set. Query i has rank i+1.
func scores(t *testing.T, s *artifacts.Store, system string, p10 float64) *artifacts.Artifact {
	t.Helper()
	way := table.RecallMetrics{N: queries, P1: table.Share{Value: .5, Low: .2, High: .8}, P5: table.Share{Value: .6}, P10: table.Share{Value: p10, Low: .31, High: .87}, MedianRank: 3.5, MRR: .25, Tied: 2}
	m := table.Metrics{System: system, Note: "note of " + system, Settings: map[string]string{"towers": "head and conv5", "batch": "4"}, Sets: []table.SetMetrics{
		{Set: "validation", Pairs: queries, Photos: queries, SpeechToImage: way, ImageToSpeech: way},
		{Set: "hard", Pairs: 2, Photos: 2, GroupRight: &table.Share{Value: .75, Low: .6, High: .85}},
	}}
	var text bytes.Buffer
	if err := table.WriteMetrics(&text, m); err != nil {
		t.Fatal(err)
	}
	var ranks []table.Rank
	for i := range queries {
		ranks = append(ranks, table.Rank{
			Set: "validation", Direction: table.SpeechToImage, Query: fmt.Sprint("c", i), Partner: fmt.Sprint("p", i), Rank: float64(i + 1),
			Score: 2.5, Best: fmt.Sprint("p", found(i)), BestScore: 3.25, Candidates: 20,
		}, table.Rank{Set: "validation", Direction: table.ImageToSpeech, Query: fmt.Sprint("p", i), Partner: fmt.Sprint("c", i), Rank: 1, Candidates: 40})
	}
	ranks = append(ranks, table.Rank{Set: "hard", Direction: table.SpeechToImage, Query: "h0", Partner: "not there", Best: "not there", Rank: 1, Candidates: 2})
	return stagetest.Artifact(t, s, "scores", stagetest.Part("metrics.json", blob(table.MetricsSchema), text.Bytes()), stagetest.Part("ranks.parquet", table.Ranks, ranks...))
}

func trained(t *testing.T, s *artifacts.Store, config string, curve ...table.CurvePoint) *artifacts.Artifact {
	t.Helper()
	return stagetest.Artifact(t, s, "model", stagetest.Part("curve.parquet", table.Curve, curve...), stagetest.Part("model.json", blob(model.Format), []byte(config)))
}

const config = `{"notes": [{"key": "audio", "value": "long"}, {"key": "towers", "value": "head and conv5"}]}`

func curve(loss ...float64) (out []table.CurvePoint) {
	nan := math.NaN()
	for i, l := range loss {
		p := table.CurvePoint{Step: int64(10 * i), Loss: l, P1: nan, P5: nan, P10: nan}
		if i%2 == 0 {
			p.P10 = float64(i) / 10
		}
		out = append(out, p)
	}
	return out
}

func rejects(t *testing.T, s *artifacts.Store, rows ...table.Reject) *artifacts.Artifact {
	t.Helper()
	return stagetest.Artifact(t, s, "mfcc", stagetest.Part("rejects.parquet", table.Rejects, rows...))
}

// everything is all that a report can be made from.
func everything(t *testing.T, s *artifacts.Store) ports {
	t.Helper()
	var captions []table.Caption
	var photos []table.Photo
	var clips []table.Clip
	for i := range queries {
		captions = append(captions, table.Caption{ID: fmt.Sprint("c", i), PhotoID: fmt.Sprint("p", i), Text: fmt.Sprintf("caption <%d>", i), Split: "validation"})
		photos = append(photos, table.Photo{ID: fmt.Sprint("p", i), Format: "png", Bytes: photo(i)})
		clips = append(clips, table.Clip{ID: fmt.Sprint("c", i), Format: "wav", Audio: sound(i)})
	}
	return ports{
		"scores": {scores(t, s, "VGG16_5", .7), scores(t, s, "mine", .3)},
		"models": {
			trained(t, s, config, curve(2, 1.5, 1.2, 1)...), trained(t, s, config, curve(2, math.NaN(), 1.9)...),
			trained(t, s, config, table.CurvePoint{Loss: math.NaN(), P1: math.NaN(), P5: math.NaN(), P10: .05}), // untrained: a point, no curve
		},
		"pairs": {stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, captions...), stagetest.Part("photos-0.parquet", table.Photos, photos[:2]...), stagetest.Part("photos-1.parquet", table.Photos, photos[2:]...))},
		"wav":   {stagetest.Artifact(t, s, "wav", stagetest.Part("clips-00.parquet", table.Clips, clips...))},
		"rejects": {
			rejects(t, s, table.Reject{Item: "x.mp3", Stage: "wav", Reason: "truncated <MP3>"}),
			stagetest.Artifact(t, s, "images"), // none set aside
			rejects(t, s, table.Reject{Item: "y.jpg", Stage: "photos", Reason: "a text file"}, table.Reject{Item: "z.jpg", Stage: "photos", Reason: "empty"}),
		},
	}
}

func written(t *testing.T, s *artifacts.Store, in ports, params map[string]any) string {
	t.Helper()
	r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: params})
	return string(stagetest.Bytes(t, r.Artifact, page))
}

// TestPage: all that there is to show is shown, from nowhere else, and the same
// twice.
func TestPage(t *testing.T) {
	s := stagetest.Store(t)
	in := everything(t, s)
	spec := filepath.Join(t.TempDir(), "pipeline.yaml")
	if err := os.WriteFile(spec, []byte("version: 1 # <spec>"), 0o644); err != nil {
		t.Fatal(err)
	}
	params := map[string]any{"title": "Tests & trials", "examples": 3, "spec": spec}
	html := written(t, s, in, params)
	data := func(b []byte) string { return ";base64," + base64.StdEncoding.EncodeToString(b) }
	for _, want := range []string{
		"<h1>Tests &amp; trials</h1>", "VGG16_5", "mine", "<small>hard</small>", ".70 <small>0.31–0.87</small>", "2 queries tie", "chance",
		"note of VGG16_5; of two photos that differ only in relation or size the right one scores higher for 75 % of queries",
		"Training loss", "P@10 on the validation pairs", "head and conv5 (2)", // models of equal names are told apart
		"Models and what they cost", "<td>head and conv5 (3)</td>",
		"x.mp3", "truncated &lt;MP3&gt;", "y.jpg", "z.jpg", "version: 1 # &lt;spec&gt;", "head and conv5", "caption &lt;5&gt;",
		data(sound(0)), data(photo(0)), "rank 6, score 2.5 against 3.25",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if m := regexp.MustCompile(`(?i)<(script|link|iframe)|(src|href)="?(https?:)?//|url\(`).FindString(html); m != "" {
		t.Errorf("the page holds %q", m)
	}
	if again := written(t, s, in, params); again != html {
		t.Error("the same inputs gave another page")
	}
}

// TestExamples: the best and the worst queries of the best system, each with
// its own photo and the one ranked first.
func TestExamples(t *testing.T) {
	s := stagetest.Store(t)
	in := everything(t, s)
	src := Sources{Scores: in["scores"], Pairs: in["pairs"], WAV: in["wav"], Examples: 2}
	got, err := Collect(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Examples) != 4 {
		t.Fatalf("%d examples, want 4", len(got.Examples))
	}
	for k, want := range []struct {
		kind  string
		query int
	}{{"best", 0}, {"best", 1}, {"worst", 5}, {"worst", 4}} {
		e, i := got.Examples[k], want.query
		if e.Kind != want.kind || e.System != "VGG16_5" || e.Caption != fmt.Sprintf("caption <%d>", i) || e.Rank != float64(i+1) || e.Score != 2.5 || e.Best != 3.25 {
			t.Errorf("example %d: %s of %s, %q, rank %v", k, e.Kind, e.System, e.Caption, e.Rank)
		}
		if !bytes.Equal(e.Photo, photo(i)) || !bytes.Equal(e.Found, photo(found(i))) || !bytes.Equal(e.Clip, sound(i)) || e.Clipped != "audio/wav" {
			t.Errorf("example %d: photo %q, found %q, clip %q (%s)", k, e.Photo, e.Found, e.Clip, e.Clipped)
		}
	}
	src.Examples = 100 // more than there are: none is both best and worst
	if got, err = Collect(context.Background(), src); err != nil || len(got.Examples) != queries {
		t.Errorf("%d examples, %v; want %d", len(got.Examples), err, queries)
	}
	src.Scores = []*artifacts.Artifact{in["scores"][1], in["scores"][0]} // the best of them, whatever the order
	if got, err = Collect(context.Background(), src); err != nil || got.Examples[0].System != "VGG16_5" || got.Systems[0].Name != "mine" || got.Systems[0].Best || !got.Systems[2].Best || got.Systems[3].Best {
		t.Errorf("examples of %q, %v", got.Examples[0].System, err)
	}
	// A better one of other pairs, whose photos and clips are not given, is no example.
	var text bytes.Buffer
	if err := table.WriteMetrics(&text, table.Metrics{System: "elsewhere", Sets: []table.SetMetrics{{Set: "test", PairsDigest: "sha256:other", SpeechToImage: table.RecallMetrics{P10: table.Share{Value: 1, High: 1}}}}}); err != nil {
		t.Fatal(err)
	}
	other := stagetest.Artifact(t, s, "scores", stagetest.Part("metrics.json", blob(table.MetricsSchema), text.Bytes()), stagetest.Part[table.Rank]("ranks.parquet", table.Ranks))
	src.Scores = append(src.Scores, other)
	if got, err = Collect(context.Background(), src); err != nil || got.Examples[0].System != "VGG16_5" || got.Systems[len(got.Systems)-1].Name != "elsewhere" {
		t.Errorf("examples of %q, %v", got.Examples[0].System, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Collect(ctx, src); err == nil {
		t.Error("a cancelled context is not noticed")
	}
}

// TestChance: chance is that of each direction's candidates.
func TestChance(t *testing.T) {
	s := stagetest.Store(t)
	got, err := Collect(context.Background(), Sources{Scores: []*artifacts.Artifact{scores(t, s, "a", .5)}})
	if err != nil || len(got.Systems) != 2 {
		t.Fatalf("%d systems, %v", len(got.Systems), err)
	}
	a, hard := got.Systems[0], got.Systems[1]
	off := func(got, want float64) bool { return math.Abs(got-want) > 1e-12 }
	if off(a.ToPhoto.Chance1, 1./20) || off(a.ToPhoto.Chance10, .5) || off(a.ToSpeech.Chance1, 1./40) || off(a.ToSpeech.Chance10, .25) {
		t.Errorf("chance %+v, %+v", a.ToPhoto, a.ToSpeech)
	}
	if hard.Set != "hard" || hard.ToPhoto.Chance1 != .5 || hard.ToPhoto.Chance10 != 1 {
		t.Errorf("chance in the hard set %+v", hard.ToPhoto)
	}
	if want := (report.Setting{Name: "batch", Value: "4"}); a.Settings[0] != want || len(a.Settings) != 2 || a.Note != "note of a" {
		t.Errorf("settings %v, note %q", a.Settings, a.Note)
	}
}

// TestCurves: recall is a line between the steps at which it was measured.
func TestCurves(t *testing.T) {
	s := stagetest.Store(t)
	got, err := Collect(context.Background(), Sources{Models: []*artifacts.Artifact{trained(t, s, config, curve(2, 1.5, 1.2, 1, .9)...)}})
	if err != nil || len(got.Curves) != 2 {
		t.Fatalf("%d curves, %v", len(got.Curves), err)
	}
	for i, c := range []plot.Chart{
		{XLabel: "step", YLabel: "loss", MayBeLog: true, Width: chartWidth, Height: chartHeight, Series: []plot.Series{{Name: "head and conv5", X: []float64{0, 10, 20, 30, 40}, Y: []float64{2, 1.5, 1.2, 1, .9}}}},
		{XLabel: "step", YLabel: "P@10", YMin: new(float64), Width: chartWidth, Height: chartHeight, Series: []plot.Series{{Name: "head and conv5", X: []float64{0, 20, 40}, Y: []float64{0, .2, .4}}}},
	} {
		var want bytes.Buffer
		if err := plot.SVG(&want, c); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Curves[i].SVG, want.Bytes()) {
			t.Errorf("the curve of %s is drawn another way", c.YLabel)
		}
	}
}

// TestLess: every optional input may be missing.
func TestLess(t *testing.T) {
	s := stagetest.Store(t)
	for _, missing := range []string{"models", "pairs", "wav", "rejects", "models pairs wav rejects"} {
		in := everything(t, s)
		for _, port := range strings.Fields(missing) {
			delete(in, port)
		}
		html := written(t, s, in, nil)
		for what, c := range map[string]struct{ text, needs string }{
			"curves":   {"Training loss", "models"},
			"examples": {"ranked first", "pairs"},
			"sound":    {"<audio", "wav"},
			"rejects":  {"x.mp3", "rejects"},
		} {
			want := !strings.Contains(missing, c.needs)
			if what == "sound" {
				want = want && !strings.Contains(missing, "pairs")
			}
			if got := strings.Contains(html, c.text); got != want {
				t.Errorf("without %s, %s are there: %v, want %v", missing, what, got, want)
			}
		}
		if !strings.Contains(html, "VGG16_5") {
			t.Errorf("without %s there are no scores", missing)
		}
	}
	if html := written(t, s, everything(t, s), map[string]any{"examples": 0}); strings.Contains(html, "ranked first") || !strings.Contains(html, "Training loss") {
		t.Error("examples: 0 shows some, or less of all else")
	}
}

// TestErrors: inputs that are not what they should be, named.
func TestErrors(t *testing.T) {
	s := stagetest.Store(t)
	other := stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, table.Caption{ID: "c0", PhotoID: "q"}), stagetest.Part("photos.parquet", table.Photos, table.Photo{ID: "q"}))
	for want, change := range map[string]ports{
		"scores 1: 0 metrics parts, want 1":          {"scores": {other}},
		"scores 1: read metrics":                     {"scores": {stagetest.Artifact(t, s, "scores", stagetest.Part("metrics.json", blob(table.MetricsSchema), []byte("{")))}},
		"examples of VGG16_5: pairs hold no photo":   {"pairs": {other}},
		"model 1: 0 parts of schema " + model.Format: {"models": {other}},
		"model 1: model.json":                        {"models": {trained(t, s, "[]")}},
		"model 1: curve: open hearsight.curve/1":     {"models": {stagetest.Artifact(t, s, "model", stagetest.Part("model.json", blob(model.Format), []byte("{}")), stagetest.Part("curve.parquet", blob(table.Curve.Schema()), []byte("no Parquet")))}},
		"rejects: open hearsight.rejects/1":          {"rejects": {stagetest.Artifact(t, s, "wav", stagetest.Part("rejects.parquet", blob(table.Rejects.Schema()), []byte("no")))}},
	} {
		in := everything(t, s)
		for port, v := range change {
			in[port] = v
		}
		if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	in := everything(t, s)
	if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: map[string]any{"spec": filepath.Join(t.TempDir(), "none.yaml")}}); err == nil || !strings.Contains(err.Error(), "read spec") {
		t.Errorf("a spec that is not there: %v", err)
	}
}
