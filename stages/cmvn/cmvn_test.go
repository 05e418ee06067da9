package cmvn

import (
	"math"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

func row(id string, cols int32, x ...float32) table.MFCC {
	return table.MFCC{ID: id, SHA256: table.SumFloats(x), NFrames: int32(len(x)) / cols, NCoeffs: cols, Features: x, SampleRateHz: 22050}
}

func run(t *testing.T, s *artifacts.Store, params map[string]any, rows ...table.MFCC) []table.MFCC {
	t.Helper()
	in := stagetest.Artifact(t, s, "mfcc", stagetest.Part("mfcc-00.parquet", table.MFCCs, rows...))
	r := stagetest.MustRun(t, Kind, stagetest.Options{Store: s, Inputs: stagetest.In("mfcc", in), Params: params})
	return stagetest.Rows(t, r.Artifact, table.MFCCs)
}

// TestCorpus: over clips of 1 and 3 frames the first column is 1, 2, 3, 6 (mean
// 3, deviation sqrt 3.5), the second the same everywhere.
func TestCorpus(t *testing.T) {
	s := stagetest.Store(t)
	clips := []table.MFCC{row("a", 2, 1, 7), row("b", 2, 2, 7, 3, 7, 6, 7)}
	check := func(params map[string]any, std float64) {
		t.Helper()
		out := run(t, s, params, clips...)
		if len(out) != 2 || out[1].NFrames != 3 || out[1].SHA256 != table.SumFloats(out[1].Features) {
			t.Fatalf("rows %+v", out)
		}
		got := append(append([]float32{}, out[0].Features...), out[1].Features...)
		for i, x := range []float64{1, 2, 3, 6} {
			if want := (x - 3) / std; math.Abs(float64(got[2*i])-want) > 1e-6 || got[2*i+1] != 0 {
				t.Errorf("frame %d is %v, want %v and 0", i, got[2*i:2*i+2], want)
			}
		}
	}
	check(nil, math.Sqrt(3.5))
	check(map[string]any{"variance": false}, 1)

	// A clip more moves all.
	if out := run(t, s, nil, append(clips, row("c", 2, 100, 7))...); out[0].Features[0] == float32(-2/math.Sqrt(3.5)) {
		t.Error("a third clip changed nothing")
	}
}

func TestRagged(t *testing.T) {
	s := stagetest.Store(t)
	in := stagetest.Artifact(t, s, "mfcc", stagetest.Part("mfcc-00.parquet", table.MFCCs, row("a", 2, 1, 7), row("b", 3, 1, 2, 3)))
	if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: stagetest.In("mfcc", in)}); err == nil {
		t.Error("clips of 2 and of 3 features a frame: no error")
	}
}
