package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/internal/kernel"
)

// A pace is how long training takes, as measured by a short run.
type pace struct {
	Step  float64 `json:"step_seconds"`  // median
	Fixed float64 `json:"fixed_seconds"` // of a run beside its steps: opening, scoring once, writing
	Steps int64   `json:"steps"`         // that were measured
	Date  string  `json:"date"`
}

// What is reckoned with here of pipeline.yaml and paper-random.yaml; TestRecipe
// holds them to it.
const (
	batch      = 4   // pairs a step
	epochs     = 150 // of the paper's recipe
	captions   = 5   // a photo
	scoreSteps = 250 // between two scorings while a model is trained: validate_steps
)

// perStep is a step with its part of the scoring on the way, for which all that
// is fixed is taken: rather too much than too little.
func (p pace) perStep() float64 { return p.Step + p.Fixed/scoreSteps }

// steps is how many fit into a time, rounded down to 100; 0: not even those.
func (p pace) steps(minutes float64) int64 {
	n := (minutes*60 - p.Fixed) / p.perStep()
	return max(0, int64(n)/100*100)
}

// minutes is how long so many steps take.
func (p pace) minutes(steps int64) float64 { return (p.Fixed + float64(steps)*p.perStep()) / 60 }

// fullSteps is the paper's recipe.
func fullSteps(photos int) int64 {
	return int64(math.Ceil(float64(photos) * captions / batch * epochs))
}

// trainedPace reads the pace from what a run of training has told: its lines in
// metrics.jsonl, and the seconds of its stage.
func trainedPace(lines []metricsLine, seconds float64) (pace, error) {
	var times []float64
	var last metricsLine
	spent := 0.0
	for _, l := range lines {
		if l.PairsPerSecond <= 0 || l.Step <= last.Step {
			continue // the end of a run that had nothing left to do
		}
		each := float64(l.PairsSeen-last.PairsSeen) / float64(l.Step-last.Step) / l.PairsPerSecond
		spent += each * float64(l.Step-last.Step)
		if last.Step > 0 { // the first steps also lay out memory
			times = append(times, each)
		}
		last = l
	}
	if len(times) == 0 {
		return pace{}, errors.New("the run tells of no steps after its first ones")
	}
	slices.Sort(times)
	return pace{Step: times[len(times)/2], Fixed: max(0, seconds-spent), Steps: last.Step}, nil
}

// metricsLine is what is of interest in a line of metrics.jsonl.
type metricsLine struct {
	Time           time.Time `json:"time"`
	Step           int64     `json:"step"`
	PairsSeen      int64     `json:"pairs_seen"`
	PairsPerSecond float64   `json:"pairs_per_second"`
}

// paces are those measured, by machine and load: a file in the user's cache,
// for they are true of one machine, and a run that goes on tomorrow must come to
// the same number of steps.
type paces struct {
	path string
	all  map[string]map[string]pace
}

func openPaces(path string) (*paces, error) {
	p := &paces{path: path}
	return p, p.read()
}

func (p *paces) read() error {
	p.all = map[string]map[string]pace{}
	text, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.all)
	}
	if err != nil {
		return fmt.Errorf("step times: %s: %w: delete the file to have them measured again", p.path, err)
	}
	return nil
}

func (p *paces) of(load string) (pace, bool) {
	v, ok := p.all[machine()][load]
	return v, ok && v.Step > 0
}

// put keeps a pace, beside those that other runs have kept meanwhile.
func (p *paces) put(load string, v pace) error {
	if err := p.read(); err != nil {
		return err
	}
	m := machine()
	if p.all[m] == nil {
		p.all[m] = map[string]pace{}
	}
	p.all[m][load] = v
	text, err := json.MarshalIndent(p.all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteFile(p.path, append(text, '\n'), 0o644)
}

// machine names what a pace is true of: the processor, how many there are, and
// the numeric path.
func machine() string { return kernel.Machine() + ", " + kernel.Numeric() }
