package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test start itself as the program does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "one" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{8, 2, 4, 100}, 6}} {
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

// TestWorks: the list holds what the table asks for, each once, and
// every product is as large as it says.
func TestWorks(t *testing.T) {
	seen := map[string]work{}
	for _, w := range allWorks() {
		if _, twice := seen[w.name]; twice {
			t.Errorf("%s is there twice", w.name)
		}
		seen[w.name] = w
	}
	for name, least := range map[string][]float64{
		"features_vgg16_b4": {2.8, 2.6}, "features_vgg19_b4": {2.8, 2.6}, "features_resnet50_b4": {1.5, 1.05},
		"train_conv5_b4": {2.7}, "train_conv6_b4": {3}, "train_lstm_b4": {1.2}, "train_gru_b4": {2.5}, "train_conv5_b32": {2},
		"misa_n300_t64": {1.25},
	} {
		var got []float64
		for _, p := range seen[name].peers {
			got = append(got, p.least)
		}
		if d := cmp.Diff(least, got); d != "" {
			t.Errorf("%s asks for other ratios (-want +got):\n%s", name, d)
		}
	}
	for _, s := range modelShapes() {
		if s.m < 128 || s.n < 128 || s.k < 128 {
			t.Errorf("%+v is smaller than 128", s)
		}
	}
	if w, ok := seen["gemm_packed_784x512x512_2t"]; !ok || w.least != .9 {
		t.Errorf("the yardstick of products asks for %v of the peak", w.least)
	}
}

// TestGemm runs the smallest product of each kind: the share is of the right
// size, so FLOP and seconds are not mixed up.
func TestGemm(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, kind := range []string{"packed", "NN", "TA", "TB"} {
		s := &sample{}
		if err := (shape{kind, 128, 128, 128}).run(1)(s, 2); err != nil {
			t.Fatal(err)
		}
		if len(s.Values) != 2 || len(s.CPU) != 2 {
			t.Fatalf("%s: %+v", kind, s)
		}
		for i, p := range s.Peak {
			if share := s.PerCPU[i]; !(share > .05 && share < 1.5) || p <= 0 {
				t.Errorf("%s: a share of %.2f of the peak", kind, share)
			}
		}
	}
}

func TestRead(t *testing.T) {
	p := peer{name: "PyTorch", figure: "median"}
	ours := &sample{Parameters: 7, Frames: 64, Out: []int{4, 14, 14, 512}}
	got, err := p.read([]byte("a warning\n"+`{"name":"x","median":0.5,"cpu_s":0.9,"load1":1.5,"version":"torch 2","parameters":7,"frames_out":64}`+"\n"), ours)
	if want := (reading{.5, .9, 1.5, "torch 2"}); err != nil || got != want {
		t.Errorf("read = %+v, %v, want %+v", got, err, want)
	}
	for line, want := range map[string]string{
		`{"median":1,"parameters":8,"frames_out":64}`: "not the same work",
		`{"median":1,"parameters":7,"frames_out":63}`: "not the same work",
		`{"median":1,"out":[4,1024,14,14]}`:           "not the same work",
		`{"value":1}`:                                 "no figure median",
		`{"median":0}`:                                "no figure median",
		`Traceback`:                                   "in",
		``:                                            "in",
	} {
		if _, err := p.read([]byte(line), ours); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("read(%q) = %v, want %q", line, err, want)
		}
	}
	if _, err := p.read([]byte(`{"median":1,"out":[4,512,14,14]}`), ours); err != nil {
		t.Errorf("the same output, channels first: %v", err)
	}
}

// TestRows: which way round a ratio is depends on the unit, and medians are
// taken of the rounds.
func TestRows(t *testing.T) {
	mine := []*sample{
		{Values: []float64{1, 2, 9}, CPU: []float64{2, 4, 18}, Memory: 1e9},
		{Values: []float64{4, 4, 4}, CPU: []float64{8, 8, 8}, Memory: 3e9},
		{Values: []float64{3, 3, 3}, CPU: []float64{6, 6, 6}, Memory: 2e9},
	}
	theirs := [][]reading{{{value: 6, cpu: 5}, {value: 60, cpu: 4}, {value: 9, cpu: 50}}}
	w := work{name: "w", unit: "s/step", limit: 2.5, peers: []peer{{name: "PyTorch", least: 3.1}}}
	for unit, ratio := range map[string]float64{"s/step": 3, "images/s": 1 / 3.} {
		w.unit = unit
		rows := rowsOf(w, mine, theirs)
		if len(rows) != 2 {
			t.Fatalf("%d rows, want the work and its memory", len(rows))
		}
		if r := rows[0]; r.ours != 3 || r.peer != 9 || r.ratio != ratio || r.cpuRatio != 2 || r.verdict() != "SHORT" {
			t.Errorf("%s: %+v", unit, r)
		}
		if r := rows[1]; r.ours != 3 || r.name != "w_memory" || r.verdict() != "SHORT" {
			t.Errorf("memory: %+v", r)
		}
	}
	// The share of the peak is the median of the pairs.
	g := work{name: "g", unit: "GFLOP/s", least: .9}
	rows := rowsOf(g, []*sample{{Values: []float64{90, 45, 80}, CPU: []float64{1, 1, 1}, Peak: []float64{100, 50, 100}, PerCPU: []float64{.7, .8, .9}}}, nil)
	if r := rows[0]; len(rows) != 1 || r.cpuRatio != .8 || r.ratio != .9 || r.ours != 80 || r.peer != 100 || r.verdict() != "ok" {
		t.Errorf("rows of a product: %+v", rows)
	}
}

