package pipeline

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/exec"
	"github.com/hearsight/hearsight/stages/stage"
)

// fill gives every field below v a value of its own, so that one that is not
// written down is missed.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(-*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n)
			fill(value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Interface: // a parameter
		v.Set(reflect.ValueOf([]any{"x", true, int64(*n), 2.5, map[string]any{"k": []any{}}, nil}))
	}
}

func TestParsedKeepsEverything(t *testing.T) {
	n := 0
	want := &Parsed{Pipeline: &spec.Pipeline{Path: "p.yaml", Vars: map[string]string{"a": "b"}, Stages: make([]spec.Stage, 3)},
		recipes: make([]recipe, 3)}
	for i := range 2 { // the last has nothing
		fill(reflect.ValueOf(&want.Pipeline.Stages[i]).Elem(), &n)
		want.recipes[i] = recipe{canonical: []byte(`{"a":1}`), lines: "param a 1\n", paths: []pathParam{{"root", "x", true}, {"weights/0", "y", false}}}
	}
	got, err := decodeParsed(encodeParsed(want))
	if err != nil {
		t.Fatal(err)
	}
	want.recipes[2].canonical = []byte{}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Parsed{}, recipe{}, pathParam{})); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func FuzzUnpack(f *testing.F) {
	e := &packer{places: map[string]int{}}
	s := spec.Stage{Name: "a", Inputs: map[string][]string{"in": {"b"}}, Params: map[string]any{"x": []any{"y", 1.5}}}
	e.stage(&s)
	f.Add(e.b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &unpacker{b: b, s: string(b)}
		var s spec.Stage
		if d.stage(&s); d.bad {
			return
		}
		e := &packer{places: map[string]int{}}
		e.stage(&s)
		d = &unpacker{b: e.b, s: string(e.b)}
		var again spec.Stage
		if d.stage(&again); d.bad || !bytes.Equal(repack(&again), e.b) {
			t.Errorf("%v is not read back", s)
		}
	})
}

func repack(s *spec.Stage) []byte {
	e := &packer{places: map[string]int{}}
	e.stage(s)
	return e.b
}

// TestParseSpec: the same spec is found again, another is not, and what is
// damaged is read anew.
func TestParseSpec(t *testing.T) {
	dir := t.TempDir()
	store, err := artifacts.Open(filepath.Join(dir, "store"), artifacts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	path := filepath.Join(dir, "p.yaml")
	write := func(suffix string) {
		t.Helper()
		var b strings.Builder
		b.WriteString("version: 1\nvars: {who: me}\nstages:\n")
		for i := range 300 {
			fmt.Fprintf(&b, "  s%d: {kind: exec, with: {command: [echo, \"${who}\", %s%d], outputs: [x], stdout: x}}\n", i, suffix, i)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kinds := []stage.Kind{exec.Kind, exec.Each}
	parse := func(set map[string]string) *Parsed {
		t.Helper()
		p, err := ParseSpec(path, kinds, set, store)
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := ParseSpec(path, kinds, set, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fresh, p, cmp.AllowUnexported(Parsed{}, recipe{}, pathParam{})); diff != "" {
			t.Errorf("what was kept is not what is read (-read +kept):\n%s", diff)
		}
		return p
	}
	kept := func() int {
		entries, err := os.ReadDir(filepath.Join(store.Dir(), "plans"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	write("a")
	for _, c := range []struct {
		set  map[string]string
		want int
	}{{nil, 1}, {nil, 1}, {map[string]string{"who": "you"}, 2}, {nil, 2}} {
		parse(c.set)
		if n := kept(); n != c.want {
			t.Errorf("with %v %d specs are kept, want %d", c.set, n, c.want)
		}
	}
	write("b")
	if p := parse(nil); !strings.Contains(string(p.recipes[0].canonical), "b0") {
		t.Errorf("an edited spec reads as %s", p.recipes[0].canonical)
	}
	entries, err := os.ReadDir(filepath.Join(store.Dir(), "plans"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.WriteFile(filepath.Join(store.Dir(), "plans", e.Name()), []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	parse(nil)
}
