package audio

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

// reasons names the files where the outcome differs from manifest.tsv's, and
// why. Decode hands back what it could save with Info.Damaged; whether that is
// good enough is for the caller to decide (and a strict one refuses it), so for
// these "error" and "damaged" are the same judgement.
var reasons = map[string]string{
	"files/mp3/gen-mp3cbr-zeros-mid.mp3": "the frames around the zeros are sound; Damaged, with the seconds lost",
	"files/mp3/gen-mp3vbr-zeros-mid.mp3": "the frames around the zeros are sound; Damaged, with the seconds lost",
	"files/m4a/gen-alac.m4a":             "ALAC is left to ffmpeg: ErrUnsupported",
}

func TestBadInputs(t *testing.T) {
	root := sharedtest.Path(t, "badinputs")
	manifest, err := os.ReadFile(filepath.Join(root, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, line := range strings.Split(string(manifest), "\n") {
		f := strings.Split(line, "\t")
		if len(f) < 4 || !strings.HasPrefix(f[0], "files/wav/") && !strings.HasPrefix(f[0], "files/mp3/") && !strings.HasPrefix(f[0], "files/m4a/") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, f[0]))
		if err != nil {
			t.Fatal(err)
		}
		outcome := judgeBad(t, f[0], f[3], data)
		counts[f[3]+" -> "+outcome]++
	}
	if len(counts) == 0 {
		t.Error("manifest.tsv lists no sound files")
	}
	t.Log(counts)
}

func judgeBad(t *testing.T, name, expect string, data []byte) string {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	pcm, info, err := Decode(name, data)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 256 || took > 2*time.Second {
		t.Errorf("%s: %d MiB, %v", name, mib, took)
	}
	if _, perr := Probe(data); perr != nil && err == nil {
		t.Errorf("%s: Probe fails (%v) where Decode does not", name, perr)
	}
	outcome := "ok"
	switch {
	case err != nil:
		outcome = "error"
		if !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error does not name the file in one line: %v", name, err)
		}
		if errors.Is(err, ErrUnsupported) {
			outcome = "unsupported"
		}
	case info.Damaged:
		outcome = "damaged"
	case len(info.Warnings) > 0:
		outcome = "warn"
	}
	if err == nil {
		checkSound(t, name, pcm, info)
	}
	allowed := map[string]string{"error": "error unsupported", "warn": "warn damaged", "prefix": "damaged error unsupported",
		"ok": "ok", "clean": "ok warn damaged error unsupported"}[expect]
	if _, known := reasons[name]; !known && !strings.Contains(allowed, outcome) {
		t.Errorf("%s: %s, want %s (%d frames, %v, %v)", name, outcome, expect, info.Frames, info.Warnings, err)
	}
	if known := reasons[name]; known != "" && outcome == "ok" {
		t.Errorf("%s: passes for whole", name)
	}
	return outcome
}

// checkSound checks what holds for everything that Decode returns.
func checkSound(t *testing.T, name string, pcm *PCM, info Info) {
	t.Helper()
	if pcm.Frames() < 1 || int64(pcm.Frames()) != info.Frames || len(pcm.Samples)%pcm.Channels != 0 || info.SampleRateHz != pcm.SampleRateHz {
		t.Errorf("%s: %d samples in %d channels, %+v", name, len(pcm.Samples), pcm.Channels, info)
	}
	for i, v := range pcm.Samples {
		if v-v != 0 {
			t.Errorf("%s: sample %d is %v", name, i, v)
			return
		}
	}
}
