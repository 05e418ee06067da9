package kernel

import "math"

// winogradIn computes dst[(y*6+x)*pos+c] = (Bt·d·B)[y][x] for channels c below
// n, d[y][x] being src[y*row+x*col+c]. tmp is scratch for 36 vectors.
func winogradIn[T Float](on *path, src, dst, tmp []T, row, col, pos, n int) {
	done := 0
	if on.set != nil && n >= on.lanes {
		done = n - n%on.lanes
		_, _ = src[5*row+5*col+n-1], dst[(winoPos-1)*pos+n-1]
		on.set.WinogradIn(start(src), start(dst), start(tmp), row*4, col*4, pos*4, done)
	}
	for c := done; c < n; c++ {
		var half [winoSide][winoSide]T // [x][y]
		for x := range half {
			at := x*col + c
			half[x] = winogradIn1D([winoSide]T{src[at], src[at+row], src[at+2*row], src[at+3*row], src[at+4*row], src[at+5*row]})
		}
		for y := range winoSide {
			line := winogradIn1D([winoSide]T{half[0][y], half[1][y], half[2][y], half[3][y], half[4][y], half[5][y]})
			for x, v := range line {
				dst[(y*winoSide+x)*pos+c] = v
			}
		}
	}
}

// winogradIn1D is Bt·d. Products by 2 and 4 are exact, so that it does not
// matter whether a compiler fuses them with the sums.
func winogradIn1D[T Float](d [winoSide]T) [winoSide]T {
	c, e := d[4]-d[2], d[3]-d[1]
	a, b := d[4]-4*d[2], d[3]-4*d[1]
	return [winoSide]T{4*(d[0]-d[2]) + c, a + b, a - b, c + 2*e, c - 2*e, (d[5] - d[3]) - 4*e}
}

// winogradOut computes dst[y*row+x*col+c] = max(floor, (At·m·A)[y][x]+bias[c])
// for all channels c, m[y][x] being src[(y*6+x)*pos+c]: 4x4 pixels or, with
// pool, the largest of each 2x2 of them. NaN stays NaN.
func winogradOut[T Float](on *path, src, dst, tmp, bias []T, pos, row, col int, floor T, pool bool) {
	n, done := len(bias), 0
	if on.set != nil && n >= on.lanes {
		done = n - n%on.lanes
		side, f := winoTile-1, on.set.WinogradOut
		if pool {
			side, f = winoTile/2-1, on.set.WinogradPool
		}
		_, _ = src[(winoPos-1)*pos+n-1], dst[side*row+side*col+n-1]
		f(start(src), start(dst), start(tmp), start(bias), pos*4, row*4, col*4, float32(floor), done)
	}
	for c := done; c < n; c++ {
		var half [winoSide][winoTile]T // [x][y]
		for x := range half {
			var m [winoSide]T
			for y := range m {
				m[y] = src[(y*winoSide+x)*pos+c]
			}
			half[x] = winogradOut1D(m)
		}
		var out [winoTile][winoTile]T
		for y := range out {
			out[y] = winogradOut1D([winoSide]T{half[0][y], half[1][y], half[2][y], half[3][y], half[4][y], half[5][y]})
		}
		if pool {
			for i := range 4 {
				y, x := i/2, i%2
				v := max(out[2*y][2*x], out[2*y][2*x+1], out[2*y+1][2*x], out[2*y+1][2*x+1])
				dst[y*row+x*col+c] = max(floor, v+bias[c])
			}
			continue
		}
		for y := range out {
			for x, v := range out[y] {
				dst[y*row+x*col+c] = max(floor, v+bias[c])
			}
		}
	}
}

// winogradOut1D is At·m.
func winogradOut1D[T Float](m [winoSide]T) [winoTile]T {
	s, d, u, v := m[1]+m[2], m[1]-m[2], m[3]+m[4], 2*(m[3]-m[4])
	return [winoTile]T{(m[0] + s) + u, d + v, s + 4*u, (d + m[5]) + 4*v}
}

