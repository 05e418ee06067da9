package pipeline

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// A Parsed is a spec with what planning needs of its parameters. Reading YAML
// and writing parameters in their one spelling is most of the work of a run
// that has nothing to do, and the same each time, so it is kept in the store.
type Parsed struct {
	Pipeline *spec.Pipeline
	recipes  []recipe // one a stage
}

// Specs of less than this many bytes are read as fast as they are found again.
const minKeptSpec = 16 << 10

// maxSpec is more than package spec reads; such files are its business.
const maxSpec = 8 << 20

// ParseSpec reads and checks the spec at path, as spec.Load does and with its
// errors, with variables set to other values. Where the store holds what it
// was when the same program last read the same bytes, that is taken instead.
// store may be nil.
func ParseSpec(path string, kinds []stage.Kind, set map[string]string, store *artifacts.Store) (*Parsed, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read spec: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSpec))
	if err != nil {
		return nil, fmt.Errorf("read spec %s: %w", path, err)
	}
	name, ok := parsedName(path, data, set)
	if ok = ok && store != nil && len(data) >= minKeptSpec; ok {
		if p, err := decodeParsed(store.Plan(name)); err == nil {
			return p, nil
		}
	}
	p, err := parseSpec(path, data, kinds, set)
	if err == nil && ok {
		store.SetPlan(name, encodeParsed(p))
	}
	return p, err
}

func parseSpec(path string, data []byte, kinds []stage.Kind, set map[string]string) (*Parsed, error) {
	known := make([]spec.Kind, len(kinds))
	byName := make(map[string]stage.Kind, len(kinds))
	for i, k := range kinds {
		known[i], byName[k.Name] = k.Spec(), k
	}
	pl, err := spec.Parse(path, data, known, spec.Options{Set: set})
	if err != nil {
		return nil, err
	}
	p := &Parsed{Pipeline: pl, recipes: make([]recipe, len(pl.Stages))}
	for i := range pl.Stages {
		s := &pl.Stages[i]
		if p.recipes[i], err = newRecipe(byName[s.Kind], s.Params); err != nil {
			return nil, fmt.Errorf("stage %s: %w", s.Name, err)
		}
	}
	return p, nil
}

// parsedName hashes all that decides what a spec is parsed into: its bytes and
// place, the variables set, and the program, by its file. It reports false
// where the program's file is not known.
func parsedName(path string, data []byte, set map[string]string) (artifacts.Digest, bool) {
	exe, err := os.Executable()
	if err != nil {
		return artifacts.Digest{}, false
	}
	info, err := os.Stat(exe)
	if err != nil {
		return artifacts.Digest{}, false
	}
	h := sha256.New()
	fmt.Fprintf(h, "hearsight parsed spec 1\n%q %d %d\n%q\n", exe, info.Size(), info.ModTime().UnixNano(), path)
	for _, k := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(h, "%q=%q\n", k, set[k])
	}
	h.Write([]byte("\n"))
	h.Write(data)
	return artifacts.Digest(h.Sum(nil)), true
}

// encodeParsed writes p in a form that is read back in a few microseconds a
// stage: fields in order, numbers as varints, strings by their place among
// those seen before, with a SHA-256 of all of it in front.
func encodeParsed(p *Parsed) []byte {
	e := &packer{places: map[string]int{}}
	e.text(p.Pipeline.Path)
	packMap(e, p.Pipeline.Vars, e.text)
	e.int(int64(len(p.Pipeline.Stages)))
	for i := range p.Pipeline.Stages {
		e.stage(&p.Pipeline.Stages[i])
		r := &p.recipes[i]
		e.text(string(r.canonical))
		e.text(r.lines)
		e.int(int64(len(r.paths)))
		for _, x := range r.paths {
			e.text(x.param)
			e.text(x.path)
			e.flag(x.items)
		}
	}
	sum := sha256.Sum256(e.b)
	return append(sum[:], e.b...)
}

func decodeParsed(data []byte) (*Parsed, error) {
	if len(data) < sha256.Size {
		return nil, errPacked
	}
	if sum := sha256.Sum256(data[sha256.Size:]); !bytes.Equal(sum[:], data[:sha256.Size]) {
		return nil, errPacked
	}
	d := &unpacker{b: data[sha256.Size:], s: string(data[sha256.Size:])}
	p := &Parsed{Pipeline: &spec.Pipeline{Path: d.text()}}
	p.Pipeline.Vars = unpackMap(d, d.text)
	n := d.length()
	p.Pipeline.Stages, p.recipes = make([]spec.Stage, n), make([]recipe, n)
	for i := range n {
		d.stage(&p.Pipeline.Stages[i])
		r := &p.recipes[i]
		r.canonical = []byte(d.text())
		r.lines = d.text()
		if n := d.length(); n > 0 {
			r.paths = make([]pathParam, n)
		}
		for k := range r.paths {
			r.paths[k] = pathParam{param: d.text(), path: d.text(), items: d.flag()}
		}
		if d.bad {
			break
		}
	}
	if d.bad || d.at != len(d.b) {
		return nil, errPacked
	}
	return p, nil
}

// A recipe is what a stage's parameters come to, once and for all.
type recipe struct {
	canonical []byte      // complete parameters
	lines     string      // the lines of the description that name them
	paths     []pathParam // external inputs they name, in order
}

// A pathParam is a path that a parameter names, relative to Options.Dir.
type pathParam struct {
	param, path string // param is "weights", or "weights/0" for the first of a list
	items       bool   // its files are the items, and each counts for its own alone
}

// pathOfItems is the tag of a path parameter of which that is so.
const pathOfItems = "items"

func newRecipe(k stage.Kind, given map[string]any) (r recipe, err error) {
	if r.canonical, err = k.Canonical(given); err != nil {
		return r, err
	}
	params, err := splitParams(r.canonical)
	if err != nil {
		return r, err
	}
	apart := make(map[string]bool) // not among the lines
	for _, p := range k.Params() {
		apart[p.Name] = p.Path != "" || p.Free
		if p.Path == "" {
			continue
		}
		paths, many, err := pathsOf(params[p.Name])
		if err != nil {
			return r, fmt.Errorf("parameter %s: %w", p.Name, err)
		}
		for i, path := range paths {
			name := p.Name
			if many {
				name += "/" + strconv.Itoa(i)
			}
			if path != "" { // an empty path names nothing
				r.paths = append(r.paths, pathParam{name, path, p.Path == pathOfItems})
			}
		}
	}
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !apart[name] {
			fmt.Fprintf(&b, "param %s %s\n", name, params[name])
		}
	}
	r.lines = b.String()
	return r, nil
}
