package report

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/matchmap"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/similarity"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

const (
	mapSide, mapCoeffs, mapFrames = 8, 3, 12
	gridSide                      = 4 // places across feature maps
)

// newModel is a model of one layer a tower, with notes; of pixels, or of so many
// channels of feature maps.
func newModel(t *testing.T, seed uint64, channels int, notes ...model.KeyString) *model.Model[float32] {
	t.Helper()
	layer := []model.Layer{{Op: "conv", Name: "a", Kernel: 1, Stride: 1, Channels: 4}}
	spec := model.Spec{
		Image: model.Tower{Name: "i", Dims: 2, In: channels, Layers: layer}, Audio: model.Tower{Name: "a", Dims: 1, In: mapCoeffs, Layers: layer},
		Height: gridSide, Width: gridSide, Frames: mapFrames, Length: model.LengthTrue, Similarity: "misa", Scale: 1, Init: model.InitHe, Notes: notes,
	}
	if channels == 0 {
		spec.Image.In, spec.Height, spec.Width, spec.Pixels = 3, mapSide, mapSide, &model.PixelNorm{Scale: 255}
	}
	m, err := model.New[float32](spec, seed)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func stored(t *testing.T, s *artifacts.Store, m *model.Model[float32]) *artifacts.Artifact {
	t.Helper()
	var config, weights bytes.Buffer
	if err := m.WriteConfig(&config); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteWeights(&weights); err != nil {
		t.Fatal(err)
	}
	return stagetest.Artifact(t, s, "model", stagetest.Part("model.json", blob(model.Format), config.Bytes()), stagetest.Part("model.safetensors", blob(model.WeightsFormat), weights.Bytes()))
}

// pixels of photo i, and the photo twice as wide, of which they are stretched.
func mapPhoto(t *testing.T, i int) (pixels, photo []byte) {
	t.Helper()
	wide := image.NewRGBA(image.Rect(0, 0, 2*mapSide, mapSide))
	for y := range mapSide {
		for x := range 2 * mapSide {
			c := color.RGBA{uint8(30 * (x/2 + i)), uint8(30 * y), uint8(90 * i), 255}
			wide.Set(x, y, c)
			if x%2 == 0 {
				pixels = append(pixels, c.R, c.G, c.B)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, wide); err != nil {
		t.Fatal(err)
	}
	return pixels, b.Bytes()
}

// featureMaps are a network's of all photos; networks differ by their seed.
func featureMaps(t *testing.T, s *artifacts.Store, tower string, channels, seed int) *artifacts.Artifact {
	t.Helper()
	var rows []table.FeatureMap
	for i := range queries {
		half := make([]uint16, gridSide*gridSide*channels)
		for k := range half {
			half[k] = uint16(0x3000 + (k*37+i*101+seed*61)%0x0c00) // .125 to 1
		}
		rows = append(rows, table.FeatureMap{ID: fmt.Sprint("p", i), Height: gridSide, Width: gridSide, Channels: int32(channels), Half: half})
	}
	return stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps(tower, "conv5_3"), rows...))
}

// mapSources are all that examples of photos and clips can be made from, but for
// scores, models and features.
func mapSources(t *testing.T, s *artifacts.Store) Sources {
	t.Helper()
	var captions []table.Caption
	var photos []table.Photo
	var clips []table.MFCC
	var images []table.Image
	for i := range queries {
		pixels, photo := mapPhoto(t, i)
		id, of := fmt.Sprint("c", i), fmt.Sprint("p", i)
		captions = append(captions, table.Caption{ID: id, PhotoID: of, Text: "caption " + id, Split: "validation"})
		photos = append(photos, table.Photo{ID: of, Format: "png", Bytes: photo})
		images = append(images, table.Image{ID: of, Height: mapSide, Width: mapSide, Order: "bgr", Pixels: vision.SwapRB(pixels)})
		clip := table.MFCC{ID: id, NFrames: int32(6 + i), NCoeffs: mapCoeffs, SampleRateHz: 1000, WindowSamples: 20, HopSamples: 10}
		for k := range int(clip.NFrames) * mapCoeffs {
			clip.Features = append(clip.Features, float32((k*(3+i))%7)-2)
		}
		clips = append(clips, clip)
	}
	one := func(typ string, c stagetest.Content) []*artifacts.Artifact {
		return []*artifacts.Artifact{stagetest.Artifact(t, s, typ, c)}
	}
	return Sources{
		Pairs:  []*artifacts.Artifact{stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, captions...), stagetest.Part("photos-0.parquet", table.Photos, photos...))},
		MFCC:   one("mfcc", stagetest.Part("mfcc-00.parquet", table.MFCCs, clips...)),
		Images: one("images", stagetest.Part("images-00.arrow", table.Images, images...)), Examples: 2,
	}
}

