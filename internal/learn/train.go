package learn

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/internal/similarity"
	"gorgonia.org/gorgonia"
)

// Data is what training sees.
type Data struct {
	Train, Dev []minibatch.Pair
	Clips      minibatch.Clips
	Images     minibatch.Images
	// Sources are the channels of each network, where feature maps are of several
	// and a norm has a deviation for each; nil: of one.
	Sources []int
}

// Options say where checkpoints go, who watches and what comes before the first
// step. All but Start and View change nothing in the result.
type Options struct {
	Dir             string        // of checkpoints; empty: none
	CheckpointSteps int64         // steps between them; 0: by time only
	CheckpointEvery time.Duration // 0 or no Clock: by steps only
	Clock           func() time.Time
	Progress        func(Progress)
	// Key says what the data are, so that a checkpoint is not taken for another
	// run's: the digests of the inputs.
	Key string
	// Start, where not nil, changes the new model's values before the first step,
	// as pretrained weights do. Key must say what it does.
	Start func(*model.Model[float32]) error
	// View, where not nil, is how a picture looks to a pair in an epoch, the first
	// being 0: it follows from these alone, so that it is the same after an
	// interruption, in any order. Scoring sees pictures as they are. It is called
	// from several goroutines and changes nothing of what it is given. Key must
	// say what it does.
	View func(epoch int64, p minibatch.Pair, img minibatch.Image) (minibatch.Image, error)
	// Stop ends the run after this many steps in all as if it had been
	// cancelled, for tests. 0: never.
	Stop int64
}

// A Result is a trained model and how it got there.
type Result struct {
	Model     *model.Model[float32]
	Curve     []CurvePoint
	Steps     int64
	PairsSeen int64
}

// ErrStopped is returned when Options.Stop was reached.
var ErrStopped = errors.New("train: stopped")

