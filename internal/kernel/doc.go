// Package kernel holds the numeric kernels that training and feature
// extraction spend their time in: matrix products, convolutions, max-pooling,
// elementwise work and the Adam step, on plain row-major slices.
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
// Convolutions of 3x3 pixels whose weights do not change go another way:
// tiles of the input are transformed so that a product of 36 numbers gives
// 16 pixels ([Winograd]); [PackFrozen] chooses.
//
//	gemm.go      Gemm, GemmTA, GemmTB, Packed, Epilogue
//	product.go   the one driver: blocks of k, tiles of rows, tasks; and the
//	             plain Go tile: the meaning of every fast one
//	pack.go      how A and B are laid out for a tile
//	conv.go      convolution and its gradients
//	winograd.go  convolutions with fixed weights, by Winograd where it pays
//	transform.go its transforms: the meaning of the fast ones
//	pool.go      max-pooling
//	vector.go    ReLU, Axpy, Dot, Sum, bias, the Adam step
//	simd/        assembly for float32, written by gen/ with avo
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
// All functions may be called by many goroutines at once on separate outputs.
// Scratch memory is pooled.
//
// Built with -tags purego, or for another CPU, the package has no assembly.
package kernel

//go:generate go run ./gen -dir simd

// Float is what the kernels work on.
type Float interface{ float32 | float64 }
