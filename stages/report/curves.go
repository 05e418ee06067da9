package report

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/plot"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/table"
)

// models adds what is known of the models: their curves, over each other, and
// what they cost.
func models(page *report.Page, arts []*artifacts.Artifact, all []scored) error {
	names := map[string]int{} // models of the same name are numbered
	charts := []chart{
		{y: "loss", caption: "Training loss, mean since the point before"},
		{y: "P@1", of: func(p table.CurvePoint) float64 { return p.P1 }},
		{y: "P@5", of: func(p table.CurvePoint) float64 { return p.P5 }},
		{y: "P@10", of: func(p table.CurvePoint) float64 { return p.P10 }},
	}
	hinge := len(arts) > 0
	for i, art := range arts {
		t, curve, err := ReadTraining(art)
		if err != nil {
			return fmt.Errorf("model %d: %w", i+1, err)
		}
		name := nameOf(t, all)
		if names[name]++; names[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, names[name])
		}
		hinge = hinge && t.Settings["loss"] == "hinge, margin 1"
		page.Costs = append(page.Costs, cost(name, art, t))
		for k := range charts {
			charts[k].add(name, curve)
		}
	}
	if hinge {
		charts[0].caption += "; a model that has learnt nothing sits at 2.000"
	}
	for _, c := range charts {
		if len(c.series) == 0 {
			continue
		}
		svg, err := c.draw()
		if err != nil {
			return fmt.Errorf("draw %s: %w", c.y, err)
		}
		page.Curves = append(page.Curves, report.Curve{Caption: cmp.Or(c.caption, c.y+" on the validation pairs, speech to photo") + ".", SVG: svg})
	}
	return nil
}

// nameOf is what a model is called: as the system that was scored with it, which
// has its settings, alone or among others; or by its towers.
func nameOf(t *Training, all []scored) string {
	for _, several := range []bool{false, true} {
		for _, s := range all {
			if (s.m.Settings[table.ScoredBy] != "") == several && scoredWith(s.m.Settings, t.Settings) {
				return s.m.System
			}
		}
	}
	return cmp.Or(t.Settings["towers"], "model")
}

// scoredWith reports whether scores with these settings may be of a model that
// says this of itself: their settings are its own, or, of several models, hold
// its own among others'.
func scoredWith(settings, own map[string]string) bool {
	several := settings[table.ScoredBy] != ""
	for k, v := range own {
		if settings[k] != v && !(several && strings.Contains(table.Besides+settings[k]+table.Besides, table.Besides+v+table.Besides)) {
			return false
		}
	}
	for k := range settings {
		if _, ok := own[k]; !ok && !several {
			return false
		}
	}
	return len(own) > 0
}

func cost(name string, art *artifacts.Artifact, t *Training) report.Cost {
	c := report.Cost{
		Name: name, Parameters: t.Parameters, Frames: t.Frames, Steps: t.Steps, PairsSeen: t.PairsSeen,
		PairFLOP: t.PairFLOP, FLOP: t.PairFLOP * float64(t.PairsSeen), Digest: art.Digest.String(), BestStep: t.BestStep,
	}
	c.Loss, c.P10, c.BestP10 = t.Loss, t.P10, t.BestP10
	for _, p := range art.Manifest.Parts {
		if strings.HasSuffix(p.Name, ".safetensors") {
			c.Bytes = p.Size
		}
	}
	return c
}

// A chart is what one figure of training was for every model.
type chart struct {
	y, caption string
	of         func(table.CurvePoint) float64 // nil: the loss
	series     []plot.Series
}

// add adds a model: a line between the steps at which the figure was measured,
// if there are two.
func (c *chart) add(name string, curve []table.CurvePoint) {
	s := plot.Series{Name: name}
	for _, p := range curve {
		v := p.Loss
		if c.of != nil {
			if v = c.of(p); v != v {
				continue
			}
		}
		s.X, s.Y = append(s.X, float64(p.Step)), append(s.Y, v)
	}
	if len(s.X) > 1 {
		c.series = append(c.series, s)
	}
}

func (c *chart) draw() ([]byte, error) {
	out := plot.Chart{XLabel: "step", YLabel: c.y, Series: c.series, Width: chartWidth, Height: chartHeight, MayBeLog: c.of == nil}
	if zero := 0.0; c.of != nil {
		out.YMin = &zero
	}
	var b bytes.Buffer
	err := plot.SVG(&b, out)
	return b.Bytes(), err
}

// Size of the page's charts in px: their words can be read on a telephone.
const chartWidth, chartHeight = 440, 260
