package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/report"
)

// TestRows: all names of the paper, each by its towers, and the row more.
func TestRows(t *testing.T) {
	all := allRows()
	if len(all) != len(report.Table1)+1 {
		t.Fatalf("%d rows", len(all))
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "pipeline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all[:len(all)-1] {
		at := strings.Index(string(text), "{system: "+r.name+",")
		if at < 0 {
			t.Errorf("pipeline.yaml has no row %s", r.name)
			continue
		}
		of, _, _ := strings.Cut(string(text)[at:], "}")
		_, tower, _ := strings.Cut(r.load, ", ")
		for _, want := range []string{"audio: " + tower + ",", map[bool]string{true: "untrained: true", false: "untrained: false"}[r.untrained]} {
			if !strings.Contains(of, want) {
				t.Errorf("%s is %q in pipeline.yaml, want %q", r.name, of, want)
			}
		}
		if r.conv != strings.HasPrefix(tower, "conv") || (r.base == "") != r.untrained {
			t.Errorf("%+v", r)
		}
	}
	for name, base := range map[string]string{"VGG16_6": "VGG16(R)", "Resnet50_5": "Resnet50(R)", "VGG19_GRU": "VGG19_LSTM(R)", randomRow: "VGG16(R)"} {
		rows, err := chosen(name, true)
		if err != nil || len(rows) != 1 || rows[0].base != base {
			t.Errorf("%s: %+v, %v, want the base %s", name, rows, err, base)
		}
	}
}

func TestChosen(t *testing.T) {
	for _, c := range []struct {
		names string
		lean  bool
		want  string
		fail  bool
	}{
		{names: "VGG19_6, VGG16(R)", want: "VGG16(R) VGG19_6"},
		{names: "VGG17", fail: true},
		{names: "VGG16_5 vgg16_6", fail: true},
	} {
		rows, err := chosen(c.names, c.lean)
		got := ""
		for _, r := range rows {
			got += " " + r.name
		}
		if (err != nil) != c.fail || strings.TrimSpace(got) != c.want {
			t.Errorf("%q: %s, %v", c.names, got, err)
		}
	}
	whole, _ := chosen("", false)
	lean, _ := chosen("", true)
	if len(whole) != len(lean)+1 || lean[len(lean)-1].random {
		t.Errorf("%d rows, lean %d", len(whole), len(lean))
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ args, fault string }{
		{"-steps 0", ""}, {"-budget 2.5", ""}, {"", ""},
		{"-steps 5 -budget 3", "one of them"}, {"-steps -4", "-steps"}, {"-budget -1", "-budget"}, {"-budget NaN", "-budget"},
		{"-photos 6001", "-photos"}, {"-photos 1", "-photos"}, {"VGG16_5", "flags"}, {"-stepz 3", "stepz"},
	} {
		var said strings.Builder
		o, err := parse(strings.Fields(c.args), &said)
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %v, want %q", c.args, err, c.fault)
		}
		if c.args == "" && o.budget != defaultBudget {
			t.Errorf("a budget of %v", o.budget)
		}
	}
}

func TestFindData(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"HEARSIGHT_DATA": dir, "HEARSIGHT_SHARED": "/nowhere"}
	get := func(name string) string { return env[name] }
	if _, err := findData("", get); err == nil || !strings.Contains(err.Error(), "HEARSIGHT_DATA") || !strings.Contains(err.Error(), "weights") {
		t.Errorf("an empty folder: %v", err)
	}
	for _, name := range []string{"flickr8k", "weights"} {
		if err := os.MkdirAll(filepath.Join(dir, "data", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	if got, err := findData(data, get); err != nil || got != data {
		t.Errorf("given: %s, %v", got, err)
	}
	env["HEARSIGHT_DATA"], env["HEARSIGHT_SHARED"] = "", dir
	if got, err := findData("", get); err != nil || got != data {
		t.Errorf("shared: %s, %v", got, err)
	}
	env["HEARSIGHT_DATA"], env["HEARSIGHT_SHARED"] = data, "/nowhere"
	if got, err := findData("", get); err != nil || got != data {
		t.Errorf("named: %s, %v", got, err)
	}
}
