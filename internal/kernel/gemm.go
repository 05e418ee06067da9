package kernel

import "fmt"

// An Epilogue says what is done to C as it is stored:
// C = relu(C·Acc + A·B + Bias).
type Epilogue[T Float] struct {
	Acc  bool // add to what is in C
	Bias []T  // one value a column of C, or nil
	ReLU bool // negative values become zero; NaN stays NaN
}

// Gemm computes C = A·B, or C += A·B with acc. A is m×k with rows lda apart, B
// k×n with rows ldb apart, C m×n with rows ldc apart.
func Gemm[T Float](m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, acc bool) {
	checkMatrix("Gemm", "A", len(a), m, k, lda)
	checkMatrix("Gemm", "B", len(b), k, n, ldb)
	gemm(m, n, k, a, lda, source[T]{data: b, ld: ldb}, c, ldc, acc)
}

// GemmTB is Gemm with B stored transposed: n×k, rows ldb apart.
func GemmTB[T Float](m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, acc bool) {
	checkMatrix("GemmTB", "A", len(a), m, k, lda)
	checkMatrix("GemmTB", "B", len(b), n, k, ldb)
	gemm(m, n, k, a, lda, source[T]{data: b, ld: ldb, trans: true}, c, ldc, acc)
}

// GemmTA is Gemm with A stored transposed: k×m, rows lda apart.
func GemmTA[T Float](m, n, k int, a []T, lda int, b []T, ldb int, c []T, ldc int, acc bool) {
	checkMatrix("GemmTA", "A", len(a), k, m, lda)
	checkMatrix("GemmTA", "B", len(b), k, n, ldb)
	checkMatrix("GemmTA", "C", len(c), m, n, ldc)
	p := product[T]{
		path: pathFor[T](), a: a, lda: lda, trans: true,
		groups: 1, rows: m, segs: 1, segLen: k,
		n: n, c: c, ldc: ldc, e: Epilogue[T]{Acc: acc},
	}
	p.runSource(source[T]{data: b, ld: ldb})
}

func gemm[T Float](m, n, k int, a []T, lda int, b source[T], c []T, ldc int, acc bool) {
	checkMatrix("Gemm", "C", len(c), m, n, ldc)
	p := product[T]{
		path: pathFor[T](), a: a, lda: lda,
		groups: 1, rows: m, segs: 1, segLen: k,
		n: n, c: c, ldc: ldc, e: Epilogue[T]{Acc: acc},
	}
	p.runSource(b)
}

// A Packed is a matrix B laid out for the tiles of one numeric path, for use
// in many products. It does not change and may be shared.
type Packed[T Float] struct {
	K, N int
	p    panels[T]
}

// PackB packs the k×n matrix b with rows ldb apart.
func PackB[T Float](k, n int, b []T, ldb int) *Packed[T] {
	checkMatrix("PackB", "B", len(b), k, n, ldb)
	return pack(k, n, source[T]{data: b, ld: ldb})
}

// PackBT packs the transpose of the n×k matrix b with rows ldb apart.
func PackBT[T Float](k, n int, b []T, ldb int) *Packed[T] {
	checkMatrix("PackBT", "B", len(b), n, k, ldb)
	return pack(k, n, source[T]{data: b, ld: ldb, trans: true})
}

func pack[T Float](k, n int, b source[T]) *Packed[T] {
	p := newPanels[T](pathFor[T](), blocks(1, k), k, n, nil)
	p.fill(b, 0)
	return &Packed[T]{K: k, N: n, p: p}
}

// Gemm computes C = A·B with the packed B, A being m×K with rows lda apart,
// and finishes C as e says. It uses the path that B was packed for.
func (b *Packed[T]) Gemm(m int, a []T, lda int, c []T, ldc int, e Epilogue[T]) {
	checkMatrix("Packed.Gemm", "A", len(a), m, b.K, lda)
	checkMatrix("Packed.Gemm", "C", len(c), m, b.N, ldc)
	checkBias("Packed.Gemm", e.Bias, b.N)
	p := product[T]{
		path: b.p.path, a: a, lda: lda,
		groups: 1, rows: m, segs: 1, segLen: b.K,
		n: b.N, c: c, ldc: ldc, e: e,
	}
	p.runPacked(&b.p, 0)
}

func checkMatrix(fn, name string, have, rows, cols, ld int) {
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("kernel: %s: %s of %d×%d", fn, name, rows, cols))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols {
		panic(fmt.Sprintf("kernel: %s: rows of %s are %d long but %d apart", fn, name, cols, ld))
	}
	if need := (rows-1)*ld + cols; have < need {
		panic(fmt.Sprintf("kernel: %s: %s of %d×%d, rows %d apart, needs %d elements, has %d", fn, name, rows, cols, ld, need, have))
	}
}

func checkBias[T Float](fn string, bias []T, n int) {
	if bias != nil && len(bias) != n {
		panic(fmt.Sprintf("kernel: %s: bias of %d for %d columns", fn, len(bias), n))
	}
}

func checkLen(fn, name string, have, need int) {
	if have < need {
		panic(fmt.Sprintf("kernel: %s: %s needs %d elements, has %d", fn, name, need, have))
	}
}