// Train trains a new model, or goes on from the newest good checkpoint in
// Options.Dir. When ctx ends, it saves a checkpoint and returns ctx's error.
func Train(ctx context.Context, spec model.Spec, data Data, settings Settings, o Options) (*Result, error) {
	r, err := newRun(spec, data, settings, o)
	if err != nil {
		return nil, err
	}
	if err := r.restore(); err != nil {
		return nil, err
	}
	r.startClock()
	for r.cp.header.Step < r.total && !r.cp.header.Best.Ended {
		if err := r.interrupted(ctx); err != nil {
			return nil, err
		}
		if err := r.step(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.finish(ctx); err != nil {
		return nil, err
	}
	seen := r.cp.header.Step * int64(settings.Batch)
	return &Result{Model: r.kept.result(r.cp.header.Best), Curve: r.cp.curve, Steps: r.cp.header.Step, PairsSeen: seen}, nil
}

// A run is one call of Train.
type run struct {
	data     Data
	settings Settings
	o        Options
	model    *model.Model[float32]
	sampler  *minibatch.Sampler // nil if there is nothing to train
	total    int64
	solver   *nn.Optimizer[float32]
	ws       *nn.Workspace[float32]
	nets     map[int]*network   // by frames
	scorer   *similarity.Scorer // made when first needed
	kept     *kept
	cp       checkpoint

	saved, shown time.Time // when
	savedStep    int64
	did          work // since it was shown
	all          work // since the start, without scoring
}

// A network is the training graph for one length of minibatch.
type network struct {
	m                     *nn.Machine[float32]
	images, audio, frames *nn.Node
	impostors, loss       *nn.Node // impostors nil: the loss draws none
	flop                  float64  // of a step
}

func newRun(spec model.Spec, data Data, settings Settings, o Options) (*run, error) {
	if err := settings.check(); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if err := measure(&spec, data, &settings); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	m, err := model.New[float32](spec, settings.Seed)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if o.Start != nil {
		if err := o.Start(m); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
	}
	r := &run{data: data, settings: settings, o: o, model: m, ws: nn.NewWorkspace[float32](), nets: map[int]*network{}}
	if r.solver, err = nn.NewOptimizer(m.Params(), settings.optimizer()); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if settings.Steps > 0 || settings.Epochs > 0 {
		if r.sampler, err = settings.sampler(data, spec.Audio.In); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		if r.total = settings.Steps; r.total == 0 {
			r.total = int64(math.Ceil(settings.Epochs * float64(r.sampler.StepsPerEpoch())))
		}
	}
	if r.cp.header.Key, err = runKey(spec, settings, o.Key); err != nil {
		return nil, err
	}
	if r.kept, err = newKept(m, &settings); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	for i, p := range m.Params() {
		r.cp.tensors = append(r.cp.tensors, tensor{p.Name, p.W})
		for _, moment := range r.solver.Moments {
			r.cp.tensors = append(r.cp.tensors, tensor{p.Name + " " + moment.Name, moment.Of[i]})
		}
	}
	for _, s := range m.Stats() {
		r.cp.tensors = append(r.cp.tensors, tensor{s.Name + " mean", s.Mean}, tensor{s.Name + " var", s.Var})
	}
	r.cp.tensors = append(r.cp.tensors, r.kept.tensors()...)
	return r, nil
}

// runKey names all that decides what a run computes.
func runKey(spec model.Spec, settings Settings, data string) (string, error) {
	text, err := json.Marshal([]any{spec, settings, data, kernel.Numeric()})
	if err != nil {
		return "", fmt.Errorf("train: %w", err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(text)), nil
}

func (r *run) restore() error {
	if r.o.Dir == "" {
		return nil
	}
	ok, skipped, err := r.cp.restore(r.o.Dir)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	for _, s := range skipped {
		r.o.Progress(Progress{CurvePoint: r.point(), Steps: r.total, Message: "passed over checkpoint " + s, Warning: true})
	}
	if ok {
		r.solver.Steps = int(r.cp.header.Step)
		r.savedStep = r.cp.header.Step
		r.o.Progress(Progress{CurvePoint: r.point(), Steps: r.total, Message: fmt.Sprintf("going on from step %d", r.cp.header.Step)})
	}
	return nil
}

// interrupted saves a checkpoint and returns the reason if the run is to end.
func (r *run) interrupted(ctx context.Context) error {
	err := ctx.Err()
	if err == nil && r.o.Stop > 0 && r.cp.header.Step >= r.o.Stop {
		err = ErrStopped
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, r.save())
}

func (r *run) save() error {
	if r.o.Dir == "" || r.savedStep == r.cp.header.Step {
		return nil
	}
	if err := r.cp.save(r.o.Dir); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	r.savedStep = r.cp.header.Step
	return nil
}

// step does one step of training, with what is due after it.
func (r *run) step(ctx context.Context) error {
	step := r.cp.header.Step
	net, err := r.fill(step)
	if err != nil {
		return fmt.Errorf("train: step %d: %w", step+1, err)
	}
	r.ws.Draw(r.settings.Seed, step)
	r.solver.LearningRate = r.settings.rate(step, r.total, r.sampler.StepsPerEpoch())
	if err := net.m.Run(); err != nil {
		return fmt.Errorf("train: step %d: %w", step+1, err)
	}
	warning, err := r.cp.header.Loss.add(float64(net.m.Data(net.loss)[0]), r.settings.loss().Collapsed(r.settings.Batch), step+1)
	if err != nil {
		return err
	}
	if err := r.update(net.m.Grads()); err != nil {
		return fmt.Errorf("train: step %d: %w", step+1, err)
	}
	r.cp.header.Step++
	r.did.steps, r.did.flop = r.did.steps+1, r.did.flop+net.flop
	if warning != "" {
		r.o.Progress(Progress{CurvePoint: r.point(), Steps: r.total, Message: warning, Warning: true})
	}
	if err := r.log(ctx); err != nil {
		return err
	}
	if r.checkpointDue() {
		return r.save()
	}
	return nil
}

// update moves the weights by their gradients.
func (r *run) update(model []gorgonia.ValueGrad) error {
	if most := r.settings.ClipNorm; most > 0 {
		if _, err := nn.ClipNorm[float32](model, most); err != nil {
			return err
		}
	}
	if err := r.solver.Step(model); err != nil {
		return err
	}
	r.kept.follow(r.cp.header.Step)
	return nil
}

// fill puts the minibatch of a step into the network of its length.
func (r *run) fill(step int64) (*network, error) {
	batch, spec := r.sampler.Batch(step), &r.model.Spec
	clips, lengths := make([][]float32, len(batch)), make([]int, len(batch))
	err := kernel.ParallelErr(len(batch), func(k int) (err error) {
		p := r.data.Train[batch[k]]
		if clips[k], err = r.data.Clips.Frames(p.Clip); err != nil {
			return fmt.Errorf("clip of %s: %w", p.ID, err)
		}
		lengths[k] = min(len(clips[k])/spec.Audio.In, spec.Frames)
		return nil
	})
	if err != nil {
		return nil, err
	}
	changed := r.settings.perturb().Draw(r.settings.Seed, step, lengths, spec.Frames, spec.Height*spec.Width)
	for k, n := range lengths {
		if changed.Drops() { // of what is cut off behind nothing moves up
			clips[k] = clips[k][:min(len(clips[k]), n*spec.Audio.In)]
		}
		clips[k] = changed.AtSpeed(k, changed.Dropped(k, clips[k], spec.Audio.In), spec.Audio.In)
	}
	net, t, err := r.network(clips)
	if err != nil {
		return nil, err
	}
	if net.impostors != nil {
		minibatch.Impostors(net.m.Data(net.impostors), r.settings.Seed, step)
	}
	images, audio, frames := net.m.Data(net.images), net.m.Data(net.audio), net.m.Data(net.frames)
	picture, clip := len(images)/len(batch), t*spec.Audio.In
	return net, kernel.ParallelErr(len(batch), func(k int) error {
		p := r.data.Train[batch[k]]
		n, err := minibatch.PutClip(spec, audio[k*clip:][:clip], clips[k])
		if err != nil {
			return fmt.Errorf("clip of %s: %w", p.ID, err)
		}
		changed.AddNoise(k, audio[k*clip:][:n*spec.Audio.In])
		changed.Mask(k, audio[k*clip:][:clip], spec.Audio.In)
		frames[k] = float32(spec.OutFrames(n, t))
		img, err := r.data.Images.Image(p.Image)
		if err == nil {
			if r.o.View != nil {
				img, err = r.o.View(step/r.sampler.StepsPerEpoch(), p, img)
			}
		}
		if err == nil {
			err = minibatch.PutImage(spec, images[k*picture:][:picture], img, changed.Places())
		}
		if err != nil {
			return fmt.Errorf("image %s: %w", p.Photo, err)
		}
		return nil
	})
}

// network is the training graph for these clips, and its frames.
func (r *run) network(clips [][]float32) (*network, int, error) {
	m, b := r.model, r.settings.Batch
	t := m.Frames
	if step := r.settings.Bucket; step > 0 {
		longest := 1
		for _, c := range clips {
			longest = max(longest, len(c)/m.Audio.In)
		}
		t = min(t, (longest+step-1)/step*step)
	}
	if net := r.nets[t]; net != nil {
		return net, t, nil
	}
	seen := m.Spec // by the image tower
	if n := r.settings.Places; n > 0 && n < m.Height*m.Width {
		seen.Height, seen.Width = 1, n
	}
	g := nn.NewGraph(r.ws, true)
	net := &network{
		images: g.Input("images", b, seen.Height, seen.Width, m.Image.In),
		audio:  g.Input("audio", b, t, m.Audio.In),
		frames: g.Input("frames", b),
		flop:   stepFLOP(&seen, b, t),
	}
	if r.settings.Loss == nn.LossSampled {
		net.impostors = g.Input("impostors", 2, b)
	}
	net.loss = g.Loss(r.settings.loss(), m.Similarities(g, net.images, net.audio, net.frames), net.impostors)
	var err error
	if net.m, err = g.Compile(net.loss); err != nil {
		return nil, 0, fmt.Errorf("%d frames: %w", t, err)
	}
	r.nets[t] = net
	return net, t, nil
}
