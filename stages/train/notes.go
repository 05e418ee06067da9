package train

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
)

// notes are the settings as tables show them beside the scores, and, called
// note, what must be said of the features.
func (p Params) notes(s dataset.Shape) []model.KeyString {
	length := fmt.Sprintf("%s epochs", decimal(p.Epochs))
	switch {
	case p.Untrained:
		length = "untrained"
	case p.Steps > 0:
		length = fmt.Sprintf("%d steps", p.Steps)
	}
	var out []model.KeyString
	title := s.Tower
	if p.Finetune == finetuneAll {
		title = model.FrozenTitle(p.Image, p.ImageInit)
	}
	if note := model.FrozenNote(title); note != "" {
		out = append(out, model.KeyString{Key: "note", Value: note})
	}
	if s.Tower != "" {
		out = append(out, model.KeyString{Key: "features", Value: s.Source()})
	}
	if _, values := p.changed(); len(values) > 0 {
		out = append(out, model.KeyString{Key: "augmentation", Value: strings.Join(values, ", ")})
	}
	out = append(out, []model.KeyString{
		{Key: "towers", Value: p.imageName() + " and " + p.audioName()},
		{Key: "audio", Value: fmt.Sprintf("%d frames, length %s, normalize %s", p.Frames, p.Length, p.Normalize)},
		{Key: "similarity", Value: fmt.Sprintf("%s x %s", p.Similarity, decimal(p.SimilarityScale))},
		{Key: "loss", Value: p.lossNote()},
		{Key: "training", Value: fmt.Sprintf("%s, batch %d, seed %d", length, p.Batch, p.Seed)},
		{Key: "optimizer", Value: p.optimizerNote()},
	}...)
	return append(out, p.recipeNotes()...)
}

// imageName is the image tower with what of it is trained.
func (p Params) imageName() string {
	switch p.Finetune {
	case finetuneConv5:
		return p.Image + " from conv5_1 on"
	case finetuneAll:
		return p.Image + ", all layers trained"
	}
	return p.Image
}

func (p Params) lossNote() string {
	if p.Loss == nn.LossInfoNCE {
		return fmt.Sprintf("%s, temperature %s", p.Loss, decimal(p.Temperature))
	}
	return fmt.Sprintf("%s, margin %s", p.Loss, decimal(p.Margin))
}

func (p Params) optimizerNote() string {
	name := map[string]string{nn.Adam: "Adam", nn.AdamW: "AdamW", nn.AMSGrad: "AMSGrad", nn.SGD: "SGD", nn.Nesterov: "Nesterov"}[p.Optimizer]
	note := fmt.Sprintf("%s %s/%s", name, decimal(p.Beta1), decimal(p.Beta2))
	if p.Optimizer == nn.SGD || p.Optimizer == nn.Nesterov {
		note = fmt.Sprintf("%s, momentum %s", name, decimal(p.Momentum))
	}
	note += fmt.Sprintf(", rate %s, %s", decimal(p.LearningRate), p.Schedule)
	if p.WeightDecay > 0 {
		note += ", weight decay " + decimal(p.WeightDecay)
		if p.DecayOf == decayMatrices {
			note += " of matrices"
		}
	}
	if p.ClipNorm > 0 {
		note += ", gradients up to " + decimal(p.ClipNorm)
	}
	return note
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
