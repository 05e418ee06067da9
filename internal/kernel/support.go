package kernel

import (
	"math"
	"math/bits"
	"sync"
	"unsafe"
)

// A support says where the input of a convolution of stride 1 and the gradient by
// its output are not 0, so that a weight whose gradient has no term that is not 0
// gets 0, and not what the transforms of [bilinear] leave there: some 1e-7 of
// what other weights get, of which Adam would make a step as large as theirs.
// After a ReLU, and with a loss that reaches few places, that is a sixth of the
// weights (docs/decisions/0017).
type support struct {
	c     Conv2D
	n     int // images
	h, w  int // of the input
	wide  int // of a row with its border
	x, dy field
}

// A field is the places of a tensor at which each channel is not 0, as bits, in
// the order of the input with its border; and how far rounding may lead a
// product with it: the channel's length, scaled.
type field struct {
	words int
	bits  []uint64 // [channels][words]
	count []int    // of the bits of a channel
	list  []uint32 // [channels][listed]: their places, where they are no more
	size  []float32
}

// listed is how many places of a channel are also in a list: going along words that
// have few bits costs more than the bits.
const listed = 64

// roundingShare bounds what the transforms leave of a sum of products, as a share
// of the lengths of the two vectors multiplied: ten times what was seen.
const roundingShare = 1. / (1 << 18)

var supports sync.Pool

// newSupport looks at x [n][h][w][In] and at dy.
func newSupport[T Float](on *path, c Conv2D, n, h, w int, x, dy []T) *support {
	s, _ := supports.Get().(*support)
	if s == nil {
		s = new(support)
	}
	s.c, s.n, s.h, s.w, s.wide = c, n, h, w, w+2*c.PadW
	oh, ow := c.OutSize(h, w)
	// What the last window reaches is in front of dy, for windows that lie before
	// a place, and behind both, where a window is read with two words.
	reach := (c.KH-1)*s.wide + c.KW - 1
	words := ceilDiv(n*(h+2*c.PadH)*s.wide+reach, 64) + 1
	mark(on, &s.x, words, c.In, x, s.places(h, w, c.PadH, c.PadW, 0))
	mark(on, &s.dy, words, c.Out, dy, s.places(oh, ow, 0, 0, reach))
	for i, v := range s.x.size {
		s.x.size[i] = float32(roundingShare * math.Sqrt(float64(v)))
	}
	for i, v := range s.dy.size {
		s.dy.size[i] = float32(math.Sqrt(float64(v)))
	}
	return s
}

func (s *support) free() { supports.Put(s) }

// places finds the row of a tensor [n][h][w] whose corner is at top and left of
// the input with its border, or -1 for what is beside it. Before the first lie
// front bits.
func (s *support) places(h, w, top, left, front int) func(place int) int {
	high := s.h + 2*s.c.PadH
	return func(place int) int {
		place -= front
		img, row, col := place/(high*s.wide), place/s.wide%high-top, place%s.wide-left
		if place < 0 || img >= s.n || row < 0 || row >= h || col < 0 || col >= w {
			return -1
		}
		return (img*h+row)*w + col
	}
}

// mark fills in a field of ch channels.
func mark[T Float](on *path, f *field, words, ch int, x []T, row func(place int) int) {
	f.words = words
	f.bits, f.count, f.list, f.size = resize(f.bits, words*ch), resize(f.count, ch), resize(f.list, listed*ch), resize(f.size, ch)
	part := getBuf[T](&colPool, (words+1)*ch) // sums of squares of the places of each word, and no limit
	defer putBuf(&colPool, part)
	limit := (*part)[words*ch:]
	for i := range limit {
		limit[i] = T(math.Inf(1))
	}
	wide := ceilDiv(ch, 64)
	parallelIf(words*64*ch, words, func(j int) {
		squares := (*part)[j*ch:][:ch]
		clear(squares)
		rows := make([]uint64, 64*wide) // [place][channels]
		for b := range 64 {
			if r := row(j*64 + b); r >= 0 {
				from := x[r*ch:][:ch]
				small(on, from, limit, rows[b*wide:][:wide])
				addSquares(on, from, squares)
			}
		}
		var square [64]uint64
		for c0 := range wide {
			for b := range square {
				square[b] = rows[b*wide+c0]
			}
			flip(&square)
			for c := range min(64, ch-c0*64) {
				f.bits[(c0*64+c)*words+j] = square[c]
			}
		}
	})
	for i := range f.count {
		f.count[i] = 0
		for j, v := range f.bits[i*words:][:words] {
			n := f.count[i]
			f.count[i] += bits.OnesCount64(v)
			for ; v != 0 && n < listed; v &= v - 1 {
				f.list[i*listed+n] = uint32(j*64 + bits.TrailingZeros64(v))
				n++
			}
		}
	}
	clear(f.size)
	for j := range words {
		for i, v := range (*part)[j*ch:][:ch] {
			f.size[i] += float32(v)
		}
	}
}

