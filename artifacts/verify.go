package artifacts

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// VerifyOptions say what Verify does beside looking.
type VerifyOptions struct {
	// Repair drops what is damaged and what leads to it, so that the next run
	// makes it anew.
	Repair bool
	// Partial, if set, looks at the folder of unfinished work, whose contents
	// the store knows nothing of. With an error, Repair drops the folder.
	Partial func(k ActionKey, dir string) error
}

// A Problem is something in the store that is not as it should be.
type Problem struct {
	What     string // object, action, lineage, pin, statcache, partial, foreign file
	Name     string // digest, key or name
	Path     string
	Reason   string
	Repaired bool // dropped: the next run makes it anew
}

func (p Problem) String() string {
	s := fmt.Sprintf("%s %s: %s (%s)", p.What, p.Name, p.Reason, p.Path)
	if p.Repaired {
		s += ": dropped"
	}
	return s
}

// A verifier is one run of Verify.
type verifier struct {
	s      *Store
	o      VerifyOptions
	report func(Problem)
	good   map[Digest]int64 // verified objects -> size
}

// Verify reads all of the store, trusting no stamp, and reports each problem.
// Its error says that it could not look, or not repair; a store with problems
// is no error. It may run beside other users of the store.
func (s *Store) Verify(ctx context.Context, o VerifyOptions, report func(Problem)) (err error) {
	if s.o.ReadOnly && o.Repair {
		return fmt.Errorf("repair: %w", ErrReadOnly)
	}
	if !s.o.ReadOnly {
		use, uerr := s.Use(ctx)
		if uerr != nil {
			return uerr
		}
		defer func() { err = errors.Join(err, use.Unlock()) }()
	}
	v := &verifier{s: s, o: o, report: report, good: map[Digest]int64{}}
	for _, step := range []func(context.Context) error{v.objects, v.actions, v.lineage, v.pins, v.statcache, v.memo, v.partial} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("verify: %w", s.explain(err))
		}
	}
	return nil
}

// found reports a problem, after repair has done what it can.
func (v *verifier) found(p Problem, repair func() error) error {
	if !v.o.Repair || repair == nil {
		v.report(p)
		return nil
	}
	err := repair()
	p.Repaired = err == nil
	v.report(p)
	return err
}

// hashNamed calls each for the files of a folder of the form ab/cdef…suffix.
func (v *verifier) hashNamed(ctx context.Context, top, suffix string, each func(h [32]byte, path string, info os.FileInfo) error) error {
	return v.s.hashNamed(ctx, top, suffix, each, func(path string) error {
		return v.found(Problem{What: "foreign file", Name: "in " + top, Path: path, Reason: "the store did not put it there"}, nil)
	})
}

