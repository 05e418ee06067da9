// Package features runs photos through a pretrained image network, cut off at
// its last convolutional layer, and keeps the feature maps: the input of the
// trained image head.
//
// The network is frozen, so each photo goes through it once, however many
// models are trained on it afterwards. Maps are kept as float16: rounding costs
// 2e-4 of their size, and half the disk.
package features

import (
	"context"
	"fmt"
	"math"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/x448/float16"
)

// Kind computes feature maps of photos.
var Kind = stage.NewItems(stage.Kind{
	Name:    "features",
	Doc:     "run photos through a pretrained network and keep its feature maps",
	Version: 1,
	Inputs:  []stage.Input{{Name: "images", Doc: "photos at the network's size", Types: []string{"images"}}},
	Output:  "features",
	Numeric: true,
}, Params{Tower: "vgg16", Init: "pretrained"}, stage.Items[Params, table.FeatureMap]{
	List:  list,
	Open:  open,
	Table: func(p Params) stage.Table[table.FeatureMap] { return table.FeatureMaps(p.Tower, layer[p.Tower]) },
})

// Params are the parameters of Kind.
type Params struct {
	Tower   string `json:"tower" doc:"network" enum:"vgg16,vgg19,resnet50"`
	Weights string `json:"weights" doc:"safetensors file with torchvision's names" path:"file" required:"true"`
	Init    string `json:"init" doc:"where the values come from" enum:"pretrained,vgg16+identity,random"`
}

// layer is where each network is cut off.
var layer = map[string]string{"vgg16": "conv5_3", "vgg19": "conv5_4", "resnet50": "stage 4"}

// Prepare implements stage.Preparer: what is not built says so before anything
// runs.
func (p Params) Prepare(context.Context) ([]stage.Tool, error) {
	if !model.Built(p.Tower) {
		return nil, &model.NotBuiltError{Name: p.Tower}
	}
	if p.Init != "pretrained" {
		return nil, fmt.Errorf("init: %s is not built yet: only pretrained is", p.Init)
	}
	return nil, nil
}

func list(_ context.Context, t *stage.Task, _ Params) ([]stage.Item, error) {
	entries, err := rows.List(table.Images, t.Input("images"))
	if err != nil {
		return nil, err
	}
	items := make([]stage.Item, len(entries))
	for i, e := range entries {
		items[i] = stage.Item{ID: e.ID, Key: []string{"image sha256:" + e.SHA256}, Ref: e.Ref}
	}
	return items, nil
}

func open(_ context.Context, t *stage.Task, p Params) (stage.Do[table.FeatureMap], func() error, error) {
	network, err := model.OpenFrozen(p.Tower, t.Paths["weights"])
	if err != nil {
		return nil, nil, err
	}
	images, err := rows.Open(table.Images, t.Input("images"))
	if err != nil {
		return nil, nil, err
	}
	do := func(_ context.Context, it stage.Item) (table.FeatureMap, error) {
		ref, ok := it.Ref.(rows.Ref)
		if !ok {
			return table.FeatureMap{}, fmt.Errorf("item %s has no place in its input", it.ID)
		}
		img, err := images.Row(ref)
		if err != nil {
			return table.FeatureMap{}, err
		}
		return features(network, img)
	}
	return do, images.Close, nil
}

// features makes the row of a photo.
func features(network *model.Frozen, img table.Image) (table.FeatureMap, error) {
	h, w := int(img.Height), int(img.Width)
	if img.Order == "rgb" {
		img.Pixels = vision.SwapRB(img.Pixels)
	}
	x, oh, ow, err := network.Features(img.Pixels, h, w)
	if err != nil {
		return table.FeatureMap{}, err
	}
	half := make([]uint16, len(x))
	for i, v := range x {
		half[i] = float16.Fromfloat32(v).Bits()
		if math.Abs(float64(v)) > 65504 || v != v {
			return table.FeatureMap{}, fmt.Errorf("feature %v of %s does not fit float16: are the weights those of %s?", v, img.ID, network.Name)
		}
	}
	return table.FeatureMap{
		ID: img.ID, SHA256: table.SumHalves(half), SourceSHA256: img.SHA256,
		Height: int32(oh), Width: int32(ow), Channels: int32(network.Out), Half: half,
	}, nil
}
