package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/hearsight/hearsight/artifacts"
)

// A Remote is where results that were made elsewhere are had from. It is asked
// before any work is done, and whatever it does, work that it does not spare is
// done here: its errors are told as warnings.
type Remote interface {
	String() string
	// Fetch brings what the action k gave, of the given type, into the store
	// and returns it, or nil if it is not to be had. progress is told of bytes.
	Fetch(ctx context.Context, k artifacts.ActionKey, typ string, progress func(done, all int64)) (*artifacts.Artifact, error)
	// FetchLineage brings the last result of a shard whose name the store
	// knows no whole result of, and reports whether it did.
	FetchLineage(ctx context.Context, name string) (bool, error)
}

// fetch brings the result of a stage or shard from the remote, if there is one
// that holds it.
func (r *run) fetch(ctx context.Context, a *Action, k artifacts.ActionKey, typ string, progress func(done, all int64)) bool {
	if r.e.o.Remote == nil || a.Forced || a.frozen {
		return false
	}
	art, err := r.e.o.Remote.Fetch(ctx, k, typ, progress)
	r.remoteFailed(ctx, a, err)
	return art != nil
}

func (r *run) remoteFailed(ctx context.Context, a *Action, err error) {
	if err != nil && ctx.Err() == nil {
		r.emit(Event{Type: Message, Stage: a.Stage.Name, Reason: "nothing from the remote: " + err.Error(), Warning: true})
	}
}

// fetchWhole brings n's result from the remote, and says whether it came from
// there. One run at a time does so for a result; who comes second finds it.
func (r *run) fetchWhole(ctx context.Context, n *node) (art *artifacts.Artifact, fetched bool, err error) {
	if r.e.o.Remote == nil || n.Forced || n.frozen {
		return nil, false, nil
	}
	lock, err := r.e.store.Lock(ctx, "action "+n.Key.String())
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	art, _, err = r.e.find(n.Action)
	if art == nil && err == nil {
		fetched = r.fetch(ctx, n.Action, n.Key, n.kind.Output, func(done, all int64) {
			r.emit(Event{Type: Progress, Stage: n.Stage.Name, Unit: "bytes", Counts: Counts{Finished: done, Total: all}})
		})
		if !fetched {
			return nil, false, nil
		}
		art, _, err = r.e.find(n.Action) // it may have more rejects than are allowed here
	}
	if art != nil && err == nil {
		err = r.e.store.DropPartial(n.Key) // of an attempt of ours
	}
	return art, fetched && art != nil, err
}

// fetchLast brings what rows of a shard may be taken over from.
func (r *run) fetchLast(ctx context.Context, a *Action, origin string) {
	if r.e.o.Remote == nil || a.Forced {
		return
	}
	_, err := r.e.o.Remote.FetchLineage(ctx, origin)
	r.remoteFailed(ctx, a, err)
}

// A Pulled is what became of a stage in a Pull.
type Pulled struct {
	Stage  string
	State  State // Cached: it is in the store; MustRun: it would have to be made; Blocked
	Remote bool  // it came from the remote
	Reason string
	Err    error // what went wrong with the remote
	*artifacts.Artifact
}

// Pull brings the results of p's stages from the remote and runs nothing.
// What only can be known once something has run is not asked for. It tells of
// each stage as it is done with.
func (e *Engine) Pull(ctx context.Context, p *Plan, progress func(stage string, done, all int64), tell func(Pulled)) (err error) {
	use, err := e.store.Use(ctx) // the collector keeps out
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, use.Unlock()) }()
	for _, a := range p.Actions {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		out := Pulled{Stage: a.Stage.Name}
		if _, known := p.inputs(a); known && a.State != Blocked {
			if err := e.lookUp(p, a); err != nil {
				return err
			}
			if a.State == MustRun {
				out.Artifact, out.Err = e.o.Remote.Fetch(ctx, a.Key, a.kind.Output, func(done, all int64) { progress(a.Stage.Name, done, all) })
				if err := e.lookUp(p, a); err != nil {
					return err
				}
				out.Remote = out.Artifact != nil && a.State == Cached
			}
		}
		if a.State == Cached && a.kind.Items() != nil && out.Err == nil {
			out.Err = e.pullLineage(ctx, a)
		}
		out.State, out.Reason, out.Artifact = a.State, a.Reason, a.Artifact
		tell(out)
	}
	return nil
}

// pullLineage brings what rows of a's shards may be taken over from, so that an
// edit of one item is done as such also where the result was not made.
func (e *Engine) pullLineage(ctx context.Context, a *Action) error {
	for i := range a.shards() {
		if _, err := e.o.Remote.FetchLineage(ctx, shardOrigin(a, i)); err != nil {
			return fmt.Errorf("the history of its shards: %w", err)
		}
	}
	return nil
}

// Lineage returns what the cached stages of p would be remade from, by name:
// what a push sends beside their results.
func (e *Engine) Lineage(p *Plan) map[string]artifacts.ActionKey {
	out := map[string]artifacts.ActionKey{}
	for _, a := range p.Actions {
		if a.Artifact == nil || a.kind.Items() == nil {
			continue
		}
		for i := range a.shards() {
			name := shardOrigin(a, i)
			key, err := e.store.Lineage(name)
			if err != nil {
				continue
			}
			if art, err := e.store.Result(key); err == nil && e.store.Complete(art) == nil {
				out[name] = key
			}
		}
	}
	return out
}

// Partials returns the keys under which p's stages keep unfinished work, and
// false if some cannot be known before others have run.
func (e *Engine) Partials(p *Plan) (map[artifacts.ActionKey]bool, bool) {
	out, all := map[artifacts.ActionKey]bool{}, true
	for _, a := range p.Actions {
		switch {
		case a.State == Blocked:
			all = false
		case a.kind.Items() != nil:
			for i := range a.shards() {
				out[artifacts.KeyOf(shardOrigin(a, i))] = true
			}
		case a.Description == "":
			all = false
		default:
			out[a.Key] = true
		}
	}
	return out, all
}
