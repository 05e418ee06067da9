package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/hearsight/hearsight/artifacts"
)

// transfers is how many files are under way at once.
const transfers = 8

// Bounds on what is read before it can be judged: far above what a run
// writes, far below what hurts. A part is bounded by its manifest.
const (
	maxAction   = 64 << 20
	maxManifest = 256 << 20
	maxLineage  = 1 << 20
)

// Options say how a Reader reads. The zero value works.
type Options struct {
	Patience Patience
}

// A Reader brings results from a remote into a store. Its methods may be
// called from several goroutines at once.
type Reader struct {
	s    *artifacts.Store
	c    patient
	once singleflight.Group // an object that two results share comes once
	slot chan struct{}      // one a transfer

	mu       sync.Mutex
	failures int // in a row
	total    Transferred
}

// Transferred counts what went over the line.
type Transferred struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// NewReader returns a Reader that brings what r holds into s.
func NewReader(s *artifacts.Store, r Remote, o Options) *Reader {
	return &Reader{s: s, c: patient{r, o.Patience.orDefault()}, slot: make(chan struct{}, transfers)}
}

// String names the remote.
func (r *Reader) String() string { return r.c.r.String() }

// Transferred says what was brought so far.
func (r *Reader) Transferred() Transferred {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// ErrGivenUp says that a remote failed so often that it is not asked any more.
var ErrGivenUp = errors.New("it is left alone from now on")

// judge counts failures in a row. What is not there is an answer like any other.
func (r *Reader) judge(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.As(err, new(*localError)) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || errors.Is(err, artifacts.ErrNotFound) {
		r.failures = 0
		return err
	}
	r.failures++
	if r.failures == r.c.p.Failures || errors.Is(err, ErrRefused) && r.failures < r.c.p.Failures {
		r.failures = max(r.failures, r.c.p.Failures)
		return fmt.Errorf("%w: %w", err, ErrGivenUp)
	}
	return err
}

// GivenUp reports whether the remote is left alone.
func (r *Reader) GivenUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures >= r.c.p.Failures
}

// Fetch brings what the action with key k gave, an artifact of the given type,
// and records it as a run would. It returns nil and no error if the remote does
// not hold it or is left alone, and whatever went wrong else: then the store is
// as it was, or holds some of the objects. progress, which may be nil, is told
// of bytes as they arrive, from any goroutine.
func (r *Reader) Fetch(ctx context.Context, k artifacts.ActionKey, typ string, progress func(done, all int64)) (*artifacts.Artifact, error) {
	if r.GivenUp() {
		return nil, nil
	}
	a, err := r.fetch(ctx, k, typ, progress)
	if err = r.judge(ctx, err); errors.Is(err, artifacts.ErrNotFound) && ctx.Err() == nil {
		return nil, nil
	}
	return a, err
}

func (r *Reader) fetch(ctx context.Context, k artifacts.ActionKey, typ string, progress func(done, all int64)) (*artifacts.Artifact, error) {
	act, _, err := r.s.Action(k) // here, and not whole: the same is wanted again
	if errors.Is(err, artifacts.ErrNotFound) {
		act, err = r.action(ctx, k)
	}
	if err != nil {
		return nil, err
	}
	a, err := r.artifact(ctx, act.Manifest, progress)
	if err != nil {
		return nil, err
	}
	if a.Manifest.Type != typ {
		return nil, fmt.Errorf("%s: action %s: its artifact is of type %.40q, not %s: %w", r, k, a.Manifest.Type, typ, artifacts.ErrWrongBytes)
	}
	made, err := r.s.Commit(k, act.Description, a.Manifest)
	if errors.Is(err, artifacts.ErrNondeterministic) && made != nil {
		return made, nil // made here meanwhile: what is here stays
	}
	if err != nil {
		return nil, &localError{err}
	}
	return made, nil
}

func (r *Reader) action(ctx context.Context, k artifacts.ActionKey) (*artifacts.Action, error) {
	data, err := r.c.bytes(ctx, ActionName(k), maxAction)
	if err != nil {
		return nil, err
	}
	act, err := artifacts.ParseAction(k, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w: %w", r, ActionName(k), err, artifacts.ErrWrongBytes)
	}
	return act, nil
}

