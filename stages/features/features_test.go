package features

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/x448/float16"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// A tensor is one in the header of a safetensors file.
type tensor struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// passing writes weights of VGG16 whose layers hand on the colours as they are,
// the first layer's times gain: its features are known without computing any.
func passing(t *testing.T, gain float32) string {
	t.Helper()
	header := map[string]any{"__metadata__": map[string]string{"input": "caffe"}}
	ones := map[int64]float32{}
	at, in := int64(0), 3
	layers := []int{0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28} // torchvision's numbers
	for i, out := range []int{64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512} {
		name := fmt.Sprintf("features.%d", layers[i])
		size := int64(2 * out * in * 9)
		header[name+".weight"] = tensor{"F16", []int{out, in, 3, 3}, [2]int64{at, at + size}}
		for c := range 3 {
			ones[at+int64(2*((c*in+c)*9+4))] = gain
		}
		at, gain = at+size, 1
		header[name+".bias"] = tensor{"F16", []int{out}, [2]int64{at, at + int64(2*out)}}
		at, in = at+int64(2*out), out
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, bytes.Repeat([]byte(" "), (8-len(text)%8)%8)...)
	path := filepath.Join(t.TempDir(), "vgg16.safetensors")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	start := int64(8 + len(text))
	_, err = f.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...))
	err = errors.Join(err, f.Truncate(start+at))
	for where, v := range ones {
		_, e := f.WriteAt(binary.LittleEndian.AppendUint16(nil, float16.Fromfloat32(v).Bits()), start+where)
		err = errors.Join(err, e)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

const side = 48

// picture is some picture of 48x48, in blue, green, red.
func picture(seed int) []uint8 {
	out := make([]uint8, side*side*3)
	for i := range out {
		out[i] = uint8((i*i>>4)*seed + i*7)
	}
	return out
}

func imageRow(id, order string, h, w int, pixels []uint8) table.Image {
	return table.Image{ID: id, SHA256: table.SumBytes(pixels), SourceSHA256: "source of " + id, Height: int32(h), Width: int32(w), Order: order, Pixels: pixels}
}

func images(t *testing.T, s *artifacts.Store, rows ...table.Image) map[string][]*artifacts.Artifact {
	t.Helper()
	return stagetest.In("images", stagetest.Artifact(t, s, "images", stagetest.Part("images-00.arrow", table.Images, rows...)))
}

// TestPassing: with weights that hand the colours on, features are the largest
// value of each colour in blocks of 16x16, less the mean, or 0. They are the
// same whichever order the colours are kept in.
func TestPassing(t *testing.T) {
	s := stagetest.Store(t)
	weights := passing(t, 1)
	ids := []string{"a", "b", "c", "d", "e"}
	var bgr, rgb []table.Image
	for i, id := range ids {
		p := picture(i + 1)
		bgr = append(bgr, imageRow(id, "bgr", side, side, p))
		rgb = append(rgb, imageRow(id, "rgb", side, side, vision.SwapRB(p)))
	}
	o := stagetest.Options{Store: s, Inputs: images(t, s, bgr...), Params: map[string]any{"weights": weights}}
	r := stagetest.MustRun(t, Kind, o)
	got := stagetest.Rows(t, r.Artifact, table.FeatureMaps("", ""))
	if len(got) != len(ids) {
		t.Fatalf("%d rows, want %d", len(got), len(ids))
	}
	for i, f := range got {
		if f.ID != ids[i] || f.Height != 3 || f.Width != 3 || f.Channels != 512 || f.SourceSHA256 != bgr[i].SHA256 || f.SHA256 != table.SumHalves(f.Half) {
			t.Fatalf("row %d: %s, %dx%dx%d", i, f.ID, f.Height, f.Width, f.Channels)
		}
		if want := expected(bgr[i].Pixels); !slices.Equal(f.Half, want) {
			t.Errorf("features of %s are not what the weights hand on", f.ID)
		}
	}
	if items := r.Items; items[0].Key[0] != "image sha256:"+bgr[0].SHA256 || len(items[0].Key) != 1 {
		t.Errorf("an item's key is %q", items[0].Key)
	}
	part := r.Artifact.Parts("hearsight.features/1")[0]
	for _, text := range []string{"vgg16", "conv5_3"} {
		if !bytes.Contains(stagetest.Bytes(t, r.Artifact, part.Name), []byte(text)) {
			t.Errorf("the file does not name %s", text)
		}
	}
	o.Inputs = images(t, s, rgb...)
	for i, f := range stagetest.Rows(t, stagetest.MustRun(t, Kind, o).Artifact, table.FeatureMaps("", "")) {
		if !slices.Equal(f.Half, got[i].Half) {
			t.Errorf("features of %s differ when red comes first", f.ID)
		}
	}
}

// TestSplits: only photos of the splits are gone through, with the rows that all
// photos give; the key of a stage that names none is as ever.
func TestSplits(t *testing.T) {
	s := stagetest.Store(t)
	in := images(t, s, imageRow("a", "bgr", side, side, picture(1)), imageRow("b", "bgr", side, side, picture(2)), imageRow("c", "bgr", side, side, picture(3)))
	weights := passing(t, 1)
	run := func(splits ...string) ([]table.FeatureMap, error) {
		params := map[string]any{"weights": weights}
		if splits != nil {
			params["splits"] = splits
		}
		r, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: params})
		if err != nil {
			return nil, err
		}
		return rows.All(table.FeatureMaps("", ""), r.Artifact)
	}
	all, err := run()
	if err != nil || len(all) != 3 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	if _, err := run("train"); err == nil || !strings.Contains(err.Error(), "give port pairs") {
		t.Errorf("splits without pairs: %v", err)
	}
	in["pairs"] = []*artifacts.Artifact{stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions,
		table.Caption{ID: "a#0", PhotoID: "a", Split: "train"}, table.Caption{ID: "b#0", PhotoID: "b", Split: "test"}, table.Caption{ID: "c#0", PhotoID: "c", Split: "dev"}))}
	if got, err := run("train", "dev"); err != nil || !cmp.Equal(got, []table.FeatureMap{all[0], all[2]}) {
		t.Errorf("%d rows, %v, want a and c as among all", len(got), err)
	}
	if _, err := run("training"); err == nil || !strings.Contains(err.Error(), `"training": the splits are [dev test train]`) {
		t.Errorf("an unknown split: %v", err)
	}
	if _, err := run(); err == nil || !strings.Contains(err.Error(), "[train] for one") {
		t.Errorf("pairs without splits: %v", err)
	}
	if key, err := Kind.Canonical(map[string]any{"weights": "w"}); err != nil || bytes.Contains(key, []byte("splits")) {
		t.Errorf("%s, %v", key, err)
	}
}

