package pipeline

import (
	"encoding/json"
	"fmt"
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

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
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
