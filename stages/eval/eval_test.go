package eval

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/npy"
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

// dims is the length of all vectors here.
const dims = 6

// photoModel is a model made by hand: both towers give back what they are given,
// times gain, so that the similarity of a photo and a clip is the product of
// their vectors. With gain 0 all similarities are 0.
func photoModel(t *testing.T, s *artifacts.Store, gain float32) *artifacts.Artifact {
	t.Helper()
	same := func(d int) model.Tower {
		return model.Tower{Name: "same", Dims: d, In: dims, Layers: []model.Layer{{Op: "conv", Name: "same", Kernel: 1, Stride: 1, Channels: dims}}}
	}
	m, err := model.New[float32](model.Spec{
		Image: same(2), Audio: same(1), Height: 1, Width: 1, Frames: 4, Length: model.LengthTrue, Similarity: "misa", Scale: 1, Init: model.InitPyTorch,
		Notes: []model.KeyString{{Key: "towers", Value: "same and same"}, {Key: "gain", Value: fmt.Sprint(gain)}, {Key: "note", Value: "made by hand"}},
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		for i := range p.W {
			p.W[i] = 0
			if len(p.W) == dims*dims && i%dims == i/dims {
				p.W[i] = gain
			}
		}
	}
	var config, weights bytes.Buffer
	if err := m.WriteConfig(&config); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteWeights(&weights); err != nil {
		t.Fatal(err)
	}
	return stagetest.Artifact(t, s, "model", stagetest.Part("model.json", blob(model.Format), config.Bytes()),
		stagetest.Part("model.safetensors", blob(model.WeightsFormat), weights.Bytes()))
}

// A pair here is a caption whose clip is a vector, repeated over its frames.
type pair struct {
	id, photo, split, group string
	clip                    [dims]float32
}

func unit(i int) (v [dims]float32) {
	v[i] = 1
	return v
}

// data has a photo of unit vector i for "p<i>".
func data(t *testing.T, s *artifacts.Store, photos int, pairs ...pair) ports {
	t.Helper()
	var captions []table.Caption
	var clips []table.MFCC
	for k, p := range pairs {
		captions = append(captions, table.Caption{ID: p.id, PhotoID: p.photo, Split: p.split, Group: p.group, Text: "a caption"})
		var frames []float32
		for range 1 + k%5 { // from one frame to one more than the model takes
			frames = append(frames, p.clip[:]...)
		}
		clips = append(clips, table.MFCC{ID: p.id, SHA256: table.SumFloats(frames), NFrames: int32(len(frames) / dims), NCoeffs: dims, Features: frames})
	}
	var maps []table.FeatureMap
	for i := range photos {
		half := make([]uint16, dims)
		half[i] = 0x3c00 // 1
		maps = append(maps, table.FeatureMap{ID: fmt.Sprintf("p%d", i), SHA256: table.SumHalves(half), Height: 1, Width: 1, Channels: dims, Half: half})
	}
	return ports{
		"pairs":    {stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, captions...))},
		"mfcc":     {stagetest.Artifact(t, s, "mfcc", stagetest.Part("mfcc-00.parquet", table.MFCCs, clips...))},
		"features": {stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps("", ""), maps...))},
	}
}

func eval(t *testing.T, s *artifacts.Store, in ports, gain float32, params map[string]any) (*artifacts.Artifact, table.Metrics) {
	t.Helper()
	in["model"] = []*artifacts.Artifact{photoModel(t, s, gain)}
	r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: params})
	m, err := table.ReadMetrics(bytes.NewReader(stagetest.Bytes(t, r.Artifact, "metrics.json")))
	if err != nil {
		t.Fatal(err)
	}
	return r.Artifact, m
}

func matrix(t *testing.T, a *artifacts.Artifact, set string) *npy.Array {
	t.Helper()
	m, err := npy.Read(bytes.NewReader(stagetest.Bytes(t, a, "similarity-"+set+".npy")))
	if err != nil {
		t.Fatal(err)
	}
	if m.Descr != "<f4" {
		t.Errorf("similarities of type %s, want float32", m.Descr)
	}
	return m
}

