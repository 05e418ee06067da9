package table

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMetrics(t *testing.T) {
	way := RecallMetrics{N: 100, P1: Share{.07, .03, .14}, P5: Share{.47, .37, .57}, P10: Share{1. / 3, .2, .5}, MedianRank: 5.5, MeanRank: 9.25, MRR: .27, Tied: 3}
	for _, want := range []Metrics{
		{System: "VGG16_5", Sets: []SetMetrics{
			{Set: "validation", Pairs: 100, Photos: 100, SpeechToImage: way, ImageToSpeech: way},
			{Set: "hard", Pairs: 2, Photos: 1, GroupRight: &Share{.5, .1, .9}},
		}, Settings: map[string]string{"b": "2", "a": "é <1>"}, Note: "VGG16 + identity"},
		{},
	} {
		var one, two bytes.Buffer
		for _, b := range []*bytes.Buffer{&one, &two} {
			if err := WriteMetrics(b, want); err != nil {
				t.Fatal(err)
			}
		}
		if one.String() != two.String() {
			t.Error("equal metrics give different bytes")
		}
		got, err := ReadMetrics(&one)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if want.Note == "" && strings.Contains(two.String(), "note") {
			t.Errorf("metrics without a note hold one: %s", two.String())
		}
	}
	var names bytes.Buffer // that others read by
	if err := WriteMetrics(&names, Metrics{Sets: []SetMetrics{{GroupRight: &Share{}}}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("system sets settings set pairs photos speech_to_image image_to_speech group_right n p1 p5 p10 median_rank mean_rank mrr tied value low high") {
		if !strings.Contains(names.String(), `"`+name+`":`) {
			t.Errorf("metrics have no %s: %s", name, names.String())
		}
	}
	if err := WriteMetrics(&bytes.Buffer{}, Metrics{Sets: []SetMetrics{{SpeechToImage: RecallMetrics{MRR: math.NaN()}}}}); err == nil {
		t.Error("a figure that is no number was written")
	}
	for _, bad := range []string{"", "{", `{"sets": 1}`, "[]"} {
		if _, err := ReadMetrics(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), "read metrics") {
			t.Errorf("ReadMetrics(%q) = %v", bad, err)
		}
	}
}
