// Package features runs photos through a pretrained image network, cut off at
// its last convolutional layer, and keeps the feature maps: the input of the
// trained image head. Cut off before the last block (layer: pool4) they are the
// input of a model that trains this block too (finetune: conv5 of train).
//
// The network is pretrained (init: pretrained), with weights by torchvision's
// names and the conventions that their file states; or VGG19 made of VGG16 by
// three layers that start as the identity (vgg16+identity), which ReLU makes
// exact, so that its features are VGG16's and are called "VGG19 (VGG16 +
// identity)"; or not trained at all (random).
//
// It is frozen, so each photo goes through it once, however many
// models are trained on it afterwards. Maps are kept as float16: rounding costs
// 2e-4 of their size, and half the disk. Averaged over squares of pool x pool
// places they take a fraction of it. Those of the photos' mirror images
// (mirror: true) show a model that learns from them each photo from another side;
// splits: [train], with port pairs, makes those of photos that are learnt from.
package features

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/x448/float16"
)

// Kind computes feature maps of photos.
var Kind = stage.NewItems(stage.Kind{
	Name:    "features",
	Doc:     "run photos through a pretrained network and keep its feature maps",
	Version: 2,
	Inputs: []stage.Input{
		{Name: "images", Doc: "photos at the network's size", Types: []string{"images"}},
		{Name: "pairs", Doc: "which photo is in which split, for splits", Types: []string{"pairs"}, Optional: true},
	},
	Output:  "features",
	Numeric: true,
}, Params{Tower: "vgg16", Init: model.InitPretrained, Seed: 1, Layer: last, Stage: 4, Stride: auto, Input: auto, Pool: 1}, stage.Items[Params, table.FeatureMap]{
	List: list,
	Open: open,
	Table: func(p Params) stage.Table[table.FeatureMap] {
		layer := model.FrozenLayer(p.Tower, p.options())
		if p.Mirror {
			layer += model.MirroredLayer
		}
		return table.FeatureMaps(model.FrozenTitle(p.Tower, p.Init), layer)
	},
})

// Params are the parameters of Kind.
type Params struct {
	Tower   string `json:"tower" doc:"network" enum:"vgg16,vgg19,resnet50"`
	Weights string `json:"weights" doc:"safetensors file with torchvision's names; none for init: random" path:"file"`
	Init    string `json:"init" doc:"where the values come from: weights of its own, VGG16's with three identity layers (vgg19), or a seed" enum:"pretrained,vgg16+identity,random"`
	Seed    int64  `json:"seed" doc:"of init: random" min:"0"`
	Layer   string `json:"layer" doc:"where the network is cut off: after its last convolution, or, for vgg16 and vgg19, before the last block, which train's finetune: conv5 goes on from" enum:"last,pool4"`
	Stage   int    `json:"stage" doc:"resnet50: last stage, 4 (14x14x1024 of 224x224) or 5 (7x7x2048)" min:"4" max:"5"`
	Stride  string `json:"stride" doc:"resnet50: the convolution of a block that has the stride: conv1 (the original, Keras), conv2 (torchvision), or what the file's metadata say" enum:"auto,conv1,conv2"`
	Pool    int    `json:"pool" doc:"maps are averaged over squares of so many places; what is left over at the right and below is left out" min:"1" max:"64"`
	Mirror  bool   `json:"mirror" doc:"maps of the photos' mirror images, for the port mirrored of train"`
	Input   string `json:"input" doc:"how pixels go in: caffe (0..255 less the mean), torchvision (0..1, mean and deviation), or what the file's metadata say" enum:"auto,caffe,torchvision"`
	// Left out of the key where all photos are meant, as ever.
	Splits []string `json:"splits,omitempty" doc:"only photos of these splits, by port pairs; none: all photos"`
}

const (
	auto = "auto" // leaves a convention to the file's metadata
	last = "last" // cuts a network off where the paper does
)

// Check implements stage.Checker.
func (p Params) Check() (out []spec.ParamProblem) {
	say := func(bad bool, param, format string, a ...any) {
		if bad {
			out = append(out, spec.ParamProblem{Param: param, Message: fmt.Sprintf(format, a...)})
		}
	}
	random := p.Init == model.InitRandom
	say(p.Weights == "" && !random, "weights", "init: %s needs a file of weights", p.Init)
	say(p.Weights != "" && random, "weights", "init: random needs no weights")
	say(p.Init == model.InitIdentity && p.Tower != "vgg19", "init", "%s is a VGG19 made of VGG16: use tower: vgg19", p.Init)
	say(p.Layer != last && p.Tower == "resnet50", "layer", "resnet50 has stages and no pool4: use stage")
	say(p.Pool > 1 && p.Layer != last, "pool", "finetune: conv5 goes on from whole maps of layer %s", p.Layer)
	say(p.Stage != 4 && p.Tower != "resnet50", "stage", "%s has no stages: this is for resnet50", p.Tower)
	say(p.Stride != auto && p.Tower != "resnet50", "stride", "%s has no strides: this is for resnet50", p.Tower)
	return out
}

