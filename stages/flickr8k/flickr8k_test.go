package flickr8k

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func jpegOf(t *testing.T, shade int) []byte {
	t.Helper()
	im := image.NewGray(image.Rect(0, 0, 20, 10))
	for i := range im.Pix {
		im.Pix[i] = uint8(shade)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// folder makes a small Flickr8k: twelve photos, of which one is no photo, and
// five captions without a photo.
func folder(t *testing.T, asCSV bool) string {
	root := t.TempDir()
	var tokens, rows strings.Builder
	rows.WriteString("image,caption\n")
	var train, dev strings.Builder
	for i := range 13 {
		name := fmt.Sprintf("%d_abc.jpg", 100+i)
		if i == 12 {
			name += ".1"
		} else {
			write(t, filepath.Join(root, "images", name), jpegOf(t, 10*i))
		}
		for k := range 5 {
			fmt.Fprintf(&tokens, "%s#%d\tcaption %d of photo %d .\n", name, k, k, i)
			fmt.Fprintf(&rows, "%s,\"caption %d of photo %d .\"\n", name, k, i)
		}
		if i < 8 {
			fmt.Fprintln(&train, name)
		} else {
			fmt.Fprintln(&dev, name)
		}
	}
	write(t, filepath.Join(root, "images", "103_abc.jpg"), []byte("this is a text"))
	if asCSV {
		write(t, filepath.Join(root, "captions.txt"), []byte(rows.String()))
	} else {
		write(t, filepath.Join(root, "captions.txt"), []byte(tokens.String()))
	}
	write(t, filepath.Join(root, "Flickr_8k.trainImages.txt"), []byte(train.String()))
	write(t, filepath.Join(root, "Flickr_8k.devImages.txt"), []byte(dev.String()))
	return root
}

func params(root string, more ...any) map[string]any {
	p := map[string]any{"root": root, "train": 8, "validation": 3, "captions_per_photo": 2}
	for i := 0; i < len(more); i += 2 {
		p[fmt.Sprint(more[i])] = more[i+1]
	}
	return p
}

func TestRun(t *testing.T) {
	s := stagetest.Store(t)
	root := folder(t, false)
	r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Params: params(root)})
	captions, photos := stagetest.Rows(t, r.Artifact, table.Captions), stagetest.Rows(t, r.Artifact, table.Photos)
	n := map[string]int{}
	for _, c := range captions {
		n[c.Split]++
		if want := fmt.Sprintf("caption %d of photo ", c.Index); !strings.HasPrefix(c.Text, want) || c.ID != fmt.Sprintf("%s#%d", c.PhotoID, c.Index) {
			t.Errorf("caption %+v", c)
		}
	}
	if n["train"] != 14 || n["validation"] != 3 || len(photos) != 10 {
		t.Errorf("captions %v of %d photos, want 14, 3 of 10", n, len(photos))
	}
	if len(r.Rejects) != 7 || !strings.Contains(r.Reason("112_abc.jpg.1#4"), "missing") || !strings.Contains(r.Reason("103_abc.jpg#1"), "not a photo") {
		t.Errorf("rejects %q, want five of a missing photo and two of a bad one", r.Rejects)
	}
	for _, p := range photos {
		data, err := os.ReadFile(filepath.Join(root, "images", p.ID))
		if err != nil || !bytes.Equal(data, p.Bytes) || p.Width != 20 || p.Height != 10 || p.Format != "jpeg" {
			t.Errorf("photo %s: %v, %d x %d %s", p.ID, err, p.Width, p.Height, p.Format)
		}
	}
	one := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, CPUs: 1, Params: params(folder(t, true))})
	if one.Artifact.Digest != r.Artifact.Digest {
		t.Error("the CSV form of the captions, or one core, gave another artifact")
	}
}

// TestTestCaptions: test photos come with caption 0, or with as many as are
// asked for; which photos does not depend on that.
func TestTestCaptions(t *testing.T) {
	s := stagetest.Store(t)
	root := folder(t, false)
	dev, err := os.ReadFile(filepath.Join(root, "Flickr_8k.devImages.txt"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "Flickr_8k.testImages.txt"), dev)
	chosen := func(more ...any) map[string][]string { // photo -> captions
		out := map[string][]string{}
		r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Params: params(root, append(more, "validation", 0, "test", 3)...)})
		for _, c := range stagetest.Rows(t, r.Artifact, table.Captions) {
			if c.Split == "test" {
				out[c.PhotoID] = append(out[c.PhotoID], c.ID)
			}
		}
		return out
	}
	one, five := chosen(), chosen("test_captions_per_photo", 5)
	if len(one) != 3 || len(five) != 3 {
		t.Fatalf("%d and %d test photos, want 3", len(one), len(five))
	}
	for photo, captions := range five {
		if len(captions) != 5 || len(one[photo]) != 1 || one[photo][0] != photo+"#0" || captions[0] != photo+"#0" {
			t.Errorf("%s: captions %q and %q", photo, one[photo], captions)
		}
	}
}

