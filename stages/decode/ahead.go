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
	// many may wait to be asked for.
	lookClips = 4 * batchClips
	// batchBytes bounds the clips of a batch together: decoded, they are held.
	batchBytes = 4 << 20
)

// ahead decodes clips by ffmpeg before they are asked for: a stage does its items
// one by one, and a process a clip would cost ten times as much.
//
// Which clips will be asked for it does not know: some may be in the store. So it
// begins with one and takes twice as many each time, of the clips that follow in
// the input, unless many are there that no one has asked for yet. What comes of a
// clip does not depend on the others that are decoded with it.
type ahead struct {
	f       *ffmpeg
	clips   *rows.Set[table.Clip]
	entries []rows.Entry
	dir     string

	mu    sync.Mutex
	place map[rows.Ref]int     // in entries
	asked map[rows.Ref]bool    // for, or decoded ahead: not to be taken again
	ready map[rows.Ref]*result // decoded ahead, and not asked for yet
	size  int                  // of the next batch
}

// A result is closed when it is there.
type result struct {
	decoded
	done chan struct{}
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
	a.mu.Lock()
	r := a.ready[ref]
	a.asked[ref] = true
	if r == nil {
		a.mu.Unlock()
		return a.batch(ctx, ref, clip)
	}
	delete(a.ready, ref)
	a.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
		return decoded{err: ctx.Err()}
	}
	if errors.Is(r.err, context.Canceled) && ctx.Err() == nil { // its own ctx, not ours
		return a.batch(ctx, ref, clip)
	}
	return r.decoded
}

// batch decodes the clip and those that follow.
func (a *ahead) batch(ctx context.Context, ref rows.Ref, clip table.Clip) decoded {
	more, results := a.take(ref)
	data := append([][]byte{clip.Audio}, more...)
	all := a.f.decodeAll(ctx, data, a.dir)
	for i, r := range results {
		r.decoded = all[i+1]
		close(r.done)
	}
	return all[0]
}

// take chooses the clips of a batch after the one at ref, and says that they are
// on their way.
func (a *ahead) take(ref rows.Ref) (data [][]byte, results []*result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	from, total := a.place[ref]+1, 0
	for _, e := range a.entries[from:min(len(a.entries), from+lookClips)] {
		if len(data)+1 >= a.size || len(a.ready) >= lookClips {
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
		r := &result{done: make(chan struct{})}
		a.asked[e.Ref], a.ready[e.Ref] = true, r
		data, results = append(data, clip.Audio), append(results, r)
	}
	a.size = min(2*a.size, batchClips)
	return data, results
}
