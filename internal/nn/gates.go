package nn

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hearsight/hearsight/internal/kernel"
)

// A frame is one clip at one step of a sweep; all slices are rows. Rows of
// gates hold one gate after another, hidden values each.
type frame[T Float] struct {
	hidden int
	before []T // state before the step
	after  []T // and after it

	gates []T // forward: sums in, gates out; backward: gates
	side  []T // GRU forward: the state's share of the sums
	inner []T // LSTM: the cell after the step; GRU: the state's share of gate n
	prev  []T // LSTM: the cell before the step
	tanh  []T // LSTM: tanh of inner

	grad     []T // backward: by the output of this step alone
	carry    []T // by the state after the step; then what of it does not pass the gates
	carryIn  []T // LSTM: by the cell after the step, then before it
	dGates   []T // by the sums
	dSide    []T // GRU: by the state's share of them
	finished bool
}

// lstmForward turns the sums of one clip's frame into its new state, for hidden
// units lo to hi: an LSTM (Hochreiter and Schmidhuber 1997), gates in PyTorch's
// order:
//
//	i, f, o = sigmoid(sums)   g = tanh(sums)
//	c' = f*c + i*g            h' = o*tanh(c')
func lstmForward[T Float](f *frame[T], lo, hi int) {
	n := f.hidden
	i, r, g, o := f.gates[lo:hi], f.gates[n+lo:n+hi], f.gates[2*n+lo:2*n+hi], f.gates[3*n+lo:3*n+hi]
	kernel.Sigmoid(i, i)
	kernel.Sigmoid(r, r)
	kernel.Tanh(g, g)
	kernel.Sigmoid(o, o)
	c, prev, t, h := f.inner[lo:hi], f.prev[lo:hi], f.tanh[lo:hi], f.after[lo:hi]
	for j := range c {
		c[j] = r[j]*prev[j] + i[j]*g[j]
	}
	kernel.Tanh(c, t)
	for j := range h {
		h[j] = o[j] * t[j]
	}
}

// lstmBackward turns the gradient by the new state into those by the sums and
// by the state and cell before.
func lstmBackward[T Float](f *frame[T], lo, hi int) {
	n := f.hidden
	for j := lo; j < hi; j++ {
		i, r, g, o := f.gates[j], f.gates[n+j], f.gates[2*n+j], f.gates[3*n+j]
		dh, t := f.grad[j]+f.carry[j], f.tanh[j]
		dc := f.carryIn[j] + dh*o*(1-t*t)
		f.dGates[j] = dc * g * i * (1 - i)
		f.dGates[n+j] = dc * f.prev[j] * r * (1 - r)
		f.dGates[2*n+j] = dc * i * (1 - g*g)
		f.dGates[3*n+j] = dh * t * o * (1 - o)
		f.carry[j], f.carryIn[j] = 0, dc*r
	}
}

// gruForward is the same for a GRU (Cho et al. 2014; as in PyTorch the reset
// gate is applied after the product). s is the sum from the input, u that from
// the state:
//
//	r, z = sigmoid(s+u)   n = tanh(s + r*u)   h' = (1-z)*n + z*h
func gruForward[T Float](f *frame[T], lo, hi int) {
	n := f.hidden
	for k := range 2 {
		s, u := f.gates[k*n+lo:k*n+hi], f.side[k*n+lo:k*n+hi]
		for j := range s {
			s[j] += u[j]
		}
		kernel.Sigmoid(s, s)
	}
	r, z, g := f.gates[lo:hi], f.gates[n+lo:n+hi], f.gates[2*n+lo:2*n+hi]
	u := f.inner[lo:hi]
	copy(u, f.side[2*n+lo:2*n+hi])
	for j := range g {
		g[j] += r[j] * u[j]
	}
	kernel.Tanh(g, g)
	before, after := f.before[lo:hi], f.after[lo:hi]
	for j := range after {
		after[j] = (1-z[j])*g[j] + z[j]*before[j]
	}
}

