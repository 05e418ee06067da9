package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/stages/stage"
)

// messageOf takes the message out of a logger's JSON line.
func messageOf(line []byte) (string, bool) {
	var m struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(line, &m); err != nil || m.Message == "" {
		return "", false
	}
	return m.Message, true
}

// sentence says an event in words.
func sentence(ev pipeline.Event) string {
	switch ev.Type {
	case pipeline.RunStarted:
		return "run " + ev.Run + " started"
	case pipeline.RunEnded:
		return fmt.Sprintf("run %s in %s, %.1f s of CPU", ev.State, seconds(ev.Seconds), ev.CPUSeconds)
	case pipeline.StageCached:
		if ev.Reason != "" {
			return fmt.Sprintf("%-20s %s", ev.Stage, ev.Reason)
		}
		return fmt.Sprintf("%-20s up to date", ev.Stage)
	case pipeline.StageStarted:
		return fmt.Sprintf("%-20s started: %s", ev.Stage, ev.Reason)
	case pipeline.StageFinished:
		return fmt.Sprintf("%-20s done in %s%s", ev.Stage, seconds(ev.Seconds), counts(ev.Counts))
	case pipeline.StageFailed:
		return fmt.Sprintf("%-20s failed: %s", ev.Stage, ev.Reason)
	case pipeline.StageBlocked:
		return fmt.Sprintf("%-20s not run: %s", ev.Stage, ev.Reason)
	case pipeline.StageStopped:
		return fmt.Sprintf("%-20s stopped; the next run goes on from here", ev.Stage)
	case pipeline.Retried:
		return fmt.Sprintf("%-20s trying again: %s", ev.Stage, ev.Reason)
	case pipeline.Rebuilt:
		return fmt.Sprintf("%-20s made again: %s", ev.Stage, ev.Reason)
	case pipeline.Message:
		if ev.Warning {
			return fmt.Sprintf("%-20s warning: %s", ev.Stage, ev.Reason)
		}
		return fmt.Sprintf("%-20s %s", ev.Stage, ev.Reason)
	case pipeline.Progress:
		return fmt.Sprintf("%-20s %s", ev.Stage, progress(ev))
	}
	return strings.TrimSpace(string(ev.Type) + " " + ev.Stage + " " + ev.Shard)
}

// progress says how far a stage is: "12/400 items, loss 1.93".
func progress(ev pipeline.Event) string {
	text := fmt.Sprintf("%d/%d %s", ev.Finished, ev.Total, ev.Unit)
	for _, m := range ev.Metrics {
		if !math.IsNaN(m.Value) {
			text += fmt.Sprintf(", %s %s", m.Name, short(m.Value))
		}
	}
	return text
}

// timeLeft is the metric that says how many seconds are left.
const timeLeft = "s left"

func withoutTimeLeft(ev pipeline.Event) pipeline.Event {
	ev.Metrics = slices.DeleteFunc(slices.Clone(ev.Metrics), func(m stage.Metric) bool { return m.Name == timeLeft })
	return ev
}

func short(x float64) string {
	if x != 0 && (math.Abs(x) < 1e-3 || math.Abs(x) >= 1e5) {
		return fmt.Sprintf("%.2e", x)
	}
	return fmt.Sprintf("%.4g", x)
}

// counts says where a stage's items came from.
func counts(c pipeline.Counts) string {
	var parts []string
	for _, p := range []struct {
		n    int64
		word string
	}{{c.Done, "done"}, {c.Resumed, "resumed"}, {c.Taken, "taken over"}, {c.Cached, "cached"}, {c.Rejected, "set aside"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// seconds writes a duration as a person would: 0.35 s, 12 s, 3m20s.
func seconds(s float64) string {
	switch {
	case s < 10:
		return fmt.Sprintf("%.2f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	}
	return (time.Duration(s) * time.Second).String()
}
