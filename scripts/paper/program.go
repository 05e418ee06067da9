package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/pipeline"
)

// A program is hearsight, on a store, with where the data are.
type program struct {
	binary, store, data string
	photos              int // to learn from
	captions            int // of each
	out, err            io.Writer
}

// args are a command's arguments for a row.
func (p *program) args(r row, steps int64, command ...string) []string {
	set := []string{
		"flickr8k=" + filepath.Join(p.data, "flickr8k"), "train=" + strconv.Itoa(p.photos),
		"captions_per_photo=" + strconv.Itoa(p.captions), "steps=" + strconv.FormatInt(steps, 10),
	}
	if !r.random {
		set = append(set, "weights="+filepath.Join(p.data, "weights"))
	}
	args := append(command, "-f", r.spec, "--store", p.store)
	for _, s := range set {
		args = append(args, "--set", s)
	}
	return args
}

// run makes a stage of a row, and whatever it needs. Interrupted, it lets
// hearsight save where it is.
func (p *program) run(ctx context.Context, r row, steps int64, stage string) error {
	cmd := exec.CommandContext(ctx, p.binary, p.args(r, steps, "run", stage)...)
	cmd.Stdout, cmd.Stderr = p.out, p.err
	// A terminal's interrupt reaches hearsight by itself, and a second one would
	// end it at once: SIGTERM after it changes nothing.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Minute
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: hearsight run: %w", r.name, err)
	}
	return nil
}

// ask runs a command that answers in JSON.
func (p *program) ask(ctx context.Context, to any, args ...string) error {
	text, err := p.output(ctx, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("hearsight %s: %w", args[0], err)
	}
	return nil
}

// output is what the program prints; an error has what it says beside.
func (p *program) output(ctx context.Context, args ...string) ([]byte, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, p.binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("hearsight %s: %w\n%s", args[0], err, said.Bytes())
	}
	return out.Bytes(), nil
}

// measure trains a row for a few steps, in a store of its own, for the pace.
func (p *program) measure(ctx context.Context, r row) (pace, error) {
	steps := int64(60)
	if r.random {
		steps = 20
	}
	if err := p.run(ctx, r, steps, r.model); err != nil {
		return pace{}, err
	}
	all, err := pipeline.ReadJournals(p.store)
	if err != nil {
		return pace{}, err
	}
	var lines []metricsLine
	digest := ""
	for _, j := range all {
		more, err := trainingLines(j.Dir, r.model)
		if err != nil {
			return pace{}, err
		}
		lines = append(lines, more...)
		for _, ev := range j.Events {
			if ev.Stage == r.model && ev.Digest != "" {
				digest = ev.Digest
			}
		}
	}
	v, err := trainedPace(lines, trained(all, r.model, digest).seconds)
	if err != nil {
		return pace{}, fmt.Errorf("measure a step of %s: %w", r.name, err)
	}
	v.Date = time.Now().Format(time.DateOnly)
	return v, nil
}

// line collects what is known of a row that has been run: the same on any day,
// so what the journals do not tell of its training is left out.
func (p *program) line(ctx context.Context, r row, steps int64) (line, error) {
	var scores map[string]table.Metrics
	if err := p.ask(ctx, &scores, p.args(r, steps, "metrics", "--json")...); err != nil {
		return line{}, err
	}
	m, ok := scores[r.name]
	if !ok || len(m.Sets) == 0 {
		return line{}, fmt.Errorf("%s: hearsight metrics tells nothing of it", r.name)
	}
	var model struct {
		Digest string
		Parts  []struct{ Name, Digest string }
	}
	if err := p.ask(ctx, &model, p.args(r, steps, "inspect", "--json", "--sample", "0", r.model)...); err != nil {
		return line{}, err
	}
	set := m.Sets[0]
	l := line{
		Row: r.name, Pairs: set.Pairs, ToPhoto: figuresOf(set.SpeechToImage), ToSpeech: figuresOf(set.ImageToSpeech), PairsKey: set.PairsDigest,
		Note: m.Note, Settings: m.Settings, Model: model.Digest, Numeric: kernel.Numeric(), // part of the key
	}
	for _, part := range model.Parts {
		if part.Name == "model.safetensors" {
			l.Weights = part.Digest
		}
	}
	all, err := pipeline.ReadJournals(p.store)
	if err != nil {
		return line{}, err
	}
	t := trained(all, r.model, l.Model)
	l.Machine, l.Date = t.machine, t.date
	if r.untrained {
		return l, nil
	}
	l.Seconds = t.seconds
	points, err := p.curve(ctx, r, steps)
	if err != nil {
		return line{}, err
	}
	last := points[len(points)-1]
	l.Steps, l.PairsSeen = last.Step, last.PairsSeen
	loss, n := 0.0, (len(points)+9)/10
	for _, c := range points[len(points)-n:] {
		loss += c.Loss / float64(n)
	}
	l.Loss = &loss
	return l, nil
}

// digests are those of a row's scores and model.
func (p *program) digests(ctx context.Context, r row, steps int64) ([]string, error) {
	var of map[string]string
	if err := p.ask(ctx, &of, p.args(r, steps, "digest", "--json", r.scores, r.model)...); err != nil {
		return nil, err
	}
	for _, stage := range []string{r.scores, r.model} {
		if of[stage] == "" {
			return nil, fmt.Errorf("%s: hearsight digest tells nothing of %s", r.name, stage)
		}
	}
	return []string{of[r.scores], of[r.model]}, nil
}

// page writes the report of scores and models by their digests, with the photos
// and clips of a row's spec, which are the same for all rows.
func (p *program) page(ctx context.Context, r row, digests []string, path string) error {
	_, err := p.output(ctx, p.args(r, 0, append([]string{"report", "-o", path}, digests...)...)...)
	return err
}

// curvePoint is what is of interest in a point of a model's curve.
type curvePoint struct {
	Step      int64   `json:"step"`
	PairsSeen int64   `json:"pairs_seen"`
	Loss      float64 `json:"loss"`
}

// curve reads the curve of a row's model.
func (p *program) curve(ctx context.Context, r row, steps int64) ([]curvePoint, error) {
	text, err := p.output(ctx, p.args(r, steps, "inspect", "--export", "json", r.model+"/curve.parquet")...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	var out []curvePoint
	for line := range bytes.Lines(text) {
		var c curvePoint
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, fmt.Errorf("%s: its curve: %w", r.name, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: its curve has no points", r.name)
	}
	return out, nil
}

// findData is where Flickr8k and the weights are: given, or HEARSIGHT_DATA, or
// the folder data beside or of the shared data.
func findData(given string, getenv func(string) string) (string, error) {
	shared := getenv("HEARSIGHT_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "shared")
	}
	dir := filepath.Join(shared, "data")
	for _, d := range []string{getenv("HEARSIGHT_DATA"), given} {
		if d != "" {
			dir = d
		}
	}
	var missing []error
	for _, name := range []string{"flickr8k", "weights"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			missing = append(missing, err)
		}
	}
	if missing != nil {
		return "", fmt.Errorf("Flickr8k and the pretrained weights are not in %s: %w: say with HEARSIGHT_DATA=DIR where flickr8k/ and weights/ lie (docs/formats.md and docs/weights.md say how they must look)", dir, errors.Join(missing...))
	}
	return filepath.Abs(dir)
}
