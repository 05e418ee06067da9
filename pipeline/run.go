package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/hearsight/hearsight/artifacts"
)

// errStopped is why stages end that were running when another failed.
var errStopped = errors.New("stopped because another stage failed")

// maxRebuilds is how often a stage is put back because an input of its was
// damaged: a disk that spoils things faster than that is past mending here.
const maxRebuilds = 3

// run is one Run under way. Its maps are used by the scheduler alone.
type run struct {
	e     *Engine
	p     *Plan
	exec  Executor
	id    string
	dir   string
	mu    sync.Mutex // one event at a time
	jrnl  *journal
	live  live
	nodes []*node
	of    map[*Action]*node
	ready intHeap
	done  chan outcome
}

// node is an Action with what the scheduler knows of it.
type node struct {
	*Action
	at       int // place in the plan
	users    []*node
	phase    phase
	left     int // inputs that are not ready, while waiting
	rebuilds int
	res      StageResult
}

// outcome is the end of a stage's attempt.
type outcome struct {
	n       *node
	art     *artifacts.Artifact
	err     error
	wall    time.Duration
	fetched bool // it came from the remote
}

type phase int

const (
	waiting phase = iota
	queued
	running
	ended
	broken // failed, blocked or stopped
)

// Run does what p plans, its jobs on exec. The error is nil if every selected
// stage has its result; else it joins a *StageError for each that failed, or
// is context.Cause(ctx) if the run was interrupted, or a *BlockedError if it
// could not begin. Except in the last case there is a Result too.
func (e *Engine) Run(ctx context.Context, p *Plan, exec Executor) (*Result, error) {
	if err := p.Blocked(); err != nil {
		return nil, err
	}
	use, err := e.store.Use(ctx) // the collector keeps out
	if err != nil {
		return nil, err
	}
	r, err := e.newRun(p, exec)
	if err != nil {
		return nil, errors.Join(err, use.Unlock())
	}
	began, cpu := e.o.Clock.Now(), r.cpuSeconds()
	r.emit(r.started())
	inner, stop := context.WithCancelCause(ctx)
	failures := r.loop(inner, stop)
	stop(nil)

	res := &Result{RunID: r.id, Dir: r.dir, Interrupted: ctx.Err() != nil}
	for _, n := range r.nodes {
		res.Stages = append(res.Stages, n.res)
	}
	err = errors.Join(failures...)
	end := Event{Type: RunEnded, State: "done", Seconds: e.o.Clock.Now().Sub(began).Seconds(), CPUSeconds: r.cpuSeconds() - cpu}
	switch {
	case err != nil:
		end.State = "failed"
	case res.Interrupted:
		end.State, err = "interrupted", context.Cause(ctx)
	}
	r.emit(end)
	e.last = nil // this run's are the last results now
	return res, errors.Join(err, r.jrnl.close(), use.Unlock())
}

func (e *Engine) newRun(p *Plan, exec Executor) (*run, error) {
	r := &run{e: e, p: p, exec: exec, id: e.o.RunID, of: make(map[*Action]*node), done: make(chan outcome)}
	now := e.o.Clock.Now()
	if r.id == "" {
		var b [4]byte
		rand.Read(b[:]) // never fails
		r.id = now.UTC().Format("20060102-150405.000") + "-" + hex.EncodeToString(b[:])
	}
	var err error
	if r.dir, err = e.store.NewRun(r.id); err != nil {
		return nil, err
	}
	if r.jrnl, err = openJournal(filepath.Join(r.dir, JournalName), now); err != nil {
		return nil, err
	}
	r.live.path = filepath.Join(r.dir, liveName)
	for i, a := range p.Actions {
		n := &node{Action: a, at: i, left: len(a.deps), res: StageResult{Stage: a.Stage.Name}}
		r.nodes = append(r.nodes, n)
		r.of[a] = n
		for _, d := range a.deps {
			r.of[d].users = append(r.of[d].users, n)
		}
		if n.left == 0 {
			r.queue(n)
		}
	}
	return r, nil
}

func (r *run) started() Event {
	ev := Event{Type: RunStarted, Run: r.id, Version: r.e.o.Version, Machine: r.e.o.Machine, Spec: r.e.p.Path}
	for _, a := range r.p.Actions {
		ev.Targets = append(ev.Targets, a.Stage.Name)
	}
	return ev
}