// scoredBy are scores of the mean of the models on the sources, with their settings.
func scoredBy(t *testing.T, s *artifacts.Store, src Sources, settings map[string]string, models ...*model.Model[float32]) *artifacts.Artifact {
	t.Helper()
	of := map[string][]*artifacts.Artifact{"pairs": src.Pairs, "mfcc": src.MFCC}
	of["features"] = src.Features
	if src.Features == nil {
		delete(of, "features")
		of["images"] = src.Images
	}
	d, err := dataset.Open(dataset.Of[artifacts.Part](of))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pairs := d.Split("validation")
	images, clips, _ := similarity.Candidates(pairs)
	sum := make([]float64, queries*queries)
	for _, m := range models {
		scorer, err := similarity.NewScorer(m)
		if err != nil {
			t.Fatal(err)
		}
		matrix, err := scorer.Similarities(context.Background(), images, d, clips, d)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range matrix.S {
			sum[i] += v / float64(len(models))
		}
	}
	var ranks []table.Rank
	for i, p := range pairs {
		ranks = append(ranks, table.Rank{Set: "validation", Direction: table.SpeechToImage, Query: p.ID, Partner: p.Photo, Rank: float64(i + 1), Score: sum[i*queries+i], Best: "p0", BestScore: sum[i], Candidates: queries})
	}
	var text bytes.Buffer
	if err := table.WriteMetrics(&text, table.Metrics{System: "mine", Settings: settings, Sets: []table.SetMetrics{{Set: "validation", SpeechToImage: table.RecallMetrics{P10: table.Share{Value: .5}}}}}); err != nil {
		t.Fatal(err)
	}
	return stagetest.Artifact(t, s, "scores", stagetest.Part("metrics.json", blob(table.MetricsSchema), text.Bytes()), stagetest.Part("ranks.parquet", table.Ranks, ranks...))
}

