package vision

import (
	"bytes"
	"math"
	"testing"
)

func noisyRGB(w, h int) *RGB {
	m := NewRGB(w, h)
	for i := range m.Pix {
		m.Pix[i] = uint8(i * i * 7 >> 3)
	}
	return m
}

func TestDrawIsOfSeedEpochAndItem(t *testing.T) {
	m := noisyRGB(20, 15)
	a := Augmentation{Flip: .5, Crop: .5, Brightness: .3, Contrast: .3, Saturation: .3}
	before := bytes.Clone(m.Pix)
	first := a.Draw(m, 1, 2, "a").Pix
	if bytes.Equal(first, before) || !bytes.Equal(m.Pix, before) {
		t.Fatal("Draw leaves the picture, or changes its input")
	}
	for range 3 {
		if !bytes.Equal(a.Draw(m, 1, 2, "a").Pix, first) {
			t.Fatal("the same draw differs")
		}
	}
	for _, c := range []struct {
		seed  uint64
		epoch int64
		item  string
	}{{2, 2, "a"}, {1, 3, "a"}, {1, 2, "b"}, {2, 1, "a"}} {
		if bytes.Equal(a.Draw(m, c.seed, c.epoch, c.item).Pix, first) {
			t.Errorf("%+v draws the same as 1, 2, a", c)
		}
	}
	if none := NoAugmentation.Draw(m, 1, 2, "a"); !bytes.Equal(none.Pix, before) || &none.Pix[0] == &m.Pix[0] {
		t.Error("NoAugmentation changes pictures or shares their pixels")
	}
}

// TestDrawsAreApart: a change that is added leaves what others draw: the same
// epochs are mirrored.
func TestDrawsAreApart(t *testing.T) {
	m := NewRGB(2, 1)
	copy(m.Pix, []uint8{200, 200, 200})
	mirrored := 0
	for epoch := range int64(400) {
		flip := Augmentation{Flip: .5, Crop: 1}
		alone := flip.Draw(m, 5, epoch, "x").Pix[0] == 0
		flip.Brightness, flip.Saturation = .2, .2
		if with := flip.Draw(m, 5, epoch, "x").Pix[0] == 0; with != alone {
			t.Fatalf("epoch %d is mirrored: %v alone, %v with colours", epoch, alone, with)
		}
		if alone {
			mirrored++
		}
	}
	if mirrored < 150 || mirrored > 250 {
		t.Errorf("%d of 400 are mirrored at flip .5", mirrored)
	}
}

func TestColours(t *testing.T) {
	m := &RGB{2, 1, []uint8{100, 50, 10, 200, 200, 200}}
	for _, c := range []struct {
		name   string
		a      Augmentation
		lo, hi float64 // of the first value
	}{
		{"brightness", Augmentation{Crop: 1, Brightness: .2}, 80, 120},
		// The mean gray is 130: (60 + 200) / 2.
		{"contrast", Augmentation{Crop: 1, Contrast: .2}, 94, 106},
		{"saturation", Augmentation{Crop: 1, Saturation: .2}, 92, 108},
	} {
		lo, hi := 255., 0.
		for epoch := range int64(300) {
			px := c.a.Draw(m, 1, epoch, "x").Pix
			lo, hi = min(lo, float64(px[0])), max(hi, float64(px[0]))
			if g := [3]uint8(px[3:]); g[0] != g[1] || g[1] != g[2] {
				t.Fatalf("%s makes a gray %v", c.name, g)
			}
			if c.name == "saturation" && px[3] != 200 {
				t.Fatalf("saturation makes 200 %d", px[3])
			}
		}
		if math.Abs(lo-c.lo) > 1 || math.Abs(hi-c.hi) > 1 {
			t.Errorf("%s makes 100 %v to %v, want %v to %v", c.name, lo, hi, c.lo, c.hi)
		}
	}
}

// TestCut: what is cut out is a part of the picture, of the share that is asked
// for, and each corner comes.
func TestCut(t *testing.T) {
	m := NewRGB(64, 48)
	for i := range m.W * m.H {
		m.Pix[3*i], m.Pix[3*i+1] = uint8(i%64), uint8(i/64)
	}
	lo := [2]uint8{255, 255}
	var hi [2]uint8
	for epoch := range int64(500) {
		got := Augmentation{Crop: .25}.Draw(m, 9, epoch, "x")
		if got.W != 64 || got.H != 48 {
			t.Fatalf("%d x %d", got.W, got.H)
		}
		first, last := got.Pix[:2], got.Pix[len(got.Pix)-3:]
		if share := float64(last[0]-first[0]+1) * float64(last[1]-first[1]+1) / (64 * 48); share < .22 || last[0] < first[0] || last[1] < first[1] {
			t.Fatalf("epoch %d: from %v to %v is %.2f of the area, want .25 at least", epoch, first, last, share)
		}
		for k := range lo {
			lo[k], hi[k] = min(lo[k], first[k]), max(hi[k], last[k])
		}
	}
	if lo != [2]uint8{} || hi[0] < 62 || hi[1] < 46 {
		t.Errorf("500 cuts reach from %v to %v", lo, hi)
	}
	for _, size := range [][2]int{{1, 1}, {1, 9}, {2, 1}} {
		m := noisyRGB(size[0], size[1])
		for epoch := range int64(50) {
			if got := (Augmentation{Flip: 1, Crop: 1e-9, Contrast: 1}).Draw(m, 1, epoch, ""); len(got.Pix) != len(m.Pix) {
				t.Fatalf("%v: %d x %d", size, got.W, got.H)
			}
		}
	}
}

func TestAugmentationCheck(t *testing.T) {
	if err := NoAugmentation.Check(); err != nil {
		t.Error(err)
	}
	if err := (Augmentation{Flip: 1, Crop: 1e-9, Brightness: 1, Contrast: 1, Saturation: 1}).Check(); err != nil {
		t.Error(err)
	}
	nan := math.NaN()
	for _, a := range []Augmentation{{}, {Crop: nan}, {Crop: 1.1}, {Crop: math.Inf(1)}, {Crop: 1, Flip: nan}, {Crop: 1, Flip: -.1}, {Crop: 1, Brightness: 1.1}, {Crop: 1, Contrast: nan}, {Crop: 1, Saturation: math.Inf(-1)}} {
		if a.Check() == nil {
			t.Errorf("%+v passes", a)
		}
	}
}
