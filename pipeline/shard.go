package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/stages/stage"
)

// runShard returns the artifact of s, making it if need be. If another run is
// at it and wait is false, the error wraps artifacts.ErrBusy.
func (t *itemRun) runShard(ctx context.Context, s *shard, wait bool) (art *artifacts.Artifact, err error) {
	if art := t.findShard(s); art != nil {
		return art, t.setOrigin(s)
	}
	// The first lock guards the log of finished items, which outlives changes
	// of the list; the second the shard, which a stage of another name may be
	// making too. They are always taken in this order, and who holds the
	// second waits for nothing more.
	for _, name := range []string{s.origin, "action " + s.key.String()} {
		lock, err := t.lock(ctx, name, wait)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, lock.Unlock()) }()
	}
	partial := artifacts.KeyOf(s.origin)
	if art := t.findShard(s); art != nil {
		return art, errors.Join(t.setOrigin(s), t.r.e.store.DropPartial(partial))
	}
	if t.r.fetch(ctx, t.n.Action, s.key, "shard", nil) {
		if art := t.findShard(s); art != nil {
			return art, errors.Join(t.setOrigin(s), t.r.e.store.DropPartial(partial))
		}
	}
	if t.n.Forced {
		if err := t.r.e.store.DropPartial(partial); err != nil {
			return nil, err
		}
	}
	dir, err := t.r.e.store.Partial(partial)
	if err != nil {
		return nil, err
	}
	if art, err = t.makeShard(ctx, s, dir); err != nil {
		return nil, fmt.Errorf("shard %s: %w", t.name(s), t.r.e.store.Explain(err))
	}
	if err := t.setOrigin(s); err != nil {
		return nil, err
	}
	return art, t.r.e.store.DropPartial(partial)
}

func (t *itemRun) lock(ctx context.Context, name string, wait bool) (*artifacts.Lock, error) {
	if wait {
		return t.r.e.store.Lock(ctx, name)
	}
	return t.r.e.store.TryLock(name)
}

func (t *itemRun) name(s *shard) string { return fmt.Sprintf("%d/%d", s.index, t.n.shards()) }

func (t *itemRun) setOrigin(s *shard) error { return t.r.e.store.SetLineage(s.origin, s.key) }

// findShard returns the shard if the store holds it whole.
func (t *itemRun) findShard(s *shard) *artifacts.Artifact {
	if t.n.Forced {
		return nil
	}
	art, err := t.r.e.store.Result(s.key)
	if err != nil || t.r.e.store.Complete(art) != nil {
		return nil // whatever is wrong with it, making it anew is the remedy
	}
	m := art.Manifest
	t.r.emit(Event{Type: ShardCached, Stage: t.n.Stage.Name, Shard: t.name(s), Key: s.key.String(), Digest: art.Digest.String(),
		Counts: Counts{Total: m.Items + m.Rejected, Rejected: m.Rejected}})
	t.progress(Counts{Cached: m.Items + m.Rejected, Rejected: m.Rejected})
	return art
}

// making is a shard being made.
type making struct {
	t   *itemRun
	s   *shard
	log *itemLog
	old map[string]itemState // of the last result
	was *artifacts.Artifact
}

