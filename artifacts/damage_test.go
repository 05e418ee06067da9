package artifacts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/atomicfile"
)

// damages are what a disk does to a file.
func damages(r *rand.Rand) map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"flip":   func(b []byte) []byte { return flip(r.IntN(8 * len(b)))(b) },
		"cut":    func(b []byte) []byte { return b[:r.IntN(len(b))] },
		"grow":   func(b []byte) []byte { return append(b, byte(r.Uint32())) },
		"zeroed": func(b []byte) []byte { clear(b); return b },
		"empty":  func(b []byte) []byte { return nil },
	}
}

// TestDamageNeverPasses damages every file of a store, one at a time. Verify
// must name each, no reader may get a wrong byte, and doing the work again
// must heal the store.
func TestDamageNeverPasses(t *testing.T) {
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		for name, damage := range damages(r) {
			for _, target := range []string{"object", "manifest", "action"} {
				t.Run(fmt.Sprintf("%s/%s/%d", target, name, round), func(t *testing.T) { damageOne(t, target, damage) })
			}
		}
	}
}

func damageOne(t *testing.T, target string, damage func([]byte) []byte) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	a := mustCommit(t, s, "work", "the first part", "the second part")
	path := map[string]string{
		"object":   s.objectPath(a.Manifest.Parts[0].Digest),
		"manifest": s.objectPath(a.Digest),
		"action":   s.actionPath(KeyOf("work")),
	}[target]
	tick(t, t.TempDir())
	if err := s.Complete(a); err != nil { // verified and remembered: damage comes after
		t.Fatal(err)
	}
	overwrite(t, path, damage)

	ro := open(t, dir, Options{ReadOnly: true})
	if p := problems(t, ro, VerifyOptions{}); len(p) == 0 || p[0].Path != path {
		t.Errorf("Verify: %v, want %s first", p, path)
	}
	told := 0
	for _, s := range []*Store{s, open(t, dir, Options{OnDamage: func(error) { told++ }})} {
		_, got, err := s.Action(KeyOf("work"))
		if err == nil {
			err = s.Complete(got)
		}
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("Action and Complete = %v, want ErrNotFound", err)
		}
	}
	again := mustCommit(t, s, "work", "the first part", "the second part")
	if again.Digest != a.Digest || contents(t, again, "part-0") != "the first part" {
		t.Errorf("work done again gave %s, want %s", again.Digest, a.Digest)
	}
	if p := problems(t, s, VerifyOptions{}); len(p) > 0 {
		t.Errorf("Verify after that: %v", p)
	}
}

// TestEveryBitOfAnAction: no flip leaves an action that is taken for good and
// leads to the artifact it led to, or has another description.
func TestEveryBitOfAnAction(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	k := KeyOf("some work")
	a := mustCommit(t, s, "some work", "x")
	data, err := os.ReadFile(s.actionPath(k))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(data) {
		overwrite(t, s.actionPath(k), func([]byte) []byte { return flip(bit)(append([]byte(nil), data...)) })
		if act, _, err := s.readAction(k); err == nil && (act.Manifest == a.Digest || act.Description != "some work") {
			t.Fatalf("bit %d flipped: %+v", bit, act)
		}
	}
}

