package train

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/spec"
)

// Params are the parameters of Kind. Defaults are the paper's.
type Params struct {
	Image      string  `json:"image" doc:"trained image tower: head on frozen features, mlp (a linear layer and a ReLU at each of their places), small and small5 from pixels, or a network that is fine-tuned with a head on it" enum:"head,mlp,small,small5,vgg16,vgg19"`
	Finetune   string  `json:"finetune" doc:"what of vgg16 or vgg19 is trained along: nothing (image: head), its last block, from feature maps of layer pool4, or all of it, from photos" enum:"none,conv5,all"`
	Weights    string  `json:"weights" doc:"finetune: where the network starts: safetensors file with torchvision's names; none for image_init: random" path:"file"`
	ImageInit  string  `json:"image_init" doc:"finetune: the network's own weights, VGG16's with three identity layers (vgg19), or the seed" enum:"pretrained,vgg16+identity,random"`
	Input      string  `json:"input" doc:"finetune: all: how pixels go in: caffe (0..255 less the mean), torchvision (0..1, mean and deviation), or what the file's metadata say" enum:"auto,caffe,torchvision"`
	HeadKernel int     `json:"head_kernel" doc:"width of the head's convolution, 1 or 3; 0: 3 for up to 512 channels, else 1" min:"0" max:"3"`
	Audio      string  `json:"audio" doc:"audio tower: the paper's, or conv4, four convolutions with batch norm, or small" enum:"conv5,conv6,conv4,lstm,gru,small"`
	ImageDrop  float64 `json:"image_dropout" doc:"share of the image tower's outputs that a step sets to 0" min:"0" max:"0.99"`
	AudioDrop  float64 `json:"audio_dropout" doc:"the same of the audio tower" min:"0" max:"0.99"`
	Layers     int     `json:"layers" doc:"lstm, gru: recurrent layers" min:"1" max:"16"`
	Hidden     int     `json:"hidden" doc:"lstm, gru: units of a layer" min:"1" max:"4096"`
	Both       bool    `json:"bidirectional" doc:"lstm, gru: read clips backwards too"`
	Init       string  `json:"init" doc:"initial values: PyTorch's defaults, or He-normal" enum:"pytorch,he"`
	Untrained  bool    `json:"untrained" doc:"keep the initial values: the (R) rows of the paper's table"`

	Frames    int    `json:"frames" doc:"frames into the audio tower: shorter clips are filled up, longer are cut" min:"16" max:"16384" unit:"frames"`
	Length    string `json:"length" doc:"which frames count: all (fixed) or only the clip's own (true)" enum:"fixed,true"`
	Batching  string `json:"batching" doc:"a minibatch is as long as frames (fixed) or as its longest clip" enum:"fixed,longest"`
	Normalize string `json:"normalize" doc:"audio input: as it is, or minus the corpus mean of each coefficient, divided by one deviation (corpus) or by that of each (coefficients)" enum:"none,corpus,coefficients"`
	NormMaps  string `json:"normalize_features" doc:"feature maps: as they are, or minus the corpus mean of each channel, divided by one deviation (of several networks by one of each)" enum:"none,corpus"`

	Similarity      string  `json:"similarity" doc:"of a photo and a clip: mean over time of the best place (misa), mean of all (sisa), mean over places of the best time (sima), or the cosine of their means weighted by attention (attention)" enum:"misa,sisa,sima,attention"`
	Embed           int     `json:"embed" doc:"attention: channels of a linear layer after each mean; 0: none" min:"0" max:"8192"`
	SimilarityScale float64 `json:"similarity_scale" doc:"the similarity is multiplied by this" min:"1e-6" max:"1e6"`
	LearnScale      bool    `json:"learn_scale" doc:"the similarity is also multiplied by a number that is learnt, 1 at first, 100 at most"`
	Loss            string  `json:"loss" doc:"hinge over all impostors of the minibatch, mean over pairs (hinge: the paper), sum, sum by batch or by its square; over a drawn, the nearest or the nearest that is farther than the partner; or a softmax" enum:"hinge,hinge_sum,hinge_batch,hinge_square,hinge_sampled,hinge_hardest,semihard,infonce,masked_margin_softmax"`
	Margin          float64 `json:"margin" doc:"margin of every loss but infonce" min:"1e-6" max:"1e6"`
	Temperature     float64 `json:"temperature" doc:"infonce: the similarities are divided by this" min:"1e-6" max:"1e6"`

	Sampler     string  `json:"sampler" doc:"an epoch is all pairs, or all photos, each with one of its captions in turn" enum:"pairs,photos"`
	SortBatches int     `json:"sort_batches" doc:"photos: minibatches whose clips are sorted by length together, so that they are filled up little; 0: none" min:"0" max:"100000"`
	Speed       float64 `json:"speed" doc:"a clip is up to this much faster or slower than it was spoken, drawn each step: 0.1 is a tenth" min:"0" max:"0.9"`
	Noise       float64 `json:"noise" doc:"deviation of Gaussian noise that a step adds to the audio tower's input, as it is after normalize" min:"0" max:"1000"`
	DropFrames  int     `json:"drop_frames" doc:"up to so many frames are left off the front of a clip, drawn each step" min:"0" max:"1000" unit:"frames"`
	TimeMasks   int     `json:"time_masks" doc:"stretches of a clip that a step sees as zeros" min:"0" max:"100"`
	MaskFrames  int     `json:"mask_frames" doc:"time_masks: longest of them" min:"0" max:"1000" unit:"frames"`
	Places      int     `json:"places" doc:"places of a feature map that a step sees, drawn each step; 0: all" min:"0" max:"65536"`

	Batch        int     `json:"batch" doc:"pairs a step" min:"2" max:"1024" unit:"pairs"`
	Epochs       float64 `json:"epochs" doc:"passes over the training pairs, or photos (sampler)" min:"0" max:"1e6"`
	Steps        int64   `json:"steps" doc:"steps; 0: by epochs" min:"0" unit:"steps"`
	LearningRate float64 `json:"learning_rate" doc:"the highest of the schedule" min:"1e-12" max:"10"`
	Schedule     string  `json:"schedule" doc:"of the learning rate: as it is, up and down a cosine, falling by decay, or up and down again and again" enum:"constant,cosine,step,cyclic"`
	Warmup       float64 `json:"warmup" doc:"cosine: share of the steps in which the rate rises" min:"0" max:"1"`
	Floor        float64 `json:"floor" doc:"cosine: share of the rate that is left at the end; cyclic: at its lowest" min:"0" max:"1"`
	Decay        float64 `json:"decay" doc:"step: what the rate is multiplied by" min:"1e-6" max:"1"`
	DecayEpochs  int     `json:"decay_epochs" doc:"step: epochs between falls, counted from 1" min:"1" max:"1000000"`
	CycleEpochs  float64 `json:"cycle_epochs" doc:"cyclic: epochs up and down" min:"1e-3" max:"1e6"`
	Optimizer    string  `json:"optimizer" doc:"Adam, with decay apart from the gradient (adamw), with the largest second moment (amsgrad); or gradient descent with momentum" enum:"adam,adamw,amsgrad,sgd,nesterov"`
	Beta1        float64 `json:"beta1" doc:"of Adam" min:"0" max:"0.999999"`
	Beta2        float64 `json:"beta2" doc:"of Adam" min:"0" max:"0.99999999"`
	Epsilon      float64 `json:"epsilon" doc:"of Adam" min:"1e-30" max:"1"`
	Momentum     float64 `json:"momentum" doc:"of sgd and nesterov" min:"0" max:"0.999999"`
	DecayOf      string  `json:"decay_of" doc:"what weight decay pulls: all weights, or matrices, which leaves biases and norms alone" enum:"all,matrices"`
	WeightDecay  float64 `json:"weight_decay" doc:"pull of the weights towards 0; adamw: apart from the gradient" min:"0" max:"1"`
	ClipNorm     float64 `json:"clip_norm" doc:"longest gradient, all weights together; 0: as long as it is" min:"0" max:"1e9"`
	Average      float64 `json:"average" doc:"what is scored and kept is the mean of the weights over time, with this decay a step; 0: the weights themselves" min:"0" max:"0.9999999"`
	Keep         string  `json:"keep" doc:"the model as it is at the end, or was at its best on the validation pairs (P@1 + P@5 + P@10)" enum:"last,best"`
	Patience     int     `json:"patience" doc:"training ends after so many measurements of P@k in a row that are not the best so far; 0: never" min:"0" max:"1000000"`
	Seed         int64   `json:"seed" doc:"of initial values, of the order of pairs and of all that is drawn" min:"0"`

	Flip       float64 `json:"flip" doc:"augmentation of photos: how often a step sees the mirror image; drawn by seed, epoch and caption; feature maps come mirrored by port mirrored" min:"0" max:"1"`
	Crop       float64 `json:"crop" doc:"augmentation, image: small, small5 and finetune: all: the smallest share of a photo's area that is cut out, anywhere, in 3:4 to 4:3 of its shape, and made as large as the photo; 1: no cut" min:"0.01" max:"1"`
	Brightness float64 `json:"brightness" doc:"augmentation: brightness is multiplied by up to this more or less than 1" min:"0" max:"1"`
	Contrast   float64 `json:"contrast" doc:"augmentation: the same of the distance to the photo's mean gray" min:"0" max:"1"`
	Saturation float64 `json:"saturation" doc:"augmentation: the same of the distance of colours to their gray" min:"0" max:"1"`

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
		Image: "head", Finetune: finetuneNone, ImageInit: model.InitPretrained, Input: auto, Audio: "conv5", Layers: 2, Hidden: 512, Init: model.InitPyTorch, Frames: 1024, Length: model.LengthFixed, Batching: "fixed",
		Normalize: s.Normalize, NormMaps: s.NormMaps, Sampler: s.Sampler, Keep: s.Keep, DecayOf: decayAll, Similarity: "misa", SimilarityScale: 1, Loss: s.Loss, Margin: s.Margin, Temperature: s.Temperature, Batch: s.Batch, Epochs: s.Epochs,
		LearningRate: s.LearningRate, Schedule: s.Schedule, Decay: .1, DecayEpochs: 40, CycleEpochs: 4, Optimizer: s.Optimizer, Beta1: s.Beta1, Beta2: s.Beta2, Epsilon: s.Epsilon, Seed: 1, Crop: 1,
		Split: "train", Validation: "validation", LogSteps: s.LogEvery, CheckpointEvery: "10s",
	}
}

