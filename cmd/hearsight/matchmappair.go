package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/matchmap"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/tts"
)

// A seen is a photo as a model is given it.
type seen struct {
	values                minibatch.Image
	shape                 dataset.Shape
	fromHeight, fromWidth int // pixels that feature maps were made of
}

// A drawnPair is a pair, ready for a model and to be drawn.
type drawnPair struct {
	name      string // id, or what was given
	photoName string
	caption   string
	image     seen
	mfcc      table.MFCC
	wav       []byte
	words     []matchmap.Word
	noWords   string // why there are none
	voice     string // that speaks what is given; empty: drawn
	shown     *vision.RGB
}

// source finds the result of a stage.
type source func(*spec.Stage) (*artifacts.Artifact, error)

// pairOf puts the pair together: of the run's own data, of what is given, or of
// both.
func (a *app) pairOf(ctx context.Context, c *chain, f matchmapFlags) (*drawnPair, error) {
	own := func(s *spec.Stage) (*artifacts.Artifact, error) { return result(c.plan, s.Name) }
	h := &drawnPair{name: f.id, photoName: filepath.Base(f.photo), caption: f.caption}
	g := given{caption: f.caption, audio: f.audio, sound: f.caption != "" || f.audio != "", image: f.photo != ""}
	photoID := pairPhoto
	if f.id != "" {
		pairs, err := own(c.pairs)
		if err != nil {
			return nil, err
		}
		caption, err := one(table.Captions, pairs, f.id)
		if err != nil {
			return nil, fmt.Errorf("%w: `hearsight inspect %s` shows some of its captions", err, c.pairs.Name)
		}
		photoID = caption.PhotoID
		if !g.image {
			photo, err := one(table.Photos, pairs, photoID)
			if err != nil {
				return nil, err
			}
			g.photo, h.photoName = photo.Bytes, photoID
		}
		if !g.sound {
			h.caption = caption.Text
		}
	}
	if g.image {
		var err error
		if g.photo, err = os.ReadFile(f.photo); err != nil {
			return nil, usageError{err}
		}
	}
	if !g.sound {
		if err := h.listen(ctx, c, own, f.id); err != nil {
			return nil, err
		}
	}
	if !g.image {
		if err := h.look(c, own, photoID, g.photo); err != nil {
			return nil, err
		}
	}
	if !g.sound && !g.image {
		return h, nil
	}
	return h, a.through(ctx, c, f, g, func(made source) error {
		if g.sound {
			h.voice = f.voice
			if err := h.listen(ctx, c, made, pairID); err != nil {
				return err
			}
		}
		if g.image {
			return h.look(c, made, pairPhoto, g.photo)
		}
		return nil
	})
}

// one reads the row of an artifact that has this id.
func one[R any](f table.Format[R], art *artifacts.Artifact, id string) (row R, err error) {
	entries, err := rows.List(f, art)
	if err != nil {
		return row, err
	}
	i := slices.IndexFunc(entries, func(e rows.Entry) bool { return e.ID == id })
	if i < 0 {
		return row, fmt.Errorf("there is no row %q of %s: it was not made, or set aside (`hearsight status` says why)", id, f.Schema())
	}
	set, err := rows.Open(f, art)
	if err != nil {
		return row, err
	}
	row, err = set.Row(entries[i].Ref)
	return row, errors.Join(err, set.Close())
}

// listen reads the sound of a caption.
func (h *drawnPair) listen(ctx context.Context, c *chain, from source, id string) error {
	art, err := from(c.mfcc)
	if err == nil {
		h.mfcc, err = one(table.MFCCs, art, id)
	}
	if err != nil {
		return err
	}
	if art, err = from(c.wav); err != nil {
		return err
	}
	clip, err := one(table.Clips, art, id)
	if err != nil {
		return err
	}
	h.wav, h.words, h.noWords = clip.Audio, nil, ""
	if c.speech == nil || c.speech.Kind != "tts" {
		h.noWords = "the clip is a recording"
		return nil
	}
	if art, err = from(c.speech); err != nil {
		return err
	}
	if art.Manifest.Type != "speech" {
		h.noWords = "the clip is a recording"
		return nil
	}
	spoken, err := one(table.Clips, art, id)
	if err != nil {
		return err
	}
	h.words, err = wordTimes(ctx, withVoice(c.speech.Params, h.voice), spoken)
	if errors.Is(err, tts.ErrNoTimes) {
		h.noWords = err.Error()
		return nil
	}
	return err
}

// wordTimes says when the words are heard of a clip that a stage tts with these
// parameters made.
func wordTimes(ctx context.Context, params map[string]any, clip table.Clip) ([]matchmap.Word, error) {
	canonical, err := tts.Kind.Canonical(params)
	if err != nil {
		return nil, err
	}
	words, err := tts.WordTimes(ctx, canonical, clip, "")
	if err != nil {
		return nil, err
	}
	out := []matchmap.Word{}
	for _, w := range words {
		out = append(out, matchmap.Word(w))
	}
	return out, nil
}

// look reads a photo as the model is given it, and as it is shown: as it came,
// where it was stretched to the model's size, else as the model sees it.
func (h *drawnPair) look(c *chain, from source, id string, photo []byte) error {
	art, err := from(c.resized)
	if err != nil {
		return err
	}
	resized, err := one(table.Images, art, id)
	if err != nil {
		return err
	}
	if resized.Order == "bgr" {
		resized.Pixels = vision.SwapRB(resized.Pixels)
	}
	h.image = seen{
		values: minibatch.Image{Pixels: resized.Pixels},
		shape:  dataset.Shape{Height: int(resized.Height), Width: int(resized.Width), Channels: 3, Pixels: true},
	}
	h.shown = &vision.RGB{W: int(resized.Width), H: int(resized.Height), Pix: resized.Pixels}
	if c.images[0] != c.resized {
		if err := h.lookAtMap(c, from, id); err != nil {
			return err
		}
		h.image.fromHeight, h.image.fromWidth = int(resized.Height), int(resized.Width)
	}
	resize, turned := c.resized.Params["resize"], c.resized.Params["orientation"]
	if c.resized.Kind == "images" && (resize == nil || resize == "stretch") {
		whole, _, err := vision.Decode(photo)
		if err != nil {
			return fmt.Errorf("photo %s: %w", h.photoName, err)
		}
		if turned == "exif" {
			whole = vision.Orient(whole, vision.Orientation(photo))
		}
		h.shown = whole
	}
	return nil
}

// lookAtMap reads the photo's feature map, of one network or several.
func (h *drawnPair) lookAtMap(c *chain, from source, id string) error {
	var maps [][]uint16
	var towers, layers []string
	h.image.shape = dataset.Shape{}
	shape := &h.image.shape
	for _, s := range c.images {
		art, err := from(s)
		if err != nil {
			return err
		}
		m, err := one(table.FeatureMaps("", ""), art, id)
		if err != nil {
			return err
		}
		set, err := rows.Open(table.FeatureMaps("", ""), art)
		if err != nil {
			return err
		}
		towers, layers = append(towers, set.Meta("tower")), append(layers, set.Meta("layer"))
		if err := set.Close(); err != nil {
			return err
		}
		maps = append(maps, m.Half)
		shape.Height, shape.Width, shape.Channels = int(m.Height), int(m.Width), shape.Channels+int(m.Channels)
	}
	h.image.values = minibatch.Image{Half: dataset.JoinMaps(maps, shape.Height*shape.Width)}
	shape.Tower, shape.Layer = strings.Join(towers, " + "), strings.Join(layers, " + ")
	return nil
}
