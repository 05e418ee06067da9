package corpus

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

func put(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func photo(t testing.TB, shade uint8) []byte {
	t.Helper()
	im := image.NewGray(image.Rect(0, 0, 8, 6))
	im.SetGray(1, 1, color.Gray{shade})
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// folder makes a corpus of three photos and a recording.
func folder(t testing.TB) string {
	root := t.TempDir()
	put(t, filepath.Join(root, "sea", "a.png"), photo(t, 10))
	put(t, filepath.Join(root, "b.png"), photo(t, 20))
	put(t, filepath.Join(root, "c.png"), photo(t, 30))
	put(t, filepath.Join(root, "not.jpg"), []byte("a text"))
	var wav bytes.Buffer
	if err := audio.EncodeWAV(&wav, 16000, 1, make([]int16, 1600)); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(root, "clip.wav"), wav.Bytes())
	return root
}

func runTable(t testing.TB, tab, root string, more map[string]any) (stagetest.Result, error) {
	t.Helper()
	p := map[string]any{"table": tab, "root": root}
	for k, v := range more {
		p[k] = v
	}
	return stagetest.Run(t, Kind, stagetest.Options{Store: stagetest.Store(t), Params: p})
}

const sample = `image,caption,split
sea/a.png,two dogs run,train
sea/a.png,"dogs, at the sea",train
b.png,a man,val
missing.png,a cat,train
not.jpg,a bird,train
c.png,,train
../../etc/passwd,a dog,train
/etc/passwd,a dog,train
c.png,a horse,nowhere
c.png
c.png,a horse,test
`

func TestCSV(t *testing.T) {
	root := folder(t)
	r, err := runTable(t, put(t, filepath.Join(root, "pairs.csv"), []byte(sample)), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range stagetest.Rows(t, r.Artifact, table.Captions) {
		got = append(got, fmt.Sprintf("%s %s %d %s: %s", c.ID, c.PhotoID, c.Index, c.Split, c.Text))
	}
	want := []string{
		"b.png#0 b.png 0 validation: a man", "c.png#2 c.png 0 test: a horse",
		"sea_a.png#0 sea_a.png 0 train: two dogs run", "sea_a.png#1 sea_a.png 1 train: dogs, at the sea",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("captions:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if photos := stagetest.Rows(t, r.Artifact, table.Photos); len(photos) != 3 || photos[0].Format != "png" || photos[0].Width != 8 {
		t.Errorf("%d photos, want 3", len(photos))
	}
	reasons := fmt.Sprint(r.Rejects)
	for _, want := range []string{"missing", "not a photo", "caption is empty", "not a path below", "none of train", "has 1 fields"} {
		if !strings.Contains(reasons, want) {
			t.Errorf("no reject says %q: %q", want, r.Rejects)
		}
	}
	if len(r.Rejects) != 7 {
		t.Errorf("%d rejects, want 7: %q", len(r.Rejects), r.Rejects)
	}
}

func TestRecordings(t *testing.T) {
	root := folder(t)
	tab := put(t, filepath.Join(root, "pairs.tsv"), []byte("file\tkey\ttext\tpicture\nclip.wav\tone\ta dog\tb.png\nclip.wav\ttwo\t\tc.png\nb.png\tthree\ta cat\tb.png\n"))
	more := map[string]any{"delimiter": "tab", "audio": "file", "id": "key", "caption": "text", "image": "picture", "split": "test"}
	r, err := runTable(t, tab, root, more)
	if err != nil {
		t.Fatal(err)
	}
	clips, captions := stagetest.Rows(t, r.Artifact, table.Clips), stagetest.Rows(t, r.Artifact, table.Captions)
	if len(clips) != 2 || len(captions) != 2 || clips[0].ID != "one" || clips[0].Text != "a dog" || clips[0].SampleRateHz != 16000 || captions[1].ID != "two" || captions[0].Split != "test" {
		t.Errorf("clips %d, captions %+v, rejects %q", len(clips), captions, r.Rejects)
	}
	if !strings.Contains(r.Reason("three"), "not a recording") {
		t.Errorf("rejects %q, want a photo refused as a recording", r.Rejects)
	}
	empty := t.TempDir()
	more["audio_root"] = empty
	if r, err := runTable(t, tab, root, more); err != nil || len(r.Rejects) != 3 {
		t.Errorf("with another audio_root: %v, rejects %q, want all three missing", err, r.Rejects)
	}
}

func TestParquet(t *testing.T) {
	type line struct {
		Image   string  `parquet:"image"`
		Caption *string `parquet:"caption,optional"`
		ID      int64   `parquet:"id"`
		Score   float64 `parquet:"score"`
	}
	one, two := "a dog", "a cat"
	var b bytes.Buffer
	w := parquet.NewGenericWriter[line](&b)
	if _, err := w.Write([]line{{"b.png", &one, 7, 1}, {"c.png", &two, 8, 2}, {"c.png", nil, 9, 3}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	root := folder(t)
	r, err := runTable(t, put(t, filepath.Join(root, "pairs.parquet"), b.Bytes()), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	captions := stagetest.Rows(t, r.Artifact, table.Captions)
	if len(captions) != 2 || captions[0].ID != "7" || captions[1].Text != "a cat" || r.Reason("9") == "" {
		t.Errorf("captions %+v, rejects %q", captions, r.Rejects)
	}
	for _, cut := range []int{10, b.Len() / 2, b.Len() - 9} {
		if _, err := runTable(t, put(t, filepath.Join(root, "cut.parquet"), b.Bytes()[:cut]), root, nil); err == nil {
			t.Errorf("a Parquet file cut to %d of %d bytes was read", cut, b.Len())
		}
	}
}

func TestRefused(t *testing.T) {
	root := folder(t)
	for _, c := range []struct {
		name, text, want string
		more             map[string]any
	}{
		{"empty", "", "empty", nil},
		{"no columns", "a,b\n1,2\n", "no column", nil},
		{"named column", "image,caption\n", `no column "words"`, map[string]any{"caption": "words"}},
		{"twice", "image,image\n", "two columns", nil},
		{"open quote", "caption\n\"a dog\nruns\n", "quote", nil},
		{"NUL", "caption\na\x00b\n", "NUL", nil},
		{"long row", "caption\n\"" + strings.Repeat("x\n", 1<<20), "over 1048576 bytes", nil},
		{"no root", "image\nb.png\n", "root", map[string]any{"root": ""}},
		{"delimiter", "image\n", "not one character", map[string]any{"delimiter": "::"}},
	} {
		_, err := runTable(t, put(t, filepath.Join(root, "t.csv"), []byte(c.text)), root, c.more)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// TestHostileTables reads tables that were collected to do harm: what must fail
// fails, or has rows set aside; what is odd has a warning; nothing panics.
func TestHostileTables(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 250 tables")
	}
	manifest, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(manifest)) {
		f := strings.Split(line, "\t")
		if !strings.HasPrefix(f[0], "files/text/") || !strings.HasSuffix(f[0], ".csv") {
			if !strings.HasPrefix(f[0], "files/parquet/") {
				continue
			}
			f[3] = "clean" // none has the columns, whatever else is right
		}
		n++
		r, err := runTable(t, sharedtest.Path(t, "badinputs", f[0]), "", nil)
		switch {
		case f[3] == "error" && err == nil && len(r.Rejects) == 0:
			t.Errorf("%s: read without a word", f[0])
		case f[3] == "warn" && (err != nil || len(r.Warnings()) == 0):
			t.Errorf("%s: %v, warnings %q; want a warning", f[0], err, r.Warnings())
		}
	}
	if n < 100 {
		t.Errorf("%d tables", n)
	}
}

// TestHostileIDs checks that each bad id of a table is set aside by itself.
func TestHostileIDs(t *testing.T) {
	r, err := runTable(t, sharedtest.Path(t, "badinputs", "files", "text", "gen-ids-hostile.csv"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range stagetest.Rows(t, r.Artifact, table.Captions) {
		if strings.ContainsAny(c.ID, "/\\\x00\n:") || strings.HasPrefix(c.ID, "-") {
			t.Errorf("id %q was taken", c.ID)
		}
	}
	if len(r.Rejects) < 20 {
		t.Errorf("%d rows set aside, want 20 at least", len(r.Rejects))
	}
}

// TestSpokenFlickr brings in real recordings of captions beside their photos.
func TestSpokenFlickr(t *testing.T) {
	speech, photos := sharedtest.Path(t, "data", "speech", "gtts_flickr8k"), sharedtest.Path(t, "data", "flickr8k", "images")
	tsv, err := os.ReadFile(filepath.Join(speech, "transcripts.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	csv := "audio,id,image,caption\n"
	for line := range strings.Lines(string(tsv)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		csv += fmt.Sprintf("%s,%s,%s,\"%s\"\n", f[0], f[1], strings.TrimSuffix(f[1], "#0"), strings.ReplaceAll(f[2], `"`, `""`))
	}
	r, err := runTable(t, put(t, filepath.Join(t.TempDir(), "spoken.csv"), []byte(csv)), photos, map[string]any{"audio_root": speech, "split": "test"})
	if err != nil {
		t.Fatal(err)
	}
	clips, pics := stagetest.Rows(t, r.Artifact, table.Clips), stagetest.Rows(t, r.Artifact, table.Photos)
	if len(clips) != 32 || len(pics) != 32 || clips[0].Format != "mp3" || clips[0].SampleRateHz != 24000 || len(r.Rejects) != 0 {
		t.Errorf("%d clips, %d photos, rejects %q", len(clips), len(pics), r.Rejects)
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("\ufeffcaption\n\"a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tab := filepath.Join(t.TempDir(), "t.csv")
		if err := os.WriteFile(tab, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := runTable(t, tab, "", nil)
		if err == nil && r.Artifact == nil {
			t.Error("neither an artifact nor an error")
		}
	})
}

// TestPlaces checks that what is wrong is said with its line, all of it at
// once, also behind fields of several lines.
func TestPlaces(t *testing.T) {
	root := folder(t)
	text := "\ufeffimage,caption,id\r\n" +
		"b.png,\"two\r\nlines, and \"\"quotes\"\"\",one\r\n" + // lines 2 and 3
		"none.png,a dog,two\r\n" + // 4
		"sea\\a.png,a sea,three\r\n" + // 5: a path of Windows
		"C:\\photos\\b.png,a dog,four\r\n" + // 6
		"b.png,a dog,one\r\n" + // 7
		",a dog,five\r\n" + // 8
		"b.png,a dog\r\n" // 9
	r, err := runTable(t, put(t, filepath.Join(root, "t.csv"), []byte(text)), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	reasons := fmt.Sprint(r.Rejects)
	for _, want := range []string{
		`line 4: photo "none.png": the file is missing`, `line 6: image "C:/photos/b.png" is not a path below the root`,
		`line 7: its id "one" is that of line 2`, "line 8: image is empty", "line 9: it has 2 fields, the header 3",
	} {
		if !strings.Contains(reasons, want) {
			t.Errorf("no reject says %q:\n%q", want, r.Rejects)
		}
	}
	captions := stagetest.Rows(t, r.Artifact, table.Captions)
	if len(captions) != 2 || captions[0].Text != "two\nlines, and \"quotes\"" || captions[1].PhotoID != "sea_a.png" || len(r.Rejects) != 5 {
		t.Errorf("captions %+v, rejects %q", captions, r.Rejects)
	}
}

// TestAudioOnly brings in recordings alone, which are named by their paths.
func TestAudioOnly(t *testing.T) {
	root := folder(t)
	wav, err := os.ReadFile(filepath.Join(root, "clip.wav"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(root, "day 1", "clip.wav"), wav)
	r, err := runTable(t, put(t, filepath.Join(root, "t.csv"), []byte("audio\nclip.wav\nday 1/clip.wav\nclip.wav\nnone.wav\n")), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range stagetest.Rows(t, r.Artifact, table.Clips) {
		got = append(got, c.ID)
	}
	if want := "clip.wav|clip.wav#1|day 1_clip.wav"; strings.Join(got, "|") != want || !strings.Contains(r.Reason("none.wav"), `line 5: recording "none.wav": the file is missing`) {
		t.Errorf("clips %q, want %s; rejects %q", got, want, r.Rejects)
	}
}

// TestHoldOut checks the share that is held out: by photo, the same each time,
// and with one more photo the same but for one.
func TestHoldOut(t *testing.T) {
	root := folder(t)
	held := func(photos int, more map[string]any) map[string]bool {
		text := "photo_id,caption\n"
		for i := range photos {
			text += fmt.Sprintf("p%d,a dog\np%d,a cat\n", i, i)
		}
		r, err := runTable(t, put(t, filepath.Join(root, "t.csv"), []byte(text)), "", more)
		if err != nil {
			t.Fatal(err)
		}
		splits, out := map[string]string{}, map[string]bool{}
		for _, c := range stagetest.Rows(t, r.Artifact, table.Captions) {
			if was, ok := splits[c.PhotoID]; ok && was != c.Split {
				t.Errorf("captions of %s are in %s and %s", c.PhotoID, was, c.Split)
			}
			if splits[c.PhotoID] = c.Split; c.Split == "validation" {
				out[c.PhotoID] = true
			}
		}
		return out
	}
	fifth := map[string]any{"validation": 0.2}
	all := held(100, fifth)
	if len(all) != 20 || len(held(100, nil)) != 0 || len(held(2, fifth)) != 1 || len(held(1, fifth)) != 0 {
		t.Errorf("%d of 100, %d of 100 without, %d of 2, %d of 1 held out; want 20, 0, 1, 0", len(all), len(held(100, nil)), len(held(2, fifth)), len(held(1, fifth)))
	}
	changed := 0
	for id := range held(101, fifth) {
		if !all[id] {
			changed++
		}
	}
	if changed > 1 {
		t.Errorf("one more photo moved %d others", changed)
	}
}

// TestHints checks that a table that is read otherwise than it was meant says
// so, with the remedy.
func TestHints(t *testing.T) {
	root := folder(t)
	for _, c := range []struct{ name, text, want string }{
		{"semicolons", "image;caption\nb.png;a dog\n", `delimiter: ";"`},
		{"tabs", "image\tcaption\n", "delimiter: tab"},
		{"other names", "file,text\n", "with the parameters image, caption and audio"},
		{"UTF-16", "\xff\xfei\x00m\x00", "UTF-16"},
		{"spreadsheet", "PK\x03\x04\x14\x00", "save it as CSV"},
		{"bare quote", "caption\na \"big\" dog\n", `its own are doubled`},
	} {
		_, err := runTable(t, put(t, filepath.Join(root, "t.csv"), []byte(c.text)), root, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	r, err := runTable(t, put(t, filepath.Join(root, "t.csv"), []byte("image, Caption\nb.png,a dog\n")), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`column " Caption" is not read: if it is meant, say caption: " Caption"`, "no photo is held out"} {
		if !strings.Contains(fmt.Sprint(r.Warnings()), want) {
			t.Errorf("no warning says %q: %q", want, r.Warnings())
		}
	}
}