func resize[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// flip transposes a square of bits (Hacker's Delight 7-3, low bits first).
func flip(a *[64]uint64) {
	m := uint64(1)<<32 - 1
	for j := 32; j > 0; j, m = j>>1, m^m<<(j>>1) {
		for k := 0; k < 64; k = (k + j + 1) &^ j {
			t := (a[k]>>j ^ a[k+j]) & m
			a[k] ^= t << j
			a[k+j] ^= t
		}
	}
}

// taps is the set of taps by which a place that is not 0 of input channel i meets
// one of the gradient of channel o: it goes along the fewer places of the two.
func (s *support) taps(i, o int) uint32 {
	if s.dy.count[o] <= s.x.count[i] {
		return s.meet(&s.dy, o, &s.x, i, -(s.c.KH-1)*s.wide-s.c.KW+1)
	}
	// Windows of dy lie before a place and go from the last tap to the first.
	return bits.Reverse32(s.meet(&s.x, i, &s.dy, o, 0)) >> (32 - s.c.KH*s.c.KW)
}

// meet is what the windows of the places of channel a of few, off further on, hold
// of channel b of many, together.
func (s *support) meet(few *field, a int, many *field, b, off int) uint32 {
	rows, width := s.c.KH, s.c.KW
	all := uint32(1)<<(rows*width) - 1
	other := many.bits[b*many.words:][:many.words]
	var met uint32
	along := func(places []uint32) {
		for k := range rows {
			var row uint64
			for _, at := range places {
				p := uint(int(at) + off + k*s.wide)
				two := other[p/64:][:2]
				row |= two[0]>>(p%64) | two[1]<<1<<(63-p%64)
			}
			met |= uint32(row) & (1<<width - 1) << (k * width)
		}
	}
	if n := few.count[a]; n <= listed {
		along(few.list[a*listed:][:n])
		return met
	}
	var places [64]uint32
	for j, set := range few.bits[a*few.words:][:few.words] {
		n := 0
		for ; set != 0; set &= set - 1 {
			places[n] = uint32(j*64 + bits.TrailingZeros64(set))
			n++
		}
		if along(places[:n]); met == all {
			break
		}
	}
	return met
}

// A sieve is what one goroutine needs to look through pieces of a gradient.
type sieve[T Float] struct {
	limit        []T
	bits, anyTap []uint64
}

// clearNone makes 0 of those of a piece of the gradient that no product adds to:
// for each tap, stride apart, rows input channels from i0 on by nr output channels
// from c0 on. It looks only where a value is small enough to be rounding.
func clearNone[T Float](s *support, on *path, v *sieve[T], piece []T, stride, i0, rows, c0, nr int) {
	n := rows * nr
	words := ceilDiv(n, 64)
	v.limit, v.bits, v.anyTap = resize(v.limit, n), resize(v.bits, words), resize(v.anyTap, words)
	for r := range rows {
		size := s.x.size[i0+r]
		for j, other := range s.dy.size[c0:][:nr] {
			v.limit[r*nr+j] = T(size * other)
		}
	}
	taps := s.c.KH * s.c.KW
	clear(v.anyTap)
	for k := range taps {
		small(on, piece[k*stride:][:n], v.limit, v.bits)
		for i, set := range v.bits {
			v.anyTap[i] |= set
		}
	}
	columns := bits.TrailingZeros(uint(nr)) // nr is a power of 2
	for at, set := range v.anyTap {
		for ; set != 0; set &= set - 1 {
			j := at*64 + bits.TrailingZeros64(set)
			none := ^s.taps(i0+j>>columns, c0+j&(nr-1)) & (1<<taps - 1)
			for ; none != 0; none &= none - 1 {
				if v := &piece[bits.TrailingZeros32(none)*stride+j]; *v == *v { // NaN stays, for 0 times NaN
					*v = 0
				}
			}
		}
	}
}

// small sets bit i where x[i] is not 0 and not over limit[i]; NaN is small. The
// bits behind the last are 0.
func small[T Float](on *path, x, limit []T, set []uint64) {
	clear(set)
	n := 0
	if on.set != nil && unsafe.Sizeof(*new(T)) == 4 && len(x) >= on.lanes {
		n = len(x) - len(x)%on.lanes
		on.set.Small(start(x), start(limit), (*uint8)(unsafe.Pointer(unsafe.SliceData(set))), n)
	}
	for i := n; i < len(x); i++ {
		if v := x[i]; v != 0 && !(v > limit[i]) && !(-v > limit[i]) {
			set[i/64] |= 1 << (i % 64)
		}
	}
}

// addSquares computes y += x*x.
func addSquares[T Float](on *path, x, y []T) {
	n := 0
	if on.set != nil && unsafe.Sizeof(*new(T)) == 4 && len(x) >= on.lanes {
		n = len(x) - len(x)%on.lanes
		on.set.Squares(start(x), start(y), n)
	}
	for i := n; i < len(x); i++ {
		y[i] += T(x[i] * x[i])
	}
}
