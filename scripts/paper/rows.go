package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/report"
)

// randomRow is the one row more: VGG16_5 with an image tower that starts from
// the seed and is trained along.
const randomRow = "VGG16_5(random)"

// A row is a system that is trained and scored.
type row struct {
	name          string
	spec          string // beside the module's root
	model, scores string // stages of the spec
	// load is what decides how long a step takes: the maps that the image tower
	// starts from, and the audio tower. VGG19's maps have VGG16's shape.
	load      string
	untrained bool
	base      string // the (R) row of the same towers; empty: none
	conv      bool   // audio tower of convolutions
	random    bool
}

// allRows are the rows of the paper's Table 1, in its order, and randomRow.
func allRows() []row {
	var out []row
	for _, p := range report.Table1 {
		out = append(out, paperRow(p.System))
	}
	return append(out, row{
		name: randomRow, spec: "scripts/paper-random.yaml", model: "model", scores: "scores",
		load: "photos and all of VGG16, conv5", base: "VGG16(R)", conv: true, random: true,
	})
}

// paperRow reads a name of the paper: image network, then _5 and _6 for the
// layers of a convolutional audio tower, _LSTM or _GRU, and (R) for untrained.
func paperRow(name string) row {
	r := row{name: name, spec: "pipeline.yaml", model: "model@" + name, scores: "scores@" + name}
	towers, untrained := strings.CutSuffix(name, "(R)")
	image, audio, _ := strings.Cut(towers, "_")
	maps := "14x14x512"
	if image == "Resnet50" {
		maps = "14x14x1024"
	}
	tower := map[string]string{"": "conv5", "5": "conv5", "6": "conv6", "LSTM": "lstm", "GRU": "gru"}[audio]
	r.load, r.untrained, r.conv = maps+", "+tower, untrained, strings.HasPrefix(tower, "conv")
	switch {
	case untrained:
	case r.conv:
		r.base = image + "(R)"
	default:
		r.base = image + "_LSTM(R)"
	}
	return r
}

// chosen are the rows named, separated by commas or spaces, in the table's
// order; all of them if none is named, but without randomRow if lean: with so
// many steps as the others it would take most of the time.
func chosen(names string, lean bool) ([]row, error) {
	all := allRows()
	want := strings.FieldsFunc(names, func(c rune) bool { return c == ',' || c == ' ' })
	if len(want) == 0 {
		if lean {
			return all[:len(all)-1], nil
		}
		return all, nil
	}
	var known []string
	for _, r := range all {
		known = append(known, r.name)
	}
	for _, name := range want {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no row %q: the rows are %s", name, strings.Join(known, " "))
		}
	}
	return slices.DeleteFunc(all, func(r row) bool { return !slices.Contains(want, r.name) }), nil
}
