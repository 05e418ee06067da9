package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hearsight/hearsight/artifacts"
)

// PushOptions say how Push sends.
type PushOptions struct {
	DryRun bool // say what would be sent, and send nothing
	// Check reads back what the remote holds already, and sends again what is
	// damaged. Without it a file of the right size is taken to be right.
	Check    bool
	Patience Patience
	// Progress, if set, is told of bytes that are dealt with, from any goroutine.
	Progress func(done, all int64)
}

// A PushReport says what Push did, or would do.
type PushReport struct {
	Sent    Transferred // or to be sent
	Held    Transferred // by the remote already
	Mended  int         // of those sent: files that were damaged there
	Actions int
	// Differ are actions of which the remote holds another result. That one
	// stays: who comes first wins, as in a store.
	Differ []artifacts.ActionKey
}

// A Choice is what is to be pushed.
type Choice struct {
	Artifacts []artifacts.Digest             // with the records of all actions that led to them
	Lineage   map[string]artifacts.ActionKey // name -> last done; its result is pushed as Artifacts are
}

// pusher is one Push.
type pusher struct {
	s *artifacts.Store
	c patient
	o PushOptions

	mu        sync.Mutex
	done, all int64
	report    PushReport
}

// Push sends the artifacts chosen and all that leads to them to r. It may be
// called again after an error: what is there is not sent twice.
func Push(ctx context.Context, s *artifacts.Store, r Remote, what Choice, o PushOptions) (PushReport, error) {
	p := &pusher{s: s, c: patient{r, o.Patience.orDefault()}, o: o}
	err := p.push(ctx, what)
	if err != nil {
		err = fmt.Errorf("push: %w", err)
	}
	return p.report, err
}

func (p *pusher) push(ctx context.Context, what Choice) error {
	wanted := map[artifacts.Digest]bool{}
	for _, d := range what.Artifacts {
		wanted[d] = true
	}
	for _, k := range what.Lineage {
		act, _, err := p.s.Action(k)
		if err != nil {
			return err
		}
		wanted[act.Manifest] = true
	}
	var parts, manifests []object
	seen := map[artifacts.Digest]bool{}
	for d := range wanted {
		a, err := p.s.Artifact(d)
		if err != nil {
			return err
		}
		manifests = append(manifests, object{d, -1})
		for _, part := range a.Manifest.Parts {
			if !seen[part.Digest] {
				seen[part.Digest] = true
				parts = append(parts, object{part.Digest, part.Size})
				p.all += part.Size
			}
		}
	}
	// What leads to something is sent when that is there.
	for _, objects := range [][]object{parts, manifests} {
		if err := each(ctx, objects, p.object); err != nil {
			return err
		}
	}
	if err := p.actions(ctx, wanted); err != nil {
		return err
	}
	names := make([]string, 0, len(what.Lineage))
	for name := range what.Lineage {
		names = append(names, name)
	}
	return each(ctx, names, func(ctx context.Context, name string) error {
		return p.small(ctx, LineageName(name), artifacts.EncodeLineage(name, what.Lineage[name]))
	})
}

// each calls f for all of what, several at a time, until one fails.
func each[T any](ctx context.Context, what []T, f func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(transfers)
	for _, x := range what {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return f(ctx, x)
		})
	}
	return g.Wait()
}

type object struct {
	digest artifacts.Digest
	size   int64 // -1: to be looked up
}

// object sends an object unless the remote holds it.
func (p *pusher) object(ctx context.Context, o object) error {
	f, err := p.s.OpenObject(o.digest)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	src := Source{Body: f, Size: info.Size(), Digest: o.digest}
	err = p.file(ctx, ObjectName(o.digest), src)
	if err == nil && o.size >= 0 {
		p.tell(o.size)
	}
	return err
}

func (p *pusher) tell(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done += n; p.o.Progress != nil {
		p.o.Progress(p.done, p.all)
	}
}