// strip is the matchmap of caption c0 and its photo, drawn by hand.
func strip(t *testing.T, src Sources, m *model.Model[float32], seen minibatch.Image, shape dataset.Shape, words []matchmap.Word) []byte {
	t.Helper()
	clip := stagetest.Rows(t, src.MFCC[0], table.MFCCs)[0]
	mm, err := matchmap.Compute(m, seen, clip.Features, matchmap.SensesOf(shape, mapSide, mapSide, clip))
	if err != nil {
		t.Fatal(err)
	}
	_, photo := mapPhoto(t, 0)
	whole, _, err := vision.Decode(photo)
	if err != nil {
		t.Fatal(err)
	}
	f := &matchmap.Figure{Map: mm, Photo: whole, Caption: "caption c0", About: "mine   c0", Words: words}
	out, err := f.StripPNG()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func collected(t *testing.T, src Sources) report.Page {
	t.Helper()
	page, err := Collect(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Examples) != 4 {
		t.Fatalf("%d examples, want 4", len(page.Examples))
	}
	return page
}

// mapped counts the examples that have a matchmap.
func mapped(page report.Page) (n int) {
	for _, e := range page.Examples {
		if e.Matchmap != nil {
			n++
		}
	}
	return n
}

var seed1 = map[string]string{"training": "seed 1"}

func note(key, value string) model.KeyString { return model.KeyString{Key: key, Value: value} }

// TestMatchmaps: of two models that say the same of themselves, the one that was
// scored is found by its scores, and each example has its map; of the other none.
func TestMatchmaps(t *testing.T) {
	s := stagetest.Store(t)
	src := mapSources(t, s)
	m, other := newModel(t, 1, 0, note("training", "seed 1")), newModel(t, 2, 0, note("training", "seed 1"))
	third := newModel(t, 1, 0, note("training", "seed 3")) // the same weights, by its notes another
	src.Scores = []*artifacts.Artifact{scoredBy(t, s, src, seed1, m)}
	src.Models = []*artifacts.Artifact{stored(t, s, third), stored(t, s, other), stored(t, s, m)}
	page := collected(t, src)
	pixels, _ := mapPhoto(t, 0)
	shape := dataset.Shape{Height: mapSide, Width: mapSide}
	if want := strip(t, src, m, minibatch.Image{Pixels: pixels}, shape, nil); mapped(page) != 4 || !bytes.Equal(page.Examples[0].Matchmap, want) {
		t.Errorf("%d of 4 examples have matchmaps (%s), or the first has another than its own", mapped(page), page.Maps)
	}
	src.Models = src.Models[:2]
	if page = collected(t, src); mapped(page) != 0 || !strings.Contains(page.Maps, "another model, or other data, was scored") {
		t.Errorf("of another model: %d matchmaps, %q", mapped(page), page.Maps)
	}
	src.Models = src.Models[:1]
	if page = collected(t, src); mapped(page) != 0 || !strings.Contains(page.Maps, "none of the models has the settings") {
		t.Errorf("of a model with other settings: %d matchmaps, %q", mapped(page), page.Maps)
	}
}

// TestMapsNeed: without a port there are none, and it is said.
func TestMapsNeed(t *testing.T) {
	s := stagetest.Store(t)
	src := mapSources(t, s)
	m := newModel(t, 1, 0, note("training", "seed 1"))
	src.Scores, src.Models = []*artifacts.Artifact{scoredBy(t, s, src, seed1, m)}, []*artifacts.Artifact{stored(t, s, m)}
	for name, drop := range map[string]func(*Sources){
		"models": func(s *Sources) { s.Models = nil }, "mfcc": func(s *Sources) { s.MFCC = nil }, "images": func(s *Sources) { s.Images = nil },
	} {
		less := src
		drop(&less)
		if page := collected(t, less); mapped(page) != 0 || !strings.Contains(page.Maps, "they take models, mfcc and images") {
			t.Errorf("without %s: %d matchmaps, %q", name, mapped(page), page.Maps)
		}
	}
}

// TestMapsOfFeatures: of several networks' feature maps a model takes its own, in
// its order.
func TestMapsOfFeatures(t *testing.T) {
	s := stagetest.Store(t)
	src := mapSources(t, s)
	a, b := featureMaps(t, s, "vgg16", 2, 1), featureMaps(t, s, "resnet50", 3, 2)
	decoys := []*artifacts.Artifact{featureMaps(t, s, "vgg19 (vgg16 + identity)", 2, 3), featureMaps(t, s, "vgg16", 5, 4), featureMaps(t, s, "vgg16", 2, 5)}
	shape := dataset.Shape{Height: gridSide, Width: gridSide, Channels: 5, Tower: "resnet50 + vgg16", Layer: "conv5_3 + conv5_3"}
	settings := map[string]string{"features": shape.Source()}
	m := newModel(t, 1, 5, note("features", shape.Source()))
	src.Features = []*artifacts.Artifact{b, a}
	src.Scores, src.Models = []*artifacts.Artifact{scoredBy(t, s, src, settings, m)}, []*artifacts.Artifact{stored(t, s, m)}
	src.Features = slices.Concat(decoys, []*artifacts.Artifact{a, b})
	page := collected(t, src)
	joined := dataset.JoinMaps([][]uint16{stagetest.Rows(t, b, table.FeatureMaps("", ""))[0].Half, stagetest.Rows(t, a, table.FeatureMaps("", ""))[0].Half}, gridSide*gridSide)
	if want := strip(t, src, m, minibatch.Image{Half: joined}, shape, nil); mapped(page) != 4 || !bytes.Equal(page.Examples[0].Matchmap, want) {
		t.Errorf("%d of 4 examples have matchmaps (%s), or the first has another than its own", mapped(page), page.Maps)
	}
	src.Features = append(decoys, a)
	if page = collected(t, src); mapped(page) != 0 || !strings.Contains(page.Maps, "other features, images or mfcc than are given") {
		t.Errorf("without its features: %d matchmaps, %q", mapped(page), page.Maps)
	}
}

// TestMapsOfSeveral: a system of several models has the maps of its first, says so,
// and lends all of them its name.
func TestMapsOfSeveral(t *testing.T) {
	s := stagetest.Store(t)
	src := mapSources(t, s)
	a, b := newModel(t, 1, 0, note("training", "seed 1")), newModel(t, 2, 0, note("training", "seed 2"))
	settings := map[string]string{"training": "seed 1; seed 2", table.ScoredBy: "the mean similarity of 2 models"}
	src.Scores = []*artifacts.Artifact{scoredBy(t, s, src, settings, a, b)}
	src.Models = []*artifacts.Artifact{stored(t, s, newModel(t, 3, 0, note("training", "seed"))), stored(t, s, a), stored(t, s, b)}
	page := collected(t, src)
	pixels, _ := mapPhoto(t, 0)
	if want := strip(t, src, a, minibatch.Image{Pixels: pixels}, dataset.Shape{Height: mapSide, Width: mapSide}, nil); mapped(page) != 4 || !bytes.Equal(page.Examples[0].Matchmap, want) {
		t.Errorf("%d of 4 examples have matchmaps (%s), or they are not the first model's", mapped(page), page.Maps)
	}
	if want := "scored by the mean similarity of 2 models; they are those of its first"; !strings.Contains(page.Maps, want) {
		t.Errorf("the page says %q, want %q", page.Maps, want)
	}
	var names []string
	for _, c := range page.Costs {
		names = append(names, c.Name)
	}
	if want := []string{"model", "mine", "mine (2)"}; !slices.Equal(names, want) {
		t.Errorf("models are called %q, want %q", names, want)
	}
}

// TestMapWords: words are asked of the clips as synthesised, and drawn.
func TestMapWords(t *testing.T) {
	s := stagetest.Store(t)
	src := mapSources(t, s)
	m := newModel(t, 1, 0, note("training", "seed 1"))
	src.Scores, src.Models = []*artifacts.Artifact{scoredBy(t, s, src, seed1, m)}, []*artifacts.Artifact{stored(t, s, m)}
	src.Speech = []*artifacts.Artifact{stagetest.Artifact(t, s, "speech", stagetest.Part("clips-00.parquet", table.Clips, table.Clip{ID: "c0", Text: "spoken"}))}
	words, asked := []matchmap.Word{{Text: "word", Start: .01, End: .05}}, map[string]string{}
	src.Words = func(_ context.Context, speech *artifacts.Artifact, clip table.Clip) ([]matchmap.Word, error) {
		if speech != src.Speech[0] {
			t.Error("words are asked of another artifact")
		}
		asked[clip.ID] = clip.Text
		return words, nil
	}
	page := collected(t, src)
	if want := map[string]string{"c0": "spoken"}; !maps.Equal(asked, want) {
		t.Errorf("words are asked of %v, want %v", asked, want)
	}
	pixels, _ := mapPhoto(t, 0)
	if want := strip(t, src, m, minibatch.Image{Pixels: pixels}, dataset.Shape{Height: mapSide, Width: mapSide}, words); mapped(page) != 4 || !bytes.Equal(page.Examples[0].Matchmap, want) {
		t.Errorf("%d of 4 examples have matchmaps (%s), or the first has no words", mapped(page), page.Maps)
	}
}

// TestMapRoom: what is too many bytes is left out, which the example says.
func TestMapRoom(t *testing.T) {
	s := stagetest.Store(t)
	src := mapSources(t, s)
	m := newModel(t, 1, 0, note("training", "seed 1"))
	src.Scores, src.Models = []*artifacts.Artifact{scoredBy(t, s, src, seed1, m)}, []*artifacts.Artifact{stored(t, s, m)}
	page := collected(t, src)
	size := len(page.Examples[0].Matchmap)
	metrics, ranks, err := readScores(src.Scores[0])
	if err != nil {
		t.Fatal(err)
	}
	sys := scored{src.Scores[0], metrics, ranks}
	qs, _, err := chosen(context.Background(), src, sys)
	if err != nil {
		t.Fatal(err)
	}
	found, why, err := mapsOf(context.Background(), src, sys, qs)
	if err != nil || why != "" {
		t.Fatal(why, err)
	}
	lib, err := openLibrary(src)
	if err != nil {
		t.Fatal(err)
	}
	defer lib.close()
	less := report.Page{Examples: make([]report.Example, 4)}
	if err := draw(context.Background(), &less, src, sys, qs, found, lib, size+1); err != nil {
		t.Fatal(err)
	}
	if e := less.Examples; e[0].Matchmap == nil || e[0].Unmapped || e[1].Matchmap != nil || !e[1].Unmapped || !e[3].Unmapped {
		t.Errorf("with room for one, %d have matchmaps, %v", mapped(less), e[1].Unmapped)
	}
}

// TestAsShown: a photo that was stretched is shown in its own shape, one that was
// cut as the model saw it.
func TestAsShown(t *testing.T) {
	pixels, photo := mapPhoto(t, 1)
	seen := table.Image{Height: mapSide, Width: mapSide, Pixels: pixels}
	if m := asShown(photo, seen); m.W != 2*mapSide || m.H != mapSide {
		t.Errorf("a photo that was stretched is shown as %dx%d", m.W, m.H)
	}
	whole, _, err := vision.Decode(photo)
	if err != nil {
		t.Fatal(err)
	}
	seen.Pixels = vision.CenterCrop(whole, mapSide, mapSide).Pix
	if m := asShown(photo, seen); m.W != mapSide {
		t.Errorf("a photo that was cut is shown as %dx%d", m.W, m.H)
	}
	if m := asShown([]byte("no photo"), seen); m.W != mapSide {
		t.Error("what is no photo is shown")
	}
}
