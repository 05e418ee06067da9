package artifacts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// GCOptions say what is collected.
type GCOptions struct {
	DryRun bool // say what would go, and remove nothing
	// KeepRuns is how many of the last runs keep their journal and logs;
	// negative keeps all.
	KeepRuns int
	// KeepPartial, if set, says which unfinished work stays, by its key and its
	// folder; nil keeps all of it. Work that was finished since goes in any case.
	KeepPartial func(k ActionKey, dir string) bool
	// Roots, if set, names more of what stays. It is called when the store can
	// no longer change, so that nothing is removed that a run made meanwhile.
	Roots func(context.Context) ([]Digest, error)
}

// A GCReport says what was removed, or would be.
type GCReport struct {
	Objects     int // of them, how many
	Bytes       int64
	KeptObjects int
	KeptBytes   int64
	Actions     []GCAction // in order of their keys
	Runs        []string
	Partials    []ActionKey
	// PartialBytes is what the unfinished work takes.
	PartialBytes int64
	Lineages     int
}

// A GCAction is a record of work that goes, with its artifact: what it was
// tells what it costs to make again.
type GCAction struct {
	Key         ActionKey
	Description string
	Manifest    Digest
	Type        string // of the artifact; empty: it is gone
	Items       int64
	Bytes       int64  // of the parts that go
	Parts       []Part // those; two actions may share some
}

// A collector is one run of GC.
type collector struct {
	s      *Store
	o      GCOptions
	marked map[Digest]struct{}
	done   map[ActionKey]struct{} // actions that stay
	report GCReport
}

// GC removes the objects that belong to none of the artifacts given as roots
// nor to a pinned one, the records that lead to them, and old runs. A record
// all of whose parts stay stays too. Roots that the store does not hold are
// passed over. Shards that are to be taken over later must be among the roots.
//
// It never runs beside a run: if the store is in use the error wraps ErrBusy.
// A dry run may. The caller makes no other call that writes meanwhile. Killed at any point it leaves no record without its parts.
func (s *Store) GC(ctx context.Context, roots []Digest, o GCOptions) (_ GCReport, err error) {
	c := &collector{s: s, o: o, marked: map[Digest]struct{}{}, done: map[ActionKey]struct{}{}}
	if !o.DryRun {
		l, lerr := s.exclusive()
		if lerr != nil {
			return GCReport{}, fmt.Errorf("gc: %w", lerr)
		}
		defer func() { err = errors.Join(err, s.endExclusive(l)) }()
	}
	if o.Roots != nil {
		more, err := o.Roots(ctx)
		if err != nil {
			return GCReport{}, fmt.Errorf("gc: %w", err)
		}
		roots = slices.Concat(roots, more)
	}
	if err := c.mark(roots); err != nil {
		return GCReport{}, fmt.Errorf("gc: %w", err)
	}
	// Records before what they lead to: see above.
	for _, sweep := range []func(context.Context) error{c.actions, c.lineages, c.objects, c.partials, c.runs, c.stats} {
		if err := sweep(ctx); err != nil {
			return c.report, fmt.Errorf("gc: %w", s.explain(err))
		}
	}
	return c.report, nil
}

// Actions calls each for all whole records of actions, in order of their keys.
func (s *Store) Actions(ctx context.Context, each func(ActionKey, *Action) error) error {
	return s.hashNamed(ctx, "actions", ".json", func(h [32]byte, _ string, _ os.FileInfo) error {
		act, _, err := s.readAction(h)
		if err != nil {
			return nil // not there: verify and whoever needs it say more
		}
		return each(h, act)
	}, ignore)
}

// exclusive takes the store for itself: without other processes, and without
// writers in this one.
func (s *Store) exclusive() (*Lock, error) {
	if s.o.ReadOnly {
		return nil, ErrReadOnly
	}
	s.mu.Lock()
	se := s.session
	s.mu.Unlock()
	if se != nil {
		if busy, err := s.writers(se); err != nil {
			return nil, err
		} else if busy {
			return nil, fmt.Errorf("the store is being written to: %w", ErrBusy)
		}
		if err := s.endSession(); err != nil {
			return nil, err
		}
	}
	l, err := s.tryLock("store", atomicfile.Exclusive)
	if errors.Is(err, ErrBusy) {
		return nil, fmt.Errorf("a run, or something else, uses the store %s: %w", s.dir, ErrBusy)
	}
	s.mu.Lock()
	s.collecting = err == nil
	s.mu.Unlock()
	return l, err
}

func (s *Store) endExclusive(l *Lock) error {
	s.mu.Lock()
	s.collecting = false
	s.mu.Unlock()
	return errors.Join(s.endSession(), l.Unlock())
}

// mark marks the roots, the pins and their parts.
func (c *collector) mark(roots []Digest) error {
	pins, err := c.s.Pins()
	if err != nil {
		return err // a pin that cannot be read may be of anything
	}
	for _, d := range slices.Concat(roots, slices.Collect(maps.Values(pins))) {
		a, err := c.s.Artifact(d)
		var e *DamagedError
		if errors.As(err, &e) {
			continue // its parts are found through another, or made anew
		}
		if err != nil {
			return err
		}
		c.keep(a)
	}
	return nil
}

