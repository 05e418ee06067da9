package simd

// A FrameSet is the assembly that package spectra works with, for one
// instruction set: float64, Lanes frames of sound side by side, so that a vector
// is one place (a sample, a bin, a filter) of Lanes frames. Below, x[i] of such
// a field is vector i, offsets and strides are in bytes, products that go into a
// sum are fused with it, and what is computed is what spectra's plain Go
// computes, bit for bit.
type FrameSet struct {
	Name  string
	Lanes int

	// Emphasise: for i in n, a multiple of Lanes: y[i] = x[i+1] - a*x[i],
	// rounded twice; x and y are plain arrays.
	Emphasise func(x *int16, y *float64, a float64, n int)

	// Window: for i in n, a multiple of Lanes, l in Lanes:
	// dst[i][l] = src[l*hop/8+i] * win[i]; src and win are plain arrays.
	Window func(src, dst, win *float64, hop, n int)

	// DFT19 is the first step of the transform of 551 points, DFT29 the second:
	// see spectra/dft551.go. tmp is 98 vectors, at the tables of places.
	DFT19 func(x, z, tmp *float64, at *int)
	DFT29 func(z, power, tmp *float64, at *int)

	// PassR is a pass of a complex transform in Stockham's order: for p in m, q
	// in s, with y the R-point transform of x[i] = src[(q+s*p)*2 + i*in],
	// dst[(q+s*R*p)*2 + i*out] = y[i] * w^i, the twiddle factors w^1... of p being
	// R-1 pairs of plain float64. in = s*m*2 and out = s*2 vectors, in bytes.
	Pass2, Pass3, Pass4, Pass5 func(src, dst, twiddle *float64, in, out, s, m int)

	// PassOdd is the same for any odd R, 2*half+1: factors are plain cos and sin of
	// 2 pi k n/R for k and n in 1..half, n first. tmp is 4*half vectors.
	PassOdd func(src, dst, twiddle, factors, tmp *float64, in, out, s, m, half int)

	// Split: for k in n, power[k] and power[last-k] of the real transform whose
	// even points were the real parts and odd points the imaginary parts of what
	// became z, times 4. z[last] must be z[0].
	Split func(z, power, twiddle *float64, n, last int)

	// Spread: for i in n, the parts of dst[2*i] are src[i] times those of plain
	// factor i. Turn: for i in n, x[2*i] is multiplied by factor i.
	Spread func(src, dst, factor *float64, n int)
	Turn   func(x, factor *float64, n int)

	// Bank: for i in n, out[i] is the sum of the next weights, runs[2*i+1] of
	// them, times power from runs[2*i] on, in four strands.
	Bank func(power, weights, out *float64, runs *int, n int)

	// Log: for i in n: x[i] = ln(x[i] <= at ? to : x[i]), for normal numbers.
	Log func(x *float64, at, to float64, n int)

	// Matrix: for b in n, r in 8: y[8*b+r] = sum over j in cols of
	// m[(b*cols+j)*8+r] * x[j].
	Matrix func(m, x, y *float64, cols, n int)
}
