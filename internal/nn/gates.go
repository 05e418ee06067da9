package nn

import (
	"math"
	"runtime"
	"sync/atomic"
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
	sigmoid(i)
	sigmoid(r)
	tanh(g)
	sigmoid(o)
	c, prev, t, h := f.inner[lo:hi], f.prev[lo:hi], f.tanh[lo:hi], f.after[lo:hi]
	for j := range c {
		c[j] = r[j]*prev[j] + i[j]*g[j]
	}
	copy(t, c)
	tanh(t)
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
		sigmoid(s)
	}
	r, z, g := f.gates[lo:hi], f.gates[n+lo:n+hi], f.gates[2*n+lo:2*n+hi]
	u := f.inner[lo:hi]
	copy(u, f.side[2*n+lo:2*n+hi])
	for j := range g {
		g[j] += r[j] * u[j]
	}
	tanh(g)
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

// A crew is kernel.Parallel for the same function over and over: a sweep calls
// it a thousand times a step, and its goroutines stay from call to call, so
// that the calls allocate nothing. Which goroutine takes which i is not fixed.
type crew struct {
	n    int // calls of f a run
	f    func(i int)
	next atomic.Int64
	more int // goroutines besides the caller's
	wake chan struct{}
	done chan any // what a goroutine panicked with, or nil
}

// newCrew starts the goroutines; stop ends them. With alone there are none:
// there is too little to do.
func newCrew(n int, alone bool, f func(i int)) *crew {
	c := &crew{n: n, f: f}
	if !alone {
		c.more = min(n, runtime.GOMAXPROCS(0)) - 1
	}
	if c.more > 0 {
		c.wake, c.done = make(chan struct{}), make(chan any)
		for range c.more {
			go func() {
				for range c.wake {
					c.done <- c.work()
				}
			}()
		}
	}
	return c
}

// run calls f(0) … f(n-1), each once, and returns when all are done. A panic in
// f is raised again.
func (c *crew) run() {
	c.next.Store(0)
	for range c.more {
		c.wake <- struct{}{}
	}
	caught := c.work()
	for range c.more {
		if r := <-c.done; r != nil {
			caught = r
		}
	}
	if caught != nil {
		panic(caught)
	}
}

func (c *crew) work() (caught any) {
	defer func() {
		if caught = recover(); caught != nil {
			c.next.Store(int64(c.n))
		}
	}()
	for {
		i := int(c.next.Add(1)) - 1
		if i >= c.n {
			return nil
		}
		c.f(i)
	}
}

func (c *crew) stop() {
	if c.wake != nil {
		close(c.wake)
	}
}

// unitParts is how many hidden units one goroutine takes at a time: some
// microseconds of exponentials.
const unitParts = 128

// unitCrew calls do for every clip and stretch of hidden units at each run.
func unitCrew(clips, hidden int, do func(clip, lo, hi int)) *crew {
	parts := (hidden + unitParts - 1) / unitParts
	return newCrew(clips*parts, clips*hidden < 4*unitParts, func(i int) {
		lo := i % parts * unitParts
		do(i/parts, lo, min(hidden, lo+unitParts))
	})
}

// sigmoid replaces x by 1/(1+e^-x): float32 within 1 unit in the last place,
// float64 by package math.
func sigmoid[T Float](x []T) {
	switch x := any(x).(type) {
	case []float32:
		squash(x, -1, 1, 0)
	case []float64:
		for i, v := range x {
			x[i] = 1 / (1 + math.Exp(-v))
		}
	}
}

// tanh replaces x by its hyperbolic tangent, to the same precision.
func tanh[T Float](x []T) {
	switch x := any(x).(type) {
	case []float32:
		squash(x, 2, 0, 1)
	case []float64:
		for i, v := range x {
			x[i] = math.Tanh(v)
		}
	}
}

// squash replaces x by (a + b*e)/(2 + e) where e = e^(by*x) - 1, which is the
// sigmoid for by, a, b = -1, 1, 0 and tanh for 2, 0, 1. Package math takes four
// times as long.
//
// y = by*x is cut off at ±105, where both have reached their limits. With k the
// nearest integer to y/ln 2 and r = y - k*ln 2, |r| <= .347,
//
//	e^y - 1 = 2^k*(e^r - 1) + (2^k - 1)
//
// and e^r - 1 is its Taylor series to r^8, in float64: to a relative 1e-9, far
// less than float32 can tell.
func squash(x []float32, by, a, b float64) {
	const (
		limit = 105
		magic = 3 << 51 // adding it rounds to an integer, which the low bits then hold
	)
	for i, v := range x {
		y := by * float64(v)
		if y > limit {
			y = limit
		} else if y < -limit {
			y = -limit
		}
		t := y*(1/math.Ln2) + magic
		r := y - (t-magic)*math.Ln2
		scale := math.Float64frombits(math.Float64bits(t)<<52 + 1023<<52)
		r2 := r * r
		p := r * ((1 + r*(1./2) + r2*(1./6+r*(1./24))) + r2*r2*((1./120+r*(1./720))+r2*(1./5040+r*(1./40320))))
		e := scale*p + (scale - 1)
		x[i] = float32((a + b*e) / (2 + e))
	}
}
