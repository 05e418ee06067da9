package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
)

// photo is a picture or a feature map with the shape its row states.
type photo struct {
	id                      string
	height, width, channels int32
	image                   minibatch.Image
}

func (p photo) shape() [3]int32 { return [3]int32{p.height, p.width, p.channels} }

func openImages[P any](d *Data, in Inputs[P]) (map[string]int, error) {
	switch {
	case in.Features != nil && in.Images != nil:
		return nil, errors.New("both features and images are given: a model starts from one of them")
	case in.Features != nil:
		return openMaps(d, in)
	case in.Mirrored != nil:
		return nil, errors.New("mirrored feature maps are given without features")
	case in.Images != nil:
		s, err := openPhotos(d, table.Images, in.Images, func(r table.Image) photo {
			if r.Order == "bgr" {
				r.Pixels = vision.SwapRB(r.Pixels)
			}
			return photo{r.ID, r.Height, r.Width, 3, minibatch.Image{Pixels: r.Pixels}}
		})
		if err != nil {
			return nil, fmt.Errorf("read images: %w", err)
		}
		d.shape.Pixels = true
		d.shape.Height, d.shape.Width, d.shape.Channels = int(s.shape[0]), int(s.shape[1]), int(s.shape[2])
		d.images = newColumn(len(s.at), s.read)
		return s.at, nil
	}
	return nil, errors.New("neither features nor images are given")
}

// openMaps opens the feature maps of one or several networks, and those of
// mirror images.
func openMaps[P any](d *Data, in Inputs[P]) (map[string]int, error) {
	sets, ids, err := openSources(d, in.Features)
	if err != nil {
		return nil, fmt.Errorf("read features: %w", err)
	}
	at := make(map[string]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	var towers, layers []string
	for _, s := range sets {
		towers, layers = append(towers, s.tower), append(layers, s.layer)
		d.shape.Channels += int(s.shape[2])
		if len(sets) > 1 {
			d.shape.Sources = append(d.shape.Sources, int(s.shape[2]))
		}
	}
	d.shape.Height, d.shape.Width = int(sets[0].shape[0]), int(sets[0].shape[1])
	d.shape.Tower, d.shape.Layer = strings.Join(towers, " + "), strings.Join(layers, " + ")
	d.images = joined(sets, ids)
	if in.Mirrored == nil {
		return at, nil
	}
	mirrored, _, err := openSources(d, in.Mirrored)
	if err == nil {
		err = areMirrored(sets, mirrored)
	}
	if err != nil {
		return nil, fmt.Errorf("read mirrored: %w", err)
	}
	images := joined(mirrored, ids)
	d.mirrored = &images
	d.hasMirror = func(i int) bool {
		return !slices.ContainsFunc(mirrored, func(s *photos) bool { _, ok := s.at[ids[i]]; return !ok })
	}
	return at, nil
}

// CheckMirrored checks that the photos of these pairs have mirror images, if any
// have: those of others need none.
func (d *Data) CheckMirrored(pairs []minibatch.Pair) error {
	if !d.Mirrored() {
		return nil
	}
	for _, p := range pairs {
		if !d.hasMirror(p.Image) {
			return fmt.Errorf("mirrored: there is no mirror image of %s", p.Photo)
		}
	}
	return nil
}

// openSources opens the feature maps of each network, and lists the photos that
// all of them have.
func openSources[P any](d *Data, of []rows.Parts[P]) (sets []*photos, ids []string, err error) {
	for _, a := range of {
		s, err := openPhotos(d, table.FeatureMaps("", ""), a, func(r table.FeatureMap) photo {
			return photo{r.ID, r.Height, r.Width, r.Channels, minibatch.Image{Half: r.Half}}
		})
		if err != nil {
			return nil, nil, err
		}
		if first := append(sets, s)[0]; s.shape[0] != first.shape[0] || s.shape[1] != first.shape[1] {
			return nil, nil, fmt.Errorf("maps of %s have %dx%d places and those of %s %dx%d: they cannot stand behind each other; see pool of the stage features",
				s.tower, s.shape[0], s.shape[1], first.tower, first.shape[0], first.shape[1])
		}
		sets = append(sets, s)
	}
	for id := range sets[0].at {
		if !slices.ContainsFunc(sets, func(s *photos) bool { _, ok := s.at[id]; return !ok }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return sets, ids, nil
}

// areMirrored checks that mirrored are the mirror images' maps of what sets are,
// of whichever photos.
func areMirrored(sets, mirrored []*photos) error {
	if len(mirrored) != len(sets) {
		return fmt.Errorf("%d networks, features are of %d", len(mirrored), len(sets))
	}
	for k, m := range mirrored {
		s := sets[k]
		if m.tower != s.tower || m.layer != s.layer+model.MirroredLayer || m.shape != s.shape {
			return fmt.Errorf("%s, %s: %dx%dx%d are no maps of mirror images of %s, %s: %dx%dx%d: set mirror: true in their stage",
				m.tower, m.layer, m.shape[0], m.shape[1], m.shape[2], s.tower, s.layer, s.shape[0], s.shape[1], s.shape[2])
		}
	}
	return nil
}

// joined is the column of the pictures ids: the maps of all sets, place by
// place behind each other. One that a set lacks is an error when it is asked for.
func joined(sets []*photos, ids []string) column[minibatch.Image] {
	places := int(sets[0].shape[0] * sets[0].shape[1])
	return newColumn(len(ids), func(i int) (minibatch.Image, error) {
		maps := make([][]uint16, len(sets))
		for k, s := range sets {
			at, ok := s.at[ids[i]]
			if !ok {
				return minibatch.Image{}, fmt.Errorf("%s, %s: there is no map of %s", s.tower, s.layer, ids[i])
			}
			img, err := s.read(at)
			if err != nil || len(sets) == 1 {
				return img, err
			}
			maps[k] = img.Half
		}
		return minibatch.Image{Half: JoinMaps(maps, places)}, nil
	})
}

// JoinMaps is one feature map of several of so many places each, [places][channels]:
// at each place the channels of one stand behind those of another.
func JoinMaps(maps [][]uint16, places int) []uint16 {
	n := 0
	for _, m := range maps {
		n += len(m)
	}
	half := make([]uint16, 0, n)
	for place := range places {
		for _, m := range maps {
			c := len(m) / places
			half = append(half, m[place*c:][:c]...)
		}
	}
	return half
}

// photos are the pictures of an artifact, all of the shape of the first.
type photos struct {
	at           map[string]int
	shape        [3]int32
	tower, layer string
	read         func(i int) (minibatch.Image, error)
}

func openPhotos[R, P any](d *Data, f table.Format[R], a rows.Parts[P], of func(R) photo) (*photos, error) {
	set, at, refs, err := index(f, a)
	if err != nil {
		return nil, err
	}
	d.close = append(d.close, set.Close)
	if len(refs) == 0 {
		return nil, errors.New("there are no photos")
	}
	row, err := set.Row(refs[0])
	if err != nil {
		return nil, err
	}
	first := of(row).shape()
	return &photos{at: at, shape: first, tower: set.Meta("tower"), layer: set.Meta("layer"), read: func(i int) (minibatch.Image, error) {
		row, err := set.Row(refs[i])
		if err != nil {
			return minibatch.Image{}, err
		}
		p := of(row)
		if s := p.shape(); s != first {
			return minibatch.Image{}, fmt.Errorf("%s is %dx%dx%d, others are %dx%dx%d", p.id, s[0], s[1], s[2], first[0], first[1], first[2])
		}
		return p.image, nil
	}}, nil
}
