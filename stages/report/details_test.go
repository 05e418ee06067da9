package report

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// TestNames: a model is called as the system that was scored with it.
func TestNames(t *testing.T) {
	s := stagetest.Store(t)
	notes := `{"notes": [{"key": "note", "value": "beware"}, {"key": "towers", "value": "head and conv5"}, {"key": "batch", "value": "4"}]}`
	src := Sources{
		Scores: []*artifacts.Artifact{scores(t, s, "mine", .5)},
		Models: []*artifacts.Artifact{trained(t, s, config, curve(2, 1)...), trained(t, s, notes, curve(2, 1, .5)...)},
	}
	got, err := Collect(context.Background(), src)
	if err != nil || len(got.Costs) != 2 {
		t.Fatalf("%d models, %v", len(got.Costs), err)
	}
	if a, b := got.Costs[0], got.Costs[1]; a.Name != "head and conv5" || b.Name != "mine" || b.Steps != 20 || *b.Loss != .5 || *b.BestP10 != .2 || b.BestStep != 20 {
		t.Errorf("models %+v and %+v", a, b)
	}
	if svg := string(got.Curves[0].SVG); !strings.Contains(svg, ">mine<") || !strings.Contains(svg, ">head and conv5<") {
		t.Error("the curves are not called so")
	}
}

// TestTraining: figures of a curve's end, and the best; what was not measured is
// not there, and training costs what its layers do.
func TestTraining(t *testing.T) {
	s := stagetest.Store(t)
	spec := `"image": {"dims": 2, "in": 3, "layers": [{"op": "conv", "name": "a", "kernel": 1, "stride": 1, "channels": 4}]},
		"audio": {"dims": 1, "in": 5, "layers": [{"op": "conv", "name": "a", "kernel": 1, "stride": 1, "channels": 4}]},
		"height": 2, "width": 3, "frames": 7, "length": "true", "similarity": "sisa", "scale": 1, "init": "he"`
	nan := math.NaN()
	art := trained(t, s, `{"parameters": 40, `+spec+`}`,
		table.CurvePoint{Step: 5, PairsSeen: 20, Loss: 2, P1: .1, P5: .3, P10: .6}, table.CurvePoint{Step: 10, PairsSeen: 40, Loss: 1, P1: .2, P5: .4, P10: .5},
		table.CurvePoint{Step: 12, PairsSeen: 48, Loss: nan, P1: nan, P5: nan, P10: nan})
	got, _, err := ReadTraining(art)
	if err != nil {
		t.Fatal(err)
	}
	if got.Steps != 12 || got.PairsSeen != 48 || *got.Loss != 1 || *got.P1 != .2 || *got.P5 != .4 || *got.P10 != .5 || *got.BestP10 != .6 || got.BestStep != 5 || got.Parameters != 40 || got.Frames != 7 {
		t.Errorf("training %+v", got)
	}
	// Two passes of 2x3 places and of 7 steps, and similarities with a batch of 4.
	if want := 2*2*6*3*4. + 2*2*7*5*4 + 3*2*4*4; got.PairFLOP != want {
		t.Errorf("%v FLOP a pair, want %v", got.PairFLOP, want)
	}
	none, _, err := ReadTraining(trained(t, s, `{}`))
	if err != nil || none.Loss != nil || none.P10 != nil || none.PairFLOP != 0 || none.Steps != 0 {
		t.Errorf("of nothing: %+v, %v", none, err)
	}
}

// TestChances: with several right answers there is more than one chance.
func TestChances(t *testing.T) {
	var c chances
	c.add(10, 1)
	c.add(10, 2)
	c.add(3, 3)
	var r report.Recall
	c.put(&r)
	// 1 - 8/10; 1 - (8*7*6*5*4)/(10*9*8*7*6)
	if want := (.1 + .2 + 1) / 3; math.Abs(r.Chance1-want) > 1e-12 {
		t.Errorf("chance of P@1 is %v, want %v", r.Chance1, want)
	}
	if want := (.5 + 1 - 20./90 + 1) / 3; math.Abs(r.Chance5-want) > 1e-12 || r.Chance10 != 1 {
		t.Errorf("chance of P@5 is %v, want %v; of P@10 %v", r.Chance5, want, r.Chance10)
	}
}

