package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hearsight/hearsight/pipeline"
)

// A training is what the journals tell of how a result was made.
type training struct {
	seconds float64 // at work, over all attempts; 0: no journal tells
	date    string  // UTC, when it was done; empty: no journal tells
	machine string  // that the last attempt ran on; empty: no journal tells
}

// trained is how a stage came to the result with this digest: when it was first
// had, for a result that was made again is the same.
func trained(all []pipeline.RunJournal, stage, digest string) training {
	is := func(ev pipeline.Event) bool {
		return ev.Type == pipeline.StageFinished && ev.Stage == stage && ev.Digest == digest
	}
	key := ""
	for _, j := range all {
		if at := slices.IndexFunc(j.Events, is); at >= 0 {
			key = j.Events[at].Key
			break
		}
	}
	var t training
	for _, j := range all {
		started := time.Time{}
		t.machine = ""
		for _, ev := range j.Events {
			if ev.Type == pipeline.RunStarted {
				t.machine = ev.Machine
			}
			if ev.Stage != stage {
				continue
			}
			switch ev.Type {
			case pipeline.StageStarted:
				started = time.Time{}
				if ev.Key == key {
					started = ev.Time
				}
			case pipeline.StageFinished, pipeline.StageStopped, pipeline.StageFailed:
				if !started.IsZero() {
					t.seconds += ev.Time.Sub(started).Seconds()
				}
				started = time.Time{}
				if is(ev) {
					t.date = ev.Time.UTC().Format(time.DateOnly)
					return t
				}
			}
		}
		if !started.IsZero() { // killed
			t.seconds += max(0, lastSign(j, stage).Sub(started).Seconds())
		}
	}
	return training{}
}

// lastSign is when a stage of a killed run was last heard of.
func lastSign(j pipeline.RunJournal, stage string) time.Time {
	last := time.Time{}
	for _, ev := range j.Events {
		if ev.Stage == stage {
			last = ev.Time
		}
	}
	if lines, err := trainingLines(j.Dir, stage); err == nil && len(lines) > 0 && lines[len(lines)-1].Time.After(last) {
		last = lines[len(lines)-1].Time
	}
	return last
}

// trainingLines reads what training told in a run's folder, up to the first line
// that is not whole.
func trainingLines(run, stage string) ([]metricsLine, error) {
	f, err := os.Open(filepath.Join(run, "stage-"+stage, "metrics.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []metricsLine
	for s := bufio.NewScanner(f); s.Scan(); {
		var l metricsLine
		if json.Unmarshal(s.Bytes(), &l) != nil {
			break
		}
		out = append(out, l)
	}
	return out, nil
}
