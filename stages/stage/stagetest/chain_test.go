package stagetest_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/decode"
	"github.com/hearsight/hearsight/stages/mfcc"
	"github.com/hearsight/hearsight/stages/scenes"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
	"github.com/hearsight/hearsight/stages/tts"
)

// TestChain goes from nothing to the features that training takes, by the
// stages that the demo uses: each takes what the one before made.
func TestChain(t *testing.T) {
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Skip("espeak-ng is not installed")
	}
	train := 150
	if testing.Short() {
		train = 8
	}
	s := stagetest.Store(t)
	step := func(k stage.Kind, port string, in *artifacts.Artifact, params map[string]any) *artifacts.Artifact {
		start := time.Now()
		o := stagetest.Options{Store: s, Params: params}
		if in != nil {
			o.Inputs = stagetest.In(port, in)
		}
		r := stagetest.MustRun(t, k, o)
		if len(r.Rejects) != 0 {
			t.Fatalf("%s set aside %q", k.Name, r.Rejects)
		}
		t.Logf("%s: %d items in %v", k.Name, r.Artifact.Manifest.Items, time.Since(start).Round(time.Millisecond))
		return r.Artifact
	}
	pairs := step(scenes.Kind, "", nil, map[string]any{"train": train, "validation": 4, "hard": 4})
	speech := step(tts.Kind, "captions", pairs, map[string]any{
		"engine": "espeak-ng", "voices": []any{"en-us", "en-us+f2", "en-us+m3", "en-gb", "en-gb+f4"},
		"rate": 170, "rate_max": 209, "pitch": 40, "pitch_max": 60,
	})
	wav := step(decode.Kind, "audio", speech, nil)
	features := step(mfcc.Kind, "wav", wav, nil)

	captions := stagetest.Rows(t, pairs, table.Captions)
	said, heard := stagetest.Rows(t, speech, table.Clips), stagetest.Rows(t, wav, table.Clips)
	rows := stagetest.Rows(t, features, table.MFCCs)
	if len(rows) != train+8 || len(captions) != len(rows) {
		t.Fatalf("%d captions became %d rows", len(captions), len(rows))
	}
	for i, m := range rows {
		if m.ID != captions[i].ID || m.SourceSHA256 != heard[i].SHA256 || heard[i].SHA256 != said[i].SHA256 {
			t.Errorf("row %d is of %s, caption %s", i, m.ID, captions[i].ID)
		}
		// Clips of this set were measured: 138 to 515 frames.
		if m.NFrames < 100 || m.NFrames > 700 || m.NCoeffs != 40 {
			t.Errorf("%s: %d frames of %d: %q", m.ID, m.NFrames, m.NCoeffs, captions[i].Text)
		}
	}
}
