package retrieval

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
)

func TestParseText(t *testing.T) {
	numbers := []float64{1, 2.5, -3e2, 4, 5, 6}
	for name, c := range map[string]struct {
		text          string
		rows, columns []string
	}{
		"commas":         {"1,2.5,-3e2\n4,5,6\n", nil, nil},
		"numpy.savetxt":  {"# saved\n1.0 2.5 -3e2\n4 5 6", nil, nil},
		"tabs, CRLF":     {"1\t2.5\t-300\r\n4\t5\t6\r\n", nil, nil},
		"semicolons":     {"1; 2.5; -300\n\n4; 5; 6\n", nil, nil},
		"mark":           {"\ufeff1,2.5,-300\n4,5,6\n", nil, nil},
		"pandas":         {",p1,p2,p3\nc1,1,2.5,-300\nc2,4,5,6\n", []string{"c1", "c2"}, []string{"p1", "p2", "p3"}},
		"pandas numbers": {",0,1,2\n0,1,2.5,-300\n1,4,5,6\n", []string{"0", "1"}, []string{"0", "1", "2"}},
		"heading alone":  {"p1,p2,p3\n1,2.5,-300\n4,5,6\n", nil, []string{"p1", "p2", "p3"}},
		"names of rows":  {"c1,1,2.5,-300\nc2,4,5,6\n", []string{"c1", "c2"}, nil},
		"named corner":   {"id,p1,p2,p3\nc1,1,2.5,-300\nc2,4,5,6\n", []string{"c1", "c2"}, []string{"p1", "p2", "p3"}},
		"quoted":         {"\"\",\"p,1\",p2,p3\n\"c 1\",1,2.5,-300\nc2,4,5,6\n", []string{"c 1", "c2"}, []string{"p,1", "p2", "p3"}},
	} {
		g, err := parseText(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(&Grid{2, 3, numbers, c.rows, c.columns}, g); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	for text, want := range map[string]string{
		"":                          "no similarities",
		"p1,p2\n":                   "no similarities",
		"1,2\n3\n":                  "line 2: 1 similarities, the rows before have 2",
		"1,2\n3,x\n":                `line 2: column 2: "x" is no similarity`,
		"1,2\n3,nan\n":              `line 2: column 2: "nan" is no similarity`,
		"1,inf\n":                   `line 1: column 2: "inf" is no similarity`,
		"1,1e999\n":                 `line 1: column 2: "1e999" is no similarity`,
		"1,2\nc,3,4\n":              "line 2: 3 similarities",
		"a,b\n1,2,3\n":              "3 similarities under 2 names",
		"c1\n":                      "no similarities",
		"c1\nc2\n":                  "there is a name and no similarity",
		"\x93NUMPX\x01\x00":         "line 1 is not text",
		"1,\"2\n":                   `line 1: character `,
		"1,2\n\xff,3":               "line 2 is not text",
		strings.Repeat("1", 17<<20): "a line is over the limit",
	} {
		if g, err := parseText(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %+v, %v; want %q", text, g, err, want)
		}
	}
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadMatrix(t *testing.T) {
	var b bytes.Buffer
	if err := npy.Write(&b, []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}); err != nil {
		t.Fatal(err)
	}
	g, err := ReadMatrix(context.Background(), write(t, "a.npy", b.Bytes()), nil)
	if want := (&Grid{Rows: 2, Columns: 3, S: []float64{1, 2, 3, 4, 5, 6}}); err != nil || !cmp.Equal(g, want) {
		t.Errorf("ReadMatrix = %+v, %v", g, err)
	}
	for want, shape := range map[string][]int{"shape [6]": {6}, "shape [1 2 3]": {1, 2, 3}, "shape [0 3]": {0, 3}} {
		b.Reset()
		n := 6
		if shape[0] == 0 {
			n = 0
		}
		if err := npy.Write(&b, shape, make([]float32, n)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadMatrix(context.Background(), write(t, "b.npy", b.Bytes()), nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "b.npy") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	b.Reset()
	if err := npy.Write(&b, []int{1, 2}, []float64{1, math.NaN()}); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMatrix(context.Background(), write(t, "c.npy", b.Bytes()), nil); err == nil || !strings.Contains(err.Error(), "row 1, column 2: NaN is no similarity") {
		t.Errorf("not a number: %v", err)
	}
	if _, err := ReadMatrix(context.Background(), t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}

// TestHostileMatrix: no hostile file of any kind passes for similarities unless
// it is some, and the error is one line that names it.
func TestHostileMatrix(t *testing.T) {
	manifest, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(manifest)) {
		name, _, _ := strings.Cut(line, "\t")
		if !strings.HasPrefix(name, "files/") {
			continue
		}
		n++
		g, err := ReadMatrix(context.Background(), sharedtest.Path(t, "badinputs", name), nil)
		switch {
		case err != nil && (!strings.Contains(err.Error(), filepath.Base(name)) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000):
			t.Errorf("%s: the error is not a line that names it: %.300q", name, err)
		case err == nil && (len(g.S) == 0 || len(g.S) != g.Rows*g.Columns):
			t.Errorf("%s: %dx%d and %d numbers", name, g.Rows, g.Columns, len(g.S))
		case err == nil && !hasPrefix(name, "files/npy/", "files/text/", "files/yaml/"): // "key: 1" is a row with a name
			t.Errorf("%s passes for %dx%d similarities", name, g.Rows, g.Columns)
		}
	}
	if n < 2000 {
		t.Errorf("%d files are in the manifest", n)
	}
}

func hasPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

func TestParseCaptions(t *testing.T) {
	got, err := parseCaptions(strings.NewReader("\ufeffphoto,caption,voice,text,group\np1,c1,en-us,\"a dog, black\",g\np1,c2,,x,\n"))
	want := []Caption{
		{table.Caption{ID: "c1", PhotoID: "p1", Text: "a dog, black", Group: "g"}, "en-us"},
		{table.Caption{ID: "c2", PhotoID: "p1", Text: "x", Index: 1}, ""},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	for text, want := range map[string]string{
		"":                               "no heading",
		"a,b\n":                          `the heading is "a,b": want columns caption and photo`,
		"caption,photo\n":                "no captions",
		"caption,photo\nc\n":             "line 2",
		"caption,photo\nc,p\n../x,p\n,p": "line 3: id \"../x\" holds a separator",
	} {
		if _, err := parseCaptions(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestNewSet: the same similarities, given in every way that there is.
func TestNewSet(t *testing.T) {
	// Photos a, b by captions a#0, a#1, b#0, b#1.
	captions := []float64{9, 1, 8, 2, 3, 7, 4, 6}
	photos := []float64{9, 8, 3, 4, 1, 2, 7, 6}
	list := []Caption{
		{Caption: table.Caption{ID: "a#0", PhotoID: "a"}}, {Caption: table.Caption{ID: "a#1", PhotoID: "a", Index: 1}},
		{Caption: table.Caption{ID: "b#0", PhotoID: "b"}}, {Caption: table.Caption{ID: "b#1", PhotoID: "b", Index: 1}},
	}
	shuffled := []Caption{list[3], list[0], list[2], list[1], {Caption: table.Caption{ID: "more", PhotoID: "c"}}}
	c, p := []string{"a#0", "a#1", "b#0", "b#1"}, []string{"a", "b"}
	for name, x := range map[string]struct {
		grid   Grid
		photos bool
		list   []Caption
	}{
		"list":                     {Grid{4, 2, captions, nil, nil}, false, list},
		"rows are photos":          {Grid{2, 4, photos, nil, nil}, true, list},
		"names and a list":         {Grid{4, 2, captions, c, p}, false, shuffled},
		"names of captions":        {Grid{4, 2, captions, c, nil}, false, shuffled},
		"names alone":              {Grid{4, 2, captions, c, p}, false, nil},
		"names, rows are photos":   {Grid{2, 4, photos, p, c}, true, nil},
		"by place, named photos":   {Grid{4, 2, captions, nil, p}, false, nil},
		"by place, named captions": {Grid{4, 2, captions, c, nil}, false, nil},
		"by place":                 {Grid{4, 2, captions, nil, nil}, false, nil},
	} {
		s, err := NewSet("s", &x.grid, x.photos, x.list)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.HasPrefix(name, "by place") {
			for j, want := range []int{0, 0, 1, 1} {
				if s.Captions[j].PhotoID != s.Photos[want] || s.Captions[j].Index != int32(j%2) {
					t.Errorf("%s: caption %d describes %q", name, j, s.Captions[j].PhotoID)
				}
			}
		} else if d := cmp.Diff(list, s.Captions); d != "" || !slices.Equal(s.Photos, p) {
			t.Errorf("%s: photos %q, captions (-want +got):\n%s", name, s.Photos, d)
		}
		if !slices.Equal(s.Matrix.S, photos) || s.Matrix.Images != 2 || s.Matrix.Clips != 4 {
			t.Errorf("%s: matrix %+v", name, s.Matrix)
		}
	}
	for want, x := range map[string]struct {
		grid Grid
		list []Caption
	}{
		"the matrix has 2 captions and the list 4: are its rows photos?": {Grid{2, 4, photos, nil, nil}, list},
		`caption "x" of the matrix is not in the list`:                   {Grid{1, 2, photos[:2], []string{"x"}, nil}, list},
		"the matrix has 3 photos and the captions describe 2":            {Grid{4, 3, make([]float64, 12), nil, nil}, list},
		`which photo caption "x#0" describes`:                            {Grid{1, 2, photos[:2], []string{"x#0"}, p}, nil},
		"2 captions are not so many for each of 4 photos":                {Grid{2, 4, photos, nil, nil}, nil},
		"holds a separator": {Grid{1, 1, photos[:1], []string{"a/b"}, []string{"p"}}, nil},
	} {
		if _, err := NewSet("s", &x.grid, false, x.list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// FuzzScore: whatever a file holds, it is refused or scored, and what is scored
// has sane figures.
func FuzzScore(f *testing.F) {
	f.Add("1,2\n3,4\n", "caption,photo\nc1,p1\nc2,p2\n", false)
	f.Add(",p1,p2\np1#0,1,1\np1#1,3,4\np2,0,0\n", "", false)
	f.Add("# x\n1 2\n3 4\n5 6\n7 8", "", false)
	f.Add("1;2;3\n", "caption,photo,text,voice,group\na,p,x y,v,g\nb,p,,,\nc,p,z,w,g\n", true)
	f.Fuzz(func(t *testing.T, matrix, captions string, rowsArePhotos bool) {
		g, err := parseText(strings.NewReader(matrix))
		if err != nil || len(g.S) > 1000 {
			return
		}
		if len(g.S) != g.Rows*g.Columns || g.RowIDs != nil && len(g.RowIDs) != g.Rows || g.ColumnIDs != nil && len(g.ColumnIDs) != g.Columns {
			t.Fatalf("%dx%d, %d numbers, %d and %d names", g.Rows, g.Columns, len(g.S), len(g.RowIDs), len(g.ColumnIDs))
		}
		list, err := parseCaptions(strings.NewReader(captions))
		if err != nil {
			list = nil
		}
		s, err := NewSet("fuzz", g, rowsArePhotos, list)
		if err != nil {
			return
		}
		r, err := s.Evaluate(context.Background(), Options{Draws: 2, DrawPhotos: 2})
		if err != nil {
			return
		}
		for _, m := range []table.RecallMetrics{r.Metrics.SpeechToImage, r.Metrics.ImageToSpeech} {
			if !(m.P1.Value >= 0 && m.P1.Value <= m.P5.Value && m.P5.Value <= m.P10.Value+1e-12 && m.P10.Value <= 1+1e-12 && m.MRR > 0 && m.MRR <= 1+1e-12) {
				t.Errorf("recall %+v", m)
			}
		}
		for _, q := range r.Queries {
			if q.Rank < 1 || q.Rank > q.WorstRank || q.PhotoRank < 1 || q.PhotoRank > q.PhotoWorstRank {
				t.Errorf("row %+v", q)
			}
		}
	})
}
