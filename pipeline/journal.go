package pipeline

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/stages/stage"
)

// An EventType says what happened.
type EventType string

// What can happen in a run. All but Progress are in the journal too.
const (
	RunStarted    EventType = "run_started"
	RunEnded      EventType = "run_ended"
	StageCached   EventType = "stage_cached"
	StageStarted  EventType = "stage_started"
	StageFinished EventType = "stage_finished"
	StageFailed   EventType = "stage_failed"
	StageBlocked  EventType = "stage_blocked" // not run, because of another's failure
	StageStopped  EventType = "stage_stopped" // interrupted; can be resumed
	ShardCached   EventType = "shard_cached"
	ShardStarted  EventType = "shard_started"
	ShardFinished EventType = "shard_finished"
	ItemFinished  EventType = "item_finished" // done now, not taken over
	Retried       EventType = "retried"
	Rebuilt       EventType = "rebuilt" // a damaged input; its stage runs again
	Message       EventType = "message" // from the stage, for a person
	Progress      EventType = "progress"
)

// An Event is one thing that happened in a run. Fields that say nothing of
// the event are zero and left out of JSON.
type Event struct {
	Time    time.Time `json:"time"`
	Type    EventType `json:"type"`
	Run     string    `json:"run,omitempty"`     // RunStarted
	Version string    `json:"version,omitempty"` // RunStarted: of the program
	Machine string    `json:"machine,omitempty"` // RunStarted: what it runs on
	Spec    string    `json:"spec,omitempty"`    // RunStarted: path of the spec
	Targets []string  `json:"targets,omitempty"` // RunStarted: the stages that were selected

	Stage  string `json:"stage,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Shard  string `json:"shard,omitempty"` // "3/16"; shards count from 0
	Item   string `json:"item,omitempty"`
	Key    string `json:"key,omitempty"`    // of the action
	Digest string `json:"digest,omitempty"` // of the artifact
	// Reason says why a stage runs, or failed, or is blocked; why an item was
	// rejected; what is retried; or what the message says.
	Reason  string `json:"reason,omitempty"`
	Warning bool   `json:"warning,omitempty"`

	Counts
	Unit    string         `json:"unit,omitempty"` // Progress: of Finished and Total
	Metrics []stage.Metric `json:"metrics,omitempty"`

	Seconds    float64 `json:"seconds,omitempty"`     // wall time of what ended
	CPUSeconds float64 `json:"cpu_seconds,omitempty"` // RunEnded: ours and our children's
	State      string  `json:"state,omitempty"`       // RunEnded: done, failed, interrupted
}

// Counts are numbers of items.
type Counts struct {
	Total    int64 `json:"total,omitempty"`
	Finished int64 `json:"finished,omitempty"` // of Progress: how far it is
	Done     int64 `json:"done,omitempty"`     // done in this run
	Resumed  int64 `json:"resumed,omitempty"`  // found in the log of an interrupted attempt
	Taken    int64 `json:"taken,omitempty"`    // taken over from the last result
	Cached   int64 `json:"cached,omitempty"`   // in shards that were in the store
	Rejected int64 `json:"rejected,omitempty"`
}

func (c *Counts) add(d Counts) {
	c.Total += d.Total
	c.Finished += d.Finished
	c.Done += d.Done
	c.Resumed += d.Resumed
	c.Taken += d.Taken
	c.Cached += d.Cached
	c.Rejected += d.Rejected
}

// JournalName is the journal's name in a run's folder.
const JournalName = "journal.jsonl"

// A journal records a run's events, a line each:
//
//	{"crc":"1f2e3d4c","event":{…}}
//
// where crc is the CRC-32C of the event's bytes, in hexadecimal. Lines are
// handed to the system one by one, so that only a power failure can lose them,
// and made durable in groups: that is enough for a record that nothing depends
// on. Those that say that nothing was done wait for the next that does.
type journal struct {
	f       *os.File
	buf     []byte // lines not handed over yet
	pending int
	synced  time.Time
	err     error // first failure; later events are not written
}

const (
	syncRecords  = 256
	syncInterval = 200 * time.Millisecond
	maxLine      = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type journalLine struct {
	CRC   string          `json:"crc"`
	Event json.RawMessage `json:"event"`
}

// openJournal opens the journal at path to append to it, after cutting off
// what an interrupted writer left unfinished at its end.
func openJournal(path string, now time.Time) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	// For RunIsAlive. Where there are no locks, or somebody is just asking, the run
	// does without.
	_, _ = atomicfile.Flock(f, atomicfile.Shared)
	_, end, err := readJournal(f)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: %w", err), f.Close())
	}
	return &journal{f: f, synced: now}, nil
}

// write appends ev. Its time decides when the journal is synced.
func (j *journal) write(ev Event) error {
	ev.Metrics = finite(ev.Metrics)
	if j.err != nil {
		return nil // said already
	}
	b, err := json.Marshal(ev)
	if err == nil {
		j.buf = append(j.buf, `{"crc":"`...)
		j.buf = hex.AppendEncode(j.buf, binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli)))
		j.buf = append(append(append(j.buf, `","event":`...), b...), "}\n"...)
		j.pending++
		if idle := ev.Type == StageCached || ev.Type == ShardCached; !idle || len(j.buf) > 64<<10 {
			err = j.flush(ev.Time)
		}
	}
	if err != nil {
		j.err = fmt.Errorf("write journal: %w", err)
	}
	return j.err
}

