package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

// measured parses data and fails the test if that took more than 2 s of the cores or made
// more than 256 MiB.
func measured(t *testing.T, name string, data []byte) (*Pipeline, error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cpuTime()
	p, err := Parse(name, data, testKinds(), Options{})
	took := cpuTime() - start
	runtime.ReadMemStats(&after)
	if made := after.TotalAlloc - before.TotalAlloc; made > 256<<20 {
		t.Errorf("%s: %d MiB", name, made>>20)
	}
	if took > 2*time.Second {
		t.Errorf("%s: %v", name, took)
	}
	return p, err
}

func TestBadInputs(t *testing.T) {
	manifest, err := os.ReadFile(sharedtest.Path(t, "badinputs", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(manifest)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) < 4 || !strings.HasPrefix(f[0], "files/yaml/") {
			continue
		}
		n++
		data, err := os.ReadFile(sharedtest.Path(t, "badinputs", f[0]))
		if err != nil {
			t.Fatal(err)
		}
		_, err = measured(t, filepath.Base(f[0]), data)
		// None of the files is a spec: even those that are right YAML lack
		// a version or stages.
		if err == nil {
			t.Errorf("%s: no error, want one (manifest: %s)", f[0], f[3])
			continue
		}
		again, ok := err.(Problems)
		if !ok {
			t.Errorf("%s: %T, want Problems", f[0], err)
			continue
		}
		for _, p := range again {
			if strings.ContainsAny(p.Message+p.Excerpt, "\x00\x1b\u202e") || strings.Contains(p.Message, "\n") {
				t.Errorf("%s: %q would be obeyed by a terminal", f[0], p)
			}
		}
	}
	if n < 400 {
		t.Errorf("%d files, want all", n)
	}
}

func TestHostile(t *testing.T) {
	head := "version: 1\nstages:\n"
	var many, vars, chainVars, bomb strings.Builder
	many.WriteString(head)
	for i := range 12_000 {
		fmt.Fprintf(&many, "  q%d: {kind: mfccc, in: {wav: zz%d}, with: {filtre: 3}}\n", i, i)
	}
	vars.WriteString("version: 1\nvars:\n  a0: xxxxxxxx\n")
	for i := range 12 {
		fmt.Fprintf(&vars, "  a%d: \"%s\"\n", i+1, strings.Repeat(fmt.Sprintf("${a%d}", i), 9))
	}
	vars.WriteString("stages: {a: {kind: exec, with: {command: [\"${a12}\"]}}}\n")
	chainVars.WriteString("version: 1\nvars:\n")
	for i := range 20_000 {
		fmt.Fprintf(&chainVars, "  a%d: \"${a%d}\"\n", i, i+1)
	}
	chainVars.WriteString("stages: {}\n")
	big := strings.Repeat("x", 60_000)
	fmt.Fprintf(&bomb, "version: 1\nvars: {b: %s}\nstages:\n  a: {kind: exec, with: {command: [%s]}}\n", big, strings.Repeat("\"${b}\",", 2_000))
	for name, text := range map[string]string{
		"10 MB scalar":      "version: 1\nx: " + strings.Repeat("x", 10<<20),
		"long scalar":       "version: " + strings.Repeat("x", maxBytes-10),
		"long line":         "version: [" + strings.Repeat("a,", 240_000) + "]",
		"too many values":   "version: [" + strings.Repeat("a,", 1_900_000) + "]",
		"deep list":         "version: " + strings.Repeat("[", 65) + strings.Repeat("]", 65),
		"deep brackets":     strings.Repeat("[", 400_000),
		"deep maps":         strings.Repeat("{a: ", 300_000),
		"dashes":            strings.Repeat("- ", 400_000),
		"questions":         strings.Repeat("? ", 200_000),
		"colons":            strings.Repeat(": ", 200_000),
		"anchors":           strings.Repeat("- &a a\n", 100_000),
		"aliases":           "- &a a\n" + strings.Repeat("- *a\n", maxAliases+1),
		"deep by aliases":   "a0: &a0 [x]\n" + aliasChain(100),
		"comments":          strings.Repeat("a:\n#\n", 50_000),
		"wrong words":       many.String(),
		"vars that grow":    vars.String(),
		"vars in a chain":   chainVars.String(),
		"text that grows":   bomb.String(),
		"wide matrix":       head + "  a: {kind: exec, with: {command: [x]}, matrix: {" + wideMatrix(9) + "}}\n",
		"matrices to match": head + "  a: {kind: exec, with: {command: [" + strings.Repeat("y,", 50_000) + "]}, matrix: {" + wideMatrix(4) + "}}\n",
		"all with all":      head + "  a: {kind: exec, with: {command: [x]}, matrix: {" + wideMatrix(3) + "}}\n  b: {kind: exec, in: a, with: {command: [x]}, matrix: {" + wideMatrix(4) + "}}\n",
		"repeated matrix":   head + "  a: {kind: exec, with: {command: [x]}, matrix: {" + wideMatrix(4) + "}}\n" + repeats(20_000),
		"utf-16":            "\xff\xfea\x00:\x00",
		"control":           "version: 1\nstages: {a: \x1b[31m}\n",
		"nothing":           "",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := measured(t, "p.yaml", []byte(text))
			if err == nil {
				t.Fatal("no error")
			}
			if msg := err.Error(); len(msg) > 512<<10 {
				t.Errorf("%d bytes of problems", len(msg))
			}
		})
	}
}

