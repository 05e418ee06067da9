package kernel

import (
	"fmt"
	"testing"
)

// vgg16 are the layers of VGG16 up to conv5_3: side of the input, channels, and
// whether a pool follows.
var vgg16 = []struct {
	side, in, out int
	pool          bool
}{
	{224, 3, 64, false}, {224, 64, 64, true},
	{112, 64, 128, false}, {112, 128, 128, true},
	{56, 128, 256, false}, {56, 256, 256, false}, {56, 256, 256, true},
	{28, 256, 512, false}, {28, 512, 512, false}, {28, 512, 512, true},
	{14, 512, 512, false}, {14, 512, 512, false}, {14, 512, 512, false},
}

// BenchmarkWinograd sets Winograd beside the direct way, both at the rate that
// counts the direct way's operations.
func BenchmarkWinograd(b *testing.B) {
	type shape struct{ n, side, in, out int }
	var all []shape
	for i, l := range vgg16 {
		if l.in > 3 && l != vgg16[i-1] {
			all = append(all, shape{1, l.side, l.in, l.out})
		}
	}
	for _, s := range append(all, shape{4, 14, 512, 512}, shape{4, 14, 512, 1024}, shape{16, 16, 16, 32}) {
		rnd := newRand(1)
		c := conv3x3(s.in, s.out)
		x, w := random[float32](rnd, s.n*s.side*s.side*s.in), random[float32](rnd, c.WeightLen())
		y := make([]float32, s.n*s.side*s.side*s.out)
		direct, fast := PackConv2D(c, w), PackWinograd(c, w)
		for name, f := range map[string]func(){
			"direct":   func() { direct.Forward(s.n, s.side, s.side, x, nil, true, y) },
			"winograd": func() { fast.Forward(s.n, s.side, s.side, x, nil, true, y) },
		} {
			b.Run(fmt.Sprintf("%dx%dx%d_%d-%d/%s", s.n, s.side, s.side, s.in, s.out, name), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				rate(b, 2*float64(s.n*s.side*s.side)*float64(c.WeightLen()))
			})
		}
	}
}

// BenchmarkVGG16Winograd runs the 13 layers with their pools, one image or four at a
// time. It needs 0.5 GB.
func BenchmarkVGG16Winograd(b *testing.B) {
	rnd := newRand(1)
	var fast, direct []FrozenConv[float32]
	var bias [][]float32
	for _, l := range vgg16 {
		w, c := random[float32](rnd, 9*l.in*l.out), conv3x3(l.in, l.out)
		fast, direct = append(fast, PackFrozen(c, w)), append(direct, PackConv2D(c, w))
		bias = append(bias, make([]float32, l.out))
	}
	for _, n := range []int{1, 4} {
		var x [2][]float32
		for i := range x {
			x[i] = random[float32](rnd, n*224*224*64)
		}
		for name, layers := range map[string][]FrozenConv[float32]{"direct": direct, "winograd": fast} {
			b.Run(fmt.Sprintf("batch%d/%s", n, name), func(b *testing.B) {
				for b.Loop() {
					for i, l := range vgg16 {
						f := layers[i].Forward
						if l.pool {
							f = layers[i].ForwardPool
						}
						f(n, l.side, l.side, x[i%2], bias[i], true, x[(i+1)%2])
					}
				}
				b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}
