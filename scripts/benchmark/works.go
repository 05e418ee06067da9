package main

import "fmt"

// A work is something to measure.
type work struct {
	name   string
	unit   string // of the figure; of "s…" less is better
	run    func(s *sample, reps int) error
	least  float64 // of the FMA peak, where that is measured
	limit  float64 // of memory, in GB; 0: of no interest
	once   bool    // repetitions are long: one a process when taking turns
	peers  []peer
	reused bool // the peer's figure may be that of an earlier work
}

// A peer is a script that does the same.
type peer struct {
	name   string
	args   []string // script and arguments; {cache} and {clips} are filled in; without scripts/ it is of the peers' folder
	least  float64  // ratio that is asked for; 0: none
	figure string   // name of the figure in what it prints
}

const (
	pytorch = "PyTorch"
	ort     = "ONNX Runtime"
)

// allWorks lists all measurements, in the order of the table.
func allWorks() []work {
	var out []work
	for _, threads := range []int{1, 2} {
		for _, s := range modelShapes() {
			out = append(out, work{name: s.name(threads), unit: "GFLOP/s", least: .9, run: s.run(threads)})
		}
	}
	for _, n := range []struct {
		name            string
		torch, ort, max float64
		stage           bool
	}{{"vgg16", 2.8, 2.6, 1.5, false}, {"vgg19", 2.8, 2.6, 0, false}, {"resnet50", 1.5, 1.05, 0, true}} {
		args := []string{"--net", n.name, "--batch", fmt.Sprint(featureBatch)}
		if n.stage {
			args = append(args, "--stage", "4")
		}
		out = append(out, work{
			name: "features_" + n.name + "_b4", unit: "images/s", limit: n.max, run: features(n.name),
			peers: []peer{
				{name: pytorch + " channels_last", least: n.torch, figure: "median", args: append([]string{"vgg16_features.py", "--channels-last"}, args...)},
				{name: ort, least: n.ort, figure: "median", args: append([]string{"features_ort.py", "--onnx-dir", "{cache}"}, args...)},
			},
		})
	}
	for _, t := range []struct {
		tower        string
		batch        int
		least, limit float64
	}{{"conv5", 4, 2.7, 0}, {"conv6", 4, 3, 2}, {"lstm", 4, 1.2, 0}, {"gru", 4, 2.5, 0}, {"conv5", 32, 2, 0}, {"conv6", 32, 0, 6}} {
		w := work{name: fmt.Sprintf("train_%s_b%d", t.tower, t.batch), unit: "s/step", limit: t.limit, run: train(t.tower, t.batch), once: t.batch > 4}
		if t.least > 0 {
			w.peers = []peer{{name: pytorch, least: t.least, figure: "median", args: []string{"train_step.py", "--tower", t.tower, "--batch", fmt.Sprint(t.batch)}}}
		}
		out = append(out, w)
	}
	out = append(out, work{name: "train_scenes_b32", unit: "GFLOP/s", run: trainScenes})
	misaPeer := func(least float64) []peer {
		return []peer{{name: pytorch, least: least, figure: "median_s", args: []string{"misa_matrix.py", "--n", fmt.Sprint(misaItems), "--frames", fmt.Sprint(misaFrames)}}}
	}
	return append(out,
		work{name: "misa_n300_t64", unit: "s", run: misa(false), once: true, peers: misaPeer(1.25)},
		work{name: "misa_n300_true_lengths", unit: "s", run: misa(true), once: true, peers: misaPeer(0), reused: true},
	)
}