func near(what string, t *testing.T, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12 {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// TestRight: a model that knows everything is right both ways.
func TestRight(t *testing.T) {
	s := stagetest.Store(t)
	var pairs []pair
	for i := range 5 { // p4 has two captions, p5 none in this set
		pairs = append(pairs, pair{fmt.Sprintf("c%d", i), fmt.Sprintf("p%d", i), "validation", "", unit(i)})
	}
	pairs = append(pairs, pair{"c5", "p4", "validation", "", unit(4)}, pair{"t0", "p5", "train", "", unit(5)})
	a, m := eval(t, s, data(t, s, 6, pairs...), 1, map[string]any{"system": "by hand"})
	if m.System != "by hand" || m.Note != "made by hand" || !cmp.Equal(m.Settings, map[string]string{"towers": "same and same", "gain": "1"}) {
		t.Errorf("metrics say %q, %q, %v", m.System, m.Note, m.Settings)
	}
	if len(m.Sets) != 1 || m.Sets[0].Set != "validation" || m.Sets[0].Pairs != 6 || m.Sets[0].Photos != 5 || m.Sets[0].GroupRight != nil {
		t.Fatalf("sets %+v", m.Sets)
	}
	for n, r := range map[int]table.RecallMetrics{6: m.Sets[0].SpeechToImage, 5: m.Sets[0].ImageToSpeech} {
		if r.N != n || r.P1.Value != 1 || r.P5.Value != 1 || r.P10.Value != 1 || r.MedianRank != 1 || r.MeanRank != 1 || r.MRR != 1 || r.Tied != 0 {
			t.Errorf("recall of %d: %+v", n, r)
		}
		near("upper end", t, r.P1.High, 1)
		if !(r.P1.Low > .5 && r.P1.Low < 1) {
			t.Errorf("lower end %v", r.P1.Low)
		}
	}
	got := matrix(t, a, "validation")
	if !slices.Equal(got.Shape, []int{5, 6}) {
		t.Fatalf("similarities of shape %v, want photos x clips, [5 6]", got.Shape)
	}
	for i := range 5 {
		for j := range 6 {
			want := 0.0
			if i == min(j, 4) {
				want = 1
			}
			if v := got.F64[i*6+j]; v != want {
				t.Errorf("similarity of photo %d and clip %d is %v, want %v", i, j, v, want)
			}
		}
	}
}

// TestConstant: a model that knows nothing is at chance, and says how many tie.
func TestConstant(t *testing.T) {
	s := stagetest.Store(t)
	var pairs []pair
	for i := range 6 {
		pairs = append(pairs, pair{fmt.Sprintf("c%d", i), fmt.Sprintf("p%d", i), "test", fmt.Sprint("g", i/3), unit(i)})
	}
	_, m := eval(t, s, data(t, s, 6, pairs...), 0, nil)
	if m.System != "model" || len(m.Sets) != 1 || m.Sets[0].Set != "test" {
		t.Fatalf("metrics of %s: %+v", m.System, m.Sets)
	}
	for _, r := range []table.RecallMetrics{m.Sets[0].SpeechToImage, m.Sets[0].ImageToSpeech} {
		near("P@1", t, r.P1.Value, 1./6)
		near("P@5", t, r.P5.Value, 5./6)
		near("P@10", t, r.P10.Value, 1)
		near("median rank", t, r.MedianRank, 3.5)
		near("MRR", t, r.MRR, (1+1./2+1./3+1./4+1./5+1./6)/6)
		if r.Tied != 6 {
			t.Errorf("%d queries tie, want 6", r.Tied)
		}
	}
	if g := m.Sets[0].GroupRight; g == nil {
		t.Error("no group scores")
	} else {
		near("group score of equals among three", t, g.Value, 1./3)
	}
}

// ranksOf reads the ranks of a set in the order they are written in.
func ranksOf(t *testing.T, a *artifacts.Artifact, set string) (ranks []table.Rank) {
	t.Helper()
	p, _ := a.Part("ranks.parquet")
	f, err := a.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range table.Ranks.Rows(f, p.Size) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Set == set {
			ranks = append(ranks, r)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return ranks
}

// TestSetsAndRanks: sets are scored each by itself, in the order of the
// parameter; empty ones are not there; ranks stand in the order of the matrix,
// which is how its rows and columns are named.
func TestSetsAndRanks(t *testing.T) {
	s := stagetest.Store(t)
	in := data(t, s, 6,
		// The order of photos is that of the captions: p3, p1, p0.
		pair{"a", "p3", "validation", "", unit(3)}, pair{"b", "p1", "validation", "", [dims]float32{0, 1, 0, 2}}, pair{"c", "p0", "validation", "", unit(0)},
		// Groups: x right, y tied, z wrong; w is alone, v one photo twice.
		pair{"h0", "p0", "hard", "x", unit(0)}, pair{"h1", "p1", "hard", "x", unit(1)},
		pair{"h2", "p2", "hard", "y", [dims]float32{0, 0, 1, 1}}, pair{"h3", "p3", "hard", "y", [dims]float32{0, 0, 1, 1}},
		pair{"h4", "p4", "hard", "z", unit(5)}, pair{"h5", "p5", "hard", "z", unit(4)},
		pair{"h6", "p0", "hard", "w", unit(0)}, pair{"h7", "p1", "hard", "v", unit(1)}, pair{"h8", "p1", "hard", "v", unit(1)},
	)
	a, m := eval(t, s, in, 1, map[string]any{"sets": []any{"none", "hard", "validation"}})
	if len(m.Sets) != 2 || m.Sets[0].Set != "hard" || m.Sets[1].Set != "validation" {
		t.Fatalf("sets %+v", m.Sets)
	}
	if _, ok := a.Part("similarity-none.npy"); ok {
		t.Error("an empty set has similarities")
	}
	if g := m.Sets[0].GroupRight; g == nil {
		t.Error("no group scores")
	} else {
		near("group scores", t, g.Value, .5) // of 1, 1, .5, .5, 0, 0
		if !(g.Low > .1 && g.Low < .5 && g.High > .5 && g.High < .9) {
			t.Errorf("their interval is %v to %v", g.Low, g.High)
		}
	}
	if m.Sets[1].GroupRight != nil {
		t.Error("a set without groups has group scores")
	}
	got := matrix(t, a, "validation")
	if want := []float64{1, 2, 0, 0, 1, 0, 0, 0, 1}; !slices.Equal(got.F64, want) { // p3, p1, p0 by a, b, c
		t.Errorf("similarities %v, want %v", got.F64, want)
	}
	to, from := table.SpeechToImage, table.ImageToSpeech
	rank := func(way, query, partner string, at, score float64, best string, bestScore float64) table.Rank {
		return table.Rank{Direction: way, Query: query, Partner: partner, Rank: at, Score: score, Best: best, BestScore: bestScore, Candidates: 3, Set: "validation"}
	}
	want := []table.Rank{
		rank(to, "a", "p3", 1, 1, "p3", 1), rank(to, "b", "p1", 2, 1, "p3", 2), rank(to, "c", "p0", 1, 1, "p0", 1),
		rank(from, "p3", "a", 2, 1, "b", 2), rank(from, "p1", "b", 1, 1, "b", 1), rank(from, "p0", "c", 1, 1, "c", 1),
	}
	if d := cmp.Diff(want, ranksOf(t, a, "validation"), cmpopts.IgnoreFields(table.Rank{}, "Ties")); d != "" {
		t.Error(d)
	}
}

// TestRows: what is known of a caption stands beside how it fared, both ways, in
// the order of the matrix; a set too small for the draws says so.
func TestRows(t *testing.T) {
	s := stagetest.Store(t)
	var pairs []pair
	var clips []table.Clip
	for i := range 6 {
		pairs = append(pairs, pair{fmt.Sprintf("c%d", i), fmt.Sprintf("p%d", i/2*2), "test", "", unit(i)}) // the second of each is wrong
		clips = append(clips, table.Clip{ID: fmt.Sprintf("c%d", i), Voice: fmt.Sprintf("v%d", i%2)})
	}
	in := data(t, s, 6, pairs...)
	in["model"] = []*artifacts.Artifact{photoModel(t, s, 1)}
	in["speech"] = []*artifacts.Artifact{stagetest.Artifact(t, s, "speech", stagetest.Part("clips-00.parquet", table.Clips, append(clips, table.Clip{ID: "more", Voice: "v9"})...))}
	r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: map[string]any{"draws": 2, "draw_photos": 2}})
	if w := r.Warnings(); len(w) != 1 || !strings.Contains(w[0], "set test: 1 draws of 2 photos in place of 2: it has 3 photos") {
		t.Errorf("warnings %q", w)
	}
	m, err := table.ReadMetrics(bytes.NewReader(stagetest.Bytes(t, r.Artifact, "metrics.json")))
	if err != nil {
		t.Fatal(err)
	}
	set := m.Sets[0]
	if set.Draws == nil || len(set.Draws.One.Each) != 1 || !strings.HasPrefix(set.PairsDigest, "sha256:") || set.SpeechToImage.Bootstrap == nil {
		t.Errorf("metrics are %+v", set)
	}
	if v := set.ByVoice; len(v) != 2 || v[0].Name != "v0" || v[0].SpeechToImage.P1.Value != 1 || v[1].SpeechToImage.P1.Value != 1./3 {
		t.Errorf("by voice: %+v", v) // the wrong ones score 0 with all three photos
	}
	if p := set.ImageToSpeech.P1.Value; p != 1 {
		t.Errorf("P@1 of photos with one right and one wrong caption is %v", p)
	}
	got := stagetest.Rows(t, r.Artifact, table.Queries)
	if len(got) != 6 {
		t.Fatalf("%d rows", len(got))
	}
	for j, q := range got {
		wantRank := 1.
		if j%2 == 1 {
			wantRank = 2 // of three equals
		}
		if q.Caption != fmt.Sprintf("c%d", j) || q.Photo != fmt.Sprintf("p%d", j/2*2) || q.Voice != fmt.Sprintf("v%d", j%2) || q.Text != "a caption" || q.Words != 2 || q.Rank != wantRank || q.Score != float64(1-j%2) || q.ImpostorScore != 0 || q.Set != "test" {
			t.Errorf("row %d: %+v", j, q)
		}
	}
}

// TestSeveral: several models, and both views of a photo, are scored by the mean
// of their similarities; what the models say of themselves stands side by side.
func TestSeveral(t *testing.T) {
	s := stagetest.Store(t)
	in := data(t, s, 3, pair{"a", "p0", "test", "", unit(0)}, pair{"b", "p1", "test", "", unit(1)}, pair{"c", "p2", "test", "", unit(2)})
	in["model"] = []*artifacts.Artifact{photoModel(t, s, 1), photoModel(t, s, 2)}
	var maps []table.FeatureMap
	for i := range 3 { // the mirror image of p0 is p1, that of p1 p2
		half := make([]uint16, dims)
		half[i+1] = 0x3c00
		maps = append(maps, table.FeatureMap{ID: fmt.Sprintf("p%d", i), SHA256: table.SumHalves(half), Height: 1, Width: 1, Channels: dims, Half: half})
	}
	mirrored := stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps("", model.MirroredLayer), maps...))
	for _, c := range []struct {
		mirrored []*artifacts.Artifact
		want     []float64 // photos by clips
		by       string
	}{
		{nil, []float64{2.5, 0, 0, 0, 2.5, 0, 0, 0, 2.5}, "the mean similarity of 2 models"},
		{[]*artifacts.Artifact{mirrored}, []float64{1.25, 1.25, 0, 0, 1.25, 1.25, 0, 0, 1.25}, "the mean similarity of 2 models, the mean of a photo and its mirror image"},
	} {
		if c.mirrored != nil {
			in["mirrored"] = c.mirrored
		}
		r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in})
		if got := matrix(t, r.Artifact, "test"); !slices.Equal(got.F64, c.want) {
			t.Errorf("similarities %v, want %v", got.F64, c.want)
		}
		m, err := table.ReadMetrics(bytes.NewReader(stagetest.Bytes(t, r.Artifact, "metrics.json")))
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{"towers": "same and same", "gain": "1; 2", "scored by": c.by}; !cmp.Equal(m.Settings, want) || m.Note != "made by hand" {
			t.Errorf("settings %v, want %v", m.Settings, want)
		}
	}
	in["mirrored"] = []*artifacts.Artifact{stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps("", model.MirroredLayer), maps[:2]...))}
	if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in}); err == nil || !strings.Contains(err.Error(), "there is no mirror image of p2") {
		t.Errorf("a photo without its mirror image: %v", err)
	}
	in["model"][1] = stagetest.Artifact(t, s, "model", stagetest.Part("model.json", blob(model.Format), []byte("{}")))
	if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in}); err == nil || !strings.Contains(err.Error(), "load model 2 of 2: ") {
		t.Errorf("a bad second model: %v", err)
	}
}