func TestDamagedObjectIsNamedAndDropped(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	p, err := put(s, strings.Repeat("x", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	tick(t, t.TempDir())
	overwrite(t, s.objectPath(p.Digest), flip(1234567))
	ro := open(t, dir, Options{ReadOnly: true})
	for _, s := range []*Store{ro, s} {
		f, err := s.OpenObject(p.Digest)
		var e *DamagedError
		if !errors.As(err, &e) || e.Digest != p.Digest || errors.Is(err, ErrNotFound) {
			t.Errorf("OpenObject = %v, %v; want a DamagedError that is not ErrNotFound", f, err)
		}
	}
	if _, err := os.Stat(s.objectPath(p.Digest)); err == nil {
		t.Error("it is still there")
	}
	if _, err := s.OpenObject(p.Digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("OpenObject after that = %v, want ErrNotFound", err)
	}
}

// TestUnchangedIsNotRead shows that the statcache does its work, by an object
// whose damage nothing but reading can find.
func TestUnchangedIsNotRead(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	p, err := put(s, "content")
	if err != nil {
		t.Fatal(err)
	}
	tick(t, t.TempDir())
	if !s.Has(p.Digest, p.Size) {
		t.Fatal("Has = false")
	}
	s.cache.flush()
	later := open(t, dir, Options{})
	if !later.known(p.Digest, p.Size) {
		t.Error("another store does not know what this one verified")
	}
	r, _ := later.cache.get(p.Digest)
	if later.cache.trusts(p.Digest, p.Digest, r.stamp, objectWindow) == false {
		t.Error("it is not trusted")
	}
	r.stamp.ChangedNS++
	if later.cache.trusts(p.Digest, p.Digest, r.stamp, objectWindow) {
		t.Error("a changed file is trusted")
	}
}

// TestFreshObjectIsReadOnceMore: what was written in the last tick of the
// clock could be changed within that tick, and its stamp would not tell.
func TestFreshObjectIsReadOnceMore(t *testing.T) {
	now := time.Now()
	s := open(t, t.TempDir(), Options{Now: func() time.Time { return now }})
	p, err := put(s, "good")
	if err != nil {
		t.Fatal(err)
	}
	path := s.objectPath(p.Digest)
	lie := func() { // as if the file had its stamp before it was damaged
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := s.cache.get(p.Digest)
		r.stamp = atomicfile.StampOf(info)
		s.cache.put(r)
	}
	now = now.Add(time.Minute)
	if !s.Has(p.Digest, p.Size) {
		t.Error("Has = false")
	}
	r, _ := s.cache.get(p.Digest)
	if r.stamp.Racy(r.readNS, int64(objectWindow)) {
		t.Error("what was read a minute later is not trusted")
	}
	now = now.Add(-time.Minute)
	overwrite(t, path, flip(1))
	r.readNS = now.UnixNano()
	s.cache.put(r)
	lie()
	if s.Has(p.Digest, p.Size) {
		t.Error("a fresh object is trusted unread")
	}
}

func TestStatcacheDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for name, damage := range damages(r) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{})
			a := mustCommit(t, s, "work", "1", "2", "3")
			tick(t, t.TempDir())
			if err := s.Complete(a); err != nil {
				t.Fatal(err)
			}
			s.cache.flush()
			overwrite(t, s.path("statcache"), damage)
			// A cut may fall between two records: then it is only shorter.
			info, _ := os.Stat(s.path("statcache"))
			s = open(t, dir, Options{})
			whole := info.Size()%recordSize == 0 && name != "flip" && name != "zeroed"
			p := problems(t, s, VerifyOptions{Repair: true})
			if !whole && (len(p) != 1 || p[0].What != "statcache" || !p[0].Repaired) {
				t.Errorf("Verify: %v", p)
			}
			if p := problems(t, s, VerifyOptions{}); len(p) > 0 {
				t.Errorf("Verify after repair: %v", p)
			}
			overwrite(t, s.path("statcache"), damage)
			s = open(t, dir, Options{})
			if err := errors.Join(s.Complete(a), s.Close()); err != nil {
				t.Error(err)
			}
			if p := problems(t, s, VerifyOptions{}); len(p) > 0 {
				t.Errorf("Verify after the next run: %v", p)
			}
		})
	}
}

