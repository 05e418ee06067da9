package kernel

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"unsafe"

	"github.com/hearsight/hearsight/internal/kernel/simd"
)

// TestGuard runs all assembly, and what calls it, with each buffer up against
// memory that may not be touched, over all small sizes, tails and alignments,
// and compares with plain Go.
func TestGuard(t *testing.T) {
	for _, p := range paths {
		if p.set == nil {
			continue // Go checks by itself
		}
		t.Run(p.name, func(t *testing.T) {
			defer Force("")
			covered := map[string]bool{"Peak": true} // touches no memory
			for _, group := range []struct {
				name  string
				cases []guardCase
			}{
				{"vectors", vectorGuards(p)},
				{"tiles", tileGuards(p)},
				{"layouts", layoutGuards(p)},
				{"transforms", transformGuards(p)},
				{"products", productGuards()},
				{"convolutions", convGuards()},
				{"pictures", pictureGuards()},
			} {
				t.Run(group.name, func(t *testing.T) {
					atProcs(t, 1, func() { // a fault is caught on this goroutine alone
						g := guard{path: p}
						for _, c := range group.cases {
							covered[c.covers] = true
							g.run(t, c)
						}
					})
				})
			}
			for i := range reflect.TypeFor[simd.Set]().NumField() {
				f := reflect.TypeFor[simd.Set]().Field(i)
				if kind := f.Type.Kind(); (kind == reflect.Func || kind == reflect.Array) && !covered[f.Name] {
					t.Errorf("simd.Set has %s, and no guardCase covers it", f.Name)
				}
			}
		})
	}
}

// on runs f on path p.
func on(p *path, f func()) {
	if err := Force(p.name); err != nil {
		panic(err)
	}
	f()
}

// ints is a buffer taken for int32.
func ints(s []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// words is a buffer taken for bits.
func words(s []float32) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(s))), len(s)/2)
}

// vectorGuards: all lengths up to some vectors and all tails; rows as well.
func vectorGuards(p *path) []guardCase {
	var all []guardCase
	add := func(name, covers string, call func(b [][]float32), sizes ...int) {
		all = append(all, guardCase{name: name, covers: covers, sizes: sizes, odd: true,
			call: func(p *path, b [][]float32) { on(p, func() { call(b) }) }})
	}
	for n := range 4*p.lanes + 2 {
		add("Exp", "Exp", func(b [][]float32) { Exp(b[0], b[1]) }, n, n)
		add("Log", "Log", func(b [][]float32) { Log(b[0], b[1]) }, n, n)
		add("Tanh", "Tanh", func(b [][]float32) { Tanh(b[0], b[1]) }, n, n)
		add("Sigmoid", "Sigmoid", func(b [][]float32) { Sigmoid(b[0], b[1]) }, n, n)
		add("ReLU", "ReLU", func(b [][]float32) { ReLU(b[0], b[1]) }, n, n)
		add("ReLU in place", "ReLU", func(b [][]float32) { ReLU(b[0], b[0]) }, n)
		add("ReLUBackward", "ReLUBackward", func(b [][]float32) { ReLUBackward(b[0], b[1], b[2]) }, n, n, n)
		add("ReLUBackward in place", "ReLUBackward", func(b [][]float32) { ReLUBackward(b[0], b[1], b[1]) }, n, n)
		add("Axpy", "Axpy", func(b [][]float32) { Axpy(0.3, b[0], b[1]) }, n, n)
		add("Scale", "", func(b [][]float32) { Scale(0.3, b[0]) }, n)
		add("addInto", "Add", func(b [][]float32) { addInto(b[0], b[1]) }, n, n)
		add("addSquares", "Squares", func(b [][]float32) { addSquares(active(), b[0], b[1]) }, n, n)
		add("small", "Small", func(b [][]float32) { small(active(), b[0], b[1], words(b[2])) }, n, n, 2*ceilDiv(n, 64))
		add("maxInto", "Max", func(b [][]float32) { maxInto(b[1], b[0]) }, n, n)
		add("maxIntoArg", "MaxArg", func(b [][]float32) { maxIntoArg(b[1], b[0], ints(b[2]), 7) }, n, n, n)
		add("AdamStep", "Adam", func(b [][]float32) { AdamStep(b[0], b[1], b[2], b[3], 1e-3, .9, .999, 1e-8, 3) }, n, n, n, n)
		add("Dot", "", func(b [][]float32) { b[2][0] = Dot(b[0], b[1]) }, n, n, 1)
		add("Sum", "", func(b [][]float32) { b[1][0] = Sum(b[0]) }, n, 1)
		add("AddBias", "Add", func(b [][]float32) { AddBias(3, b[0], b[1]) }, 3*n, n)
		add("BiasGrad", "Add", func(b [][]float32) { BiasGrad(3, n, b[0], b[1]) }, 3*n, n)
		if n > 0 {
			pool := Pool2D{KH: 2, KW: 3, StrideH: 2, StrideW: 1, PadW: 1}
			add("MaxPoolForward", "MaxArg", func(b [][]float32) { MaxPoolForward(pool, 1, 4, 3, n, b[0], b[1], ints(b[2])) }, 12*n, 6*n, 6*n)
			add("MaxPoolForward without places", "Max", func(b [][]float32) { MaxPoolForward(pool, 1, 4, 3, n, b[0], b[1], nil) }, 12*n, 6*n)
		}
	}
	return all
}

