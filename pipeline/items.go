package pipeline

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/stages/stage"
)

// item is an Item with its key.
type item struct {
	stage.Item
	key artifacts.Digest
}

// shard is one of the parts that a per-item stage is cut into.
type shard struct {
	index       int
	items       []item // in order of their ids
	description string
	key         artifacts.ActionKey
	origin      string // what its rows may be taken over from goes by this name
}

// itemRun is a per-item stage being run.
type itemRun struct {
	r     *run
	n     *node
	ops   *stage.ItemOps
	table stage.Table[any]
	task  *stage.Task

	// opened opens the kind when the first item must be done.
	opened  func() (stage.Do[any], error)
	closeDo func() error

	mu       sync.Mutex
	counts   Counts
	finished int64
	total    int64
}

// runItems makes the result of a per-item stage: shard by shard, then one
// manifest over all of them.
func (r *run) runItems(ctx context.Context, n *node, in map[string][]*artifacts.Artifact) (art *artifacts.Artifact, err error) {
	t := &itemRun{r: r, n: n, ops: n.kind.Items(), task: r.task(ctx, n.Action, in)}
	if t.table, err = t.ops.Table(n.canonical); err != nil {
		return nil, err
	}
	res := n.Stage.Resources
	job := Job{Stage: n.Stage.Name, MemoryBytes: res.MemoryBytes, Time: res.Time, OutputBytes: res.OutputBytes}
	job.Run = func(ctx context.Context) error {
		art, err = t.run(ctx)
		return err
	}
	err = r.exec.Do(ctx, job)
	n.res.Counts = t.counts
	n.res.Counts.Total = t.total
	if t.closeDo != nil {
		err = errors.Join(err, t.closeDo())
	}
	if t.task.Dir != "" {
		err = errors.Join(err, os.RemoveAll(t.task.Dir))
	}
	return art, err
}

func (t *itemRun) run(ctx context.Context) (*artifacts.Artifact, error) {
	a := t.n.Action
	// Of the whole stage's ctx: a shard's ends with the shard.
	t.opened = sync.OnceValues(func() (do stage.Do[any], err error) {
		if t.task.Dir, err = t.r.e.store.WorkDir(); err != nil {
			return nil, err
		}
		do, t.closeDo, err = t.ops.Open(ctx, t.task, a.canonical)
		return do, err
	})
	items, err := a.listed, error(nil)
	if a.listed = nil; items == nil {
		items, err = listItems(ctx, a, t.task)
	}
	if err != nil {
		return nil, fmt.Errorf("list items: %w", err)
	}
	shards := cutItems(a, items)
	t.total = int64(len(items))
	reason := a.Reason
	if a.Items == nil && !a.Forced {
		reason += " (" + t.r.e.compareItems(a, shards).String() + ")"
	}
	t.r.emit(Event{Type: StageStarted, Stage: a.Stage.Name, Kind: a.kind.Name, Key: a.Key.String(), Reason: reason, Counts: Counts{Total: t.total}})
	arts, err := t.runShards(ctx, shards)
	if err != nil {
		return nil, err
	}
	if err := t.dropEmpty(shards); err != nil {
		return nil, err
	}
	m := artifacts.Manifest{Type: a.kind.Output}
	var rejects []Reject
	for i, s := range arts {
		m.Items += s.Manifest.Items
		for _, p := range s.Manifest.Parts {
			if p.Schema != ItemsSchema {
				m.Parts = append(m.Parts, p)
			}
		}
		if s.Manifest.Rejected == 0 {
			continue
		}
		states, err := readItems(s)
		if err != nil {
			return nil, err
		}
		for _, it := range shards[i].items {
			if st := states[it.ID]; st.Reject != nil {
				rejects = append(rejects, Reject{Item: it.ID, Stage: a.kind.Name, Reason: *st.Reject})
			}
		}
	}
	m.Rejected = int64(len(rejects))
	slices.SortFunc(rejects, func(a, b Reject) int { return strings.Compare(a.Item, b.Item) })
	sortParts(m.Parts)
	if err := t.r.addRejects(a, &m, rejects); err != nil {
		return nil, err
	}
	return t.r.commit(a, a.Key, a.Description, m)
}

