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
}

// describeBase writes the lines that a stage's action and its shards share.
func describeBase(k stage.Kind, canonical []byte, numeric string, ext []external, tools []stage.Tool) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "kind %s %d\n", k.Name, k.Version)
	if k.Numeric {
		fmt.Fprintf(&b, "numeric %s\n", oneLine(numeric))
	}
	for _, x := range ext {
		fmt.Fprintf(&b, "external %s %s\n", x.param, x.digest)
	}
	var params map[string]json.RawMessage
	if err := json.Unmarshal(canonical, &params); err != nil {
		return "", fmt.Errorf("parameters: %w", err)
	}
	apart := make(map[string]bool) // not among the param lines
	for _, p := range k.Params() {
		apart[p.Name] = p.Path != "" || p.Free
	}
	for _, name := range sortedKeys(params) {
		if !apart[name] {
			fmt.Fprintf(&b, "param %s %s\n", name, params[name])
		}
	}
	for _, t := range tools {
		fmt.Fprintf(&b, "tool %s %q\n", oneLine(t.Name), t.Version)
	}
	return b.String(), nil
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
	var b strings.Builder
	b.WriteString(actionHeader)
	b.WriteString(a.base)
	if a.kind.Items() != nil {
		fmt.Fprintf(&b, "shards %d\n", a.shards())
	}
	for _, port := range a.kind.Inputs {
		for _, in := range inputs[port.Name] {
			fmt.Fprintf(&b, "input %s %s\n", port.Name, in.Digest)
		}
	}
	return b.String()
}
