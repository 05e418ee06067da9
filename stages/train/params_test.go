package train

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/learn"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		params map[string]any
		want   string // parameter at fault
	}{
		"paper":                  {nil, ""},
		"tiny":                   {tiny(nil), ""},
		"conv6":                  {map[string]any{"audio": "conv6", "head_kernel": 1}, ""},
		"lstm":                   {map[string]any{"audio": "lstm", "layers": 3, "hidden": 64, "bidirectional": true}, ""},
		"gru":                    {map[string]any{"audio": "gru"}, ""},
		"layers of conv":         {map[string]any{"layers": 3}, "layers"},
		"hidden and both":        {tiny(map[string]any{"hidden": 3, "bidirectional": true}), "hiddenbidirectional"},
		"small and gru":          {map[string]any{"image": "small", "audio": "gru"}, "audio"},
		"even head":              {map[string]any{"head_kernel": 2}, "head_kernel"},
		"longest of fixed":       {map[string]any{"batching": "longest"}, "batching"},
		"warm-up of a constant":  {map[string]any{"warmup": .1}, "warmup"},
		"floor of a constant":    {map[string]any{"floor": .1}, "floor"},
		"losses":                 {map[string]any{"loss": "infonce", "temperature": .07, "optimizer": "adamw", "weight_decay": .1, "clip_norm": 1}, ""},
		"descent":                {map[string]any{"optimizer": "nesterov", "momentum": .9, "schedule": "step", "decay": .5, "decay_epochs": 3}, ""},
		"cyclic":                 {map[string]any{"schedule": "cyclic", "cycle_epochs": 2, "floor": .01, "loss": "semihard", "margin": .2}, ""},
		"temperature of a hinge": {map[string]any{"temperature": .5}, "temperature"},
		"margin of a softmax":    {map[string]any{"loss": "infonce", "margin": .5}, "margin"},
		"momentum of Adam":       {map[string]any{"momentum": .5}, "momentum"},
		"no momentum":            {map[string]any{"optimizer": "nesterov"}, "momentum"},
		"betas of SGD":           {map[string]any{"optimizer": "sgd", "beta1": .9, "beta2": .99, "epsilon": 1e-7}, "beta1beta2epsilon"},
		"decay of a cosine":      {map[string]any{"schedule": "cosine", "decay": .5, "decay_epochs": 2, "cycle_epochs": 1}, "decaydecay_epochscycle_epochs"},
		"head and a small tower": {map[string]any{"audio": "small"}, "audio"},
		"recipe":                 {recipe(nil), ""},
		"embed of misa":          {map[string]any{"embed": 512}, "embed"},
		"norm of no maps":        {tiny(map[string]any{"normalize_features": "corpus"}), "normalize_features"},
		"sorted pairs":           {tiny(map[string]any{"sort_batches": 2}), "sort_batches"},
		"sorted of one length":   {map[string]any{"sampler": "photos", "sort_batches": 2}, "sort_batches"},
		"masks of nothing":       {map[string]any{"time_masks": 2}, "mask_frames"},
		"frames of no masks":     {map[string]any{"mask_frames": 2}, "mask_frames"},
		"places of pixels":       {tiny(map[string]any{"places": 2}), "places"},
		"places of a 3x3":        {map[string]any{"places": 2}, "places"},
		"places of a head":       {map[string]any{"places": 2, "head_kernel": 1}, ""},
		"no decay of matrices":   {map[string]any{"decay_of": "matrices"}, "decay_of"},
		"patience of one score":  {map[string]any{"patience": 2}, "patience"},
		"small and a big tower":  {map[string]any{"image": "small"}, "audio"},
	} {
		got := ""
		for _, p := range Kind.Spec().Check(c.params) {
			got += p.Param
		}
		if got != c.want {
			t.Errorf("%s: problems with %q, want %q", name, got, c.want)
		}
	}
}

// TestNames: the names that a pipeline may use are those that there are.
func TestNames(t *testing.T) {
	have := map[string][]string{"loss": nn.Losses(), "optimizer": nn.Optimizers(), "schedule": learn.Schedules(), "similarity": model.Similarities()}
	for _, p := range Kind.Params() {
		want, ok := have[p.Name]
		if !ok {
			continue
		}
		delete(have, p.Name)
		got := slices.Sorted(slices.Values(p.Enum))
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s: a pipeline may say %v, there are %v", p.Name, got, want)
		}
	}
	if len(have) > 0 {
		t.Errorf("there are no parameters for %v", have)
	}
}

// TestFree: what changes how often training is saved is not in the key, all
// else is.
func TestFree(t *testing.T) {
	for _, p := range Kind.Params() {
		if want := strings.HasPrefix(p.Name, "checkpoint_"); p.Free != want {
			t.Errorf("free of %s is %v", p.Name, p.Free)
		}
	}
}