// TestMirror: mirror: true gives the features of the mirror image, and says so.
func TestMirror(t *testing.T) {
	s := stagetest.Store(t)
	p := picture(1)
	flipped := slices.Clone(p)
	for y := range side {
		for x := range side {
			copy(flipped[(y*side+x)*3:][:3], p[(y*side+side-1-x)*3:][:3])
		}
	}
	for _, order := range []string{"bgr", "rgb"} {
		pixels := p
		if order == "rgb" {
			pixels = vision.SwapRB(p)
		}
		r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: images(t, s, imageRow("a", order, side, side, pixels)), Params: map[string]any{"weights": passing(t, 1), "mirror": true}})
		if got := stagetest.Rows(t, r.Artifact, table.FeatureMaps("", ""))[0]; !slices.Equal(got.Half, expected(flipped)) || slices.Equal(got.Half, expected(p)) {
			t.Errorf("%s: not the features of the mirror image", order)
		}
		if part := r.Artifact.Parts("hearsight.features/1")[0]; !bytes.Contains(stagetest.Bytes(t, r.Artifact, part.Name), []byte("conv5_3, mirrored")) {
			t.Error("the file does not say that photos were mirrored")
		}
	}
}

// TestPool4: cut off before the last block, which here hands on what it gets, the
// features are the same, and of another layer.
func TestPool4(t *testing.T) {
	s := stagetest.Store(t)
	in := images(t, s, imageRow("a", "bgr", side, side, picture(1)))
	run := func(layer string) *artifacts.Artifact {
		return stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: map[string]any{"weights": passing(t, 1), "layer": layer}}).Artifact
	}
	a, b := run("last"), run("pool4")
	if x, y := stagetest.Rows(t, a, table.FeatureMaps("", "")), stagetest.Rows(t, b, table.FeatureMaps("", "")); !slices.Equal(x[0].Half, y[0].Half) {
		t.Error("other features")
	}
	part := b.Parts("hearsight.features/1")[0]
	if text := stagetest.Bytes(t, b, part.Name); !bytes.Contains(text, []byte("pool4")) || bytes.Contains(text, []byte("conv5_3")) {
		t.Error("the file does not name its layer")
	}
}

func expected(bgr []uint8) []uint16 {
	out := make([]uint16, 3*3*512)
	for i := range 3 * 3 {
		for c, mean := range []float32{123.68, 116.779, 103.939} {
			most := uint8(0)
			for y := range 16 {
				for x := range 16 {
					most = max(most, bgr[((i/3*16+y)*side+i%3*16+x)*3+2-c])
				}
			}
			out[i*512+c] = float16.Fromfloat32(max(0, float32(most)-mean)).Bits()
		}
	}
	return out
}

