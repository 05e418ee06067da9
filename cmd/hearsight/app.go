package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages"
	"github.com/spf13/cobra"
)

// app is what the commands share: where to print and the global flags.
type app struct {
	stdout, stderr io.Writer

	file    string
	set     []string
	store   string
	numeric string
	json    bool
	details bool // metrics and score: all that is known of the scores
}

func (a *app) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&a.file, "file", "f", "pipeline.yaml", "the spec")
	f.StringArrayVar(&a.set, "set", nil, "set a variable of the spec, `NAME=VALUE`; may be repeated")
	f.StringVar(&a.store, "store", "", "folder of the store (default .hearsight beside the spec)")
	f.StringVar(&a.numeric, "numeric", "", "force a numeric path: go-amd64, avx2, avx512, go-arm64 (default: the best this CPU has)")
	f.BoolVar(&a.json, "json", false, "print JSON")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if a.numeric == "" {
			return nil
		}
		if err := kernel.Force(a.numeric); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// storeDir is the store's folder: beside the spec, so that a spec finds its
// results from any working folder.
func (a *app) storeDir() string {
	if a.store != "" {
		return a.store
	}
	return filepath.Join(filepath.Dir(a.file), ".hearsight")
}

func (a *app) vars() (map[string]string, error) {
	set := make(map[string]string, len(a.set))
	for _, s := range a.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usagef("--set %s: want NAME=VALUE", s)
		}
		set[name] = value
	}
	return set, nil
}

func (a *app) sayDamage(err error) { fmt.Fprintf(a.stderr, "hearsight: %s\n", printable(err.Error())) }

// printable returns text with what a terminal would obey written out: names of
// files and reasons of programs may hold anything.
func printable(text string) string {
	safe := func(r rune, size int) bool {
		return r == '\n' || r == '\t' || (r != utf8.RuneError || size > 1) && !unicode.IsControl(r) && !unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if safe(r, size) {
			b.WriteString(text[i : i+size])
		} else {
			b.WriteString(strings.Trim(strconv.Quote(text[i:i+size]), `"`))
		}
		i += size
	}
	return b.String()
}

// spec reads the spec, with what --set says.
func (a *app) spec() (*spec.Pipeline, error) {
	set, err := a.vars()
	if err != nil {
		return nil, err
	}
	p, err := spec.Load(a.file, kindSpecs(), spec.Options{Set: set})
	return p, a.specError(err)
}

func (a *app) specError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("there is no spec %s: name one with -f, or make one with `hearsight init`", a.file)
	}
	if err != nil && !errors.As(err, new(spec.Problems)) {
		return usageError{err} // a folder, a file that may not be read
	}
	return err
}

// openStore opens the store that is there; readOnly does not change it.
func (a *app) openStore(readOnly bool) (*artifacts.Store, error) {
	s, err := artifacts.Open(a.storeDir(), artifacts.Options{ReadOnly: readOnly, NoCreate: true, OnDamage: a.sayDamage})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no store in %s yet: `hearsight run` makes it, --store names another", a.storeDir())
	}
	return s, err
}

// engine opens spec and store and puts an engine on them. Where there is no
// store, create has one made; else the engine sees an empty one, and nothing is
// written. The caller closes the store.
func (a *app) engine(create bool, o pipeline.Options) (*pipeline.Engine, *spec.Pipeline, *artifacts.Store, error) {
	e, p, s, _, err := a.engineOn(nil, create, o)
	return e, p, s, err
}

// engineOn is engine with a remote that results are had from, if it is not nil.
func (a *app) engineOn(r remote.Remote, create bool, o pipeline.Options) (*pipeline.Engine, *spec.Pipeline, *artifacts.Store, *remote.Reader, error) {
	set, err := a.vars()
	if err != nil {
		return nil, nil, nil, nil, err
	}
	// No store is made for a spec that cannot be read.
	s, err := artifacts.Open(a.storeDir(), artifacts.Options{NoCreate: true, OnDamage: a.sayDamage})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, nil, err
	}
	parsed, err := pipeline.ParseSpec(a.file, stages.All, set, s)
	if err = a.specError(err); err != nil {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
		return nil, nil, nil, nil, err
	}
	p := parsed.Pipeline
	o.Parsed = parsed
	if s == nil {
		absent := artifacts.Options{ReadOnly: !create, Absent: !create, OnDamage: a.sayDamage}
		if s, err = artifacts.Open(a.storeDir(), absent); err != nil {
			return nil, nil, nil, nil, err
		}
	}
	var reader *remote.Reader
	if r != nil {
		reader = remote.NewReader(s, r, remote.Options{})
		o.Remote = reader
	}
	o.Numeric = kernel.Numeric()
	o.Dir = filepath.Dir(a.file)
	o.Version = version()
	o.Rejects = pipeline.RejectsFormat{Ext: table.Rejects.Ext(), Schema: table.Rejects.Schema(), Write: writeRejects}
	e, err := pipeline.New(p, stages.All, s, o)
	if err != nil {
		return nil, nil, nil, nil, errors.Join(err, s.Close())
	}
	return e, p, s, reader, nil
}

func writeRejects(w io.Writer, rows []pipeline.Reject) (int64, error) {
	return table.Rejects.Write(w, func(yield func(table.Reject, error) bool) {
		for _, r := range rows {
			if !yield(table.Reject{Item: r.Item, Stage: r.Stage, Reason: r.Reason}, nil) {
				return
			}
		}
	})
}

// planned plans the whole spec and calls use with the plan.
func (a *app) planned(ctx context.Context, sel pipeline.Selection, use func(*pipeline.Plan, *artifacts.Store) error) (err error) {
	e, p, s, err := a.engine(false, pipeline.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := known(p, sel); err != nil {
		return err
	}
	held := a.use(ctx, s)
	defer func() { err = errors.Join(err, release(held)) }()
	plan, err := e.Plan(ctx, sel)
	if err != nil {
		return err
	}
	return use(plan, s)
}

// known makes a wrong stage name on the command line a usage error.
func known(p *spec.Pipeline, sel pipeline.Selection) error {
	for _, names := range [][]string{sel.Targets, sel.Only, sel.From, sel.Force} {
		if _, err := p.Select(names); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// result returns the artifact of a stage that is up to date.
func result(plan *pipeline.Plan, name string) (*artifacts.Artifact, error) {
	var several []string
	for _, a := range plan.Actions {
		if a.Stage.Base == name && a.Stage.Name != name {
			several = append(several, a.Stage.Name)
		}
	}
	if len(several) > 1 {
		return nil, usagef("%s has %d instances: name one of %s", name, len(several), strings.Join(several, ", "))
	}
	for _, a := range plan.Actions {
		if a.Stage.Name != name && a.Stage.Base != name {
			continue
		}
		if a.State == pipeline.Blocked {
			return nil, fmt.Errorf("%s cannot be looked up: %s", a.Stage.Name, a.Reason)
		}
		if a.Artifact == nil {
			return nil, fmt.Errorf("%s has no result for this spec yet: hearsight run %s", a.Stage.Name, a.Stage.Name)
		}
		return a.Artifact, nil
	}
	return nil, usagef("no stage %q", name)
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // people read it too: "13 -> 12"
	return enc.Encode(v)
}

// version is the module's version and commit as the build recorded them.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value[:min(12, len(s.Value))]
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v
}

// tty reports whether w is a terminal.
func tty(w io.Writer) bool {
	if p, ok := w.(*printer); ok {
		w = p.w
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
