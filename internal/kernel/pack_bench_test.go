package kernel

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkPack is what packing costs a product beside its multiplications: B as
// it lies and transposed, cold (eight matrices by turns), as MB/s read.
func BenchmarkPack(b *testing.B) {
	const k, n, turns = 2048, 1024, 8
	for _, trans := range []bool{false, true} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("trans=%v/%dt", trans, threads), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
				var src [turns][]float32
				for i := range src {
					src[i] = make([]float32, k*n)
				}
				ld := n
				if trans {
					ld = k
				}
				p := newPanels[float32](pathFor[float32](), blocks(1, k), n, nil)
				b.SetBytes(4 * k * n)
				for i := range b.N {
					p.fill(source[float32]{data: src[i%turns], ld: ld, trans: trans}, 0)
				}
			})
		}
	}
}

// BenchmarkCopy is what the memory gives: the same bytes, copied.
func BenchmarkCopy(b *testing.B) {
	const n, turns, parts = 2048 * 1024, 8, 64
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("%dt", threads), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
			var src [turns][]float32
			for i := range src {
				src[i] = make([]float32, n)
			}
			dst := make([]float32, n)
			b.SetBytes(4 * n)
			for i := range b.N {
				Parallel(parts, func(j int) { copy(dst[j*n/parts:(j+1)*n/parts], src[i%turns][j*n/parts:]) })
			}
		})
	}
}
