// Package corpus brings in a data set of your own: a table, CSV or Parquet,
// with a row for each caption of a photo.
//
//	image,caption,split
//	beach/01.jpg,two dogs run along the water,train
//	beach/01.jpg,dogs at the sea,train
//	kitchen.png,a man cuts an onion,validation
//
// Columns (their names can be set):
//
//	image     path of the photo, JPEG or PNG, below the folder root
//	caption   what is to be seen, in words; spoken by a tts stage
//	audio     path of a recording of the caption, below audio_root or root
//	id        names the row for good; without it photo_id#0, photo_id#1, …, or
//	          in a table without photos the path of the recording, with _ for /
//	photo_id  names the photo; without it its path, with _ for /
//	split     train, validation, test or hard; without it the parameter split,
//	          and validation for the share of photos that is held out
//
// A table needs one of the first three. Recordings come out as clips that a
// decode stage reads in place of synthesised speech. Paths may be written with
// the backslashes of Windows.
//
// Rows that cannot be used are set aside and the others go on: those with a
// file that is missing or no photo or recording, a caption that is empty, too
// long or no text, an id that is there twice or could be taken for a path or an
// option. Each is named with its line in the CSV, or its row in the Parquet. A
// table that is broken as a whole is an error.
package corpus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/hearsight/hearsight/internal/pairs"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind brings in a corpus.
var Kind = stage.New(stage.Kind{
	Name:    "corpus",
	Doc:     "bring in a data set of your own: CSV or Parquet with image, caption and/or audio columns",
	Version: 3,
	Output:  "pairs",
	CPUs:    stage.AllCPUs,
}, defaults, run)

var defaults = Params{
	Image: "image", Caption: "caption", Audio: "audio", ID: "id", PhotoID: "photo_id", SplitColumn: "split",
	Delimiter: ",", Split: "train",
}

// Params are the parameters of Kind.
type Params struct {
	Table       string `json:"table" doc:"the table: CSV with a header line, or Parquet" path:"file" required:"true"`
	Root        string `json:"root" doc:"folder that the paths of photos and recordings start at" path:"dir"`
	AudioRoot   string `json:"audio_root" doc:"folder that the paths of recordings start at, if it is another" path:"dir"`
	Image       string `json:"image" doc:"name of the column of photos"`
	Caption     string `json:"caption" doc:"name of the column of captions"`
	Audio       string `json:"audio" doc:"name of the column of recordings"`
	ID          string `json:"id" doc:"name of the column of row ids"`
	PhotoID     string `json:"photo_id" doc:"name of the column of photo ids"`
	SplitColumn string `json:"split_column" doc:"name of the column of splits"`
	Delimiter   string `json:"delimiter" doc:"what separates the fields of a CSV: a character, or tab"`
	Split       string `json:"split" doc:"split of all rows, where the table has no column of it" enum:"train,validation,test,hard"`

	Validation float64 `json:"validation" doc:"share of the photos that goes to the split validation, where the table has no column of splits" min:"0" max:"0.9"`
}

// Check implements stage.Checker.
func (p Params) Check() []spec.ParamProblem {
	if _, err := p.comma(); err != nil {
		return []spec.ParamProblem{{Param: "delimiter", Message: err.Error()}}
	}
	return nil
}

func (p Params) comma() (rune, error) {
	if p.Delimiter == "tab" {
		return '\t', nil
	}
	r := []rune(p.Delimiter)
	if len(r) != 1 || strings.ContainsAny(p.Delimiter, "\"\r\n\ufffd") {
		return 0, fmt.Errorf("%q is not one character, or tab", p.Delimiter)
	}
	return r[0], nil
}

// A job is one run of the stage.
type job struct {
	t    *stage.Task
	p    Params
	rows []row
	unit string // what row.n counts: line or row
}

