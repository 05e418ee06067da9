// Package kernel holds the numeric kernels that training and feature
// extraction spend their time in: matrix products, convolutions, max-pooling,
// elementwise work and the Adam step, on plain row-major slices; and what is
// done to each pixel of a photo.
//
// # The idea
//
// Nearly all work is one matrix product C (+)= A·B, cut into register tiles.
// B is packed once into panels as wide as a tile; A is read where it lies,
// by its strides. A convolution is the same product: with channels last (NHWC,
// NWC) the window under a row of the kernel is one contiguous run of the
// padded input, so the matrix that im2col would build is just a view, and
// nothing is copied. The gradient by the weights is the transposed product
// over the same view; the gradient by the input is a convolution of the padded
// output gradient with the kernel turned round.
//
// Two kinds of convolution go through another domain, where they take a quarter
// to an eighth of the multiplications: 3x3 pixels by Winograd's minimal
// filtering ([Winograd] has the formulas), and 9 to 17 taps over time by the
// discrete Fourier transform (dft.go has them). Both are bilinear: transforms of
// input and weights, one matrix product for each place of the domain, and a
// transform back. Where weights do not change they are transformed once
// ([PackFrozen]); in training, bilinear.go makes and uses them piece by piece in
// L2.
//
//	gemm.go       Gemm, GemmTA, GemmTB, Packed, Epilogue; how B is laid out
//	product.go    the one driver: blocks of k, tiles of rows, tasks; and the
//	              plain Go tile: the meaning of every fast one
//	conv.go       convolution and its gradients, and which way each shape goes
//	winograd.go   3x3 pixels, with weights that do not change and that do
//	dft.go        many taps over time
//	bilinear.go   the driver of both in training
//	support.go    there, gradients that are 0; few.go: where most rows are
//	transform.go  all transforms by their definition
//	pool.go       max-pooling
//	vector.go     ReLU, Axpy, Dot, Sum, bias, exp and its like, the Adam step
//	resample.go   weighted sums of a picture's pixels, and its colours; whole numbers
//	simd/         assembly for float32, and for bytes, written by gen/ with avo
//
// # What is promised
//
// float32 runs on AVX-512, AVX2 or plain Go, whichever is the best the CPU
// has ([Numeric]); float64 always runs in plain Go. Each element of a product
// is summed in an order that depends on k (and, for convolutions, on the
// shape) alone: never on the number of CPUs, and not even on how many other
// rows there are. So results are the same bits for any GOMAXPROCS on one
// numeric path. Between paths they differ by rounding.
//
// Functions panic, with a message that starts "kernel:", when a slice is too
// short for the shape it is said to have: that is a bug of the caller. NaN and
// infinities go through as IEEE 754 says; nothing is skipped for being zero.
// (Through another domain, a NaN also reaches the rest of its tile or block, and
// an infinity becomes NaN.)
// All functions may be called by many goroutines at once on separate outputs.
// Scratch memory is pooled.
//
// Built with -tags purego, or for another CPU, the package has no assembly.
package kernel

//go:generate go run ./gen -dir simd

// Float is what the kernels work on.
type Float interface{ float32 | float64 }
