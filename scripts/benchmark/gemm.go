package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"

	"github.com/hearsight/hearsight/internal/kernel"
	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// A shape is a matrix product C[m][n] = A[m][k]·B[k][n] of a model.
type shape struct {
	kind    string // packed: B laid out beforehand; NN, TA, TB: A or B stored transposed
	m, n, k int
}

// modelShapes lists every product of the paper's models with all of m, n and k at
// least 128: in smaller ones the edges, not the multiply-adds, decide.
func modelShapes() []shape {
	return []shape{
		{"packed", 784, 512, 512}, // the yardstick

		// VGG: Winograd's 36 products of 4x4 tiles, a picture at a time.
		{"packed", 784, 128, 128}, {"packed", 196, 256, 128}, {"packed", 196, 256, 256},

		// ResNet50: 1x1 convolutions and the 3x3 with a stride, a picture at a time.
		{"packed", 3136, 128, 256}, {"packed", 784, 512, 128}, {"packed", 784, 128, 512},
		{"packed", 784, 256, 512}, {"packed", 784, 512, 256}, {"packed", 196, 1024, 256},
		{"packed", 196, 256, 1024}, {"packed", 196, 1024, 512}, {"packed", 784, 128, 1152}, {"packed", 196, 256, 2304},

		// The image head in training, batch 4: 3x3 of 512 channels, 1x1 of 1,024,
		// and its gradients by weights and input.
		{"NN", 784, 1024, 4608}, {"TA", 4608, 1024, 784}, {"NN", 784, 1024, 1024}, {"TA", 1024, 1024, 784}, {"TB", 784, 1024, 1024},

		// The audio tower's wide convolutions: of each of the DFT's frequencies, in
		// blocks of 32 frames; layer 2 at batch 4, layers 3 to 5 at batch 32.
		{"packed", 128, 256, 128}, {"packed", 512, 512, 256}, {"packed", 256, 512, 512}, {"packed", 128, 1024, 512},

		// LSTM and GRU over 4 x 510 frames: the input's share of the gates, its
		// gradients by weights and input, and the linear layer's.
		{"NN", 2040, 2048, 512}, {"TA", 512, 2048, 2040}, {"TB", 2040, 512, 2048},
		{"NN", 2040, 1536, 512}, {"TA", 512, 1536, 2040}, {"TB", 2040, 512, 1536},
		{"NN", 2040, 1024, 512}, {"TA", 512, 1024, 2040}, {"TB", 2040, 512, 1024},

		// Matchmaps: 4 pictures with 4 clips of 64 and of 510 frames; scoring.
		{"TB", 256, 784, 1024}, {"TB", 2040, 784, 1024}, {"TB", 1024, 980, 1024},
	}
}

func (p shape) name(threads int) string {
	return fmt.Sprintf("gemm_%s_%dx%dx%d_%dt", p.kind, p.m, p.n, p.k, threads)
}

// A repetition of a product lasts at least this long, in seconds, and one of the
// peak about as long.
const gemmSeconds = .02

func (p shape) run(threads int) func(s *sample, reps int) error {
	return func(s *sample, reps int) error {
		runtime.GOMAXPROCS(threads)
		f, flop := p.product(), 2*float64(p.m)*float64(p.n)*float64(p.k)
		f()
		l, calls := start(), 1
		f()
		if once, _ := l.seconds(); once < gemmSeconds {
			calls = int(gemmSeconds/once) + 1
		}
		peak(threads)
		for range reps {
			most, mostCPU := peak(threads)
			l := start()
			for range calls {
				f()
			}
			wall, cpu := l.seconds()
			did := flop * float64(calls) / 1e9
			s.Values, s.CPU = append(s.Values, did/wall), append(s.CPU, cpu/float64(calls))
			if most > 0 && cpu > 0 {
				s.Peak, s.PerCPU = append(s.Peak, most), append(s.PerCPU, did/cpu/mostCPU)
			}
		}
		return nil
	}
}

// product makes the operands and returns the product.
func (p shape) product() func() {
	m, n, k := p.m, p.n, p.k
	a, b, c := noise(m*k), noise(k*n), make([]float32, m*n)
	switch p.kind {
	case "packed":
		packed := kernel.PackB(k, n, b, n)
		return func() { packed.Gemm(m, a, k, c, n, kernel.Epilogue[float32]{}) }
	case "TA":
		return func() { kernel.GemmTA(m, n, k, a, m, b, n, c, n, false) }
	case "TB":
		return func() { kernel.GemmTB(m, n, k, a, k, b, k, c, n, false) }
	}
	return func() { kernel.Gemm(m, n, k, a, k, b, n, c, n, false) }
}

// peak is what the FMA units of so many CPUs give on the numeric path in use, in
// GFLOP a second and GFLOP a CPU second; 0 where there is no assembly to measure
// it.
func peak(threads int) (rate, perCPU float64) {
	for _, set := range simd.Sets() {
		if set.Name != kernel.Numeric() {
			continue
		}
		const rounds, parts = 1 << 13, 32 // 1.8 GFLOP with AVX-512
		l := start()
		kernel.Parallel(parts*threads, func(int) { set.Peak(rounds) })
		wall, cpu := l.seconds()
		did := 2 * float64(rounds*parts*threads) * simd.PeakFMAs * float64(set.Lanes) / 1e9
		return did / wall, did / max(cpu, 1e-9)
	}
	return 0, 0
}

// noise is n numbers that are not alike.
func noise(n int) []float32 {
	r, out := rand.New(rand.NewPCG(1, 2)), make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}