// TestGolden compares with what the weights give in PyTorch (golden/features),
// to the tolerance of float16.
func TestGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("two photos through VGG16 and ResNet50 are 80 GFLOP")
	}
	dir, weights := sharedtest.Path(t, "golden", "features"), sharedtest.Path(t, "data", "weights")
	names, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(names) != 2 {
		t.Fatalf("photos %v, %v", names, err)
	}
	s := stagetest.Store(t)
	var rows []table.Image
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := vision.Decode(data)
		if err != nil || m.W != 224 || m.H != 224 {
			t.Fatalf("%s: %v", name, err)
		}
		rows = append(rows, imageRow(strings.TrimSuffix(filepath.Base(name), ".png"), "bgr", 224, 224, vision.SwapRB(m.Pix)))
	}
	in := images(t, s, rows...)
	for _, c := range []struct {
		tower, file   string
		out, channels int
	}{{"vgg16", "vgg16_conv5_3", 512, 64}, {"resnet50", "resnet50_stage4", 1024, 64}} {
		params := map[string]any{"tower": c.tower, "weights": filepath.Join(weights, model.WeightsFile(c.tower))}
		r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: params})
		got := stagetest.Rows(t, r.Artifact, table.FeatureMaps("", ""))
		if len(got) != 2 {
			t.Fatalf("%s: %d rows", c.tower, len(got))
		}
		for _, f := range got {
			want, err := npy.ReadFile(filepath.Join(dir, f.ID+"."+c.file+".npy"))
			if err != nil {
				t.Fatal(err)
			}
			if f.Height != 14 || f.Width != 14 || int(f.Channels) != c.out {
				t.Fatalf("%s of %s: %dx%dx%d", c.tower, f.ID, f.Height, f.Width, f.Channels)
			}
			compare(t, c.tower+" of "+f.ID, f, c.channels, want.F64)
		}
	}
}

// compare holds every n-th channel of f to want.
func compare(t *testing.T, what string, f table.FeatureMap, kept int, want []float64) {
	t.Helper()
	every := int(f.Channels) / kept
	var diff, gg, ww, gw float64
	for i, w := range want {
		g := float64(float16.Frombits(f.Half[i/kept*int(f.Channels)+i%kept*every]).Float32())
		diff, gg, ww, gw = diff+(g-w)*(g-w), gg+g*g, ww+w*w, gw+g*w
	}
	rms, cosine := math.Sqrt(diff/ww), gw/math.Sqrt(gg*ww)
	t.Logf("%s: relative rms %.2g, 1-cosine %.2g", what, rms, 1-cosine)
	if !(rms <= 4e-4 && cosine >= .999999) {
		t.Errorf("%s: relative rms %.3g, cosine %.9f", what, rms, cosine)
	}
}

