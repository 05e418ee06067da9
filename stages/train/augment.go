package train

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/vision"
	"github.com/hearsight/hearsight/spec"
)

func (p Params) augmentation() vision.Augmentation {
	return vision.Augmentation{Flip: p.Flip, Crop: p.Crop, Brightness: p.Brightness, Contrast: p.Contrast, Saturation: p.Saturation}
}

// changed names the parameters by which pictures are varied, with their values.
func (p Params) changed() (names, values []string) {
	a, none := p.augmentation(), vision.NoAugmentation
	for _, c := range []struct {
		name      string
		v, normal float64
	}{{"flip", a.Flip, none.Flip}, {"crop", a.Crop, none.Crop}, {"brightness", a.Brightness, none.Brightness}, {"contrast", a.Contrast, none.Contrast}, {"saturation", a.Saturation, none.Saturation}} {
		if c.v != c.normal {
			names, values = append(names, c.name), append(values, c.name+" "+decimal(c.v))
		}
	}
	return names, values
}

// fromPixels is whether photos themselves go into the image tower.
func (p Params) fromPixels() bool {
	return p.Image == "small" || p.Image == "small5" || p.Finetune == finetuneAll
}

// checkAugmentation finds changes of pictures where there are none.
func (p Params) checkAugmentation() (out []spec.ParamProblem) {
	if p.fromPixels() {
		return nil
	}
	names, _ := p.changed()
	for _, name := range names {
		if name == "flip" && p.fromMaps() { // with mirrored maps
			continue
		}
		out = append(out, spec.ParamProblem{Param: name, Message: "no pixels go into this image tower: this is for image: small and small5, and finetune: all"})
	}
	return out
}

// fromMaps is whether feature maps go into the image tower.
func (p Params) fromMaps() bool {
	return p.Finetune == finetuneConv5 || p.Image == "head" || p.Image == "mlp"
}

// augment makes o show varied pictures, if p says so. What is drawn follows from
// seed, epoch and caption; the parameters are in o's key.
func (p Params) augment(o *learn.Options, d *dataset.Data) error {
	a, s := p.augmentation(), d.Shape()
	switch {
	case d.Mirrored() && a.Flip == 0:
		return errors.New("mirrored: flip says how often a step sees a mirror image: it is 0; .5 is usual")
	case p.fromMaps() && a.Flip > 0 && !d.Mirrored():
		return errors.New("flip: there are no feature maps of mirror images: give port mirrored those of a stage features with mirror: true")
	case a == vision.NoAugmentation:
		return nil
	}
	if err := a.Check(); err != nil {
		return err
	}
	if err := d.CheckMirrored(d.Split(p.Split)); err != nil {
		return err
	}
	_, values := p.changed()
	o.Key += fmt.Sprintf("augmentation %s\n", strings.Join(values, ", "))
	o.View = func(epoch int64, pair minibatch.Pair, img minibatch.Image) (minibatch.Image, error) {
		switch {
		case d.Mirrored() && a.Mirrors(uint64(p.Seed), epoch, pair.ID):
			return d.Mirror(pair.Image)
		case len(img.Pixels) != 3*s.Width*s.Height: // what it is put into will say so
			return img, nil
		}
		return minibatch.Image{Pixels: a.Draw(&vision.RGB{W: s.Width, H: s.Height, Pix: img.Pixels}, uint64(p.Seed), epoch, pair.ID).Pix}, nil
	}
	return nil
}
