package main

import (
	"context"
	"errors"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/pipeline"
)

// followEvery is how often a run is looked at that another process is at.
const followEvery = 500 * time.Millisecond

// follow shows the last run as its own terminal does, until it ends.
func (a *app) follow(ctx context.Context, s *artifacts.Store) (err error) {
	r := lastRun(s)
	if r == nil {
		return errors.New("there has been no run yet")
	}
	v := a.newView()
	defer func() { err = errors.Join(err, v.close()) }()
	dir := s.RunDir(r.ID)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for shown := 0; ; {
		alive := pipeline.RunIsAlive(dir) // asked first: what it wrote before its end is shown
		events := journalOf(s, r.ID)
		for _, ev := range events[min(shown, len(events)):] {
			v.event(ev)
		}
		shown = len(events)
		if n := len(events); n > 0 && events[n-1].Type == pipeline.RunEnded {
			return nil
		}
		if !alive {
			return errors.New("run " + r.ID + " was killed: `hearsight run` goes on where it was")
		}
		for _, ev := range pipeline.ReadLive(dir) {
			v.event(ev)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