func (c *collector) keep(a *Artifact) {
	c.marked[a.Digest] = struct{}{}
	for _, p := range a.Manifest.Parts {
		c.marked[p.Digest] = struct{}{}
	}
}

// wanted reports whether all parts of a stay.
func (c *collector) wanted(a *Artifact) bool {
	for _, p := range a.Manifest.Parts {
		if _, ok := c.marked[p.Digest]; !ok {
			return false
		}
	}
	return true
}

// remove removes a file unless this is a dry run.
func (c *collector) remove(path string) error {
	if c.o.DryRun {
		return nil
	}
	err := c.s.fs.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func ignore(string) error { return nil }

func (c *collector) actions(ctx context.Context) error {
	touched := map[string]struct{}{}
	err := c.s.hashNamed(ctx, "actions", ".json", func(h [32]byte, path string, _ os.FileInfo) error {
		gone := GCAction{Key: h}
		if act, _, err := c.s.readAction(h); err == nil {
			gone.Description, gone.Manifest = act.Description, act.Manifest
			if a, err := c.s.Artifact(act.Manifest); err == nil {
				_, marked := c.marked[act.Manifest]
				if marked || c.wanted(a) {
					c.keep(a)
					c.done[h] = struct{}{}
					return nil
				}
				gone.Type, gone.Items = a.Manifest.Type, a.Manifest.Items
				gone.Parts, gone.Bytes = c.unmarked(a)
			}
		}
		c.report.Actions = append(c.report.Actions, gone)
		touched[filepath.Dir(path)] = struct{}{}
		return c.remove(path)
	}, ignore)
	if err != nil || c.o.DryRun {
		return err
	}
	for dir := range sorted(touched) {
		if err := c.s.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) unmarked(a *Artifact) (parts []Part, n int64) {
	for _, p := range a.Manifest.Parts {
		if _, ok := c.marked[p.Digest]; !ok {
			parts = append(parts, p)
			n += p.Size
		}
	}
	return parts, n
}

func (c *collector) lineages(ctx context.Context) error {
	return c.s.hashNamed(ctx, "lineage", "", func(_ [32]byte, path string, _ os.FileInfo) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r, err := c.s.parseLineage(path, data)
		if _, ok := c.done[ActionKey(r.digest)]; ok && err == nil {
			return nil
		}
		c.report.Lineages++
		return c.remove(path)
	}, ignore)
}

func (c *collector) objects(ctx context.Context) error {
	return c.s.hashNamed(ctx, "objects", "", func(h [32]byte, path string, info os.FileInfo) error {
		if _, ok := c.marked[h]; ok {
			c.report.KeptObjects++
			c.report.KeptBytes += info.Size()
			return nil
		}
		c.report.Objects++
		c.report.Bytes += info.Size()
		return c.remove(path)
	}, ignore)
}

func (c *collector) partials(ctx context.Context) error {
	entries, err := os.ReadDir(c.s.path("partial"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		k, err := ParseActionKey(digestPrefix + e.Name())
		if err != nil {
			continue
		}
		_, err = os.Stat(c.s.actionPath(k))
		if err != nil && (c.o.KeepPartial == nil || c.o.KeepPartial(k, c.s.partialPath(k))) {
			continue
		}
		n, err := treeBytes(ctx, c.s.partialPath(k))
		if err != nil {
			return err
		}
		c.report.Partials = append(c.report.Partials, k)
		c.report.PartialBytes += n
		if c.o.DryRun {
			continue
		}
		if err := c.s.fs.RemoveAll(c.s.partialPath(k)); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) runs(ctx context.Context) error {
	if c.o.KeepRuns < 0 {
		return nil
	}
	ids := c.s.Runs()
	for _, id := range ids[:max(0, len(ids)-c.o.KeepRuns)] {
		c.report.Runs = append(c.report.Runs, id)
		if c.o.DryRun {
			continue
		}
		if err := c.s.fs.RemoveAll(c.s.RunDir(id)); err != nil {
			return err
		}
	}
	return nil
}

// stats forgets the objects that are gone.
func (c *collector) stats(ctx context.Context) error {
	if c.o.DryRun || c.report.Objects+len(c.report.Actions) == 0 {
		return nil
	}
	if err := c.s.memo.prune(ctx); err != nil {
		return err
	}
	return c.s.cache.prune(ctx, func(r record) bool {
		_, kept := c.marked[r.key]
		return kept || r.key != r.digest // an input's key is not its digest
	})
}

// sorted ranges over a map in order of its keys.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// Usage returns how many bytes the files under each entry of the store's folder
// have: "objects", "runs" and so on.
func (s *Store) Usage(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	for _, name := range slices.Concat(layoutDirs, layoutFiles) {
		n, err := treeBytes(ctx, s.path(name))
		if err != nil {
			return nil, fmt.Errorf("measure store: %w", err)
		}
		out[name] = n
	}
	return out, nil
}

// treeBytes adds up the sizes of the files under path. What goes meanwhile is
// not counted.
func treeBytes(ctx context.Context, path string) (n int64, err error) {
	err = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				n += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return errors.Join(err, ctx.Err())
	})
	return n, err
}
