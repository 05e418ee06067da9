package kernel

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
