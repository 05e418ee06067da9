package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/minibatch"
	"github.com/hearsight/hearsight/internal/rows"
	tables "github.com/hearsight/hearsight/internal/table"
)

const (
	trainScript = "scripts/bench/train_peer.py"
	trainSpec   = "scripts/bench/train.yaml"

	// The curves are compared for so many steps, and part where they are farther
	// from each other than this share of the loss. Rounding alone leads two runs
	// apart, PyTorch's on one thread and on two as well (docs/decisions/0017): so
	// ours must keep to the curve in float64 for as long as PyTorch's float32 does.
	curveSteps = 50
	curveShare = 1e-3
)

// trainOptions say how long training is. Batch and seed are those of train.yaml.
type trainOptions struct {
	steps, batch int
	seed         uint64
}

func (t *trainOptions) flags(f *flag.FlagSet) {
	f.IntVar(&t.steps, "steps", 500, "train, order: steps")
	f.IntVar(&t.batch, "batch", 4, "order: pairs a step")
	f.Uint64Var(&t.seed, "seed", 1, "order: what the order is drawn from")
}

// trainBeside trains row VGG16_5 of the paper's table by a run and by a script in
// PyTorch, in turn: from the same values, on the same data in the same order. Ours
// is the time of the train stage, with its checkpoints and the model's file; its
// CPU seconds are those of the whole run. Theirs is from reading the same tables
// to the model's file; what Python takes to import PyTorch is not counted.
func trainBeside(out io.Writer, o options) error {
	if o.prep.dir == "" || o.prep.weights == "" || o.prep.flickr8k == "" {
		return errors.New("train: say with -data, -flickr8k and -weights where things are")
	}
	t, err := newTable(out, o.results)
	if err != nil {
		return err
	}
	b := &training{o: o, files: filepath.Join(o.prep.dir, "files")}
	if err := b.lay(); err != nil {
		return fmt.Errorf("prepare training: %w", err)
	}
	for range o.rounds {
		if err := b.round(); err != nil {
			return err
		}
	}
	if err := t.add(b.rows()...); err != nil {
		return err
	}
	return errors.Join(b.compare(out), t.end())
}

// training is a comparison under way.
type training struct {
	o            options
	files        string // folder of the tables and of the model to start from
	ours, theirs []span
	mine         []float64 // our losses, by steps
	peer         trainPeer // of the last round
	loads        []float64
}

// A trainPeer is what train_peer.py printed.
type trainPeer struct {
	Wall    float64   `json:"wall"`
	CPU     float64   `json:"cpu"`
	Losses  []float64 `json:"losses"`
	Version string    `json:"version"`
}

// trainFiles are the results that the script reads.
var trainFiles = []string{"pairs", "mfcc", "features", "model@start"}

// lay runs what comes before training, which is not measured, and copies it out
// of the store, with the order of the pairs.
func (b *training) lay() error {
	if _, err := b.hearsight("run", "model@start"); err != nil {
		return err
	}
	for _, stage := range trainFiles {
		if err := b.get(stage); err != nil {
			return err
		}
	}
	f, err := os.Create(b.order())
	if err != nil {
		return err
	}
	return errors.Join(writeOrder(f, b.files, b.o.train), f.Close())
}

func (b *training) order() string { return filepath.Join(b.files, "order.jsonl") }

func (b *training) get(stage string) error {
	dir := filepath.Join(b.files, stage)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	_, err := b.hearsight("get", stage, dir)
	return err
}

// hearsight runs a command of ours and returns what it printed.
func (b *training) hearsight(verb string, args ...string) ([]byte, error) {
	p := b.o.prep
	args = append([]string{verb, "-f", trainSpec, "--json", "--store", filepath.Join(p.dir, "store"), "--set", "flickr8k=" + p.flickr8k, "--set", "weights=" + p.weights,
		"--set", "photos=" + strconv.Itoa(p.items), "--set", "steps=" + strconv.Itoa(b.o.train.steps)}, args...)
	cmd := exec.Command(p.binary, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(b.o.threads))
	return output(cmd)
}