// TestResults: the lines of the file have the fields that are agreed on, and a
// work without a peer has null there.
func TestResults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.jsonl")
	for range 2 { // it is appended to
		tb, err := newTable(new(bytes.Buffer), file)
		if err != nil {
			t.Fatal(err)
		}
		tb.machine, tb.commit = "m", "c"
		if err := tb.add(row{name: "a", unit: "s", ours: 2, peer: 6, peerName: "p", ratio: 3}, row{name: "b", unit: "images/s", ours: 5}); err != nil {
			t.Fatal(err)
		}
		if err := tb.end(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	want := `{"name":"a","ours":2,"peer":6,"peer_name":"p","unit":"s","ratio":3,"machine":"m","commit":"c"}
{"name":"b","ours":5,"peer":null,"peer_name":"","unit":"images/s","ratio":null,"machine":"m","commit":"c"}
`
	if d := cmp.Diff(strings.Repeat(want, 2), string(got)); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// TestSameWork does one step of training and one similarity matrix: what is
// measured is what the peers say they do.
func TestSameWork(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network of the paper")
	}
	s := &sample{}
	if err := train("lstm", 4)(s, 1); err != nil || s.Parameters != 8_545_344 || s.Frames != 510 || len(s.Values) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	s = &sample{}
	if err := features("resnet50")(s, 1); err != nil || cmp.Diff([]int{4, 14, 14, 1024}, s.Out) != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestTurns: both sides have as many turns, one after the other; a work that may
// reuse a peer's figures does not run it again; a peer that fails is named.
func TestTurns(t *testing.T) {
	dir := t.TempDir()
	script := "echo turn $2 $4 >>" + dir + "/log\n" + `echo '{"median":'$(wc -l <` + dir + `/log)',"cpu_s":1,"version":"v"}'` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "peer.sh"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	w := work{name: "gemm_packed_128x256x128_1t", unit: "s", peers: []peer{{name: "p", figure: "median", args: []string{"peer.sh"}}}}
	o, known := options{reps: 3, rounds: 2, threads: 1, python: "sh", peers: dir}, map[string][]reading{}
	mine, theirs, err := turns(w, o, known)
	if err != nil || len(mine) != 2 || len(mine[0].Values) != 3 || cmp.Diff([]float64{1, 2}, values(theirs[0])) != "" {
		t.Fatalf("%v %v %v", mine, theirs, err)
	}
	w.reused, w.once = true, true
	if _, theirs, err = turns(w, o, known); err != nil || cmp.Diff([]float64{1, 2}, values(theirs[0])) != "" {
		t.Errorf("reused: %v %v", theirs, err)
	}
	if log, err := os.ReadFile(dir + "/log"); string(log) != "turn 3 1\nturn 3 1\n" || err != nil {
		t.Errorf("the peer was called so: %q, %v", log, err)
	}
	w.peers[0].args = []string{"nothing.sh"}
	if _, _, err := turns(w, o, known); err == nil || !strings.Contains(err.Error(), "gemm_packed_128x256x128_1t: p: ") {
		t.Errorf("a peer that fails: %v", err)
	}
}

func values(readings []reading) (out []float64) {
	for _, r := range readings {
		out = append(out, r.value)
	}
	return out
}

// TestTrainScenes: each repetition has its share of the peak.
func TestTrainScenes(t *testing.T) {
	s := &sample{}
	if err := trainScenes(s, 2); err != nil || s.Parameters != 121_792 || s.Frames != 28 || len(s.Values) != 2 || len(s.CPU) != 2 || !(s.Values[0] > 0) {
		t.Fatalf("%+v, %v", s, err)
	}
	if most, _ := peak(1); most > 0 && (len(s.Peak) != 2 || len(s.PerCPU) != 2 || !(s.PerCPU[0] > 0 && s.PerCPU[0] < 1.2)) {
		t.Errorf("shares of the peak: %+v", s)
	}
}

func TestOne(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var out bytes.Buffer
	if err := run([]string{"one", "-reps", "1", "-threads", "1", "gemm_packed_128x256x128_1t"}, &out); err != nil {
		t.Fatal(err)
	}
	var s sample
	if err := json.Unmarshal(out.Bytes(), &s); err != nil || s.Unit != "GFLOP/s" || len(s.Values) != 1 || s.Numeric == "" {
		t.Errorf("%s: %v", out.Bytes(), err)
	}
	for _, args := range [][]string{nil, {"fly"}, {"one"}, {"one", "no such work"}, {"alone", "-reps", "0"}, {"peers", "-only", "("}, {"prep"}, {"photos"}} {
		if err := run(args, &out); err == nil {
			t.Errorf("benchmark %q: no error", args)
		}
	}
	if n := len(chosen(allWorks(), regexp.MustCompile("^train_"))); n != 7 {
		t.Errorf("-only ^train_ chooses %d works, want 7", n)
	}
}
