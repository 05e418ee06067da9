package learn

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"

	"github.com/hearsight/hearsight/internal/nn"
	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// TestSchedulesGolden: the schedules of DAVEnet, ResDAVEnet and Merkx et al.
func TestSchedulesGolden(t *testing.T) {
	a, err := npy.ReadZip(sharedtest.Path(t, "golden", "ops", "schedules.npz"))
	if err != nil {
		t.Fatal(err)
	}
	const perEpoch = 20
	check := func(name string, s Settings, step int64, want float64) {
		t.Helper()
		if got := s.rate(step, 1e6, perEpoch); math.Abs(got-want) > 1e-12*want {
			t.Errorf("%s: rate of step %d is %v, want %v", name, step, got, want)
		}
	}
	for i, epoch := range a["epoch"].F64 {
		for _, within := range []int64{0, perEpoch - 1} {
			step := int64(epoch-1)*perEpoch + within
			check("davenet", Settings{LearningRate: 1e-3, Schedule: ScheduleStep, Decay: .1, DecayEpochs: 40}, step, a["davenet_step"].F64[i])
			check("resdavenet", Settings{LearningRate: 2e-4, Schedule: ScheduleStep, Decay: .95, DecayEpochs: 3}, step, a["resdavenet"].F64[i])
		}
	}
	for i, it := range a["cyc_it"].F64 {
		check("cyclic", Settings{LearningRate: 2e-4, Schedule: ScheduleCyclic, Floor: 1e-6 / 2e-4, CycleEpochs: 1}, int64(it), a["cyclic"].F64[i])
	}
}

// TestRecipes: a model learns by every loss, optimizer and schedule, and a run
// that was stopped goes on to the same bytes.
func TestRecipes(t *testing.T) {
	type recipe struct {
		name   string
		change func(*Settings)
	}
	var all []recipe
	for _, l := range nn.Losses() {
		all = append(all, recipe{l, func(s *Settings) { s.Loss = l }})
	}
	for _, o := range nn.Optimizers() {
		all = append(all, recipe{o, func(s *Settings) {
			s.Optimizer, s.WeightDecay, s.ClipNorm = o, 1e-4, 5
			if o == nn.SGD || o == nn.Nesterov {
				s.LearningRate, s.Momentum = .03, .9
			}
		}})
	}
	all = append(all, recipe{ScheduleStep, func(s *Settings) { s.Schedule, s.Decay, s.DecayEpochs = ScheduleStep, .5, 10 }},
		recipe{ScheduleCyclic, func(s *Settings) { s.Schedule, s.CycleEpochs = ScheduleCyclic, 5 }})
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			s := tinySettings(120)
			s.EvalEvery = 0
			c.change(&s)
			whole := mustTrain(t, s, Options{})
			curve := whole.Curve
			mean := func(p []CurvePoint) (m float64) {
				for _, x := range p {
					m += x.Loss / float64(len(p))
				}
				return m
			}
			if first, last := mean(curve[:3]), mean(curve[len(curve)-5:]); !(last < .97*first) {
				t.Errorf("loss went from %v to %v", first, last)
			}
			dir := t.TempDir()
			_, err := Train(context.Background(), tinySpec(), tinyData(40), s, Options{Dir: dir, Stop: 47})
			if !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
			if !bytes.Equal(bytesOf(t, mustTrain(t, s, Options{Dir: dir})), bytesOf(t, whole)) {
				t.Error("stopped and resumed: other bytes than undisturbed")
			}
		})
	}
}
