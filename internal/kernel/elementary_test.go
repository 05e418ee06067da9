package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// elementaries are the functions with their meanings.
var elementaries = []struct {
	name  string
	run   func(x, y []float32)
	plain func(float32) float32
	exact func(float64) float64
	edges []float32 // where something begins or ends
}{
	{"Exp", Exp[float32], simd.Exp, math.Exp, []float32{88.72283, 88.722839, 88.72284, -87.33654, -87.33655, -103.2789, -103.97207, -103.97208, -103.9721, 105, -105}},
	{"Log", Log[float32], simd.Log, math.Log, []float32{1, .99999994, 1.0000001, .70710677, .7071068, 1.4142135, 1.4142137, .5, 2}},
	{"Tanh", Tanh[float32], simd.Tanh, math.Tanh, []float32{9.01, 9.0109, 9.02, 20, 52.5, 1e-4}},
	{"Sigmoid", Sigmoid[float32], simd.Sigmoid, sigmoid, []float32{16.6, 17.3, -87.3, -88.7, -103.9, -104, -105, 105}},
}

// inputs are all special values, the edges with both signs and their
// neighbours, and random values of every size.
func inputs(edges []float32) []float32 {
	inf := float32(math.Inf(1))
	x := []float32{0, float32(math.NaN()), inf, math.MaxFloat32, math.SmallestNonzeroFloat32, 0x1p-126, 0x1p-126 - 0x1p-149, 1e-40, 0x1p-24, 0x1p-23}
	for _, e := range edges {
		x = append(x, e, math.Nextafter32(e, 0), math.Nextafter32(e, inf))
	}
	for _, v := range slices.Clone(x) {
		x = append(x, -v)
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 200_000 {
		x = append(x, float32(r.NormFloat64()*math.Exp(4*r.NormFloat64()-2)), math.Float32frombits(r.Uint32()))
	}
	return x
}

// TestElementary: the bits of the plain function on every path, which is near
// package math's.
func TestElementary(t *testing.T) {
	for _, f := range elementaries {
		x := inputs(f.edges)
		want := make([]float32, len(x))
		for i, v := range x {
			want[i] = f.plain(v)
		}
		if at, d := worstUlps(x, want, f.exact); !(d <= .51) {
			t.Errorf("%s(%v) = %v is off by %.3f units in the last place", f.name, x[at], want[at], d)
		}
		eachPath(t, func(t *testing.T) {
			got := make([]float32, len(x))
			f.run(x, got)
			if !sameBits(got, want) {
				i := 0
				for sameBits(got[i:i+1], want[i:i+1]) {
					i++
				}
				t.Errorf("%s(%v) = %v, in plain Go %v", f.name, x[i], got[i], want[i])
			}
		})
	}
}

// worstUlps is where y is farthest from f(x), in units of the last place, and
// how far; the nearest float32 counts as .5 away.
func worstUlps(x, y []float32, f func(float64) float64) (at int, worst float64) {
	for i, v := range x {
		want := f(float64(v))
		near := float32(want)
		d := math.Inf(1)
		if sameBits(y[i:i+1], []float32{near}) {
			d = .5
		} else if size := float32(math.Abs(want)); size > 0 && size < math.MaxFloat32 {
			d = math.Abs(float64(y[i])-want) / (float64(math.Nextafter32(size, math.MaxFloat32)) - float64(size))
		}
		if !(d <= worst) {
			at, worst = i, d
		}
	}
	return at, worst
}

// TestElementaryPlaces: every length to some vectors, at every alignment, to
// another place and to its own, and nothing beside it is touched.
func TestElementaryPlaces(t *testing.T) {
	const guard = 16
	r := rand.New(rand.NewPCG(1, 2))
	for _, f := range elementaries {
		eachPath(t, func(t *testing.T) {
			for n := range 67 {
				for shift := range 17 {
					x, y := make([]float32, n+shift), make([]float32, n+shift+2*guard)
					for i := range x {
						x[i] = float32(8 * r.NormFloat64())
					}
					special(x)
					for i := range y {
						y[i] = 12345
					}
					want := slices.Clone(y)
					for i, v := range x[shift:] {
						want[shift+guard+i] = f.plain(v)
					}
					f.run(x[shift:], y[shift+guard:][:n])
					if !sameBits(y, want) {
						t.Fatalf("%s of %d, %d from the start: other values than in plain Go, or outside", f.name, n, shift)
					}
					f.run(x[shift:], x[shift:])
					if !sameBits(x[shift:], want[shift+guard:][:n]) {
						t.Fatalf("%s of %d in place: other values", f.name, n)
					}
				}
			}
		})
	}
}

// TestElementaryLong: vectors that are cut up, and float64, which is package
// math's.
func TestElementaryLong(t *testing.T) {
	x := random[float32](newRand(3), 3*chunk+21)
	y, x64 := make([]float32, len(x)), widen(x)
	y64 := make([]float64, len(x))
	for i, f := range elementaries {
		f.run(x, y)
		[]func(x, y []float64){Exp[float64], Log[float64], Tanh[float64], Sigmoid[float64]}[i](x64, y64)
		for k, v := range x {
			if want := f.plain(v); y[k] != want && want == want {
				t.Fatalf("%s of %d values: [%d] = %v, want %v", f.name, len(x), k, y[k], want)
			}
			if want := f.exact(x64[k]); y64[k] != want && want == want {
				t.Fatalf("%s of float64 %v = %v, want %v", f.name, x64[k], y64[k], want)
			}
		}
	}
}

func BenchmarkElementary(b *testing.B) {
	x := random[float32](newRand(1), 1<<12)
	y := make([]float32, len(x))
	for _, p := range paths {
		for _, f := range elementaries {
			b.Run(p.name+"/"+f.name, func(b *testing.B) {
				if err := Force(p.name); err != nil {
					b.Fatal(err)
				}
				defer Force("")
				for b.Loop() {
					f.run(x, y)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/value")
			})
		}
	}
}
