// Package spectra holds the float64 kernels that features of sound are made
// with: power spectra of frames, filters over their bins, logarithms and
// products with a small matrix.
//
// # The idea
//
// A frame of sound goes through hundreds of small sums that depend on each
// other; another frame does not depend on it. So the frames lie side by side,
// [Lanes].N of them, one in each lane of a vector, and every step is
// straight-line code on whole vectors: place i of all frames of a batch (a
// sample, a bin, a filter) is the N values from i*N on.
//
//	Emphasise   16-bit samples to float64, a share of the one before taken off
//	Window      frames into lanes, times the window
//	Power       |FFT|² of real frames
//	Bank        sums of runs of weighted bins
//	Log         natural logarithms with a floor
//	Matrix      a small dense matrix times a vector
//
// 551 points, 25 ms at 22,050 Hz, are 19 x 29 and have a transform of their own
// (dft551.go). Others go, halved where they are even (real.go), through passes of
// 2 to 5 points (fft.go) and of larger primes (odd.go); those with a prime above
// 127 through a convolution by passes of 2 to 5 (bluestein.go).
//
// # What is promised
//
// On AVX-512 eight frames go at once, on AVX2 four, in plain Go one. All give
// the same bits: sums have one order, and what is fused with a sum is fused
// everywhere (math.FMA is exact on every machine). A frame's result does not
// depend on its lane or on what is beside it. Zeros give zeros, exactly.
//
// Functions panic, with a message that starts "spectra:", when a slice is too
// short: that is a bug of the caller. Types here have scratch memory and serve
// one goroutine at a time.
package spectra