func TestStatcacheGrowsAndShrinks(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	const rounds = 1200 // more than statSlack holds
	for i := range rounds {
		s.cache.put(record{key: [32]byte{byte(i % 7)}, digest: Digest{1}, readNS: int64(i)})
		s.cache.flush()
		if i < 300 && i%100 == 0 { // a torn record from a process that was killed
			f, err := os.OpenFile(s.path("statcache"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(f, "HSC1 torn")
			f.Close()
		}
	}
	records, damaged, err := s.cache.read()
	if err != nil || damaged > 1 {
		t.Errorf("%d damaged records, %v", damaged, err)
	}
	last := int64(0)
	for _, r := range records {
		last = max(last, r.readNS)
	}
	if want := int64(rounds - 1); last != want || len(records) > 700 {
		t.Errorf("%d records, the last is %d; want few and %d", len(records), last, want)
	}
}

func TestDamagedPinStopsGC(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	a, b := mustCommit(t, s, "a", "one"), mustCommit(t, s, "b", "two")
	for name, x := range map[string]*Artifact{"a": a, "b": b} {
		if err := s.Pin(ctx, name, x.Digest); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(s.path("pins"))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(data) {
		if err := os.WriteFile(s.path("pins"), flip(bit)(append([]byte(nil), data...)), 0o644); err != nil {
			t.Fatal(err)
		}
		if pins, err := s.Pins(); err == nil {
			t.Fatalf("bit %d flipped: Pins = %v, no error", bit, pins)
		}
	}
	for cut := range data { // between two lines too
		if err := os.WriteFile(s.path("pins"), data[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		if pins, err := s.Pins(); err == nil {
			t.Fatalf("cut at %d: Pins = %v, no error", cut, pins)
		}
	}
	if err := os.Remove(s.path("pins")); err != nil {
		t.Fatal(err)
	}
	if pins, err := s.Pins(); err == nil {
		t.Errorf("file removed: Pins = %v, no error", pins)
	}
	if err := os.WriteFile(s.path("pins"), flip(8*len(data)-100)(append([]byte(nil), data...)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GC(ctx, nil, GCOptions{}); err == nil {
		t.Error("GC with a damaged pin: no error")
	}
	if err := s.Pin(ctx, "c", a.Digest); err == nil {
		t.Error("Pin beside a damaged one: no error")
	}
	if p := problems(t, s, VerifyOptions{Repair: true}); len(p) == 0 || p[0].What != "pin" || !p[0].Repaired {
		t.Errorf("Verify: %v", p)
	}
	if pins, err := s.Pins(); err != nil || len(pins) != 1 {
		t.Errorf("Pins after repair = %v, %v", pins, err)
	}
}

func TestLineageDamage(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	if err := s.SetLineage("x", ActionKey{1}); err != nil {
		t.Fatal(err)
	}
	path := s.lineagePath("x")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(data) {
		overwrite(t, path, func([]byte) []byte { return flip(bit)(append([]byte(nil), data...)) })
		if k, err := s.Lineage("x"); !errors.As(err, new(*DamagedError)) {
			t.Fatalf("bit %d flipped: Lineage = %s, %v; want that it is damaged", bit, k, err)
		}
	}
	for cut := range data {
		overwrite(t, path, func([]byte) []byte { return data[:cut] })
		if k, err := s.Lineage("x"); !errors.As(err, new(*DamagedError)) {
			t.Fatalf("cut at %d: Lineage = %s, %v; want that it is damaged", cut, k, err)
		}
	}
	if p := problems(t, s, VerifyOptions{Repair: true}); len(p) != 1 || p[0].What != "lineage" || !p[0].Repaired {
		t.Errorf("Verify: %v", p)
	}
	if p := problems(t, s, VerifyOptions{}); len(p) > 0 {
		t.Errorf("Verify after repair: %v", p)
	}
}

func TestVerifyRepairs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	a := mustCommit(t, s, "a", "one")
	mustCommit(t, s, "b", "two")
	if err := os.Remove(s.objectPath(a.Manifest.Parts[0].Digest)); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(s.path("objects"), "notes.txt")
	if err := os.WriteFile(foreign, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Partial(KeyOf("c")); err != nil {
		t.Fatal(err)
	}
	o := VerifyOptions{Repair: true, Partial: func(ActionKey, string) error { return errors.New("torn") }}
	var got []string
	for _, p := range problems(t, s, o) {
		got = append(got, fmt.Sprint(p.What, " ", p.Repaired))
	}
	if want := "[foreign file false action true partial true]"; fmt.Sprint(got) != want {
		t.Errorf("Verify found %v, want %s", got, want)
	}
	if _, _, err := s.Action(KeyOf("a")); !errors.Is(err, ErrNotFound) {
		t.Errorf("Action after repair = %v", err)
	}
	if _, _, err := s.Action(KeyOf("b")); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	m, _ := canonical(Manifest{Type: "files", Parts: []Part{{Name: "a", Digest: Digest{1}, Size: 1}}})
	a, _ := canonical(Action{Description: "x\n<y>", Manifest: Digest{2}})
	f.Add(m)
	f.Add(a)
	f.Add([]byte(`{"type":"files","parts":[{"name":"../x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Manifest
		if decode(data, &m) == nil && m.check() == nil {
			for _, p := range m.Parts {
				if !filepath.IsLocal(p.Name) {
					t.Errorf("part name %q", p.Name)
				}
			}
		}
		var a Action
		if decode(data, &a) == nil {
			if again, err := canonical(a); err != nil || string(again) != string(data) {
				t.Errorf("%q is read as %q", data, again)
			}
		}
	})
}

func FuzzParseRef(f *testing.F) {
	f.Add(strings.TrimSuffix(ref{"a \"name\"\n", Digest{1}}.line(), "\n"))
	f.Add("sha256: x 00000000")
	f.Fuzz(func(t *testing.T, line string) {
		if r, err := parseRef(line); err == nil && r.line() != line+"\n" {
			t.Errorf("%q is read as %q", line, r.line())
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add(record{key: [32]byte{1}, digest: Digest{2}, readNS: 3}.append(nil))
	f.Add([]byte("HSC1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := parseRecord(b); ok && string(r.append(nil)) != string(b) {
			t.Errorf("%x is read as %x", b, r.append(nil))
		}
	})
}
