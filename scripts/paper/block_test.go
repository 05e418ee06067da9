package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/table"
)

// scored is a line with these P@10, both ends of its interval .05 away.
func scored(row string, pairs int64, p10 float64) line {
	s := table.Share{Value: p10, Low: max(0, p10-.05), High: min(1, p10+.05)}
	loss := 1.5
	l := line{
		Row: row, PairsSeen: pairs, Steps: pairs / 4, Pairs: 100, ToPhoto: figures{P1: s, P5: s, P10: s, MedianRank: 9}, ToSpeech: figures{P1: s, P5: s, P10: s},
		Seconds: 90, Model: "sha256:0123456789abcdef", Weights: "sha256:" + row, Machine: "A, 2 CPUs", Numeric: "avx512", Date: "2026-01-01",
		Settings: map[string]string{"features": "vgg16, conv5_3: 14x14x512", "training": "10 steps, batch 4, seed 1", "loss": "hinge, margin 1"},
	}
	if pairs > 0 {
		l.Loss = &loss
	}
	return l
}

// newBook is a folder with results.md that has an empty block.
func newBook(t *testing.T, inside string) book {
	t.Helper()
	b := book{t.TempDir()}
	if err := os.WriteFile(b.resultsPath(), []byte("# Results\n\n"+blockBegin+"\n"+inside+blockEnd+"\n\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b book) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(b.resultsPath())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func enter(t *testing.T, b book, l line) string {
	t.Helper()
	kept, err := b.enter(l)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// TestEnter: a line a row, in the table's order, replaced only by one that has
// seen more pairs.
func TestEnter(t *testing.T) {
	b := newBook(t, "")
	if err := b.write(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		l    line
		kept string
	}{
		{scored("VGG16_6", 400, .2), ""},
		{scored("VGG16(R)", 0, .11), ""},
		{scored("VGG16_6", 100, .9), "more pairs: 400"},
		{scored("VGG16_6", 400, .2), "of the same model"},
		{line{Row: "VGG16_6", PairsSeen: 400, Pairs: 100, Model: "sha256:ff"}, "another model"},
		{scored("VGG16(R)", 0, .5), "of the same model"},
		{scored("VGG16_6", 404, .31), ""},
	} {
		if kept := enter(t, b, c.l); (kept == "") != (c.kept == "") || !strings.Contains(kept, c.kept) {
			t.Errorf("%s with %d: %q, want %q", c.l.Row, c.l.PairsSeen, kept, c.kept)
		}
	}
	lines, err := readLines(b.linesPath())
	if err != nil || len(lines) != 2 || lines[0].Row != "VGG16(R)" || lines[0].ToPhoto.P10.Value != .11 || lines[1].PairsSeen != 404 {
		t.Fatalf("%+v, %v", lines, err)
	}
	text := b.text(t)
	for _, want := range []string{
		"# Results\n", "\nafter\n", "| VGG16(R) | .05 / .14 / .30 | .11 [.06 .16] |", "| VGG16_6 | .12 / .48 / .74 | .31 [.26 .36] |",
		"| 404 | 1.500 | 1.5 min | `0123456789ab` |", "| VGG19_GRU | not reported | not run yet", "- loss: hinge, margin 1\n", "- training: batch 4, seed 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "| VGG16_6 |"); n != 1 {
		t.Errorf("VGG16_6 stands there %d times", n)
	}
}

// TestEdited: what was changed by hand is neither overwritten nor believed.
func TestEdited(t *testing.T) {
	filled := func(t *testing.T) book {
		b := newBook(t, "")
		if err := b.write(); err != nil {
			t.Fatal(err)
		}
		enter(t, b, scored("VGG16_5", 400, .2))
		return b
	}
	for name, c := range map[string]struct {
		file     func(b book) string
		old, new string
		want     string
	}{
		"a figure":         {book.resultsPath, ".20 [", ".90 [", "results.md:8: the paper's table is not what paper.jsonl gives"},
		"a line more":      {book.resultsPath, blockEnd, "more\n" + blockEnd, "edited by hand"},
		"no beginning":     {book.resultsPath, blockBegin, "", "without its beginning"},
		"no end":           {book.resultsPath, blockEnd, "", "is not there"},
		"no block":         {book.resultsPath, "# Results", "", ""},
		"two beginnings":   {book.resultsPath, "after", blockBegin, "a second"},
		"two ends":         {book.resultsPath, "after", blockEnd, "without its beginning"},
		"carriage returns": {book.resultsPath, "\n", "\r\n", "line feed"},
		"no JSON":          {book.linesPath, "{", "", "paper.jsonl:1: "},
		"another row":      {book.linesPath, "VGG16_5", "VGG15_5", `paper.jsonl:1: "VGG15_5" is no row`},
		"two rows":         {book.linesPath, "\n", " {}\n", "paper.jsonl:1: more than one value"},
		"a word more":      {book.linesPath, `"steps"`, `"stepz"`, "stepz"},
		"a share":          {book.linesPath, `"value":0.2`, `"value":2`, "a share of 2"},
		"no model":         {book.linesPath, "sha256:0123456789abcdef", "", "model"},
	} {
		t.Run(name, func(t *testing.T) {
			b := filled(t)
			path := c.file(b)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			edited := strings.ReplaceAll(string(text), c.old, c.new)
			if edited == string(text) {
				t.Fatal("nothing is edited")
			}
			if err := os.WriteFile(path, []byte(edited), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err = b.enter(scored("VGG16_5", 800, .3))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if again, _ := os.ReadFile(path); string(again) != edited {
				t.Error("the file has been changed")
			}
		})
	}
	twice := newBook(t, "")
	enterTwice := scored("VGG16_5", 4, .2)
	if err := writeLines(twice.linesPath(), []line{enterTwice, enterTwice}); err != nil {
		t.Fatal(err)
	}
	if err := twice.check(); err == nil || !strings.Contains(err.Error(), "paper.jsonl:2: VGG16_5 stands in line 1") {
		t.Errorf("a row twice: %v", err)
	}
	old := filled(t) // killed after its lines were written
	lines, err := readLines(old.linesPath())
	if err != nil {
		t.Fatal(err)
	}
	lines, _ = merged(lines, scored("Resnet50_5", 4000, .3))
	if err := writeLines(old.linesPath(), lines); err != nil {
		t.Fatal(err)
	}
	if err := old.check(); err != nil {
		t.Errorf("a block of fewer lines: %v", err)
	}
	if kept, err := old.enter(scored("Resnet50_6", 4000, .3)); err != nil || kept != "" || !strings.Contains(old.text(t), "| Resnet50_5 | .01 / .12 / .26 | .") {
		t.Errorf("%v %q: the block lacks what a killed run has written:\n%s", err, kept, old.text(t))
	}
	b := filled(t)
	if err := os.WriteFile(b.resultsPath(), []byte(strings.Replace(b.text(t), ".20 [", ".90 [", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.write(); err != nil { // -table
		t.Fatal(err)
	}
	if err := b.check(); err != nil {
		t.Errorf("after -table: %v", err)
	}
}

// TestKept: docs/ of this project is as `make paper` has written it.
func TestKept(t *testing.T) {
	if err := (book{filepath.Join("..", "..", "docs")}).check(); err != nil {
		t.Error(err)
	}
}

func TestGates(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []line
		want  string // row and verdict
	}{
		{"good", []line{scored("VGG16(R)", 0, .1), scored("VGG16_5", 4, .3)}, "VGG16_5 true"},
		{"low end at chance", []line{scored("VGG16(R)", 0, .1), scored("VGG16_5", 4, .15)}, "VGG16_5 false"},
		{"below untrained", []line{scored("VGG16(R)", 0, .4), scored("VGG16_5", 4, .3)}, "VGG16_5 false"},
		{"as untrained", []line{scored("VGG16(R)", 0, .3), scored("VGG16_5", 4, .3)}, "VGG16_5 false"},
		{"untrained of another", []line{scored("VGG19(R)", 0, .1), scored("VGG16_5", 4, .3)}, "VGG16_5 false"},
		{"recurrent and random", []line{scored("VGG19_LSTM", 4, .1), scored(randomRow, 4, .1)}, ""},
	} {
		got := ""
		for _, g := range gates(c.lines) {
			got += " " + g.row + map[bool]string{true: " true", false: " false"}[g.ok]
		}
		if strings.TrimSpace(got) != c.want {
			t.Errorf("%s:%s, want %s", c.name, got, c.want)
		}
	}
}

// TestFindings: what is said follows from the figures.
func TestFindings(t *testing.T) {
	random := scored(randomRow, 400, .1)
	stuck := 2.001
	random.Loss = &stuck
	identity := scored("VGG19_5", 400, .2)
	identity.Note, identity.Weights = "VGG19 (VGG16 + identity)", "sha256:VGG16_5"
	resnet := scored("Resnet50_5", 800, .4)
	resnet.Settings["features"] = "resnet50, stage 4: 14x14x1024"
	lines := []line{scored("VGG16(R)", 0, .12), scored("VGG16_5", 400, .74), identity, scored("Resnet50(R)", 0, .1), resnet, random}
	text := strings.Join(findings(lines), "\n")
	for _, want := range []string{
		"VGG16_5 P@1 .07, P@5 .47;",  // P@10 .76 lies inside
		"VGG19_5 P@5 .45, P@10 .65;", // and P@1 .16
		`start from resnet50, stage 4: 14x14x1024; the paper's "7x7x1024`,
		"Ours have seen 400 to 800 pairs, the paper's recipe shows 4,500,000.",
		"have P@10 .30 and .34, three times chance, which it does not explain. Ours: VGG16(R) .12 [.07 .17], Resnet50(R) .10 [.05 .15]: chance.",
		"Resnet50_5 by its untrained row, P@10: the paper .26 after .34, ours .40 [.35 .45] after .10 [.05 .15].",
		"2.001 after 400 pairs, so it sits there so far",
		"The VGG19 rows are of VGG19 (VGG16 + identity)", "the feature maps are VGG16's to the bit", "the very weights of VGG16_5",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	*random.Loss = 1.9
	lines[1].Weights = "sha256:other"
	lines[0] = scored("VGG16(R)", 0, .3)
	text = strings.Join(findings(lines), "\n")
	for _, want := range []string{"so it has come below it so far", "and not all are at chance"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	*random.Loss = 17
	if text := strings.Join(findings(lines), "\n"); !strings.Contains(text, "so it has not come down to it so far") {
		t.Error(text)
	}
	if strings.Contains(text, "the very weights") {
		t.Error("other weights are called the same")
	}
}