// runShards makes all shards, several at a time, and returns their artifacts.
// Shards that another run is at are left for last.
func (t *itemRun) runShards(ctx context.Context, shards []shard) ([]*artifacts.Artifact, error) {
	arts := make([]*artifacts.Artifact, len(shards))
	var busy []int
	var mu sync.Mutex
	pass := func(which []int, wait bool) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(t.r.exec.CPUs())
		for _, i := range which {
			g.Go(func() error {
				var art *artifacts.Artifact
				job := Job{Stage: t.n.Stage.Name} // holds nothing: it is there to catch panics
				job.Run = func(ctx context.Context) (err error) {
					art, err = t.runShard(ctx, &shards[i], wait)
					return err
				}
				err := t.r.exec.Do(ctx, job)
				if errors.Is(err, artifacts.ErrBusy) && !wait {
					mu.Lock()
					defer mu.Unlock()
					busy = append(busy, i)
					return nil
				}
				arts[i] = art
				return err
			})
		}
		return g.Wait()
	}
	all := make([]int, len(shards))
	for i := range all {
		all[i] = i
	}
	if err := pass(all, false); err != nil {
		return nil, err
	}
	slices.Sort(busy)
	return arts, pass(busy, true)
}

// progress counts d and tells whoever watches.
func (t *itemRun) progress(d Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.add(d)
	t.finished += d.Done + d.Resumed + d.Taken + d.Cached
	t.r.emit(Event{Type: Progress, Stage: t.n.Stage.Name, Unit: "items", Counts: Counts{Finished: t.finished, Total: t.total, Rejected: t.counts.Rejected}})
}

// listItems lists the items of a, in order of their ids, each with its key.
func listItems(ctx context.Context, a *Action, task *stage.Task) ([]item, error) {
	var listed []stage.Item
	err := Guard(a.Stage.Name, func() (err error) {
		listed, err = a.kind.Items().List(ctx, task, a.canonical)
		return err
	})
	if err != nil {
		return nil, err
	}
	items := make([]item, len(listed))
	for i, it := range listed {
		items[i] = item{Item: it, key: itemKey(a.base, it)}
	}
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.ID, b.ID) })
	var bad []string
	for i, it := range items {
		switch {
		case it.ID == "":
			bad = append(bad, "an empty id")
		case len(it.ID) > 4096 || !utf8.ValidString(it.ID):
			bad = append(bad, fmt.Sprintf("%.80q is too long or not UTF-8", it.ID))
		case i > 0 && it.ID == items[i-1].ID:
			bad = append(bad, oneLine(it.ID)+" stands twice")
		}
	}
	if len(bad) > 0 {
		return nil, fmt.Errorf("%d ids cannot be used: %s", len(bad), shortList(bad, 20))
	}
	return items, nil
}

// itemKey hashes all that decides an item's row.
func itemKey(base string, it stage.Item) artifacts.Digest {
	b := make([]byte, 0, len(itemHeader)+len(base)+len(it.ID)+100*(1+len(it.Key)))
	b = append(append(b, itemHeader...), base...)
	add := func(s string) { // lengths, so that no two lists look alike
		b = append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
	}
	add(it.ID)
	for _, s := range it.Key {
		add(s)
	}
	return sha256.Sum256(b)
}

// shardOf returns which of n shards an id belongs to, for ever.
func shardOf(id string, n int) int {
	h := sha256.Sum256([]byte(id))
	return int(binary.BigEndian.Uint64(h[:]) % uint64(n))
}

