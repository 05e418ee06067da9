package decode

import (
	"context"
	"errors"
	"sync"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
)

const (
	// batchClips is how many clips one process of ffmpeg decodes. Its start
	// costs as much as eight clips do; twenty share it well.
	batchClips = 20
	// lookClips is how far those are looked for that ffmpeg has to decode, and how
	// many may wait to be asked for; none is taken while they hold waitBytes of sound.
	lookClips = 4 * batchClips
	waitBytes = 64 << 20
	// staleAfter is for how many others a clip waits. Clips are asked for about as
	// they come in the input, so one that was left out for so long will not be.
	staleAfter = 2 * lookClips
	// batchBytes bounds the clips of a batch together: decoded, they are held.
	batchBytes = 4 << 20
)

// ahead decodes clips by ffmpeg before they are asked for: a stage does its items
// one by one, and a process a clip would cost ten times as much.
//
// Which clips will be asked for it does not know: some may be in the store. So it
// begins with one and takes twice as many each time, of the clips that follow in
// the input, unless many are there that no one has asked for yet. Those that no one
// will ask for are let go. What comes of a clip does not depend on the others that
// are decoded with it.
type ahead struct {
	f       *ffmpeg
	clips   *rows.Set[table.Clip]
	entries []rows.Entry
	dir     string

	mu    sync.Mutex
	place map[rows.Ref]int     // in entries
	asked map[rows.Ref]bool    // for, or decoded ahead: not to be taken again
	ready map[rows.Ref]*result // decoded ahead, and not asked for yet
	queue []rows.Ref           // of ready, the oldest first, and some that were asked for
	asks  int                  // so far
	bytes int                  // of the sound in ready
	size  int                  // of the next batch
}

// A result is closed when it is there.
type result struct {
	decoded
	asks  int // when it was taken
	bytes int // of its sound, once it is there
	done  chan struct{}
	lost  bool // what it waited for was cut short
	// dropped: it waits no more, for it was asked for, or let go.
	dropped bool
}

func newAhead(f *ffmpeg, clips *rows.Set[table.Clip], entries []rows.Entry, dir string) *ahead {
	a := &ahead{f: f, clips: clips, entries: entries, dir: dir, size: 1,
		place: map[rows.Ref]int{}, asked: map[rows.Ref]bool{}, ready: map[rows.Ref]*result{}}
	for i, e := range entries {
		a.place[e.Ref] = i
	}
	return a
}

// decode decodes the clip at ref.
func (a *ahead) decode(ctx context.Context, ref rows.Ref, clip table.Clip) decoded {
	r := a.ask(ref)
	if r == nil {
		return a.batch(ctx, ref, clip)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return decoded{err: ctx.Err()}
	}
	if r.lost && ctx.Err() == nil { // it was its batch's ctx that ended, not ours
		return a.batch(ctx, ref, clip)
	}
	return r.decoded
}

// ask takes the clip at ref out of those that wait; nil: it is not among them.
func (a *ahead) ask(ref rows.Ref) *result {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.ready[ref]
	a.asked[ref] = true
	a.asks++
	a.drop(ref)
	a.release()
	return r
}

// batch decodes the clip and those that follow.
func (a *ahead) batch(ctx context.Context, ref rows.Ref, clip table.Clip) decoded {
	more, results := a.take(ref)
	data := append([][]byte{clip.Audio}, more...)
	all := a.f.decodeAll(ctx, data, a.dir)
	a.finish(results, all[1:], ctx.Err() != nil)
	return all[0]
}

// finish hands over what came of clips that were decoded ahead; lost: the batch was
// cut short, and what its errors are is not of the clips.
func (a *ahead) finish(results []*result, all []decoded, lost bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, r := range results {
		r.decoded, r.lost = all[i], lost && all[i].err != nil
		close(r.done)
		if r.pcm != nil && !r.dropped {
			r.bytes = 4 * len(r.pcm.Samples)
			a.bytes += r.bytes
		}
	}
}

// release lets go of what has waited too long. Who does ask for such a clip has it
// decoded again.
func (a *ahead) release() {
	for ; len(a.queue) > 0; a.queue = a.queue[1:] {
		if r := a.ready[a.queue[0]]; r != nil && a.asks-r.asks <= staleAfter {
			break
		}
		a.drop(a.queue[0])
	}
}

// drop takes a clip out of those that wait, if it is there.
func (a *ahead) drop(ref rows.Ref) {
	if r := a.ready[ref]; r != nil {
		delete(a.ready, ref)
		a.bytes -= r.bytes
		r.dropped = true
	}
}

// take chooses the clips of a batch after the one at ref, and says that they are
// on their way.
func (a *ahead) take(ref rows.Ref) (data [][]byte, results []*result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	from, total := a.place[ref]+1, 0
	for _, e := range a.entries[from:min(len(a.entries), from+lookClips)] {
		if len(data)+1 >= a.size || len(a.ready) >= lookClips || a.bytes >= waitBytes {
			break
		}
		if a.asked[e.Ref] {
			continue
		}
		clip, err := a.clips.Row(e.Ref)
		if err != nil {
			break // its own turn will tell
		}
		if _, err := audio.Probe(clip.Audio); !errors.Is(err, audio.ErrUnsupported) {
			continue
		}
		if total += len(clip.Audio); total > batchBytes {
			break
		}
		r := &result{asks: a.asks, done: make(chan struct{})}
		a.asked[e.Ref], a.ready[e.Ref] = true, r
		data, results, a.queue = append(data, clip.Audio), append(results, r), append(a.queue, e.Ref)
	}
	a.size = min(2*a.size, batchClips)
	return data, results
}
