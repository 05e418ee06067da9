package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// What weight decay pulls.
const (
	decayAll      = "all"
	decayMatrices = "matrices"
)

// checkRecipe finds parts that do nothing without another, or cannot be with it.
func (p Params) checkRecipe() (out []spec.ParamProblem) {
	say := func(bad bool, param, format string, a ...any) {
		if bad {
			out = append(out, spec.ParamProblem{Param: param, Message: fmt.Sprintf(format, a...)})
		}
	}
	maps := p.fromMaps()
	say(p.Embed > 0 && p.Similarity != model.SimilarityAttention, "embed", "does nothing with similarity: %s: it is of attention", p.Similarity)
	say(p.NormMaps != learn.NormNone && !maps, "normalize_features", "no feature maps go into image: %s", p.Image)
	say(p.NormMaps != learn.NormNone && p.Finetune == finetuneConv5, "normalize_features", "finetune: conv5 goes on from feature maps as they are")
	say(p.SortBatches > 0 && p.Sampler != learn.SamplePhotos, "sort_batches", "with sampler: %s minibatches would meet a photo twice: use sampler: photos", p.Sampler)
	say(p.SortBatches > 0 && p.Batching == "fixed", "sort_batches", "does nothing with batching: fixed, where all minibatches are as long as frames")
	say(p.TimeMasks > 0 && p.MaskFrames == 0, "mask_frames", "time_masks: %d of no frames: say how long they may be", p.TimeMasks)
	say(p.MaskFrames > 0 && p.TimeMasks == 0, "mask_frames", "does nothing without time_masks")
	say(p.Places > 0 && (!maps || p.Finetune != finetuneNone || p.Image == "head" && p.HeadKernel != 1), "places", "image: %s sees more than a place of a feature map at a time: use mlp, or head with head_kernel: 1", p.Image)
	say(p.DecayOf != decayAll && p.WeightDecay == 0, "decay_of", "there is no weight_decay")
	say(p.Patience > 0 && p.ValidateSteps == 0, "patience", "P@k is measured only at the end: set validate_steps")
	return out
}

// ends are the layers that a similarity needs after a tower, and its dropout.
func (p Params) ends(rate float64) (out []model.Layer) {
	if rate > 0 {
		out = append(out, model.Layer{Op: "dropout", Name: "dropout", Rate: rate})
	}
	if p.Similarity != model.SimilarityAttention {
		return out
	}
	out = append(out, model.Layer{Op: "attend", Name: "attention"})
	if p.Embed > 0 {
		out = append(out, model.Layer{Op: "linear", Name: "embed", Channels: p.Embed, Gain: 1})
	}
	return out
}

// recipeNotes say what is not usual about a recipe; nothing for the paper's.
func (p Params) recipeNotes() (out []model.KeyString) {
	say := func(yes bool, key, format string, a ...any) {
		if !yes {
			return
		}
		text := fmt.Sprintf(format, a...)
		if i := slices.IndexFunc(out, func(n model.KeyString) bool { return n.Key == key }); i >= 0 {
			out[i].Value += ", " + text
			return
		}
		out = append(out, model.KeyString{Key: key, Value: text})
	}
	say(p.LearnScale, "scale", "learnt")
	say(p.ImageDrop > 0 || p.AudioDrop > 0, "regularisation", "dropout %s image, %s audio", decimal(p.ImageDrop), decimal(p.AudioDrop))
	say(p.DropFrames > 0, "regularisation", "up to %d frames off the front", p.DropFrames)
	say(p.Speed > 0, "regularisation", "speed up to %s", decimal(p.Speed))
	say(p.Noise > 0, "regularisation", "noise %s", decimal(p.Noise))
	say(p.TimeMasks > 0, "regularisation", "%d masks of up to %d frames", p.TimeMasks, p.MaskFrames)
	say(p.Places > 0, "regularisation", "%d places", p.Places)
	say(p.NormMaps != learn.NormNone, "feature maps", "normalize %s", p.NormMaps)
	say(p.Sampler == learn.SamplePhotos, "sampler", "a photo once an epoch")
	say(p.SortBatches > 0, "sampler", "sorted by %d minibatches", p.SortBatches)
	say(p.Average > 0, "kept", "mean of the weights, decay %s", decimal(p.Average))
	say(p.Keep == learn.KeepBest, "kept", "the best on %s", p.Validation)
	say(p.Patience > 0, "kept", "ends after %d scores that are no better", p.Patience)
	return out
}

// from is the model that a run starts from, nil for none. Its norms are those of
// the new one: its values mean nothing without them.
func (p Params) from(t *stage.Task, network *model.Spec) (*model.Model[float32], error) {
	if t.Input("from") == nil {
		return nil, nil
	}
	m, err := dataset.LoadModel(t.Input("from"))
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if m.Audio.In == network.Audio.In {
		if m.AudioNorm == nil && p.Normalize != learn.NormNone {
			return nil, fmt.Errorf("from: that model takes its frames as they are: normalize: %s would give it others", p.Normalize)
		}
		network.AudioNorm = m.AudioNorm
	}
	if m.Image.In == network.Image.In && (network.Pixels != nil) == (m.Pixels != nil) {
		if m.MapNorm == nil && p.NormMaps != learn.NormNone {
			return nil, fmt.Errorf("from: that model takes feature maps as they are: normalize_features: %s would give it others", p.NormMaps)
		}
		network.MapNorm, network.Pixels = m.MapNorm, m.Pixels
	}
	return m, nil
}

// takeFrom gives m the values of the tensors that before has, and tells which
// keep their own.
func takeFrom(t *stage.Task, m, before *model.Model[float32]) error {
	anew, all := m.TakeFrom(before)
	switch {
	case len(anew) == all:
		return fmt.Errorf("from: none of the %d tensors fits: that model has other towers", all)
	case len(anew) == 0:
		t.Report(stage.Progress{Message: fmt.Sprintf("starts from a model: all its %d tensors", all)})
	default:
		t.Report(stage.Progress{Message: fmt.Sprintf("starts from a model: %d of %d tensors; anew: %s", all-len(anew), all, strings.Join(anew, ", "))})
	}
	return nil
}
