package spectra

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

var plain = Lanes{N: 1}

// all is every way that this CPU can compute.
func all() []Lanes {
	out := []Lanes{plain}
	for _, s := range simd.FrameSets() {
		out = append(out, Lanes{s.Lanes, s})
	}
	return out
}

func (l Lanes) String() string {
	if l.set == nil {
		return "plain"
	}
	return l.set.Name
}

func noise(seed uint64, n int) []float64 {
	rnd := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, n)
	for i := range out {
		out[i] = rnd.NormFloat64() * 1000
	}
	return out
}

// canary is what lies around the slices that assembly writes to.
const canary = 12345.678

// fenced is a slice between canaries.
func fenced(n int) (x []float64, whole func() bool) {
	const side = 64
	buf := make([]float64, n+2*side)
	for i := range buf {
		buf[i] = canary
	}
	return buf[side : side+n : side+n], func() bool {
		for i := range side {
			if buf[i] != canary || buf[side+n+i] != canary {
				return false
			}
		}
		return true
	}
}

// deal puts the frames of l.N lanes side by side.
func (l Lanes) deal(frames [][]float64, dst []float64) {
	for lane, f := range frames {
		for i, v := range f {
			dst[i*l.N+lane] = v
		}
	}
}

// lane is every N-th value of x.
func (l Lanes) lane(x []float64, lane int) (out []float64) {
	for i := lane; i < len(x); i += l.N {
		out = append(out, x[i])
	}
	return out
}

func sameBits(a, b []float64) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d values, want %d", len(a), len(b))
	}
	for i := range a {
		if math.Float64bits(a[i]) != math.Float64bits(b[i]) {
			return fmt.Errorf("value %d is %v, want %v", i, a[i], b[i])
		}
	}
	return nil
}

var sizes = []int{2, 4, 6, 8, 10, 12, 16, 18, 20, 24, 30, 32, 36, 40, 48, 50, 60, 64, 80, 100, 128, 200, 240, 256, 320, 400, 480, 500, 512, 551, 600, 640, 960, 1024, 1200, 2048, 3, 7, 14, 22, 49, 77, 121, 169, 127, 131, 194, 202, 262, 220, 330, 441, 442, 539, 550, 882, 1001, 1102, 1103}

// TestPower holds plain Go to the transform's definition, and each lane of the
// others to plain Go, to the bit.
func TestPower(t *testing.T) {
	for _, n := range sizes {
		ref := plain.NewPower(n)
		spectrum := func(x []float64) []float64 {
			out := make([]float64, ref.Bins())
			copy(ref.Frame(), x)
			ref.Apply(out)
			return out
		}
		x := noise(uint64(n), n)
		for k, got := range spectrum(x) {
			var re, im float64
			for i, v := range x {
				s, c := math.Sincos(2 * math.Pi * float64(i*k%n) / float64(n))
				re, im = re+v*c, im-v*s
			}
			if want := ref.Scale() * (re*re + im*im); math.Abs(got-want) > 1e-9*float64(n)*1e6*ref.Scale() {
				t.Fatalf("%d points: bin %d is %v, want %v", n, k, got, want)
			}
		}
		for _, l := range all()[1:] {
			p := l.NewPower(n)
			frames := make([][]float64, l.N)
			for i := range frames {
				frames[i] = noise(uint64(n*100+i), n)
			}
			clear(frames[l.N/2]) // silence beside sound stays silence
			l.deal(frames, p.Frame())
			power, whole := fenced(p.Bins() * l.N)
			p.Apply(power)
			if p.Scale() != ref.Scale() || !whole() {
				t.Fatalf("%v: %d points: scale %v or written outside", l, n, p.Scale())
			}
			for i, f := range frames {
				if err := sameBits(l.lane(power, i), spectrum(f)); err != nil {
					t.Fatalf("%v: %d points, lane %d: %v", l, n, i, err)
				}
			}
			if i := slices.IndexFunc(l.lane(power, l.N/2), func(v float64) bool { return v != 0 }); i >= 0 {
				t.Errorf("%v: %d points: bin %d of silence is not 0", l, n, i)
			}
		}
	}
}

// TestPower551 shows every index to the transform of 551: single samples.
func TestPower551(t *testing.T) {
	ref := plain.NewPower(size551)
	got := make([]float64, ref.Bins())
	for i := range size551 {
		clear(ref.Frame())
		j := (i*i + 1) % size551
		ref.Frame()[i] += 1
		ref.Frame()[j] += 2
		ref.Apply(got)
		for k, v := range got { // |1 + 2 e^(ia)|² = 5 + 4 cos a
			if want := 5 + 4*math.Cos(2*math.Pi*float64((i-j)*k%size551)/size551); math.Abs(v-want) > 1e-12 {
				t.Fatalf("samples %d and %d: bin %d is %v, want %v", i, j, k, v, want)
			}
		}
	}
}

func TestWindow(t *testing.T) {
	for _, l := range all() {
		for _, n := range []int{l.N, 3 * l.N, l.Round(551)} {
			for _, hop := range []int{1, 7, 221} {
				src, win := noise(1, (l.N-1)*hop+n), noise(2, n)
				dst, whole := fenced(n * l.N)
				l.Window(dst, src, win, hop)
				for lane := range l.N {
					want := make([]float64, n)
					for i := range want {
						want[i] = src[lane*hop+i] * win[i]
					}
					if err := sameBits(l.lane(dst, lane), want); err != nil || !whole() {
						t.Fatalf("%v: window of %d, hop %d, lane %d: %v", l, n, hop, lane, err)
					}
				}
			}
		}
	}
}

