package remotetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
)

// A Hostile is a Remote that misbehaves in one way. The zero value of each
// field is good behaviour.
type Hostile struct {
	remote.Remote
	// Flip spoils a bit in the middle of what is read, Cut ends it half way as
	// if that were all, Break ends it there with an error, Endless goes on
	// after its end, Other gives another file's bytes in its place.
	Flip, Cut, Break, Endless bool
	Other                     string
	// Hang does not answer until it is closed and does not heed its ctx; Drip
	// is called before each byte.
	Hang chan struct{}
	Drip func(ctx context.Context) error
	// Gone fails every call; After lets so many through first.
	Gone  error
	After int
	// Lose says that every file is there and can open none.
	Lose bool
	// Only misbehaves with these names alone; nil: with all.
	Only func(name string) bool
	// Times is how often it misbehaves; 0: always.
	Times int

	mu    sync.Mutex
	calls int
	bad   int
	opens []string
}

// Opens are the names that were opened, in order.
func (h *Hostile) Opens() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.opens...)
}

// misbehaves counts a call and says whether it is one to spoil.
func (h *Hostile) misbehaves(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	if h.Only != nil && !h.Only(name) || h.calls <= h.After || h.Times > 0 && h.bad >= h.Times {
		return false
	}
	h.bad++
	return true
}

// before is what happens at the start of every call.
func (h *Hostile) before() error {
	if h.Hang != nil {
		<-h.Hang
	}
	return h.Gone
}

// Stat is Remote's.
func (h *Hostile) Stat(ctx context.Context, name string) (remote.Info, error) {
	if h.misbehaves(name) {
		if err := h.before(); err != nil {
			return remote.Info{}, err
		}
		if h.Lose {
			return remote.Info{Size: 1}, nil
		}
	}
	return h.Remote.Stat(ctx, name)
}

// Open is Remote's.
func (h *Hostile) Open(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	h.mu.Lock()
	h.opens = append(h.opens, name)
	h.mu.Unlock()
	if !h.misbehaves(name) {
		return h.Remote.Open(ctx, name, from)
	}
	if err := h.before(); err != nil {
		return nil, err
	}
	if h.Lose {
		return nil, artifacts.ErrNotFound
	}
	if h.Other != "" {
		name = h.Other
	}
	info, err := h.Remote.Stat(ctx, name)
	if err != nil {
		return nil, err
	}
	r, err := h.Remote.Open(ctx, name, from)
	if err != nil {
		return nil, err
	}
	return &spoilt{ReadCloser: r, ctx: ctx, h: h, at: from, size: info.Size}, nil
}

// Put is Remote's. A hostile one takes half of what is given and says that all
// is well.
func (h *Hostile) Put(ctx context.Context, name string, src remote.Source) error {
	if !h.misbehaves(name) {
		return h.Remote.Put(ctx, name, src)
	}
	if err := h.before(); err != nil {
		return err
	}
	if h.Lose {
		return nil
	}
	if h.Break {
		half := make([]byte, src.Size/2)
		if _, err := src.Body.ReadAt(half, 0); err != nil {
			return err
		}
		return errors.New("the line broke")
	}
	return h.Remote.Put(ctx, name, src)
}

type spoilt struct {
	io.ReadCloser
	ctx      context.Context
	h        *Hostile
	at, size int64
}

func (s *spoilt) Read(p []byte) (int, error) {
	if s.h.Drip != nil {
		if err := s.h.Drip(s.ctx); err != nil {
			return 0, err
		}
		p = p[:1]
	}
	half := s.size / 2
	if (s.h.Cut || s.h.Break) && s.at+int64(len(p)) > half {
		p = p[:max(0, half-s.at)]
	}
	if len(p) == 0 {
		if s.h.Cut {
			return 0, io.EOF
		}
		return 0, fmt.Errorf("the line broke at %d of %d bytes", s.at, s.size)
	}
	n, err := s.ReadCloser.Read(p)
	if s.h.Flip && s.at <= half && half < s.at+int64(n) {
		p[half-s.at] ^= 1
	}
	s.at += int64(n)
	if s.h.Endless && err == io.EOF {
		return len(p), nil
	}
	return n, err
}