func (t *itemRun) makeShard(ctx context.Context, s *shard, dir string) (art *artifacts.Artifact, err error) {
	began := t.r.e.o.Clock.Now()
	m := &making{t: t, s: s}
	if m.log, err = openItemLog(t.r.e.store.FS(), filepath.Join(dir, "items.log"), began); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.log.close()) }()
	if m.log.cut > 0 {
		t.r.emit(Event{Type: Message, Stage: t.n.Stage.Name, Shard: t.name(s),
			Reason: fmt.Sprintf("the log of finished items ended in %d bytes that are not whole: what they held is done again", m.log.cut)})
	}
	if !t.n.Forced {
		t.r.fetchLast(ctx, t.n.Action, s.origin)
		m.old, m.was = t.r.e.lastItems(s.origin)
	}
	t.r.emit(Event{Type: ShardStarted, Stage: t.n.Stage.Name, Shard: t.name(s), Key: s.key.String(), Counts: Counts{Total: int64(len(s.items))}})
	counts, man, err := m.attempt(ctx)
	if last, ok := errors.AsType[*lastResultError](err); ok && ctx.Err() == nil {
		t.r.emit(Event{Type: Message, Stage: t.n.Stage.Name, Shard: t.name(s), Reason: last.Error() + "; nothing is taken over from it", Warning: true})
		m.old, m.was = nil, nil
		counts, man, err = m.attempt(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := t.r.unchanged(ctx, t.n.Action); err != nil {
		return nil, err
	}
	if art, err = t.r.commit(t.n.Action, s.key, s.description, man); err != nil {
		return nil, err
	}
	counts.Total, counts.Rejected = int64(len(s.items)), man.Rejected
	t.r.emit(Event{Type: ShardFinished, Stage: t.n.Stage.Name, Shard: t.name(s), Key: s.key.String(), Digest: art.Digest.String(),
		Counts: counts, Seconds: t.r.e.o.Clock.Now().Sub(began).Seconds()})
	return art, nil
}

// attempt does what is to be done and writes the shard.
func (m *making) attempt(ctx context.Context) (c Counts, man artifacts.Manifest, err error) {
	if c, err = m.doItems(ctx); err == nil {
		man, err = m.write(ctx)
	}
	return c, man, err
}

// doItems brings every item of the shard into the log, but for those whose
// rows can be taken over from the last result.
func (m *making) doItems(ctx context.Context) (Counts, error) {
	var c Counts
	var todo []item
	if m.was != nil && m.t.r.e.store.Complete(m.was) != nil {
		m.old, m.was = nil, nil // damaged: nothing of it is taken
	}
	for _, it := range m.s.items {
		e, inLog := m.log.get(it.key)
		st, inOld := m.old[it.ID]
		switch {
		case inLog:
			c.Resumed++
			if !e.isRow {
				m.t.progress(Counts{Rejected: 1})
			}
		case inOld && st.Key == it.key:
			c.Taken++
			if st.Reject != nil {
				m.t.progress(Counts{Rejected: 1})
			}
		default:
			todo = append(todo, it)
		}
	}
	m.t.progress(Counts{Resumed: c.Resumed, Taken: c.Taken})
	if len(todo) == 0 {
		return c, nil
	}
	do, err := m.t.opened()
	if err != nil {
		return c, err
	}
	cpus := m.t.task.CPUs
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range min(len(todo), max(1, m.t.r.exec.CPUs()/cpus)) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(todo) {
					return nil
				}
				if err := m.doItem(ctx, do, todo[i], cpus); err != nil {
					return fmt.Errorf("item %s: %w", oneLine(todo[i].ID), err)
				}
			}
		})
	}
	c.Done = int64(len(todo))
	return c, g.Wait()
}

// doItem does one item and logs its row or why there is none.
func (m *making) doItem(ctx context.Context, do stage.Do[any], it item, cpus int) error {
	t := m.t
	began := t.r.e.o.Clock.Now()
	var row []byte
	reason, rejected := "", false
	err := t.r.retry(ctx, t.n.Action, it.ID, func() error {
		job := Job{Stage: t.n.Stage.Name, CPUs: cpus}
		job.Run = func(ctx context.Context) error {
			v, err := do(ctx, it.Item)
			if err != nil {
				return err
			}
			if id := t.table.ID(v); id != it.ID {
				return fmt.Errorf("its row bears the id %s", oneLine(id))
			}
			row, err = t.ops.Encode(v)
			return err
		}
		return t.r.exec.Do(ctx, job)
	})
	if err != nil {
		// An item that failed while we were told to stop is not at fault.
		if reason, rejected = stage.Rejected(err); !rejected || ctx.Err() != nil {
			return err
		}
		row = nil
	}
	now := t.r.e.o.Clock.Now()
	if err := m.log.add(it.key, row, reason, now); err != nil {
		return err
	}
	ev := Event{Type: ItemFinished, Stage: t.n.Stage.Name, Shard: t.name(m.s), Item: it.ID, Reason: reason, Seconds: now.Sub(began).Seconds()}
	c := Counts{Done: 1}
	if rejected {
		c.Rejected, ev.Rejected = 1, 1
	}
	t.r.emit(ev)
	t.progress(c)
	return nil
}

