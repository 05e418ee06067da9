package pipeline

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hearsight/hearsight/artifacts"
)

// A StageOutcome is what a run's journal says of a stage that has a result.
type StageOutcome struct {
	Key     artifacts.ActionKey `json:"key"`
	Digest  artifacts.Digest    `json:"digest"`
	Cached  bool                `json:"cached"` // found, not made, by this run
	Seconds float64             `json:"seconds,omitempty"`
}

// A StageDiff says how a stage's results of two runs differ. A or B is nil if
// that run has none.
type StageDiff struct {
	Stage string        `json:"stage"`
	A     *StageOutcome `json:"a,omitempty"`
	B     *StageOutcome `json:"b,omitempty"`
	// Changes are the lines of the two actions' descriptions that differ: the
	// parameters and inputs. Gone says that one of the descriptions is no longer
	// in the store, so that they are not known.
	Changes []Change `json:"changes,omitempty"`
	Gone    bool     `json:"gone,omitempty"`
	// Items counts, of a per-item stage with another key in B, the items that
	// differ, by all that decides their rows; nil if they are not known.
	Items *ItemChanges `json:"items,omitempty"`
}

// Same reports whether both runs have the same result.
func (d *StageDiff) Same() bool {
	return d.A != nil && d.B != nil && d.A.Digest == d.B.Digest
}

// CompareRuns says how the results of run b differ from those of run a, for
// each stage of either, in the order in which they come in the journals.
func CompareRuns(s *artifacts.Store, a, b string) ([]StageDiff, error) {
	var out []StageDiff
	at := make(map[string]int)
	for i, id := range []string{a, b} {
		events, err := ReadJournal(filepath.Join(s.RunDir(id), JournalName))
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", id, err)
		}
		for _, ev := range events {
			o, ok := outcomeOf(ev)
			if !ok {
				continue
			}
			j, seen := at[ev.Stage]
			if !seen {
				j = len(out)
				at[ev.Stage] = j
				out = append(out, StageDiff{Stage: ev.Stage})
			}
			if i == 0 {
				out[j].A = o
			} else {
				out[j].B = o
			}
		}
	}
	for i := range out {
		if d := &out[i]; d.A != nil && d.B != nil && d.A.Key != d.B.Key {
			d.explain(s)
		}
	}
	return out, nil
}

// outcomeOf is what one event says of its stage's result, if anything.
func outcomeOf(ev Event) (*StageOutcome, bool) {
	if ev.Type != StageFinished && ev.Type != StageCached {
		return nil, false
	}
	key, err := artifacts.ParseActionKey(ev.Key)
	if err != nil {
		return nil, false
	}
	digest, err := artifacts.ParseDigest(ev.Digest)
	if err != nil {
		return nil, false
	}
	return &StageOutcome{Key: key, Digest: digest, Cached: ev.Type == StageCached, Seconds: ev.Seconds}, true
}

func (d *StageDiff) explain(s *artifacts.Store) {
	was, _, errA := s.Action(d.A.Key)
	is, _, errB := s.Action(d.B.Key)
	if errA != nil || errB != nil {
		d.Gone = true
		return
	}
	d.Changes = Diff(was.Description, is.Description)
	old, okA := itemsOf(s, d.Stage, d.A.Key)
	now, okB := itemsOf(s, d.Stage, d.B.Key)
	if !okA || !okB {
		return
	}
	c := ItemChanges{Total: int64(len(now))}
	for id, key := range now {
		was, had := old[id]
		switch {
		case !had:
			c.Added++
		case was != key:
			c.Changed++
		}
		delete(old, id)
	}
	c.Removed = int64(len(old))
	d.Items = &c
}

// itemsOf returns the keys of the items that the stage's result for key was
// made of: from the shards of the run that made it.
func itemsOf(s *artifacts.Store, name string, key artifacts.ActionKey) (map[string]artifacts.Digest, bool) {
	for _, id := range slices.Backward(s.Runs()) {
		events, err := ReadJournal(filepath.Join(s.RunDir(id), JournalName))
		if err != nil {
			continue
		}
		made := slices.ContainsFunc(events, func(ev Event) bool {
			return ev.Type == StageFinished && ev.Stage == name && ev.Key == key.String()
		})
		if made {
			return itemsOfShards(s, name, events)
		}
	}
	return nil, false
}

func itemsOfShards(s *artifacts.Store, name string, events []Event) (map[string]artifacts.Digest, bool) {
	shards := make(map[string]string) // a stage that was made again has two of each
	for _, ev := range events {
		if ev.Stage == name && (ev.Type == ShardFinished || ev.Type == ShardCached) {
			shards[ev.Shard] = ev.Digest
		}
	}
	out := make(map[string]artifacts.Digest)
	for _, text := range shards {
		d, err := artifacts.ParseDigest(text)
		if err != nil {
			return nil, false
		}
		art, err := s.Artifact(d)
		if err != nil {
			return nil, false // collected: only the last shards of a stage are kept
		}
		states, err := readItems(art)
		if err != nil {
			return nil, false
		}
		for id, st := range states {
			out[id] = st.Key
		}
	}
	return out, len(shards) > 0
}
