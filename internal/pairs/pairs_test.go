package pairs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/internal/table"
)

func TestCheckID(t *testing.T) {
	for _, id := range []string{"a", "A", "1000268201_693b08cb0e.jpg#0", "é", "e\u0301", "😀", ".hidden", "~root", "@file", "a b", "console", "%2e%2e%2f", strings.Repeat("a", 255)} {
		if err := CheckID(id); err != nil {
			t.Errorf("CheckID(%q) = %v, want nil", id, err)
		}
	}
	for _, id := range []string{
		"", " ", ".", "..", "../x", "/etc/passwd", `a\b`, "C:x", "CON", "nul.txt", "Aux", "com1.wav", "-rf", "--help", "a\nb", "a\x00b",
		"\u202e", "a\u2028b", "trailing.", "trailing ", " leading", "a/b", "..%c0%af", "\xff", strings.Repeat("a", 256),
	} {
		if err := CheckID(id); err == nil {
			t.Errorf("CheckID(%q) = nil, want an error", id)
		}
	}
}

// TestHostileIDs reads ids that were collected to do harm: those with a
// separator and the like must be refused, the rest be told apart.
func TestHostileIDs(t *testing.T) {
	data, err := os.ReadFile(sharedtest.Path(t, "badinputs", "files", "text", "gen-ids-hostile.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	if err := json.Unmarshal(data, &ids); err != nil {
		t.Fatal(err)
	}
	var p Problems
	for _, id := range ids {
		err := CheckID(id)
		if err != nil {
			p.Add("%v", err)
		}
		bad := strings.ContainsAny(id, "/\\\x00\n\t:") || strings.HasPrefix(id, "-") || len(id) > 255 || strings.TrimSpace(id) == ""
		if bad && err == nil {
			t.Errorf("CheckID(%.40q) = nil, want an error", id)
		}
	}
	if e := p.Err(); e == nil || strings.Count(e.Error(), "\n") != len(p) {
		t.Errorf("the error does not list all of %d problems: %v", len(p), e)
	}
}

func TestNormalise(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		warnings       int
	}{
		{"plain", "a dog runs", "a dog runs", 0},
		{"spaces", "  a  dog ", "a dog", 0},
		{"last line break", "a dog\n", "a dog", 0},
		{"lines", "a dog\r\nruns\tfast", "a dog runs fast", 1},
		{"composed", "cafe\u0301", "café", 0},
		{"no-break space", "a\u00a0dog", "a dog", 0},
		{"byte order mark", "\ufeffa dog", "a dog", 1},
		{"no letter", "...", "...", 1},
		{"long", strings.Repeat("word ", 300), strings.TrimSpace(strings.Repeat("word ", 300)), 1},
		{"option", "--stdin", "--stdin", 0},
	} {
		got, warnings, err := Normalise(c.in)
		if err != nil || got != c.want || len(warnings) != c.warnings {
			t.Errorf("%s: Normalise(%.40q) = %.40q, %q, %v; want %.40q and %d warnings", c.name, c.in, got, warnings, err, c.want, c.warnings)
		}
	}
	for name, in := range map[string]string{
		"empty": "", "blank": " \t\n", "only a mark": "\ufeff", "not UTF-8": "a \xff dog", "cut": "caf\xc3", "NUL": "a\x00b",
		"bell": "a\ab", "delete": "a\x7f", "C1": "a\u0085b", "too long": strings.Repeat("a", MaxTextBytes+1),
	} {
		if got, _, err := Normalise(in); err == nil {
			t.Errorf("%s: Normalise(%.40q) = %q, want an error", name, in, got)
		}
	}
}

// TestHostileCaptions holds Normalise to the list of collected captions: what
// must be refused is, and what is odd has a warning.
func TestHostileCaptions(t *testing.T) {
	for name, expect := range manifest(t, "files/text/gen-cap-") {
		data, err := os.ReadFile(sharedtest.Path(t, "badinputs", name))
		if err != nil {
			t.Fatal(err)
		}
		got, warnings, err := Normalise(string(data))
		switch {
		case expect == "error" && err == nil:
			t.Errorf("%s: Normalise = %.60q, want an error", name, got)
		case expect != "error" && err != nil:
			t.Errorf("%s: %v, want it accepted", name, err)
		case expect == "warn" && len(warnings) == 0:
			t.Errorf("%s: accepted without a warning", name)
		}
	}
}

