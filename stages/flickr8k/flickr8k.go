// Package flickr8k brings in Flickr8k: about 8,000 photos of people and animals
// with five captions each, the data set of the paper.
//
// The folder is taken as it is given out: a folder of JPEGs, a file of captions
// and, for each split, a file that lists its photos. Nothing is downloaded.
//
// A run rarely wants all of it. From each split so many photos are taken as the
// parameters say, chosen by the seed: the photos of a split are ordered by a
// hash of (seed, split, name) and the first of them are taken. A larger number
// thus keeps every photo of a smaller one, and adds to it. Training photos come
// with their first captions_per_photo captions, validation photos with caption 0
// alone: each is one pair to be found again among the others. So do test photos,
// unless test_captions_per_photo says more: eval's draws then score one caption
// a photo and all of them.
//
// Captions whose photo is missing are set aside, whether their split was asked
// for or not; so are photos that are no photos.
package flickr8k

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hearsight/hearsight/internal/pairs"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind brings in Flickr8k.
var Kind = stage.New(stage.Kind{
	Name:    "flickr8k",
	Doc:     "bring in Flickr8k: photos with five captions each",
	Version: 2,
	Output:  "pairs",
	CPUs:    stage.AllCPUs,
}, Params{Train: 6000, Validation: 100, CaptionsPerPhoto: 5, TestCaptionsPerPhoto: 1, Seed: 1}, run)

// Params are the parameters of Kind.
type Params struct {
	Root                 string `json:"root" doc:"the folder of Flickr8k" path:"dir" required:"true"`
	Train                int    `json:"train" doc:"photos to learn from" min:"0" unit:"photos"`
	Validation           int    `json:"validation" doc:"photos of the development split" min:"0" unit:"photos"`
	Test                 int    `json:"test" doc:"photos of the test split" min:"0" unit:"photos"`
	CaptionsPerPhoto     int    `json:"captions_per_photo" doc:"captions of each training photo" min:"1" max:"5"`
	TestCaptionsPerPhoto int    `json:"test_captions_per_photo" doc:"captions of each test photo" min:"1" max:"5"`
	Seed                 int64  `json:"seed" doc:"what the choice of photos is drawn from"`
}

func run(ctx context.Context, t *stage.Task, p Params) error {
	set, err := load(t.Paths["root"])
	if err != nil {
		return fmt.Errorf("read Flickr8k: %w", err)
	}
	for _, c := range set.captions {
		if !set.photos[c.photo] {
			t.Out.Reject(c.id(), "photo "+c.photo+" is missing")
		}
	}
	captions, err := set.choose(p)
	if err != nil {
		return err
	}
	captions, err = writePhotos(ctx, t, set, captions)
	if err != nil {
		return err
	}
	return pairs.WriteCaptions(ctx, t, captions)
}

// writePhotos writes the photos of captions and returns those captions whose
// photo could be read. The others are set aside.
func writePhotos(ctx context.Context, t *stage.Task, set *dataset, captions []table.Caption) ([]table.Caption, error) {
	ids := make([]string, len(captions))
	for i, c := range captions {
		ids[i] = c.PhotoID
	}
	var mu sync.Mutex
	bad := map[string]string{}
	err := pairs.WritePhotos(ctx, t, ids, t.CPUs, func(id string) (table.Photo, bool, error) {
		data, err := pairs.ReadFile(filepath.Join(set.imageDir, id))
		if err != nil {
			return table.Photo{}, false, fmt.Errorf("photo %s: %w", id, err)
		}
		photo, err := pairs.Photo(id, data)
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			bad[id] = err.Error()
		}
		return photo, err == nil, nil
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(captions, func(c table.Caption) bool {
		reason, out := bad[c.PhotoID]
		if out {
			t.Out.Reject(c.ID, "photo "+c.PhotoID+": "+reason)
		}
		return out
	}), nil
}

// choose returns the captions that the parameters ask for.
func (d *dataset) choose(p Params) ([]table.Caption, error) {
	byPhoto := map[string][]caption{}
	for _, c := range d.captions {
		byPhoto[c.photo] = append(byPhoto[c.photo], c)
	}
	var out []table.Caption
	for _, split := range []struct {
		name           string
		photos, perOne int
	}{{"train", p.Train, p.CaptionsPerPhoto}, {"validation", p.Validation, 1}, {"test", p.Test, p.TestCaptionsPerPhoto}} {
		if split.photos == 0 {
			continue
		}
		names, err := d.split(split.name)
		if err != nil {
			return nil, err
		}
		order(names, p.Seed, split.name)
		if len(names) < split.photos {
			return nil, fmt.Errorf("choose photos: the %s split has %d with photo and captions, not %d", split.name, len(names), split.photos)
		}
		for _, name := range names[:split.photos] {
			for _, c := range byPhoto[name] {
				if c.index < split.perOne {
					out = append(out, table.Caption{ID: c.id(), PhotoID: name, Index: int32(c.index), Text: c.text, Split: split.name})
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("choose photos: none are asked for: train, validation and test are 0")
	}
	return out, nil
}

// order puts names in the order of a hash: the same for the same seed, whatever
// else is among them.
func order(names []string, seed int64, split string) {
	rank := func(name string) string {
		return table.SumBytes(fmt.Appendf(nil, "flickr8k %d %s %s", seed, split, name))
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
}
