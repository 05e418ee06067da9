package main

import (
	"testing"
	"time"

	"github.com/hearsight/hearsight/pipeline"
)

// TestTraceOfKilledRun checks that what had begun when a run was killed is in
// its trace to the last moment known, and that shards that ran at once lie in
// lanes of their own.
func TestTraceOfKilledRun(t *testing.T) {
	at := func(ms int, typ pipeline.EventType, stage, shard string) pipeline.Event {
		return pipeline.Event{Time: time.UnixMilli(int64(1000 + ms)), Type: typ, Stage: stage, Shard: shard}
	}
	got := traceOf([]pipeline.Event{
		at(0, pipeline.RunStarted, "", ""),
		at(10, pipeline.StageStarted, "mfcc", ""),
		at(11, pipeline.ShardStarted, "mfcc", "0/2"),
		at(12, pipeline.ShardStarted, "mfcc", "1/2"),
		at(20, pipeline.ShardFinished, "mfcc", "0/2"),
		at(30, pipeline.Message, "mfcc", ""),
	})
	type span struct {
		ts, dur int64
		tid     int
	}
	want := map[string]span{
		"run": {0, 30000, 0}, "mfcc": {10000, 20000, 0},
		"shard 0/2": {11000, 9000, 1}, "shard 1/2": {12000, 18000, 2},
	}
	for _, ev := range got {
		if ev.Phase != "X" {
			continue
		}
		if w, ok := want[ev.Name]; !ok || w != (span{ev.Time, ev.Dur, ev.TID}) {
			t.Errorf("%s: %+v, want %+v", ev.Name, ev, w)
		}
		delete(want, ev.Name)
	}
	if len(want) > 0 {
		t.Errorf("not in the trace: %v", want)
	}
}
