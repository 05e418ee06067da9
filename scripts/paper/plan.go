package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A task is a row with how long it is trained.
type task struct {
	row   row
	steps int64 // 0: by epochs
	pace  pace  // zero: not measured
}

func (t task) String() string {
	switch {
	case t.row.untrained:
		return t.row.name + ": untrained"
	case t.steps == 0:
		return fmt.Sprintf("%s: %d epochs", t.row.name, epochs)
	}
	text := fmt.Sprintf("%s: %s steps, %s pairs", t.row.name, count(t.steps), count(batch*t.steps))
	if t.pace.Step > 0 {
		text += ", about " + minutes(t.pace.minutes(t.steps))
	}
	return text
}

// planned says how long each row is trained, and prints how a budget came to
// that.
func planned(ctx context.Context, p *program, o options, rows []row) (out []task, err error) {
	if o.steps >= 0 {
		for _, r := range rows {
			out = append(out, task{row: r, steps: o.steps})
		}
		return out, nil
	}
	known, err := measured(ctx, p, o, rows)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(p.out, "%s a trained row on %s:\n", minutes(o.budget), machine())
	full := fullSteps(o.photos)
	for _, r := range rows {
		if r.untrained {
			out = append(out, task{row: r})
			continue
		}
		v := known[r.load]
		t := task{row: r, steps: v.steps(o.budget), pace: v}
		fmt.Fprintf(p.out, "  %-16s %.3f s a step (%d measured %s; %s) and %.1f s a scoring: ", r.name, v.Step, v.Steps, v.Date, r.load, v.Fixed)
		switch {
		case t.steps == 0:
			fmt.Fprintf(p.out, "left out, 100 steps take %s\n", minutes(v.minutes(100)))
			continue
		case t.steps >= full:
			t.steps = 0
			fmt.Fprintf(p.out, "the whole recipe, %s steps\n", count(full))
		default:
			fmt.Fprintf(p.out, "%s steps\n", count(t.steps))
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, errors.New("no row has a budget of 100 steps")
	}
	return out, nil
}

// measured are the paces of the rows' loads; those not known yet, or all if
// o.measure says so, are measured, on few photos.
func measured(ctx context.Context, p *program, o options, rows []row) (_ map[string]pace, err error) {
	if o.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("%w: say with -cache where step times are kept", err)
		}
		o.cache = filepath.Join(dir, "hearsight", "paper.json")
	}
	kept, err := openPaces(o.cache)
	if err != nil {
		return nil, err
	}
	few := *p
	few.photos, few.captions = 60, 1
	// Its own, for another run may measure at the same time.
	if few.store, err = os.MkdirTemp("", "hearsight-paper-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(few.store)) }()
	out := map[string]pace{}
	for _, r := range rows {
		if _, ok := out[r.load]; ok || r.untrained {
			continue
		}
		v, ok := kept.of(r.load)
		if !ok || o.measure {
			fmt.Fprintf(p.out, "measuring a step of %s (%s)\n", r.name, r.load)
			if v, err = few.measure(ctx, r); err != nil {
				return nil, err
			}
			if err := kept.put(r.load, v); err != nil {
				return nil, err
			}
		}
		out[r.load] = v
	}
	return out, nil
}
