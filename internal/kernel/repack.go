package kernel

// Repack lays out another K×N matrix with rows ldb apart in p's place, so that
// a matrix whose values change, as weights in training do, is packed over and
// over into the same memory. Nobody may use p meanwhile.
func (p *Packed[T]) Repack(b []T, ldb int) {
	checkMatrix("Repack", "B", len(b), p.K, p.N, ldb)
	p.repack(source[T]{data: b, ld: ldb})
}

// RepackT is Repack of the transpose of an N×K matrix.
func (p *Packed[T]) RepackT(b []T, ldb int) {
	checkMatrix("RepackT", "B", len(b), p.N, p.K, ldb)
	p.repack(source[T]{data: b, ld: ldb, trans: true})
}

// repack packs for the numeric path now in use; another may need more memory.
func (p *Packed[T]) repack(b source[T]) {
	buf, on := p.p.data[:cap(p.p.data)], pathFor[T]()
	if len(buf) < panelsSize(on, p.K, p.N) {
		buf = nil
	}
	p.p = newPanels(on, p.p.blocks, p.K, p.N, buf)
	p.p.fill(b, 0)
}
