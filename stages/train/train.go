// Package train learns a model from pairs of a photo and speech: an image tower
// and an audio tower whose outputs are near for what belongs together.
//
// A model starts from the feature maps of a frozen pretrained network (port
// features, image: head) or from pixels (port images, image: small or small5). A VGG may be
// trained along (image: vgg16 or vgg19, from the weights given): its last block
// with finetune: conv5, from feature maps cut off before it, so that what stays
// frozen is computed once; or all of it with finetune: all, from photos. The
// defaults are the paper's: a convolutional audio tower of five layers, MISA,
// the mean hinge loss over all impostors of a minibatch, Adam. What training
// looks like while it goes on, loss and rate and P@10 over time, goes to the
// run's folder as JSON lines and TensorBoard events; the artifact holds the
// model and its curve by steps, and no clock.
//
//	model.json         layers, normalisation, settings
//	model.safetensors  every tensor, float32
//	curve.parquet      loss, rate and P@k by steps
//
// Photos may be varied while a model learns from their pixels: mirrored, cut,
// brighter or paler (flip, crop, brightness, contrast, saturation). What a step
// sees follows from seed, epoch and caption alone.
//
// A recipe is put together of parts by name: towers, similarity, loss, norms of
// the input, sampler, what a step does not see (dropout, masks, places), optimizer,
// schedule, mean of the weights, which model is kept. Parts that do nothing
// together are refused before anything runs. With a model at port from, training
// starts from its values, and takes its input as that one does.
//
// It goes on from its last checkpoint after an interruption, and ends in the
// same bytes as if there had been none.
package train

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind trains a model.
var Kind = stage.New(stage.Kind{
	Name:    "train",
	Doc:     "learn a model from pairs of photo and speech",
	Version: 5,
	Inputs:  inputs,
	Output:  "model",
	Numeric: true,
	CPUs:    stage.AllCPUs,
}, defaults(), run)

var inputs = []stage.Input{
	{Name: "pairs", Doc: "captions, with the sets they belong to", Types: []string{"pairs"}},
	{Name: "mfcc", Doc: "the captions' sound", Types: []string{"mfcc"}},
	{Name: "features", Doc: "feature maps of the photos, for image: head, mlp and finetune: conv5; those of several networks stand behind each other", Types: []string{"features"}, Many: true, Optional: true},
	{Name: "mirrored", Doc: "feature maps of the same networks of the training photos' mirror images, for flip", Types: []string{"features"}, Many: true, Optional: true},
	{Name: "images", Doc: "the photos themselves, for image: small, small5 and finetune: all", Types: []string{"images"}, Optional: true},
	{Name: "from", Doc: "a model to start from: its tensors where they fit, and how it takes its input", Types: []string{"model"}, Optional: true},
}

func run(ctx context.Context, t *stage.Task, p Params) error {
	d, err := dataset.Open(dataset.Of[artifacts.Part](t.Inputs))
	if err != nil {
		return err
	}
	if left := d.LeftOut(); left != "" {
		t.Report(stage.Progress{Message: left, Warning: true})
	}
	res, err := train(ctx, t, p, d)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	return write(ctx, t, res)
}

func train(ctx context.Context, t *stage.Task, p Params, d *dataset.Data) (*learn.Result, error) {
	data := learn.Data{Train: d.Split(p.Split), Dev: d.Split(p.Validation), Clips: d, Images: d, Sources: d.Shape().Sources}
	if len(data.Train) == 0 {
		return nil, fmt.Errorf("no pairs in split %q: the splits are %v", p.Split, d.Splits())
	}
	start, err := p.pretrained(t.Paths["weights"])
	if err != nil {
		return nil, err
	}
	network, err := p.model(d.Shape(), start)
	if err != nil {
		return nil, err
	}
	before, err := p.from(t, &network)
	if err != nil {
		return nil, err
	}
	watch, err := newWatcher(t)
	if err != nil {
		return nil, err
	}
	o := learn.Options{
		Dir: t.Dir, CheckpointSteps: p.CheckpointSteps, CheckpointEvery: p.checkpointEvery(), Clock: watch.now,
		Progress: watch.progress,
		Key:      inputsKey(t),
	}
	if start != nil {
		o.Key += start.Key()
		o.Start = func(m *model.Model[float32]) error { return model.Fill(start, m) }
	}
	if before != nil {
		fill := o.Start
		o.Start = func(m *model.Model[float32]) error {
			if fill != nil {
				if err := fill(m); err != nil {
					return err
				}
			}
			return takeFrom(t, m, before)
		}
	}
	if err := p.augment(&o, d); err != nil {
		return nil, errors.Join(err, watch.close())
	}
	res, err := learn.Train(ctx, network, data, p.settings(), o)
	return res, errors.Join(err, watch.close())
}

// inputsKey names the data in a checkpoint: the digests of all inputs.
func inputsKey(t *stage.Task) string {
	key := ""
	for _, port := range inputs {
		for _, a := range t.Inputs[port.Name] {
			key += port.Name + " " + a.Digest.String() + "\n"
		}
	}
	return key
}

func write(ctx context.Context, t *stage.Task, res *learn.Result) error {
	none := func(err error) (int64, error) { return 0, err }
	if err := t.Write(ctx, "model.json", model.Format, func(w io.Writer) (int64, error) { return none(res.Model.WriteConfig(w)) }); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	if err := t.Write(ctx, "model.safetensors", model.WeightsFormat, func(w io.Writer) (int64, error) { return none(res.Model.WriteWeights(w)) }); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	err := t.Write(ctx, "curve"+table.Curve.Ext(), table.Curve.Schema(), func(w io.Writer) (int64, error) {
		return table.Curve.Write(w, func(yield func(table.CurvePoint, error) bool) {
			for _, c := range res.Curve {
				if !yield(table.CurvePoint(c), nil) {
					return
				}
			}
		})
	})
	if err != nil {
		return fmt.Errorf("write curve: %w", err)
	}
	return nil
}