func gruBackward[T Float](f *frame[T], lo, hi int) {
	n := f.hidden
	for j := lo; j < hi; j++ {
		r, z, g := f.gates[j], f.gates[n+j], f.gates[2*n+j]
		dh := f.grad[j] + f.carry[j]
		dg := dh * (1 - z) * (1 - g*g)
		dz := dh * (f.before[j] - g) * z * (1 - z)
		dr := dg * f.inner[j] * r * (1 - r)
		f.dGates[j], f.dGates[n+j], f.dGates[2*n+j] = dr, dz, dg
		f.dSide[j], f.dSide[n+j], f.dSide[2*n+j] = dr, dz, dg*r
		f.carry[j] = dh * z
	}
}

// A compact is the rows of all clips at one step, side by side, and those at the
// next: a member that is a step ahead writes where nobody reads. In the record
// rows of a step lie a whole clip apart.
type compact[T Float] struct {
	data     []T
	clips, n int
}

// compactPad keeps rows from lying a power of two apart.
const compactPad = 16

func (s *sweep[T]) compact(name string, n int) compact[T] {
	return compact[T]{data: s.buffer(name, 2*s.n*(n+compactPad)), clips: s.n, n: n}
}

// rows is the matrix of step i, and how far its rows are apart.
func (c *compact[T]) rows(i int) (a []T, ld int) {
	ld = c.n + compactPad
	return c.data[i%2*c.clips*ld:][:c.clips*ld], ld
}

// row is that of a clip at step i.
func (c *compact[T]) row(i, clip int) []T {
	a, ld := c.rows(i)
	return a[clip*ld:][:c.n]
}

// A team goes through the steps of a sweep together: each member has units of
// its own, and after each step all wait for all. Starting goroutines for each of
// a thousand steps, or waking them, takes longer than the steps.
type team struct {
	size    int32
	arrived atomic.Int32
	round   atomic.Uint32 // of waiting
	asleep  atomic.Int32  // who waits for wake, or is about to
	broken  atomic.Bool   // somebody has panicked
	mu      sync.Mutex
	wake    sync.Cond
	caught  any
}

// spins is how often a member looks whether the others are there before it goes
// to sleep: some ten microseconds, what waking it takes. Whoever sleeps leaves
// its CPU to those it waits for.
const spins = 1 << 15

// teamwork calls do(0) … do(size-1) at once and returns when all have. A panic
// in one ends the waiting of the others and is raised again.
func teamwork(size int, do func(t *team, member int)) {
	t := &team{size: int32(size)}
	t.wake.L = &t.mu
	var all sync.WaitGroup
	for m := 1; m < size; m++ {
		all.Go(func() { t.member(m, do) })
	}
	t.member(0, do)
	all.Wait()
	if t.caught != nil {
		panic(t.caught)
	}
}

func (t *team) member(m int, do func(t *team, member int)) {
	defer func() {
		if r := recover(); r != nil {
			t.mu.Lock()
			t.caught = r
			t.mu.Unlock()
			t.broken.Store(true)
			t.release()
		}
	}()
	do(t, m)
}

// wait returns when all members have called it as often as this one. It reports
// false when one never will.
func (t *team) wait() bool {
	round := t.round.Load()
	if t.arrived.Add(1) == t.size {
		t.arrived.Store(0)
		t.release()
		return !t.broken.Load()
	}
	for n := spins; n > 0 && t.round.Load() == round; n-- {
		if t.broken.Load() { // looked at after the round: whoever breaks ends the round, too
			return false
		}
	}
	if t.round.Load() == round {
		t.sleep(round)
	}
	return !t.broken.Load()
}

func (t *team) sleep(round uint32) {
	t.asleep.Add(1)
	t.mu.Lock()
	for t.round.Load() == round && !t.broken.Load() {
		t.wake.Wait()
	}
	t.mu.Unlock()
	t.asleep.Add(-1)
}

// release ends the round. Whoever is asleep by then has said so before it looked
// at the round, under the lock.
func (t *team) release() {
	t.round.Add(1)
	if t.asleep.Load() > 0 {
		t.mu.Lock()
		t.wake.Broadcast()
		t.mu.Unlock()
	}
}

// memberWork is how many multiplications of a step make a member worth its
// waiting: some microseconds.
const memberWork = 1 << 18

// teamSize is how many members share the panels of a step.
func teamSize(panels, work int) int {
	return max(1, min(runtime.GOMAXPROCS(0), panels, work/memberWork))
}
