package inspect

import (
	"bytes"
	"context"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/table"
)

// toneClip is silence, and in its second half a tone.
func toneClip(t *testing.T, hz float64, rateHz, samples int) table.Clip {
	t.Helper()
	x := make([]int16, samples)
	for i := samples / 2; i < samples; i++ {
		x[i] = int16(30000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rateHz)))
	}
	var b bytes.Buffer
	if err := audio.EncodeWAV(&b, rateHz, 1, x); err != nil {
		t.Fatal(err)
	}
	return table.Clip{ID: "a", Format: "wav", Audio: b.Bytes()}
}

// TestDrawSound: the row of a clip is drawn as its waveform and, below it, as its
// spectrogram, in the terminal and as a picture.
func TestDrawSound(t *testing.T) {
	path := tableFile(t, table.Clips, "c.parquet", toneClip(t, 9000, 22050, 22050))
	r, err := File(context.Background(), path, Options{Row: "a"})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(r.Drawing, "\n"), "\n")
	if len(lines) != 1+12+1+20 || !strings.HasPrefix(lines[0], "waveform") || !strings.HasSuffix(lines[0], "1.00 s across") || !strings.HasPrefix(lines[13], "mel spectrogram, 20 Hz at the bottom to 11025 Hz") {
		t.Fatalf("%d lines:\n%s", len(lines), r.Drawing)
	}
	wave, mel := lines[1:13], lines[14:]
	if wave[0][10] != ' ' || wave[0][60] == ' ' || wave[11][60] == ' ' {
		t.Errorf("silence, then a tone near full scale, is drawn as\n%s", strings.Join(wave, "\n"))
	}
	if strings.TrimSpace(mel[1][:38]) != "" || strings.ContainsAny(mel[1][45:75], " .:-=+") || strings.ContainsAny(mel[19][45:75], "*#%@") {
		t.Errorf("a high tone in the second half is drawn as\n%s", strings.Join(mel, "\n"))
	}
	if strings.Contains(r.Drawing, "\x1b") {
		t.Error("colours, though none were asked for")
	}
	if r, err = File(context.Background(), path, Options{Row: "a", Color: true}); err != nil || !strings.Contains(r.Drawing, "\x1b[38;2;") {
		t.Errorf("no colours, though they were asked for: %v", err)
	}
	img, err := png.Decode(bytes.NewReader(exported(t, path, "png", "a")))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != 720 || b.Dy() != 120+8+40*6 {
		t.Fatalf("picture of %v", b)
	}
	brightness := func(x, y int) uint32 { r, g, _, _ := img.At(x, y).RGBA(); return r + g }
	if loud, silent, low := brightness(540, 148), brightness(180, 148), brightness(580, 350); loud < 2*silent || loud < low+low/10 {
		t.Errorf("the tone's brightness is %d, beside %d before it and %d below it", loud, silent, low)
	}
}

// TestDrawOddSound: what is too short, too slow or too long for a spectrogram is
// drawn nevertheless, or said not to be.
func TestDrawOddSound(t *testing.T) {
	for name, c := range map[string]table.Clip{
		"one sample": toneClip(t, 10, 22050, 1), "1 Hz": toneClip(t, 0, 1, 10), "40 Hz": toneClip(t, 5, 40, 100), "768 kHz": toneClip(t, 9000, 768000, 5000),
		"10 minutes": toneClip(t, 100, 8000, 8000*600),
	} {
		path := tableFile(t, table.Clips, "c.parquet", c)
		r, err := File(context.Background(), path, Options{Row: "a"})
		if err != nil || !strings.Contains(r.Drawing, "mel spectrogram") {
			t.Errorf("%s: %v, %+v", name, err, r)
			continue
		}
		if _, err := png.Decode(bytes.NewReader(exported(t, path, "png", "a"))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