// TestErrors: what does not fit, named.
func TestErrors(t *testing.T) {
	s := stagetest.Store(t)
	good, loud := passing(t, 1), passing(t, 6000)
	bare := filepath.Join(t.TempDir(), "bare.safetensors")
	if err := os.WriteFile(bare, append(binary.LittleEndian.AppendUint64(nil, 2), "{}"...), 0o644); err != nil {
		t.Fatal(err)
	}
	in := images(t, s, imageRow("a", "bgr", side, side, picture(3)))
	for name, c := range map[string]struct {
		in     map[string][]*artifacts.Artifact
		params map[string]any
		want   []string
	}{
		"no tensors":      {in, map[string]any{"weights": bare, "input": "caffe"}, []string{bare, "weights of vgg16 do not fit", "features.0.weight is missing", "features.28.bias is missing"}},
		"another network": {in, map[string]any{"weights": good, "tower": "resnet50", "stride": "conv1"}, []string{good, "weights of resnet50 do not fit", "conv1.weight is missing"}},
		"no file":         {in, map[string]any{"weights": bare + ".none"}, []string{"weights of vgg16", "no such file"}},
		"over float16":    {in, map[string]any{"weights": loud}, []string{`item "a"`, "does not fit float16: are the weights those of vgg16?"}},
		"small picture":   {images(t, s, imageRow("a", "bgr", 8, 8, make([]uint8, 8*8*3))), map[string]any{"weights": good}, []string{`item "a"`, "8x8"}},
		"vgg19":           {in, map[string]any{"weights": good, "tower": "vgg19"}, []string{good, "weights of vgg19 do not fit", "features.16.weight is missing", "features.34.bias is missing"}},
		"stride":          {in, map[string]any{"weights": good, "tower": "resnet50"}, []string{good, "does not say where the strides are"}},
		"input":           {in, map[string]any{"weights": bare}, []string{bare, "does not say how pixels go in"}},
	} {
		_, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: c.in, Params: c.params})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: the error does not say %q: %.300v", name, w, err)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		params map[string]any
		want   string // parameter at fault
	}{
		"plain":           {map[string]any{"weights": "w"}, ""},
		"identity":        {map[string]any{"weights": "w", "tower": "vgg19", "init": "vgg16+identity"}, ""},
		"random":          {map[string]any{"tower": "vgg19", "init": "random", "seed": 7}, ""},
		"resnet":          {map[string]any{"weights": "w", "tower": "resnet50", "stage": 5, "stride": "conv2", "input": "torchvision"}, ""},
		"no weights":      {nil, "weights"},
		"random weights":  {map[string]any{"weights": "w", "init": "random"}, "weights"},
		"identity of 16":  {map[string]any{"weights": "w", "init": "vgg16+identity"}, "init"},
		"stage of VGG":    {map[string]any{"weights": "w", "stage": 5}, "stage"},
		"pool4 of resnet": {map[string]any{"weights": "w", "tower": "resnet50", "layer": "pool4"}, "layer"},
		"stride of VGG":   {map[string]any{"weights": "w", "tower": "vgg19", "stride": "conv1"}, "stride"},
	} {
		got := ""
		for _, p := range Kind.Spec().Check(c.params) {
			got += p.Param
		}
		if got != c.want {
			t.Errorf("%s: problems with %q, want %q", name, got, c.want)
		}
	}
}

// TestInit: a VGG19 made of VGG16 hands on what VGG16 does and says what it is;
// a random one needs no weights and is another one for another seed.
func TestInit(t *testing.T) {
	s := stagetest.Store(t)
	p := picture(2)
	in := images(t, s, imageRow("a", "bgr", side, side, p))
	run := func(params map[string]any) (table.FeatureMap, []byte) {
		t.Helper()
		a := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: params}).Artifact
		return stagetest.Rows(t, a, table.FeatureMaps("", ""))[0], stagetest.Bytes(t, a, a.Parts("hearsight.features/1")[0].Name)
	}
	f, file := run(map[string]any{"tower": "vgg19", "init": "vgg16+identity", "weights": passing(t, 1)})
	if !slices.Equal(f.Half, expected(p)) || !bytes.Contains(file, []byte("VGG19 (VGG16 + identity)")) || !bytes.Contains(file, []byte("conv5_4")) {
		t.Errorf("VGG19 made of VGG16 gives %d values, in a file without its name: %.60q", len(f.Half), file)
	}
	if testing.Short() {
		return
	}
	one, file := run(map[string]any{"init": "random"})
	two, _ := run(map[string]any{"init": "random", "seed": 2})
	if one.Height != 3 || one.Channels != 512 || one.SHA256 == two.SHA256 || !bytes.Contains(file, []byte("VGG16 (random)")) {
		t.Errorf("random features are %dx%d, %s and %s", one.Height, one.Channels, one.SHA256, two.SHA256)
	}
}

// TestPool: a map of 3x3 averaged over squares of two places is its first four,
// and more places than there are are an error.
func TestPool(t *testing.T) {
	s := stagetest.Store(t)
	pixels := picture(1)
	o := stagetest.Options{Store: s, Inputs: images(t, s, imageRow("a", "bgr", side, side, pixels)), Params: map[string]any{"weights": passing(t, 1), "pool": 2}}
	whole := expected(pixels)
	got := stagetest.Rows(t, stagetest.MustRun(t, Kind, o).Artifact, table.FeatureMaps("", ""))[0]
	if got.Height != 1 || got.Width != 1 || got.Channels != 512 || got.SHA256 != table.SumHalves(got.Half) {
		t.Fatalf("the map has %dx%dx%d", got.Height, got.Width, got.Channels)
	}
	for c := range 3 {
		mean := 0.
		for _, at := range []int{0, 1, 3, 4} { // rows of three places
			mean += float64(float16.Frombits(whole[at*512+c]).Float32()) / 4
		}
		if v := float64(float16.Frombits(got.Half[c]).Float32()); math.Abs(v-mean) > 1e-3*mean {
			t.Errorf("channel %d is %v, want %v", c, v, mean)
		}
	}
	o.Params["pool"] = 4
	r, err := stagetest.Run(t, Kind, o)
	if err == nil && len(r.Rejects) == 0 {
		t.Error("a map of 3x3 was pooled by four")
	}
}
