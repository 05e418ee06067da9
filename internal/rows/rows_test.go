package rows

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hearsight/hearsight/internal/table"
)

// folder is an artifact whose parts are files.
type folder []string

func (f folder) Parts(schema string) []string {
	if schema != table.Clips.Schema() {
		return nil
	}
	return f
}

func (f folder) Open(path string) (*os.File, error) { return os.Open(path) }

// clips writes parts of n clips each, with ids p0-000, p0-001, ….
func clips(t *testing.T, parts, n int) folder {
	t.Helper()
	var out folder
	dir := t.TempDir()
	for p := range parts {
		path := filepath.Join(dir, fmt.Sprintf("clips-%d.parquet", p))
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = table.Clips.Write(f, func(yield func(table.Clip, error) bool) {
			for i := range n {
				data := fmt.Appendf(nil, "sound %d of %d", i, p)
				if !yield(table.Clip{ID: fmt.Sprintf("p%d-%03d", p, i), SHA256: table.SumBytes(data), Audio: data}, nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		out = append(out, path)
	}
	return out
}

func TestRows(t *testing.T) {
	in := clips(t, 3, 40)
	entries, err := List(table.Clips, in)
	if err != nil || len(entries) != 120 {
		t.Fatalf("List = %d entries, %v; want 120", len(entries), err)
	}
	set, err := Open(table.Clips, in)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range entries {
				e := entries[(i*37+w*11)%len(entries)]
				row, err := set.Row(e.Ref)
				if err != nil || row.ID != e.ID || table.SumBytes(row.Audio) != e.SHA256 {
					t.Errorf("row %s is %q, %v", e.ID, row.ID, err)
				}
			}
		}()
	}
	wg.Wait()
	if _, err := set.Row(Ref{3, 0}); err == nil {
		t.Error("a row of a part that is not there was read")
	}
	if err := set.Close(); err != nil {
		t.Error(err)
	}
	all, err := All(table.Clips, in)
	if err != nil || len(all) != 120 || all[41].ID != "p1-001" {
		t.Errorf("All = %d rows, %v", len(all), err)
	}
}

func TestNone(t *testing.T) {
	for _, in := range []folder{nil, clips(t, 1, 0)} {
		if entries, err := List(table.Clips, in); err != nil || len(entries) != 0 {
			t.Errorf("List = %v, %v; want nothing", entries, err)
		}
	}
}

// TestDamaged checks that a part that cannot be read is an error, and that no
// file stays open after it.
func TestDamaged(t *testing.T) {
	in := clips(t, 2, 10)
	if err := os.Truncate(in[1], 100); err != nil {
		t.Fatal(err)
	}
	if _, err := List(table.Clips, in); err == nil {
		t.Error("List of a truncated part ended well")
	}
	if _, err := Open(table.Clips, in); err == nil {
		t.Error("Open of a truncated part ended well")
	}
	if _, err := All(table.Clips, folder{in[0], in[0] + ".none"}); err == nil {
		t.Error("All of a missing part ended well")
	}
}

// TestEach: every row once, part by part, until the caller has enough.
func TestEach(t *testing.T) {
	in := clips(t, 3, 5)
	all, err := All(table.Clips, in)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	n, err := Each(table.Clips, in, func(c table.Clip) error {
		if table.SumBytes(c.Audio) != c.SHA256 {
			t.Errorf("%s holds another's sound", c.ID)
		}
		seen = append(seen, c.ID)
		return nil
	})
	if err != nil || n != len(all) || len(seen) != len(all) {
		t.Fatalf("Each = %d, %v after %d rows; want %d", n, err, len(seen), len(all))
	}
	for i, c := range all {
		if seen[i] != c.ID {
			t.Errorf("row %d is %s, in All %s", i, seen[i], c.ID)
		}
	}
	enough := errors.New("enough")
	calls := 0
	n, err = Each(table.Clips, in, func(table.Clip) error {
		if calls++; calls == 7 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 6 || calls != 7 {
		t.Errorf("Each = %d, %v after %d calls; want 6 used before the error", n, err, calls)
	}
	if err := os.Truncate(in[2], 100); err != nil {
		t.Fatal(err)
	}
	if n, err := Each(table.Clips, in, func(table.Clip) error { return nil }); err == nil || n != 10 {
		t.Errorf("Each over a damaged part = %d, %v; want 10 rows and an error", n, err)
	}
}

func TestBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.json")
	if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	schema := table.Clips.Schema()
	if b, err := Bytes(folder{path}, schema); err != nil || string(b) != "{}" {
		t.Errorf("Bytes = %q, %v", b, err)
	}
	for want, c := range map[string]struct {
		in     folder
		schema string
	}{
		"2 parts of schema " + schema + ", want 1": {folder{path, path}, schema},
		"0 parts of schema other/1, want 1":        {folder{path}, "other/1"},
		"no such file":                             {folder{path + ".none"}, schema},
	} {
		if _, err := Bytes(c.in, c.schema); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Bytes = %v, want %q", err, want)
		}
	}
}