func (p Params) options() model.FrozenOptions {
	word := func(s string) string {
		if s == auto {
			return ""
		}
		return s
	}
	o := model.FrozenOptions{Init: p.Init, Seed: uint64(p.Seed), Stride: word(p.Stride), Input: word(p.Input)}
	if p.Tower == "resnet50" {
		o.Stage = p.Stage
	}
	if p.Layer != last {
		o.Layer = p.Layer
	}
	return o
}

func list(_ context.Context, t *stage.Task, p Params) ([]stage.Item, error) {
	entries, err := rows.List(table.Images, t.Input("images"))
	if err != nil {
		return nil, err
	}
	wanted, err := photosOf(t, p.Splits)
	if err != nil {
		return nil, err
	}
	items := make([]stage.Item, 0, len(entries))
	for _, e := range entries {
		if wanted == nil || wanted[e.ID] {
			items = append(items, stage.Item{ID: e.ID, Key: []string{"image sha256:" + e.SHA256}, Ref: e.Ref})
		}
	}
	return items, nil
}

// photosOf are the photos of these splits; nil: of all.
func photosOf(t *stage.Task, splits []string) (map[string]bool, error) {
	pairs := t.Inputs["pairs"]
	switch {
	case len(splits) == 0 && len(pairs) == 0:
		return nil, nil
	case len(splits) == 0:
		return nil, errors.New("splits: port pairs is given, but not the splits whose photos are wanted: [train] for one")
	case len(pairs) == 0:
		return nil, errors.New("splits: which photo is in which split is not known: give port pairs")
	}
	captions, err := rows.All(table.Captions, pairs[0])
	if err != nil {
		return nil, fmt.Errorf("read pairs: %w", err)
	}
	out, seen := map[string]bool{}, map[string]bool{}
	for _, c := range captions {
		seen[c.Split] = true
		out[c.PhotoID] = out[c.PhotoID] || slices.Contains(splits, c.Split)
	}
	for _, s := range splits {
		if !seen[s] {
			return nil, fmt.Errorf("splits: no photo is in %q: the splits are %v", s, slices.Sorted(maps.Keys(seen)))
		}
	}
	return out, nil
}

func open(_ context.Context, t *stage.Task, p Params) (stage.Do[table.FeatureMap], func() error, error) {
	network, err := model.OpenFrozen(p.Tower, t.Paths["weights"], p.options())
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
		return features(network, img, p)
	}
	return do, images.Close, nil
}

// features makes the row of a photo.
func features(network *model.Frozen, img table.Image, p Params) (table.FeatureMap, error) {
	h, w := int(img.Height), int(img.Width)
	if img.Order == "rgb" {
		img.Pixels = vision.SwapRB(img.Pixels)
	}
	if p.Mirror {
		img.Pixels = vision.Orient(&vision.RGB{W: w, H: h, Pix: img.Pixels}, vision.MirrorImage).Pix
	}
	x, oh, ow, err := network.Features(img.Pixels, h, w)
	if err != nil {
		return table.FeatureMap{}, err
	}
	if p.Pool > min(oh, ow) {
		return table.FeatureMap{}, fmt.Errorf("pool: %d is more than the map of %s has places: %dx%d", p.Pool, img.ID, oh, ow)
	}
	x, oh, ow = averaged(x, oh, ow, network.Out, p.Pool)
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

// averaged is the mean of each square of pool x pool places of x, [h][w][c].
func averaged(x []float32, h, w, c, pool int) (y []float32, oh, ow int) {
	if pool == 1 {
		return x, h, w
	}
	oh, ow = h/pool, w/pool
	y = make([]float32, oh*ow*c)
	sum := make([]float64, c)
	for k := range oh * ow {
		clear(sum)
		for d := range pool * pool {
			at := (k/ow*pool+d/pool)*w + k%ow*pool + d%pool
			for j, v := range x[at*c:][:c] {
				sum[j] += float64(v)
			}
		}
		for j, v := range sum {
			y[k*c+j] = float32(v / float64(pool*pool))
		}
	}
	return y, oh, ow
}