// TestLimits reaches each limit alone, so that none can go unnoticed.
func TestLimits(t *testing.T) {
	laughs := "a0: &a0 [l, l, l, l, l, l, l, l, l]\n"
	for i := range 8 {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9))
	}
	for _, c := range []struct{ name, text, want string }{
		{"laughs", laughs, "aliases make more than 10 times the file of it"},
		{"aliases", "a: &a x\nb: [" + strings.Repeat("*a, ", maxAliases+1) + "]\n", "more than 1000 aliases"},
		{"depth by aliases", "pad: [" + strings.Repeat("x, ", 1000) + "]\na0: &a0 [x]\n" + aliasChain(maxDepth), "more than 64 deep"},
		{"depth", strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2), "more than 64 deep"},
		{"loop", "a: &a [[*a]]\n", "alias *a stands within its own anchor"},
		{"values", "[" + strings.Repeat("a, ", maxNodes) + "]", "more than 500000 keys and values"},
		{"text", "version: '" + strings.Repeat("x", maxText+1) + "'\n", "a string of 65537 bytes: at most 65536"},
		{"text by variables", "version: 1\nvars: {a: " + strings.Repeat("x", maxText/2) + ", b: \"${a}${a}${a}\"}\n", "variables make more than 65536 bytes"},
		{"problems", strings.Repeat("- &a a\n", 3) + strings.Repeat("- {a: 1, a: 2}\n", maxProblems+7), "and 8 more problems"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := measured(t, "p.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%.300v, want %s", err, c.want)
			}
		})
	}
	ok := "version: 1\nstages: {a: {kind: exec, with: {command: [&a x, " + strings.Repeat("*a, ", maxAliases) + "]}}}\n"
	if _, err := measured(t, "p.yaml", []byte(ok)); err != nil {
		t.Errorf("as many aliases as may be: %.300v", err)
	}
}

// TestLoadLarge is over the limit of a file: no more of it may be read than
// shows that, let alone parsed.
func TestLoadLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(path, []byte("version: 1\nx: "+strings.Repeat("x", 10<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Load(path, testKinds(), Options{})
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Errorf("Load: %.200v", err)
	}
	if made := after.TotalAlloc - before.TotalAlloc; made > 64<<20 {
		t.Errorf("%d MiB for it", made>>20)
	}
}

func aliasChain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d]\n", i+1, i+1, i)
	}
	return b.String()
}

func wideMatrix(fields int) string {
	var b strings.Builder
	for i := range fields {
		fmt.Fprintf(&b, "f%d: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], ", i)
	}
	return b.String()
}

func repeats(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  r%d: {kind: exec, matrix: a, with: {command: [x]}}\n", i)
	}
	return b.String()
}

