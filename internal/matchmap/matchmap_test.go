package matchmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/vision"
)

// spotModel answers to brightness: its image tower is an average of 3 by 3 pixels
// by steps of 2 with a border of 1, twice, its audio tower the same over time, all
// weights 1, so the match of a place and a step is the product of what lies under
// them.
func spotModel(t *testing.T, similarity string) *model.Model[float32] {
	t.Helper()
	conv := func(name string) model.Layer {
		return model.Layer{Op: "conv", Name: name, Kernel: 3, Stride: 2, Pad: 1, Channels: 1}
	}
	m, err := model.New[float32](model.Spec{
		Image:  model.Tower{Name: "spot", Dims: 2, In: 3, Layers: []model.Layer{conv("a"), conv("b")}},
		Audio:  model.Tower{Name: "spot", Dims: 1, In: 1, Layers: []model.Layer{conv("c"), conv("d")}},
		Height: 32, Width: 32, Frames: 40, Length: model.LengthTrue, Similarity: similarity, Scale: 1, Init: model.InitHe,
		Pixels: &model.PixelNorm{Scale: 255},
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		for i := range p.W {
			p.W[i] = 1
			if strings.HasSuffix(p.Name, "bias") {
				p.W[i] = 0
			}
		}
	}
	return m
}

// lit is a dark picture with one bright square of 5 by 5 pixels around a pixel,
// and a silent clip with 5 loud frames around a frame.
func lit(px, py, frame int) (minibatch.Image, []float32) {
	pixels := make([]uint8, 32*32*3)
	for y := py - 2; y <= py+2; y++ {
		for x := px - 2; x <= px+2; x++ {
			copy(pixels[(y*32+x)*3:], []uint8{255, 255, 255})
		}
	}
	frames := make([]float32, 40)
	for f := frame - 2; f <= frame+2; f++ {
		frames[f] = 1
	}
	return minibatch.Image{Pixels: pixels}, frames
}

var spotSenses = Senses{X: Tile(32), Y: Tile(32), Frames: FrameAxis(551, 221, 22050)}

// TestPeak: the peak of a model whose answer is known lies in the square that is
// lit, at the time when it is heard, wherever these are.
func TestPeak(t *testing.T) {
	for _, kind := range []string{"misa", "sima", "sisa"} {
		m := spotModel(t, kind)
		for _, at := range [][3]int{{3, 9, 7}, {8, 8, 20}, {22, 13, 33}, {29, 29, 4}, {14, 27, 12}, {11, 5, 26}} {
			img, frames := lit(at[0], at[1], at[2])
			mm, err := Compute(m, img, frames, spotSenses)
			if err != nil {
				t.Fatal(err)
			}
			k := mm.Peak(0, mm.Steps)
			if x, y := k.X*32-.5, k.Y*32-.5; math.Abs(x-float64(at[0])) > 1.5 || math.Abs(y-float64(at[1])) > 1.5 {
				t.Errorf("%s: a square around pixel %v: peak at %.2f, %.2f", kind, at[:2], x, y)
			}
			if want := (551./2 + 221*float64(at[2])) / 22050; math.Abs(k.Sec-want) > 2.01*221/22050 {
				t.Errorf("%s: a sound at %.3f s: peak at %.3f s", kind, want, k.Sec)
			}
		}
	}
}

// TestScore: the score is the similarity of the kind, of a map by hand.
func TestScore(t *testing.T) {
	m := &Map{Height: 1, Width: 2, Steps: 3, M: []float32{1, 5, 3, 4, 2, 6}}
	for kind, want := range map[string]float64{"misa": (4 + 5 + 6) / 3., "sima": (5 + 6) / 2., "sisa": 21 / 6., "attention": 21} {
		m.Similarity = kind
		if got := m.score(); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}

// TestFrozenAxis: where the places of pretrained networks' maps lie.
func TestFrozenAxis(t *testing.T) {
	for _, c := range []struct {
		tower, layer  string
		side, n       int
		first, second float64 // pixels
	}{
		{"vgg16", "conv5_3", 224, 14, 8, 24},
		{"VGG19 (VGG16 + identity)", "conv5_4", 224, 14, 8, 24},
		{"vgg16", "pool4", 224, 14, 8, 24},
		{"resnet50", "stage 4", 224, 14, .5, 16.5},
		{"resnet50", "stage 5", 224, 7, .5, 32.5},
		{"resnet50", "stage 4", 224, 7, 8.5, 40.5}, // pooled by 2
		{"vgg16", "conv5_3", 240, 5, 24, 72},       // 15 places pooled by 3
		{"resnet50 + vgg16", "stage 4 + conv5_3", 224, 14, 4.25, 20.25},
	} {
		a := FrozenAxis(c.tower, c.layer, c.side, c.n)
		if got := [2]float64{a.At(0) * float64(c.side), a.At(1) * float64(c.side)}; math.Abs(got[0]-c.first) > 1e-9 || math.Abs(got[1]-c.second) > 1e-9 {
			t.Errorf("%s %s of %d px, %d places: %v, want %v and %v", c.tower, c.layer, c.side, c.n, got, c.first, c.second)
		}
	}
}

func testFigure(t *testing.T) *Figure {
	t.Helper()
	img, frames := lit(22, 13, 20)
	mm, err := Compute(spotModel(t, "misa"), img, frames, spotSenses)
	if err != nil {
		t.Fatal(err)
	}
	return &Figure{
		Map: mm, Photo: &vision.RGB{W: 32, H: 32, Pix: img.Pixels}, Caption: "a light\x1b[2J, 光", Words: []Word{{"a", 0, .1}, {"light", .1, .4}},
		Samples: make([]float32, 8820), Seconds: .4,
	}
}

// TestStrip: the picture can be read, shows the lit square warm and the dark one
// as it was, and is the same every time.
func TestStrip(t *testing.T) {
	f := testFigure(t)
	one, err := f.StripPNG()
	if err != nil {
		t.Fatal(err)
	}
	two, _ := f.StripPNG()
	if !bytes.Equal(one, two) {
		t.Error("the same figure gives other bytes")
	}
	m, err := png.Decode(bytes.NewReader(one))
	if err != nil {
		t.Fatal(err)
	}
	l := f.layout()
	second := image.Pt(left+l.photo.W+20, margin+64)
	at := func(x, y int) color.RGBA {
		p := second.Add(image.Pt(x*l.photo.W/32+l.photo.W/64, y*l.photo.H/32+l.photo.H/64))
		r, g, b, _ := m.At(p.X, p.Y).RGBA()
		return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255}
	}
	if c := at(20, 11); c.R < 200 || c.B > 220 {
		t.Errorf("the lit square is %v under the heat", c)
	}
	if c := at(4, 28); c != (color.RGBA{0, 0, 0, 255}) {
		t.Errorf("a dark corner far from it is %v, want as in the photo", c)
	}
}

// TestFigureErrors: what cannot be drawn is an error.
func TestFigureErrors(t *testing.T) {
	for want, change := range map[string]func(f *Figure){
		"no places":         func(f *Figure) { f.Map.M = nil },
		"no photo":          func(f *Figure) { f.Photo = nil },
		"do not go forward": func(f *Figure) { f.Map.Time.Step = 0 },
		"a clip of NaN":     func(f *Figure) { f.Seconds = math.NaN() },
	} {
		f := testFigure(t)
		change(f)
		for name, draw := range map[string]func() error{"strip": func() error { return f.Strip(&bytes.Buffer{}) }, "animation": func() error { return f.Animate(&bytes.Buffer{}) }} {
			if err := draw(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// TestAnimate reads the animation as its format says: what is seen of each frame,
// and that together they last as long as the clip.
func TestAnimate(t *testing.T) {
	f := testFigure(t)
	var b bytes.Buffer
	if err := f.Animate(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(b.Bytes())); err != nil {
		t.Fatalf("as a still picture: %v", err)
	}
	frames, ms := playback(t, b.Bytes())
	if ms != 400 || len(frames) != 6 {
		t.Errorf("%d frames last %d ms, want 6 and 400", len(frames), ms)
	}
	// The sound is at .2 s: the lit square is warmest then, and as before at the end.
	at := func(k int) int {
		r, _, b, _ := frames[k].At(21*filmWidth/32, 12*filmWidth/32).RGBA()
		return int(r>>8) - int(b>>8)
	}
	for k := 1; k < len(frames); k++ {
		if k != 3 && at(k) >= at(3) {
			t.Errorf("frame %d is as warm as the third: %d and %d", k, at(k), at(3))
		}
	}
}

// grown is a writer that looks, each time a layer begins, at how much memory has
// come to be in use since the first; it fails from some layer on.
type grown struct {
	layers, failAt int
	first, most    uint64
}

func (g *grown) Write(p []byte) (int, error) {
	if string(p) != "fcTL" {
		return len(p), nil
	}
	if g.layers++; g.layers == g.failAt {
		return 0, errors.New("the disk is full")
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if g.first == 0 {
		g.first = m.HeapAlloc
	}
	if m.HeapAlloc > g.first {
		g.most = max(g.most, m.HeapAlloc-g.first)
	}
	return len(p), nil
}

// TestAnimateMemory: layers are written as they are drawn. Together these would be
// 38 MB, and encoded some more.
func TestAnimateMemory(t *testing.T) {
	f := testFigure(t)
	f.Seconds = 4
	g := &grown{}
	if err := f.Animate(g); err != nil {
		t.Fatal(err)
	}
	if g.layers != 49 {
		t.Errorf("%d pictures, want the photo and 48", g.layers)
	}
	if g.most > 8<<20 {
		t.Errorf("memory grew by %.1f MB while the layers were written", float64(g.most)/1e6)
	}
	g = &grown{failAt: 3}
	if err := f.Animate(g); err == nil || g.layers != 3 {
		t.Errorf("of a writer that fails at the third picture %d were asked for, %v", g.layers, err)
	}
}

// TestAnimationCount: as many layers as were announced.
func TestAnimationCount(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 2, 2))
	for _, n := range []int{0, 2} {
		a, err := newAnimation(io.Discard, m, 1, n)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.add(m, 2), a.close()); err == nil || !strings.Contains(err.Error(), "announced") {
			t.Errorf("one layer of %d: %v", n, err)
		}
	}
}

// playback composes an animated PNG.
func playback(t *testing.T, data []byte) (frames []image.Image, ms int) {
	t.Helper()
	var header, data1, control []byte
	var canvas *image.RGBA
	sequence := uint32(0)
	next := func(got []byte) {
		if n := binary.BigEndian.Uint32(got); n != sequence {
			t.Fatalf("sequence number %d, want %d", n, sequence)
		}
		sequence++
	}
	show := func() {
		if data1 == nil {
			return
		}
		var one bytes.Buffer
		one.WriteString(signature)
		still := &animation{w: &one}
		err := errors.Join(still.chunk("IHDR", header), still.chunk("IDAT", data1), still.chunk("IEND"))
		m, decodeErr := png.Decode(&one)
		if err = errors.Join(err, decodeErr); err != nil {
			t.Fatal(err)
		}
		out := image.NewRGBA(m.Bounds())
		if canvas != nil {
			copy(out.Pix, canvas.Pix)
		}
		over(out, m)
		frames, data1 = append(frames, out), nil
		if control[24] == disposeNone {
			canvas = out
		}
		ms += int(binary.BigEndian.Uint16(control[20:])) * 1000 / int(binary.BigEndian.Uint16(control[22:]))
	}
	for rest := data[8:]; len(rest) > 0; {
		n := int(binary.BigEndian.Uint32(rest))
		kind, body := string(rest[4:8]), rest[8:8+n]
		switch kind {
		case "IHDR":
			header = body
		case "fcTL":
			show()
			next(body)
			control = body
		case "IDAT":
			data1 = append(data1, body...)
		case "fdAT":
			next(body)
			data1 = append(data1, body[4:]...)
		}
		rest = rest[12+n:]
	}
	show()
	return frames, ms
}

func over(dst *image.RGBA, src image.Image) {
	b := src.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, a := src.At(x, y).RGBA()
			p := dst.Pix[dst.PixOffset(x, y):]
			for c, v := range []uint32{r, g, bl, a} {
				p[c] = uint8((v + uint32(p[c])*257*(0xffff-a)/0xffff) >> 8)
			}
		}
	}
}