// TestBounds: what is large is made smaller, or left out.
func TestBounds(t *testing.T) {
	big := image.NewRGBA(image.Rect(0, 0, 1000, 500))
	noise := rand.New(rand.NewPCG(1, 1)) // PNG cannot pack it
	for i := range big.Pix {
		big.Pix[i] = byte(noise.Uint32()) | byte(i&3/3*255)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, big); err != nil || b.Len() < maxPhoto {
		t.Fatal(b.Len(), err)
	}
	small, err := shown(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := jpeg.DecodeConfig(bytes.NewReader(small)); err != nil || c.Width != photoPx || c.Height != photoPx/2 {
		t.Errorf("a photo of 1000x500 is shown as %+v, %v", c, err)
	}
	if _, err := shown(make([]byte, maxPhoto+1)); err == nil {
		t.Error("what is no photo is shown")
	}
	s := stagetest.Store(t)
	in := everything(t, s)
	var clips []table.Clip
	for i := range queries {
		clips = append(clips, table.Clip{ID: fmt.Sprint("c", i), Format: "wav", Audio: make([]byte, (1+i/5)*maxClip)})
	}
	in["wav"] = []*artifacts.Artifact{stagetest.Artifact(t, s, "wav", stagetest.Part("clips-00.parquet", table.Clips, clips...))}
	got, err := Collect(context.Background(), Sources{Scores: in["scores"], Pairs: in["pairs"], WAV: in["wav"], Examples: 1})
	if err != nil || len(got.Examples) != 2 {
		t.Fatal(err)
	}
	if a, b := got.Examples[0], got.Examples[1]; len(a.Clip) != maxClip || a.Silent || b.Clip != nil || !b.Silent {
		t.Errorf("clips of %d and %d bytes, left out: %v, %v", len(a.Clip), len(b.Clip), a.Silent, b.Silent)
	}
}

// TestDetails: what stands behind a score is shown.
func TestDetails(t *testing.T) {
	way := func(p float64) table.RecallMetrics {
		return table.RecallMetrics{N: 9, P1: table.Share{Value: p, Low: .1, High: .9}, Bootstrap: &table.Bootstrap{P1: table.Interval{Low: .2, High: .8}}}
	}
	both := table.BothWays{SpeechToImage: way(.5), ImageToSpeech: way(.6)}
	var s report.System
	details(&s, table.SetMetrics{
		SpeechToImage: way(.3), ImageToSpeech: way(.4),
		Draws:     &table.Draws{Photos: 3, One: table.DrawScores{Pooled: both, Each: []table.BothWays{both, both}}, All: &table.DrawScores{Pooled: both}},
		ByWords:   []table.Slice{{Name: "1-6 words", SpeechToImage: way(.7)}},
		Confusion: []table.Confusion{{Of: "voice", Labels: []string{"a", "b"}, Counts: [][]int{{8, 2}, {0, 4}}}},
		Hardest:   []table.HardCaption{{Caption: "c1", Rank: 9}, {Caption: "c2", Text: "a dog", Rank: 8}},
	})
	if b := s.Bootstrap; len(b) != 2 || b[0].P1 != .3 || b[0].P1Low != .2 || b[1].P1High != .8 {
		t.Errorf("bootstrap %+v", b)
	}
	if d := s.Draws; len(d) != 6 || d[0].Name != "2 draws of 3 photos, one caption each" || d[1].P1 != .6 || d[3].Name != "draw 2" || d[3].P1Low != .1 || !d[4].Sum {
		t.Errorf("draws %+v", d)
	}
	if w := s.ByWords; len(w) != 1 || w[0].Name != "1-6 words" || w[0].P1 != .7 || s.ByVoice != nil {
		t.Errorf("by words %+v", w)
	}
	if c := s.Confusion; len(c) != 1 || c[0].Rows[0].Cells[1] != (report.Cell{N: 2, Percent: 25}) || c[0].Rows[1].Label != "b" {
		t.Errorf("confusion %+v", c)
	}
	if h := s.Hardest; len(h) != 2 || h[0].Caption != "c1" || h[1].Caption != "a dog" {
		t.Errorf("hardest %+v", h)
	}
}