// winogradSpread computes dst[p*pos+c] = (A·d·At)[p], the transpose of the way
// back, for channels c below n, a multiple of the lanes: d[y][x] is
// src[(y*4+x)*row+c].
func winogradSpread[T Float](on *path, src, dst, tmp []T, row, pos, n int) {
	if on.set != nil {
		_, _ = src[15*row+n-1], dst[(winoPos-1)*pos+n-1]
		on.set.WinogradSpread(start(src), start(dst), start(tmp), row*4, pos*4, n)
		return
	}
	for c := range n {
		var half [winoTile][winoSide]T // [x][y]
		for x := range half {
			at := x*row + c
			half[x] = winogradA([winoTile]T{src[at], src[at+4*row], src[at+8*row], src[at+12*row]})
		}
		for y := range winoSide {
			for x, v := range winogradA([winoTile]T{half[0][y], half[1][y], half[2][y], half[3][y]}) {
				dst[(y*winoSide+x)*pos+c] = v
			}
		}
	}
}

// winogradA is A·d.
func winogradA[T Float](d [winoTile]T) [winoSide]T {
	even, odd := d[0]+d[2], d[1]+d[3]
	even2, odd2 := d[0]+4*d[2], 2*(d[1]+4*d[3])
	return [winoSide]T{d[0], even + odd, even - odd, even2 + odd2, even2 - odd2, d[3]}
}

// winogradTaps computes G·g·Gt of n kernels: tap k of kernel i is w[k*stride+i].
func winogradTaps[T Float](on *path, w, u, tmp []T, stride, n int) {
	if on.set != nil {
		on.set.WinogradTaps(start(w), start(u), start(tmp), n)
		return
	}
	for i := range n {
		var half [3][winoSide]T // [x][y]
		for x := range half {
			half[x] = winogradG(w[x*stride+i], w[(x+3)*stride+i], w[(x+6)*stride+i])
		}
		for y := range winoSide {
			for x, v := range winogradG(half[0][y], half[1][y], half[2][y]) {
				u[(y*winoSide+x)*stride+i] = v
			}
		}
	}
}

// winogradGrad is the transpose of winogradTaps: Gt·p·G.
func winogradGrad[T Float](on *path, p, dw, tmp []T, stride, n int) {
	if on.set != nil {
		on.set.WinogradGrad(start(p), start(dw), start(tmp), n)
		return
	}
	for i := range n {
		var half [winoSide][3]T // [x][y]
		for x := range half {
			var m [winoSide]T
			for y := range m {
				m[y] = p[(y*winoSide+x)*stride+i]
			}
			half[x] = winogradGt(m)
		}
		for y := range 3 {
			line := winogradGt([winoSide]T{half[0][y], half[1][y], half[2][y], half[3][y], half[4][y], half[5][y]})
			for x, v := range line {
				dw[(y*3+x)*stride+i] = v
			}
		}
	}
}

// winogradGt is Gt·m.
func winogradGt[T Float](m [winoSide]T) [3]T {
	near, far := (m[1]+m[2])/6, (m[3]+m[4])/24
	return [3]T{m[0]/4 - near + far, (m[2]-m[1])/6 + (m[3]-m[4])/12, 4*far - near + m[5]}
}

// A spectrum is the DFT of 48 real points: elements 0 to 24. The imaginary
// parts of 0 and 24 are not used.
type spectrum[T Float] struct{ re, im [dftN/2 + 1]T }

// dftCos and dftSin are the cosine and sine of 2πi/48.
var dftCos, dftSin = func() (c, s [dftN]float64) {
	for i := range c {
		s[i], c[i] = math.Sincos(2 * math.Pi * float64(i) / dftN)
	}
	return c, s
}()

// add adds what value v at point i has in the spectrum.
func (s *spectrum[T]) add(i int, v T) {
	i = (i + dftN) % dftN
	for q := range s.re {
		s.re[q] += T(v * T(dftCos[q*i%dftN]))
		s.im[q] -= T(v * T(dftSin[q*i%dftN]))
	}
}

