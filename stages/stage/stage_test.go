package stage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hearsight/hearsight/spec"
)

type params struct {
	Rate   float64  `json:"rate" doc:"how fast" min:"0" max:"10" unit:"Hz"`
	Name   string   `json:"name" doc:"what it is called" enum:"a,b"`
	Steps  int      `json:"steps" doc:"how many" required:"true"`
	Voices []string `json:"voices" doc:"who speaks"`
	Root   string   `json:"root" doc:"where it lies" path:"dir"`
	Every  string   `json:"every" doc:"how often" type:"duration" free:"true"`
}

func (p params) Check() []spec.ParamProblem {
	if p.Steps > 5 && p.Name == "b" {
		return []spec.ParamProblem{{Param: "steps", Message: "too many for b"}}
	}
	return nil
}

func (p params) Prepare(context.Context) ([]Tool, error) {
	if p.Name == "b" {
		return nil, errors.New("b is not installed")
	}
	return []Tool{{"a", "1.0"}}, nil
}

var defaults = params{Rate: 2, Name: "a", Voices: []string{"x"}}

func kind() Kind {
	return New(Kind{Name: "test", Doc: "test", Version: 1}, defaults, func(context.Context, *Task, params) error { return nil })
}

func TestFields(t *testing.T) {
	zero, ten := 0.0, 10.0
	want := []spec.Param{
		{Name: "rate", Doc: "how fast", Type: "float", Default: 2.0, Min: &zero, Max: &ten, Unit: "Hz"},
		{Name: "name", Doc: "what it is called", Type: "string", Default: "a", Enum: []string{"a", "b"}},
		{Name: "steps", Doc: "how many", Type: "int", Default: 0, Required: true},
		{Name: "voices", Doc: "who speaks", Type: "[]string", Default: []string{"x"}},
		{Name: "root", Doc: "where it lies", Type: "string", Default: "", Path: "dir"},
		{Name: "every", Doc: "how often", Type: "duration", Default: "", Free: true},
	}
	if diff := cmp.Diff(want, kind().Params()); diff != "" {
		t.Errorf("Params (-want +got):\n%s", diff)
	}
	for name, def := range map[string]any{
		"no doc": struct {
			A int `json:"a"`
		}{},
		"no name": struct {
			A int `doc:"x"`
		}{},
		"a channel": struct {
			A chan int `json:"a" doc:"x"`
		}{},
		"bad bound": struct {
			A int `json:"a" doc:"x" min:"few"`
		}{},
		"no struct": 7,
	} {
		if _, err := Fields(def); err == nil {
			t.Errorf("Fields of a struct with %s: no error", name)
		}
	}
}

// ruled are parameters of which one, rule, decides what size is by default.
type ruled struct {
	Rule string `json:"rule" doc:"whose size"`
	Size int    `json:"size" doc:"how large"`
	Half bool   `json:"half,omitempty" doc:"only half"`
}

func (r ruled) Preset() ruled {
	if r.Rule == "big" {
		return ruled{Rule: "big", Size: 1000}
	}
	return ruled{Rule: r.Rule, Size: 1}
}

// TestPreset: what a spec gives counts for more than what goes with its rule, and
// the canonical form holds what counts.
func TestPreset(t *testing.T) {
	k := New(Kind{Name: "test", Doc: "test", Version: 1}, ruled{Rule: "small", Size: 1}, func(context.Context, *Task, ruled) error { return nil })
	for want, raw := range map[string]map[string]any{
		`{"rule":"small","size":1}`:             nil,
		`{"rule":"big","size":1000}`:            {"rule": "big"},
		`{"half":true,"rule":"big","size":1}`:   {"rule": "big", "size": 1, "half": true},
		`{"half":true,"rule":"small","size":1}`: {"half": true},
	} {
		if got, err := k.Canonical(raw); err != nil || string(got) != want {
			t.Errorf("Canonical(%v) = %s, %v; want %s", raw, got, err, want)
		}
	}
}

// TestCanonical: equal parameters give equal bytes, however they were written.
func TestCanonical(t *testing.T) {
	k := kind()
	const want = `{"every":"","name":"a","rate":2,"root":"<here> & there","steps":3,"voices":["x"]}`
	for _, raw := range []map[string]any{
		{"steps": int64(3), "root": "<here> & there"},
		{"root": "<here> & there", "steps": 3.0, "rate": int64(2)},
		{"steps": int64(3), "rate": 2.0, "name": "a", "voices": []any{"x"}, "root": "<here> & there"},
	} {
		got, err := k.Canonical(raw)
		if err != nil {
			t.Fatalf("Canonical(%v): %v", raw, err)
		}
		if string(got) != want {
			t.Errorf("Canonical(%v) = %s, want %s", raw, got, want)
		}
	}
	if _, err := k.Canonical(map[string]any{"stepz": 1}); err == nil {
		t.Error("an unknown parameter is taken")
	}
	if _, err := k.Canonical(map[string]any{"voices": []any{"y", "z"}}); err != nil || defaults.Voices[0] != "x" {
		t.Errorf("decoding over the defaults changed them to %v (%v)", defaults.Voices, err)
	}
}

func TestCheckAndPrepare(t *testing.T) {
	k := kind()
	got := k.Spec().Check(map[string]any{"steps": int64(6), "name": "b"})
	if len(got) != 1 || got[0].Param != "steps" {
		t.Errorf("Check = %v, want a problem with steps", got)
	}
	if got := k.Spec().Check(map[string]any{"steps": int64(6)}); got != nil {
		t.Errorf("Check = %v, want none", got)
	}
	for name, fails := range map[string]bool{"a": false, "b": true} {
		c, err := k.Canonical(map[string]any{"name": name})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Prepare(context.Background(), c); (err != nil) != fails {
			t.Errorf("Prepare of %s: %v", name, err)
		}
	}
}

func TestRejected(t *testing.T) {
	err := fmt.Errorf("decode x: %w", Reject("cut after %d s", 3))
	reason, ok := Rejected(err)
	if !ok || !strings.Contains(reason, "cut after 3 s") {
		t.Errorf("Rejected(%v) = %q, %v", err, reason, ok)
	}
	if _, ok := Rejected(errors.New("the disk is full")); ok {
		t.Error("any error sets an item aside")
	}
}
