package report

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// TestCorpus: the clips are measured, the voices and reasons counted.
func TestCorpus(t *testing.T) {
	s := stagetest.Store(t)
	clips := []table.Clip{
		{ID: "a", Seconds: 1, LoudnessLUFS: -30, SilenceShare: 1, Codec: "mp3", SourceRateHz: 44100, SourceChannels: 2, ClippedSamples: 3},
		{ID: "b", Seconds: 2, LoudnessLUFS: -20, Codec: "mp3", SourceRateHz: 44100, SourceChannels: 2, Warnings: "short"},
		{ID: "c", Seconds: 3, LoudnessLUFS: -10},
	}
	src := Sources{
		Pairs: []*artifacts.Artifact{stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, table.Caption{ID: "a", PhotoID: "p", Split: "train", Text: "A dog runs."}, table.Caption{ID: "b", PhotoID: "p", Split: "validation", Text: "a dog ."}),
			stagetest.Part("photos-00.parquet", table.Photos, table.Photo{ID: "p", Format: "jpeg", Width: 500, Height: 375, Bytes: []byte("x")}))},
		WAV: []*artifacts.Artifact{stagetest.Artifact(t, s, "wav", stagetest.Part("clips-00.parquet", table.Clips, clips...))},
		Speech: []*artifacts.Artifact{stagetest.Artifact(t, s, "speech", stagetest.Part("clips-00.parquet", table.Clips,
			table.Clip{ID: "a", Voice: "en-us"}, table.Clip{ID: "b", Voice: "en-gb"}, table.Clip{ID: "c", Voice: "en-gb"}))},
		Rejects: []*artifacts.Artifact{rejects(t, s,
			table.Reject{Item: "x", Stage: "corpus", Reason: `row 3: id "a/b" holds a separator`}, table.Reject{Item: "y", Stage: "corpus", Reason: `row 17: id "\"" holds a separator`},
			table.Reject{Item: "z", Stage: "decode", Reason: "2 of 9 access units are damaged (0.05 s)"})},
	}
	got, err := Collect(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	want := &report.Corpus{
		Facts: []report.Setting{
			{Name: "captions", Value: "2 of 1 photos (1 train, 1 validation)"},
			{Name: "words of a caption", Value: "2 to 3, half of them within 2 to 3; 3 different words in all"},
			{Name: "photos", Value: "1 jpeg; 500 px wide, 375 px high"},
			{Name: "clips", Value: "3, 6.0 s in all"},
			{Name: "lengths", Value: "1.00 to 3.00 s, half of them within 2.00 to 3.00 s"},
			{Name: "loudness", Value: "-30.0 to -10.0 LUFS, half of them within -20.0 to -10.0"},
			{Name: "silence", Value: "16.7 % of the time"},
			{Name: "with clipped samples", Value: "1 of the clips"},
			{Name: "with a warning", Value: "1 of the clips"},
			{Name: "recorded as", Value: "mp3, 44100 Hz, stereo: 2\nnot known: 1"},
		},
		Voices:  []report.Count{{Name: "en-gb", N: 2}, {Name: "en-us", N: 1}},
		Reasons: []report.Count{{Name: "corpus: id … holds a separator", N: 2}, {Name: "decode: # of # access units are damaged (# s)", N: 1}},
		Plots:   got.Corpus.Plots,
	}
	if d := cmp.Diff(want, got.Corpus); d != "" {
		t.Errorf("corpus (-want +got):\n%s", d)
	}
	if len(got.Corpus.Plots) != 2 || !strings.Contains(string(got.Corpus.Plots[0].SVG), "seconds") || !strings.Contains(string(got.Corpus.Plots[1].SVG), "LUFS") {
		t.Errorf("%d plots", len(got.Corpus.Plots))
	}
	if none, err := Collect(context.Background(), Sources{}); err != nil || none.Corpus != nil {
		t.Errorf("of nothing: %+v, %v", none.Corpus, err)
	}
	for _, odd := range [][]float64{{1}, {2, 2, 2}, {math.NaN(), 1, 2}} {
		if _, err := histogram(odd, "x"); err != nil {
			t.Errorf("histogram of %v: %v", odd, err)
		}
	}
}
