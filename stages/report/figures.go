package report

import (
	"context"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/matchmap"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
)

// Bounds of the bytes of a matchmap, and of all on a page.
const (
	maxMap  = 1 << 20
	maxMaps = 12 << 20
)

// draw draws the examples' matchmaps, as far as there is room for their bytes.
func draw(ctx context.Context, page *report.Page, s Sources, sys scored, queries []table.Rank, maps []pairMap, lib *library, room int) error {
	for i, q := range queries {
		e := &page.Examples[i]
		if e.Unmapped = room <= 0; e.Unmapped {
			continue
		}
		f, err := lib.figure(ctx, s, q, maps[i])
		if err != nil {
			return err
		}
		f.About = sys.m.System + "   " + q.Query
		if e.Matchmap, err = f.StripPNG(); err != nil {
			return err
		}
		if n := len(e.Matchmap); n > min(maxMap, room) {
			e.Matchmap, e.Unmapped = nil, true
		} else {
			room -= n
		}
	}
	return nil
}

// figure puts together what is drawn of a query.
func (l *library) figure(ctx context.Context, s Sources, q table.Rank, m pairMap) (*matchmap.Figure, error) {
	f := &matchmap.Figure{Map: m.m, Caption: l.captions[q.Query].Text}
	photo, _, err := l.photos.row(q.Partner)
	if err != nil {
		return nil, err
	}
	f.Photo = asShown(photo.Bytes, m.image)
	clip, ok, err := l.clips.row(q.Query)
	if err != nil {
		return nil, err
	}
	if ok && clip.Format == "wav" {
		if samples, rateHz, err := audio.ReadPCM16(clip.Audio); err == nil && rateHz > 0 {
			f.Samples, f.Seconds = audio.FromPCM16(samples), float64(len(samples))/float64(rateHz)
		}
	}
	if s.Words == nil {
		return f, nil
	}
	if spoken, ok, err := l.spoken.row(q.Query); !ok || err != nil {
		return f, err
	} else if f.Words, err = s.Words(ctx, s.Speech[l.spoken.at[q.Query].set], spoken); err != nil {
		return nil, err
	}
	return f, nil
}

// stretched is how far, on average of 255, the pixels of a photo that was stretched
// to what a model saw may be from it: there are several ways to average pixels.
const stretched = 4

// asShown is the photo in its own shape if the model saw all of it, stretched; else,
// of one that was cut or has a border, what the model saw.
func asShown(photo []byte, seen table.Image) *vision.RGB {
	model := &vision.RGB{W: int(seen.Width), H: int(seen.Height), Pix: seen.Pixels}
	whole, _, err := vision.Decode(photo)
	if err != nil {
		return model
	}
	for _, m := range []*vision.RGB{whole, vision.Orient(whole, vision.Orientation(photo))} {
		sum := 0
		for i, v := range vision.Resize(m, model.W, model.H, vision.Bilinear).Pix {
			d := int(v) - int(model.Pix[i])
			sum += max(d, -d)
		}
		if sum <= stretched*len(model.Pix) {
			return m
		}
	}
	return model
}