// artifact brings a manifest and its parts.
func (r *Reader) artifact(ctx context.Context, d artifacts.Digest, progress func(done, all int64)) (*artifacts.Artifact, error) {
	a, err := r.s.Artifact(d)
	if errors.Is(err, artifacts.ErrNotFound) || errors.As(err, new(*artifacts.DamagedError)) {
		if err = r.object(ctx, d, -1); err != nil {
			return nil, whole(err)
		}
		a, err = r.s.Artifact(d)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r, err) // an object that is no manifest
	}
	var lacking []artifacts.Part
	var all, done int64
	for _, p := range a.Manifest.Parts {
		if all += p.Size; r.s.Has(p.Digest, p.Size) {
			done += p.Size
			continue
		}
		lacking = append(lacking, p)
	}
	var mu sync.Mutex
	tell := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		if done += n; progress != nil {
			progress(done, all)
		}
	}
	tell(0)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(transfers)
	for _, p := range lacking {
		g.Go(func() error {
			err := r.object(ctx, p.Digest, p.Size)
			if err == nil {
				tell(p.Size)
			}
			return whole(err)
		})
	}
	return a, g.Wait()
}

// whole makes a missing object of a result that should be there a failure.
func whole(err error) error {
	if errors.Is(err, artifacts.ErrNotFound) {
		return fmt.Errorf("%w: the remote has lost it: `push --check` from a store that holds it mends that", errors.New(err.Error()))
	}
	return err
}

// object brings an object into the store, unless it is there.
func (r *Reader) object(ctx context.Context, d artifacts.Digest, size int64) error {
	for {
		_, err, _ := r.once.Do(d.String(), func() (any, error) { return nil, r.bring(ctx, d, size) })
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			continue // another's work, who was told to stop
		}
		return err
	}
}

// bring copies an object. Wrong bytes may be the line's fault: they are asked
// for once more.
func (r *Reader) bring(ctx context.Context, d artifacts.Digest, size int64) error {
	if size >= 0 && r.s.Has(d, size) {
		return nil
	}
	select {
	case r.slot <- struct{}{}:
		defer func() { <-r.slot }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := r.copyObject(ctx, d, size)
	if errors.Is(err, artifacts.ErrWrongBytes) || errors.Is(err, errTooMuch) {
		err = r.copyObject(ctx, d, size)
	}
	return err
}

func (r *Reader) copyObject(ctx context.Context, d artifacts.Digest, size int64) error {
	w, err := r.s.NewWriter()
	if err != nil {
		return &localError{err}
	}
	defer w.Abort()
	limit := size
	if size < 0 {
		limit = maxManifest
	}
	n, err := r.c.copy(ctx, ObjectName(d), w, size, limit)
	if err != nil {
		return err
	}
	if err := w.CommitAs(d); err != nil {
		if !errors.Is(err, artifacts.ErrWrongBytes) {
			return &localError{err}
		}
		return fmt.Errorf("%s: %s: %w", r, ObjectName(d), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total.Files++
	r.total.Bytes += n
	return nil
}

// FetchLineage brings the last result of the shard that goes by this name, if
// the store knows none and the remote does, and reports whether it did.
func (r *Reader) FetchLineage(ctx context.Context, name string) (bool, error) {
	if r.GivenUp() {
		return false, nil
	}
	ok, err := r.fetchLineage(ctx, name)
	if err = r.judge(ctx, err); errors.Is(err, artifacts.ErrNotFound) && ctx.Err() == nil {
		return false, nil
	}
	return ok, err
}

func (r *Reader) fetchLineage(ctx context.Context, name string) (bool, error) {
	if k, err := r.s.Lineage(name); err == nil {
		if a, err := r.s.Result(k); err == nil && r.s.Complete(a) == nil {
			return false, nil
		}
	}
	data, err := r.c.bytes(ctx, LineageName(name), maxLineage)
	if err != nil {
		return false, err
	}
	k, ok := artifacts.ParseLineage(name, data)
	if !ok {
		return false, fmt.Errorf("%s: %s: damaged: %w", r, LineageName(name), artifacts.ErrWrongBytes)
	}
	if _, err := r.fetch(ctx, k, "shard", nil); err != nil {
		return false, fmt.Errorf("%s: %w", LineageName(name), err)
	}
	if err := r.s.SetLineage(name, k); err != nil {
		return false, &localError{err}
	}
	return true, nil
}