// emit stamps an event, writes it to the journal and tells whoever watches.
func (r *run) emit(ev Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ev.Time = r.e.o.Clock.Now()
	var err error
	if ev.Type != Progress {
		err = r.jrnl.write(ev)
	}
	r.live.event(ev)
	if r.e.o.Events == nil {
		return
	}
	r.e.o.Events(ev)
	if err != nil { // nothing depends on the journal, but it must not end unnoticed
		r.e.o.Events(Event{Time: ev.Time, Type: Message, Stage: "journal", Warning: true, Reason: err.Error()})
	}
}

func (r *run) queue(n *node) {
	n.phase = queued
	r.ready.push(n.at)
}

// loop starts stages as their inputs become ready, in the order of the plan,
// until nothing is left to do, and returns the failures.
func (r *run) loop(ctx context.Context, stop context.CancelCauseFunc) (failures []error) {
	// More stages than cores are let in, since some wait for locks or hold one
	// core of many; the Executor sees to the rest.
	most, active := 2*r.exec.CPUs()+2, 0
	for {
		for len(r.ready) > 0 && active < most && ctx.Err() == nil {
			n := r.nodes[r.ready.pop()]
			if r.begin(ctx, n) {
				active++
			}
		}
		if active == 0 {
			return failures
		}
		o := <-r.done
		active--
		n := o.n
		if ctx.Err() == nil && r.heal(n, o.err) {
			continue
		}
		r.finish(ctx, o)
		if n.res.State == StageFailed {
			failures = append(failures, &StageError{Stage: n.Stage.Name, Err: n.res.Err})
			r.fail(n)
			if !r.e.o.KeepGoing {
				stop(errStopped)
			}
			continue
		}
		if n.phase == ended {
			r.release(n)
		}
	}
}

// begin takes n's result from the store, or starts it and reports true.
func (r *run) begin(ctx context.Context, n *node) bool {
	if n.left = r.missing(n); n.left > 0 { // an input was taken back meanwhile
		n.phase = waiting
		return false
	}
	if n.Key == (artifacts.ActionKey{}) {
		if err := r.e.lookUp(r.p, n.Action); err != nil {
			n.phase = running
			go func() { r.done <- outcome{n: n, err: err} }()
			return true
		}
	}
	if n.State == Cached {
		n.phase = ended
		n.res.State, n.res.Artifact = StageCached, n.Artifact
		m := n.Artifact.Manifest
		r.emit(Event{Type: StageCached, Stage: n.Stage.Name, Kind: n.kind.Name, Key: n.Key.String(), Digest: n.Artifact.Digest.String(),
			Counts: Counts{Total: m.Items + m.Rejected, Rejected: m.Rejected}})
		r.release(n)
		return false
	}
	n.phase = running
	n.res.Reason = n.Reason
	in, _ := r.p.inputs(n.Action)
	go func() { r.done <- r.execute(ctx, n, in) }()
	return true
}

// missing counts n's inputs that are not ready.
func (r *run) missing(n *node) (left int) {
	for _, d := range n.deps {
		if r.of[d].phase != ended {
			left++
		}
	}
	return left
}

// release tells those who wait for n that it is ready.
func (r *run) release(n *node) {
	for _, u := range n.users {
		if u.phase == waiting && u.left > 0 {
			if u.left--; u.left == 0 {
				r.queue(u)
			}
		}
	}
}

// execute makes n's result from its inputs.
func (r *run) execute(ctx context.Context, n *node, in map[string][]*artifacts.Artifact) outcome {
	began := r.e.o.Clock.Now()
	o := outcome{n: n}
	if o.art, o.fetched, o.err = r.fetchWhole(ctx, n); o.art != nil || o.err != nil {
		o.wall = r.e.o.Clock.Now().Sub(began)
		return o
	}
	switch {
	case n.frozen:
		o.err = &BlockedError{Stages: []string{n.Stage.Name + ": its result is not in the store and only other stages may run"}}
	case n.kind.Items() != nil:
		o.art, o.err = r.runItems(ctx, n, in)
	default:
		r.emit(Event{Type: StageStarted, Stage: n.Stage.Name, Kind: n.kind.Name, Key: n.Key.String(), Reason: n.Reason})
		o.art, o.err = r.runWhole(ctx, n.Action, in)
	}
	o.wall = r.e.o.Clock.Now().Sub(began)
	return o
}