// TestChoice checks that a larger choice keeps the smaller, and that another
// seed chooses others.
func TestChoice(t *testing.T) {
	d, err := load(folder(t, false))
	if err != nil {
		t.Fatal(err)
	}
	chosen := func(p Params) map[string]bool {
		captions, err := d.choose(p)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for _, c := range captions {
			out[c.ID] = true
		}
		return out
	}
	few := chosen(Params{Train: 3, CaptionsPerPhoto: 5, Seed: 1})
	if len(few) != 15 {
		t.Errorf("%d captions, want 15", len(few))
	}
	for id := range few {
		if !chosen(Params{Train: 5, CaptionsPerPhoto: 5, Seed: 1})[id] {
			t.Errorf("%s is chosen among 3 photos but not among 5", id)
		}
	}
	same := 0
	for id := range chosen(Params{Train: 3, CaptionsPerPhoto: 5, Seed: 2}) {
		if few[id] {
			same++
		}
	}
	if same == 15 {
		t.Error("another seed chose the same photos")
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(t *testing.T, root string)
		more       []any
	}{
		{"too many", "not 9", func(*testing.T, string) {}, []any{"train", 9}},
		{"no captions", "no captions", func(t *testing.T, root string) { write(t, filepath.Join(root, "captions.txt"), nil) }, nil},
		{"no images", "holds none of", func(t *testing.T, root string) {
			if err := os.Rename(filepath.Join(root, "images"), filepath.Join(root, "pictures")); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"climbing name", "separator", func(t *testing.T, root string) {
			write(t, filepath.Join(root, "captions.txt"), []byte("../../etc/passwd.jpg#0\ta dog\n"))
		}, nil},
		{"no tab", "line 1", func(t *testing.T, root string) { write(t, filepath.Join(root, "captions.txt"), []byte("a dog\n")) }, nil},
		{"twice", "there twice", func(t *testing.T, root string) {
			write(t, filepath.Join(root, "captions.txt"), []byte("a.jpg#0\ta dog\na.jpg#0\ta cat\n"))
		}, nil},
		{"nothing", "none are asked for", func(*testing.T, string) {}, []any{"train", 0, "validation", 0}},
	} {
		root := folder(t, false)
		c.change(t, root)
		_, err := stagetest.Run(t, Kind, stagetest.Options{Store: stagetest.Store(t), Params: params(root, c.more...)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestHostileNames(t *testing.T) {
	data, err := os.ReadFile(sharedtest.Path(t, "badinputs", "files", "text", "gen-flickr8k-hostile.token.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseCaptions(data); err == nil || strings.Count(err.Error(), "\n") < 20 {
		t.Errorf("parseCaptions = %v, want an error that lists the bad names", err)
	}
}

func FuzzCaptions(f *testing.F) {
	f.Add([]byte("a.jpg#0\ta dog\n"))
	f.Add([]byte("image,caption\na.jpg,\"a \"\"dog\"\"\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		captions, err := parseCaptions(data)
		if err == nil && len(captions) == 0 {
			t.Error("no captions and no error")
		}
	})
}

// TestReal brings in the real data set.
func TestReal(t *testing.T) {
	root := sharedtest.Path(t, "data", "flickr8k")
	r := stagetest.MustRun(t, Kind, stagetest.Options{Store: stagetest.Store(t), Params: map[string]any{
		"root": root, "train": 40, "validation": 20, "captions_per_photo": 5,
	}})
	captions, photos := stagetest.Rows(t, r.Artifact, table.Captions), stagetest.Rows(t, r.Artifact, table.Photos)
	if len(captions) != 220 || len(photos) != 60 {
		t.Errorf("%d captions of %d photos, want 220 of 60", len(captions), len(photos))
	}
	if len(r.Rejects) != 5 {
		t.Errorf("%d rejects, want the five of 2258277193_586949ec62.jpg.1", len(r.Rejects))
	}
	for _, x := range r.Rejects {
		if !strings.HasPrefix(x.Item, "2258277193_586949ec62.jpg.1#") {
			t.Errorf("reject %q: %s", x.Item, x.Reason)
		}
	}
}