// bucketFrames is what the longest clip of a minibatch is rounded up to, so that
// few different lengths need a graph of their own.
const bucketFrames = 16

// Check implements stage.Checker.
func (p Params) Check() []spec.ParamProblem {
	var out []spec.ParamProblem
	if p.HeadKernel == 2 {
		out = append(out, spec.ParamProblem{Param: "head_kernel", Message: "a head is 1 or 3 wide"})
	}
	if p.Batching == "longest" && p.Length == model.LengthFixed {
		out = append(out, spec.ParamProblem{Param: "batching", Message: "with length: fixed every frame counts, so minibatches must all be as long as frames: use length: true"})
	}
	return slices.Concat(out, p.checkFinetune(), p.checkLearning(), p.checkRecurrent(), p.checkTowers(), p.checkAugmentation(), p.checkRecipe())
}

// checkLearning finds settings of one schedule, optimizer or loss beside
// another, where they would do nothing.
func (p Params) checkLearning() (out []spec.ParamProblem) {
	d := defaults()
	for _, c := range []struct {
		param   string
		changed bool
		of      string // what it belongs to
		here    string
		where   []string
	}{
		{"warmup", p.Warmup > 0, "schedule", p.Schedule, []string{learn.ScheduleCosine}},
		{"floor", p.Floor > 0, "schedule", p.Schedule, []string{learn.ScheduleCosine, learn.ScheduleCyclic}},
		{"decay", p.Decay != d.Decay, "schedule", p.Schedule, []string{learn.ScheduleStep}},
		{"decay_epochs", p.DecayEpochs != d.DecayEpochs, "schedule", p.Schedule, []string{learn.ScheduleStep}},
		{"cycle_epochs", p.CycleEpochs != d.CycleEpochs, "schedule", p.Schedule, []string{learn.ScheduleCyclic}},
		{"momentum", p.Momentum != d.Momentum, "optimizer", p.Optimizer, []string{nn.SGD, nn.Nesterov}},
		{"beta1", p.Beta1 != d.Beta1, "optimizer", p.Optimizer, []string{nn.Adam, nn.AdamW, nn.AMSGrad}},
		{"beta2", p.Beta2 != d.Beta2, "optimizer", p.Optimizer, []string{nn.Adam, nn.AdamW, nn.AMSGrad}},
		{"epsilon", p.Epsilon != d.Epsilon, "optimizer", p.Optimizer, []string{nn.Adam, nn.AdamW, nn.AMSGrad}},
		{"temperature", p.Temperature != d.Temperature, "loss", p.Loss, []string{nn.LossInfoNCE}},
	} {
		if c.changed && !slices.Contains(c.where, c.here) {
			out = append(out, spec.ParamProblem{Param: c.param, Message: fmt.Sprintf("does nothing with %s: %s: it is of %s", c.of, c.here, strings.Join(c.where, ", "))})
		}
	}
	if p.Margin != d.Margin && p.Loss == nn.LossInfoNCE {
		out = append(out, spec.ParamProblem{Param: "margin", Message: "infonce has no margin: use temperature"})
	}
	if p.Momentum == 0 && p.Optimizer == nn.Nesterov {
		out = append(out, spec.ParamProblem{Param: "momentum", Message: "nesterov is nothing without momentum: .9 is usual"})
	}
	return out
}

