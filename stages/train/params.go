package train

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/spec"
)

// Params are the parameters of Kind. Defaults are the paper's.
type Params struct {
	Image      string `json:"image" doc:"trained image tower: head on frozen features, small from pixels" enum:"head,small"`
	HeadKernel int    `json:"head_kernel" doc:"width of the head's convolution, 1 or 3; 0: 3 for up to 512 channels, else 1" min:"0" max:"3"`
	Audio      string `json:"audio" doc:"audio tower" enum:"conv5,conv6,lstm,gru,small"`
	Layers     int    `json:"layers" doc:"lstm, gru: recurrent layers" min:"1" max:"16"`
	Hidden     int    `json:"hidden" doc:"lstm, gru: units of a layer" min:"1" max:"4096"`
	Both       bool   `json:"bidirectional" doc:"lstm, gru: read clips backwards too"`
	Init       string `json:"init" doc:"initial values: PyTorch's defaults, or He-normal" enum:"pytorch,he"`
	Untrained  bool   `json:"untrained" doc:"keep the initial values: the (R) rows of the paper's table"`

	Frames    int    `json:"frames" doc:"frames into the audio tower: shorter clips are filled up, longer are cut" min:"16" max:"16384" unit:"frames"`
	Length    string `json:"length" doc:"which frames count: all (fixed) or only the clip's own (true)" enum:"fixed,true"`
	Batching  string `json:"batching" doc:"a minibatch is as long as frames (fixed) or as its longest clip" enum:"fixed,longest"`
	Normalize string `json:"normalize" doc:"audio input: as it is, or minus the corpus mean, divided by one deviation" enum:"none,corpus"`

	Similarity      string  `json:"similarity" doc:"of a photo and a clip: mean over time of the best place (misa), mean of all (sisa), mean over places of the best time (sima)" enum:"misa,sisa,sima"`
	SimilarityScale float64 `json:"similarity_scale" doc:"the similarity is multiplied by this" min:"1e-6" max:"1e6"`
	Loss            string  `json:"loss" doc:"mean hinge over all impostors of the minibatch" enum:"hinge"`
	Margin          float64 `json:"margin" doc:"margin of the hinge" min:"1e-6" max:"1e6"`

	Batch        int     `json:"batch" doc:"pairs a step" min:"2" max:"1024" unit:"pairs"`
	Epochs       float64 `json:"epochs" doc:"passes over the training pairs" min:"0" max:"1e6"`
	Steps        int64   `json:"steps" doc:"steps; 0: by epochs" min:"0" unit:"steps"`
	LearningRate float64 `json:"learning_rate" doc:"of Adam; the highest of the schedule" min:"1e-12" max:"10"`
	Schedule     string  `json:"schedule" doc:"of the learning rate" enum:"constant,cosine"`
	Warmup       float64 `json:"warmup" doc:"cosine: share of the steps in which the rate rises" min:"0" max:"1"`
	Floor        float64 `json:"floor" doc:"cosine: share of the rate that is left at the end" min:"0" max:"1"`
	Beta1        float64 `json:"beta1" doc:"of Adam" min:"0" max:"0.999999"`
	Beta2        float64 `json:"beta2" doc:"of Adam" min:"0" max:"0.99999999"`
	Epsilon      float64 `json:"epsilon" doc:"of Adam" min:"1e-30" max:"1"`
	Seed         int64   `json:"seed" doc:"of initial values and of the order of pairs" min:"0"`

	Split         string `json:"split" doc:"pairs to learn from"`
	Validation    string `json:"validation" doc:"pairs that P@k is measured on while training"`
	LogSteps      int64  `json:"log_steps" doc:"steps a point of the curve" min:"1" unit:"steps"`
	ValidateSteps int64  `json:"validate_steps" doc:"steps between measurements of P@k; 0: only at the end" min:"0" unit:"steps"`

	CheckpointSteps int64  `json:"checkpoint_steps" doc:"steps between checkpoints; 0: by time alone" min:"0" unit:"steps" free:"true"`
	CheckpointEvery string `json:"checkpoint_every" doc:"time between checkpoints" type:"duration" free:"true"`
}

func defaults() Params {
	s := learn.Paper()
	return Params{
		Image: "head", Audio: "conv5", Layers: 2, Hidden: 512, Init: model.InitPyTorch, Frames: 1024, Length: model.LengthFixed, Batching: "fixed",
		Normalize: s.Normalize, Similarity: "misa", SimilarityScale: 1, Loss: s.Loss, Margin: s.Margin, Batch: s.Batch, Epochs: s.Epochs,
		LearningRate: s.LearningRate, Schedule: s.Schedule, Beta1: s.Beta1, Beta2: s.Beta2, Epsilon: s.Epsilon, Seed: 1,
		Split: "train", Validation: "validation", LogSteps: s.LogEvery, CheckpointEvery: "30s",
	}
}

// bucketFrames is what the longest clip of a minibatch is rounded up to, so that
// few different lengths need a graph of their own.
const bucketFrames = 16

// Check implements stage.Checker.
func (p Params) Check() []spec.ParamProblem {
	var out []spec.ParamProblem
	if p.Image == "head" && p.HeadKernel == 2 {
		out = append(out, spec.ParamProblem{Param: "head_kernel", Message: "a head is 1 or 3 wide"})
	}
	if p.Batching == "longest" && p.Length == model.LengthFixed {
		out = append(out, spec.ParamProblem{Param: "batching", Message: "with length: fixed every frame counts, so minibatches must all be as long as frames: use length: true"})
	}
	if p.Warmup > 0 && p.Schedule != learn.ScheduleCosine {
		out = append(out, spec.ParamProblem{Param: "warmup", Message: "the constant schedule has no warm-up: use schedule: cosine"})
	}
	if p.Floor > 0 && p.Schedule != learn.ScheduleCosine {
		out = append(out, spec.ParamProblem{Param: "floor", Message: "the constant schedule never falls: use schedule: cosine"})
	}
	return append(append(out, p.checkRecurrent()...), p.checkTowers()...)
}

