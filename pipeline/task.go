package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/stages/stage"
)

// runWhole runs a stage that does not work item by item and commits its result.
func (r *run) runWhole(ctx context.Context, a *Action, in map[string][]*artifacts.Artifact) (*artifacts.Artifact, error) {
	lock, err := r.e.store.Lock(ctx, "action "+a.Key.String())
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	if !a.Forced { // somebody may have made it while we waited
		art, _, err := r.e.find(a)
		if err == nil && art != nil {
			err = r.e.store.DropPartial(a.Key) // its maker may have been killed just before
		}
		if err != nil || art != nil {
			return art, err
		}
	} else if err := r.e.store.DropPartial(a.Key); err != nil {
		return nil, err
	}
	t := r.task(ctx, a, in)
	folder := r.e.store.Partial
	if a.kind.Scratch {
		folder = r.e.store.Scratch
	}
	if t.Dir, err = folder(a.Key); err != nil {
		return nil, err
	}
	var m artifacts.Manifest
	err = r.retry(ctx, a, "", func() error {
		out := &output{store: r.e.store, kind: a.kind.Name}
		defer out.abort()
		t.Out = out
		res := a.Stage.Resources
		job := Job{Stage: a.Stage.Name, CPUs: t.CPUs, MemoryBytes: res.MemoryBytes, Time: res.Time, OutputBytes: res.OutputBytes}
		job.Run = func(ctx context.Context) error { return a.kind.Run(ctx, t, a.canonical) }
		if err := r.exec.Do(ctx, job); err != nil {
			return err
		}
		m, err = r.manifest(a, out)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := r.unchanged(ctx, a); err != nil {
		return nil, err
	}
	art, err := r.commit(a, a.Key, a.Description, m)
	if err != nil {
		return nil, err
	}
	return art, r.e.store.DropPartial(a.Key)
}

// task returns what the body of a is handed, but for its folders and output.
func (r *run) task(ctx context.Context, a *Action, in map[string][]*artifacts.Artifact) *stage.Task {
	t := &stage.Task{Stage: a.Stage.Name, Inputs: in, CPUs: r.cpus(a), Numeric: r.e.o.Numeric, Out: noOutput{}, Now: r.e.o.Clock.Now,
		RunDir: r.stageDir(a)}
	t.Paths = make(map[string]string, len(a.ext))
	a.outside(t)
	t.Report = func(p stage.Progress) {
		ev := Event{Type: Progress, Stage: a.Stage.Name, Unit: p.Unit, Metrics: p.Metrics, Counts: Counts{Finished: p.Done, Total: p.Total}}
		if p.Message != "" {
			ev.Type, ev.Reason, ev.Warning = Message, p.Message, p.Warning
		}
		r.emit(ev)
	}
	return t
}

// outside tells t of what lies outside the store. A folder of items is at
// the port of its parameter's name too, as an artifact whose parts are its
// files: so a kind lists them without reading them.
func (a *Action) outside(t *stage.Task) {
	for _, x := range a.ext {
		t.Paths[x.param] = x.path
		if f := x.input.Artifact(); x.items && f != nil {
			t.Inputs = maps.Clone(t.Inputs)
			t.Inputs[x.param] = []*artifacts.Artifact{f}
		}
	}
}

// cpus is how many cores one job of a holds.
func (r *run) cpus(a *Action) int {
	n, all := a.Stage.Resources.CPUs, r.exec.CPUs()
	if n == 0 {
		n = a.kind.CPUs
	}
	if n == stage.AllCPUs || n > all {
		return all
	}
	return max(1, n)
}

// manifest finishes the output of a stage that does not work item by item.
func (r *run) manifest(a *Action, out *output) (artifacts.Manifest, error) {
	parts, rejects, err := out.finish()
	if err != nil {
		return artifacts.Manifest{}, err
	}
	// A dataset has rows of several sorts; its items are the most numerous.
	rows := make(map[string]int64)
	m := artifacts.Manifest{Type: a.kind.Output, Parts: parts, Rejected: int64(len(rejects))}
	for _, p := range parts {
		rows[p.Schema] += p.Rows
		m.Items = max(m.Items, rows[p.Schema])
	}
	return m, r.addRejects(a, &m, rejects)
}

// stageDir is the stage's folder in the run's. The name is escaped: it may hold
// anything.
func (r *run) stageDir(a *Action) string {
	return StageDir(r.dir, a.Stage.Name)
}

// StageDir is the folder of a run's folder that belongs to a stage: its logs and
// metrics over time, if it wrote any.
func StageDir(runDir, name string) string {
	return filepath.Join(runDir, "stage-"+url.PathEscape(name))
}

// addRejects adds the part that names the rejected items, or fails if they are
// too many.
func (r *run) addRejects(a *Action, m *artifacts.Manifest, rejects []Reject) error {
	n := int64(len(rejects))
	if limit := a.Stage.MaxRejects.Limit(m.Items + n); n > limit {
		return &RejectLimitError{Stage: a.Stage.Name, Limit: limit, Total: m.Items + n, Rejects: rejects}
	}
	if n == 0 {
		return nil
	}
	format := r.e.o.Rejects
	w, err := r.e.store.NewWriter()
	if err != nil {
		return err
	}
	defer w.Abort()
	p := artifacts.Part{Name: "rejects" + format.Ext, Schema: format.Schema}
	if p.Rows, err = format.Write(w, rejects); err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	if p.Digest, p.Size, err = w.Commit(); err != nil {
		return err
	}
	m.Parts = append(m.Parts, p)
	sortParts(m.Parts)
	return nil
}

func sortParts(parts []artifacts.Part) {
	slices.SortFunc(parts, func(a, b artifacts.Part) int { return strings.Compare(a.Name, b.Name) })
}

// mostNamed is how many rejected items an error names: all, where a person can
// still read them.
const mostNamed = 200

// A RejectLimitError is a stage that set more items aside than it may.
type RejectLimitError struct {
	Stage        string
	Limit, Total int64
	Rejects      []Reject
}

func (e *RejectLimitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d items rejected, max_rejects allows %d:", len(e.Rejects), e.Total, e.Limit)
	for i, r := range e.Rejects {
		if i == mostNamed {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Rejects)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s: %s", oneLine(r.Item), r.Reason)
	}
	return b.String()
}

// unchanged checks that nothing outside the store changed under the stage:
// what was made of something else than the key says must not be committed.
func (r *run) unchanged(ctx context.Context, a *Action) error {
	for _, x := range a.ext {
		if x.items {
			continue // whoever does an item sees to its own file
		}
		changed, err := x.input.Changed(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", x.param, err)
		}
		if len(changed) > 0 {
			return fmt.Errorf("%s: %s changed while the stage was running; run again", x.param, shortList(changed, 3))
		}
	}
	return nil
}

const (
	tries     = 4
	firstWait = 200 * time.Millisecond
)

// retry runs f again, a few times and ever later, while its error is one that
// may go away.
func (r *run) retry(ctx context.Context, a *Action, item string, f func() error) error {
	wait := firstWait
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == tries || ctx.Err() != nil || !transient(err) {
			return err
		}
		r.emit(Event{Type: Retried, Stage: a.Stage.Name, Item: item, Reason: err.Error(), Warning: true})
		if r.e.o.Clock.Sleep(ctx, wait) != nil {
			return err
		}
		wait *= 4
	}
}

// transient says whether trying again may help: the stage said so, or the
// system was short of something that comes back. A full disk is not: what
// fills it does not go away by itself.
func transient(err error) bool {
	if _, ok := errors.AsType[*stage.Temporary](err); ok {
		return true
	}
	for _, e := range []error{syscall.EINTR, syscall.EAGAIN, syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY, syscall.ENOBUFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// output collects the parts of a stage. Safe for concurrent use.
type output struct {
	store   *artifacts.Store
	kind    string
	mu      sync.Mutex
	parts   []artifacts.Part
	names   map[string]bool
	open    map[*part]bool
	rejects []Reject
}

// Create begins a part. Names are slash-separated, relative and below the output.
func (o *output) Create(name, schema string) (stage.Part, error) {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") || strings.HasPrefix(name, "rejects.") {
		return nil, fmt.Errorf("%q cannot be the name of a part", name)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.names[name] {
		return nil, fmt.Errorf("part %q was made already", name)
	}
	w, err := o.store.NewWriter()
	if err != nil {
		return nil, err
	}
	if o.names == nil {
		o.names, o.open = make(map[string]bool), make(map[*part]bool)
	}
	p := &part{o: o, w: w, Part: artifacts.Part{Name: name, Schema: schema}}
	o.names[name], o.open[p] = true, true
	return p, nil
}

func (o *output) Reject(item, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rejects = append(o.rejects, Reject{Item: item, Stage: o.kind, Reason: reason})
}

// finish returns what was made, in a fixed order. A part that was not closed
// is a mistake of the stage that must not pass for a result.
func (o *output) finish() ([]artifacts.Part, []Reject, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p := range o.open {
		return nil, nil, fmt.Errorf("part %q was not closed", p.Name)
	}
	sortParts(o.parts)
	slices.SortFunc(o.rejects, func(a, b Reject) int {
		if c := strings.Compare(a.Item, b.Item); c != 0 {
			return c
		}
		return strings.Compare(a.Reason, b.Reason)
	})
	return o.parts, o.rejects, nil
}

func (o *output) abort() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p := range o.open {
		p.w.Abort()
	}
}

type part struct {
	artifacts.Part
	o *output
	w *artifacts.Writer
}

func (p *part) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p *part) SetRows(n int64)             { p.Rows = n }

func (p *part) Close() (err error) {
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	if !p.o.open[p] {
		return fs.ErrClosed
	}
	if p.Digest, p.Size, err = p.w.Commit(); err != nil {
		return fmt.Errorf("part %s: %w", p.Name, err)
	}
	delete(p.o.open, p)
	p.o.parts = append(p.o.parts, p.Part)
	return nil
}

// noOutput stands where a task makes no parts of its own.
type noOutput struct{}

func (noOutput) Create(name, _ string) (stage.Part, error) {
	return nil, fmt.Errorf("part %q: a stage that works item by item makes no parts", name)
}

func (noOutput) Reject(string, string) {}
