package stage

import (
	"context"
	"fmt"

	"github.com/hearsight/hearsight/spec"
)

// A Kind is one sort of stage: what it takes, what it makes and how. It is a
// plain value made by New or NewItems and listed in package stages.
type Kind struct {
	Name    string // what `kind:` says in a spec
	Doc     string // one line, shown by `hearsight stages`
	Version int    // raised whenever the same inputs give different bytes
	Inputs  []Input
	Output  string // artifact type: pairs, speech, wav, mfcc, images, features, model, scores, report, files
	Numeric bool   // computes in floating point: the numeric path is part of the key
	Scratch bool   // its Task.Dir holds nothing that a later attempt would look for
	CPUs    int    // cores one task (one item, for per-item kinds) keeps busy; 0 is 1, AllCPUs is all

	params  []spec.Param
	decode  func(raw map[string]any) (canonical []byte, err error)
	check   func(raw map[string]any) []spec.ParamProblem
	prepare func(ctx context.Context, canonical []byte) ([]Tool, error)
	run     func(ctx context.Context, t *Task, canonical []byte) error
	items   *ItemOps
}

// AllCPUs as Kind.CPUs says that a task uses every core it can get.
const AllCPUs = -1

// An Input is a port that artifacts come in by.
type Input = spec.Port

// A Tool is an outside program, or its data, that a stage's result depends on.
type Tool struct {
	Name    string // "espeak-ng"
	Version string // what it says of itself, on one line
}

// A Checker is a parameter struct that has more to check than types, ranges
// and enums: Check returns problems between parameters.
type Checker interface {
	Check() []spec.ParamProblem
}

// A Preparer is a parameter struct of a stage with needs outside itself.
// Prepare runs when a stage is planned, before anything runs: it returns the
// outside tools that belong in the key, or an error that says what is missing
// and how to get it.
type Preparer interface {
	Prepare(ctx context.Context) ([]Tool, error)
}

// New returns the Kind k with parameters of type P, defaults def and the body
// run. P is a struct; its fields carry the tags that Fields explains.
func New[P any](k Kind, def P, run func(ctx context.Context, t *Task, p P) error) Kind {
	k = withParams(k, def)
	k.run = func(ctx context.Context, t *Task, canonical []byte) error {
		p, err := parse[P](canonical)
		if err != nil {
			return err
		}
		return run(ctx, t, p)
	}
	return k
}

func withParams[P any](k Kind, def P) Kind {
	fields, err := Fields(def)
	if err != nil {
		panic(fmt.Sprintf("stage: kind %s: %v", k.Name, err)) // a programmer's mistake, found by any test
	}
	k.params = fields
	k.decode = func(raw map[string]any) ([]byte, error) { return canonical(def, raw) }
	k.check = func(raw map[string]any) []spec.ParamProblem {
		c, err := canonical(def, raw)
		if err != nil {
			return []spec.ParamProblem{{Message: err.Error()}}
		}
		p, err := parse[P](c)
		if err != nil {
			return []spec.ParamProblem{{Message: err.Error()}}
		}
		if ch, ok := any(p).(Checker); ok {
			return ch.Check()
		}
		return nil
	}
	k.prepare = func(ctx context.Context, canonical []byte) ([]Tool, error) {
		p, err := parse[P](canonical)
		if err != nil {
			return nil, err
		}
		if pr, ok := any(p).(Preparer); ok {
			return pr.Prepare(ctx)
		}
		return nil, nil
	}
	return k
}

// Spec describes the kind to package spec.
func (k Kind) Spec() spec.Kind {
	return spec.Kind{Name: k.Name, Doc: k.Doc, Ports: k.Inputs, Output: k.Output, Items: k.items != nil, Params: k.params, Check: k.check}
}

// Params describes the parameters, in the order of the struct's fields.
func (k Kind) Params() []spec.Param { return k.params }

// Canonical returns the complete parameters, defaults filled in, as JSON with
// sorted keys and one spelling for each value: equal parameters give equal
// bytes, however they were written.
func (k Kind) Canonical(raw map[string]any) ([]byte, error) { return k.decode(raw) }

// Prepare asks the kind what it needs from outside for these parameters.
func (k Kind) Prepare(ctx context.Context, canonical []byte) ([]Tool, error) {
	return k.prepare(ctx, canonical)
}

// Items returns how the kind works item by item, or nil if it does not.
func (k Kind) Items() *ItemOps { return k.items }

// Run does the whole of a stage that does not work item by item.
func (k Kind) Run(ctx context.Context, t *Task, canonical []byte) error {
	return k.run(ctx, t, canonical)
}
