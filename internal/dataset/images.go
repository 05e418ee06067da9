package dataset

import (
	"errors"
	"fmt"

	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
)

// photo is a row of either table that a photo can come in.
type photo struct {
	id                      string
	height, width, channels int32
	image                   minibatch.Image
}

func openImages[P any](d *Data, in Inputs[P]) (map[string]int, error) {
	switch {
	case in.Features != nil && in.Images != nil:
		return nil, errors.New("both features and images are given: a model starts from one of them")
	case in.Features != nil:
		at, err := openPhotos(d, table.FeatureMaps("", ""), in.Features, func(r table.FeatureMap) photo {
			return photo{r.ID, r.Height, r.Width, r.Channels, minibatch.Image{Half: r.Half}}
		})
		if err != nil {
			err = fmt.Errorf("read features: %w", err)
		}
		return at, err
	case in.Images != nil:
		d.shape.Pixels = true
		at, err := openPhotos(d, table.Images, in.Images, func(r table.Image) photo {
			if r.Order == "bgr" {
				r.Pixels = vision.SwapRB(r.Pixels)
			}
			return photo{r.ID, r.Height, r.Width, 3, minibatch.Image{Pixels: r.Pixels}}
		})
		if err != nil {
			err = fmt.Errorf("read images: %w", err)
		}
		return at, err
	}
	return nil, errors.New("neither features nor images are given")
}

func openPhotos[R, P any](d *Data, f table.Format[R], a rows.Parts[P], of func(R) photo) (map[string]int, error) {
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
	first := of(row)
	d.shape.Tower, d.shape.Layer = set.Meta("tower"), set.Meta("layer")
	d.shape.Height, d.shape.Width, d.shape.Channels = int(first.height), int(first.width), int(first.channels)
	d.images = newColumn(len(refs), func(i int) (minibatch.Image, error) {
		row, err := set.Row(refs[i])
		if err != nil {
			return minibatch.Image{}, err
		}
		p := of(row)
		if p.height != first.height || p.width != first.width || p.channels != first.channels {
			return minibatch.Image{}, fmt.Errorf("%s is %dx%dx%d, others are %dx%dx%d", p.id, p.height, p.width, p.channels, first.height, first.width, first.channels)
		}
		return p.image, nil
	})
	return at, nil
}