func TestTenThousandStages(t *testing.T) {
	var wide, deep, matrices strings.Builder
	for _, b := range []*strings.Builder{&wide, &deep} {
		b.WriteString("version: 1\nvars: {n: 40}\nstages:\n  p: {kind: flickr8k, with: {root: x}}\n  s: {kind: tts, in: p}\n")
	}
	matrices.WriteString("version: 1\nstages:\n  s0: {kind: exec, with: {command: [x]}, matrix: {a: [x]}}\n")
	for i := range 10_000 {
		fmt.Fprintf(&wide, "  m%d:\n    kind: mfcc\n    in: {wav: s}\n    with: {filters: \"${n}\", window_samples: 551}\n    shards: 4\n", i)
		// Last first, so that every order but the right one is tried.
		fmt.Fprintf(&deep, "  c%d: {kind: exec, in: c%d, with: {command: [x, \"${n}\"]}}\n", i, i+1)
		fmt.Fprintf(&matrices, "  t%d: {kind: exec, with: {command: [x]}, matrix: %s}\n", i, map[bool]string{true: "s0", false: fmt.Sprintf("t%d", i+1)}[i == 9_999])
	}
	deep.WriteString("  c10000: {kind: exec, with: {command: [x]}}\n")
	for name, b := range map[string]*strings.Builder{"wide": &wide, "deep": &deep, "matrices": &matrices} {
		t.Run(name, func(t *testing.T) {
			p, err := measured(t, "p.yaml", []byte(b.String()))
			if err != nil {
				t.Fatalf("%.300s", err)
			}
			if len(p.Stages) < 10_001 {
				t.Errorf("%d stages", len(p.Stages))
			}
		})
	}
	t.Run("deep cycle", func(t *testing.T) {
		_, err := measured(t, "p.yaml", []byte(strings.Replace(deep.String(), "c10000: {kind: exec,", "c10000: {kind: exec, in: c0,", 1)))
		if err == nil || !strings.Contains(err.Error(), "in a circle: c0 -> c1 -> c2") {
			t.Errorf("%.300v", err)
		}
	})
}

func BenchmarkTenThousandStages(b *testing.B) {
	var text strings.Builder
	text.WriteString("version: 1\nvars: {n: 40}\nstages:\n  p: {kind: flickr8k, with: {root: x}}\n  s: {kind: tts, in: p}\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  m%d:\n    kind: mfcc\n    in: {wav: s}\n    with: {filters: \"${n}\", window_samples: 551}\n    shards: 4\n", i)
	}
	data, kinds := []byte(text.String()), testKinds()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		if _, err := Parse("p.yaml", data, kinds, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpuTime()-start).Seconds()/float64(b.N), "cpu-s/op")
}

func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{"a: &a [*a]", "a: \"\\ud800\"", "%YAML 9.9\n---\na: 1", "? ? ?", "<<: {a: 1}", "version: 1\nstages: {a: {kind: exec, in: a@${x}, matrix: {x: [\"${y}\"]}}}", "a: |\n  x\n b"} {
		f.Add([]byte(s))
	}
	kinds := testKinds()
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("p.yaml", data, kinds, Options{Set: map[string]string{"train": "3"}})
		if (p == nil) == (err == nil) {
			t.Fatalf("Parse: %v, %v", p, err)
		}
		if err == nil {
			checkPipeline(t, p)
			return
		}
		_, again := Parse("p.yaml", data, kinds, Options{Set: map[string]string{"train": "3"}})
		if again == nil || again.Error() != err.Error() {
			t.Fatalf("problems differ:\n%v\n%v", err, again)
		}
	})
}

// checkPipeline checks what every Pipeline without problems holds to.
func checkPipeline(t *testing.T, p *Pipeline) {
	t.Helper()
	index := map[string]bool{}
	for _, s := range p.Stages {
		if index[s.Name] || s.Base == "" || s.Kind == "" || strings.ContainsAny(s.Name, "/\\\x00") {
			t.Errorf("stage %+v", s)
		}
		index[s.Name] = true
	}
	for _, s := range p.Stages {
		for port, names := range s.Inputs {
			for _, n := range names {
				if !index[n] {
					t.Errorf("stage %s: input %s is %s, which there is not", s.Name, port, n)
				}
			}
		}
	}
}
