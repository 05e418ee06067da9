package report

import (
	"errors"
	"fmt"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

// library finds captions, photos and clips by their ids.
type library struct {
	captions map[string]table.Caption
	photos   *rows.Set[table.Photo]
	clips    *rows.Set[table.Clip] // nil without clips
	photoAt  map[string]rows.Ref
	clipAt   map[string]rows.Ref
}

func openLibrary(s Sources) (*library, error) {
	l := &library{captions: map[string]table.Caption{}}
	captions, err := rows.All(table.Captions, s.Pairs)
	if err != nil {
		return nil, err
	}
	for _, c := range captions {
		l.captions[c.ID] = c
	}
	if l.photos, l.photoAt, err = index(table.Photos, s.Pairs); err != nil {
		return nil, err
	}
	if s.WAV != nil {
		if l.clips, l.clipAt, err = index(table.Clips, s.WAV); err != nil {
			return nil, errors.Join(err, l.photos.Close())
		}
	}
	return l, nil
}

func index[R any](f table.Format[R], art *artifacts.Artifact) (*rows.Set[R], map[string]rows.Ref, error) {
	entries, err := rows.List(f, art)
	if err != nil {
		return nil, nil, err
	}
	at := make(map[string]rows.Ref, len(entries))
	for _, e := range entries {
		at[e.ID] = e.Ref
	}
	set, err := rows.Open(f, art)
	return set, at, err
}

func (l *library) close() error {
	err := l.photos.Close()
	if l.clips != nil {
		err = errors.Join(err, l.clips.Close())
	}
	return err
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
	if ref, ok := l.clipAt[q.Query]; ok && l.clips != nil {
		c, err := l.clips.Row(ref)
		if err != nil {
			return e, err
		}
		e.Clip, e.Clipped = c.Audio, "audio/"+c.Format
	}
	return e, nil
}

func (l *library) photo(id string) ([]byte, error) {
	ref, ok := l.photoAt[id]
	if !ok {
		return nil, fmt.Errorf("pairs hold no photo %q: are they those that were scored?", id)
	}
	p, err := l.photos.Row(ref)
	return p.Bytes, err
}
