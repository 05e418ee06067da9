package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// A State is what a plan says of a stage.
type State string

// The states of a planned stage.
const (
	Cached  State = "cached"  // its result is in the store
	MustRun State = "run"     // it runs, or may turn out to be cached once its inputs are known
	Blocked State = "blocked" // it cannot run; Reason says what is missing
)

// A Plan is what a run will do, as far as can be known before.
type Plan struct {
	Actions []*Action // selected stages, inputs before their readers
	Only    bool      // nothing but the stages named may run
	at      map[string]*Action
}

// Action returns the planned action of a stage instance, or nil.
func (p *Plan) Action(stage string) *Action { return p.at[stage] }

// Blocked returns an error that names every blocked stage, or nil.
func (p *Plan) Blocked() error {
	var e BlockedError
	for _, a := range p.Actions {
		if a.State == Blocked {
			e.Stages = append(e.Stages, a.Stage.Name+": "+a.Reason)
		}
	}
	if e.Stages == nil {
		return nil
	}
	return &e
}

// A BlockedError says why a plan cannot be run.
type BlockedError struct{ Stages []string } // "speech: espeak-ng is not installed"

func (e *BlockedError) Error() string { return strings.Join(e.Stages, "\n") }

// An Action is one stage instance in a plan.
type Action struct {
	Stage       *spec.Stage
	State       State
	Reason      string // in a person's words
	Forced      bool   // to be run anew even if its result is there
	Key         artifacts.ActionKey
	Description string              // empty while an input is not known
	Artifact    *artifacts.Artifact // of a cached action
	Items       *ItemChanges        // of a per-item stage that must run and whose inputs are known

	kind      stage.Kind
	canonical []byte // complete parameters
	base      string // the part of the description that needs no inputs
	ext       []external
	deps      []*Action
	listed    []item // of a per-item stage that must run, if they are known
	frozen    bool   // an input of what may run; may not run itself
}

// ItemChanges counts how a stage's items differ from its last result's.
type ItemChanges struct{ Total, Added, Changed, Removed int64 }

func (c ItemChanges) String() string {
	if c.Added == c.Total && c.Removed == 0 { // all of them, and nothing to compare with
		return fmt.Sprintf("%d items", c.Total)
	}
	return fmt.Sprintf("%d items: %d added, %d changed, %d removed", c.Total, c.Added, c.Changed, c.Removed)
}

const defaultShards = 16

func (a *Action) shards() int {
	if a.Stage.Shards > 0 {
		return a.Stage.Shards
	}
	return defaultShards
}

// inputs returns the artifacts at the stage's ports, or false while one is not known.
func (p *Plan) inputs(a *Action) (map[string][]*artifacts.Artifact, bool) {
	in := make(map[string][]*artifacts.Artifact, len(a.Stage.Inputs))
	for _, port := range a.kind.Inputs {
		for _, name := range a.Stage.Inputs[port.Name] {
			d := p.at[name]
			if d == nil || d.Artifact == nil {
				return nil, false
			}
			in[port.Name] = append(in[port.Name], d.Artifact)
		}
	}
	return in, true
}

