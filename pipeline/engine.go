package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// Options are what a run may be told beyond its spec. The zero value works.
type Options struct {
	// KeepGoing lets branches that do not depend on a failed stage go on.
	KeepGoing bool
	// Numeric is the numeric path in use, "go-amd64" for one: part of the key
	// of kinds that compute in floating point.
	Numeric string
	// Dir is where relative paths of external inputs start. Empty: the
	// working directory.
	Dir string
	// Version is the program's, for the journal.
	Version string
	// Machine is what the run runs on, for the journal.
	Machine string
	// RunID names the run. Empty: made of the time and a random number.
	RunID string
	// Events is told of everything that happens, in order, one at a time. It
	// must not block for long.
	Events func(Event)
	// Rejects is how rejected items are kept. Zero: as JSON lines.
	Rejects RejectsFormat
	// Parsed is what ParseSpec returned, if the spec came from there: its
	// parameters need not be worked out again.
	Parsed *Parsed
	// Remote is asked for a result before it is made. nil: there is none.
	Remote Remote
	// Clock is what tells the time to the journal and waits between tries.
	// nil: the real one.
	Clock Clock
}

// A Reject is an item that was set aside. Stage is the kind of stage that did
// it, not its name in a spec: names do not belong to results.
type Reject struct {
	Item   string `json:"item"`
	Stage  string `json:"stage"`
	Reason string `json:"reason"`
}

// A RejectsFormat writes the part of an artifact that names rejected items.
type RejectsFormat struct {
	Ext    string // ".parquet"
	Schema string
	Write  func(w io.Writer, rows []Reject) (int64, error)
}

// Guard calls f, which is a stage's code, and turns a panic into a *PanicError.
func Guard(stage string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Stage: stage, Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}

// A PanicError is a panic in a stage's code.
type PanicError struct {
	Stage string
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("the code of stage %s panicked: %v\n%s", e.Stage, e.Value, e.Stack)
}

// A Clock tells the time. It never decides a result.
type Clock interface {
	Now() time.Time
	// Sleep waits for d, or until ctx ends, and returns its error then.
	Sleep(ctx context.Context, d time.Duration) error
}

// An Executor runs jobs under a budget of cores and memory.
type Executor interface {
	// Do waits until j's share of the budget is free, runs it and returns its
	// error. A panic in j becomes an error that names the stage.
	Do(ctx context.Context, j Job) error
	// CPUs is how many cores jobs may keep busy in all: at least 1.
	CPUs() int
}

// An Accountant is an Executor that knows of processor time which the system
// does not count as ours or our children's.
type Accountant interface {
	CPUTime() time.Duration
}

// A Job is a piece of work: a whole stage or one item of a stage. A job of a
// stage that works item by item holds no core itself; its items do.
type Job struct {
	Stage       string
	CPUs        int           // cores it holds, at most the Executor's; 0: none
	MemoryBytes int64         // memory it holds; 0: no statement
	Time        time.Duration // longest it may take; 0: no limit
	OutputBytes int64         // most that a program may print or write into a file; 0: no limit
	Run         func(ctx context.Context) error
}

// A Result is what became of a run.
type Result struct {
	RunID       string
	Dir         string // of the run: journal, logs
	Stages      []StageResult
	Interrupted bool // ctx ended; run again to go on
}

// Stage returns the result of a stage instance, or nil.
func (r *Result) Stage(name string) *StageResult {
	for i := range r.Stages {
		if r.Stages[i].Stage == name {
			return &r.Stages[i]
		}
	}
	return nil
}

// A StageResult is what became of one stage in a run.
type StageResult struct {
	Stage    string
	State    EventType           // StageCached, StageFinished, StageFailed, StageBlocked, StageStopped; empty: not begun
	Artifact *artifacts.Artifact // if cached or finished
	Err      error               // if failed
	Reason   string              // why it ran, or is blocked
	Counts   Counts              // of a per-item stage that ran
	Wall     time.Duration
}

// A StageError is the error of a stage that failed.
type StageError struct {
	Stage string
	Err   error
}

func (e *StageError) Error() string { return fmt.Sprintf("stage %s: %v", e.Stage, e.Err) }

// Unwrap returns what went wrong in the stage.
func (e *StageError) Unwrap() error { return e.Err }

// An Engine plans and runs one spec on one store. Plan and Run may be called
// any number of times, one after the other.
type Engine struct {
	p     *spec.Pipeline
	kinds map[string]stage.Kind
	store *artifacts.Store
	o     Options
	graph *graph
	last  map[string]string // stage -> key of its last result; nil: not read yet
}

// New returns an Engine for p, whose kinds must be among kinds. A cycle, a
// stage that is not there and a kind that is not there are errors; package
// spec says the same with line and column.
func New(p *spec.Pipeline, kinds []stage.Kind, store *artifacts.Store, o Options) (*Engine, error) {
	e := &Engine{p: p, kinds: make(map[string]stage.Kind, len(kinds)), store: store, o: o}
	for _, k := range kinds {
		e.kinds[k.Name] = k
	}
	if e.o.Clock == nil {
		e.o.Clock = systemClock{}
	}
	if e.o.Rejects.Write == nil {
		e.o.Rejects = RejectsFormat{Ext: ".jsonl", Write: writeRejects}
	}
	g, err := newGraph(p)
	if err != nil {
		return nil, err
	}
	e.graph = g
	for i := range p.Stages {
		if _, ok := e.kinds[p.Stages[i].Kind]; !ok {
			return nil, fmt.Errorf("stage %s: there is no kind %q", p.Stages[i].Name, p.Stages[i].Kind)
		}
	}
	return e, nil
}

// recipe returns what the parameters of the i-th stage in order come to.
func (e *Engine) recipe(i int) (recipe, error) {
	if p := e.o.Parsed; p != nil && p.Pipeline == e.p {
		return p.recipes[e.graph.doc[i]], nil
	}
	s := e.graph.stages[i]
	return newRecipe(e.kinds[s.Kind], s.Params)
}

func writeRejects(w io.Writer, rows []Reject) (int64, error) {
	enc := json.NewEncoder(w)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return 0, err
		}
	}
	return int64(len(rows)), nil
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
