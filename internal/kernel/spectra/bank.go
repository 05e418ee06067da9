package spectra

import (
	"fmt"
	"math"
)

// A Bank is a set of filters over bins, each a run of weights.
type Bank struct {
	lanes   Lanes
	bins    int
	runs    []int // first bin, in bytes, and number of each filter's weights
	weights []float64
}

// NewBank is of the filters whose weights are those given, from bin start[i] on,
// of spectra of so many bins.
func (l Lanes) NewBank(bins int, start []int, weights [][]float64) *Bank {
	b := &Bank{lanes: l, bins: bins}
	for i, w := range weights {
		if start[i] < 0 || start[i]+len(w) > bins {
			panic(fmt.Sprintf("spectra: filter %d is from %d to %d of %d bins", i, start[i], start[i]+len(w), bins))
		}
		b.runs = append(b.runs, start[i]*l.N*8, len(w))
		b.weights = append(b.weights, w...)
	}
	b.weights = append(b.weights, 0) // so that there is one, for empty filters
	return b
}

// Filters is how many there are.
func (b *Bank) Filters() int { return len(b.runs) / 2 }

// Apply sets out, filter by filter, to the sums of weighted power. Each sum is
// in four strands: weights 0, 4, 8 ... and so on, those beyond the last four in
// the first.
func (b *Bank) Apply(out, power []float64) {
	need("out", len(out), b.Filters()*b.lanes.N)
	need("power", len(power), b.bins*b.lanes.N)
	if len(b.runs) == 0 {
		return
	}
	if set := b.lanes.set; set != nil {
		set.Bank(&power[0], &b.weights[0], &out[0], &b.runs[0], b.Filters())
		return
	}
	rest := b.weights
	for i := range b.Filters() {
		p, w := power[b.runs[2*i]/8:], rest[:b.runs[2*i+1]]
		rest = rest[len(w):]
		p = p[:len(w)]
		var s [4]float64
		for len(w) >= 4 {
			s[0] = math.FMA(w[0], p[0], s[0])
			s[1] = math.FMA(w[1], p[1], s[1])
			s[2] = math.FMA(w[2], p[2], s[2])
			s[3] = math.FMA(w[3], p[3], s[3])
			w, p = w[4:], p[4:]
		}
		for j, v := range w {
			s[0] = math.FMA(v, p[j], s[0])
		}
		out[i] = (s[0] + s[1]) + (s[2] + s[3])
	}
}

// matrixRows is how many rows of a Matrix are made at once.
const matrixRows = 8

// A Matrix is a small dense matrix, packed by blocks of rows.
type Matrix struct {
	lanes        Lanes
	blocks, cols int
	m            []float64
}

// NewMatrix is of the rows of m, each of cols values.
func (l Lanes) NewMatrix(m []float64, cols int) *Matrix {
	if cols < 1 || len(m)%cols != 0 {
		panic(fmt.Sprintf("spectra: a matrix of %d values in %d columns", len(m), cols))
	}
	rows := len(m) / cols
	out := &Matrix{lanes: l, blocks: (rows + matrixRows - 1) / matrixRows, cols: cols}
	out.m = make([]float64, out.blocks*matrixRows*cols)
	for r := range rows {
		for j := range cols {
			out.m[((r/matrixRows)*cols+j)*matrixRows+r%matrixRows] = m[r*cols+j]
		}
	}
	return out
}

// Rows is how many there are, rounded up to whole blocks: what Apply writes.
func (m *Matrix) Rows() int { return m.blocks * matrixRows }

// Apply sets y, row by row, to the products with x, summed in order.
func (m *Matrix) Apply(y, x []float64) {
	need("y", len(y), m.Rows()*m.lanes.N)
	need("x", len(x), m.cols*m.lanes.N)
	if m.blocks == 0 {
		return
	}
	if set := m.lanes.set; set != nil {
		set.Matrix(&m.m[0], &x[0], &y[0], m.cols, m.blocks)
		return
	}
	for b := range m.blocks {
		var s [matrixRows]float64
		block := m.m[b*m.cols*matrixRows:]
		for j, v := range x[:m.cols] {
			w := block[j*matrixRows:][:matrixRows]
			for r := range s {
				s[r] = math.FMA(w[r], v, s[r])
			}
		}
		copy(y[b*matrixRows:], s[:])
	}
}
