package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hearsight/hearsight/pipeline"
)

// A journal is what a run wrote: its events, and its folder.
type journal struct {
	dir    string
	events []pipeline.Event
}

// journals reads those of all runs on a store, in order.
func journals(store string) ([]journal, error) {
	files, err := filepath.Glob(filepath.Join(store, "runs", "*", pipeline.JournalName))
	if err != nil {
		return nil, err
	}
	var out []journal
	for _, f := range files {
		events, err := pipeline.ReadJournal(f)
		if err != nil {
			return nil, err
		}
		out = append(out, journal{filepath.Dir(f), events})
	}
	return out, nil
}

// wall is how many seconds the stage was at work until it had the result with
// this digest, over all attempts; 0 if no journal tells.
func wall(all []journal, stage, digest string) float64 {
	key := ""
	for _, j := range all {
		for _, ev := range j.events {
			if ev.Type == pipeline.StageFinished && ev.Stage == stage && ev.Digest == digest {
				key = ev.Key
			}
		}
	}
	if key == "" {
		return 0
	}
	total, sum := 0.0, 0.0
	for _, j := range all {
		started := time.Time{}
		for _, ev := range j.events {
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
				if started.IsZero() {
					continue
				}
				sum += ev.Time.Sub(started).Seconds()
				started = time.Time{}
				if ev.Type == pipeline.StageFinished {
					total, sum = sum, 0
				}
			}
		}
		if !started.IsZero() { // killed
			sum += max(0, lastSign(j, stage).Sub(started).Seconds())
		}
	}
	return total
}

// lastSign is when a stage of a killed run was last heard of.
func lastSign(j journal, stage string) time.Time {
	last := time.Time{}
	for _, ev := range j.events {
		if ev.Stage == stage {
			last = ev.Time
		}
	}
	if lines, err := trainingLines(j.dir, stage); err == nil && len(lines) > 0 && lines[len(lines)-1].Time.After(last) {
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
