package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hearsight/hearsight/pipeline"
	"github.com/rs/zerolog"
)

// A view shows a run to whoever watches: bars on a terminal, a line now and
// then elsewhere, JSON lines on request. All of it but progress also goes to
// the run's log, a zerolog file beside its journal.
type view struct {
	say    zerolog.Logger // lines for people, or JSON
	json   bool
	bars   *bars // nil unless on a terminal
	log    zerolog.Logger
	logF   *os.File
	idle   []*bufio.Writer // of both, held back while nothing but up-to-date stages is said
	out    io.Writer
	runDir string               // of this run, made by the time it has started; "" if it is another process's
	shown  map[string]time.Time // when a stage was last spoken of
}

// sayEvery is how often progress is said where there is no terminal.
const sayEvery = 5 * time.Second

func (a *app) newView() *view {
	v := &view{json: a.json, out: a.stdout, log: zerolog.Nop(), shown: map[string]time.Time{}}
	switch {
	case a.json:
		v.say = zerolog.New(a.stdout)
	case tty(a.stderr):
		v.bars = newBars(a.stderr)
		v.say = zerolog.New(lines{v.bars})
	default:
		w := bufio.NewWriterSize(a.stderr, 32<<10)
		v.idle = append(v.idle, w)
		v.say = zerolog.New(lines{w})
	}
	return v
}

// lines writes a logger's messages as plain lines.
type lines struct{ w io.Writer }

func (l lines) Write(b []byte) (int, error) {
	text, ok := messageOf(b)
	if !ok {
		return len(b), nil
	}
	if _, err := io.WriteString(l.w, printable(text)+"\n"); err != nil {
		return 0, err
	}
	return len(b), nil
}

// openLog begins the run's log. People who cannot read a log can still run.
func (v *view) openLog() {
	f, err := os.OpenFile(filepath.Join(v.runDir, "run.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		v.say.Warn().Msgf("no run log: %v", err)
		return
	}
	w := bufio.NewWriterSize(f, 32<<10)
	v.idle = append(v.idle, w)
	v.logF, v.log = f, zerolog.New(w)
}

// event is called for one event at a time.
func (v *view) event(ev pipeline.Event) {
	if ev.Type != pipeline.StageCached && ev.Type != pipeline.ShardCached {
		defer v.flush()
	}
	if ev.Type == pipeline.RunStarted && v.runDir != "" {
		v.openLog()
	}
	if ev.Type != pipeline.Progress && ev.Type != pipeline.ItemFinished {
		entry(v.log, ev).Msg(sentence(ev))
	}
	if v.json {
		if ev.Type != pipeline.ItemFinished {
			entry(v.say, ev).Msg(sentence(ev))
		}
		return
	}
	if v.bars != nil {
		v.bars.event(ev)
	}
	switch ev.Type {
	case pipeline.Progress:
		if v.bars != nil || ev.Time.Sub(v.shown[ev.Stage]) < sayEvery {
			return
		}
		if _, seen := v.shown[ev.Stage]; seen || ev.Seconds > 0 { // the first tick says nothing yet
			v.say.Info().Msg(sentence(ev))
		}
		v.shown[ev.Stage] = ev.Time
	case pipeline.StageStarted:
		v.shown[ev.Stage] = ev.Time
		v.say.Info().Msg(sentence(ev))
	case pipeline.StageCached, pipeline.StageFinished, pipeline.StageFailed, pipeline.StageBlocked,
		pipeline.StageStopped, pipeline.Retried, pipeline.Rebuilt, pipeline.Message:
		v.say.Info().Msg(sentence(ev))
	}
}

func (v *view) flush() {
	for _, w := range v.idle {
		_ = w.Flush() // as a line that cannot be written
	}
}

// entry is a log line with an event's fields.
func entry(l zerolog.Logger, ev pipeline.Event) *zerolog.Event {
	level := zerolog.InfoLevel
	switch {
	case ev.Type == pipeline.StageFailed:
		level = zerolog.ErrorLevel
	case ev.Warning, ev.Type == pipeline.Retried, ev.Type == pipeline.Rebuilt:
		level = zerolog.WarnLevel
	}
	e := l.WithLevel(level).Time("time", ev.Time).Str("event", string(ev.Type))
	for _, f := range [][2]string{{"run", ev.Run}, {"stage", ev.Stage}, {"kind", ev.Kind}, {"shard", ev.Shard}, {"item", ev.Item}, {"key", ev.Key}, {"digest", ev.Digest}, {"reason", ev.Reason}, {"unit", ev.Unit}, {"state", ev.State}} {
		if f[1] != "" {
			e = e.Str(f[0], f[1])
		}
	}
	for _, f := range []struct {
		name string
		n    int64
	}{{"total", ev.Total}, {"finished", ev.Finished}, {"done", ev.Done}, {"resumed", ev.Resumed}, {"taken", ev.Taken}, {"cached", ev.Cached}, {"rejected", ev.Rejected}} {
		if f.n != 0 {
			e = e.Int64(f.name, f.n)
		}
	}
	for _, m := range ev.Metrics {
		if !math.IsNaN(m.Value) && !math.IsInf(m.Value, 0) {
			e = e.Float64(strings.ReplaceAll(m.Name, " ", "_"), m.Value)
		}
	}
	if ev.Seconds != 0 {
		e = e.Float64("seconds", ev.Seconds)
	}
	if ev.CPUSeconds != 0 {
		e = e.Float64("cpu_seconds", ev.CPUSeconds)
	}
	return e
}

// end prints how the run ended.
func (v *view) end(res *pipeline.Result) {
	if v.bars != nil {
		v.bars.stop()
	}
	if res == nil || v.json {
		return
	}
	ran, cached := 0, 0
	var rejected int64
	for _, s := range res.Stages {
		switch s.State {
		case pipeline.StageFinished:
			ran++
		case pipeline.StageCached:
			cached++
		}
		if s.Artifact != nil {
			rejected += s.Artifact.Manifest.Rejected
		}
	}
	text := fmt.Sprintf("%d stages ran, %d were up to date", ran, cached)
	if rejected > 0 {
		text += fmt.Sprintf(", %d items set aside (hearsight status names them)", rejected)
	}
	fmt.Fprintln(v.out, text)
}

func (v *view) close() error {
	if v.bars != nil {
		v.bars.stop()
	}
	v.flush()
	if v.logF == nil {
		return nil
	}
	f := v.logF
	v.logF = nil
	return errors.Join(f.Sync(), f.Close())
}
