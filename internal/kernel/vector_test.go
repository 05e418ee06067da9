package kernel

import (
	"math"
	"slices"
	"testing"
)

// lengths cross the lanes of each path and the chunks of Parallel.
var lengths = []int{0, 1, 7, 8, 9, 15, 16, 17, 31, 40, 1000, chunk + 3, 3*chunk + 21}

// special puts values in x that comparisons and rounding trip over.
func special[T Float](x []T) {
	odd := []T{0, T(math.Copysign(0, -1)), T(math.NaN()), T(math.Inf(1)), T(math.Inf(-1))}
	for i := range x {
		if i%5 == 2 {
			x[i] = odd[i/5%len(odd)]
		}
	}
}

// sameBits also tells 0 from -0, and takes any NaN for any other.
func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool {
		return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
	})
}

// TestVectors: each path gives the bits of the loop in the doc comment.
func TestVectors(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, n := range lengths {
			rnd := newRand(uint64(n))
			x, y := random[float32](rnd, n), random[float32](rnd, n)
			special(x)
			special(y[n/3:])
			relu, back, axpy, scaled := make([]float32, n), make([]float32, n), slices.Clone(y), slices.Clone(x)
			wantRelu, wantBack, wantAxpy, wantScaled := slices.Clone(x), slices.Clone(y), slices.Clone(y), slices.Clone(x)
			for i, v := range x {
				if v < 0 {
					wantRelu[i] = 0
				}
				if v <= 0 {
					wantBack[i] = 0
				}
				wantAxpy[i] += float32(float32(0.3) * v)
				wantScaled[i] *= 0.3
			}
			ReLU(x, relu)
			ReLUBackward(x, y, back)
			Axpy(0.3, x, axpy)
			Scale(0.3, scaled)
			for _, c := range []struct {
				name      string
				got, want []float32
			}{{"ReLU", relu, wantRelu}, {"ReLUBackward", back, wantBack}, {"Axpy", axpy, wantAxpy}, {"Scale", scaled, wantScaled}} {
				if !sameBits(c.got, c.want) {
					t.Errorf("%s of %d: other bits than the loop", c.name, n)
				}
			}
		}
	})
}

func TestReductions(t *testing.T) {
	for _, n := range lengths {
		rnd := newRand(uint64(n))
		x, y := random[float32](rnd, n), random[float32](rnd, n)
		var sum, dot float64
		for i := range x {
			sum += float64(x[i])
			dot += float64(x[i]) * float64(y[i])
		}
		if got := Sum(x); math.Abs(float64(got)-sum) > 1e-6*(1+math.Abs(sum)) {
			t.Errorf("Sum of %d = %g, want %g", n, got, sum)
		}
		if got := Dot(x, y); math.Abs(float64(got)-dot) > 1e-6*(1+math.Abs(dot)) {
			t.Errorf("Dot of %d = %g, want %g", n, got, dot)
		}
		x64, y64 := random[float64](rnd, n), random[float64](rnd, n) // no rounding hides the order
		for i := range x64 {
			x64[i] /= 3
		}
		var sums, dots []float64
		for _, procs := range []int{1, 2, 4} {
			atProcs(t, procs, func() { sums, dots = append(sums, Sum(x64)), append(dots, Dot(x64, y64)) })
		}
		if sums[0] != sums[1] || sums[0] != sums[2] || dots[0] != dots[1] || dots[0] != dots[2] {
			t.Errorf("n=%d: Sum %v and Dot %v with GOMAXPROCS 1, 2, 4", n, sums, dots)
		}
	}
}

func TestMax(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		x    []float64
		want float64
		at   int
	}{
		{[]float64{3}, 3, 0},
		{[]float64{1, 5, 2, 5}, 5, 1},
		{[]float64{-4, -4}, -4, 0},
		{[]float64{1, nan, 9, nan}, nan, 1},
		{[]float64{nan, 9}, nan, 0},
	} {
		got, at := Max(c.x)
		if at != c.at || got != c.want && (got == got || c.want == c.want) {
			t.Errorf("Max(%v) = %v at %d, want %v at %d", c.x, got, at, c.want, c.at)
		}
	}
}

func TestBias(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, s := range [][2]int{{0, 3}, {1, 1}, {5, 16}, {700, 37}, {129, 128}} {
			rows, n := s[0], s[1]
			rnd := newRand(7)
			x, bias := random[float32](rnd, rows*n), random[float32](rnd, n)
			sum, added := make([]float64, n), make([]float64, rows*n)
			for i, v := range x {
				sum[i%n] += float64(v)
				added[i] = float64(v + bias[i%n])
			}
			db := random[float32](rnd, n)
			BiasGrad(rows, n, x, db)
			if d := worst(db, sum); d > 1e-6 && rows > 0 || rows == 0 && slices.Max(db) != 0 {
				t.Errorf("BiasGrad of %d×%d: off by %g", rows, n, d)
			}
			AddBias(rows, x, bias)
			if d := worst(x, added); d != 0 {
				t.Errorf("AddBias to %d×%d: off by %g", rows, n, d)
			}
		}
	})
}

// Adam: every path has the bits of the plain loop, from the first step on.
func TestAdamSameBits(t *testing.T) {
	for _, n := range lengths {
		rnd := newRand(8)
		w0, grads := random[float32](rnd, n), [][]float32{random[float32](rnd, n), random[float32](rnd, n)}
		var want []float32
		for _, p := range slices.Backward(paths) { // plain Go first
			if err := Force(p.name); err != nil {
				t.Fatal(err)
			}
			w, m, v := slices.Clone(w0), make([]float32, n), make([]float32, n)
			for step, g := range grads {
				AdamStep(w, g, m, v, 1e-3, 0.5, 0.9, 1e-8, step+1)
			}
			if got := slices.Concat(w, m, v); want == nil {
				want = got
			} else if !sameBits(got, want) {
				t.Errorf("AdamStep of %d on %s: other bits than in plain Go", n, p.name)
			}
		}
		Force("")
	}
}