// Plan says for each selected stage whether it is cached, must run or is
// blocked, and why. It runs nothing and changes nothing; inputs outside the
// store are hashed if they are new. An error means that there is no plan: an
// unknown stage, or the store or an input could not be read.
func (e *Engine) Plan(ctx context.Context, sel Selection) (*Plan, error) {
	marks, err := e.selectStages(sel)
	if err != nil {
		return nil, err
	}
	p := &Plan{Only: len(sel.Only) > 0, at: make(map[string]*Action)}
	pr := preparer{e: e, tools: map[string]prepared{}, hashed: map[string]external{}}
	for i, s := range e.graph.stages {
		if !marks.selected[i] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		a := &Action{Stage: s, kind: e.kinds[s.Kind], Forced: marks.forced[i], frozen: p.Only && !marks.only[i]}
		for _, d := range e.graph.deps[i] {
			a.deps = append(a.deps, p.at[e.graph.stages[d].Name])
		}
		p.Actions = append(p.Actions, a)
		p.at[s.Name] = a
		if err := pr.prepare(ctx, a, i); err != nil {
			return nil, err
		}
		if err := e.planAction(ctx, p, a); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// planAction decides the state of a, whose inputs are planned already.
func (e *Engine) planAction(ctx context.Context, p *Plan, a *Action) error {
	if a.State == Blocked { // by prepare
		return nil
	}
	var waits []string
	for _, d := range a.deps {
		switch d.State {
		case Blocked:
			a.State, a.Reason = Blocked, "needs "+d.Stage.Name+", which is blocked"
			return nil
		case MustRun:
			waits = append(waits, d.Stage.Name)
		}
	}
	if len(waits) > 0 {
		a.State, a.Reason = MustRun, "waits for "+shortList(waits, 5)
		if a.Forced {
			a.Reason = "forced; " + a.Reason
		}
		return nil
	}
	if err := e.lookUp(p, a); err != nil {
		return err
	}
	if a.State == MustRun && a.frozen {
		a.State, a.Reason = Blocked, "its result is not in the store and only other stages may run: "+a.Reason
	}
	if a.State == MustRun && a.kind.Items() != nil && !a.Forced {
		items, err := e.planItems(ctx, p, a)
		if err != nil {
			var damaged *artifacts.DamagedError
			var path *fs.PathError
			switch {
			case ctx.Err() != nil, errors.As(err, &path): // what the system says may be otherwise the next time
				return fmt.Errorf("stage %s: list items: %w", a.Stage.Name, err)
			case !errors.As(err, &damaged): // which is healed when it runs
				a.State, a.Reason = Blocked, "list items: "+err.Error()
			}
			return nil
		}
		a.listed = items
		c := e.compareItems(a, cutItems(a, items))
		a.Items = &c
		a.Reason += " (" + c.String() + ")"
	}
	return nil
}

func shortList(names []string, most int) string {
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// lookUp works out the key of a, whose inputs are known, and looks for its
// result in the store.
func (e *Engine) lookUp(p *Plan, a *Action) error {
	in, ok := p.inputs(a)
	if !ok {
		return fmt.Errorf("stage %s: an input is not known", a.Stage.Name) // a bug
	}
	a.Description = describeAction(a, in)
	a.Key = artifacts.KeyOf(a.Description)
	art, why, err := e.find(a)
	if err != nil {
		return fmt.Errorf("stage %s: %w", a.Stage.Name, err)
	}
	switch {
	case a.Forced:
		a.State, a.Reason, a.Artifact = MustRun, "forced", nil
	case art != nil:
		a.State, a.Reason, a.Artifact = Cached, "", art
	default:
		a.State, a.Reason, a.Artifact = MustRun, why, nil
	}
	return nil
}

// find returns the committed result of a, complete and within its limit of
// rejects, or nil and why there is none.
func (e *Engine) find(a *Action) (*artifacts.Artifact, string, error) {
	art, err := e.store.Result(a.Key)
	var damaged *artifacts.DamagedError
	switch {
	case errors.Is(err, artifacts.ErrNotFound):
		return nil, e.whyNew(a), nil
	case errors.As(err, &damaged):
		return nil, damaged.Error(), nil
	case err != nil:
		return nil, "", err
	}
	if err := e.store.Complete(art); err != nil {
		return nil, "a part of its result is missing or damaged: " + err.Error(), nil
	}
	m := art.Manifest
	if limit := a.Stage.MaxRejects.Limit(m.Items + m.Rejected); m.Rejected > limit {
		return nil, fmt.Sprintf("%d rejected items are more than max_rejects allows now, %d", m.Rejected, limit), nil
	}
	if why := e.brokenShard(a); why != "" {
		return nil, why, nil
	}
	return art, "", nil
}

// Roots returns the artifacts that p's cached stages consist of or would be
// remade from: what a collection of garbage must keep for p to stay cheap.
func (e *Engine) Roots(p *Plan) []artifacts.Digest {
	var out []artifacts.Digest
	for _, a := range p.Actions {
		if a.Artifact != nil {
			out = append(out, a.Artifact.Digest)
		}
		if a.kind.Items() == nil || a.base == "" {
			continue // whole, or nothing is known of what its shards are made by
		}
		for i := range a.shards() {
			key, err := e.store.Lineage(shardOrigin(a, i))
			if err != nil {
				continue
			}
			if art, err := e.store.Result(key); err == nil {
				out = append(out, art.Digest)
			}
		}
	}
	return out
}

// A preparer fills in what an action's key needs besides its inputs. It asks
// and hashes everything once a plan.
type preparer struct {
	e      *Engine
	tools  map[string]prepared // by kind and canonical parameters
	hashed map[string]external // by path
}

type prepared struct {
	tools []stage.Tool
	err   error
}

// prepare sets canonical, ext and base of a, the i-th stage in order, or blocks it.
func (p *preparer) prepare(ctx context.Context, a *Action, i int) error {
	r, err := p.e.recipe(i)
	if err != nil {
		return fmt.Errorf("stage %s: %w", a.Stage.Name, err)
	}
	a.canonical = r.canonical
	id := a.kind.Name + "\n" + string(a.canonical)
	t, ok := p.tools[id]
	if !ok {
		t.err = Guard(a.Stage.Name, func() (err error) {
			t.tools, err = a.kind.Prepare(ctx, a.canonical)
			return err
		})
		p.tools[id] = t
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if t.err != nil {
		a.State, a.Reason = Blocked, t.err.Error()
		return nil
	}
	if err := p.externals(ctx, a, r); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		a.State, a.Reason = Blocked, err.Error()
		return nil
	}
	a.base = describeBase(a.kind, r, p.e.o.Numeric, a.ext, t.tools)
	return nil
}

// externals hashes what the path parameters of a name.
func (p *preparer) externals(ctx context.Context, a *Action, r recipe) error {
	for _, x := range r.paths {
		if err := p.external(ctx, a, x); err != nil {
			return err
		}
	}
	return nil
}

func (p *preparer) external(ctx context.Context, a *Action, named pathParam) error {
	path := named.path
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.e.o.Dir, path)
	}
	x, ok := p.hashed[path]
	if !ok {
		in, err := p.e.store.Input(ctx, path)
		if err != nil {
			return fmt.Errorf("%s: %w", named.param, err)
		}
		x = external{path: path, digest: in.Digest, input: in}
		p.hashed[path] = x
	}
	x.param, x.items = named.param, named.items
	a.ext = append(a.ext, x)
	return nil
}