// tileGuards: every tile with every tail, for short and unrolled k.
func tileGuards(p *path) []guardCase {
	var all []guardCase
	for rows := 1; rows <= p.mr; rows++ {
		for nv := 1; nv <= p.nv; nv++ {
			for tail := 1; tail <= p.lanes; tail++ {
				for _, k := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 17} {
					pad := (rows + tail + k) % 4
					o := tileOp[float32]{
						k: k, segs: 1 + k%2, rows: rows, nv: nv, cols: (nv-1)*p.lanes + tail,
						acc: tail%2 == 0, relu: k%3 == 0, ks: 1, rs: k + pad, segStep: rows*(k+pad) + pad,
					}
					o.ldc = o.cols + pad
					all = append(all, tileGuard(p, o, "Strided", (o.segs-1)*o.segStep+(rows-1)*o.rs+k))
					o.segs, o.packed, o.rs, o.ks = 1, true, 1, rows
					all = append(all, tileGuard(p, o, "Packed", k*rows))
				}
			}
		}
	}
	return all
}

func tileGuard(p *path, o tileOp[float32], covers string, lenA int) guardCase {
	width, bias := o.nv*p.lanes, o.cols*(o.rows%2)
	return guardCase{
		name: fmt.Sprintf("%s %d×%d (%d columns), k %d×%d, acc %v, relu %v", covers, o.rows, o.nv, o.cols, o.segs, o.k, o.acc, o.relu), covers: covers,
		sizes: []int{lenA, o.segs * o.k * width, (o.rows-1)*o.ldc + o.cols, bias}, tol: 2e-6,
		call: func(p *path, b [][]float32) {
			o := o
			if o.a, o.b, o.c = b[0], b[1], b[2]; bias > 0 {
				o.bias = b[3]
			}
			if p.set != nil {
				o.run(p)
			} else {
				tileByDefinition(&o, width)
			}
		},
	}
}

// tileByDefinition is the loop in the comment of simd.Tile, in float64, b being
// width wide.
func tileByDefinition(o *tileOp[float32], width int) {
	for i := range o.rows {
		for j := range o.cols {
			var s float64
			for g := range o.segs {
				for k := range o.k {
					s += float64(o.a[g*o.segStep+i*o.rs+k*o.ks]) * float64(o.b[(g*o.k+k)*width+j])
				}
			}
			to := &o.c[i*o.ldc+j]
			if o.acc {
				s += float64(*to)
			}
			if o.bias != nil {
				s += float64(o.bias[j])
			}
			if o.relu {
				s = math.Max(s, 0)
			}
			*to = float32(s)
		}
	}
}

// layoutGuards: what copies matrices into another order.
func layoutGuards(p *path) []guardCase {
	var all []guardCase
	for rows := range 2*p.lanes + 3 {
		for _, cols := range []int{1, p.lanes - 1, p.lanes, p.lanes + 1, p.nr() - 1, p.nr()} {
			ld, width := rows+rows%3, ceilTo(cols, p.lanes)
			if rows == 0 {
				continue
			}
			all = append(all, guardCase{
				name: fmt.Sprintf("packTransposed %d×%d", rows, cols), covers: "Transpose", sizes: []int{(cols-1)*ld + rows, rows * width},
				call: func(p *path, b [][]float32) { packTransposed(p.set, b[1], b[0], ld, rows, cols, width) },
			})
		}
	}
	for rows := 1; rows <= p.mr; rows++ {
		for n := 1; n < 6; n++ {
			step := rows + n%3
			all = append(all, guardCase{
				name: fmt.Sprintf("gather %d×%d", n, rows), covers: "Gather", sizes: []int{(n-1)*step + rows, n*rows + p.lanes - 1},
				call: func(p *path, b [][]float32) {
					gather(p.set, b[1][:n*rows], b[0], step, rows)
					clear(b[1][n*rows:]) // room that gather may use
				},
			})
		}
	}
	for _, cols := range []int{1, p.lanes, p.nr() - 1, p.nr(), p.nr() + 1, 3 * p.nr(), 4*p.nr() - 3} {
		for k := 1; k < 70; k += 4 { // up to two runs of rows
			ld := cols + k%3
			all = append(all, guardCase{
				name: fmt.Sprintf("deal %d×%d", k, cols), covers: "Deal",
				sizes: []int{(k-1)*ld + cols, k * cols, k * ceilTo(cols, p.lanes)}, scratch: 1,
				call: func(p *path, b [][]float32) {
					pan := newPanels(p, blocks(1, k), cols, b[2])
					pan.fill(source[float32]{data: b[0], ld: ld}, 0)
					for c := range cols {
						panel, _, nv := pan.at(&pan.blocks[0], c/p.nr())
						for r := range k {
							b[1][r*cols+c] = panel[r*nv*p.lanes+c%p.nr()]
						}
					}
				},
			})
		}
	}
	for _, width := range []int{1, 15, 16, 17, 40} {
		row := width + 3
		all = append(all, guardCase{
			name: fmt.Sprintf("Prefetch %d", width), covers: "Prefetch", sizes: []int{2*row + width},
			call: func(p *path, b [][]float32) {
				if p.set != nil {
					p.set.Prefetch(start(b[0]), row*4, width*4, 3)
				}
			},
		})
	}
	return all
}