// checkTowers finds towers whose outputs cannot be compared before anything
// runs.
func (p Params) checkTowers() []spec.ParamProblem {
	image, err := model.ImageTower(p.Image, model.HeadOptions{In: 1})
	if err != nil {
		return nil
	}
	audio, err := p.audio(1)
	if err != nil || image.Out() == audio.Out() {
		return nil
	}
	return []spec.ParamProblem{{Param: "audio", Message: fmt.Sprintf("%s ends in %d channels and image: %s in %d: they cannot be compared", p.Audio, audio.Out(), p.Image, image.Out())}}
}

// checkRecurrent finds settings of recurrent layers where there are none.
func (p Params) checkRecurrent() (out []spec.ParamProblem) {
	if p.Audio == "lstm" || p.Audio == "gru" {
		return nil
	}
	d := defaults()
	for _, c := range []struct {
		name    string
		changed bool
	}{{"layers", p.Layers != d.Layers}, {"hidden", p.Hidden != d.Hidden}, {"bidirectional", p.Both}} {
		if c.changed {
			out = append(out, spec.ParamProblem{Param: c.name, Message: fmt.Sprintf("audio: %s has no recurrent layers: this is for lstm and gru", p.Audio)})
		}
	}
	return out
}

func (p Params) checkpointEvery() time.Duration {
	d, err := time.ParseDuration(p.CheckpointEvery)
	if err != nil {
		return 0 // the spec has checked it
	}
	return d
}

func (p Params) settings() learn.Settings {
	s := learn.Settings{
		Batch: p.Batch, Steps: p.Steps, Epochs: p.Epochs, LearningRate: p.LearningRate, Beta1: p.Beta1, Beta2: p.Beta2, Epsilon: p.Epsilon,
		Schedule: p.Schedule, Warmup: p.Warmup, Floor: p.Floor, Loss: p.Loss, Margin: p.Margin, Normalize: p.Normalize,
		Seed: uint64(p.Seed), LogEvery: p.LogSteps, EvalEvery: p.ValidateSteps,
	}
	if p.Batching == "longest" {
		s.Bucket = bucketFrames
	}
	if p.Untrained {
		s.Steps, s.Epochs = 0, 0
	}
	return s
}

// model puts the towers together for data of a shape.
func (p Params) model(s dataset.Shape) (model.Spec, error) {
	if s.Pixels != (p.Image == "small") {
		return model.Spec{}, fmt.Errorf("image: %s does not start from this input: head takes features, small takes images", p.Image)
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
		Image: image, Audio: audio, Height: s.Height, Width: s.Width, Frames: p.Frames, Length: p.Length,
		Similarity: p.Similarity, Scale: p.SimilarityScale, Init: p.Init, Notes: p.notes(s),
	}
	if s.Pixels {
		m.Pixels = &model.PixelNorm{Center: 127.5, Scale: 63.75} // (x/255 - .5)/.25
	}
	return m, nil
}

func (p Params) audio(coeffs int) (model.Tower, error) {
	return model.AudioTower(p.Audio, model.AudioOptions{Coeffs: coeffs, Layers: p.Layers, Hidden: p.Hidden, Bidirectional: p.Both})
}

// audioName is the audio tower with what is not usual about it.
func (p Params) audioName() string {
	name, d := p.Audio, defaults()
	if p.Layers != d.Layers || p.Hidden != d.Hidden {
		name += fmt.Sprintf(" %d x %d", p.Layers, p.Hidden)
	}
	if p.Both {
		name += " both ways"
	}
	return name
}

func (p Params) head(s dataset.Shape) model.HeadOptions {
	return model.HeadOptions{In: s.Channels, Kernel: p.HeadKernel}
}

// notes are the settings as tables show them beside the scores, and, called
// note, what must be said of the features.
func (p Params) notes(s dataset.Shape) []model.KeyString {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	length := fmt.Sprintf("%s epochs", number(p.Epochs))
	switch {
	case p.Untrained:
		length = "untrained"
	case p.Steps > 0:
		length = fmt.Sprintf("%d steps", p.Steps)
	}
	var out []model.KeyString
	if note := model.FrozenNote(s.Tower); note != "" {
		out = append(out, model.KeyString{Key: "note", Value: note})
	}
	if s.Tower != "" {
		out = append(out, model.KeyString{Key: "features", Value: fmt.Sprintf("%s, %s: %dx%dx%d", s.Tower, s.Layer, s.Height, s.Width, s.Channels)})
	}
	return append(out, []model.KeyString{
		{Key: "towers", Value: p.Image + " and " + p.audioName()},
		{Key: "audio", Value: fmt.Sprintf("%d frames, length %s, normalize %s", p.Frames, p.Length, p.Normalize)},
		{Key: "similarity", Value: fmt.Sprintf("%s x %s", p.Similarity, number(p.SimilarityScale))},
		{Key: "loss", Value: fmt.Sprintf("%s, margin %s", p.Loss, number(p.Margin))},
		{Key: "training", Value: fmt.Sprintf("%s, batch %d, seed %d", length, p.Batch, p.Seed)},
		{Key: "optimizer", Value: fmt.Sprintf("Adam %s/%s, rate %s, %s", number(p.Beta1), number(p.Beta2), number(p.LearningRate), p.Schedule)},
	}...)
}