// cutItems returns the shards that hold items.
func cutItems(a *Action, items []item) []shard {
	n := a.shards()
	of, count := make([]int32, len(items)), make([]int, n)
	for i := range items {
		of[i] = int32(shardOf(items[i].ID, n))
		count[of[i]]++
	}
	// One list for all, of just the right length: there may be very many.
	cut, all := make([]shard, n), make([]item, len(items))
	for i, c := range count {
		cut[i].items, all = all[:0:c], all[c:]
	}
	for i, it := range items {
		s := &cut[of[i]]
		s.items = append(s.items, it)
	}
	var out []shard
	for i := range cut {
		s := cut[i]
		s.index, s.origin = i, shardOrigin(a, i)
		if len(s.items) == 0 {
			continue
		}
		h := sha256.New()
		for _, it := range s.items {
			h.Write(it.key[:]) // it holds the id
		}
		s.description = fmt.Sprintf("%s%sshard %d/%d\nitems %d %s\n", shardHeader, a.base, i, n, len(s.items), artifacts.Digest(h.Sum(nil)))
		s.key = artifacts.KeyOf(s.description)
		out = append(out, s)
	}
	return out
}

// shardOrigin names what rows of a shard may be taken over from: the last
// result of this stage, this shard and everything but the items.
func shardOrigin(a *Action, index int) string {
	return fmt.Sprintf("%sstage %q\n%sshard %d/%d\n", logHeader, a.Stage.Name, a.base, index, a.shards())
}

// ItemsSchema is the schema of the part of a shard that says for each of its
// items what row it has: JSON lines in order of ids.
const ItemsSchema = "hearsight.items/1"

// itemState is a line of it.
type itemState struct {
	ID     string           `json:"id"`
	Key    artifacts.Digest `json:"key"`
	In     []string         `json:"in,omitempty"` // the lines of Item.Key, to explain changes
	Reject *string          `json:"reject,omitempty"`
}

// readItems reads what a shard says of its items.
func readItems(shardArtifact *artifacts.Artifact) (map[string]itemState, error) {
	parts := shardArtifact.Parts(ItemsSchema)
	if len(parts) != 1 {
		return nil, errors.New("a shard has no list of its items")
	}
	f, err := shardArtifact.Open(parts[0])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := make(map[string]itemState)
	for br := bufio.NewReader(f); ; {
		line, err := br.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read items of a shard: %w", err)
		}
		var st itemState
		if err := json.Unmarshal(line, &st); err != nil {
			return nil, fmt.Errorf("read items of a shard: %w", err)
		}
		out[st.ID] = st
	}
}

// lastItems returns the states of the items of the shard's last result.
func (e *Engine) lastItems(origin string) (map[string]itemState, *artifacts.Artifact) {
	key, err := e.store.Lineage(origin)
	if err != nil {
		return nil, nil
	}
	art, err := e.store.Result(key)
	if err != nil {
		return nil, nil // gone or damaged: nothing to take over, all is made anew
	}
	states, err := readItems(art)
	if err != nil {
		return nil, nil
	}
	return states, art
}

// planItems lists the items of a, whose inputs are known, outside of any run.
func (e *Engine) planItems(ctx context.Context, p *Plan, a *Action) ([]item, error) {
	in, _ := p.inputs(a)
	t := &stage.Task{Stage: a.Stage.Name, Inputs: in, Paths: make(map[string]string), CPUs: 1, Numeric: e.o.Numeric, Report: func(stage.Progress) {}, Out: noOutput{}}
	a.outside(t)
	return listItems(ctx, a, t)
}

// isLast reports whether s is what its last result was made of.
func (e *Engine) isLast(s shard) bool {
	key, err := e.store.Lineage(s.origin)
	if err != nil || key != s.key {
		return false
	}
	_, err = e.store.Result(key)
	return err == nil
}

// compareItems counts how shards differ from the last results of a's.
func (e *Engine) compareItems(a *Action, shards []shard) (c ItemChanges) {
	now := make([]shard, a.shards())
	for _, s := range shards {
		now[s.index] = s
	}
	for i, s := range now {
		if e.isLast(s) {
			c.Total += int64(len(s.items))
			continue
		}
		old, _ := e.lastItems(shardOrigin(a, i))
		c.Total += int64(len(s.items))
		for _, it := range s.items {
			st, ok := old[it.ID]
			switch {
			case !ok:
				c.Added++
			case st.Key != it.key:
				c.Changed++
			}
			delete(old, it.ID)
		}
		c.Removed += int64(len(old))
	}
	return c
}
