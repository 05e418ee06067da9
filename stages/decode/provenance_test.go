package decode

import (
	"bytes"
	"math"
	"testing"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// TestProvenance: each row says where its clip came from and how it sounds.
func TestProvenance(t *testing.T) {
	s := stagetest.Store(t)
	var loud bytes.Buffer // 48 kHz, stereo: half silence, half a square wave at full scale
	x := make([]int16, 2*48000)
	for i := len(x) / 2; i < len(x); i++ {
		x[i] = 32767
		if i/100%2 == 0 {
			x[i] = -32768
		}
	}
	if err := audio.EncodeWAV(&loud, 48000, 2, x); err != nil {
		t.Fatal(err)
	}
	r := run(t, s, nil, clip("canonical", wav(t, 22050, 1, 1)), clip("loud", loud.Bytes()))
	for _, c := range stagetest.Rows(t, r.Artifact, table.Clips) {
		want := table.Clip{Codec: "pcm_s16le", SourceRateHz: 22050, SourceChannels: 1, Peak: 8000. / 32768, LoudnessLUFS: -15.9}
		if c.ID == "loud" {
			want = table.Clip{Codec: "pcm_s16le", SourceRateHz: 48000, SourceChannels: 2, Peak: 1, ClippedSamples: 48000, SilenceShare: .5, LoudnessLUFS: c.LoudnessLUFS}
		}
		if c.Codec != want.Codec || c.SourceRateHz != want.SourceRateHz || c.SourceChannels != want.SourceChannels || c.ClippedSamples != want.ClippedSamples {
			t.Errorf("%s: %s, %d Hz, %d channels, %d clipped; want %+v", c.ID, c.Codec, c.SourceRateHz, c.SourceChannels, c.ClippedSamples, want)
		}
		if math.Abs(c.Peak-want.Peak) > 1e-3 || math.Abs(c.SilenceShare-want.SilenceShare) > .03 || math.Abs(c.LoudnessLUFS-want.LoudnessLUFS) > .2 || c.GainDB != 0 {
			t.Errorf("%s: peak %.4f, silence %.3f, %.2f LUFS, gain %v; want %+v", c.ID, c.Peak, c.SilenceShare, c.LoudnessLUFS, c.GainDB, want)
		}
	}
}

// TestLoudness: clips come to the loudness asked for, no further than their
// peaks let them, and the row says by how much.
func TestLoudness(t *testing.T) {
	s := stagetest.Store(t)
	silent, err := audio.WAV(22050, 1, make([]int16, 22050))
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[float64]struct{ lufs, gainDB float64 }{-23: {-23, -7.1}, -10: {-10, 5.9}, -1: {-3.6, 12.2}} { // a tone's peak is 3 dB over its loudness
		r := run(t, s, map[string]any{"loudness_lufs": target}, clip("silent", silent), clip("tone", wav(t, 22050, 1, 1)))
		rows := stagetest.Rows(t, r.Artifact, table.Clips)
		for _, c := range rows {
			measured := audio.Levels{}
			samples, _, err := audio.ReadPCM16(c.Audio)
			if err == nil {
				measured = audio.MeasurePCM16(samples, 22050)
			}
			if err != nil || measured.Peak != c.Peak || measured.LoudnessLUFS != c.LoudnessLUFS || c.SHA256 != table.SumBytes(c.Audio) {
				t.Errorf("%v, %s: the row is not of its sound: %+v, %v", target, c.ID, measured, err)
			}
			if c.ID == "silent" {
				if c.GainDB != 0 || !bytes.Equal(c.Audio, silent) {
					t.Errorf("%v: silence was made louder by %v dB", target, c.GainDB)
				}
			} else if math.Abs(c.LoudnessLUFS-want.lufs) > .2 || math.Abs(c.GainDB-want.gainDB) > .2 || c.ClippedSamples != 0 {
				t.Errorf("%v: %.2f LUFS by %.2f dB, %d clipped; want %+v", target, c.LoudnessLUFS, c.GainDB, c.ClippedSamples, want)
			}
		}
		if len(rows) != 2 {
			t.Errorf("%v: %d clips, want 2", target, len(rows))
		}
	}
}