func run(ctx context.Context, t *stage.Task, p Params) error {
	j := &job{t: t, p: p}
	found, err := j.read(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(t.Paths["table"]), err)
	}
	if len(j.rows) == 0 {
		t.Report(stage.Progress{Message: "the table has no rows", Warning: true})
	}
	j.name()
	j.check(found)
	if err := j.holdOut(found); err != nil {
		return err
	}
	if found["image"] && len(j.rows) > 0 && !slices.ContainsFunc(j.rows, func(r row) bool { return splits[r.split] != "train" }) {
		t.Report(stage.Progress{Message: "no photo is held out to score on: give the table a column split, or say validation: 0.2", Warning: true})
	}
	if err := j.writePhotos(ctx, found["image"]); err != nil {
		return err
	}
	if err := j.writeClips(ctx, found["audio"]); err != nil {
		return err
	}
	return j.writeCaptions(ctx)
}

func (j *job) writePhotos(ctx context.Context, there bool) error {
	if !there {
		return nil
	}
	root, err := j.root("root", "photos")
	if err != nil {
		return err
	}
	paths := map[string]string{}
	for _, r := range j.rows {
		paths[r.photoID] = filepath.Join(root, filepath.FromSlash(r.image))
	}
	bad, err := write(slices.Sorted(maps.Keys(paths)), func(ids []string, note noter) error {
		return pairs.WritePhotos(ctx, j.t, ids, j.t.CPUs, func(id string) (table.Photo, bool, error) {
			data, ok, err := readFile(paths[id], id, note)
			if !ok {
				return table.Photo{}, false, err
			}
			photo, err := pairs.Photo(id, data)
			return photo, note(id, err), nil
		})
	})
	j.reject(func(r row) string { return of("photo", r.image, bad[r.photoID]) })
	return err
}

func (j *job) writeClips(ctx context.Context, there bool) error {
	if !there {
		return nil
	}
	name := "audio_root"
	if j.t.Paths[name] == "" {
		name = "root"
	}
	root, err := j.root(name, "recordings")
	if err != nil {
		return err
	}
	byID := make(map[string]*row, len(j.rows))
	for i := range j.rows {
		byID[j.rows[i].id] = &j.rows[i]
	}
	bad, err := write(slices.Sorted(maps.Keys(byID)), func(ids []string, note noter) error {
		return pairs.WriteClips(ctx, j.t, ids, j.t.CPUs, func(id string) (table.Clip, bool, error) {
			data, ok, err := readFile(filepath.Join(root, filepath.FromSlash(byID[id].audio)), id, note)
			if !ok {
				return table.Clip{}, false, err
			}
			clip, err := pairs.Clip(id, byID[id].caption, data)
			return clip, note(id, err), nil
		})
	})
	j.reject(func(r row) string { return of("recording", r.audio, bad[r.id]) })
	return err
}

// root returns the folder of a path parameter. It has to be given, although the
// table's own folder would often do: what a stage reads has to be in its key.
func (j *job) root(param, what string) (string, error) {
	if dir := j.t.Paths[param]; dir != "" {
		return dir, nil
	}
	return "", fmt.Errorf("the table names %s: say with %s which folder their paths start at", what, param)
}

func (j *job) writeCaptions(ctx context.Context) error {
	index := map[string]int32{}
	captions := make([]table.Caption, len(j.rows))
	for i, r := range j.rows {
		captions[i] = table.Caption{ID: r.id, PhotoID: r.photoID, Index: index[r.photoID], Text: r.caption, Split: splits[r.split]}
		index[r.photoID]++
	}
	return pairs.WriteCaptions(ctx, j.t, captions)
}

// A noter notes why the file of an id cannot be used, if err says so, and
// reports whether it can.
type noter func(id string, err error) bool

// write calls f with ids and a noter and returns what was noted.
func write(ids []string, f func(ids []string, note noter) error) (bad map[string]string, err error) {
	var mu sync.Mutex
	bad = map[string]string{}
	err = f(ids, func(id string, err error) bool {
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			bad[id] = err.Error()
		}
		return err == nil
	})
	return bad, err
}

// readFile reads a file of the corpus. One that is not there or no file is
// noted; one that the machine cannot read is an error.
func readFile(path, id string, note noter) (data []byte, ok bool, err error) {
	data, err = pairs.ReadFile(path)
	for _, none := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL} {
		if errors.Is(err, none) {
			return nil, note(id, errors.New("the file is missing")), nil
		}
	}
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return nil, false, err
	}
	return data, note(id, err), nil
}
