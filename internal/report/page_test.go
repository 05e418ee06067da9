package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
)

func page() Page {
	r := Recall{P1: .07, P5: .47, P10: .76, P10Low: .67, P10High: .83, MedianRank: 6, MRR: .25, Chance1: .01, Chance10: .1, TiedQueries: 2}
	return Page{
		Title:    "Hearsight",
		Systems:  []System{{Name: "VGG16_5", Set: "validation", Pairs: 100, ToPhoto: r, ToSpeech: r, Settings: []Setting{{"batch", "4"}}}, {Name: "VGG19_GRU", Set: "validation", Pairs: 100}},
		Curves:   []Curve{{Caption: "loss", SVG: []byte("<?xml version=\"1.0\"?><svg></svg>")}},
		Examples: []Example{{Kind: "best", Caption: "a dog <b>runs</b>", Photo: []byte("\x89PNG..."), Clip: []byte("RIFF"), Clipped: "audio/wav"}},
		Rejects:  []Reject{{"x.jpg", "photos", "not a photo: <script>alert(1)</script>"}},
		Spec:     "version: 1",
	}
}

func TestWrite(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, page()); err != nil {
		t.Fatal(err)
	}
	html := b.String()
	for _, want := range []string{"VGG16_5", ".76 <small>0.67–0.83</small>", "not reported", "a dog &lt;b&gt;runs", "&lt;script&gt;", "data:image/png;base64,", "data:audio/wav;base64,", "<svg></svg>", "version: 1", "2 queries tie"} {
		if !strings.Contains(html, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if strings.Contains(html, "<?xml") || strings.Contains(html, "<script") {
		t.Error("page holds an XML declaration or a script")
	}
	if m := regexp.MustCompile(`(?:src|href)="(?:https?:)?//[^"]*"`).FindString(html); m != "" {
		t.Errorf("page loads %s from the network", m)
	}
}

func TestWriteSameBytes(t *testing.T) {
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := Write(w, page()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("equal pages gave different bytes")
	}
}

func TestWriteRun(t *testing.T) {
	p := page()
	p.Run = &Run{ID: "r1", Started: time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC), Wall: 90 * time.Second, Stages: []StageTime{{Stage: "mfcc", State: "finished", Items: 12, Wall: time.Second, CPU: 2 * time.Second}}}
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2026-11-24 06:00 UTC", "1m30s", "<td>mfcc</td>"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("page lacks %q", want)
		}
	}
}

func TestEmptyPage(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, Page{Title: "empty"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "No system has been scored yet") {
		t.Error("an empty page does not say that it is empty")
	}
}

func TestPaper(t *testing.T) {
	if len(Table1) != 12 {
		t.Errorf("Table 1 has %d rows, want 12", len(Table1))
	}
	if r := Paper("VGG16_5"); r == nil || r.P10 != .76 {
		t.Errorf("Paper(VGG16_5) = %v, want P@10 .76", r)
	}
	if r := Paper("nobody"); r != nil {
		t.Errorf("Paper(nobody) = %v, want nil", r)
	}
}