func TestEmphasise(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for _, l := range all() {
		for n := range 40 {
			x := make([]int16, n+1)
			for i := range x {
				x[i] = int16(rnd.IntN(1 << 16))
			}
			y, whole := fenced(n)
			l.Emphasise(y, x, .97)
			for i := range y {
				if want := float64(x[i+1]) - float64(.97*float64(x[i])); y[i] != want || !whole() {
					t.Fatalf("%v: %d samples: value %d is %v, want %v", l, n, i, y[i], want)
				}
			}
		}
	}
}

func TestBankAndMatrix(t *testing.T) {
	const bins = 37
	var start []int
	var weights [][]float64
	for n := range 12 {
		start, weights = append(start, bins-n-n%2), append(weights, noise(uint64(n), n))
	}
	start, weights = append(start, 0), append(weights, noise(5, bins))
	for _, rows := range []int{1, 8, 13, 40} {
		m := noise(9, rows*bins)
		for _, l := range all() {
			power := noise(10, bins*l.N)
			out, whole := fenced(len(start) * l.N)
			l.NewBank(bins, start, weights).Apply(out, power)
			mat := l.NewMatrix(m, bins)
			y, wholeY := fenced(mat.Rows() * l.N)
			mat.Apply(y, power)
			if !whole() || !wholeY() {
				t.Fatalf("%v: written outside", l)
			}
			for lane := range l.N {
				p := l.lane(power, lane)
				want, wantY := make([]float64, len(start)), make([]float64, mat.Rows())
				plain.NewBank(bins, start, weights).Apply(want, p)
				plain.NewMatrix(m, bins).Apply(wantY, p)
				for _, err := range []error{sameBits(l.lane(out, lane), want), sameBits(l.lane(y, lane), wantY)} {
					if err != nil {
						t.Fatalf("%v: lane %d: %v", l, lane, err)
					}
				}
				for i, w := range weights {
					s := 0.
					for j, v := range w {
						s += v * p[start[i]+j]
					}
					if math.Abs(s-want[i]) > 1e-6 {
						t.Fatalf("filter %d is %v, want %v", i, want[i], s)
					}
				}
				for r := range rows {
					s := 0.
					for j, v := range p {
						s += v * m[r*bins+j]
					}
					if math.Abs(s-wantY[r]) > 1e-6 {
						t.Fatalf("row %d is %v, want %v", r, wantY[r], s)
					}
				}
			}
		}
	}
}

func TestLog(t *testing.T) {
	x := []float64{2.220446049250313e-16, 1e-10, .5, math.Sqrt2 / 2, .99999, 1, 1.00001, math.Sqrt2, 2, math.E, 1e10, 1e300, math.SmallestNonzeroFloat64 * (1 << 52)}
	rnd := rand.New(rand.NewPCG(4, 4))
	for range 3000 {
		x = append(x, math.Exp(rnd.NormFloat64()*30))
	}
	x = x[:len(x)/8*8]
	want := slices.Clone(x)
	plain.Log(want, 0, 1)
	for i, v := range x {
		exact := math.Log(v)
		if math.Abs(want[i]-exact) > 1e-16+4e-16*math.Abs(exact) {
			t.Fatalf("log %v is %v, want %v", v, want[i], exact)
		}
	}
	for _, l := range all()[1:] {
		got := slices.Clone(x)
		l.Log(got, 0, 1)
		if err := sameBits(got, want); err != nil {
			t.Errorf("%v: %v", l, err)
		}
	}
	for _, l := range all() {
		got := slices.Repeat([]float64{0, 1e-12, 1e-10, math.Nextafter(1e-10, 1)}, l.N)
		l.Log(got, 1e-10, math.E)
		for i, v := range got {
			if low := i%4 < 3; low && v != 1 || !low && math.Abs(v-math.Log(1e-10)) > 1e-14 {
				t.Errorf("%v: value %d with a floor of 1e-10 is %v", l, i%4, v)
			}
		}
	}
}

// TestFused: math.FMA rounds once, which "the same bits" stands on.
func TestFused(t *testing.T) {
	a, b, c := 1+math.Ldexp(1, -30), 1-math.Ldexp(1, -30), -1.
	exact, _ := new(big.Float).Add(new(big.Float).Mul(big.NewFloat(a).SetPrec(200), big.NewFloat(b)), big.NewFloat(c)).Float64()
	if got := math.FMA(a, b, c); got != exact {
		t.Errorf("FMA is %v, want %v", got, exact)
	}
}

func TestPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"short power":    func() { plain.NewPower(551).Apply(make([]float64, 275)) },
		"short window":   func() { plain.Window(make([]float64, 3), make([]float64, 4), make([]float64, 4), 1) },
		"one point":      func() { plain.NewPower(1) },
		"filter outside": func() { plain.NewBank(3, []int{2}, [][]float64{{1, 1}}) },
		"ragged matrix":  func() { plain.NewMatrix(make([]float64, 5), 2) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func BenchmarkPower(b *testing.B) {
	for _, l := range all() {
		for _, n := range []int{551, 400, 512, 1024, 2048, 441, 220, 330, 442, 550, 600, 882, 1102, 1103, 134, 254, 302, 346, 386} {
			b.Run(fmt.Sprintf("%v/%d", l, n), func(b *testing.B) {
				p := l.NewPower(n)
				copy(p.Frame(), noise(1, len(p.Frame())))
				power := make([]float64, p.Bins()*l.N)
				x := slices.Clone(p.Frame())
				for b.Loop() {
					copy(p.Frame(), x)
					p.Apply(power)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*l.N), "ns/frame")
			})
		}
	}
}