// TestWrongInputs: inputs that do not belong together, each with an error that
// says what does.
func TestWrongInputs(t *testing.T) {
	s := stagetest.Store(t)
	d := newSet()
	full := d.ports(t, s)
	full["features"] = []*artifacts.Artifact{stagetest.Artifact(t, s, "features", stagetest.Part("features-00.arrow", table.FeatureMaps("vgg16", "conv5_3"), d.features()...))}
	strangers := newSet()
	for i := range strangers.captions {
		strangers.captions[i].PhotoID = "x"
	}
	full["strangers"] = strangers.ports(t, s)["pairs"]
	for name, c := range map[string]struct {
		ports  string
		params map[string]any
		want   string
	}{
		"both":             {"pairs mfcc images features", tiny(nil), "both features and images"},
		"neither":          {"pairs mfcc", tiny(nil), "neither features nor images"},
		"small, features":  {"pairs mfcc features", tiny(nil), "head takes features, small and small5 take images"},
		"small5, features": {"pairs mfcc features", tiny(map[string]any{"image": "small5"}), "head takes features"},
		"head, images":     {"pairs mfcc images", map[string]any{"steps": 1}, "small and small5 take images"},
		"split":            {"pairs mfcc images", tiny(map[string]any{"split": "trian"}), `no pairs in split "trian": the splits are [train validation]`},
		"batch":            {"pairs mfcc images", tiny(map[string]any{"batch": 13}), "batch 13 needs as many different photos"},
		"other data set":   {"strangers mfcc images", tiny(nil), "none of 16 captions has both a clip and a photo"},
	} {
		in := ports{}
		for _, port := range strings.Fields(c.ports) {
			in[strings.Replace(port, "strangers", "pairs", 1)] = full[port]
		}
		if _, err := stagetest.Run(t, Kind, stagetest.Options{Store: s, Inputs: in, Params: c.params}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestWatcher looks at what a run leaves for those who watch it.
func TestWatcher(t *testing.T) {
	s := stagetest.Store(t)
	dir := filepath.Join(t.TempDir(), "runs", "model")
	now := time.Unix(1e9, 0).UTC()
	kind := with(func(k *stage.Task) {
		k.RunDir, k.Now = dir, func() time.Time { now = now.Add(time.Second); return now }
	})
	r := stagetest.MustRun(t, kind, stagetest.Options{Store: s, Inputs: newSet().ports(t, s), Params: tiny(nil)})
	if end := r.Reports[len(r.Reports)-1].Message; !strings.HasPrefix(end, "20 steps at ") || !strings.Contains(end, " GFLOP/s") {
		t.Errorf("at the end it says %q", end)
	}
	last := r.Reports[len(r.Reports)-2]
	if last.Done != 20 || last.Total != 20 || last.Unit != "steps" || last.Metrics[0].Name != "loss" || !(last.Metrics[0].Value > 0) {
		t.Errorf("last report %+v", last)
	}
	text, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if len(lines) != 20 {
		t.Fatalf("%d lines of metrics, want 20", len(lines))
	}
	for i, raw := range lines {
		var l line
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if l.Step != int64(i+1) || l.Loss == nil || (l.P10 != nil) != (l.Step%5 == 0) || l.Time.Year() != 2001 || l.PairsPerSecond <= 0 || l.GFLOPPerSecond <= 0 || l.SecondsLeft <= 0 && l.Step < 20 {
			t.Errorf("line %d: %s", i+1, raw)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*.hearsight"))
	if err != nil || len(files) != 1 {
		t.Fatalf("event files %v, %v", files, err)
	}
	board, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if n := records(board); n != 21 { // the version, then one a step
		t.Errorf("%d records of TensorBoard, want 21", n)
	}
	for tag, want := range map[string]int{"validation/P@10": 4, "loss": 20, "learning_rate": 20} {
		if n := bytes.Count(board, append([]byte{byte(len(tag))}, tag...)); n != want {
			t.Errorf("%d values of %s, want %d", n, tag, want)
		}
	}
	// A second attempt in the same run goes on in the same file.
	stagetest.MustRun(t, kind, stagetest.Options{Store: s, Inputs: newSet().ports(t, s), Params: tiny(nil)})
	if again, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl")); err != nil || len(again) <= len(text) || !bytes.HasPrefix(again, text) {
		t.Errorf("a second attempt does not go on in the same file: %v", err)
	}
}

// records counts the records of an event file, -1 if it does not end with one.
func records(b []byte) (n int) {
	for ; len(b) >= 12; n++ {
		size := 16 + binary.LittleEndian.Uint64(b)
		if size > uint64(len(b)) {
			return -1
		}
		b = b[size:]
	}
	if len(b) != 0 {
		return -1
	}
	return n
}

// TestWriteErrors: metrics that cannot be written are told once, as a warning,
// and the model is kept.
func TestWriteErrors(t *testing.T) {
	var told []stage.Progress
	k := &stage.Task{RunDir: t.TempDir(), Now: func() time.Time { return time.Unix(1, 0) }, Report: func(p stage.Progress) { told = append(told, p) }}
	w, err := newWatcher(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.lines.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.progress(learn.Progress{CurvePoint: learn.CurvePoint{Step: 1, Loss: 1}})
	}
	if err := w.close(); err != nil {
		t.Errorf("close = %v", err)
	}
	last := told[len(told)-1]
	if len(told) != 4 || !last.Warning || strings.Count(last.Message, "file already closed") != 2 { // of writing and of closing
		t.Errorf("told %d times, at last %q", len(told), last.Message)
	}
}

func TestKnown(t *testing.T) {
	if !math.IsNaN(known(0)) || known(2) != 2 || number(math.NaN()) != nil || number(math.Inf(1)) != nil || *number(2) != 2 {
		t.Error("figures that are not known are shown, or others are not")
	}
}
