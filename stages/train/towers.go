package train

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/spec"
)

// What of a pretrained image network is trained along.
const (
	finetuneNone  = "none"
	finetuneConv5 = "conv5" // from features cut off at model.LayerPool4
	finetuneAll   = "all"   // from photos
)

// auto leaves a convention to the metadata of the weights.
const auto = "auto"

// checkFinetune finds what does not go with what is fine-tuned.
func (p Params) checkFinetune() (out []spec.ParamProblem) {
	say := func(bad bool, param, format string, a ...any) {
		if bad {
			out = append(out, spec.ParamProblem{Param: param, Message: fmt.Sprintf(format, a...)})
		}
	}
	vgg, random := p.Image == "vgg16" || p.Image == "vgg19", p.ImageInit == model.InitRandom
	if p.Finetune == finetuneNone {
		say(vgg, "finetune", "image: %s is trained along: say finetune: conv5 or all, or image: head to leave it as it is", p.Image)
		say(!vgg && p.Weights != "", "weights", "nothing is fine-tuned: the weights of frozen networks are for the stage features")
		say(!vgg && p.ImageInit != model.InitPretrained, "image_init", "nothing is fine-tuned: this is for finetune: conv5 and all")
		say(!vgg && p.Input != auto, "input", "nothing is fine-tuned: this is for finetune: all")
		return out
	}
	say(!vgg, "finetune", "image: %s has nothing to fine-tune: use image: vgg16 or vgg19", p.Image)
	say(p.Weights == "" && !random, "weights", "image_init: %s needs a file of weights", p.ImageInit)
	say(p.Weights != "" && random, "weights", "image_init: random needs no weights")
	say(p.ImageInit == model.InitIdentity && p.Image != "vgg19", "image_init", "%s is a VGG19 made of VGG16: use image: vgg19", p.ImageInit)
	say(p.Input != auto && p.Finetune != finetuneAll, "input", "no pixels go into finetune: %s", p.Finetune)
	return out
}

// pretrained opens what the image tower starts from, nil if it starts from the
// seed like all others.
func (p Params) pretrained(path string) (*model.Pretrained, error) {
	if p.Finetune == finetuneNone {
		return nil, nil
	}
	o := model.FrozenOptions{Init: p.ImageInit, Seed: uint64(p.Seed), Input: p.Input}
	switch {
	case p.Finetune == finetuneConv5:
		o.Input = model.InputCaffe // pixels have gone in already
	case p.Input == auto:
		o.Input = ""
	}
	return model.OpenPretrained(p.Image, path, o)
}

// model puts the towers together for data of a shape.
func (p Params) model(s dataset.Shape, start *model.Pretrained) (model.Spec, error) {
	if err := p.checkShape(s); err != nil {
		return model.Spec{}, err
	}
	image, err := model.ImageTower(p.Image, p.head(s))
	if err != nil {
		return model.Spec{}, err
	}
	audio, err := p.audio(s.Coeffs)
	if err != nil {
		return model.Spec{}, err
	}
	m := model.Spec{
		Image: image.With(p.ends(p.ImageDrop)...), Audio: audio.With(p.ends(p.AudioDrop)...), Height: s.Height, Width: s.Width, Frames: p.Frames, Length: p.Length,
		Similarity: p.Similarity, Scale: p.SimilarityScale, LearnScale: p.LearnScale, Init: p.Init, Notes: p.notes(s),
	}
	switch {
	case s.Pixels && start != nil:
		m.Pixels = start.Pixels()
	case s.Pixels:
		m.Pixels = &model.PixelNorm{Center: 127.5, Scale: 63.75} // (x/255 - .5)/.25
	}
	return m, nil
}

// checkShape finds inputs that the image tower does not start from.
func (p Params) checkShape(s dataset.Shape) error {
	if s.Pixels != p.fromPixels() {
		return fmt.Errorf("image: %s does not start from this input: head takes features, small and small5 take images; finetune: conv5 takes features of layer pool4, all takes images", p.Image)
	}
	if s.Pixels {
		return nil
	}
	if cut := s.Layer == model.LayerPool4; cut != (p.Finetune == finetuneConv5) {
		return fmt.Errorf("these feature maps are of layer %q: finetune: conv5 takes those of layer pool4 (layer: pool4 of the stage features), and only it", s.Layer)
	}
	if want := model.FrozenTitle(p.Image, p.ImageInit); p.Finetune == finetuneConv5 && s.Tower != want {
		return fmt.Errorf("these feature maps are of %s, the block to be trained is of %s", s.Tower, want)
	}
	return nil
}

func (p Params) head(s dataset.Shape) model.HeadOptions {
	return model.HeadOptions{In: s.Channels, Kernel: p.HeadKernel, LastBlock: p.Finetune == finetuneConv5}
}
