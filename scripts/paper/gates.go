package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/hearsight/hearsight/internal/report"
)

// chance10 is P@10 of a model that knows nothing, on 100 pairs.
const chance10 = .10

// A gate is what must be true of a trained convolutional row.
type gate struct {
	row    string
	ok     bool
	reason string
}

// gates judges the trained convolutional rows of Table 1 that there are: above
// chance, by the lower end of the interval, and above the (R) row of the same
// towers.
func gates(lines []line) (out []gate) {
	of := byRow(lines)
	for _, r := range allRows() {
		l, ok := of[r.name]
		if !ok || r.untrained || r.random || !r.conv {
			continue
		}
		g := gate{row: r.name, ok: true}
		say := func(ok bool, format string, a ...any) {
			text := fmt.Sprintf(format, a...)
			if !ok {
				g.ok, text = false, "not "+text
			}
			g.reason = strings.TrimPrefix(g.reason+", "+text, ", ")
		}
		p10 := l.ToPhoto.P10
		say(p10.Low > chance10, "above chance (P@10 %s)", share(p10))
		if base, ok := of[r.base]; ok {
			say(p10.Value > base.ToPhoto.P10.Value, "above %s (%s)", r.base, point(base.ToPhoto.P10.Value))
		} else {
			say(false, "known to be above %s, which has not been run", r.base)
		}
		out = append(out, g)
	}
	return out
}

func byRow(lines []line) map[string]line {
	of := map[string]line{}
	for _, l := range lines {
		of[l.Row] = l
	}
	return of
}

// findings say plainly where the paper and these lines differ.
func findings(lines []line) (out []string) {
	of := byRow(lines)
	add := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	if differ := outside(of); len(differ) > 0 {
		add("The paper's figure lies outside our 95 %% interval: %s.%s", strings.Join(differ, "; "), seenPairs(lines))
	}
	if text := untrainedFinding(lines); text != "" {
		add("%s", text)
	}
	for _, c := range [][2]string{{"Resnet50_5", "Resnet50(R)"}, {"Resnet50_6", "Resnet50(R)"}, {"VGG19_LSTM", "VGG19_LSTM(R)"}} {
		l, trained := of[c[0]]
		b, base := of[c[1]]
		if !trained || !base {
			continue
		}
		p, q := report.Paper(c[0]), report.Paper(c[1])
		add("%s by its untrained row, P@10: the paper %s after %s, ours %s after %s.", c[0], point(p.P10), point(q.P10), share(l.ToPhoto.P10), share(b.ToPhoto.P10))
	}
	if l, ok := of[randomRow]; ok && l.Loss != nil {
		verdict := "it has come below it"
		switch {
		case math.Abs(*l.Loss-2) < .005:
			verdict = "it sits there"
		case *l.Loss > 2:
			verdict = "it has not come down to it"
		}
		add("Without pretrained networks the loss gets stuck at 2.000, says the paper. Ours, VGG16_5 with a VGG16 that starts from the seed: %.3f after %s pairs, so %s so far; P@10 %s, chance %s.",
			*l.Loss, count(l.PairsSeen), verdict, share(l.ToPhoto.P10), point(chance10))
	}
	if l, ok := of["Resnet50_5"]; ok {
		add("The Resnet50 rows start from %s; the paper's \"7x7x1024 above stage 5\" is neither this nor stage 5, which is 7x7x2048.", l.Settings["features"])
	}
	for _, l := range lines {
		if strings.HasPrefix(l.Row, "VGG19") && l.Note != "" {
			text := fmt.Sprintf("The VGG19 rows are of %s: VGG19's own weights were not at hand. Three layers that hand on what they get are left out, so the feature maps are VGG16's to the bit, and a VGG19 row differs from the VGG16 row of the same audio tower and as many steps by nothing but its name. Nothing follows from them about VGG16 and VGG19.", l.Note)
			if a, b := of["VGG16_5"], of["VGG19_5"]; a.Weights != "" && a.Weights == b.Weights {
				text += " VGG19_5 came to the very weights of VGG16_5, as it must; its feature maps, and so its model, are another artifact only by that name."
			}
			add("%s", text)
			break
		}
	}
	return out
}

// outside lists the paper's figures that lie outside our intervals.
func outside(of map[string]line) (out []string) {
	for _, p := range report.Table1 {
		l, ok := of[p.System]
		if !ok || !p.Reported {
			continue
		}
		f, text := l.ToPhoto, ""
		for _, c := range []struct {
			name  string
			paper float64
			low   float64
			high  float64
		}{{"P@1", p.P1, f.P1.Low, f.P1.High}, {"P@5", p.P5, f.P5.Low, f.P5.High}, {"P@10", p.P10, f.P10.Low, f.P10.High}} {
			if c.paper < c.low || c.paper > c.high {
				text += fmt.Sprintf(", %s %s", c.name, point(c.paper))
			}
		}
		if text != "" {
			out = append(out, p.System+" "+strings.TrimPrefix(text, ", "))
		}
	}
	return out
}

// untrainedFinding sets the (R) rows beside the paper's, which are unexplained.
func untrainedFinding(lines []line) string {
	var ours []string
	theirs := map[string]bool{}
	var their []string
	chance := true
	for _, l := range lines {
		if !strings.HasSuffix(l.Row, "(R)") {
			continue
		}
		p := report.Paper(l.Row)
		ours = append(ours, fmt.Sprintf("%s %s", l.Row, share(l.ToPhoto.P10)))
		if text := point(p.P10); !theirs[text] {
			theirs[text], their = true, append(their, text)
		}
		chance = chance && l.ToPhoto.P10.Low <= chance10 && chance10 <= l.ToPhoto.P10.High
	}
	if len(ours) == 0 {
		return ""
	}
	verdict := ", and not all are at chance"
	if chance {
		verdict = ": chance"
	}
	return fmt.Sprintf("The paper's untrained rows have P@10 %s, three times chance, which it does not explain. Ours: %s%s.", strings.Join(their, " and "), strings.Join(ours, ", "), verdict)
}

// seenPairs says how far the trained rows of Table 1 have come.
func seenPairs(lines []line) string {
	low, high := int64(0), int64(0)
	for _, l := range lines {
		if l.PairsSeen == 0 || l.Row == randomRow {
			continue
		}
		if low == 0 || l.PairsSeen < low {
			low = l.PairsSeen
		}
		high = max(high, l.PairsSeen)
	}
	span := count(low)
	switch {
	case high == 0:
		return ""
	case low < high:
		span += " to " + count(high)
	}
	return fmt.Sprintf(" Ours have seen %s pairs, the paper's recipe shows %s.", span, count(batch*fullSteps(whole)))
}