// finish records the end of an attempt.
func (r *run) finish(ctx context.Context, o outcome) {
	n := o.n
	n.res.Wall += o.wall
	ev := Event{Stage: n.Stage.Name, Kind: n.kind.Name, Key: n.Key.String(), Seconds: o.wall.Seconds(), Counts: n.res.Counts}
	switch {
	case o.err == nil:
		n.phase, n.Artifact, n.res.Artifact = ended, o.art, o.art
		ev.Type, ev.Digest = StageFinished, o.art.Digest.String()
		m := o.art.Manifest
		ev.Counts.Rejected = m.Rejected
		if o.fetched {
			ev.Type, ev.Reason, ev.Counts.Total = StageCached, "from "+r.e.o.Remote.String(), m.Items+m.Rejected
		}
	case ctx.Err() != nil:
		n.phase = broken
		ev.Type, ev.Reason = StageStopped, context.Cause(ctx).Error()
	default:
		n.phase, n.res.Err = broken, o.err
		ev.Type, ev.Reason = StageFailed, o.err.Error()
	}
	n.res.State = ev.Type
	r.emit(ev)
}

// heal puts n, whose attempt ended with err, back to wait for those of its
// inputs that it found damaged, and has them made again. It reports false if
// that is not what was wrong, or no remedy.
func (r *run) heal(n *node, err error) bool {
	damage, ok := errors.AsType[*artifacts.DamagedError](err)
	if !ok || n.rebuilds >= maxRebuilds {
		return false
	}
	var spoilt []*node
	for _, a := range n.deps {
		if d := r.of[a]; d.phase != ended || holds(a.Artifact, damage.Digest) {
			if d.phase == ended && a.frozen {
				return false
			}
			spoilt = append(spoilt, d)
		}
	}
	if len(spoilt) == 0 {
		return false
	}
	n.rebuilds++
	n.phase = waiting
	for _, d := range spoilt {
		if d.phase == ended {
			r.emit(Event{Type: Rebuilt, Stage: d.Stage.Name, Reason: "made again for " + n.Stage.Name + ": " + damage.Error(), Warning: true})
			r.takeBack(d)
		}
	}
	n.left = r.missing(n)
	if n.left == 0 {
		r.queue(n)
	}
	return true
}

// holds says whether the artifact consists of d among others.
func holds(a *artifacts.Artifact, d artifacts.Digest) bool {
	if a == nil || a.Digest == d {
		return true
	}
	for _, p := range a.Manifest.Parts {
		if p.Digest == d {
			return true
		}
	}
	return false
}

// takeBack has n, which had its result, work it out again. Inputs of its own
// that are damaged too come to light then.
func (r *run) takeBack(n *node) {
	n.Artifact, n.Key, n.Forced, n.listed = nil, artifacts.ActionKey{}, false, nil
	for _, u := range n.users {
		if u.phase == waiting {
			u.left++
		}
	}
	if n.left = r.missing(n); n.left > 0 {
		n.phase = waiting
		return
	}
	r.queue(n)
}

// fail marks all that can no longer be made because of n.
func (r *run) fail(n *node) {
	todo := append([]*node(nil), n.users...)
	for len(todo) > 0 {
		u := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if u.phase != waiting || u.res.State != "" {
			continue
		}
		u.phase = broken
		u.res.State, u.res.Reason = StageBlocked, "needs "+n.Stage.Name+", which failed"
		r.emit(Event{Type: StageBlocked, Stage: u.Stage.Name, Kind: u.kind.Name, Reason: u.res.Reason})
		todo = append(todo, u.users...)
	}
}

// commit records the result of an action of a.
func (r *run) commit(a *Action, key artifacts.ActionKey, description string, m artifacts.Manifest) (*artifacts.Artifact, error) {
	if a.Forced {
		return r.e.store.Replace(key, description, m)
	}
	art, err := r.e.store.Commit(key, description, m)
	if errors.Is(err, artifacts.ErrNondeterministic) && art != nil {
		// Another run was first. Its result stands, but somebody should know.
		r.emit(Event{Type: Message, Stage: a.Stage.Name, Reason: err.Error(), Warning: true})
		return art, nil
	}
	return art, err
}
