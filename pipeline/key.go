package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/stages/stage"
)

// The description of a stage's action, whose SHA-256 is its key:
//
//	hearsight action v1
//	kind tts 3                        name and code version
//	numeric avx2                      kinds that compute in floating point
//	external root sha256:…            path parameters: what lies there, not where
//	param engine "espeak-ng"          the others, sorted, as canonical JSON
//	tool espeak-ng "1.51"             as the kind named them
//	shards 16                         kinds that work item by item
//	external folder sha256:…          the folder whose files are the items
//	input captions sha256:…           ports in the kind's order, then the spec's
//
// That of a shard has the same lines up to the tools, and then
//
//	shard 3/16
//	items 25 sha256:…                 number, and hash of their ids and keys in order of ids
const (
	actionHeader = "hearsight action v1\n"
	shardHeader  = "hearsight shard v1\n"
	itemHeader   = "hearsight item v1\n"
	logHeader    = "hearsight item log v1\n"
)

// An external is an input outside the store: what a path parameter names.
type external struct {
	param  string // "weights", or "weights/0" for the first of a list
	path   string // where it lies
	digest artifacts.Digest
	input  *artifacts.Input
	items  bool // see pathParam
}

// describeBase writes the lines that a stage's action and its shards share.
func describeBase(k stage.Kind, r recipe, numeric string, ext []external, tools []stage.Tool) string {
	b := make([]byte, 0, 256+len(r.lines))
	b = append(append(append(b, "kind "...), k.Name...), ' ')
	b = append(strconv.AppendInt(b, int64(k.Version), 10), '\n')
	if k.Numeric {
		b = append(append(append(b, "numeric "...), oneLine(numeric)...), '\n')
	}
	for _, x := range ext {
		if !x.items {
			b = appendExternal(b, x)
		}
	}
	b = append(b, r.lines...)
	for _, t := range tools {
		b = append(append(append(b, "tool "...), oneLine(t.Name)...), ' ')
		b = append(strconv.AppendQuote(b, t.Version), '\n')
	}
	return string(b)
}

func appendExternal(b []byte, x external) []byte {
	b = append(append(append(b, "external "...), x.param...), ' ')
	return append(append(b, x.digest.String()...), '\n')
}

// splitParams returns the values of complete parameters by their names.
func splitParams(canonical []byte) (map[string]json.RawMessage, error) {
	var params map[string]json.RawMessage
	if err := json.Unmarshal(canonical, &params); err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	return params, nil
}

// pathsOf returns the paths in the value of a path parameter, and whether it
// is a list.
func pathsOf(value json.RawMessage) (paths []string, many bool, err error) {
	var one string
	if json.Unmarshal(value, &one) == nil {
		return []string{one}, false, nil
	}
	err = json.Unmarshal(value, &paths)
	return paths, true, err
}

// oneLine keeps plain words as they are and quotes what could be taken for
// another line.
func oneLine(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }) {
		return strconv.Quote(s)
	}
	return s
}

// describeAction completes the description of a stage whose inputs are known.
func describeAction(a *Action, inputs map[string][]*artifacts.Artifact) string {
	b := make([]byte, 0, len(actionHeader)+len(a.base)+100*(1+len(inputs)))
	b = append(append(b, actionHeader...), a.base...)
	if a.kind.Items() != nil {
		b = append(strconv.AppendInt(append(b, "shards "...), int64(a.shards()), 10), '\n')
	}
	for _, x := range a.ext {
		if x.items { // like an input: not in the keys of items
			b = appendExternal(b, x)
		}
	}
	for _, port := range a.kind.Inputs {
		for _, in := range inputs[port.Name] {
			b = append(append(append(b, "input "...), port.Name...), ' ')
			b = append(append(b, in.Digest.String()...), '\n')
		}
	}
	return string(b)
}

// A Change is a line that two descriptions do not share. Old or New is empty
// if only the other has it.
type Change struct {
	What     string // "param voice", "input captions", "kind tts", "numeric"
	Old, New string
}

