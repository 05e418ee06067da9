package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/hearsight/hearsight/pipeline"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bars draws a bar for each running stage on a terminal.
type bars struct {
	mu   sync.Mutex
	p    *mpb.Progress
	stop func()
	of   map[string]*bar
}

type bar struct {
	bar  *mpb.Bar
	mu   sync.Mutex
	text string
}

func newBars(w io.Writer) *bars {
	ctx, cancel := context.WithCancel(context.Background())
	p := mpb.NewWithContext(ctx, mpb.WithOutput(w), mpb.WithWidth(28))
	b := &bars{p: p, of: map[string]*bar{}}
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			b.mu.Lock()
			for _, x := range b.of {
				x.bar.Abort(true)
			}
			b.mu.Unlock()
			cancel()
			p.Wait()
		})
	}
	return b
}

// Write prints lines above the bars.
func (b *bars) Write(text []byte) (int, error) { return b.p.Write(text) }

func (b *bars) event(ev pipeline.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev.Type {
	case pipeline.Progress:
		x := b.of[ev.Stage]
		if x == nil {
			x = b.add(ev)
		}
		x.mu.Lock()
		x.text = progress(withoutTimeLeft(ev)) // the bar reckons it itself
		x.mu.Unlock()
		x.bar.SetTotal(ev.Total, false)
		x.bar.SetCurrent(ev.Finished)
	case pipeline.StageFinished, pipeline.StageFailed, pipeline.StageStopped:
		if x := b.of[ev.Stage]; x != nil {
			x.bar.Abort(true)
			delete(b.of, ev.Stage)
		}
	}
}

func (b *bars) add(ev pipeline.Event) *bar {
	x := &bar{}
	x.bar = b.p.AddBar(ev.Total,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-20s", ev.Stage))),
		mpb.AppendDecorators(
			decor.Any(func(decor.Statistics) string {
				x.mu.Lock()
				defer x.mu.Unlock()
				return x.text
			}, decor.WCSyncSpaceR),
			decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), ""),
		))
	b.of[ev.Stage] = x
	return x
}
