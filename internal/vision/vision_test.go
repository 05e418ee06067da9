package vision

import (
	"math"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

func load(t *testing.T, elem ...string) *RGB {
	t.Helper()
	data, err := os.ReadFile(sharedtest.Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	m, info, err := Decode(data)
	if err != nil || len(info.Warnings) > 0 {
		t.Fatalf("Decode(%v) = %v, warnings %q", elem, err, info.Warnings)
	}
	return m
}

func array(t *testing.T, elem ...string) *npy.Array {
	t.Helper()
	a, err := npy.ReadFile(sharedtest.Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// differ returns the share of values that differ, the largest and the mean difference.
func differ(t *testing.T, got []uint8, want []float64) (share, largest, mean float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i, g := range got {
		d := math.Abs(float64(g) - want[i])
		if d > 0 {
			share++
		}
		largest, mean = max(largest, d), mean+d
	}
	n := float64(len(got))
	return share / n, largest, mean / n
}

// Against Pillow 13 on the same pixels: ../../shared/golden/README.md, image/.
func TestResizeIsPillows(t *testing.T) {
	for _, name := range []string{"astronaut", "chelsea", "gray_coins"} {
		m := load(t, "golden", "image", name+".png")
		for _, f := range []struct {
			filter Filter
			name   string
		}{{Bilinear, "bilinear"}, {Bicubic, "bicubic"}, {Nearest, "nearest"}} {
			want := array(t, "golden", "image", name+".resize224_"+f.name+".npy")
			share, largest, _ := differ(t, Resize(m, 224, 224, f.filter).Pix, want.F64)
			if largest != 0 { // the tolerance is 1 on 1 %; this code has the same arithmetic
				t.Errorf("%s, %s: %.3f %% of the values differ, by at most %v", name, f.name, 100*share, largest)
			}
		}
	}
}

func TestNetworkInputsAreTheReferences(t *testing.T) {
	for _, name := range []string{"astronaut", "chelsea", "gray_coins"} {
		m := load(t, "golden", "image", name+".png")
		want := array(t, "golden", "image", name+".caffe_bgr_mean_head.npy")
		got := SubtractMean(SwapRB(Resize(m, 224, 224, Bilinear).Pix), CaffeMeanBGR)
		for i, w := range want.F32() {
			if got[i] != w {
				t.Fatalf("%s: BGR less mean, value %d = %v, want %v", name, i, got[i], w)
			}
		}
		crop := CenterCrop(ResizeShorter(m, 256, Bilinear), 224, 224)
		if _, largest, _ := differ(t, crop.Pix, array(t, "golden", "image", name+".resize256_crop224.npy").F64); largest != 0 {
			t.Errorf("%s: crop differs by %v", name, largest)
		}
		norm := Normalize(crop, ImageNetMean, ImageNetStd)
		head := array(t, "golden", "image", name+".tv_norm_head.npy").F32()
		for i, w := range head { // rows 0..7 of each plane
			c, rest := i/(8*224), i%(8*224)
			if g := norm[c*224*224+rest]; math.Abs(float64(g-w)) > 1e-6 {
				t.Fatalf("%s: normalized value %d = %v, want %v", name, i, g, w)
			}
		}
	}
}

// Decoders differ where chroma is upsampled: tolerance of golden/jpeg/README.md.
func TestDecodeIsNearLibjpeg(t *testing.T) {
	for _, c := range []struct {
		name          string
		largest, mean float64
	}{
		{"astro_420_q90", 16, .6},
		{"astro_422_q85_prog", 16, .6},
		{"chelsea_420_q75_odd", 16, .6},
		{"astro_444_q95", 3, .3},
		{"astro_cmyk", 1, .05},
		{"chelsea_gray", 1, .05},
	} {
		got, want := load(t, "golden", "jpeg", c.name+".jpg"), load(t, "golden", "jpeg", c.name+".pillow.png")
		ref := make([]float64, len(want.Pix))
		for i, p := range want.Pix {
			ref[i] = float64(p)
		}
		_, largest, mean := differ(t, got.Pix, ref)
		if largest > c.largest || mean > c.mean {
			t.Errorf("%s: differs by at most %v, mean %.3f, want %v, %v", c.name, largest, mean, c.largest, c.mean)
		}
		small := array(t, "golden", "jpeg", c.name+".pillow_resize224.npy")
		if _, largest, _ := differ(t, Resize(want, 224, 224, Bilinear).Pix, small.F64); largest != 0 {
			t.Errorf("%s: resize of Pillow's pixels differs by %v", c.name, largest)
		}
	}
}

// Worked by hand, so that something is checked without the shared data: the
// triangle filter from 4 to 2 pixels weighs 3, 3, 1 (of 7) at the border.
func TestResizeByHand(t *testing.T) {
	m := &RGB{4, 1, []uint8{0, 70, 7, 70, 70, 7, 140, 70, 7, 210, 70, 7}}
	got := Resize(m, 2, 1, Bilinear)
	if d := cmp.Diff([]uint8{50, 70, 7, 160, 70, 7}, got.Pix); d != "" {
		t.Errorf("Resize 4x1 to 2x1 (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]uint8{70, 70, 7, 210, 70, 7}, Resize(m, 2, 1, Nearest).Pix); d != "" {
		t.Errorf("Resize nearest (-want +got):\n%s", d)
	}
	same := Resize(m, 4, 1, Bicubic)
	same.Pix[0] = 9
	if m.Pix[0] != 0 {
		t.Error("Resize to the same size shares pixels with its input")
	}
	if got, want := SwapRB([]uint8{1, 2, 3, 4, 5, 6}), []uint8{3, 2, 1, 6, 5, 4}; !cmp.Equal(got, want) {
		t.Errorf("SwapRB = %v, want %v", got, want)
	}
}

func TestResizeOfAConstantIsConstant(t *testing.T) {
	m := NewRGB(37, 23)
	for i := range m.Pix {
		m.Pix[i] = 201
	}
	for _, f := range []Filter{Bilinear, Bicubic, Nearest} {
		for _, s := range [][2]int{{1, 1}, {5, 90}, {224, 3}, {36, 24}} {
			for i, p := range Resize(m, s[0], s[1], f).Pix {
				if p != 201 {
					t.Fatalf("Resize(%v, filter %d): value %d = %d, want 201", s, f, i, p)
				}
			}
		}
	}
}
