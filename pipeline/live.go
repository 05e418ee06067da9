package pipeline

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// Progress is not in a run's journal. For who looks on from elsewhere the run
// keeps the last of each running stage in this file beside it, a JSON list of
// events.
const liveName = "now.json"

// liveEvery is how often it is written at most.
const liveEvery = time.Second

// A live writes that file. Nothing depends on it: what cannot be written is not
// there.
type live struct {
	path    string
	now     []Event // of the running stages
	written time.Time
}

// event takes note of ev and writes the file, if it is time to.
func (l *live) event(ev Event) {
	at := slices.IndexFunc(l.now, func(x Event) bool { return x.Stage == ev.Stage })
	switch ev.Type {
	case Progress:
		ev.Metrics = finite(ev.Metrics)
		if at < 0 {
			l.now = append(l.now, ev)
		} else {
			l.now[at] = ev
		}
	case StageFinished, StageFailed, StageStopped:
		if at >= 0 {
			l.now = slices.Delete(l.now, at, at+1)
		}
		return
	case RunEnded:
		if !l.written.IsZero() {
			_ = os.Remove(l.path) // one that stays is not read: its run has ended
		}
		return
	default:
		return
	}
	if ev.Time.Sub(l.written) < liveEvery {
		return
	}
	l.written = ev.Time
	data, err := json.Marshal(l.now)
	if err != nil {
		return
	}
	// In one step, or readers would see a part of it; it need not outlive a power
	// failure.
	if tmp := l.path + ".tmp"; os.WriteFile(tmp, data, 0o644) == nil {
		_ = os.Rename(tmp, l.path)
	}
}

// ReadLive returns how far the stages are that the run in dir is at: the last
// Progress of each, at most about a second old. It means nothing of a run that
// is not alive.
func ReadLive(dir string) (now []Event) {
	data, err := os.ReadFile(filepath.Join(dir, liveName))
	if err != nil || json.Unmarshal(data, &now) != nil {
		return nil
	}
	return now
}

// RunIsAlive reports whether a process is at the run in dir: it holds a lock on
// the run's journal, which dies with it.
func RunIsAlive(dir string) bool {
	f, err := os.Open(filepath.Join(dir, JournalName))
	if err != nil {
		return false
	}
	defer f.Close()
	free, err := atomicfile.Flock(f, atomicfile.Exclusive)
	return err == nil && !free
}
