package kernel

// tilePlain is the tile in plain Go, one or two rows by four columns: the
// meaning of the assembly tiles, their twin in tests, and the only tile for
// float64 and other CPUs.
func tilePlain[T Float](o *tileOp[T]) {
	var sum [2][4]T
	if o.rows == 2 {
		sumTwo(o, &sum)
	} else {
		sumOne(o, &sum[0])
	}
	for i := range o.rows {
		c := o.c[i*o.ldc : i*o.ldc+o.cols]
		for j := range c {
			v := sum[i][j]
			if o.acc {
				v = c[j] + v
			}
			if o.bias != nil {
				v += o.bias[j]
			}
			if o.relu && v < 0 {
				v = 0
			}
			c[j] = v
		}
	}
}

func sumTwo[T Float](o *tileOp[T], sum *[2][4]T) {
	var s00, s01, s02, s03, s10, s11, s12, s13 T
	b := o.b
	for g := range o.segs {
		i0 := g * o.segStep
		i1 := i0 + o.rs
		for range o.k {
			x, y, row := o.a[i0], o.a[i1], (*[4]T)(b)
			s00 += x * row[0]
			s01 += x * row[1]
			s02 += x * row[2]
			s03 += x * row[3]
			s10 += y * row[0]
			s11 += y * row[1]
			s12 += y * row[2]
			s13 += y * row[3]
			b = b[4:]
			i0 += o.ks
			i1 += o.ks
		}
	}
	*sum = [2][4]T{{s00, s01, s02, s03}, {s10, s11, s12, s13}}
}

func sumOne[T Float](o *tileOp[T], sum *[4]T) {
	var s0, s1, s2, s3 T
	b := o.b
	for g := range o.segs {
		i := g * o.segStep
		for range o.k {
			x, row := o.a[i], (*[4]T)(b)
			s0 += x * row[0]
			s1 += x * row[1]
			s2 += x * row[2]
			s3 += x * row[3]
			b = b[4:]
			i += o.ks
		}
	}
	*sum = [4]T{s0, s1, s2, s3}
}