// point is the transpose of add: 48 times the inverse DFT at point i, where
// elements 1 to 23 count twice.
func (s *spectrum[T]) point(i int) T {
	i = (i + dftN) % dftN
	var v T
	for q := range s.re {
		v += T(s.re[q]*T(dftCos[q*i%dftN])) - T(s.im[q]*T(dftSin[q*i%dftN]))
	}
	return v
}

// factors writes the factors of the complex products to dst[p*pos].
func (s *spectrum[T]) factors(dst []T, pos int) {
	dst[0], dst[pos] = s.re[0], s.re[dftN/2]
	for q := 1; q < dftN/2; q++ {
		to := dst[(3*q-1)*pos:]
		to[0], to[pos], to[2*pos] = s.re[q]+s.im[q], s.re[q], s.im[q]
	}
}

// products reads a spectrum from the products at src[p*pos].
func (s *spectrum[T]) products(src []T, pos int) {
	s.re[0], s.re[dftN/2] = src[0], src[pos]
	for q := 1; q < dftN/2; q++ {
		k := src[(3*q-1)*pos:]
		s.re[q], s.im[q] = k[pos]-k[2*pos], k[0]-(k[pos]+k[2*pos])
	}
}

// scale makes the inverse of a spectrum out of its transpose.
func (s *spectrum[T]) scale() {
	for q := range s.re {
		f := T(2. / dftN)
		if q%(dftN/2) == 0 {
			f = 1. / dftN
		}
		s.re[q], s.im[q] = s.re[q]*f, s.im[q]*f
	}
}

// dftIn computes the factors of channels c below n, a multiple of the lanes:
// of the 48 points src[i*row+c], to dst[p*pos+c].
func dftIn[T Float](on *path, src, dst, tmp []T, row, pos, n int) {
	if on.set != nil {
		_, _ = src[(dftN-1)*row+n-1], dst[(dftPos-1)*pos+n-1]
		on.set.DFTIn(start(src), start(dst), start(tmp), row*4, pos*4, n)
		return
	}
	for c := range n {
		var s spectrum[T]
		for i := range dftN {
			s.add(i, src[i*row+c])
		}
		s.factors(dst[c:], pos)
	}
}

// dftResult is the way back from the products src[p*pos+c], without its scale,
// for all channels c of bias: steps max(floor, step + bias[c]), of which there
// are dftOut or dftOut9, to dst[i*row+c].
func dftResult[T Float](on *path, steps int, src, dst, tmp, bias []T, pos, row int, floor T) {
	n := len(bias)
	if on.set != nil {
		_, _ = src[(dftPos-1)*pos+n-1], dst[(steps-1)*row+n-1]
		f := on.set.DFTOut
		if steps == dftOut9 {
			f = on.set.DFTOut9
		}
		f(start(src), start(dst), start(tmp), start(bias), pos*4, row*4, float32(floor), n)
		return
	}
	for c := range n {
		var s spectrum[T]
		s.products(src[c:], pos)
		for i := range steps {
			dst[i*row+c] = max(floor, s.point(dftHalf+i)+bias[c])
		}
	}
}

// dftWeights computes the factors of n kernels, scaled for the way back:
// tap k of kernel i is w[k*stride+i].
func dftWeights[T Float](on *path, w, u, tmp []T, stride, n int) {
	if on.set != nil {
		on.set.DFTTaps(start(w), start(u), start(tmp), n)
		return
	}
	for i := range n {
		var s spectrum[T]
		for k := range dftTaps {
			s.add(dftHalf-k, w[k*stride+i])
		}
		s.scale()
		s.factors(u[i:], stride)
	}
}

// dftGrad is the way back from products to the gradients of n kernels.
func dftGrad[T Float](on *path, p, dw, tmp []T, stride, n int) {
	if on.set != nil {
		on.set.DFTGrad(start(p), start(dw), start(tmp), n)
		return
	}
	for i := range n {
		var s spectrum[T]
		s.products(p[i:], stride)
		s.scale()
		for k := range dftTaps {
			dw[k*stride+i] = s.point(k - dftHalf)
		}
	}
}