// flush hands the lines over, and has them made durable now and then.
func (j *journal) flush(now time.Time) error {
	_, err := j.f.Write(j.buf)
	j.buf = j.buf[:0]
	if err == nil && (j.pending >= syncRecords || now.Sub(j.synced) >= syncInterval) {
		j.pending, j.synced = 0, now
		err = j.f.Sync()
	}
	return err
}

// finite leaves out what JSON has no word for: a figure that is not known yet.
func finite(m []stage.Metric) []stage.Metric {
	if len(m) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(m), func(m stage.Metric) bool { return math.IsNaN(m.Value) || math.IsInf(m.Value, 0) })
}

func (j *journal) close() error {
	_, err := j.f.Write(j.buf)
	err = errors.Join(err, j.f.Sync())
	return errors.Join(err, j.f.Close())
}

// ReadJournal returns the events of the journal at path, up to the first line
// that is not whole: what a killed run, or one still going on, left of its last.
func ReadJournal(path string) ([]Event, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	events, _, err := readJournal(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return events, nil
}

// A RunJournal is what a run wrote.
type RunJournal struct {
	Dir    string // the run's folder
	Events []Event
}

// ReadJournals reads the journals of all runs of the store in a folder, the
// oldest first, each as ReadJournal does. It needs no more of the store than
// that, so that it may be asked while others use it.
func ReadJournals(store string) ([]RunJournal, error) {
	runs, err := filepath.Abs(filepath.Join(store, "runs"))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(runs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read journals: %w", err)
	}
	var out []RunJournal
	for _, e := range entries {
		dir := filepath.Join(runs, e.Name())
		events, err := ReadJournal(filepath.Join(dir, JournalName))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue // collected meanwhile, just begun, or no run
		}
		if err != nil {
			return nil, err
		}
		out = append(out, RunJournal{dir, events})
	}
	return out, nil
}

// readJournal returns the whole lines' events and where the last one ends.
func readJournal(r io.Reader) (events []Event, end int64, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := readLine(br)
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrTooLong) {
			return events, end, nil
		}
		if err != nil {
			return events, end, err
		}
		ev, ok := parseLine(line)
		if !ok {
			return events, end, nil
		}
		events = append(events, ev)
		end += int64(len(line))
	}
}

// readLine returns the next line with its end; a last line without one is io.EOF.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxLine:
			return nil, bufio.ErrTooLong
		}
	}
}

func parseLine(line []byte) (ev Event, ok bool) {
	var l journalLine
	if err := json.Unmarshal(line, &l); err != nil {
		return ev, false
	}
	if l.CRC != fmt.Sprintf("%08x", crc32.Checksum(l.Event, castagnoli)) {
		return ev, false
	}
	return ev, json.Unmarshal(l.Event, &ev) == nil
}

// A StageTime is how long a stage took the last time it ran to its end.
type StageTime struct {
	Wall  time.Duration
	Items int64 // of a per-item stage: how many were done in that time
	Run   string
	Ended time.Time
}

// LastTimes reads the journals of the last runs, at most that many, and
// returns what each stage took when it last ran: what a plan may expect.
// Journals that cannot be read are passed over.
func LastTimes(store *artifacts.Store, runs int) map[string]StageTime {
	out := make(map[string]StageTime)
	ids := store.Runs()
	for _, id := range slices.Backward(ids[max(0, len(ids)-runs):]) {
		events, err := ReadJournal(filepath.Join(store.RunDir(id), JournalName))
		if err != nil {
			continue
		}
		for _, ev := range events {
			if old, ok := out[ev.Stage]; ev.Type == StageFinished && (!ok || old.Run == id) {
				out[ev.Stage] = StageTime{Wall: time.Duration(ev.Seconds * float64(time.Second)), Items: ev.Done, Run: id, Ended: ev.Time}
			}
		}
	}
	return out
}

// cpuSeconds is the processor time that this process, the children it waited
// for and those that the executor knows of have used.
func (r *run) cpuSeconds() (s float64) {
	if a, ok := r.exec.(Accountant); ok {
		s = a.CPUTime().Seconds()
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			s += float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
		}
	}
	return s
}