// write writes the shard's rows and what is known of its items.
func (m *making) write(ctx context.Context) (man artifacts.Manifest, err error) {
	man = artifacts.Manifest{Type: "shard"}
	states := make([]itemState, len(m.s.items))
	for i, it := range m.s.items {
		states[i] = itemState{ID: it.ID, Key: it.key, In: it.Key, Reject: m.rejected(it)}
		if states[i].Reject != nil {
			man.Rejected++
		}
	}
	man.Items = int64(len(states)) - man.Rejected
	add := func(name, schema string, rows int64, fill func(w io.Writer) (int64, error)) error {
		p, err := m.part(name, schema, fill)
		if err == nil && p.Rows != rows {
			err = fmt.Errorf("part %s has %d rows, not %d", name, p.Rows, rows)
		}
		man.Parts = append(man.Parts, p)
		return err
	}
	tag := fmt.Sprintf("-%02d", m.s.index)
	if man.Items > 0 {
		schema := m.t.table.Schema()
		err := add(shortName(schema)+tag+m.t.table.Ext(), schema, man.Items, func(w io.Writer) (int64, error) {
			return m.t.table.Write(w, m.rows(ctx))
		})
		if err != nil {
			return man, err
		}
	}
	err = add("items"+tag+".jsonl", ItemsSchema, int64(len(states)), func(w io.Writer) (int64, error) {
		enc := json.NewEncoder(w)
		for _, st := range states {
			if err := enc.Encode(st); err != nil {
				return 0, err
			}
		}
		return int64(len(states)), nil
	})
	sortParts(man.Parts)
	return man, err
}

// shortName is "mfcc" of the schema "hearsight.mfcc/1".
func shortName(schema string) string {
	s, _, _ := strings.Cut(schema, "/")
	return s[strings.LastIndexByte(s, '.')+1:]
}

func (m *making) part(name, schema string, fill func(w io.Writer) (int64, error)) (artifacts.Part, error) {
	p := artifacts.Part{Name: name, Schema: schema}
	w, err := m.t.r.e.store.NewWriter()
	if err != nil {
		return p, err
	}
	defer w.Abort()
	if p.Rows, err = fill(w); err != nil {
		return p, fmt.Errorf("write %s: %w", name, err)
	}
	p.Digest, p.Size, err = w.Commit()
	return p, err
}

// rejected returns why an item has no row, or nil if it has one.
func (m *making) rejected(it item) *string {
	if e, ok := m.log.get(it.key); ok {
		if e.isRow {
			return nil
		}
		return &e.reject
	}
	return m.old[it.ID].Reject
}

// rows yields the shard's rows in order of their ids: those in the log from
// there, the others from the last result, which is read along once.
func (m *making) rows(ctx context.Context) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		old := oldRows{m: m}
		defer old.close()
		for _, it := range m.s.items {
			if m.rejected(it) != nil {
				continue
			}
			err := ctx.Err()
			var row any
			if err == nil {
				if e, ok := m.log.get(it.key); ok {
					row, err = m.logged(it, e)
				} else {
					row, err = old.row(it.ID)
				}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (m *making) logged(it item, e logged) (any, error) {
	b, err := m.log.row(it.key, e)
	if err != nil {
		return nil, err
	}
	row, err := m.t.ops.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("item %s: read logged row: %w", oneLine(it.ID), err)
	}
	return row, nil
}

// brokenShard says what is wrong with a shard that a, whose result is whole,
// was last made of, or "". Nothing of the result is lost with it, but the
// damage would stay, and an edit would cost a shard where it should an item.
func (e *Engine) brokenShard(a *Action) string {
	if a.kind.Items() == nil || a.frozen {
		return ""
	}
	for i := range a.shards() {
		key, err := e.store.Lineage(shardOrigin(a, i))
		if errors.Is(err, artifacts.ErrNotFound) {
			continue // never made, or collected
		}
		var art *artifacts.Artifact
		if err == nil {
			art, err = e.store.Result(key)
		}
		if err == nil {
			err = e.store.Complete(art)
		}
		if err != nil {
			return fmt.Sprintf("its shard %d/%d is missing or damaged: %v", i, a.shards(), err)
		}
	}
	return ""
}

// dropEmpty forgets the shards that once had items and now have none.
func (t *itemRun) dropEmpty(shards []shard) error {
	full := make(map[int]bool, len(shards))
	for _, s := range shards {
		full[s.index] = true
	}
	for i := range t.n.shards() {
		if full[i] {
			continue
		}
		if err := t.r.e.store.DropLineage(shardOrigin(t.n.Action, i)); err != nil {
			return err
		}
	}
	return nil
}