// manifest returns the files whose names begin with prefix and what is expected
// of each.
func manifest(t *testing.T, prefix string) map[string]string {
	data, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(line, "\t"); len(f) > 3 && strings.HasPrefix(f[0], prefix) {
			out[f[0]] = f[3]
		}
	}
	if len(out) == 0 {
		t.Fatalf("no file begins with %s", prefix)
	}
	return out
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"a dog", "\ufeff a\tdog\n", "[[x]]", "\xff", "e\u0301", "\ufeff \t\t\ufeff ", "\ufeff \ufeffa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, _, err := Normalise(in)
		if err != nil {
			return
		}
		if !utf8.ValidString(got) || got == "" || strings.TrimSpace(got) != got {
			t.Errorf("Normalise(%q) = %q", in, got)
		}
		if again, _, err := Normalise(got); err != nil && len(got) <= MaxTextBytes || err == nil && again != got {
			t.Errorf("Normalise(%q) = %q, and again %q, %v", in, got, again, err)
		}
	})
}

// folder is an Output that writes to a folder.
type folder string

func (d folder) Write(_ context.Context, name, _ string, fill func(io.Writer) (int64, error)) error {
	f, err := os.Create(filepath.Join(string(d), name))
	if err != nil {
		return err
	}
	_, err = fill(f)
	return errors.Join(err, f.Close())
}

func TestWritePhotos(t *testing.T) {
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprintf("photo-%d", i))
	}
	write := func(workers int) map[string]string {
		dir := t.TempDir()
		err := WritePhotos(context.Background(), folder(dir), append(ids, ids[3]), workers, func(id string) (table.Photo, bool, error) {
			return table.Photo{ID: id, SHA256: table.SumBytes([]byte(id)), Bytes: []byte(id)}, id != "photo-7", nil
		})
		if err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out[f.Name()] = string(b)
		}
		return out
	}
	one, four := write(1), write(4)
	if len(one) != 16 {
		t.Errorf("%d parts, want 16", len(one))
	}
	seen := 0
	for name, b := range one {
		if four[name] != b {
			t.Errorf("%s depends on the number of workers", name)
		}
		for row, err := range table.Photos.Rows(strings.NewReader(b), int64(len(b))) {
			if err != nil || row.ID == "photo-7" {
				t.Errorf("%s: row %q, %v", name, row.ID, err)
			}
			seen++
		}
	}
	if seen != 99 {
		t.Errorf("%d photos, want 99", seen)
	}
}

func TestWriteFails(t *testing.T) {
	bad := errors.New("no such photo")
	err := WritePhotos(context.Background(), folder(t.TempDir()), []string{"a", "b", "c"}, 2, func(id string) (table.Photo, bool, error) {
		return table.Photo{ID: id}, true, map[bool]error{true: bad}[id == "b"]
	})
	if !errors.Is(err, bad) {
		t.Errorf("WritePhotos = %v, want %v", err, bad)
	}
	twice := []table.Caption{{ID: "a"}, {ID: "b"}, {ID: "a"}}
	if err := WriteCaptions(context.Background(), folder(t.TempDir()), twice); err == nil {
		t.Error("two captions of one id were written")
	}
}

func TestClipAndPhoto(t *testing.T) {
	if _, err := Photo("x", []byte("hello")); err == nil {
		t.Error("a text passed as a photo")
	}
	if _, err := Clip("x", "", []byte("hello")); err == nil {
		t.Error("a text passed as a recording")
	}
	c, err := Clip("x", "words", append([]byte("caff\x00\x01\x00\x00desc"), make([]byte, 100)...))
	if err != nil || c.Warnings == "" {
		t.Errorf("Clip of a Core Audio file = %+v, %v; want a row with a warning", c, err)
	}
}

func TestProblemsCounted(t *testing.T) {
	var p Problems
	for _, want := range []string{"1 problem:\n", "2 problems:\n"} {
		p.Add("row %d", len(p))
		if err := p.Err(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q in front", err, want)
		}
	}
}
