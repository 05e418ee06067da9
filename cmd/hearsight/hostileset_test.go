package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// A hostile is a folder with the spec, its tables and the media.
type hostile struct {
	dir    string
	expect map[string]string // file, as in "wav/gen-x.wav" -> of the manifest
	sounds [][]string        // id, path
	photos [][]string
	texts  []hostileText
}

type hostileText struct {
	ID      string `parquet:"id"`
	Caption string `parquet:"caption"`
}

func newHostile(t *testing.T) *hostile {
	h := &hostile{dir: t.TempDir(), expect: map[string]string{}}
	media := filepath.Join(h.dir, "media")
	root := sharedtest.Path(t, "badinputs", "files")
	manifest, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(media, 0o755); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(manifest)) {
		f := strings.Split(line, "\t")
		if len(f) < 4 {
			continue
		}
		name := strings.TrimPrefix(f[0], "files/")
		kind, _, _ := strings.Cut(name, "/")
		if slices.Contains([]string{"wav", "mp3", "m4a", "jpeg", "png"}, kind) || strings.HasPrefix(name, "text/gen-cap-") {
			h.expect[name] = f[3]
		}
	}
	for _, kind := range []string{"wav", "mp3", "m4a", "jpeg", "png", "text"} {
		if err := os.Symlink(filepath.Join(root, kind), filepath.Join(media, kind)); err != nil {
			t.Fatal(err)
		}
	}
	good := goodMedia(t)
	for _, name := range sortedKeys(good) {
		if err := os.WriteFile(filepath.Join(media, name), good[name], 0o644); err != nil {
			t.Fatal(err)
		}
		if row := []string{name, name}; strings.HasSuffix(name, ".png") || strings.HasSuffix(name, ".jpg") {
			h.photos = append(h.photos, row)
		} else {
			h.sounds = append(h.sounds, row)
		}
	}
	h.texts = []hostileText{{"good#0", "two dogs run along the water"}, {"good#1", "a man cuts an onion"}}
	return h
}

// add puts the hostile files beside the good.
func (h *hostile) add(t *testing.T) {
	for _, name := range sortedKeys(h.expect) {
		row := []string{idOf(name), name}
		switch kind, _, _ := strings.Cut(name, "/"); kind {
		case "jpeg", "png":
			h.photos = append(h.photos, row)
		case "text":
			caption, err := os.ReadFile(filepath.Join(h.dir, "media", name))
			if err != nil {
				t.Fatal(err)
			}
			h.texts = append(h.texts, hostileText{row[0], string(caption)})
		default:
			h.sounds = append(h.sounds, row)
		}
	}
}

// idOf is the id that a file's item has.
func idOf(name string) string { return strings.ReplaceAll(name, "/", "_") }

// writeTables writes the spec and its tables. Captions go in a Parquet file:
// some hold bytes that no CSV may.
func (h *hostile) writeTables(t *testing.T) {
	t.Helper()
	for name, rows := range map[string][][]string{"sounds.csv": append([][]string{{"id", "audio"}}, h.sounds...), "photos.csv": append([][]string{{"photo_id", "image"}}, h.photos...)} {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		if err := w.WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(h.dir, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[hostileText](&b)
	_, err := w.Write(h.texts)
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(h.dir, "texts.parquet"), b.Bytes(), 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(h.dir, "pipeline.yaml"), []byte(hostileSpec), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// goodMedia is a few sound files and photos, and an MP3 and M4A from elsewhere
// where they are.
func goodMedia(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, rate := range []int{8000, 22050, 48000} {
		x := make([]int16, rate)
		for i := range x {
			x[i] = int16(9000 * math.Sin(float64(i)*float64(i)/float64(rate)))
		}
		var b bytes.Buffer
		if err := audio.EncodeWAV(&b, rate, 1, x); err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprintf("good-%d.wav", rate)] = b.Bytes()
	}
	m := image.NewNRGBA(image.Rect(0, 0, 300, 200))
	for i := range 300 * 200 {
		m.SetNRGBA(i%300, i/300, color.NRGBA{uint8(i), uint8(i / 300), uint8(i * i >> 8), 255})
	}
	var p, j bytes.Buffer
	if err := png.Encode(&p, m); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&j, m, nil); err != nil {
		t.Fatal(err)
	}
	out["good.png"], out["good.jpg"] = p.Bytes(), j.Bytes()
	for _, name := range []string{"say_like_22050_mono.m4a", "mpeg1_48000_mono_noxing.mp3"} {
		data, err := os.ReadFile(sharedtest.Path(t, "data", "speech", "decoder_corpus", "derived", name))
		if err != nil {
			t.Fatal(err)
		}
		out["good-"+name] = data
	}
	return out
}
