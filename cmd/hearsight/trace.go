package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/pipeline"
)

// A traceEvent is one line of Chrome's trace event format, which Perfetto reads
// too. Times are microseconds since the run began.
type traceEvent struct {
	Name  string         `json:"name"`
	Phase string         `json:"ph"` // X: lasted, i: an instant, M: a name of a process or thread
	Cat   string         `json:"cat,omitempty"`
	Time  int64          `json:"ts"`
	Dur   int64          `json:"dur,omitempty"`
	PID   int            `json:"pid"` // a stage
	TID   int            `json:"tid"` // 0 the stage itself, then as many lanes as shards ran at once
	Scope string         `json:"s,omitempty"`
	Args  map[string]any `json:"args,omitempty"`
}

// writeTrace writes a run's events as a trace.
func writeTrace(path string, events []pipeline.Event) error {
	if len(events) == 0 {
		return errors.New("trace: the run has no journal")
	}
	data, err := json.Marshal(map[string]any{"displayTimeUnit": "ms", "traceEvents": traceOf(events)})
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return nil
}

// A tracer turns events into a trace: a process for the run and one for each
// stage that did something.
type tracer struct {
	began, last time.Time
	out         []traceEvent
	stages      map[string]*tracedStage
}

type tracedStage struct {
	pid     int
	started *pipeline.Event            // nil while it is not running
	shards  map[string]*pipeline.Event // running
	lane    map[string]int             // of those
}

func traceOf(events []pipeline.Event) []traceEvent {
	t := &tracer{began: events[0].Time, last: events[len(events)-1].Time, stages: map[string]*tracedStage{}}
	t.name("process_name", "run "+events[0].Run, 0, 0)
	for i := range events {
		t.event(&events[i])
	}
	for name, s := range t.stages { // what a killed run was at
		for shard := range s.shards {
			t.endShard(s, shard, &pipeline.Event{Time: t.last, Stage: name, Shard: shard, Reason: "not finished"})
		}
		if s.started != nil {
			t.span(s.started, t.last, name, "stage", s.pid, 0, map[string]any{"ended": "not finished"})
		}
	}
	t.span(&events[0], t.last, "run", "run", 0, 0, nil)
	slices.SortStableFunc(t.out, func(a, b traceEvent) int { return int(a.Time - b.Time) })
	return t.out
}

func (t *tracer) event(ev *pipeline.Event) {
	if ev.Stage == "" {
		return
	}
	switch ev.Type {
	case pipeline.StageStarted:
		t.stage(ev.Stage).started = ev
	case pipeline.StageFinished, pipeline.StageFailed, pipeline.StageStopped:
		s := t.stage(ev.Stage)
		if s.started != nil {
			t.span(s.started, ev.Time, ev.Stage, "stage", s.pid, 0, map[string]any{"ended": string(ev.Type), "why": s.started.Reason, "counts": ev.Counts, "reason": ev.Reason})
		}
		s.started = nil
	case pipeline.ShardStarted:
		s := t.stage(ev.Stage)
		lane := 1
		for used(s.lane, lane) {
			lane++
		}
		s.shards[ev.Shard], s.lane[ev.Shard] = ev, lane
	case pipeline.ShardFinished:
		t.endShard(t.stage(ev.Stage), ev.Shard, ev)
	case pipeline.ItemFinished:
		s := t.stage(ev.Stage)
		start := ev.Time.Add(-time.Duration(ev.Seconds * float64(time.Second)))
		args := map[string]any{"seconds": ev.Seconds}
		if ev.Reason != "" {
			args["rejected"] = ev.Reason
		}
		t.span(&pipeline.Event{Time: start}, ev.Time, ev.Item, "item", s.pid, s.lane[ev.Shard], args)
	case pipeline.Retried, pipeline.Rebuilt, pipeline.Message:
		t.out = append(t.out, traceEvent{Name: ev.Reason, Phase: "i", Cat: string(ev.Type), Time: t.at(ev.Time), PID: t.stage(ev.Stage).pid, Scope: "p"})
	}
}

func (t *tracer) endShard(s *tracedStage, shard string, ev *pipeline.Event) {
	if from := s.shards[shard]; from != nil {
		t.span(from, ev.Time, "shard "+shard, "shard", s.pid, s.lane[shard], map[string]any{"counts": ev.Counts, "reason": ev.Reason})
	}
	delete(s.shards, shard)
	delete(s.lane, shard)
}

func used(lanes map[string]int, n int) bool {
	for _, l := range lanes {
		if l == n {
			return true
		}
	}
	return false
}

func (t *tracer) stage(name string) *tracedStage {
	s := t.stages[name]
	if s == nil {
		s = &tracedStage{pid: len(t.stages) + 1, shards: map[string]*pipeline.Event{}, lane: map[string]int{}}
		t.stages[name] = s
		t.name("process_name", name, s.pid, 0)
	}
	return s
}

func (t *tracer) name(what, name string, pid, tid int) {
	t.out = append(t.out, traceEvent{Name: what, Phase: "M", PID: pid, TID: tid, Args: map[string]any{"name": name}})
}

func (t *tracer) at(x time.Time) int64 { return max(0, x.Sub(t.began).Microseconds()) }

func (t *tracer) span(from *pipeline.Event, to time.Time, name, cat string, pid, tid int, args map[string]any) {
	start := t.at(from.Time)
	t.out = append(t.out, traceEvent{Name: name, Phase: "X", Cat: cat, Time: start, Dur: max(1, t.at(to)-start), PID: pid, TID: tid, Args: args})
}
