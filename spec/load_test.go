package spec

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func parse(t *testing.T, text string, set ...string) (*Pipeline, error) {
	t.Helper()
	o := Options{Set: map[string]string{}}
	for _, s := range set {
		name, value, _ := strings.Cut(s, "=")
		o.Set[name] = value
	}
	return Parse("p.yaml", []byte(text), testKinds(), o)
}

// TestGolden compares the problems of every file in testdata with those
// written beside it; a file without problems has an empty golden.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("testdata: %d files, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			p, err := Load(f, testKinds(), Options{})
			got := ""
			if err != nil {
				var ps Problems
				if !errors.As(err, &ps) || p != nil {
					t.Fatalf("Load: %v, %T, want no pipeline and Problems", p, err)
				}
				got = err.Error() + "\n"
			}
			golden := strings.TrimSuffix(f, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
		})
	}
}

func TestPaper(t *testing.T) {
	p, err := Load("testdata/paper.yaml", testKinds(), Options{Set: map[string]string{"train": "300", "format": "m4a"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	at := map[string]Stage{}
	for _, s := range p.Stages {
		names = append(names, s.Name)
		at[s.Name] = s
	}
	want := []string{
		"pairs", "speech", "mfcc", "photos", "features@vgg16", "features@vgg19", "features@resnet50",
		"model@VGG16_5", "model@VGG19_3", "scores@VGG16_5", "scores@VGG19_3", "report",
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("stages (-want +got):\n%s", d)
	}
	speech := at["speech"]
	if speech.Params["format"] != "m4a" || speech.Shards != 32 || speech.MaxRejects != (MaxRejects{Share: 0.02, Given: true}) {
		t.Errorf("speech: %+v", speech)
	}
	if got := at["pairs"].Params["train"]; got != int64(300) {
		t.Errorf("train from --set: %T %v, want int64 300", got, got)
	}
	file := "testdata/paper.yaml"
	wantModel := Stage{
		Name: "model@VGG19_3", Base: "model", Kind: "train", Pos: Pos{file, 9, 3},
		Inputs: map[string][]string{"pairs": {"pairs"}, "mfcc": {"mfcc"}, "features": {"features@vgg19"}},
		Params: map[string]any{
			"audio": "conv3", "frames": int64(512), "epochs": int64(150), "checkpoint_every": "5m", "rates": []any{1.0, 0.5},
		},
		Matrix:    map[string]string{"system": "VGG19_3", "tower": "vgg19", "audio": "conv3", "frames": "512"},
		Resources: Resources{CPUs: 2, MemoryBytes: 8 << 30, Time: 12 * time.Hour, OutputBytes: 1 << 30},
		ParamPos: map[string]Pos{
			"audio": {file, 15, 19}, "frames": {file, 15, 39}, "epochs": {file, 15, 60},
			"checkpoint_every": {file, 15, 91}, "rates": {file, 15, 102},
		},
	}
	if d := cmp.Diff(wantModel, at["model@VGG19_3"]); d != "" {
		t.Errorf("model@VGG19_3 (-want +got):\n%s", d)
	}
	if got := at["features@vgg19"].Params["weights"]; got != "data/flickr8k/weights/vgg19.npz" {
		t.Errorf("weights: %v", got)
	}
	if d := cmp.Diff([]string{"scores@VGG16_5", "scores@VGG19_3"}, at["report"].Inputs["scores"]); d != "" {
		t.Errorf("report's scores (-want +got):\n%s", d)
	}
	wantVars := map[string]string{
		"flickr8k": "data/flickr8k", "weights": "data/flickr8k/weights", "train": "300",
		"captions_per_photo": "5", "epochs": "150", "format": "m4a",
	}
	if d := cmp.Diff(wantVars, p.Vars); d != "" {
		t.Errorf("vars (-want +got):\n%s", d)
	}
}

func TestProductAndEscape(t *testing.T) {
	p, err := parse(t, `
version: 1
stages:
  x:
    kind: exec
    matrix: {a: [p, q], b: [1, 2.5], c: only}
    with: {command: ["$${a}", "${a}-${b}", "${b}", "$a $", "a$${b}c${c}"], env: {n: "${b}", t: true}}
`)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range p.Stages {
		names = append(names, s.Name)
	}
	if d := cmp.Diff([]string{"x@p,1,only", "x@p,2.5,only", "x@q,1,only", "x@q,2.5,only"}, names); d != "" {
		t.Errorf("instances (-want +got):\n%s", d)
	}
	want := map[string]any{
		"command": []any{"${a}", "p-2.5", "2.5", "$a $", "a${b}conly"},
		"env":     map[string]any{"n": 2.5, "t": true},
	}
	if d := cmp.Diff(want, p.Stages[1].Params); d != "" {
		t.Errorf("params (-want +got):\n%s", d)
	}
}

func TestMergeAndAlias(t *testing.T) {
	p, err := parse(t, `
version: 1
stages:
  a: &a {kind: exec, with: &w {command: [x], env: {k: 1}}}
  b: {<<: *a, in: a}
  c: {kind: exec, in: a, with: {<<: [*w, {env: {never: 1}}], command: [y]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"command": []any{"y"}, "env": map[string]any{"k": int64(1)}}
	if d := cmp.Diff(want, p.Stages[2].Params); d != "" {
		t.Errorf("c (-want +got):\n%s", d)
	}
	if p.Stages[1].Kind != "exec" || len(p.Stages[1].Inputs["in"]) != 1 {
		t.Errorf("b: %+v", p.Stages[1])
	}
}

func TestSet(t *testing.T) {
	const text = `
version: 1
vars: {root: "3", train: 6000, late: , path: "${root}/x"}
stages:
  pairs: {kind: flickr8k, with: {root: "${path}", train: "${train}", captions_per_photo: "${late}"}}
`
	p, err := parse(t, text, "root=7", "train=1_000", "late=2")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"root": "7/x", "train": int64(1000), "captions_per_photo": int64(2)}
	if d := cmp.Diff(want, p.Stages[0].Params); d != "" {
		t.Errorf("params (-want +got):\n%s", d)
	}
	// What the file has as a string stays one, whatever --set makes it look like.
	p, err = parse(t, "version: 1\nvars: {s: x, n: 1}\nstages: {a: {kind: exec, with: {command: [x], env: {s: \"${s}\", n: \"${n}\"}}}}", "s=7", "n=null")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"s": "7", "n": "null"}, p.Stages[0].Params["env"]); d != "" {
		t.Errorf("env (-want +got):\n%s", d)
	}
	for _, c := range []struct{ name, set, want string }{
		{"unknown", "trian=3", `p.yaml: --set trian: the spec has no such variable (did you mean "train"?)`},
		{"type", "train=abc", `train is a whole number, not the string "abc"`},
		{"range", "late=9", `captions_per_photo is between 1 and 5, not 9`},
		{"missing", "train=1", `variable late has no value: give it one here or by --set late=…`},
		{"no recursion", "root=${train}", ``},
		{"nul", "root=a\x00b", `--set root: a NUL byte`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := parse(t, text, "late=1", c.set)
			if c.name == "missing" {
				p, err = parse(t, text, c.set)
			}
			if c.want == "" {
				if err != nil || p.Stages[0].Params["root"] != "${train}/x" {
					t.Errorf("--set %s: %v, %v", c.set, p, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("--set %s: %v, want %s", c.set, err, c.want)
			}
		})
	}
}

// TestWordTrue has a parameter one of whose words is what YAML takes for a
// boolean.
func TestWordTrue(t *testing.T) {
	const head = "version: 1\nstages:\n  a: {kind: one, with: {length: "
	kinds := []Kind{{Name: "one", Params: []Param{{Name: "length", Type: "string", Enum: []string{"fixed", "true"}}}}}
	p, err := Parse("p.yaml", []byte(head+"true}}"), kinds, Options{})
	if err != nil || p.Stages[0].Params["length"] != "true" {
		t.Errorf("true: %v, %v", p, err)
	}
	if _, err := Parse("p.yaml", []byte(head+"false}}"), kinds, Options{}); err == nil {
		t.Error("false: no error")
	}
}

// TestInstances has a problem in two instances of three: it is told once, and
// the kind's own check is not given what the types have refused.
func TestInstances(t *testing.T) {
	kinds := testKinds()
	calls := 0
	for i := range kinds {
		if kinds[i].Name == "features" {
			kinds[i].Check = func(p map[string]any) []ParamProblem {
				calls++
				if p["tower"] == nil {
					t.Errorf("Check(%v) without the tower", p)
				}
				return []ParamProblem{{Message: "no weights for " + p["tower"].(string)}}
			}
		}
	}
	_, err := Parse("p.yaml", []byte(`
version: 1
stages:
  pairs: {kind: flickr8k, with: {root: x}}
  photos: {kind: images, in: pairs}
  features: {kind: features, in: photos, matrix: {t: [vgg17, vgg16, vgg18]}, with: {tower: "${t}"}}
`), kinds, Options{})
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("%v", err)
	}
	var got []string
	for _, p := range ps {
		got = append(got, p.Message)
	}
	want := []string{
		"no weights for vgg16 (in features@vgg16)",
		`tower is one of vgg16, vgg19, resnet50, not "vgg17" (in features@vgg17)`,
	}
	if d := cmp.Diff(want, got); d != "" || calls != 1 {
		t.Errorf("%d calls of Check; problems (-want +got):\n%s", calls, d)
	}
}

func TestSelect(t *testing.T) {
	p, err := Load("testdata/paper.yaml", testKinds(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		targets []string
		want    []int
	}{
		{nil, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{[]string{"mfcc"}, []int{2}},
		{[]string{"scores", "features@vgg19", "scores@VGG16_5"}, []int{5, 9, 10}},
	} {
		got, err := p.Select(c.targets)
		if err != nil {
			t.Errorf("Select(%q): %v", c.targets, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("Select(%q) (-want +got):\n%s", c.targets, d)
		}
	}
	for target, want := range map[string]string{
		"scors":          `did you mean "scores"?`,
		"features@vgg18": `did you mean "features@vgg16"?`,
		"zzzzz":          "there are pairs, speech",
	} {
		if _, err := p.Select([]string{target}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Select(%q): %v, want %s", target, err, want)
		}
	}
}

// TestKindForThat: who looks for `each` in exec is told of exec_each.
func TestKindForThat(t *testing.T) {
	kinds := append(testKinds(), Kind{Name: "exec_each", Output: "files"})
	_, err := Parse("p.yaml", []byte("version: 1\nstages:\n  a: {kind: exec, with: {each: item, command: [x]}}\n"), kinds, Options{})
	if want := `kind exec has no parameter "each"; the kind for that is exec_each`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestLoadUnreadable(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), testKinds(), Options{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of no file: %v", err)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"filters", "window_samples", "log", "mfcc", "voice"}
	for word, want := range map[string]string{
		"filter": "filters", "fliters": "filters", "lgo": "log", "mffc": "mfcc", "window_sample": "window_samples",
		"": "", "x": "", "window": "window_samples", "wi": "", "fil": "filters", "completely": "", "Voice": "voice",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestQuantities(t *testing.T) {
	for text, want := range map[string]int64{
		"8GiB": 8 << 30, "512MiB": 512 << 20, "1.5GB": 1_500_000_000, "100B": 100, "2 KiB": 2048,
		"8": 0, "GiB": 0, "-1GiB": 0, "8 gib": 0, "1e300GiB": 0, "NaNB": 0, "": 0,
	} {
		got, err := ParseBytes(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("ParseBytes(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "0s": 0, "12": -1, "-3s": -1, "+3s": -1, "": -1, "0": -1,
	} {
		got, err := ParseDuration(text)
		if err == nil && got != want || err != nil && want >= 0 {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}