// file sends a file unless the remote holds it.
func (p *pusher) file(ctx context.Context, name string, src Source) error {
	held, damaged, err := p.holds(ctx, name, src)
	if err != nil {
		return err
	}
	if err := p.put(ctx, name, src, held); err != nil || !damaged {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Mended++
	return nil
}

// send puts a file and has the remote confirm that it is there.
func (p *pusher) send(ctx context.Context, name string, src Source) error {
	if err := p.c.put(ctx, name, src); err != nil {
		return err
	}
	info, err := p.c.stat(ctx, name)
	if err != nil {
		return err
	}
	if info.Size != src.Size || !info.Digest.IsZero() && info.Digest != src.Digest {
		return fmt.Errorf("%s: %s: %w: it took %d bytes and now has %d, or others", p.c.r, name, artifacts.ErrWrongBytes, src.Size, info.Size)
	}
	return nil
}

// holds reports whether the remote holds a file, and whether what it holds in
// its place is damaged.
func (p *pusher) holds(ctx context.Context, name string, src Source) (held, damaged bool, err error) {
	info, err := p.c.stat(ctx, name)
	switch {
	case errors.Is(err, artifacts.ErrNotFound):
		return false, false, nil
	case err != nil:
		return false, false, err
	case info.Size != src.Size, !info.Digest.IsZero() && info.Digest != src.Digest:
		return false, true, nil
	case !p.o.Check:
		return true, false, nil
	}
	h := sha256.New()
	_, err = p.c.copy(ctx, name, h, src.Size, src.Size)
	if errors.Is(err, errShort) || errors.Is(err, errTooMuch) {
		return false, true, nil
	}
	same := artifacts.Digest(h.Sum(nil)) == src.Digest
	return same, !same, err
}

// actions sends the records that lead to what was sent.
func (p *pusher) actions(ctx context.Context, wanted map[artifacts.Digest]bool) error {
	type record struct {
		key artifacts.ActionKey
		act *artifacts.Action
	}
	var found []record
	err := p.s.Actions(ctx, func(k artifacts.ActionKey, act *artifacts.Action) error {
		if wanted[act.Manifest] {
			found = append(found, record{k, act})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return each(ctx, found, func(ctx context.Context, r record) error {
		data, err := r.act.Encode()
		if err != nil {
			return err
		}
		old, err := p.c.bytes(ctx, ActionName(r.key), maxAction)
		if err == nil {
			if was, perr := artifacts.ParseAction(r.key, old); perr == nil && was.Manifest != r.act.Manifest {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.report.Differ = append(p.report.Differ, r.key)
				return nil
			}
		}
		if err == nil || errors.Is(err, artifacts.ErrNotFound) || errors.Is(err, errTooMuch) {
			err = p.replace(ctx, ActionName(r.key), data, old, err)
		}
		if err == nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.report.Actions++
		}
		return err
	})
}

// small sends a small file unless the remote holds the same.
func (p *pusher) small(ctx context.Context, name string, data []byte) error {
	old, err := p.c.bytes(ctx, name, maxLineage)
	if err != nil && !errors.Is(err, artifacts.ErrNotFound) && !errors.Is(err, errTooMuch) {
		return err
	}
	return p.replace(ctx, name, data, old, err)
}

// replace sends a small file in place of old, which was read with err.
func (p *pusher) replace(ctx context.Context, name string, data, old []byte, err error) error {
	src := Source{Body: bytes.NewReader(data), Size: int64(len(data)), Digest: sha256.Sum256(data)}
	held := err == nil && bytes.Equal(old, data)
	return p.put(ctx, name, src, held)
}

// put sends a file unless the remote holds it, and counts it.
func (p *pusher) put(ctx context.Context, name string, src Source, held bool) error {
	if !held && !p.o.DryRun {
		if err := p.send(ctx, name, src); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.report.Sent
	if held {
		t = &p.report.Held
	}
	t.Files++
	t.Bytes += src.Size
	return nil
}
