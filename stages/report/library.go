package report

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
)

// library finds captions, photos and clips by their ids in any number of data
// sets. An id that several have is the first one's.
type library struct {
	captions map[string]table.Caption
	photos   shelf[table.Photo]
	clips    shelf[table.Clip]
	spoken   shelf[table.Clip] // as synthesised
}

// shelf finds rows by id over several artifacts.
type shelf[R any] struct {
	sets []*rows.Set[R]
	at   map[string]place
}

type place struct {
	set int
	ref rows.Ref
}

func openLibrary(s Sources) (*library, error) {
	l := &library{captions: map[string]table.Caption{}}
	err := l.photos.open(table.Photos, s.Pairs)
	if err == nil {
		err = l.clips.open(table.Clips, s.WAV)
	}
	if err == nil && s.Words != nil {
		err = l.spoken.open(table.Clips, s.Speech)
	}
	for _, art := range s.Pairs {
		if err != nil {
			break
		}
		_, err = rows.Each(table.Captions, art, func(c table.Caption) error {
			if _, ok := l.captions[c.ID]; !ok {
				l.captions[c.ID] = c
			}
			return nil
		})
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (s *shelf[R]) open(f table.Format[R], arts []*artifacts.Artifact) error {
	s.at = map[string]place{}
	for i, art := range arts {
		entries, err := rows.List(f, art)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if _, ok := s.at[e.ID]; !ok {
				s.at[e.ID] = place{i, e.Ref}
			}
		}
		set, err := rows.Open(f, art)
		if err != nil {
			return err
		}
		s.sets = append(s.sets, set)
	}
	return nil
}

// row returns the row of an id; ok is false if there is none.
func (s *shelf[R]) row(id string) (row R, ok bool, err error) {
	p, ok := s.at[id]
	if !ok {
		return row, false, nil
	}
	row, err = s.sets[p.set].Row(p.ref)
	return row, true, err
}

func (s *shelf[R]) close() (err error) {
	for _, set := range s.sets {
		err = errors.Join(err, set.Close())
	}
	return err
}

func (l *library) close() error {
	return errors.Join(l.photos.close(), l.clips.close(), l.spoken.close())
}

// example describes one spoken query: q.Query is a caption's id, q.Partner and
// q.Best are photos'.
func (l *library) example(kind, system string, q table.Rank) (report.Example, error) {
	e := report.Example{Kind: kind, System: system, Caption: l.captions[q.Query].Text, Rank: q.Rank, Score: q.Score, Best: q.BestScore}
	var err error
	if e.Photo, err = l.photo(q.Partner); err != nil {
		return e, err
	}
	if e.Found, err = l.photo(q.Best); err != nil {
		return e, err
	}
	c, ok, err := l.clips.row(q.Query)
	if ok && err == nil {
		e.Clip, e.Clipped = c.Audio, "audio/"+c.Format
		if len(e.Clip) > maxClip {
			e.Clip, e.Silent = nil, true
		}
	}
	return e, err
}

func (l *library) photo(id string) ([]byte, error) {
	p, ok, err := l.photos.row(id)
	if !ok {
		return nil, fmt.Errorf("pairs hold no photo %q: are they those that were scored?", id)
	}
	if err != nil {
		return nil, err
	}
	if p.Bytes, err = shown(p.Bytes); err != nil {
		return nil, fmt.Errorf("photo %q: %w", id, err)
	}
	return p.Bytes, nil
}

// Bounds of what is on a page as it is.
const (
	maxClip  = 2 << 20   // bytes of a clip: 45 s of what decode makes
	maxPhoto = 150 << 10 // bytes of a photo
	photoPx  = 640       // longest side of a photo that was made smaller
)

// shown is a photo as a page has it: small, and in a format that browsers know.
func shown(photo []byte) ([]byte, error) {
	format := vision.Sniff(photo)
	if len(photo) <= maxPhoto && format != "bmp" && format != "tiff" {
		return photo, nil
	}
	m, _, err := vision.Decode(photo)
	if err != nil {
		return nil, err
	}
	m = vision.Orient(m, vision.Orientation(photo))
	if long := max(m.W, m.H); long > photoPx {
		m = vision.Resize(m, max(1, m.W*photoPx/long), max(1, m.H*photoPx/long), vision.Bilinear)
	}
	var b bytes.Buffer
	err = jpeg.Encode(&b, m.Image(), &jpeg.Options{Quality: 85})
	return b.Bytes(), err
}
