package nn

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// lossCases are the losses under the names of the reference values.
var lossCases = map[string]Loss{
	"allpairs_mean":                       {Kind: LossHinge, Margin: 1},
	"allpairs_sum":                        {Kind: LossHingeSum, Margin: 1},
	"allpairs_sum_over_B":                 {Kind: LossHingeBatch, Margin: 1},
	"allpairs_mean_B2_margin0.2_platalea": {Kind: LossHingeSquare, Margin: .2},
	"sampled_davenet":                     {Kind: LossSampled, Margin: 1},
	"hardest":                             {Kind: LossHardest, Margin: 1},
	"semihard_correct":                    {Kind: LossSemiHard, Margin: 1},
	"infonce_sym_tau0.5":                  {Kind: LossInfoNCE, Temperature: .5},
	"mms_margin0.5":                       {Kind: LossMaskedMargin, Margin: .5},
}

func TestLossesGolden(t *testing.T) {
	for name, l := range lossCases {
		t.Run(l.Kind, func(t *testing.T) {
			both(t, func(t *testing.T, tol float64) { lossGolden[float64](t, name, l, tol) },
				func(t *testing.T, tol float64) { lossGolden[float32](t, name, l, tol) })
		})
	}
	if len(lossCases) != len(Losses()) {
		t.Errorf("%d losses are tested, there are %d", len(lossCases), len(Losses()))
	}
}

func lossGolden[T Float](t *testing.T, name string, l Loss, tol float64) {
	a := golden(t, "losses")
	g := NewGraph(NewWorkspace[T](), true)
	impostors := g.Input("impostors", 2, a["S"].Shape[0])
	copy(g.data[impostors], cast[T](append(append([]float64{}, a["sampled_wrong_audio"].F64...), a["sampled_wrong_image"].F64...)))
	loss := g.Loss(l, g.Param(paramOf[T]("S", a["S"])), impostors)
	m := compiled(t, g, loss)
	mustRun(t, m)
	near(t, "loss", m.Data(loss), a["loss_"+name].F64, tol)
	near(t, "gS", gradOf(t, m, 0), a["gS_"+name].F64, tol)
}

// TestLossGradients compares each loss's gradient with central differences.
func TestLossGradients(t *testing.T) {
	for _, l := range lossCases {
		t.Run(l.Kind, func(t *testing.T) {
			checkGradients(t, func(g *Graph[float64], p func(string, ...int) *Node) *Node {
				impostors := g.Input("impostors", 2, 4)
				copy(g.data[impostors], []float64{1, 0, 3, 2, 2, 3, 0, 1})
				return g.Loss(l, p("s", 4, 4), impostors)
			}, 1e-6)
		})
	}
}

// TestCollapsed: a network whose embeddings are all equal has the loss that
// Collapsed says, whatever the batch; the paper's is exactly twice the margin.
func TestCollapsed(t *testing.T) {
	for _, l := range lossCases {
		for _, b := range []int{2, 4, 7, 16} {
			g := NewGraph(NewWorkspace[float32](), true)
			impostors := g.Input("impostors", 2, b)
			for k := range g.data[impostors] {
				g.data[impostors][k] = float32((k + 1) % b)
			}
			loss := g.Loss(l, g.Param(NewParam[float32]("S", b, b)), impostors)
			m := compiled(t, g, loss)
			mustRun(t, m)
			got, want := float64(m.Data(loss)[0]), l.Collapsed(b)
			if l.Kind == LossSemiHard {
				if !math.IsNaN(want) || got != 0 {
					t.Errorf("%s, batch %d: loss %v, said %v: nothing is farther than the true partner", l.Kind, b, got, want)
				}
			} else if !(math.Abs(got-want) <= 1e-5*want) || l.Kind == LossHinge && got != 2 {
				t.Errorf("%s, batch %d: loss of a collapsed model is %v, said %v", l.Kind, b, got, want)
			}
		}
	}
}

// TestLossNaN: a similarity that is no number shows in every loss.
func TestLossNaN(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, l := range lossCases {
		g := NewGraph(NewWorkspace[float64](), true)
		impostors, p := g.Input("impostors", 2, 3), NewParam[float64]("S", 3, 3)
		copy(g.data[impostors], []float64{1, 2, 0, 1, 2, 0})
		loss := g.Loss(l, g.Param(p), impostors)
		m := compiled(t, g, loss)
		for at := range p.W {
			copy(p.W, noise(r, 9))
			p.W[at] = math.NaN()
			mustRun(t, m)
			// Of the sampled losses only a drawn place counts: 0,1 1,2 2,0.
			if got := m.Data(loss)[0]; got == got && (l.Kind != LossSampled || at%4 == 0) {
				t.Errorf("%s: a NaN at %d gives the loss %v", l.Kind, at, got)
			}
		}
	}
}

// TestLossErrors: misuse, and impostors that are none.
func TestLossErrors(t *testing.T) {
	for want, c := range map[string]struct {
		l Loss
		b int
	}{
		`loss "hinges" is not known`:  {Loss{Kind: "hinges"}, 3},
		"temperature 0":               {Loss{Kind: LossInfoNCE}, 3},
		"want a square of at least 2": {Loss{Kind: LossHinge, Margin: 1}, 1},
		"impostors: shape":            {Loss{Kind: LossSampled, Margin: 1}, 3},
	} {
		g := NewGraph(NewWorkspace[float32](), true)
		g.Loss(c.l, g.Param(NewParam[float32]("S", c.b, c.b)), nil)
		if g.Err() == nil || !strings.Contains(g.Err().Error(), want) {
			t.Errorf("%v, want %q", g.Err(), want)
		}
	}
	for _, bad := range []float32{1, 3, -1, float32(math.NaN())} {
		g := NewGraph(NewWorkspace[float32](), true)
		impostors := g.Input("impostors", 2, 3)
		copy(g.data[impostors], []float32{1, bad, 0, 1, 2, 0})
		m := compiled(t, g, g.Loss(Loss{Kind: LossSampled, Margin: 1}, g.Param(NewParam[float32]("S", 3, 3)), impostors))
		if err := m.Run(); err == nil || !strings.Contains(err.Error(), "impostor") {
			t.Errorf("impostor %v of pair 1: %v", bad, err)
		}
	}
}
