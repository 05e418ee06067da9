package kernel

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/sharedtest"
)

// goldenCases are the PyTorch cases whose file names start with prefix.
func goldenCases(t *testing.T, prefix string) map[string]map[string]*npy.Array {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(sharedtest.Path(t, "golden", "ops"), prefix+"*.npz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden %s: %v", prefix, err)
	}
	all := map[string]map[string]*npy.Array{}
	for _, f := range files {
		a, err := npy.ReadZip(f)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".npz")] = a
	}
	return all
}

// channelsLast turns [n][c][h][w], or [n][c][t], into [n][h][w][c].
func channelsLast(a *npy.Array) []float64 {
	n, c := a.Shape[0], a.Shape[1]
	return move(a.F64, n, c, len(a.F64)/(n*c))
}

// move turns [n][a][b] into [n][b][a].
func move(x []float64, n, a, b int) []float64 {
	out := make([]float64, len(x))
	for i := range out {
		in, j, k := i/(a*b), i/a%b, i%a
		out[i] = x[(in*a+k)*b+j]
	}
	return out
}

// weightsLast turns [out][in][kh][kw] into [kh][kw][in][out].
func weightsLast(a *npy.Array) []float64 {
	out, in := a.Shape[0], a.Shape[1]
	taps := len(a.F64) / (out * in)
	w := make([]float64, len(a.F64))
	for i := range w {
		tap, ci, o := i/(in*out), i/out%in, i%out
		w[i] = a.F64[(o*in+ci)*taps+tap]
	}
	return w
}

// size is [h][w] of the image, or [1][t].
func size(a *npy.Array) (h, w int) {
	if len(a.Shape) == 3 {
		return 1, a.Shape[2]
	}
	return a.Shape[2], a.Shape[3]
}

// pair is two numbers of a stride or pad; one number is for time, the first
// then being other.
func pair(a *npy.Array, other int) (h, w int) {
	if a == nil {
		return other, other
	}
	if len(a.F64) == 1 {
		return other, int(a.F64[0])
	}
	return int(a.F64[0]), int(a.F64[1])
}

func goldenConv[T Float](t *testing.T, tol float64) {
	for _, prefix := range []string{"conv1d", "conv2d"} {
		for name, a := range goldenCases(t, prefix) {
			t.Run(name, func(t *testing.T) {
				n := a["x"].Shape[0]
				h, w := size(a["x"])
				kh, kw := size(a["w"])
				sh, sw := pair(a["stride"], 1)
				ph, pw := pair(a["pad"], 0)
				c := Conv2D{KH: kh, KW: kw, In: a["w"].Shape[1], Out: a["w"].Shape[0], StrideH: sh, StrideW: sw, PadH: ph, PadW: pw}
				x, wt, gy := narrow[T](channelsLast(a["x"])), narrow[T](weightsLast(a["w"])), narrow[T](channelsLast(a["gy"]))
				var bias []T
				if a["b"] != nil {
					bias = narrow[T](a["b"].F64)
				}
				y, dx, dw, db := make([]T, len(gy)), make([]T, len(x)), make([]T, len(wt)), make([]T, c.Out)
				Conv2DForward(c, n, h, w, x, wt, bias, false, y)
				Conv2DBackwardInput(c, n, h, w, gy, wt, dx)
				Conv2DBackwardWeights(c, n, h, w, x, gy, dw, db)
				for _, v := range []struct {
					name string
					got  []T
					want []float64
				}{
					{"y", y, channelsLast(a["y"])},
					{"gx", dx, channelsLast(a["gx"])},
					{"gw", dw, weightsLast(a["gw"])},
				} {
					if d := worst(v.got, v.want); !(d <= tol) {
						t.Errorf("%s: off by %g, want <= %g", v.name, d, tol)
					}
				}
				if bias != nil {
					if d := worst(db, a["gb"].F64); !(d <= tol) {
						t.Errorf("gb: off by %g, want <= %g", d, tol)
					}
				}
			})
		}
	}
}

func TestGoldenConv(t *testing.T) {
	t.Run("float64", func(t *testing.T) { goldenConv[float64](t, 1e-10) })
	eachPath(t, func(t *testing.T) { goldenConv[float32](t, 1e-5) })
}

func goldenPool[T Float](t *testing.T, tol float64) {
	for name, a := range goldenCases(t, "maxpool") {
		t.Run(name, func(t *testing.T) {
			n, ch := a["x"].Shape[0], a["x"].Shape[1]
			h, w := size(a["x"])
			p := Pool2D{KH: 1, KW: 3, StrideH: 1, StrideW: 2, PadW: 1} // maxpool1d_k3s2p1
			if a["k"] != nil {
				p.KH, p.KW = pair(a["k"], 1)
				p.StrideH, p.StrideW = pair(a["stride"], 1)
				p.PadH, p.PadW = pair(a["pad"], 0)
			}
			x, gy := narrow[T](channelsLast(a["x"])), narrow[T](channelsLast(a["gy"]))
			y, arg, dx := make([]T, len(gy)), make([]int32, len(gy)), make([]T, len(x))
			MaxPoolForward(p, n, h, w, ch, x, y, arg)
			MaxPoolBackward(p, n, h, w, ch, gy, arg, dx)
			if d := worst(y, channelsLast(a["y"])); !(d <= tol) {
				t.Errorf("y: off by %g", d)
			}
			if d := worst(dx, channelsLast(a["gx"])); !(d <= tol) {
				t.Errorf("gx: off by %g", d)
			}
		})
	}
}

func TestGoldenPool(t *testing.T) {
	t.Run("float64", func(t *testing.T) { goldenPool[float64](t, 1e-10) })
	eachPath(t, func(t *testing.T) { goldenPool[float32](t, 1e-5) })
}

func TestGoldenReLU(t *testing.T) {
	a := goldenCases(t, "relu")["relu"]
	y, dx := make([]float64, len(a["x"].F64)), make([]float64, len(a["x"].F64))
	ReLU(a["x"].F64, y)
	ReLUBackward(y, a["gy"].F64, dx)
	if worst(y, a["y"].F64) != 0 || worst(dx, a["gx"].F64) != 0 {
		t.Errorf("ReLU(%v) = %v, gradient %v", a["x"].F64, y, dx)
	}
}

func goldenAdam[T Float](t *testing.T, tol float64) {
	a := goldenCases(t, "optim")["optim"]
	for name, c := range map[string]struct{ lr, beta1, beta2 float64 }{
		"adam_paper_lr1e4_b05_09": {1e-4, 0.5, 0.9},
		"adam_default_lr1e3":      {1e-3, 0.9, 0.999},
	} {
		w := narrow[T](a["p0"].F64)
		m, v := make([]T, len(w)), make([]T, len(w))
		for step := range 5 {
			part := func(key string) []float64 { return a[key].F64[step*len(w) : (step+1)*len(w)] }
			AdamStep(w, narrow[T](part("grads")), m, v, c.lr, c.beta1, c.beta2, 1e-8, step+1)
			if d := worst(w, part(name)); !(d <= tol) {
				t.Errorf("%s, step %d: off by %g, want <= %g", name, step+1, d, tol)
			}
		}
	}
}

func TestGoldenAdam(t *testing.T) {
	t.Run("float64", func(t *testing.T) { goldenAdam[float64](t, 1e-12) })
	eachPath(t, func(t *testing.T) { goldenAdam[float32](t, 1e-6) })
}