func (b *training) round() error {
	events, err := b.hearsight("run", "--force", "model@end", "model@end")
	if err != nil {
		return err
	}
	s, err := stageSpan(events, "model@end")
	if err != nil {
		return err
	}
	b.ours, b.loads = append(b.ours, s), append(b.loads, load())
	if b.peer, err = b.python(b.o.train.steps, "--out", filepath.Join(b.files, "peer.pt")); err != nil {
		return err
	}
	b.theirs, b.loads = append(b.theirs, span{b.peer.Wall, b.peer.CPU}), append(b.loads, load())
	return nil
}

// python runs the script for so many steps.
func (b *training) python(steps int, more ...string) (p trainPeer, err error) {
	args := []string{trainScript, "--steps", strconv.Itoa(steps), "--threads", strconv.Itoa(b.o.threads), "--order", b.order()}
	for flag, stage := range map[string]string{"--pairs": "pairs", "--mfcc": "mfcc", "--features": "features", "--start": "model@start"} {
		args = append(args, flag, filepath.Join(b.files, stage))
	}
	text, err := output(exec.Command(b.o.python, append(args, more...)...))
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("%s: %w in %.200q", trainScript, err, text)
	}
	return p, nil
}

// stageSpan takes from the events of a run how long a stage took, and the CPU
// seconds of the run, which did nothing else.
func stageSpan(events []byte, stage string) (span, error) {
	var s span
	for line := range bytes.Lines(events) {
		var e struct {
			Event   string  `json:"event"`
			Stage   string  `json:"stage"`
			Seconds float64 `json:"seconds"`
			CPU     float64 `json:"cpu_seconds"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return s, fmt.Errorf("events of a run: %w in %.200q", err, line)
		}
		switch {
		case e.Event == "stage_finished" && e.Stage == stage:
			s.wall = e.Seconds
		case e.Event == "run_ended":
			s.cpu = e.CPU
		}
	}
	if s.wall <= 0 || s.cpu <= 0 {
		return s, fmt.Errorf("the events of a run say nothing of how long %s took", stage)
	}
	return s, nil
}

// compare holds the first losses of the two sides against each other, and both
// against those of the script in float64: what rounding alone makes of a curve.
func (b *training) compare(out io.Writer) error {
	if err := b.get("model@end"); err != nil {
		return err
	}
	var err error
	if b.mine, err = readLosses(filepath.Join(b.files, "model@end", "curve"+tables.Curve.Ext())); err != nil {
		return err
	}
	n := min(curveSteps, b.o.train.steps)
	share, step, err := apart(b.mine, b.peer.Losses, n)
	if err != nil {
		return err
	}
	double, err := b.python(n, "--double")
	if err != nil {
		return err
	}
	itself, at, err := apart(b.peer.Losses, double.Losses, n)
	if err != nil {
		return err
	}
	own, theirs := parts(b.mine, double.Losses, n), parts(b.peer.Losses, double.Losses, n)
	if _, err := fmt.Fprintf(out, "\nLoss of the first %d steps, %.4g to %.4g: ours and PyTorch's float32 are apart by at most %.2g of it (step %d), by more than %g from step %d on. "+
		"From PyTorch's float64, ours parts by that at step %d, its float32 at step %d (at most %.2g, step %d). 0: never.\n",
		n, b.mine[0], b.mine[n-1], share, step, curveShare, parts(b.mine, b.peer.Losses, n), own, theirs, itself, at); err != nil {
		return err
	}
	if sooner(own, theirs) {
		return fmt.Errorf("our curve parts from the one in float64 at step %d, by more than %g of the loss: sooner than PyTorch's float32, at step %d (0: never)", own, curveShare, theirs)
	}
	return nil
}

// sooner reports whether the first of two steps, 0 being never, comes first.
func sooner(a, b int) bool { return a != 0 && (b == 0 || a < b) }

// apart is the largest difference of two curves in their first n steps, as a
// share of the second, and the step it is at, the first being 1.
func apart(ours, theirs []float64, n int) (share float64, step int, err error) {
	if len(ours) < n || len(theirs) < n || n < 1 {
		return 0, 0, fmt.Errorf("%d and %d losses: want at least %d of both", len(ours), len(theirs), max(1, n))
	}
	for i := range n {
		d := math.Abs(ours[i]-theirs[i]) / math.Abs(theirs[i])
		if math.IsNaN(d) || math.IsInf(ours[i], 0) {
			return 0, 0, fmt.Errorf("step %d: losses %v and %v cannot be compared", i+1, ours[i], theirs[i])
		}
		if d > share || step == 0 {
			share, step = d, i+1
		}
	}
	return share, step, nil
}

// parts is the first of n steps at which two curves are farther apart than is
// allowed, 0 for none.
func parts(ours, theirs []float64, n int) int {
	for i := range n {
		if !(math.Abs(ours[i]-theirs[i]) <= curveShare*math.Abs(theirs[i])) {
			return i + 1
		}
	}
	return 0
}

// readLosses reads the losses of a curve that has a point for each step.
func readLosses(path string) (losses []float64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := tables.Open(tables.Curve, f, info.Size())
	if err != nil {
		return nil, err
	}
	for i := range r.Len() {
		p, err := r.Row(i)
		if err != nil {
			return nil, err
		}
		if p.Step != int64(i)+1 {
			return nil, fmt.Errorf("%s: point %d is of step %d: want one for each step", path, i+1, p.Step)
		}
		losses = append(losses, p.Loss)
	}
	return losses, nil
}

// rows are training on the clock and in CPU seconds.
func (b *training) rows() []row {
	const peer = "PyTorch"
	n := float64(b.o.train.steps)
	how := fmt.Sprintf("%d steps of 4 pairs, data and files included, %d rounds; %s", b.o.train.steps, len(b.ours), b.peer.Version)
	var w, c, tw, tc []float64
	for i := range b.ours {
		w, c, tw, tc = append(w, b.ours[i].wall/n), append(c, b.ours[i].cpu/n), append(tw, b.theirs[i].wall/n), append(tc, b.theirs[i].cpu/n)
	}
	line := func(name, unit string, ours, theirs []float64) row {
		return row{name: name, unit: unit, ours: median(ours), peer: median(theirs), peerName: peer, ratio: median(theirs) / median(ours), least: 2.5, load: median(b.loads), note: how}
	}
	return []row{line("train_vgg16_5", "s/step", w, tw), line("train_vgg16_5_cpu", "s CPU", c, tc)}
}

// A copied is a result of ours as `hearsight get` copies it, or several in
// folders of their names: a rows.Parts of paths.
type copied string

// Parts lists the files of a schema.
func (c copied) Parts(schema string) []string {
	name := map[string]string{
		tables.Captions.Schema():            "pairs/captions" + tables.Captions.Ext(),
		tables.MFCCs.Schema():               "mfcc/mfcc-*" + tables.MFCCs.Ext(),
		tables.FeatureMaps("", "").Schema(): "features/features-*" + tables.FeatureMaps("", "").Ext(),
	}[schema]
	files, err := filepath.Glob(filepath.Join(string(c), name))
	if err != nil || name == "" {
		return nil
	}
	return files
}

// Open opens a file.
func (copied) Open(path string) (*os.File, error) { return os.Open(path) }

// writeOrder writes the ids of the captions of each step, a JSON array a line:
// the order in which the train stage takes the pairs of the tables in dir.
func writeOrder(out io.Writer, dir string, t trainOptions) error {
	from := copied(dir)
	d, err := dataset.Open(dataset.Inputs[string]{Pairs: from, MFCC: from, Features: []rows.Parts[string]{from}})
	if err != nil {
		return err
	}
	pairs := d.Split("train")
	if err := d.Close(); err != nil {
		return err
	}
	s, err := minibatch.NewSampler(pairs, t.batch, t.seed)
	if err != nil {
		return err
	}
	for step := range t.steps {
		var ids []string
		for _, i := range s.Batch(int64(step)) {
			ids = append(ids, pairs[i].ID)
		}
		if err := json.NewEncoder(out).Encode(ids); err != nil {
			return err
		}
	}
	return nil
}
