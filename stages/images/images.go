// Package images turns photos into pictures of one size: what an image tower
// looks at.
//
// In come photos as a data set holds them (JPEG, PNG, GIF, WebP, BMP, TIFF), out
// come tensors of height x width x 3 bytes, in the order blue, green, red that the first ImageNet
// networks were trained with, or red, green, blue. Nothing is subtracted and
// nothing scaled: that differs between networks and is done by features and
// train, as their weights ask for.
//
// A photo is stretched to the size, as in the paper; or shrunk until its shorter
// side fits and then cut in the middle; or until all of it fits, with a grey
// around it. Shrinking is antialiased and rounds as the library does that the
// reference networks were fed by (Pillow), so the same photo gives the same bytes
// here and there. Cameras may store a photo turned and say so in its EXIF: by
// default it stays as stored, as there.
//
// A photo that cannot be decoded whole is set aside.
package images

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind resizes photos. Numeric, although the resizing is in whole numbers: the
// JPEG decoder's rounding is that of the machine's path.
var Kind = stage.NewItems(stage.Kind{
	Name:    "images",
	Doc:     "decode photos and bring them to one size",
	Version: 2,
	Inputs:  []stage.Input{{Name: "pairs", Doc: "a data set with photos", Types: []string{"pairs"}}},
	Output:  "images",
	Numeric: true,
}, Params{Width: 224, Height: 224, Order: "bgr", Orientation: "stored", Resize: stretch, Filter: "bilinear"}, stage.Items[Params, table.Image]{
	List:  list,
	Open:  open,
	Table: func(Params) stage.Table[table.Image] { return table.Images },
})

// Params are the parameters of Kind.
type Params struct {
	Width   int    `json:"width" doc:"width of the pictures" min:"1" max:"2048" unit:"pixels"`
	Height  int    `json:"height" doc:"height of the pictures" min:"1" max:"2048" unit:"pixels"`
	Order   string `json:"order" doc:"order of the colours" enum:"bgr,rgb"`
	Resize  string `json:"resize" doc:"stretch to the size; keep the shape and fit all of it in, with pad around it; or keep the shape and crop the middle" enum:"stretch,fit,crop"`
	Shorter int    `json:"shorter" doc:"with crop, length of the shorter side before cutting; 0: that of the picture" min:"0" max:"4096" unit:"pixels"`
	Pad     int    `json:"pad" doc:"with fit, the grey around the photo: 0 is black, 255 white" min:"0" max:"255"`
	Filter  string `json:"filter" doc:"how pixels are averaged" enum:"bilinear,bicubic,lanczos,box,nearest"`

	Orientation string `json:"orientation" doc:"which way up: as the photo is stored, or as its EXIF says" enum:"stored,exif"`
}

// Ways to resize.
const (
	stretch = "stretch"
	fit     = "fit"
	crop    = "crop"
)

// Check implements stage.Checker.
func (p Params) Check() []spec.ParamProblem {
	switch {
	case p.Shorter != 0 && p.Resize != crop:
		return []spec.ParamProblem{{Param: "shorter", Message: "has a meaning with resize: crop only"}}
	case p.Pad != 0 && p.Resize != fit:
		return []spec.ParamProblem{{Param: "pad", Message: "has a meaning with resize: fit only"}}
	case p.Shorter != 0 && p.Shorter < max(p.Width, p.Height):
		return []spec.ParamProblem{{Param: "shorter", Message: fmt.Sprintf("is %d, but %d x %d pixels are to be cut out", p.Shorter, p.Width, p.Height)}}
	}
	return nil
}

func list(_ context.Context, t *stage.Task, _ Params) ([]stage.Item, error) {
	entries, err := rows.List(table.Photos, t.Input("pairs"))
	if err != nil {
		return nil, err
	}
	items := make([]stage.Item, len(entries))
	for i, e := range entries {
		items[i] = stage.Item{ID: e.ID, Key: []string{"photo sha256:" + e.SHA256}, Ref: e.Ref}
	}
	return items, nil
}

func open(_ context.Context, t *stage.Task, p Params) (stage.Do[table.Image], func() error, error) {
	photos, err := rows.Open(table.Photos, t.Input("pairs"))
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	do := func(_ context.Context, it stage.Item) (table.Image, error) {
		ref, _ := it.Ref.(rows.Ref)
		photo, err := photos.Row(ref)
		if err != nil {
			return table.Image{}, err
		}
		pixels, warnings, err := picture(photo.Bytes, p)
		if err != nil {
			return table.Image{}, stage.Reject("%s", strings.Join(strings.Fields(err.Error()), " "))
		}
		if len(warnings) > 0 {
			mu.Lock()
			defer mu.Unlock()
			t.Report(stage.Progress{Message: it.ID + ": " + strings.Join(warnings, "; "), Warning: true})
		}
		return table.Image{
			ID: photo.ID, SHA256: table.SumBytes(pixels), SourceSHA256: photo.SHA256,
			Height: int32(p.Height), Width: int32(p.Width), Order: p.Order, Pixels: pixels,
		}, nil
	}
	return do, photos.Close, nil
}