// TestQueryBank: a photo that is near to the bank's captions loses what it has to
// them, whether the bank is of the pairs' own train split or of others.
func TestQueryBank(t *testing.T) {
	s := stagetest.Store(t)
	own := []pair{{"a", "p0", "test", "", unit(0)}, {"b", "p1", "test", "", unit(1)}}
	bank := []pair{{"t0", "p2", "train", "", unit(1)}, {"t1", "p3", "train", "", unit(3)}}
	const beta = 2.
	params := map[string]any{"querybank": 5, "querybank_beta": beta}
	// p0 has 0 with both captions of the bank, p1 1 and 0; no caption has anything
	// with the bank's photos.
	p1 := math.Log((math.Exp(beta)+1)/2) / beta
	want := []float64{1, 0, -p1, 1 - p1}
	one, m := eval(t, s, data(t, s, 4, append(own, bank...)...), 1, params)
	for i, x := range matrix(t, one, "test").F64 {
		if math.Abs(x-want[i]) > 1e-6 {
			t.Errorf("similarity %d is %v, want %v", i, x, want[i])
		}
	}
	if by := m.Settings[table.ScoredBy]; by != "the similarity, less that to a query bank of 5 (beta 2)" {
		t.Errorf("scored by %q", by)
	}

	apart, others := data(t, s, 4, own...), data(t, s, 4, bank...)
	apart["bank_pairs"], apart["bank_mfcc"] = others["pairs"], others["mfcc"]
	two, _ := eval(t, s, apart, 1, params)
	if !slices.Equal(matrix(t, one, "test").F64, matrix(t, two, "test").F64) {
		t.Error("the same bank of pairs of their own gives other similarities")
	}

	for want, c := range map[string]struct {
		remove string
		params map[string]any
	}{
		"bank_pairs and bank_mfcc go together":                {"bank_mfcc", params},
		"no pairs with sound and photo in split train":        {"both", params},
		"say how much the nearest of the bank count for more": {"", map[string]any{"querybank": 5}},
		"in split hard: the splits are [train]":               {"", map[string]any{"querybank": 5, "querybank_beta": beta, "bank_split": "hard"}},
	} {
		in := ports{"model": {photoModel(t, s, 1)}}
		for k, v := range apart {
			if k != c.remove && (c.remove != "both" || !strings.HasPrefix(k, "bank")) {
				in[k] = v
			}
		}
		if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: c.params}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestSame: the same inputs give the same bytes on any number of cores.
func TestSame(t *testing.T) {
	s := stagetest.Store(t)
	in := data(t, s, 3, pair{"a", "p0", "test", "", unit(0)}, pair{"b", "p1", "test", "", unit(2)})
	one, _ := eval(t, s, in, 1, nil)
	for _, procs := range []int{1, 4} {
		before := runtime.GOMAXPROCS(procs)
		two, _ := eval(t, s, in, 1, nil)
		runtime.GOMAXPROCS(before)
		if one.Digest != two.Digest {
			t.Errorf("another artifact on %d cores", procs)
		}
	}
}

func TestWrongInputs(t *testing.T) {
	s := stagetest.Store(t)
	good := data(t, s, 3, pair{"a", "p0", "test", "", unit(0)}, pair{"b", "p1", "train", "", unit(1)})
	good["model"] = []*artifacts.Artifact{photoModel(t, s, 1)}
	frames := make([]float32, 2*dims)
	half := make([]uint16, 2*dims)
	pixels := make([]uint8, 3)
	other := ports{
		// 12 values a frame: two frames of 6 for a model that does not look.
		"mfcc":     {stagetest.Artifact(t, s, "mfcc", stagetest.Part("mfcc-00.parquet", table.MFCCs, table.MFCC{ID: "a", NFrames: 1, NCoeffs: 2 * dims, Features: frames}))},
		"features": {stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps("", ""), table.FeatureMap{ID: "p0", Height: 2, Width: 1, Channels: dims, Half: half}))},
		"images":   {stagetest.Artifact(t, s, "images", stagetest.Part("images-00.arrow", table.Images, table.Image{ID: "p0", Height: 1, Width: 1, Order: "rgb", Pixels: pixels}))},
		"model":    {stagetest.Artifact(t, s, "model", stagetest.Part("model.json", blob(model.Format), []byte("{}")))},
	}
	for name, c := range map[string]struct {
		replace, remove string
		sets            []any
		want            string
	}{
		"coefficients": {"mfcc", "", nil, "frames of 6 coefficients and is given 12"},
		"map":          {"features", "", nil, "features of 1x1x6 and is given 2x1x6"},
		"pixels":       {"images", "features", nil, "starts from features and is given images"},
		"both":         {"images", "", nil, "both features and images"},
		"neither":      {"", "features", nil, "neither features nor images"},
		"model":        {"model", "", nil, "load model 1 of 1: 0 parts of schema " + model.WeightsFormat},
		"no set":       {"", "", []any{"hard"}, "in the sets [hard]: the splits are [test train]"},
		"empty":        {"", "", []any{}, "name at least one split"},
		"twice":        {"", "", []any{"test", "test"}, `"test" is named twice`},
	} {
		in := ports{}
		for k, v := range good {
			if k != c.remove {
				in[k] = v
			}
		}
		if c.replace != "" {
			in[c.replace] = other[c.replace]
		}
		params := map[string]any{}
		if c.sets != nil {
			params["sets"] = c.sets
		}
		if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: params}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
