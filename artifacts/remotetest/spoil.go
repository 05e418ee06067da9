package remotetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
)

// impatient waits for little, so that a suite does not take long. Where time
// itself is tested it is that of a bubble.
var impatient = remote.Options{Patience: remote.Patience{Wait: time.Microsecond, StallBytes: 1}}

// A hostility is a way to misbehave. If it passes, results are had in spite of it.
type hostility struct {
	h      *Hostile
	passes bool
}

func hostilities() map[string]hostility {
	objects := func(name string) bool { return strings.HasPrefix(name, "objects/") }
	actions := func(name string) bool { return strings.HasPrefix(name, "actions/") }
	return map[string]hostility{
		"a bit of every file flips":     {h: &Hostile{Flip: true}},
		"a bit of every object flips":   {h: &Hostile{Flip: true, Only: objects}},
		"a bit of every action flips":   {h: &Hostile{Flip: true, Only: actions}},
		"a bit flips once":              {h: &Hostile{Flip: true, Only: objects, Times: 1}, passes: true},
		"files end too early":           {h: &Hostile{Cut: true}},
		"a file ends too early once":    {h: &Hostile{Cut: true, Only: objects, Times: 1}, passes: true},
		"lines break":                   {h: &Hostile{Break: true}},
		"a line breaks twice":           {h: &Hostile{Break: true, Only: objects, Times: 2}, passes: true},
		"files never end":               {h: &Hostile{Endless: true}},
		"another object's bytes":        {h: &Hostile{Only: objects, Other: remote.ObjectName(sha256.Sum256(Data(9, 50)))}},
		"another action's record":       {h: &Hostile{Only: actions, Other: remote.ActionName(artifacts.KeyOf("work of a shard"))}},
		"an object for an action":       {h: &Hostile{Only: actions, Other: remote.ObjectName(sha256.Sum256(Data(9, 50)))}},
		"all is gone":                   {h: &Hostile{Gone: errors.New("connection refused")}},
		"all is gone after three calls": {h: &Hostile{Gone: errors.New("connection reset"), After: 3}},
		"gone for a moment":             {h: &Hostile{Gone: errors.New("connection reset"), After: 2, Times: 2}, passes: true},
		"nothing may be read":           {h: &Hostile{Gone: remote.ErrRefused}},
		"objects are lost":              {h: &Hostile{Lose: true, Only: objects}},
	}
}

// hostile: whatever a remote does, a store is not spoilt, work that is not
// brought is simply not there, and an honest remote then gives it all.
func hostile(t *testing.T, r remote.Remote, bad hostility) {
	s, _ := pushed(t, r)
	to := store(t)
	bad.h.Remote = r
	reader := remote.NewReader(to, bad.h, impatient)
	if bad.passes {
		fetched(t, s, to, reader)
		sound(t, to)
		return
	}
	for work, typ := range map[string]string{"work a": "wav", "work b": "mfcc"} {
		a, err := reader.Fetch(t.Context(), artifacts.KeyOf(work), typ, nil)
		if a != nil {
			t.Errorf("Fetch %s = %v, %v from a remote that gives nothing right", work, a, err)
		}
		if _, _, err := to.Action(artifacts.KeyOf(work)); !errors.Is(err, artifacts.ErrNotFound) {
			t.Errorf("the action of %s is there: %v", work, err)
		}
	}
	if ok, err := reader.FetchLineage(t.Context(), "the shard"); ok && bad.h.Only == nil {
		t.Errorf("FetchLineage = %v, %v", ok, err)
	}
	for range 3 {
		_, _ = reader.FetchLineage(t.Context(), "another")
	}
	sound(t, to)
	fetched(t, s, to, remote.NewReader(to, r, impatient))
	sound(t, to)
}

// hostilePush: a push that was cut off anywhere leaves nothing wrong, and the
// next one ends it.
func hostilePush(t *testing.T, r remote.Remote) {
	s, what := pushed(t, r)
	_ = s
	for _, bad := range []*Hostile{{Break: true, Only: puts}, {Lose: true}, {Gone: errors.New("connection reset"), After: 5}, {Gone: remote.ErrRefused}} {
		bad.Remote = &emptied{Remote: r}
		if report, err := remote.Push(t.Context(), s, bad, what, remote.PushOptions{Patience: impatient.Patience}); err == nil {
			t.Errorf("Push to %+v gave no error: %+v", bad, report)
		}
	}
	if report, err := remote.Push(t.Context(), s, r, what, remote.PushOptions{}); err != nil || report.Sent.Files != 0 {
		t.Errorf("the last push: %+v, %v", report, err)
	}
	to := store(t)
	fetched(t, s, to, remote.NewReader(to, r, impatient))
}

func puts(string) bool { return true }

// emptied says that it holds nothing, so that all is sent anew.
type emptied struct{ remote.Remote }

func (e *emptied) Stat(context.Context, string) (remote.Info, error) {
	return remote.Info{}, artifacts.ErrNotFound
}

// Time tests that nothing is waited for for ever, in the time of a bubble: open
// gives a Remote that may be used in one.
func Time(t *testing.T, open func(t *testing.T) remote.Remote) {
	drip := func(ctx context.Context) error {
		select {
		case <-time.After(20 * time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for name, h := range map[string]*Hostile{"dripping": {Drip: drip}, "silent": {Drip: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { slow(t, open(t), h) })
		})
	}
	t.Run("deaf", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := &Hostile{Hang: make(chan struct{})}
			slow(t, open(t), h)
			close(h.Hang) // what comes now reaches nobody
			synctest.Wait()
		})
	})
}

func slow(t *testing.T, r remote.Remote, h *Hostile) {
	s, _ := pushed(t, r)
	_ = s
	h.Remote = r
	to := store(t)
	reader := remote.NewReader(to, h, remote.Options{})
	began := time.Now()
	for range 5 {
		a, err := reader.Fetch(t.Context(), artifacts.KeyOf("work a"), "wav", nil)
		if a != nil || err == nil && !reader.GivenUp() {
			t.Errorf("Fetch = %v, %v", a, err)
		}
	}
	// Three failures of three tries of 30 s each, and the waits between them.
	if took := time.Since(began); took > 5*time.Minute {
		t.Errorf("a slow remote held us up for %v", took)
	}
	sound(t, to)
}
