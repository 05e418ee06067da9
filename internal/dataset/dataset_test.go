package dataset

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

// folder is an artifact whose parts are files, by schema.
type folder map[string][]string

func (f folder) Parts(schema string) []string       { return f[schema] }
func (f folder) Open(path string) (*os.File, error) { return os.Open(path) }

// artifact writes rows, each argument a part.
func artifact[R any](t *testing.T, f table.Format[R], parts ...[]R) folder {
	t.Helper()
	out, dir := folder{}, t.TempDir()
	for i, rows := range parts {
		path := filepath.Join(dir, fmt.Sprintf("%02d%s", i, f.Ext()))
		w, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(w, each(rows)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		out[f.Schema()] = append(out[f.Schema()], path)
	}
	return out
}

func each[R any](rows []R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func clip(id string, values ...float32) table.MFCC {
	return table.MFCC{ID: id, NFrames: int32(len(values) / 2), NCoeffs: 2, Features: values}
}

func image(id, order string, pixels ...uint8) table.Image {
	return table.Image{ID: id, Height: 1, Width: 2, Order: order, Pixels: pixels}
}

func feature(id string, half ...uint16) table.FeatureMap {
	return table.FeatureMap{ID: id, Height: 1, Width: 1, Channels: int32(len(half)), Half: half}
}

// mapsOf is the feature maps of several networks, as Inputs takes them.
func mapsOf(of ...rows.Parts[string]) []rows.Parts[string] { return of }

// inputs are two photos with three clips, and some that lack a partner.
func inputs(t *testing.T) Inputs[string] {
	c := func(id, photo, split, group string) table.Caption {
		return table.Caption{ID: id, PhotoID: photo, Split: split, Group: group}
	}
	return Inputs[string]{
		// Parts come as they are hashed, not as their ids are ordered.
		Pairs: artifact(t, table.Captions,
			[]table.Caption{c("b0", "b", "train", ""), c("no clip", "b", "train", "g")},
			[]table.Caption{c("a0", "a", "train", "g"), c("a1", "a", "hard", "h"), c("no photo", "x", "test", "")}),
		MFCC: artifact(t, table.MFCCs,
			[]table.MFCC{clip("b0", 5, 6), clip("no caption", 0, 0)},
			[]table.MFCC{clip("a0", 1, 2, 3, 4), clip("a1", 7, 8), clip("no photo", 9, 9)}),
		Images: artifact(t, table.Images, []table.Image{image("b", "rgb", 1, 2, 3, 4, 5, 6)}, []table.Image{image("a", "rgb", 7, 8, 9, 10, 11, 12), image("nobody's", "rgb", 0, 0, 0, 0, 0, 0)}),
	}
}

func open(t *testing.T, in Inputs[string]) *Data {
	t.Helper()
	d, err := Open(in)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// seen is what a pair comes to: its ids, frames and pixels.
type seen struct {
	ID, Photo string
	Frames    []float32
	Image     minibatch.Image
}

func look(t *testing.T, d *Data, split string) (out []seen) {
	t.Helper()
	for _, p := range d.Split(split) {
		frames, err := d.Frames(p.Clip)
		if err != nil {
			t.Fatal(err)
		}
		img, err := d.Image(p.Image)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, seen{p.ID, p.Photo, frames, img})
	}
	return out
}

// TestJoin: who is a pair, in which order, and what it holds.
func TestJoin(t *testing.T) {
	d := open(t, inputs(t))
	if want := (Shape{Height: 1, Width: 2, Channels: 3, Pixels: true, Coeffs: 2}); !cmp.Equal(d.Shape(), want) {
		t.Errorf("shape %+v, want %+v", d.Shape(), want)
	}
	if got := d.Splits(); !slices.Equal(got, []string{"hard", "train"}) {
		t.Errorf("splits %v", got)
	}
	a, b := minibatch.Image{Pixels: []uint8{7, 8, 9, 10, 11, 12}}, minibatch.Image{Pixels: []uint8{1, 2, 3, 4, 5, 6}}
	if diff := cmp.Diff([]seen{{"a0", "a", []float32{1, 2, 3, 4}, a}, {"b0", "b", []float32{5, 6}, b}}, look(t, d, "train")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]seen{{"a1", "a", []float32{7, 8}, a}}, look(t, d, "hard")); diff != "" {
		t.Error(diff)
	}
	if d.Split("test") != nil || d.Split("none") != nil {
		t.Error("a split without pairs has pairs")
	}
	for id, want := range map[string]string{"a0": "g", "a1": "h", "b0": "", "no clip": "", "none": ""} {
		if got := d.Caption(id); got.Group != want {
			t.Errorf("caption %s is %+v, want group %q", id, got, want)
		}
	}
}

// TestFeatures: maps instead of pictures; and pictures are red first whatever
// order they are kept in.
func TestFeatures(t *testing.T) {
	in := inputs(t)
	in.Images = artifact(t, table.Images, []table.Image{image("a", "bgr", 9, 8, 7, 12, 11, 10)})
	if got := look(t, open(t, in), "train"); len(got) != 1 || !slices.Equal(got[0].Image.Pixels, []uint8{7, 8, 9, 10, 11, 12}) {
		t.Errorf("blue first: %+v", got)
	}
	in.Images, in.Features = nil, mapsOf(artifact(t, table.FeatureMaps("vgg16", "conv5_3"), []table.FeatureMap{feature("a", 1, 2, 3, 4)}))
	d := open(t, in)
	if want := (Shape{Height: 1, Width: 1, Channels: 4, Coeffs: 2, Tower: "vgg16", Layer: "conv5_3"}); !cmp.Equal(d.Shape(), want) {
		t.Errorf("shape %+v, want %+v", d.Shape(), want)
	}
	if got := look(t, d, "train"); len(got) != 1 || !slices.Equal(got[0].Image.Half, []uint16{1, 2, 3, 4}) || got[0].Image.Pixels != nil {
		t.Errorf("features: %+v", got)
	}
}

func TestOpenErrors(t *testing.T) {
	damaged := func(f folder) folder {
		for _, parts := range f {
			if err := os.Truncate(parts[0], 50); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	for want, change := range map[string]func(in *Inputs[string]){
		"neither features nor images":           func(in *Inputs[string]) { in.Images = nil },
		"both features and images":              func(in *Inputs[string]) { in.Features = mapsOf(in.Images) },
		"read images: there are no photos":      func(in *Inputs[string]) { in.Images = folder{} },
		"read features: there are no photos":    func(in *Inputs[string]) { in.Images, in.Features = nil, mapsOf(folder{}) },
		"read mfcc: there are no clips":         func(in *Inputs[string]) { in.MFCC = folder{} },
		"none of 5 captions has both":           func(in *Inputs[string]) { in.MFCC = artifact(t, table.MFCCs, []table.MFCC{clip("x", 1, 2)}) },
		"none of 0 captions has both":           func(in *Inputs[string]) { in.Pairs = folder{} },
		"read captions: open hearsight.caption": func(in *Inputs[string]) { in.Pairs = damaged(in.Pairs.(folder)) },
		"read mfcc: open hearsight.mfcc":        func(in *Inputs[string]) { in.MFCC = damaged(in.MFCC.(folder)) },
		"read images: open hearsight.images":    func(in *Inputs[string]) { in.Images = damaged(in.Images.(folder)) },
	} {
		in := inputs(t)
		change(&in)
		if d, err := Open(in); err == nil || d != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestShapes: a row that is not like the first is an error when it is read, and
// names itself.
func TestShapes(t *testing.T) {
	in := inputs(t)
	odd := table.MFCC{ID: "a0", NFrames: 1, NCoeffs: 3, Features: []float32{1, 2, 3}}
	short := table.MFCC{ID: "a1", NFrames: 2, NCoeffs: 2, Features: []float32{1, 2}}
	in.MFCC = artifact(t, table.MFCCs, []table.MFCC{clip("b0", 5, 6)}, []table.MFCC{odd, short})
	higher := table.Image{ID: "a", Height: 2, Width: 2, Order: "rgb", Pixels: make([]uint8, 12)}
	in.Images = artifact(t, table.Images, []table.Image{image("b", "rgb", 1, 2, 3, 4, 5, 6)}, []table.Image{higher})
	d := open(t, in)
	for split, want := range map[string]string{"train": "a0 has 3 coefficients a frame, others have 2", "hard": "a1 has 2 values in 2 frames of 2"} {
		if _, err := d.Frames(d.Split(split)[0].Clip); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := d.Image(d.Split("hard")[0].Image); err == nil || err.Error() != "a is 2x2x3, others are 1x2x3" {
		t.Errorf("a higher picture: %v", err)
	}
	in.Images = artifact(t, table.Images, []table.Image{image("b", "rgb", 1, 2, 3, 4, 5, 6)}, []table.Image{{ID: "a", Height: 1, Width: 1, Order: "rgb", Pixels: make([]uint8, 3)}})
	d = open(t, in)
	if _, err := d.Image(d.Split("hard")[0].Image); err == nil || err.Error() != "a is 1x1x3, others are 1x2x3" {
		t.Errorf("a narrower picture: %v", err)
	}
	in.Images, in.Features = nil, mapsOf(artifact(t, table.FeatureMaps("", ""), []table.FeatureMap{feature("b", 1, 2)}, []table.FeatureMap{feature("a", 1, 2, 3)}))
	d = open(t, in)
	if _, err := d.Image(d.Split("hard")[0].Image); err == nil || err.Error() != "a is 1x1x3, others are 1x1x2" {
		t.Errorf("a map of more channels: %v", err)
	}
	if frames, err := d.Frames(d.Split("train")[1].Clip); err != nil || !slices.Equal(frames, []float32{5, 6}) {
		t.Errorf("a clip beside the odd ones: %v, %v", frames, err)
	}
}

// TestConcurrent reads everything from several goroutines at once: each row is
// read once and is the same slice for all.
func TestConcurrent(t *testing.T) {
	var captions []table.Caption
	var clips [3][]table.MFCC
	var images [2][]table.Image
	for i := range 60 {
		id := fmt.Sprintf("%02d", i)
		captions = append(captions, table.Caption{ID: id, PhotoID: id, Split: "train"})
		clips[i%3] = append(clips[i%3], clip(id, float32(i), 1, 2, 3))
		images[i%2] = append(images[i%2], image(id, "bgr", 3, 2, uint8(i), 0, 0, 0))
	}
	d := open(t, Inputs[string]{Pairs: artifact(t, table.Captions, captions), MFCC: artifact(t, table.MFCCs, clips[:]...), Images: artifact(t, table.Images, images[:]...)})
	pairs := d.Split("train")
	first := make([][]*float32, 4)
	var wg sync.WaitGroup
	for w := range first {
		first[w] = make([]*float32, len(pairs))
		wg.Go(func() {
			for k := range pairs {
				i := (k*7 + w*13) % len(pairs)
				frames, err := d.Frames(pairs[i].Clip)
				if err != nil || len(frames) != 4 || frames[0] != float32(i) {
					t.Errorf("clip %d: %v, %v", i, frames, err)
					return
				}
				first[w][i] = &frames[0]
				if img, err := d.Image(pairs[i].Image); err != nil || img.Pixels[0] != uint8(i) {
					t.Errorf("photo %d: %v, %v", i, img, err)
				}
			}
		})
	}
	wg.Wait()
	for _, f := range first[1:] {
		if !slices.Equal(f, first[0]) {
			t.Error("a clip was read twice")
		}
	}
}

// TestClose: after Close nothing is left open, and it may be called again.
func TestClose(t *testing.T) {
	d, err := Open(inputs(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Frames(d.Split("train")[0].Clip); err == nil {
		t.Error("a clip was read from a closed file")
	}
}

// TestSeveralNetworks: at each place the channels of one network stand behind
// those of the other, of the photos that both have; mirror images likewise.
func TestSeveralNetworks(t *testing.T) {
	wide := func(id string, half ...uint16) table.FeatureMap {
		return table.FeatureMap{ID: id, Height: 1, Width: 2, Channels: int32(len(half) / 2), Half: half}
	}
	of := func(tower, layer string, maps ...table.FeatureMap) folder {
		return artifact(t, table.FeatureMaps(tower, layer), maps)
	}
	one := of("resnet50", "stage 4", wide("a", 1, 2, 3, 4), wide("b", 5, 6, 7, 8))
	two := of("vgg16", "conv5_3", wide("0", 0, 0), wide("a", 10, 20), wide("b", 30, 40))
	oneMirrored := of("resnet50", "stage 4, mirrored", wide("a", 3, 4, 1, 2), wide("b", 7, 8, 5, 6), wide("c", 0, 0, 0, 0))
	twoMirrored := of("vgg16", "conv5_3, mirrored", wide("a", 20, 10), wide("b", 40, 30))
	in := inputs(t)
	in.Images, in.Features, in.Mirrored = nil, mapsOf(one, two), mapsOf(oneMirrored, twoMirrored)
	d := open(t, in)
	want := Shape{Height: 1, Width: 2, Channels: 3, Coeffs: 2, Tower: "resnet50 + vgg16", Layer: "stage 4 + conv5_3", Sources: []int{2, 1}}
	if !cmp.Equal(d.Shape(), want) || !d.Mirrored() {
		t.Errorf("shape %+v, want %+v", d.Shape(), want)
	}
	a, b := d.Split("train")[0].Image, d.Split("train")[1].Image
	for i, want := range map[int][]uint16{a: {1, 2, 10, 3, 4, 20}, b: {5, 6, 30, 7, 8, 40}} {
		if img, err := d.Image(i); err != nil || !slices.Equal(img.Half, want) {
			t.Errorf("image %d is %v, %v, want %v", i, img, err, want)
		}
	}
	if img, err := d.Mirror(b); err != nil || !slices.Equal(img.Half, []uint16{7, 8, 40, 5, 6, 30}) {
		t.Errorf("mirrored: %v, %v", img, err)
	}
	if err := d.CheckMirrored(d.Split("train")); err != nil {
		t.Error(err)
	}
	in.Mirrored = mapsOf(oneMirrored, of("vgg16", "conv5_3, mirrored", wide("b", 40, 30)))
	d = open(t, in) // a is no photo that is mirrored
	if img, err := d.Mirror(b); err != nil || !slices.Equal(img.Half, []uint16{7, 8, 40, 5, 6, 30}) {
		t.Errorf("mirrored: %v, %v", img, err)
	}
	if img, err := d.Mirror(a); err == nil || !strings.Contains(err.Error(), "vgg16, conv5_3, mirrored: there is no map of a") {
		t.Errorf("no mirror image: %v, %v", img, err)
	}
	if err := d.CheckMirrored(d.Split("train")[1:]); err != nil {
		t.Error(err)
	}
	if err := d.CheckMirrored(d.Split("train")); err == nil || !strings.Contains(err.Error(), "there is no mirror image of a") {
		t.Error(err)
	}
	for want, change := range map[string]func(in *Inputs[string]){
		"maps of x have 1x1 places and those of resnet50 1x2":                         func(in *Inputs[string]) { in.Features[1] = of("x", "y", feature("a", 1)) },
		"read mirrored: 1 networks, features are of 2":                                func(in *Inputs[string]) { in.Mirrored = in.Mirrored[:1] },
		"read mirrored: resnet50, stage 4: 1x2x2 are no maps of mirror images":        func(in *Inputs[string]) { in.Mirrored[0] = one },
		"read mirrored: vgg16, conv5_3, mirrored: 1x2x1 are no maps of mirror images": func(in *Inputs[string]) { in.Mirrored[0], in.Mirrored[1] = in.Mirrored[1], in.Mirrored[0] },
		"mirrored feature maps are given without features":                            func(in *Inputs[string]) { in.Features, in.Images = nil, inputs(t).Images },
	} {
		in := inputs(t)
		in.Images, in.Features, in.Mirrored = nil, mapsOf(one, two), mapsOf(oneMirrored, twoMirrored)
		change(&in)
		if d, err := Open(in); err == nil || d != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
