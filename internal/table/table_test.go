package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// all yields rows, none of them an error.
func all[R any](rows []R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func encode[R any](t testing.TB, f Format[R], rows []R) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := f.Write(&b, all(rows))
	if err != nil || n != int64(len(rows)) {
		t.Fatalf("Write(%d rows of %s) = %d, %v", len(rows), f.Schema(), n, err)
	}
	return b.Bytes()
}

func collect[R any](f Format[R], b []byte) ([]R, error) {
	var out []R
	for r, err := range f.Rows(bytes.NewReader(b), int64(len(b))) {
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// diff is cmp.Diff with nil and empty slices the same. cmp takes a minute for
// the megabytes of these tests, so it is only asked where something differs.
func diff(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// roundTrip checks every way to read rows back, and that bytes repeat.
func roundTrip[R any](t *testing.T, f Format[R], rows []R, key func(R) Key) {
	t.Helper()
	b := encode(t, f, rows)
	if again := encode(t, f, rows); !bytes.Equal(b, again) {
		t.Errorf("%s: two writings of %d rows differ", f.Schema(), len(rows))
	}
	got, err := collect(f, b)
	if err != nil {
		t.Fatalf("%s: Rows: %v", f.Schema(), err)
	}
	if d := diff(rows, got); d != "" {
		t.Errorf("%s: Rows (-want +got):\n%s", f.Schema(), d)
	}
	r, err := Open(f, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Len() != len(rows) {
		t.Fatalf("%s: Len() = %d, want %d", f.Schema(), r.Len(), len(rows))
	}
	for k := range rows {
		i := k * 7919 % len(rows) // about, as a sampler does
		row, err := r.Row(i)
		if d := diff(rows[i], row); err != nil || d != "" {
			t.Fatalf("%s: Row(%d): %v (-want +got):\n%s", f.Schema(), i, err, d)
		}
	}
	var want []Key
	for _, row := range rows {
		want = append(want, key(row))
	}
	keys, err := r.Keys()
	if d := cmp.Diff(want, keys, cmpopts.EquateEmpty()); err != nil || d != "" {
		t.Errorf("%s: Keys: %v (-want +got):\n%s", f.Schema(), err, d)
	}
}

func id(i int) string { return fmt.Sprintf("item-%06d", i) }

func captions(n int) []Caption {
	return make2(n, func(i int) Caption {
		return Caption{ID: id(i), PhotoID: "photo é", Index: int32(i % 5), Text: strings.Repeat("a dog. ", i%9), Split: "train"}
	})
}

func make2[R any](n int, row func(i int) R) []R {
	out := make([]R, n)
	for i := range out {
		out[i] = row(i)
	}
	return out
}

func clips(n, size int) []Clip {
	return make2(n, func(i int) Clip {
		audio := bytes.Repeat([]byte{byte(i), 1, 2, 3}, (size+i)/4)
		return Clip{ID: id(i), SHA256: SumBytes(audio), Format: "wav", SampleRateHz: 22050, Channels: 1, Seconds: 1.5, Voice: "en-us", Audio: audio}
	})
}

func mfccs(n, frames int) []MFCC {
	return make2(n, func(i int) MFCC {
		t := (frames + i) % (frames + 3)
		x := make2(t*40, func(j int) float32 { return float32(math.Sin(float64(i*j))) * 20 })
		return MFCC{ID: id(i), SHA256: SumFloats(x), NFrames: int32(t), NCoeffs: 40, Features: x, SampleRateHz: 22050, WindowSamples: 551, HopSamples: 221}
	})
}

func images(n, side int) []Image {
	return make2(n, func(i int) Image {
		p := make2(side*side*3, func(j int) uint8 { return uint8(i + j*j) })
		return Image{ID: id(i), SHA256: SumBytes(p), SourceSHA256: "s", Height: int32(side), Width: int32(side), Order: "bgr", Pixels: p}
	})
}

func featureMaps(n, side, channels int) []FeatureMap {
	return make2(n, func(i int) FeatureMap {
		h := make2(side*side*channels, func(j int) uint16 { return uint16(i * j) })
		return FeatureMap{ID: id(i), SHA256: SumHalves(h), Height: int32(side), Width: int32(side), Channels: int32(channels), Half: h}
	})
}

func TestRoundTrip(t *testing.T) {
	t.Run("captions", func(t *testing.T) {
		roundTrip(t, Captions, captions(3000), func(r Caption) Key { return Key{r.ID, ""} })
	})
	t.Run("photos", func(t *testing.T) {
		rows := make2(20, func(i int) Photo {
			return Photo{ID: id(i), SHA256: id(i), Format: "jpeg", Width: 500, Height: 375, Bytes: bytes.Repeat([]byte{byte(i)}, 1+90_000*(i%4))}
		})
		roundTrip(t, Photos, rows, func(r Photo) Key { return Key{r.ID, r.SHA256} })
	})
	t.Run("clips of several row groups", func(t *testing.T) {
		roundTrip(t, Clips, clips(200, 200_000), func(r Clip) Key { return Key{r.ID, r.SHA256} })
	})
	t.Run("mfcc", func(t *testing.T) {
		roundTrip(t, MFCCs, mfccs(60, 400), func(r MFCC) Key { return Key{r.ID, r.SHA256} })
	})
	t.Run("mfcc with empty ones", func(t *testing.T) {
		roundTrip(t, MFCCs, mfccs(500, 2), func(r MFCC) Key { return Key{r.ID, r.SHA256} })
	})
	t.Run("images", func(t *testing.T) {
		roundTrip(t, Images, images(5, 224), func(r Image) Key { return Key{r.ID, r.SHA256} })
	})
	t.Run("small images", func(t *testing.T) {
		roundTrip(t, Images, images(400, 16), func(r Image) Key { return Key{r.ID, r.SHA256} })
	})
	t.Run("features", func(t *testing.T) {
		roundTrip(t, FeatureMaps("vgg16", "conv5_3"), featureMaps(7, 14, 512), func(r FeatureMap) Key { return Key{r.ID, r.SHA256} })
	})
	t.Run("rejects", func(t *testing.T) {
		roundTrip(t, Rejects, []Reject{{"b", "mfcc", "too short"}, {"a", "mfcc", "silent"}}, func(r Reject) Key { return Key{r.Item, ""} })
	})
	t.Run("ranks", func(t *testing.T) {
		roundTrip(t, Ranks, []Rank{{SpeechToImage, "q", "p", 1.5, 3.25, 1, "x", 3.25, 100, "test100"}},
			func(r Rank) Key { return Key{r.Direction, ""} })
	})
	t.Run("queries", func(t *testing.T) {
		roundTrip(t, Queries, []Query{{"c", "test", "p", "a dog", 2, "en-us", 1.5, 2, 3.25, "q", 3.25, 1, 1, "d", -1, 2, 1}},
			func(r Query) Key { return Key{r.Caption, ""} })
	})
	t.Run("curve", func(t *testing.T) {
		b := encode(t, Curve, []CurvePoint{{1, 0.5, 32, 2, 1e-3, math.NaN(), math.NaN(), math.NaN()}, {2, 1, 64, 1.9, 1e-3, .1, .2, .3}})
		got, err := collect(Curve, b)
		if err != nil || len(got) != 2 || !math.IsNaN(got[0].P1) || got[1].P10 != .3 {
			t.Errorf("Rows = %v, %v", got, err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		roundTrip(t, MFCCs, nil, func(r MFCC) Key { return Key{r.ID, r.SHA256} })
		roundTrip(t, Images, nil, func(r Image) Key { return Key{r.ID, r.SHA256} })
	})
}

func TestRoundTripOfAnyRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringN(1, 20, 40), 0, 30, rapid.ID[string]).Draw(t, "ids")
		slices.Sort(ids)
		rows := make2(len(ids), func(i int) MFCC {
			return MFCC{
				ID: ids[i], SHA256: rapid.String().Draw(t, "sha256"), NFrames: rapid.Int32().Draw(t, "n"),
				Features: rapid.SliceOfN(rapid.Float32(), 0, 50).Draw(t, "x"),
			}
		})
		var b bytes.Buffer
		if _, err := MFCCs.Write(&b, all(rows)); err != nil {
			t.Fatal(err)
		}
		got, err := collect(MFCCs, b.Bytes())
		if d := diff(rows, got); err != nil || d != "" {
			t.Fatalf("Rows: %v (-want +got):\n%s", err, d)
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	boom := errors.New("boom")
	cases := []struct {
		name string
		err  error
		want string
	}{
		{"order", writeErr(Captions, []Caption{{ID: "b"}, {ID: "a"}}), `"a" after "b"`},
		{"twice", writeErr(Captions, []Caption{{ID: "b"}, {ID: "b"}}), "out of order"},
		{"no id", writeErr(Captions, []Caption{{}}), "no id"},
		{"another shape", writeErr(Images, append(images(1, 2), Image{ID: "z", Height: 1, Width: 1, Order: "bgr", Pixels: make([]byte, 3)})), "shape [1 1 3]"},
		{"too few pixels", writeErr(Images, []Image{{ID: "z", Height: 9, Width: 9, Order: "bgr", Pixels: make([]byte, 3)}}), "3 values"},
		{"another order", writeErr(Images, append(images(1, 2), Image{ID: "z", Height: 2, Width: 2, Order: "rgb", Pixels: make([]byte, 12)})), "order:rgb"},
		{"no order", writeErr(Images, []Image{{ID: "z", Height: 1, Width: 1, Pixels: make([]byte, 3)}}), "neither"},
	}
	for _, c := range cases {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: Write = %v, want %q", c.name, c.err, c.want)
		}
	}
	_, err := Captions.Write(io.Discard, func(yield func(Caption, error) bool) { yield(Caption{}, boom) })
	if !errors.Is(err, boom) {
		t.Errorf("Write of a failing sequence = %v, want %v", err, boom)
	}
}

func writeErr[R any](f Format[R], rows []R) error {
	_, err := f.Write(io.Discard, all(rows))
	return err
}

func TestOpenRefusesOtherFormats(t *testing.T) {
	b := encode(t, Captions, captions(3))
	if _, err := Open(Clips, bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), "hearsight.captions/1") {
		t.Errorf("Open(Clips) of captions = %v, want an error that names what it holds", err)
	}
	b = encode(t, Images, images(2, 4))
	if _, err := Open(FeatureMaps("", ""), bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), "hearsight.images/1") {
		t.Errorf("Open(FeatureMaps) of images = %v, want an error that names what it holds", err)
	}
}

func TestRowIsSafeForConcurrentUse(t *testing.T) {
	checkConcurrent(t, MFCCs, mfccs(50, 300))
	checkConcurrent(t, Clips, clips(100, 200_000))
	checkConcurrent(t, Images, images(300, 16))
}

func checkConcurrent[R any](t *testing.T, f Format[R], rows []R) {
	b := encode(t, f, rows)
	r, err := Open(f, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for k := range 100 {
				i := (k*31 + g*17) % len(rows)
				row, err := r.Row(i)
				if err != nil || diff(rows[i], row) != "" {
					t.Errorf("%s: Row(%d) = another row, or %v", f.Schema(), i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
