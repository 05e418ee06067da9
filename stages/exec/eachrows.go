package exec

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
)

// artifactItems lists the items of an artifact: the rows of its table, or its
// files.
func artifactItems(a *artifacts.Artifact) ([]stage.Item, error) {
	s, err := openArtifact(a)
	if err != nil {
		return nil, err
	}
	items, err := s.(lister).list()
	return items, errors.Join(err, s.close())
}

// A lister is a source of items that an artifact has.
type lister interface{ list() ([]stage.Item, error) }

// openArtifact returns the source that a is. Of a data set, which has photos
// and clips beside its captions, the captions are the items.
func openArtifact(a *artifacts.Artifact) (source, error) {
	has := func(schema string) bool { return len(a.Parts(schema)) > 0 }
	switch {
	case has(filesSchema):
		return &packed{a: a}, nil
	case has(table.Captions.Schema()):
		return openTable(a, table.Captions, func(c table.Caption) (string, []byte, error) {
			b, err := json.Marshal(c)
			return ".json", b, err
		}, false)
	case has(table.Clips.Schema()):
		return openTable(a, table.Clips, func(c table.Clip) (string, []byte, error) { return "." + c.Format, c.Audio, nil }, true)
	case has(table.Photos.Schema()):
		return openTable(a, table.Photos, func(p table.Photo) (string, []byte, error) { return "." + p.Format, p.Bytes, nil }, true)
	}
	for _, p := range a.Manifest.Parts {
		if p.Schema != "" && p.Schema != table.Rejects.Schema() {
			return nil, fmt.Errorf("the rows of %s are no items of a command: give it files, captions, clips or photos", p.Schema)
		}
	}
	return &loose{a: a}, nil
}

// loose is the files of an exec stage: its parts.
type loose struct{ a *artifacts.Artifact }

func (s *loose) close() error { return nil }

func (s *loose) list() ([]stage.Item, error) {
	return fileItems(slices.DeleteFunc(slices.Clone(s.a.Manifest.Parts), func(p artifacts.Part) bool { return p.Schema != "" })), nil
}

func (s *loose) lay(it stage.Item, dir string) (string, error) {
	p, ok := it.Ref.(*artifacts.Part)
	if !ok {
		return "", fmt.Errorf("%q is no file of a stage", it.ID)
	}
	f, err := s.a.Open(*p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	name := path.Base(p.Name)
	return name, writeNew(filepath.Join(dir, name), f)
}

// packed is the results of another exec_each: the files in its archives. Their
// digests are not kept there, so listing them reads them.
type packed struct{ a *artifacts.Artifact }

func (s *packed) close() error { return nil }

type packedRef struct {
	part      int
	name      string
	off, size int64
}

func (s *packed) list() ([]stage.Item, error) {
	var items []stage.Item
	for i, p := range s.a.Parts(filesSchema) {
		f, err := s.a.Open(p)
		if err != nil {
			return nil, err
		}
		entries, err := listArchive(f, p.Size)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		for _, e := range entries {
			items = append(items, stage.Item{ID: e.name, Key: []string{"file " + e.digest.String()}, Ref: packedRef{i, e.name, e.off, e.size}})
		}
	}
	return items, nil
}

func (s *packed) lay(it stage.Item, dir string) (string, error) {
	ref, _ := it.Ref.(packedRef)
	f, err := s.a.Open(s.a.Parts(filesSchema)[ref.part])
	if err != nil {
		return "", err
	}
	defer f.Close()
	name := path.Base(ref.name)
	return name, writeNew(filepath.Join(dir, name), io.NewSectionReader(f, ref.off, ref.size))
}

// rowsOf is a table whose rows become files.
type rowsOf[R any] struct {
	a      *artifacts.Artifact
	f      table.Format[R]
	set    *rows.Set[R]
	file   func(R) (ext string, data []byte, err error)
	hashed bool // the table knows the digest of the file
}

func openTable[R any](a *artifacts.Artifact, f table.Format[R], file func(R) (string, []byte, error), hashed bool) (source, error) {
	set, err := rows.Open(f, a)
	if err != nil {
		return nil, err
	}
	return &rowsOf[R]{a: a, f: f, set: set, file: file, hashed: hashed}, nil
}

func (s *rowsOf[R]) close() error { return s.set.Close() }

func (s *rowsOf[R]) list() ([]stage.Item, error) {
	entries, err := rows.List(s.f, s.a)
	if err != nil {
		return nil, err
	}
	items := make([]stage.Item, len(entries))
	for i, e := range entries {
		sum := "sha256:" + e.SHA256
		if !s.hashed {
			row, err := s.set.Row(e.Ref)
			if err != nil {
				return nil, err
			}
			_, data, err := s.file(row)
			if err != nil {
				return nil, err
			}
			sum = artifacts.Digest(sha256.Sum256(data)).String()
		}
		items[i] = stage.Item{ID: e.ID, Key: []string{"row " + sum}, Ref: e.Ref}
	}
	return items, nil
}

func (s *rowsOf[R]) lay(it stage.Item, dir string) (string, error) {
	ref, _ := it.Ref.(rows.Ref)
	row, err := s.set.Row(ref)
	if err != nil {
		return "", err
	}
	ext, data, err := s.file(row)
	if err != nil {
		return "", err
	}
	// The name must not depend on more than the item's key does.
	name := strings.TrimSuffix(path.Base(it.ID), ext) + ext
	return name, writeNew(filepath.Join(dir, name), bytes.NewReader(data))
}
