package decode

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// countingFFmpeg puts a program in front of ffmpeg on PATH that notes each call
// that decodes, and returns how many there were.
func countingFFmpeg(t *testing.T) func() int {
	t.Helper()
	real, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: batches are not tried")
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = -version ] || echo x >>'%s'\nexec '%s' \"$@\"\n", log, real)
	if err := os.WriteFile(filepath.Join(dir, "ffmpeg"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() int {
		b, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return bytes.Count(b, []byte("\n"))
	}
}

// vorbis encodes a tone.
func vorbis(t *testing.T, seconds float64) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "x.wav"), filepath.Join(dir, "x.ogg")
	if err := os.WriteFile(in, wav(t, 44100, 1, seconds), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command("ffmpeg", "-v", "error", "-bitexact", "-i", in, out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestBatches: many clips share a process; a bad one among them harms no other,
// and the bytes are those of a clip decoded alone.
func TestBatches(t *testing.T) {
	calls := countingFFmpeg(t)
	good := vorbis(t, .3)
	var clips []table.Clip
	for i := range 40 {
		clips = append(clips, clip(fmt.Sprintf("c%02d", i), good))
	}
	s := stagetest.Store(t)
	params := map[string]any{"on_damage": "keep"}
	r := run(t, s, params, clips...)
	if got := calls(); got > 15 || len(r.Rejects) > 0 {
		t.Errorf("%d processes for 40 clips, rejects %q", got, r.Rejects)
	}
	alone := stagetest.Rows(t, run(t, s, params, clips[7]).Artifact, table.Clips)
	bad := bytes.Clone(good)
	for i := 70; i < len(bad); i++ {
		bad[i] = 7
	}
	clips[20].Audio, clips[20].SHA256 = bad, table.SumBytes(bad)
	r = run(t, s, params, clips...)
	rows := stagetest.Rows(t, r.Artifact, table.Clips)
	if len(rows) != 39 || len(r.Rejects) != 1 || r.Reason("c20") == "" {
		t.Fatalf("%d rows, rejects %q", len(rows), r.Rejects)
	}
	for _, c := range rows {
		if !bytes.Equal(c.Audio, alone[0].Audio) {
			t.Errorf("%s is not what it is alone", c.ID)
		}
	}
}

// TestNeverAskedFor: clips that are decoded ahead and never asked for, as their
// rows are in the store, are let go, and do not keep others from being decoded
// ahead. No ffmpeg runs.
func TestNeverAskedFor(t *testing.T) {
	s := stagetest.Store(t)
	var clips []table.Clip
	for i := range 4000 { // of a kind that is not decoded here
		clips = append(clips, clip(fmt.Sprintf("c%04d", i), fmt.Appendf(nil, "#!AMR\nno. %06d", i)))
	}
	in := stagetest.Artifact(t, s, "speech", stagetest.Part("clips-00.parquet", table.Clips, clips...))
	set, err := rows.Open(table.Clips, in)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	entries, err := rows.List(table.Clips, in)
	if err != nil {
		t.Fatal(err)
	}
	const second = 1 << 18 // bytes
	a := newAhead(nil, set, entries, "")
	batches, taken := 0, 0
	for i := 0; i < len(entries); i += 10 { // nine of ten are in the store
		ref := entries[i].Ref
		if r := a.ask(ref); r != nil {
			continue
		}
		_, results := a.take(ref)
		batches, taken = batches+1, taken+len(results)
		all := make([]decoded, len(results))
		for i := range all {
			all[i].pcm = &audio.PCM{SampleRateHz: 16000, Channels: 1, Samples: make([]float32, second/4)}
		}
		a.finish(results, all, false)
		held := 0
		for _, r := range a.ready {
			held += r.bytes
		}
		if held != a.bytes || len(a.ready) >= lookClips+batchClips || a.bytes >= waitBytes+batchClips*second || len(a.queue) > staleAfter*batchClips {
			t.Fatalf("at %d: %d clips of %d bytes wait, %d counted, %d in the queue", i, len(a.ready), held, a.bytes, len(a.queue))
		}
	}
	if batches == 0 || taken < 2*lookClips {
		t.Errorf("%d clips decoded ahead in %d batches: what no one asked for is in the way", taken, batches)
	}
	for range staleAfter + 1 {
		a.ask(entries[0].Ref)
	}
	if len(a.ready) > 0 || a.bytes != 0 || len(a.queue) > 0 {
		t.Errorf("%d clips of %d bytes are kept to the end, %d in the queue", len(a.ready), a.bytes, len(a.queue))
	}
}

// TestCutIsNeverWhole: what ffmpeg takes for whole although it is cut is set
// aside, or kept with a word on what is lost.
func TestCutIsNeverWhole(t *testing.T) {
	countingFFmpeg(t)
	whole := vorbis(t, 3)
	at := bytes.LastIndex(whole, []byte("OggS"))
	c := clip("cut", whole[:at]) // at a page: ffmpeg says nothing
	s := stagetest.Store(t)
	if r := run(t, s, nil, c); !strings.Contains(r.Reason("cut"), "truncated") {
		t.Errorf("reject: %q", r.Reason("cut"))
	}
	rows := stagetest.Rows(t, run(t, s, map[string]any{"on_damage": "keep"}, c).Artifact, table.Clips)
	if len(rows) != 1 || !strings.Contains(rows[0].Warnings, "lost") || rows[0].Seconds >= 3 {
		t.Errorf("keep: %+v", rows)
	}
}

// TestDitherParam: dither changes what is rounded, the same way each time, and
// leaves alone what is not.
func TestDitherParam(t *testing.T) {
	s := stagetest.Store(t)
	params := map[string]any{"dither": "triangular"}
	clips := []table.Clip{clip("rounded", wav(t, 48000, 1, .2)), clip("whole", wav(t, 22050, 2, .2))}
	plain := stagetest.Rows(t, run(t, s, nil, clips...).Artifact, table.Clips)
	dithered := stagetest.Rows(t, run(t, s, params, clips...).Artifact, table.Clips)
	again := stagetest.Rows(t, run(t, stagetest.Store(t), params, clips...).Artifact, table.Clips)
	for i, changed := range []bool{true, false} {
		if bytes.Equal(plain[i].Audio, dithered[i].Audio) == changed {
			t.Errorf("%s: changed by dither: want %v", plain[i].ID, changed)
		}
		if !bytes.Equal(dithered[i].Audio, again[i].Audio) {
			t.Errorf("%s: another time, other noise", plain[i].ID)
		}
	}
}

// TestBatchCutShort: who waited for a batch that another's end cut short decodes
// its clip itself, whatever the end was called.
func TestBatchCutShort(t *testing.T) {
	a := newAhead(nil, nil, nil, "")
	ref := rows.Ref{}
	wait := func(lost bool, err error) *result {
		r := &result{done: make(chan struct{})}
		a.ready[ref] = r
		a.finish([]*result{r}, []decoded{{err: err}}, lost)
		return r
	}
	other := errors.New("another shard's clip")
	if r := wait(true, other); !r.lost {
		t.Error("another's end is taken for the clip's own fault")
	}
	if r := wait(false, other); r.lost {
		t.Error("a clip's own fault is taken for another's end")
	}
	if r := wait(true, nil); r.lost {
		t.Error("a clip that came out in time is lost")
	}
}