func (s *Store) hashNamed(ctx context.Context, top, suffix string, each func(h [32]byte, path string, info os.FileInfo) error, foreign func(path string) error) error {
	dirs, err := os.ReadDir(s.path(top))
	if err != nil {
		return err
	}
	for _, d := range dirs {
		entries, err := os.ReadDir(s.path(top, d.Name()))
		if err != nil {
			if err := foreign(s.path(top, d.Name())); err != nil {
				return err
			}
			continue
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			path := s.path(top, d.Name(), e.Name())
			hash, ok := hashName(d.Name(), e.Name(), suffix)
			info, err := e.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist): // gone while we looked
			case !ok || err != nil || !info.Mode().IsRegular():
				err = foreign(path)
			default:
				err = each(hash, path, info)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// hashName reads the hash that the names of a folder and a file in it spell.
func hashName(dir, file, suffix string) (h [32]byte, ok bool) {
	name, ok := strings.CutSuffix(file, suffix)
	name = dir + name
	if !ok || len(dir) != 2 || len(name) != 64 || strings.ToLower(name) != name {
		return h, false
	}
	_, err := hex.Decode(h[:], []byte(name))
	return h, err == nil
}

func (v *verifier) objects(ctx context.Context) error {
	return v.hashNamed(ctx, "objects", "", func(h [32]byte, path string, info os.FileInfo) error {
		d := Digest(h)
		seen, err := v.s.hashObject(ctx, d)
		var e *DamagedError
		switch {
		case err == nil:
			v.good[d] = seen.Size()
			return nil
		case errors.Is(err, ErrNotFound): // dropped while we looked
			return nil
		case errors.As(err, &e):
			return v.found(Problem{What: "object", Name: d.String(), Path: path, Reason: e.Reason},
				func() error { return v.s.drop(path, seen) })
		case ctx.Err() != nil:
			return err
		}
		return v.found(Problem{What: "object", Name: d.String(), Path: path, Reason: err.Error()}, nil)
	})
}

func (v *verifier) actions(ctx context.Context) error {
	return v.hashNamed(ctx, "actions", ".json", func(h [32]byte, path string, info os.FileInfo) error {
		k := ActionKey(h)
		act, seen, err := v.s.readAction(k)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = v.result(act.Manifest)
		}
		if err == nil {
			return nil
		}
		if seen == nil {
			return v.found(Problem{What: "action", Name: k.String(), Path: path, Reason: err.Error()}, nil)
		}
		return v.found(Problem{What: "action", Name: k.String(), Path: path, Reason: err.Error()},
			func() error { return v.s.drop(path, seen) })
	})
}

// result says what is wrong with the artifact that an action gave.
func (v *verifier) result(d Digest) error {
	if !v.has(d, -1) {
		return fmt.Errorf("its manifest %s is missing or damaged", d)
	}
	a, err := v.s.Artifact(d)
	if err != nil {
		return err
	}
	for _, p := range a.Manifest.Parts {
		if !v.has(p.Digest, p.Size) {
			return fmt.Errorf("part %s of its artifact, %s, is missing or damaged", p.Name, p.Digest)
		}
	}
	return nil
}

// has reports whether the object was found good, or is and came only since.
// Any size will do if size is negative.
func (v *verifier) has(d Digest, size int64) bool {
	got, ok := v.good[d]
	if !ok {
		info, err := v.s.hashObject(context.Background(), d)
		if err != nil {
			return false
		}
		got = info.Size()
		v.good[d] = got
	}
	return size < 0 || got == size
}

func (v *verifier) lineage(ctx context.Context) error {
	return v.hashNamed(ctx, "lineage", "", func(h [32]byte, path string, info os.FileInfo) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err = v.s.parseLineage(path, data); err == nil {
			return nil
		}
		return v.found(Problem{What: "lineage", Name: hex.EncodeToString(h[:]), Path: path, Reason: err.Error()},
			func() error { return v.s.drop(path, nil) })
	})
}

func (v *verifier) pins(ctx context.Context) error {
	pins, bad, err := v.s.readPins()
	if err != nil {
		return err
	}
	for name, d := range sorted(pins) {
		if err := v.result(d); err != nil {
			if err := v.found(Problem{What: "pin", Name: name, Path: v.s.path("pins"), Reason: err.Error()}, nil); err != nil {
				return err
			}
		}
	}
	var e *DamagedError
	for _, err := range bad {
		if !errors.As(err, &e) {
			return err
		}
		if err := v.found(Problem{What: e.What, Name: e.Name, Path: e.Path, Reason: e.Reason}, func() error { return v.s.dropBadPins(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// dropBadPins writes the pins that are whole.
func (s *Store) dropBadPins(ctx context.Context) (err error) {
	l, err := s.Lock(ctx, "pins")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	pins, bad, err := s.readPins()
	if err != nil || len(bad) == 0 {
		return err
	}
	return s.writePins(pins)
}

func (v *verifier) statcache(ctx context.Context) error {
	_, damaged, err := v.s.cache.read()
	if err != nil || damaged == 0 {
		return err
	}
	return v.found(Problem{What: "statcache", Name: "records", Path: v.s.cache.path(), Reason: fmt.Sprintf("damaged: %d of them", damaged)},
		func() error { return v.s.cache.prune(ctx, func(record) bool { return true }) })
}

func (v *verifier) memo(ctx context.Context) error {
	if _, damaged := v.s.memo.read(); !damaged {
		return nil
	}
	return v.found(Problem{What: "memo", Name: "records", Path: v.s.memo.path(), Reason: "damaged: its end cannot be read"},
		func() error { return v.s.memo.prune(ctx) })
}

func (v *verifier) partial(ctx context.Context) error {
	entries, err := os.ReadDir(v.s.path("partial"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := v.s.path("partial", e.Name())
		k, err := ParseActionKey(digestPrefix + e.Name())
		if err != nil || !e.IsDir() {
			err = v.found(Problem{What: "foreign file", Name: "in partial", Path: path, Reason: "the store did not put it there"}, nil)
		} else if v.o.Partial != nil {
			if perr := v.o.Partial(k, path); perr != nil {
				err = v.found(Problem{What: "partial", Name: k.String(), Path: path, Reason: perr.Error()},
					func() error { return v.s.DropPartial(k) })
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
