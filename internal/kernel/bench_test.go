package kernel

import (
	"fmt"
	"testing"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// rate reports GFLOP/s for flop operations an iteration.
func rate(b *testing.B, flop float64) {
	b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

func benchPaths(b *testing.B, f func(b *testing.B)) {
	for _, p := range paths {
		b.Run(p.name, func(b *testing.B) {
			if err := Force(p.name); err != nil {
				b.Fatal(err)
			}
			defer Force("")
			f(b)
		})
	}
}

// BenchmarkGemmPeak measures what one CPU's FMA units give: the limit of the
// others (times GOMAXPROCS).
func BenchmarkGemmPeak(b *testing.B) {
	for _, s := range simd.Sets() {
		b.Run(s.Name, func(b *testing.B) {
			for b.Loop() {
				s.Peak(10000)
			}
			rate(b, 10000*simd.PeakFMAs*float64(s.Lanes)*2)
		})
	}
}

func BenchmarkGemm(b *testing.B) {
	rnd := newRand(1)
	for _, s := range [][3]int{{784, 512, 512}, {1024, 1024, 1024}, {16384, 16, 75}, {4096, 64, 576}, {196, 128, 1024}} {
		m, n, k := s[0], s[1], s[2]
		x, y, z := random[float32](rnd, m*k), random[float32](rnd, k*n), make([]float32, m*n)
		for name, f := range map[string]func(){
			"NN": func() { Gemm(m, n, k, x, k, y, n, z, n, false) },
			"TA": func() { GemmTA(m, n, k, x, m, y, n, z, n, false) },
			"TB": func() { GemmTB(m, n, k, x, k, y, k, z, n, false) },
		} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", name, m, n, k), func(b *testing.B) {
				benchPaths(b, func(b *testing.B) {
					for b.Loop() {
						f()
					}
					rate(b, 2*float64(m)*float64(n)*float64(k))
				})
			})
		}
	}
}

func BenchmarkConv(b *testing.B) {
	for _, s := range []struct {
		name    string
		n, h, w int
		c       Conv2D
	}{
		{"vgg1_1", 1, 224, 224, conv3x3(3, 64)},
		{"vgg1_2", 1, 224, 224, conv3x3(64, 64)},
		{"vgg2_1", 1, 112, 112, conv3x3(64, 128)},
		{"vgg3_2", 1, 56, 56, conv3x3(256, 256)},
		{"vgg4_2", 1, 28, 28, conv3x3(512, 512)},
		{"vgg5_1", 1, 14, 14, conv3x3(512, 512)},
		{"head", 4, 14, 14, conv3x3(512, 1024)},
		{"audio1", 4, 1, 1024, Conv1D(1, 40, 128, 1, 0)},
		{"audio2", 4, 1, 1024, Conv1D(11, 128, 256, 1, 5)},
		{"audio3", 4, 1, 512, Conv1D(17, 256, 512, 1, 8)},
		{"audio4", 4, 1, 256, Conv1D(17, 512, 512, 1, 8)},
		{"audio5", 4, 1, 128, Conv1D(17, 512, 1024, 1, 8)},
		{"tiny1", 16, 64, 64, Conv2D{5, 5, 3, 16, 2, 2, 2, 2}},
		{"tiny2", 16, 32, 32, Conv2D{3, 3, 16, 32, 2, 2, 1, 1}},
		{"tiny3", 16, 16, 16, Conv2D{3, 3, 32, 64, 2, 2, 1, 1}},
		{"tiny4", 16, 8, 8, Conv2D{1, 1, 64, 64, 1, 1, 0, 0}},
		{"tinyaudio2", 16, 1, 512, Conv1D(11, 16, 16, 1, 5)},
		{"tinyaudio4", 16, 1, 128, Conv1D(5, 32, 64, 1, 2)},
	} {
		rnd := newRand(1)
		oh, ow := s.c.OutSize(s.h, s.w)
		x, w := random[float32](rnd, s.n*s.h*s.w*s.c.In), random[float32](rnd, s.c.WeightLen())
		y, dx, dw := random[float32](rnd, s.n*oh*ow*s.c.Out), make([]float32, s.n*s.h*s.w*s.c.In), make([]float32, s.c.WeightLen())
		bias := make([]float32, s.c.Out)
		flop := 2 * float64(s.n*oh*ow) * float64(s.c.WeightLen())
		run := func(kind string, f func()) {
			b.Run(s.name+"/"+kind, func(b *testing.B) {
				for b.Loop() {
					f()
				}
				rate(b, flop)
			})
		}
		packed := PackConv2D(s.c, w)
		run("packed", func() { packed.Forward(s.n, s.h, s.w, x, bias, true, y) })
		run("forward", func() { Conv2DForward(s.c, s.n, s.h, s.w, x, w, bias, true, y) })
		run("dx", func() { Conv2DBackwardInput(s.c, s.n, s.h, s.w, y, w, dx) })
		run("dw", func() { Conv2DBackwardWeights(s.c, s.n, s.h, s.w, x, y, dw, bias) })
	}
}

func conv3x3(in, out int) Conv2D { return Conv2D{3, 3, in, out, 1, 1, 1, 1} }

func BenchmarkAdam(b *testing.B) {
	const n = 20_700_000 // the paper's conv5 tower and head
	w, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range g {
		g[i] = 1e-3
	}
	benchPaths(b, func(b *testing.B) {
		for b.Loop() {
			AdamStep(w, g, m, v, 1e-4, 0.5, 0.9, 1e-8, 10)
		}
	})
}

func BenchmarkElementwise(b *testing.B) {
	const n, h, w, ch = 1, 224, 224, 64
	x, y := random[float32](newRand(1), n*h*w*ch), make([]float32, n*h*w*ch)
	arg := make([]int32, len(y))
	p := Pool2D{KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"relu", func() { ReLU(x, y) }},
		{"relu backward", func() { ReLUBackward(x, y, y) }},
		{"pool", func() { MaxPoolForward(p, n, h, w, ch, x, y, nil) }},
		{"pool with places", func() { MaxPoolForward(p, n, h, w, ch, x, y, arg) }},
		{"pool backward", func() { MaxPoolBackward(p, n, h, w, ch, x, arg, y) }},
		{"sum", func() { Sum(x) }},
		{"axpy", func() { Axpy(0.5, x, y) }},
		{"bias gradient", func() { BiasGrad(n*h*w, ch, x, y) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.f()
			}
			b.SetBytes(4 * int64(len(x)))
		})
	}
}