// String says the change in a person's words.
func (c Change) String() string {
	word, name, _ := strings.Cut(c.What, " ")
	switch word {
	case "input", "external":
		switch {
		case c.Old == "":
			return word + " " + name + " is new"
		case c.New == "":
			return word + " " + name + " is gone"
		}
		return word + " " + name + " changed"
	case "kind":
		return fmt.Sprintf("code of %s: version %s -> %s", name, orNone(c.Old), orNone(c.New))
	case "param":
		return fmt.Sprintf("%s: %s -> %s", name, orNone(c.Old), orNone(c.New))
	}
	return fmt.Sprintf("%s: %s -> %s", c.What, orNone(c.Old), orNone(c.New))
}

func orNone(s string) string {
	const most = 80
	switch {
	case s == "":
		return "none"
	case len(s) > most:
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// Diff returns how two descriptions differ, in the order of their lines, those
// of the new one first.
func Diff(older, newer string) []Change {
	return diffLines(parseDescription(older, 3), parseDescription(newer, 3))
}

func diffLines(was, is []Change) []Change {
	old := make(map[string]string, len(was))
	for _, l := range was {
		old[l.What] = l.Old
	}
	var out []Change
	seen := make(map[string]bool, len(is))
	for _, l := range is {
		seen[l.What] = true
		if o, ok := old[l.What]; !ok || o != l.Old {
			out = append(out, Change{What: l.What, Old: o, New: l.Old})
		}
	}
	for _, l := range was {
		if !seen[l.What] {
			out = append(out, Change{What: l.What, Old: l.Old})
		}
	}
	return out
}

// parseDescription returns the lines as What and Old: of a line's words, at
// most that many, the last is Old. A port with several inputs gives "input
// models", "input models 2" and so on.
func parseDescription(d string, words int) []Change {
	var out []Change
	times := make(map[string]int)
	for line := range strings.Lines(d) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", words)
		var c Change
		switch {
		case len(f) == 3:
			c = Change{What: f[0] + " " + f[1], Old: f[2]}
		case len(f) == 2:
			c = Change{What: f[0], Old: f[1]}
		default:
			c = Change{What: line}
		}
		if times[c.What]++; times[c.What] > 1 {
			c.What += " " + strconv.Itoa(times[c.What])
		}
		out = append(out, c)
	}
	return out
}

// whyNew says how the description of a differs from its last result's.
func (e *Engine) whyNew(a *Action) string {
	last, ok := e.lastDescription(a.Stage.Name)
	switch {
	case !ok && e.last[a.Stage.Name] == a.Key.String():
		return "its result is no longer in the store"
	case !ok && e.last[a.Stage.Name] != "":
		return "not the same as in its last run, whose result is no longer in the store"
	case !ok:
		return "not run yet"
	}
	changes := Diff(last, a.Description)
	if len(changes) == 0 {
		return "its result is no longer in the store"
	}
	return changesInWords(changes)
}

// historyRuns is how many runs back the last results of stages are looked for.
const historyRuns = 20

// lastDescription returns the description of the stage's last result.
func (e *Engine) lastDescription(name string) (string, bool) {
	if e.last == nil {
		e.last = e.lastKeys()
	}
	key, err := artifacts.ParseActionKey(e.last[name])
	if err != nil {
		return "", false
	}
	act, _, err := e.store.Action(key)
	if err != nil {
		return "", false
	}
	return act.Description, true
}

// lastKeys reads the keys of the stages' last results from the journals of
// this spec's runs. They only explain: a journal that cannot be read is passed over.
func (e *Engine) lastKeys() map[string]string {
	keys := make(map[string]string)
	ids := e.store.Runs()
	for _, id := range slices.Backward(ids[max(0, len(ids)-historyRuns):]) {
		events, err := ReadJournal(filepath.Join(e.store.RunDir(id), JournalName))
		if err != nil || len(events) == 0 || events[0].Spec != e.p.Path {
			continue
		}
		for _, ev := range slices.Backward(events) {
			if ev.Type == StageFinished || ev.Type == StageCached {
				if _, ok := keys[ev.Stage]; !ok {
					keys[ev.Stage] = ev.Key
				}
			}
		}
		if len(keys) >= len(e.p.Stages) {
			break
		}
	}
	return keys
}

// A Why explains why a stage, or an item of one, runs or does not.
type Why struct {
	Stage, Item string
	State       State
	Reason      string
	// Old is the description of the last result, New that of the planned one.
	// New is empty while an input is not known, Old if there is no last result.
	Old, New string
	Changes  []Change // from Old to New, if both are known
	// ItemChanges are those of the item's own lines: what of its input changed.
	ItemChanges []Change
}

// An UnknownItemError names an item that a stage neither has nor had.
type UnknownItemError struct{ Stage, Item string }

func (e *UnknownItemError) Error() string {
	return fmt.Sprintf("stage %s has no item %s", e.Stage, oneLine(e.Item))
}

// Why explains the planned state of "STAGE" or "STAGE/ITEM" from p: how its
// description differs from that of the last result.
func (e *Engine) Why(ctx context.Context, p *Plan, what string) (*Why, error) {
	name, id, ofItem := strings.Cut(what, "/")
	a := p.Action(name)
	if a == nil {
		return nil, &UnknownStageError{Name: name}
	}
	w := &Why{Stage: name, Item: id, State: a.State, Reason: a.Reason, New: a.Description}
	w.Old, _ = e.lastDescription(name)
	if w.Old != "" && w.New != "" {
		w.Changes = Diff(w.Old, w.New)
	}
	if !ofItem {
		return w, nil
	}
	if a.kind.Items() == nil {
		return nil, &SelectionError{Reason: "stage " + name + " does not work item by item"}
	}
	if _, ok := p.inputs(a); !ok {
		w.Reason = "the items of " + name + " are not known: it " + a.Reason
		return w, nil
	}
	return w, e.whyItem(ctx, p, a, w)
}

func (e *Engine) whyItem(ctx context.Context, p *Plan, a *Action, w *Why) error {
	items, err := a.listed, error(nil)
	if items == nil {
		items, err = e.planItems(ctx, p, a)
	}
	if err != nil {
		return fmt.Errorf("stage %s: list items: %w", w.Stage, err)
	}
	var now *item
	for i := range items {
		if items[i].ID == w.Item {
			now = &items[i]
		}
	}
	states, _ := e.lastItems(shardOrigin(a, shardOf(w.Item, a.shards())))
	old, had := states[w.Item]
	switch {
	case now == nil && !had:
		return &UnknownItemError{Stage: w.Stage, Item: w.Item}
	case now == nil:
		w.State, w.Reason = Cached, "the item is no longer in the inputs"
	case had && old.Key == now.key:
		w.State, w.Reason = Cached, "unchanged: taken over from the last result"
		if old.Reject != nil {
			w.Reason = "unchanged: rejected as before: " + *old.Reject
		}
	case had:
		w.State, w.ItemChanges = MustRun, diffLines(parseDescription(strings.Join(old.In, "\n"), 2), parseDescription(strings.Join(now.Key, "\n"), 2))
		w.Reason = changesInWords(w.ItemChanges)
	case a.State == Cached:
		w.State, w.Reason = Cached, "its shard is in the store"
	case len(w.Changes) > 0 && !onlyInputs(w.Changes):
		w.State, w.Reason = MustRun, "the stage changed: "+changesInWords(w.Changes)
	default:
		w.State, w.Reason = MustRun, "not done yet"
	}
	return nil
}

// onlyInputs says whether nothing but inputs changed: then the items tell more.
func onlyInputs(changes []Change) bool {
	for _, c := range changes {
		if !strings.HasPrefix(c.What, "input ") {
			return false
		}
	}
	return true
}

func changesInWords(changes []Change) string {
	var words []string
	for _, c := range changes {
		words = append(words, c.String())
	}
	return shortList(words, 6)
}
