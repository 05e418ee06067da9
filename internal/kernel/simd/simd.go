// Package simd holds the float32 assembly under package kernel, some for bytes,
// and what it asks of the system. Everything in its _amd64.s files is written by
// kernel/gen; the comment on each type here is the loop that its functions
// replace. Callers check shapes: nothing is checked here.
package simd

// A Tile computes mr rows by nv vectors of C:
//
//	for i in rows, j in columns:
//	    s := 0
//	    for g := range segs, kk := range k: s = fma(A(i, g, kk), b[(g*k+kk)*nv*lanes+j], s)
//	    if flags&Acc != 0 { s = c[i][j] + s }
//	    if bias != nil    { s += bias[j] }
//	    if flags&ReLU != 0 && s < 0 { s = 0 }
//	    c[i][j] = s
//
// A strided tile reads A(i, g, kk) = a[i*lda + g*aseg + kk]; a packed one reads
// a[kk*mr+i] and takes segs = 1. lda, aseg and ldc are in bytes. The last
// vector has tail valid columns (1..lanes); no others are read or written in C
// and bias.
type Tile func(k, segs int, a *float32, lda, aseg int, b, c *float32, ldc, flags, tail int, bias *float32)

// Flags of a Tile.
const (
	Acc  = 1 << 0
	ReLU = 1 << 1
)

// PeakFMAs is how many FMAs a round of Set.Peak does.
const PeakFMAs = 210

// A Set is all the assembly for one instruction set. The vector functions go
// over n elements, a positive multiple of Lanes, and round after every
// operation as Go does on this CPU, so that they may be mixed with Go.
type Set struct {
	Name      string
	MR, Lanes int
	Strided   [3][]Tile // [vectors][rows]
	Packed    [3][]Tile

	// Peak does n*PeakFMAs vector FMAs and nothing else, for benchmarks.
	Peak func(n int)

	// Gather: for i in n: copy(dst[i*rows:][:rows], src[i*stride/4:]), with
	// rows <= MR, any n > 0 and stride in bytes. It may write Lanes-1 elements
	// more than that.
	Gather func(dst, src *float32, stride, n, rows int)

	// Deal: for r in rows, j in n: copy(dst[j*stride/4+r*w:][:w], src[r*ld/4+j*w:])
	// with w = 2*Lanes, any n and rows > 0, ld and stride in bytes.
	Deal func(dst, src *float32, ld, stride, n, rows int)

	// Transpose: for r in n, c in Lanes: dst[r*width/4+c] = src[c*ld/4+r], with
	// width and ld in bytes.
	Transpose func(dst, src *float32, ld, width, n int)

	// Adam: consts are beta1, 1-beta1, beta2, 1-beta2, rate, scale, eps; see
	// kernel.AdamStep.
	Adam func(w, grad, m, v *float32, n int, consts *float32)

	ReLU         func(x, y *float32, n int)                       // y = x, or 0 if x < 0
	ReLUBackward func(y, dy, dx *float32, n int)                  // dx = dy, or 0 if y <= 0
	Add          func(x, y *float32, n int)                       // y += x
	Axpy         func(alpha float32, x, y *float32, n int)        // y += alpha*x
	Squares      func(x, y *float32, n int)                       // y += x*x
	Max          func(x, y *float32, n int)                       // if x > y or only x is NaN: y = x
	MaxArg       func(x, y *float32, arg *int32, n int, at int32) // and then arg = at

	// Small: bit i of bits = x[i] != 0 && !(|x[i]| > limit[i]), NaN being small.
	Small func(x, limit *float32, bits *uint8, n int)

	// y = e^x and so on, x being y or apart from it: the bits of the functions
	// of these names here.
	Exp, Log, Tanh, Sigmoid func(x, y *float32, n int)

	// WinogradIn transforms a tile of 6x6 pixels: for n channels,
	// dst[(y*6+x)*pos/4] = (Bt·d·B)[y][x], d[y][x] = src[(y*row+x*col)/4], with
	// row, col and pos in bytes. See kernel.Winograd.
	WinogradIn func(src, dst, tmp *float32, row, col, pos, n int)

	// WinogradOut transforms back, from 6x6 positions to 4x4 pixels: for n
	// channels, dst[(y*row+x*col)/4] = max(floor, (At·m·A)[y][x] + bias[0]),
	// m[y][x] = src[(y*6+x)*pos/4]. WinogradPool then takes the largest of each
	// 2x2 and writes 2x2 pixels. NaN stays NaN.
	WinogradOut, WinogradPool func(src, dst, tmp, bias *float32, pos, row, col int, floor float32, n int)

	// The transforms of kernel/dft.go. DFTIn: for n channels, the factors of the 48 samples src[i*row/4] to the
	// 71 places dst[p*pos/4]. DFTOut: the other way, from 71 products to 32
	// results dst[i*row/4], of which each becomes max(floor, result + bias[0]).
	// DFTOut9: the same to 40 results, for kernels of 9 taps.
	DFTIn           func(src, dst, tmp *float32, row, pos, n int)
	DFTOut, DFTOut9 func(src, dst, tmp, bias *float32, pos, row int, floor float32, n int)

	// DFTTaps: for i in n, the factors of the 17 taps w[k*PieceStride+i] to
	// u[p*PieceStride+i]. DFTGrad: the other way, from 71 products to 17 taps.
	DFTTaps func(w, u, tmp *float32, n int)
	DFTGrad func(p, dw, tmp *float32, n int)

	// WinogradTaps and WinogradGrad are the same for 9 taps and 36 products.
	// WinogradSpread transforms gradients of 4x4 pixels, src[i*row/4] with
	// i = y*4+x: dst[p*pos/4] = (A·d·At)[p].
	WinogradTaps   func(w, u, tmp *float32, n int)
	WinogradGrad   func(p, dw, tmp *float32, n int)
	WinogradSpread func(src, dst, tmp *float32, row, pos, n int)

	// PieceStride is from tap to tap, and from product to product, in a piece
	// of the weights: room for 64 rows of a panel.
	PieceStride int

	// ResampleAcross: for i in n, one pixel of three bytes from a row of src:
	//
	//	for c in 3: s[c] = 1<<21
	//	for k in 4*groups, c in 3: s[c] += src[first[i]+3*k+c] * (low + high<<12)
	//	for c in 3: dst[3*i+c] = clip(s[c]>>22)
	//
	// in 32 bits that wrap around, with low = weights[8*(i*groups+k/4)+k%4] and
	// high 4 places behind it. It reads 4 bytes more from src, and sets a byte
	// more of dst to 0.
	ResampleAcross func(dst, src *uint8, first *int32, weights *int16, groups, n int)

	// ResampleDown is the same over rows of src, stride bytes apart: n bytes, a
	// multiple of 32, of the sum over k in taps of src[k*stride+i] * (low +
	// high<<12), with low = weights[k/2*4+k%2] and high 2 places behind it.
	ResampleDown func(dst, src *uint8, weights *int16, stride, taps, n int)

	// YCbCrToRGB: for i in n, a multiple of 8: dst[3*i:][:3] =
	// color.YCbCrToRGB(y[i], cb[j], cr[j]) with j = i, or, unless half is 0,
	// i/2. It writes 4 bytes more of dst.
	YCbCrToRGB func(dst, y, cb, cr *uint8, half, n int)

	// Prefetch brings n rows of width bytes, row bytes apart, nearer: it has no
	// effect but on time.
	Prefetch func(src *float32, row, width, n int)
}

// Tmp is how many vectors of scratch, tmp, the transforms may use.
const Tmp = 200