// checkTowers finds towers whose outputs cannot be compared before anything
// runs.
func (p Params) checkTowers() []spec.ParamProblem {
	image, err := model.ImageTower(p.Image, model.HeadOptions{In: 1})
	if err != nil {
		return nil
	}
	audio, err := p.audio(1)
	if err != nil || image.Out() == audio.Out() || p.Similarity == model.SimilarityAttention && p.Embed > 0 {
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
		Batch: p.Batch, Steps: p.Steps, Epochs: p.Epochs, LearningRate: p.LearningRate,
		Optimizer: p.Optimizer, Beta1: p.Beta1, Beta2: p.Beta2, Epsilon: p.Epsilon, Momentum: p.Momentum, WeightDecay: p.WeightDecay, ClipNorm: p.ClipNorm,
		Schedule: p.Schedule, Warmup: p.Warmup, Floor: p.Floor, Decay: p.Decay, DecayEpochs: p.DecayEpochs, CycleEpochs: p.CycleEpochs,
		Loss: p.Loss, Margin: p.Margin, Temperature: p.Temperature, Normalize: p.Normalize,
		Seed: uint64(p.Seed), LogEvery: p.LogSteps, EvalEvery: p.ValidateSteps,
		DecayMatrices: p.DecayOf == decayMatrices, NormMaps: p.NormMaps, Sampler: p.Sampler, SortBatches: p.SortBatches,
		Speed: p.Speed, Noise: p.Noise, DropFrames: p.DropFrames, TimeMasks: p.TimeMasks, MaskFrames: p.MaskFrames, Places: p.Places,
		Average: p.Average, Keep: p.Keep, Patience: p.Patience,
	}
	if p.Batching == "longest" {
		s.Bucket = bucketFrames
	}
	if p.Untrained {
		s.Steps, s.Epochs = 0, 0
	}
	return s
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
