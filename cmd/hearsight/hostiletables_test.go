package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/sharedtest"
	"github.com/hearsight/hearsight/pipeline"
)

// setAside is the outcome of a table some of whose rows, or all, are refused.
const setAside = "rows set aside"

// tableAllowed is what may become of a table, by what manifest.tsv expects.
var tableAllowed = map[string][]string{
	"error": {refused, setAside},
	"warn":  {warned},
	"clean": {refused, setAside, warned, taken},
}

// tableReasons names the tables whose outcome is one of these for sure.
var tableReasons = map[string]struct{ outcome, says string }{
	"gen-bom.csv":                     {warned, "byte order mark left out"},
	"gen-header-only.csv":             {warned, "the table has no rows"},
	"gen-csv-dup-ids.csv":             {setAside, "its id \"1\" is that of line 2"},
	"gen-csv-ragged.csv":              {setAside, "line 3: it has 4 fields, the header 2"},
	"gen-csv-longline.csv":            {setAside, "line 2: "},
	"gen-ids-hostile.csv":             {setAside, "holds a separator"},
	"gen-csv-mac-eol.csv":             {refused, "carriage returns"},
	"gen-csv-quote-open.csv":          {refused, "line 2"},
	"gen-nul.csv":                     {refused, "NUL byte"},
	"gen-empty-file.csv":              {refused, "the table is empty"},
	"gen-ids-hostile.json":            {refused, "line 1"},
	"gen-flickr8k-hostile.token.txt":  {refused, "line 23: "},
	"pub-arrow-testing-README.md.csv": {refused, `no column "image"`},
}

// TestHostileTables takes the hostile text files that are tables, each as a
// stage, through one run that goes on: each is judged as the manifest says, with
// its name and the place, and the good one comes out as without them. Files of
// single captions are TestHostileMedia's.
func TestHostileTables(t *testing.T) {
	dir := t.TempDir()
	text := sharedtest.Path(t, "badinputs", "files", "text")
	manifest, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	const good = "version: 1\nstages:\n  good: {kind: corpus, with: {table: good.csv}}\n"
	var spec strings.Builder
	spec.WriteString(good)
	expect, files := map[string]string{}, map[string]string{} // by stage
	for line := range strings.Lines(string(manifest)) {
		f := strings.Split(line, "\t")
		name, ok := strings.CutPrefix(f[0], "files/text/")
		if !ok || strings.HasPrefix(name, "gen-cap-") {
			continue
		}
		stage := fmt.Sprintf("table%d", len(files))
		expect[stage], files[stage] = f[3], name
		with := fmt.Sprintf("{kind: corpus, with: {table: %q}", filepath.Join(text, name))
		if strings.HasSuffix(name, ".token.txt") {
			with = "{kind: flickr8k, with: {root: flickr, train: 1, validation: 0}"
			err := os.MkdirAll(filepath.Join(dir, "flickr", "images"), 0o755)
			if err == nil {
				err = os.Symlink(filepath.Join(text, name), filepath.Join(dir, "flickr", "Flickr8k.token.txt"))
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "flickr", "images", "a.jpg"), []byte("\xff\xd8\xff"), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&spec, "  %s: %s, max_rejects: 100%%}\n", stage, with)
	}
	if len(files) < 17 {
		t.Fatalf("%d tables in the manifest", len(files))
	}
	for name, data := range map[string]string{"good.csv": "id,caption\n1,a dog runs\n2,a cat sleeps\n", "good.yaml": good, "pipeline.yaml": spec.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Where a table is refused, the others go on, and the run says so at its end.
	s := sandbox{top: dir, dir: dir}
	if out, code := s.do(t, "run", "--keep-going"); code != exitFailed {
		t.Fatalf("run: exit code %d\n%s", code, out)
	}
	if out, code := s.do(t, "run", "-f", "good.yaml", "--store", "calm"); code != exitOK {
		t.Fatal(out)
	}
	h := &hostile{dir: dir}
	if got, want := h.must(t, "digest", "good"), h.must(t, "digest", "good", "-f", "good.yaml", "--store", "calm"); got != want {
		t.Errorf("beside hostile tables: %s, without them %s", got, want)
	}
	checkTables(t, h, expect, files)
}

// checkTables holds each stage's outcome to the manifest, and what is said of it.
func checkTables(t *testing.T, h *hostile, expect, files map[string]string) {
	t.Helper()
	var st statusJSON
	if err := json.Unmarshal([]byte(h.must(t, "status", "--json")), &st); err != nil {
		t.Fatal(err)
	}
	warnings := map[string]string{}
	for _, ev := range hostileEvents(t, filepath.Join(h.dir, ".hearsight")) {
		if ev.Type == pipeline.Message && ev.Warning {
			warnings[ev.Stage] += ev.Reason + "\n"
		}
		if ev.Type == pipeline.StageFinished && ev.Seconds > 10 { // of a busy machine; some milliseconds are usual
			t.Errorf("%s took %.1f s", files[ev.Stage], ev.Seconds)
		}
	}
	counts, judged := map[string]int{}, 0
	for _, row := range st.Stages {
		name := files[row.Stage]
		if name == "" {
			continue
		}
		judged++
		got, says := taken, ""
		switch {
		case row.Failed != "":
			got, says = refused, row.Failed
			if base := strings.Replace(name, "gen-flickr8k-hostile", "Flickr8k", 1); !strings.Contains(says, base) {
				t.Errorf("%s is refused without its name: %.300s", name, says)
			}
		case row.Digest == nil:
			got = "gone without a word"
		case row.Rejected > 0:
			got, says = setAside, h.must(t, "inspect", row.Stage+"/rejects.parquet", "--export", "csv")
		case warnings[row.Stage] != "":
			got, says = warned, warnings[row.Stage]
		}
		want := tableAllowed[expect[row.Stage]]
		known := tableReasons[name]
		if known.outcome != "" {
			want = []string{known.outcome}
		}
		if !slices.Contains(want, got) || !strings.Contains(strings.ReplaceAll(says, `""`, `"`), known.says) {
			t.Errorf("%s (%s): %s, want %q and %q: %.500s", name, expect[row.Stage], got, want, known.says, says)
		}
		counts[fmt.Sprintf("tables, %s: %s", expect[row.Stage], got)]++
	}
	if judged != len(files) {
		t.Errorf("%d of %d tables judged", judged, len(files))
	}
	for _, c := range sortedKeys(counts) {
		t.Logf("%s %d", c, counts[c])
	}
}

// hostileEvents reads the journal of a store's only run.
func hostileEvents(t *testing.T, store string) []pipeline.Event {
	t.Helper()
	journals, err := filepath.Glob(filepath.Join(store, "runs", "*", pipeline.JournalName))
	if err != nil || len(journals) != 1 {
		t.Fatalf("journals %q: %v", journals, err)
	}
	events, err := pipeline.ReadJournal(journals[0])
	if err != nil || len(events) == 0 {
		t.Fatalf("%d events in %s: %v", len(events), journals[0], err)
	}
	return events
}
